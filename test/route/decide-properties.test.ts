/**
 * Properties of routing, over random snapshots, facts and sessions:
 * no statement runs on a side that may not answer it; barriers hold; blocked tables stay blocked; and remembering changes nothing.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import { emptyFacts } from '../../grammar/sql/facts-collector.ts';
import type { RelationRef, StatementFacts, StatementKind, TextFacts } from '../../grammar/sql/statement-facts.ts';
import { decide } from '../../src/route/decide.ts';
import { explainRoute, explanationLines } from '../../src/route/explain-route.ts';
import { RouteCache } from '../../src/route/route-cache.ts';
import type { SessionContext } from '../../src/route/route.ts';
import { autocommit, sidesByState, tableRoute } from './routing-examples.ts';

const names = ['a', 'b', 'c', 'd', 'e'] as const;
const sides = fc.constantFrom(...Object.values(sidesByState));

const snapshots: fc.Arbitrary<RoutingSnapshot> = fc.tuple(fc.array(fc.option(sides), { minLength: names.length, maxLength: names.length }), fc.subarray([...names]), fc.subarray([...names]), fc.integer({ min: 1, max: 9 }))
  .map(([all, viewed, reached, epoch]) => {
    const tables: Record<string, TableRoute> = {};
    names.forEach((name, index) => {
      const own = all[index];
      if (own !== null && own !== undefined) tables[`public.${name}`] = tableRoute(name, own);
    });
    return {
      ...emptySnapshot, epoch, tables, views: viewed.length > 0 ? { 'public.v': viewed.map((name) => `public.${name}`) } : {},
      writeClosure: { 'public.a': reached.map((name) => `public.${name}`) }, shadows: names.map((name) => `public.${name}`).filter((key) => tables[key] === undefined),
    };
  });

const relation = fc.constantFrom(...names, 'v', 'unknown').map((name): RelationRef => ({ schema: undefined, name }));
const kinds = fc.constantFrom<StatementKind>('select', 'insert', 'update', 'delete', 'copy_from', 'copy_to', 'truncate', 'lock', 'ddl', 'maintenance', 'call', 'do', 'declare_cursor');
const writing: ReadonlySet<StatementKind> = new Set<StatementKind>(['insert', 'update', 'delete', 'copy_from', 'truncate', 'lock']);

const statements: fc.Arbitrary<StatementFacts> = fc.tuple(kinds, fc.array(relation, { maxLength: 3 }), fc.array(relation, { minLength: 1, maxLength: 2 }), fc.boolean(), fc.constantFrom('', '', '', 'f'))
  .map(([kind, reads, named, locks, called]) => ({
    ...emptyFacts, kind, reads: kind === 'ddl' || kind === 'maintenance' ? [] : reads,
    writes: writing.has(kind) || (kind === 'select' && locks) ? named : [], ddl: kind === 'ddl' || kind === 'maintenance' ? named : [],
    functions: called === '' ? [] : [called],
    flags: { ...emptyFacts.flags, systemOnly: false, lockingRead: kind === 'select' && locks },
  }));
const texts = fc.array(statements, { minLength: 1, maxLength: 2 }).map((list): TextFacts => ({ type: 'sql', statements: list }));

const sessions: fc.Arbitrary<SessionContext> = fc.record({
  lease: fc.boolean(), open: fc.boolean(), isolation: fc.constantFrom('read committed', 'repeatable read', 'serializable'), readOnly: fc.boolean(),
  wroteOn: fc.constantFrom(undefined, 'source', 'local'), source: fc.boolean(), local: fc.boolean(), holdsLocks: fc.boolean(), may: fc.boolean(), temporary: fc.boolean(),
}).map((drawn): SessionContext => ({
  ...autocommit, leaseValid: drawn.lease,
  temporaryTables: drawn.temporary ? new Map([['e', 'local' as const]]) : new Map(),
  transaction: drawn.open ? {
    isolation: drawn.isolation, readOnly: drawn.readOnly, wroteOn: drawn.wroteOn, holdsLocks: drawn.holdsLocks, mayHaveWrittenOnSource: drawn.may,
    usedLegs: { source: drawn.source || drawn.wroteOn === 'source', local: drawn.local || drawn.wroteOn === 'local' },
  } : undefined,
}));

/** An independent, naive reading of a text: every table that it reads or changes. */
function touched(text: TextFacts, snapshot: RoutingSnapshot, session: SessionContext): { readonly reads: readonly string[]; readonly changes: readonly string[] } {
  const expand = (ref: RelationRef): readonly string[] => session.temporaryTables.has(ref.name) ? [] : ref.name === 'v' ? (snapshot.views['public.v'] ?? []) : [`public.${ref.name}`];
  if (text.type !== 'sql') return { reads: [], changes: [] };
  return { reads: text.statements.flatMap((statement) => statement.reads.flatMap(expand)), changes: text.statements.flatMap((statement) => [...statement.writes, ...statement.ddl.filter((ref) => ref.name !== 'v')].flatMap(expand)) };
}

const runs = { numRuns: 20_000 };

describe('routing', () => {
  test('never reads or changes a table where it may not', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type !== 'leg') return;
      const { reads, changes } = touched(text, snapshot, session);
      for (const key of reads) {
        const table = snapshot.tables[key];
        if (route.leg === 'local') expect(table?.reads).toBe('local');
        else expect(table?.writes).not.toBe('local');
      }
      for (const key of changes) {
        const side = snapshot.tables[key]?.writes ?? 'source';
        expect(route.leg).toBe(side);
      }
    }), runs);
  });

  test('a local read of a table that the source writes is indexed, under a lease, and never after a write on the source', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type !== 'leg' || route.leg !== 'local') return;
      if (!touched(text, snapshot, session).reads.some((key) => snapshot.tables[key]?.writes === 'source')) return;
      expect(route.before).toBe('read_index');
      expect(session.leaseValid).toBe(true);
      expect(session.transaction?.wroteOn).not.toBe('source');
      expect(session.transaction?.mayHaveWrittenOnSource ?? false).toBe(false);
      if (session.transaction !== undefined && session.transaction.isolation !== 'read committed') expect(session.transaction.readOnly).toBe(true);
    }), runs);
  });

  test('a barrier parks whatever touches its table, unless locks are held under a lease', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const { reads, changes } = touched(text, snapshot, session);
      const waits = [...reads, ...changes].some((key) => snapshot.tables[key]?.quiescing === true);
      if (waits && !(session.leaseValid && session.transaction?.holdsLocks === true)) expect(decide(text, snapshot, session).type).toBe('park');
    }), runs);
  });

  test('a barrier only ever turns a route into a park; the grace over, locks do not help', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const open = Object.fromEntries(Object.entries(snapshot.tables).map(([key, table]) => [key, { ...table, quiescing: false }]));
      const closed = Object.fromEntries(Object.entries(snapshot.tables).map(([key, table]) => [key, { ...table, closed: true }]));
      const route = decide(text, snapshot, session);
      if (route.type !== 'park') expect(route).toEqual(decide(text, { ...snapshot, tables: open }, session));
      const { reads, changes } = touched(text, snapshot, session);
      if ([...reads, ...changes].some((key) => snapshot.tables[key]?.quiescing === true)) expect(decide(text, { ...snapshot, tables: closed }, session).type).toBe('park');
    }), runs);
  });

  test('a transaction never writes on both sides, and a serialisable one never uses both', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type !== 'leg' || route.leg === 'home' || session.transaction === undefined) return;
      const other = route.leg === 'source' ? 'local' : 'source';
      if (route.writes) expect(session.transaction.wroteOn).not.toBe(other);
      if (session.transaction.isolation === 'serializable' && touched(text, snapshot, session).reads.length > 0) expect(session.transaction.usedLegs[other]).toBe(false);
    }), runs);
  });

  test('a write that local must show is always waited for', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type !== 'leg' || text.type !== 'sql') return;
      const changed = text.statements.filter((statement) => writing.has(statement.kind) && statement.kind !== 'lock').flatMap((statement) => touched({ type: 'sql', statements: [statement] }, snapshot, session).changes);
      const reached = changed.includes('public.a') ? (snapshot.writeClosure['public.a'] ?? []) : [];
      const waited = [...changed, ...reached].some((key) => snapshot.tables[key]?.waitVisible === true);
      if (waited && route.leg !== 'local') expect(route.after).toMatch(/xid|position/);
      if (route.after === 'xid') expect([text.statements.length, text.statements[0]?.functions.length, reached.filter((key) => !changed.includes(key) && snapshot.tables[key]?.waitVisible === true).length]).toEqual([1, 0, 0]);
      if (route.leg === 'local') expect(route.after).toBe('none');
    }), runs);
  });

  test('blocked writes and definitions are refused', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type === 'park') return;
      const { changes } = touched(text, snapshot, session);
      const all = text.type === 'sql' && text.statements.every((statement) => writing.has(statement.kind));
      if (all && changes.some((key) => snapshot.tables[key]?.writesBlocked === true)) expect(route).toMatchObject({ type: 'refuse', code: 'MIG082' });
    }), runs);
  });

  test('a refusal says what to do', () => {
    fc.assert(fc.property(texts, snapshots, sessions, (text, snapshot, session) => {
      const route = decide(text, snapshot, session);
      if (route.type !== 'refuse') return;
      expect(route.detail.length).toBeGreaterThan(10);
      expect(route.hint.length).toBeGreaterThan(10);
      expect(explanationLines(explainRoute(text, snapshot, session)).join('\n')).toContain(route.code);
    }), runs);
  });

  test('remembered routes are those decided afresh', () => {
    fc.assert(fc.property(fc.array(snapshots, { minLength: 1, maxLength: 3 }), fc.array(texts, { minLength: 1, maxLength: 4 }), fc.array(fc.tuple(fc.nat(2), fc.nat(3), sessions, fc.boolean()), { maxLength: 30 }), (all, some, calls) => {
      const first = all[0];
      if (first === undefined) return;
      const cache = new RouteCache(first, 3);
      for (const [snapshotAt, textAt, session, other] of calls) {
        const snapshot = all[snapshotAt % all.length] ?? first;
        const text = some[textAt % some.length];
        if (text === undefined) continue;
        const asked = { ...session, searchPath: cache.searchPath(other ? ['other', 'public'] : ['public']) };
        expect(cache.decide(text, snapshot, asked)).toEqual(decide(text, snapshot, asked));
      }
    }), { numRuns: 2_000 });
  });
});
