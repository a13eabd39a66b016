// A folded run leaves a table as the same run does row by row.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fold } from '../../../cdc/apply/fold.ts';
import type { Step } from '../../../cdc/apply/fold.ts';
import type { ChangeRecord, SourceTransaction } from '../../../cdc/apply/change-record.ts';
import type { RowRef } from '../../../cdc/apply/row-set.ts';
import { bindTable } from '../../../cdc/apply/table-binding.ts';
import type { TableBinding } from '../../../cdc/apply/table-binding.ts';
import { readTuple, writeTuple } from '../../../cdc/postgres/pgoutput.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';

const column = (name: string, attnum: number): TablePlan['columns'][number] =>
  ({ name, type: 'text', typeOid: 25, attnum, notNull: false, canonicalText: true, toastable: true });
const plan: TablePlan = {
  tableId: 't', source: { schema: 'public', name: 't' }, target: { schema: 'public', name: 't' }, columns: [column('v', 1), column('id', 2), column('big', 3)],
  key: ['id'], keyKind: 'primary', uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: false, definitionHash: '',
};
const relation = { oid: 1, schema: 'public', name: 't', replicaIdentity: 'default' as const, columns: plan.columns.map(({ name, typeOid }) => ({ name, typeOid, typmod: -1, inKey: name === 'id' })) };
const bind = (): TableBinding => bindTable(plan, relation, { identityAlways: new Set(), generated: new Set() });
const bindings = [bind(), bind()];
const transaction: SourceTransaction = { transactionId: 1, commitLsn: 1n, committedAtMs: 0 };

type Row = { v: string; big: string };
type Act = { kind: 'put' | 'touch' | 'move' | 'delete' | 'truncate'; id: number; to: number; v: string; binding: number };

/** Plays the acts on a model, as the source does, and gives what the stream would carry. */
function capture(model: Map<string, Row>, acts: readonly Act[]): ChangeRecord[] {
  return acts.flatMap((act): ChangeRecord[] => {
    const table = bindings[act.binding] ?? bindings[0];
    if (!table) return [];
    const id = String(act.id);
    const had = model.get(id);
    const row = (values: (string | null | undefined)[]): Buffer => writeTuple(values);
    const record = (op: 'insert' | 'update' | 'delete', old: Buffer | undefined, now: Buffer | undefined): ChangeRecord => ({
      op, table, transaction, buffer: Buffer.concat([old ?? Buffer.alloc(0), now ?? Buffer.alloc(0)]), oldAt: old ? 0 : -1, newAt: now ? (old?.length ?? 0) : -1, oldIsKeyOnly: true,
    });
    switch (act.kind) {
      case 'put':
        model.set(id, { v: act.v, big: `B${act.v}` });
        return [record(had ? 'update' : 'insert', undefined, row([act.v, id, `B${act.v}`]))];
      case 'touch':
        if (!had) return [];
        model.set(id, { ...had, v: act.v });
        return [record('update', undefined, row([act.v, id, undefined]))];
      case 'move': {
        const to = String(act.to);
        if (!had || model.has(to)) return [];
        model.delete(id);
        model.set(to, { ...had, v: act.v });
        return [record('update', row([null, id, null]), row([act.v, to, undefined]))];
      }
      case 'delete':
        if (!had) return [];
        model.delete(id);
        return [record('delete', row([null, id, null]), undefined)];
      case 'truncate':
        model.clear();
        return [{ op: 'truncate', tables: [table], transaction, restartIdentity: false }];
      default:
        return act.kind satisfies never;
    }
  });
}

function put(model: Map<string, Row>, { buffer, at }: RowRef): void {
  const [v, id, big] = readTuple(buffer, at);
  model.set(id ?? '', { v: v ?? '', big: big === undefined ? (model.get(id ?? '')?.big ?? 'LOST') : (big ?? '') });
}

/** What the statements of the steps do, in the order in which they are sent. */
function play(model: Map<string, Row>, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.kind === 'truncate') {
      model.clear();
    } else if (step.kind === 'single') {
      const { record } = step;
      const from = readTuple(record.buffer, record.oldAt)[1] ?? '';
      const [v, to] = readTuple(record.buffer, record.newAt);
      const had = model.get(from);
      expect(had).toBeDefined();
      model.delete(from);
      model.set(to ?? '', { v: v ?? '', big: had?.big ?? 'LOST' });
    } else {
      for (const row of step.deletes) expect(model.delete(readTuple(row.buffer, row.at)[1] ?? '')).toBe(true);
      for (const row of step.gone) expect(model.delete(readTuple(row.buffer, row.at)[1] ?? '')).toBe(false);
      for (const row of [...step.updates, ...step.partials.flatMap((group) => group.rows)]) {
        expect(model.has(readTuple(row.buffer, row.at)[1] ?? '')).toBe(true);
        put(model, row);
      }
      for (const row of step.inserts) {
        expect(model.has(readTuple(row.buffer, row.at)[1] ?? '')).toBe(false);
        put(model, row);
      }
      expect(step.puts).toEqual([]);
    }
  }
}

const act = fc.record({
  kind: fc.constantFrom('put', 'put', 'touch', 'touch', 'move', 'delete', 'delete', 'truncate') as fc.Arbitrary<Act['kind']>,
  id: fc.integer({ min: 1, max: 5 }), to: fc.integer({ min: 1, max: 5 }), v: fc.string({ minLength: 1, maxLength: 3 }), binding: fc.constantFrom(0, 0, 0, 1),
});

test('folded steps end where the changes one by one do', () => {
  fc.assert(fc.property(fc.array(act, { maxLength: 12 }), fc.array(act, { maxLength: 40 }), (before, acts) => {
    const source = new Map<string, Row>();
    capture(source, before);
    const target = new Map(source);
    play(target, fold(capture(source, acts)));
    expect(new Map([...target].sort())).toEqual(new Map([...source].sort()));
  }), { numRuns: 2000 });
});

test('keys without canonical text are not folded', () => {
  const loose = bindTable({ ...plan, columns: plan.columns.map((each) => ({ ...each, canonicalText: false })) }, relation, { identityAlways: new Set(), generated: new Set() });
  const record = (id: string): ChangeRecord => ({ op: 'insert', table: loose, transaction, buffer: writeTuple(['v', id, null]), oldAt: -1, newAt: 0, oldIsKeyOnly: false });
  expect(fold([record('1.0'), record('1.00')]).map((step) => step.kind)).toEqual(['single', 'single']);
});
