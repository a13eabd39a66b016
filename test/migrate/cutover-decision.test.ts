/** The decision of a cutover: every blocking condition alone stops it, FORCE skips validation and nothing else (RULES 10). */
import { describe, expect, it } from 'vitest';
import { decideCutover } from '../../src/migrate/cutover-decision.ts';
import type { CutoverFacts, CutoverWords, TableFacts } from '../../src/migrate/cutover-decision.ts';
import type { TypeLossRecord } from '../../catalog/records.ts';
import { tableStates } from '../../catalog/table-state.ts';
import { isLegalMove } from '../../catalog/table-state.ts';

const words: CutoverWords = { force: false, split: false, noFence: false, noRollback: false, noGrants: false };
const ready: TableFacts = {
  name: 'public.t', state: 'CUTOVER_READY', streamMode: 'shared', lagMs: 0, maxLagMs: 5_000, pendingRereads: 0, pendingWritebacks: 0, unresolvedConflicts: 0, tiesLeftBehind: [],
  validation: { mode: 'full', passed: true, mismatchedRows: 0, finishedAt: '2026-01-01T00:00:00.000Z' }, wayBackFindings: [], definitionChanges: [], missingDependants: [], openLosses: [], lostRights: [],
};
const facts = (table: Partial<TableFacts> = {}, more: Partial<CutoverFacts> = {}): CutoverFacts => ({ tables: [{ ...ready, ...table }], streamConnected: true, workers: 1, ...more });

function lossOf(column: string, values: number, more: Partial<TypeLossRecord> = {}): TypeLossRecord {
  return { tableId: 't', column, direction: 'to_local', kind: 'zero_date', policy: 'null', values, examples: [], firstSeenAt: '', lastSeenAt: '', acceptedAt: undefined, acceptedBy: undefined, ...more };
}

describe('decideCutover', () => {
  it('goes when nothing stands in the way', () => {
    expect(decideCutover(facts(), words)).toEqual({ go: true, blocking: [], warnings: [] });
  });

  const blocks: readonly (readonly [string, CutoverFacts, string])[] = [
    ['a stream that is not connected', facts({}, { streamConnected: false }), 'MIG023'],
    ['changes not applied in step', facts({ streamMode: 'draining' }), 'MIG022'],
    ['lag above the threshold', facts({ lagMs: 5_001 }), 'MIG022'],
    ['rows to be read again', facts({ pendingRereads: 1 }), 'MIG050'],
    ['rows to be written to the source', facts({ pendingWritebacks: 1 }), 'MIG050'],
    ['unresolved conflicts', facts({ unresolvedConflicts: 1 }), 'MIG030'],
    ['tied tables left behind', facts({ tiesLeftBehind: [{ name: 'public.p', reason: 'foreign key' }] }), 'MIG050'],
    ['a way back that is not open', facts({ wayBackFindings: ['no'] }), 'MIG050'],
    ['a loss that is not accepted', facts({ openLosses: [lossOf('born', 7)] }), 'MIG053'],
    ['a user who may do less on local', facts({ lostRights: [{ users: 'app', what: ['INSERT'], left: [], grants: ['GRANT INSERT ON public.t TO app'], remedies: [], hindersReads: false }] }), 'MIG054'],
    ['a changed definition', facts({ definitionChanges: ['column v is new'] }), 'MIG011'],
    ['no validation', facts({ state: 'DUAL_WRITE', validation: undefined }), 'MIG050'],
  ];
  it('says why a validation does not count', () => {
    const said = (mode: 'full' | 'sample'): string => JSON.stringify(decideCutover(facts({ state: 'DUAL_WRITE', validation: { mode, passed: true, mismatchedRows: 0, finishedAt: 'yesterday' } }), words).blocking);
    expect(said('sample')).toContain('only a sample');
    expect(said('full')).toMatch(/validation of yesterday does not count.*not in DUAL_WRITE/);
  });

  it.each(blocks)('is stopped by %s', (_, given, code) => {
    const { go, blocking } = decideCutover(given, words);
    expect(go).toBe(false);
    expect(blocking.map((each) => each.code)).toEqual([code]);
    expect(blocking.every((each) => each.remedy !== '')).toBe(true);
  });

  it('reads that differed or failed on local are a warning', () => {
    const { go, warnings } = decideCutover(facts({ shadowReads: { different: 3, failed: 1 } }), words);
    expect([go, warnings]).toEqual([true, ['public.t: 3 compared reads differed on local, 1 failed there; SHOW MIGRATION SHADOW READS FOR TABLE public.t has the statements.']]);
    expect(decideCutover(facts({ shadowReads: { different: 0, failed: 0 } }), words).warnings).toEqual([]);
  });

  it('tells of the losses what they are, the first of many, and how to accept them; no word of CUTOVER does', () => {
    const openLosses = [lossOf('born', 7), lossOf('by_note', 1, { direction: 'definition', kind: 'index' }), ...Array.from({ length: 10 }, (_, at) => lossOf(`c${at}`, 1, { direction: 'to_source', kind: 'fraction' }))];
    const { blocking } = decideCutover(facts({ openLosses }), { force: true, split: true, noFence: true, noRollback: true, noGrants: true });
    expect(blocking).toEqual([{
      code: 'MIG053', table: 'public.t',
      condition: 'losses are not accepted: born: 7 values to local (zero_date); by_note: index of the definition; c0: 1 value to the source (fraction); c1: 1 value to the source (fraction); c2: 1 value to the source (fraction); and 7 more',
      remedy: 'SHOW MIGRATION TYPE LOSS FOR TABLE public.t lists them; ALTER MIGRATION FOR TABLE public.t ACCEPT TYPE LOSS goes without what is lost.',
    }]);
  });

  it('FORCE skips validation and nothing else', () => {
    expect(decideCutover(facts({ state: 'DUAL_WRITE', validation: undefined }), { ...words, force: true }).go).toBe(true);
    for (const [, given] of blocks.slice(0, 8)) expect(decideCutover(given, { ...words, force: true }).go).toBe(false);
  });

  it('SPLIT and NO ROLLBACK lift their own condition, and say what it costs', () => {
    const split = decideCutover(facts({ tiesLeftBehind: [{ name: 'public.p', reason: 'foreign key' }] }), { ...words, split: true });
    expect([split.go, split.warnings.join()]).toEqual([true, expect.stringContaining('no longer enforced')]);
    expect(decideCutover(facts({ wayBackFindings: ['no'] }), { ...words, noRollback: true }).go).toBe(true);
  });

  it('names who would lose which rights, and the GRANTs; NO GRANTS alone goes without, and says for whom', () => {
    const lostRights = [{ users: 'app, web', what: ['SELECT', 'UPDATE (price)'], left: [], grants: ['GRANT SELECT, UPDATE (price) ON public.t TO app'], remedies: [], hindersReads: false }, { users: 'other', what: ['local has no role other'], left: ['local has no role other'], grants: [], remedies: ['CREATE ROLE other LOGIN;'], hindersReads: true }];
    const { blocking } = decideCutover(facts({ lostRights }), { force: true, split: true, noFence: true, noRollback: true, noGrants: false });
    expect(blocking).toEqual([{
      code: 'MIG054', table: 'public.t', condition: 'users may do less on local than on the source: app, web: SELECT, UPDATE (price); other: local has no role other',
      remedy: 'GRANT SELECT, UPDATE (price) ON public.t TO app; CREATE ROLE other LOGIN; Or CUTOVER … NO GRANTS goes though statements on public.t will be refused.',
    }]);
    expect(decideCutover(facts({ lostRights }), { ...words, noGrants: true })).toEqual({ go: true, blocking: [], warnings: ['NO GRANTS: public.t: app, web: SELECT, UPDATE (price); other: local has no role other'] });
  });

  it('is not stopped by row locks that local would refuse, and tells of them', () => {
    expect(decideCutover(facts({ locksLost: ['reader'] }), words)).toMatchObject({ go: true, warnings: [expect.stringContaining('public.t: reader may lock rows')] });
  });

  it('is not stopped by a view whose query takes its place, and tells of it', () => {
    const missing = (weight: 'required' | 'useful' | 'replaced'): CutoverFacts => facts({ missingDependants: [{ name: 'view public.v', reason: 'it reads public.other', weight }] });
    expect(decideCutover(missing('replaced'), words)).toMatchObject({ go: true, warnings: [expect.stringContaining('public.v')] });
    expect([decideCutover(missing('useful'), words).go, decideCutover(missing('useful'), { ...words, force: true }).go, decideCutover(missing('required'), { ...words, force: true }).go]).toEqual([false, true, false]);
  });

  it('goes only from states that may move to LOCAL_ONLY', () => {
    for (const state of tableStates) {
      for (const force of [false, true]) if (decideCutover(facts({ state }), { ...words, force }).go) expect(isLegalMove(state, 'LOCAL_ONLY')).toBe(true);
    }
  });
});
