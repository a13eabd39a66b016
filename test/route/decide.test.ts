/** Property: names mean what PostgreSQL would take them for, and everything that is not a plain table statement finds its place. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import type { SqlParser } from '../../grammar/sql/parser.ts';
import { searchPathOf } from '../../grammar/sql/setting-value.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import { admitRoute } from '../../src/route/admit-route.ts';
import { decide } from '../../src/route/decide.ts';
import { explainRoute, explanationLines } from '../../src/route/explain-route.ts';
import type { Route, SessionContext } from '../../src/route/route.ts';
import { autocommit, inTransaction, routeWord, sidesByState, snapshotWith, tableRoute } from './routing-examples.ts';

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

const moved = snapshotWith(sidesByState.LOCAL_ONLY);
const followed = snapshotWith(sidesByState.DUAL_WRITE);

function routed(sql: string, snapshot: RoutingSnapshot = moved, session: SessionContext = autocommit): Route {
  return decide(facts(sql), snapshot, session);
}

function word(sql: string, snapshot: RoutingSnapshot = moved, session: SessionContext = autocommit): string {
  return routeWord(routed(sql, snapshot, session));
}

describe('names', () => {
  test('the search path decides, its first match wins', () => {
    expect(word('SELECT * FROM t', moved, { ...autocommit, searchPath: ['public', 'other'] })).toBe('local');
    expect(word('SELECT * FROM t', moved, { ...autocommit, searchPath: ['other', 'public'] })).toBe('source');
    expect(word('SELECT * FROM t', moved, { ...autocommit, searchPath: [] })).toBe('source');
    expect(word('SELECT * FROM public.t', moved, { ...autocommit, searchPath: [] })).toBe('local');
    expect(word('SELECT * FROM other.t')).toBe('source');
  });

  test('a temporary table hides all others, and binds to its leg', () => {
    const session: SessionContext = { ...autocommit, temporaryTables: new Map([['t', 'source']]) };
    expect(word('SELECT * FROM t', moved, session)).toBe('source');
    expect(word('SELECT * FROM pg_temp.t', moved, session)).toBe('source');
    expect(word('SELECT * FROM public.t', moved, session)).toBe('local');
    expect(word('SELECT * FROM t JOIN moved USING (id)', moved, session)).toBe('hybrid source / local');
    expect(word('INSERT INTO t SELECT * FROM plain', moved, session)).toBe('source');
    expect(word('DROP TABLE t', moved, session)).toBe('source');
    for (const asked of ["relname = 't'", "oid = 't'::regclass"]) {
      expect(word(`SELECT * FROM pg_class WHERE ${asked}`, moved, session)).toBe('home');
      expect(word(`SELECT * FROM pg_class WHERE ${asked}`, moved, { ...session, temporaryTables: new Map([['t', 'local']]) })).toBe('local');
    }
    expect(word('DROP TABLE t', moved, { ...session, temporaryTables: new Map([['t', 'local']]) })).toBe('local');
  });

  test('a common table expression is no table', () => {
    expect(word('WITH t AS (SELECT 1 AS id) SELECT * FROM t')).toBe('home');
    expect(word('WITH t AS (SELECT * FROM plain) SELECT * FROM t')).toBe('source');
  });

  test('a view that local lacks is read where its tables still are, and by its definition where they are not', () => {
    const missing = (snapshot: RoutingSnapshot): RoutingSnapshot => ({ ...snapshot, missingOnLocal: ['public.t_view'] });
    expect(word('SELECT * FROM t_view', followed)).toBe('local + index');
    expect(word('SELECT * FROM t_view', missing(followed))).toBe('source');
    expect(word('SELECT * FROM t_view JOIN t USING (id)', missing(followed))).toBe('source');
    expect(word('SELECT * FROM t', missing(followed))).toBe('local + index');
    expect(word('UPDATE t_view SET v = 1', missing(followed))).toBe('source + xid');
    for (const sql of ['SELECT * FROM t_view', 'EXPLAIN SELECT * FROM t_view', 'SELECT * FROM t_view JOIN plain USING (id)']) expect(routed(sql, missing(moved)), sql).toMatchObject({ type: 'hybrid', ways: [], views: new Set(['public.t_view']) });
    for (const [sql, snapshot] of [['UPDATE t_view SET v = 1', missing(moved)], ['SELECT * FROM t_view', { ...missing(moved), storedViews: ['public.t_view'] }], ['SELECT * FROM t_view; SELECT 1', missing(moved)]] as const) {
      expect(routed(sql, snapshot), sql).toMatchObject({ type: 'refuse', code: 'MIG080', message: expect.stringContaining('public.t_view'), hint: expect.stringContaining('Create it on local') });
    }
    expect(routed('SELECT * FROM t_view JOIN moved USING (id)', missing(followed))).toMatchObject({ type: 'hybrid', ways: [{ runOn: 'source', moved: new Set(['public.moved']) }, { runOn: 'local', moved: new Set(['public.t_view']) }] });
    // That is how it gets there.
    expect(word('CREATE OR REPLACE VIEW t_view AS SELECT * FROM t', missing(moved))).toBe('local');
  });

  test('what a view has stored is read where it is refreshed', () => {
    const stored = (snapshot: RoutingSnapshot): RoutingSnapshot => ({ ...snapshot, storedViews: ['public.t_view'] });
    expect([word('SELECT * FROM t_view', stored(followed)), word('REFRESH MATERIALIZED VIEW t_view', stored(followed))]).toEqual(['source', 'source']);
    expect([word('SELECT * FROM t_view', stored(moved)), word('REFRESH MATERIALIZED VIEW t_view', stored(moved))]).toEqual(['local', 'local']);
  });

  test('an odd name that could be a property of every object', () => {
    expect(word('SELECT * FROM constructor, "__proto__", "toString"')).toBe('source');
    expect(word('SELECT constructor(), "hasOwnProperty"()')).toBe('source');
  });

  test('a table renamed on local answers there to both names, a definition to its new one only', () => {
    const renamed = (sides: typeof sidesByState.DUAL_WRITE): RoutingSnapshot => ({ ...followed, tables: { 'public.t': { ...tableRoute('t', sides), local: { schema: 'app', name: 'tt' } } } });
    expect(word('SELECT * FROM t', renamed(sidesByState.DUAL_WRITE))).toBe('local + index');
    expect(word('SELECT * FROM app.tt', renamed(sidesByState.DUAL_WRITE))).toBe('local + index');
    expect(routed('INSERT INTO app.tt VALUES (1)', renamed(sidesByState.DUAL_WRITE))).toMatchObject({ type: 'refuse', code: 'MIG082', hint: expect.stringContaining('public.t') });
    expect(word('SELECT * FROM app.tt', renamed(sidesByState.LOCAL_ONLY))).toBe('local');
    expect(word('INSERT INTO app.tt VALUES (1)', renamed(sidesByState.LOCAL_ONLY))).toBe('local');
    for (const sql of ['SELECT * FROM t', 'UPDATE t SET v = 1', 'COPY t FROM STDIN', 'TRUNCATE t', 'EXPLAIN SELECT * FROM t', 'ANALYZE t', 'DECLARE c CURSOR FOR SELECT * FROM t']) expect(word(sql, renamed(sidesByState.LOCAL_ONLY)), sql).toBe('local');
    for (const sql of ['ALTER TABLE t ADD COLUMN z int', 'CREATE VIEW w AS SELECT * FROM t', 'CREATE TEMP TABLE x (LIKE t)']) {
      expect(routed(sql, renamed(sidesByState.LOCAL_ONLY)), sql).toMatchObject({ type: 'refuse', code: 'MIG082', hint: expect.stringContaining('app.tt') });
    }
  });

  test('partitions that share the route of their parent are not taken for renamed', () => {
    const parent = tableRoute('t', sidesByState.LOCAL_ONLY);
    expect(word('SELECT * FROM t_2024', { ...moved, tables: { 'public.t': parent, 'public.t_2024': parent } })).toBe('local');
  });

  test('views, indexes listed as such, and sequences lead to their tables', () => {
    expect(word('SELECT * FROM t_view JOIN plain USING (id)')).toBe('hybrid source / local');
    expect(word('DROP INDEX t_pkey', { ...moved, views: { 'public.t_pkey': ['public.t'] } })).toBe('local');
    expect(word('SELECT last_value FROM t_id_seq')).toBe('local');
    expect(word("SELECT setval('public.t_id_seq', 5)")).toBe('local');
    expect(word("SELECT nextval(pg_get_serial_sequence('t', 'id'))")).toBe('local');
    expect(word("SELECT nextval('t_id_seq'), * FROM plain")).toBe('hybrid local');
    expect(word("SELECT nextval('orphan_seq')")).toBe('source');
  });

  test('functions that the snapshot knows are looked into', () => {
    const known: RoutingSnapshot = { ...moved, functions: { 'public.f': { reads: ['public.t'], writes: [] }, 'app.g': { reads: [], writes: [] }, 'public.p': { reads: [], writes: ['public.t'] } } };
    expect(word('SELECT f(1)', known)).toBe('local');
    expect(word('SELECT app.g(1)', known)).toBe('home');
    expect(word('CALL p()', known)).toBe('local');
    expect(word('SELECT f(1) FROM plain', known)).toBe('hybrid local');
    expect(word('SELECT other(1)', known)).toBe('source');
    const knownFollowed: RoutingSnapshot = { ...followed, functions: { 'public.f': { reads: [], writes: [] }, 'public.p': { reads: [], writes: ['public.t'] } } };
    expect(word('SELECT f(id) FROM t', knownFollowed)).toBe('local + index');
    expect(word('CALL p()', knownFollowed)).toBe('source + position');
  });
});

describe('texts that no table decides', () => {
  test.each([
    ['BEGIN', 'transaction_control'], ['COMMIT; BEGIN', 'transaction_control'], ['ROLLBACK TO s', 'transaction_control'], ['SET TRANSACTION READ ONLY', 'transaction_control'],
    ['SET search_path = a', 'both_legs'], ["SELECT set_config('search_path', '', false)", 'both_legs'], ['LISTEN c', 'both_legs'], ['DISCARD ALL', 'both_legs'], ['SET CONSTRAINTS ALL DEFERRED', 'both_legs'],
    ['SHOW search_path', 'home'], ['SELECT 1', 'home'], ['SELECT * FROM pg_class', 'home'], ["SELECT * FROM pg_class WHERE oid = 't'::regclass", 'local'], ["SELECT * FROM pg_class WHERE oid = 'plain'::regclass", 'home'], ["SELECT * FROM pg_class WHERE relname IN ('t', 'plain')", 'home'],
    ["SELECT * FROM pg_class WHERE relname = 't'", 'local'], ["SELECT * FROM pg_class WHERE relname <> 't'", 'home'], ["SELECT * FROM information_schema.columns WHERE table_name = 't' AND table_schema = 'elsewhere'", 'home'], ["SELECT 't'::regclass", 'home'], ['NOTIFY c', 'home'], ['', 'home'], ['VACUUM', 'home'], ['SELEC', 'home'],
    ["SELECT set_config('a.b', s, false) FROM plain", 'source'], ['SELECT pg_advisory_lock(1)', 'source'], ['CREATE FUNCTION z() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'source'], ['CREATE TABLE new (id int)', 'source'],
    ['SHOW MIGRATION STATUS', 'control'], ['SELECT * FROM SYS$MIGRATION_STATE', 'control'], ['SELECT * FROM MIGRATION_ROW_COUNTS(legacy)', 'control'],
    ['SELECT * FROM SYS$MIGRATION_STATE; SELECT 1', 'MIG080'], ['CREATE TEMP TABLE x (id int)', 'home'], ['CREATE TABLE new (id int REFERENCES t)', 'MIG080'], ['SELECT * FROM pg_class, t', 'local'],
  ])('%s: %s', (sql, expected) => {
    expect(word(sql)).toBe(expected);
  });

  test('what could not be read is refused, not sent', () => {
    expect(decide({ type: 'invalid', message: 'x', refusal: { code: 'MIG085', message: 'm', detail: 'd', hint: 'h' } }, moved, autocommit)).toEqual({ type: 'refuse', code: 'MIG085', message: 'm', detail: 'd', hint: 'h' });
  });

  test('DDL without a table binds its transaction to the source', () => {
    expect(routed('CREATE EXTENSION hstore')).toMatchObject({ leg: 'source', writes: true });
    expect(word('CREATE EXTENSION hstore', moved, inTransaction({ wroteOn: 'local' }))).toBe('MIG081');
  });

  test('advisory locks move with their home', () => {
    expect(word('SELECT pg_advisory_lock(id) FROM t', moved, { ...autocommit, advisoryLocksOn: 'local' })).toBe('local');
  });
});

describe('several tables, several statements', () => {
  test('the whole text runs on one side', () => {
    expect(word('SELECT * FROM t; SELECT * FROM plain', followed)).toBe('source');
    expect(word('SELECT * FROM t; SELECT * FROM moved', followed)).toBe('local + index');
    expect(word('SELECT * FROM t; SELECT * FROM plain')).toBe('MIG080');
    expect(word('SET LOCAL x.y = 1; SELECT * FROM t')).toBe('local');
  });

  test('a refusal names the tables of each side, and the way out', () => {
    expect(routed('SELECT * FROM t; SELECT * FROM plain')).toMatchObject({ detail: 'Only on the source: public.plain. Only on local: public.t.', hint: expect.stringContaining('Migrate the tables') });
    expect(routed('SELECT * FROM t; SELECT * FROM moved', snapshotWith(sidesByState.SYNCHRONIZING))).toMatchObject({
      detail: 'Only on the source: public.t. Only on local: public.moved.', hint: expect.stringContaining('CUTOVER TABLE public.t'),
    });
    expect(routed('SELECT * FROM t; SELECT * FROM moved', followed, inTransaction({ wroteOn: 'source' }))).toMatchObject({ code: 'MIG080', hint: expect.stringContaining('READ COMMITTED') });
    expect(routed('SELECT * FROM t; SELECT * FROM moved', followed, { ...autocommit, leaseValid: false })).toMatchObject({ code: 'MIG084' });
  });

  test('a statement over both sides runs where what it writes, locks and calls is, with what it reads brought there', () => {
    const ways = (sql: string, snapshot = moved, session = autocommit): unknown => {
      const route = routed(sql, snapshot, session);
      return route.type === 'hybrid' ? route.ways.map(({ runOn, moved: brought }) => `${runOn} < ${[...brought].join()}`) : routeWord(route);
    };
    expect(ways('SELECT * FROM t JOIN plain USING (id)')).toEqual(['source < public.t', 'local < public.plain']);
    expect(ways('INSERT INTO t SELECT * FROM plain')).toEqual(['local < public.plain']);
    expect(ways('UPDATE plain SET v = t.v FROM t')).toEqual(['source < public.t']);
    expect(ways('SELECT * FROM t, plain FOR UPDATE OF plain')).toEqual(['source < public.t']);
    for (const sql of ['CREATE TABLE x AS SELECT * FROM t', 'CREATE TABLE x AS SELECT * FROM t, plain', 'SELECT id INTO x FROM t']) expect(ways(sql), sql).toEqual(['source < public.t']);
    expect(ways('SELECT f(t.id) FROM t, plain')).toEqual(['source < public.t']);
    expect(ways('SELECT * FROM t, plain, pg_class')).toEqual(['source < public.t']);
    expect(ways("SELECT nextval('t_id_seq') FROM plain")).toEqual(['local < public.plain']);
    expect(ways('SELECT * FROM t, plain', moved, inTransaction({ isolation: 'repeatable read' }))).toEqual(['source < public.t', 'local < public.plain']);
    for (const sql of ['SELECT * FROM t, plain FOR UPDATE', 'WITH d AS (DELETE FROM plain RETURNING *) INSERT INTO t SELECT * FROM d', 'SELECT * FROM t; SELECT * FROM plain', 'CREATE VIEW x AS SELECT * FROM t, plain', 'CREATE MATERIALIZED VIEW x AS SELECT * FROM t, plain', 'TRUNCATE t, plain']) expect(ways(sql), sql).toBe('MIG080');
    expect(ways('SELECT * FROM t, plain', moved, inTransaction({ isolation: 'serializable' }))).toBe('MIG080');
  });

  test('touches are the keys of the migrated tables', () => {
    expect(routed('INSERT INTO audited SELECT * FROM t_view', followed)).toMatchObject({ touches: ['public.t'] });
    expect(routed('SELECT * FROM t, plain', followed)).toMatchObject({ touches: ['public.t'] });
  });

  test('labels', () => {
    expect(routed('INSERT INTO t VALUES (1)', followed)).toMatchObject({ label: 'DUAL_WRITE' });
    expect(routed('INSERT INTO t VALUES (1)', snapshotWith(sidesByState.SYNCHRONIZING))).toMatchObject({ label: 'QUEUED' });
    expect(routed('SELECT * FROM t', snapshotWith(sidesByState.SYNCHRONIZING))).toMatchObject({ label: 'REMOTE' });
    expect(routed('INSERT INTO t VALUES (1)')).toMatchObject({ label: 'LOCAL', writes: true });
  });
});

describe('barriers and pinned transactions', () => {
  const quiescing = snapshotWith(sidesByState.quiescing);
  const route = (): Route => routed('UPDATE t SET v = 1', followed, inTransaction());

  test('what it has touched it may finish with; what it begins to touch it waits for', () => {
    expect(admitRoute(route(), quiescing, { touched: new Set(['public.t']), holdsLocks: false }, true)).toEqual(route());
    expect(admitRoute(route(), quiescing, { touched: new Set(), holdsLocks: false }, true)).toEqual({ type: 'park', touches: ['public.t'] });
    expect(admitRoute(route(), followed, { touched: new Set(), holdsLocks: false }, true)).toEqual(route());
  });

  test('holders of locks pass while the lease is valid and the barrier is open', () => {
    const holder = { touched: new Set<string>(), holdsLocks: true };
    expect(admitRoute(route(), quiescing, holder, true)).toEqual(route());
    expect(admitRoute(route(), quiescing, holder, false).type).toBe('park');
    expect(admitRoute(route(), snapshotWith({ ...sidesByState.quiescing, closed: true } as typeof sidesByState.quiescing), holder, true).type).toBe('park');
  });
});

describe('a table of a source that PostgreSQL clients do not reach', () => {
  const at = (sides: Parameters<typeof snapshotWith>[0]): RoutingSnapshot => {
    const snapshot = snapshotWith(sides);
    return { ...snapshot, tables: { ...snapshot.tables, 'public.t': { ...tableRoute('t', sides), door: 'mysql' } } };
  };

  test('is refused while only the source has it, alone and beside others', () => {
    for (const sql of ['SELECT * FROM t', 'INSERT INTO t VALUES (1)', 'SELECT * FROM t JOIN plain USING (id)', 'SELECT * FROM t JOIN moved USING (id)', 'INSERT INTO moved SELECT * FROM t', 'TRUNCATE t', 'ALTER TABLE t ADD c int']) {
      expect([sql, word(sql, at(sidesByState.SYNCHRONIZING))]).toEqual([sql, 'MIG082']);
    }
  });

  test('is read from local once it may be, waits for nothing, and is not written', () => {
    const asyncCopy = at(sidesByState['DUAL_WRITE (async)']);
    expect(word('SELECT * FROM t', asyncCopy)).toBe('local');
    expect(word('SELECT * FROM t JOIN moved USING (id)', asyncCopy)).toBe('local');
    expect(word('SELECT * FROM t', asyncCopy, inTransaction({ isolation: 'repeatable read' }))).toBe('local');
    expect(word('SELECT * FROM t', asyncCopy, { ...autocommit, leaseValid: false })).toBe('MIG082');
    for (const sql of ['UPDATE t SET v = 1', 'SELECT * FROM t FOR UPDATE', 'INSERT INTO moved SELECT * FROM t FOR UPDATE']) expect([sql, word(sql, asyncCopy)]).toEqual([sql, 'MIG082']);
  });

  test('is local\'s after the cutover like any other', () => {
    for (const sql of ['SELECT * FROM t', 'UPDATE t SET v = 1']) expect([sql, word(sql, at(sidesByState.LOCAL_ONLY))]).toEqual([sql, word(sql, moved)]);
    // Its types and collations are on local only: its rows are not brought to the source.
    expect(word('SELECT * FROM t JOIN plain USING (id)', at(sidesByState.LOCAL_ONLY))).toBe('hybrid local');
  });

  const reachable: SessionContext = { ...autocommit, mysql: 'reachable' };
  const inBlock = (transaction: Parameters<typeof inTransaction>[0]): SessionContext => ({ ...inTransaction(transaction), mysql: 'reachable' });

  test('is reached by translation with a login at the MySQL server, and its rows are brought to where others are', () => {
    const there = at(sidesByState.SYNCHRONIZING);
    const expected: Readonly<Record<string, string>> = {
      'SELECT * FROM t': 'mysql', 'INSERT INTO t VALUES (1)': 'mysql', 'SELECT * FROM t FOR UPDATE': 'mysql', 'SELECT * FROM t JOIN plain USING (id)': 'hybrid local', 'SELECT * FROM t JOIN moved USING (id)': 'hybrid local',
      'INSERT INTO moved SELECT * FROM t': 'hybrid local', 'INSERT INTO plain SELECT * FROM t': 'hybrid source', 'INSERT INTO t SELECT * FROM moved': 'MIG080', 'TRUNCATE t': 'mysql', 'ALTER TABLE t ADD c int': 'MIG082', "SELECT nextval('t_id_seq') FROM t": 'MIG082',
    };
    for (const [sql, found] of Object.entries(expected)) expect([sql, word(sql, there, reachable)]).toEqual([sql, found]);
  });

  test('is read there by who has seen it there, or keeps one snapshot', () => {
    const asyncCopy = at(sidesByState['DUAL_WRITE (async)']);
    expect(word('SELECT * FROM t', asyncCopy, reachable)).toBe('local');
    expect(word('SELECT * FROM t', asyncCopy, { ...reachable, mysql: 'seen' })).toBe('mysql');
    expect(word('SELECT * FROM t', asyncCopy, inBlock({ isolation: 'repeatable read' }))).toBe('mysql');
    expect(word('SELECT * FROM t', asyncCopy, { ...reachable, leaseValid: false })).toBe('mysql');
  });

  test('is written in a block that has written on local where the MySQL server decides, and beside nothing else', () => {
    const there: RoutingSnapshot = { ...at(sidesByState.SYNCHRONIZING), twoPhase: { sides: ['source', 'local'], mark: 'causeway_a_', mysqlMark: 'causeway_am_' } };
    const plainly: RoutingSnapshot = { ...there, twoPhase: { sides: ['source', 'local'], mark: 'causeway_a_' } };
    expect(word('UPDATE t SET v = 1', there, inBlock({ wroteOn: 'local' }))).toBe('mysql');
    expect(word('UPDATE moved SET v = 1', there, inBlock({ mysql: 'wrote' }))).toBe('local');
    expect(word('INSERT INTO moved SELECT * FROM t', there, inBlock({ mysql: 'wrote' }))).toBe('hybrid local');
    for (const [sql, transaction] of [
      ['UPDATE t SET v = 1', { wroteOn: 'source' }], ['UPDATE t SET v = 1', { wroteOn: 'both' }], ['UPDATE plain SET v = 1', { mysql: 'wrote' }], ['UPDATE plain SET v = 1', { mysql: 'wrote', wroteOn: 'local' }],
      ['UPDATE moved SET v = 1', { mysql: 'wrote', mayHaveWrittenOnSource: true }], ['UPDATE moved SET v = 1', { mysql: 'wrote', wroteOn: 'source' }],
    ] as const) expect([sql, transaction, word(sql, there, inBlock(transaction))]).toEqual([sql, transaction, 'MIG081']);
    expect(word('UPDATE t SET v = 1', plainly, inBlock({ wroteOn: 'local' }))).toBe('MIG081');
    expect(word('UPDATE moved SET v = 1', plainly, inBlock({ mysql: 'wrote' }))).toBe('MIG081');
  });

  test('is not written in a block that has written elsewhere, nor the other way round, nor read beside others in a SERIALIZABLE one', () => {
    const there = at(sidesByState.SYNCHRONIZING);
    expect(word('UPDATE t SET v = 1', there, inBlock({ wroteOn: 'local' }))).toBe('MIG081');
    expect(word('UPDATE t SET v = 1', there, inBlock({ wroteOn: 'source' }))).toBe('MIG081');
    expect(word('SELECT * FROM t', there, inBlock({ wroteOn: 'local' }))).toBe('mysql');
    expect(word('UPDATE moved SET v = 1', there, inBlock({ mysql: 'wrote' }))).toBe('MIG081');
    expect(word('UPDATE plain SET v = 1', there, inBlock({ mysql: 'wrote' }))).toBe('MIG081');
    expect(word('SELECT * FROM moved', there, inBlock({ mysql: 'wrote' }))).toBe('local');
    expect(word('SELECT * FROM t', there, inBlock({ isolation: 'serializable', usedLegs: { source: true, local: false } }))).toBe('MIG080');
    expect(word('SELECT * FROM plain', there, inBlock({ isolation: 'serializable', mysql: 'used' }))).toBe('MIG080');
  });
});

test('EXPLAIN ROUTE tells the decision, the tables, and why', () => {
  expect(explanationLines(explainRoute(facts('SELECT * FROM t JOIN plain USING (id)'), followed, autocommit))).toEqual([
    'Route: REMOTE', '  runs on the source', '  read public.plain (not migrated): source; only the source has it', '  read public.t (DUAL_WRITE): source or local; the source is the authority and local follows it',
  ]);
  expect(explanationLines(explainRoute(facts('INSERT INTO audited VALUES (1)'), followed, autocommit))).toContain('  reached public.t (DUAL_WRITE): source; written by a trigger, a rule or a foreign-key action');
});

test('search paths', () => {
  expect(searchPathOf('"$user", public', 'ann')).toEqual(['ann', 'public']);
  expect(searchPathOf('""', 'ann')).toEqual(['']);
  expect(searchPathOf('', 'ann')).toEqual([]);
  expect(searchPathOf('pg_temp, "A b", X', 'ann')).toEqual(['A b', 'x']);
  expect(searchPathOf('"open', 'ann')).toBeUndefined();
});
