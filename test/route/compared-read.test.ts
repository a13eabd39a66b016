/** Property: a route says that it is compared when every table is, and else why it is not; it goes where it would go with `read_from 'source'`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import type { SqlParser } from '../../grammar/sql/parser.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import { decide } from '../../src/route/decide.ts';
import { explainRoute, explanationLines } from '../../src/route/explain-route.ts';
import type { ComparedRead, SessionContext } from '../../src/route/route.ts';
import { routesOf } from '../../src/migrate/routing-publisher.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { sourceRoute } from '../../catalog/records.ts';
import type { TableState } from '../../catalog/table-state.ts';
import { autocommit, inTransaction, sidesByState, snapshotWith, tableRoute } from './routing-examples.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});
afterAll(() => parser[Symbol.asyncDispose]());

function facts(sql: string): TextFacts {
  const read = parser.parseFacts(sql);
  if (read === 'too_large_for_sync') throw new Error('too large');
  return read;
}

const withSource = { ...sidesByState.DUAL_WRITE, reads: 'source' } as const;
const snapshotOf = (t: Partial<TableRoute>): RoutingSnapshot => {
  const base = snapshotWith(withSource);
  return { ...base, tables: { ...base.tables, 'public.t': { ...tableRoute('t', withSource), ...t }, 'public.u': { ...tableRoute('u', withSource), ...t, compare: 30 } }, functions: { 'public.known': { reads: ['public.t'], writes: [] } }, storedViews: ['public.stored'], views: { ...base.views, 'public.stored': ['public.t'] } };
};
const comparing = snapshotOf({ compare: 10 });

function compared(sql: string, session: SessionContext = autocommit, snapshot: RoutingSnapshot = comparing): ComparedRead | undefined {
  const route = decide(facts(sql), snapshot, session);
  return route.type === 'leg' ? route.compared : undefined;
}

test.each(['SELECT * FROM t', 'SELECT * FROM t_view', 'SELECT count(*) FROM t WHERE id IN (SELECT id FROM t_view)', 'WITH c AS (SELECT * FROM t) SELECT * FROM c', 'TABLE t'])('%s', (sql) => {
  expect(compared(sql)).toEqual({ percent: 10, tables: ['public.t'], obstacle: undefined, ordered: false, orderDependent: false });
});

test('of several tables the larger part counts; order is told', () => {
  expect(compared('SELECT * FROM t JOIN u USING (id) ORDER BY id LIMIT 3')).toEqual({ percent: 30, tables: ['public.t', 'public.u'], obstacle: undefined, ordered: true, orderDependent: true });
});

test.each([
  ['SELECT * FROM t WHERE id = $1 LIMIT 1', ['id']], ['SELECT * FROM public.t x WHERE x.id = 4::int AND 5 = v AND w > 3 ORDER BY v FETCH FIRST ROW ONLY', ['id', 'v']],
])('the row that %s asks for', (sql, columns) => expect(compared(sql)?.pinned).toEqual({ table: { schema: 'public', name: 't' }, columns }));

test.each([
  'SELECT * FROM t WHERE id = 1', 'SELECT * FROM t WHERE id > 1 LIMIT 1', 'SELECT * FROM t WHERE id = 1 OR v = 2 LIMIT 1', 'SELECT * FROM t WHERE NOT id = 1 LIMIT 1', 'SELECT * FROM t WHERE id = v LIMIT 1', 'SELECT * FROM t, u WHERE t.id = 1 LIMIT 1',
  'SELECT (SELECT v FROM t LIMIT 1) FROM t WHERE id = 1 LIMIT 1', 'SELECT * FROM t WHERE id = 1 UNION ALL SELECT * FROM t LIMIT 1', 'SELECT * FROM t_view WHERE id = 1 LIMIT 1', 'WITH c AS (SELECT 1) SELECT * FROM t WHERE id = 1 LIMIT 1', 'SELECT * FROM t WHERE id = ANY ($1) LIMIT 1',
])('%s names no row', (sql) => expect(compared(sql)?.pinned).toBeUndefined());

test.each([
  ['SELECT * FROM t JOIN plain USING (id)', 'it needs what is not compared: public.plain'], ['SELECT f(id) FROM t', 'it calls f, which may do anything'], ['SELECT known(id), id FROM t', 'it calls known, which may do anything'],
  ['SELECT now() FROM t', 'its answer depends on the moment'], ['SELECT id FROM t, pg_class', 'it reads the system catalogs'], ['SELECT * FROM t; SELECT * FROM t', 'there are several statements'],
  ['SELECT currval(\'t_id_seq\') FROM t', 'it needs what is not compared: public.t'], ['SELECT * FROM t, stored', 'it needs what is not compared: public.t'], ['SELECT set_config(\'a.b\', id::text, false) FROM t', 'it changes the session'],
])('%s is not, since %s', (sql, why) => expect(compared(sql)?.obstacle).toContain(why));

test.each([
  'SELECT * FROM t FOR UPDATE', 'UPDATE t SET v = 1', 'WITH c AS (DELETE FROM t RETURNING *) SELECT * FROM c', 'COPY t TO STDOUT', 'SELECT * FROM plain', 'SELECT 1', 'EXPLAIN SELECT * FROM t', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t', 'SELECT * FROM stored',
])('%s is none of its business', (sql) => expect(compared(sql)).toBeUndefined());

test('nor are transactions, workers without a lease, tables that are read on local or not compared', () => {
  expect(compared('SELECT * FROM t', inTransaction())).toBeUndefined();
  expect(compared('SELECT * FROM t', { ...autocommit, leaseValid: false })).toBeUndefined();
  expect(compared('SELECT * FROM t', autocommit, snapshotOf({}))).toBeUndefined();
  expect(compared('SELECT * FROM t', { ...autocommit, temporaryTables: new Map([['t', 'source']]) })).toBeUndefined();
});

test('the route itself is that of the source', () => {
  for (const sql of ['SELECT * FROM t', 'SELECT * FROM t JOIN plain USING (id)', 'SELECT f(id) FROM t']) {
    const route = decide(facts(sql), comparing, autocommit);
    const without = decide(facts(sql), snapshotOf({}), autocommit);
    expect(route).toEqual(route.type === 'leg' && route.compared ? { ...without, compared: route.compared } : without);
  }
});

test('EXPLAIN ROUTE says so', () => {
  const lines = (sql: string): readonly string[] => explanationLines(explainRoute(facts(sql), comparing, autocommit));
  expect(lines('SELECT * FROM t')[1]).toBe("  runs on the source; 10 % of its answers are compared with local's");
  expect(lines('SELECT now() FROM t')[1]).toContain("; its answers are not compared with local's: its answer depends on the moment");
});

test('the snapshot says it in DUAL_WRITE and CUTOVER_READY only, outside barriers', () => {
  const published = (state: TableState, route: Partial<TableRecord['route']>, options: TableRecord['options']): number | undefined =>
    routesOf([{ tableId: '1', state, source: { schema: 'public', name: 't' }, target: { schema: 'public', name: 't' }, options, details: {}, route: { ...sourceRoute, ...route } } as unknown as TableRecord])['public.t']?.compare;
  const options = { readFrom: 'compare', comparePercent: 25 };
  for (const state of ['DUAL_WRITE', 'CUTOVER_READY'] as const) {
    expect(published(state, {}, options)).toBe(25);
    expect(published(state, {}, { readFrom: 'compare' })).toBe(10);
    expect(published(state, { quiescing: true }, options)).toBeUndefined();
    expect(published(state, {}, { readFrom: 'source', comparePercent: 25 })).toBeUndefined();
  }
  for (const state of ['BULK_LOADING', 'SYNCHRONIZING', 'PAUSED', 'ERROR', 'ROLLBACK'] as const) expect(published(state, {}, options)).toBeUndefined();
  expect(published('LOCAL_ONLY', { reads: 'local', writes: 'local' }, options)).toBeUndefined();
});
