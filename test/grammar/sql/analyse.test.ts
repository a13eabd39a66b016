/** Property: for every kind of statement, the facts name exactly the relations, sequences and functions that it touches. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';
import type { SqlParser } from '../../../grammar/sql/parser.ts';
import type { StatementFacts, StatementKind } from '../../../grammar/sql/statement-facts.ts';
import { readCorpus, summarise } from './read-corpus.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});
afterAll(() => parser[Symbol.asyncDispose]());

function one(sql: string): StatementFacts {
  const facts = parser.parseFacts(sql);
  if (facts === 'too_large_for_sync' || facts.type !== 'sql') throw new Error(`${sql}: ${JSON.stringify(facts)}`);
  expect(facts.statements).toHaveLength(1);
  const [statement] = facts.statements;
  if (statement === undefined) throw new Error('no statement');
  return statement;
}

const everyKind: Readonly<Record<StatementKind, true>> = {
  select: true, insert: true, update: true, delete: true, merge: true, copy_from: true, copy_to: true, truncate: true, lock: true, call: true, do: true,
  begin: true, commit: true, rollback: true, savepoint: true, release: true, rollback_to: true,
  prepare_transaction: true, commit_prepared: true, rollback_prepared: true, set_transaction: true,
  set: true, reset: true, show: true, discard: true, prepare: true, execute: true, deallocate: true,
  declare_cursor: true, fetch: true, close_cursor: true, listen: true, unlisten: true, notify: true,
  explain: true, ddl: true, create_temp: true, maintenance: true, utility: true, empty: true,
};

describe('corpus', () => {
  test.each(readCorpus().map((line) => [line.line, line.sql, line] as const))('%i: %s', (_line, sql, { expected }) => {
    expect(summarise(one(sql))).toEqual(expected);
  });

  test('covers every kind', () => {
    expect(new Set(readCorpus().map((line) => line.expected.kind))).toEqual(new Set(Object.keys(everyKind)));
  });
});

describe('details', () => {
  test('transaction modes', () => {
    expect(one('BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE').transaction).toEqual({ isolation: 'serializable', readOnly: true, deferrable: true, chain: false });
    expect(one('SET TRANSACTION READ WRITE').transaction).toEqual({ isolation: undefined, readOnly: false, deferrable: undefined, chain: false });
    expect(one('COMMIT AND CHAIN').transaction?.chain).toBe(true);
    expect(one('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ').transaction?.isolation).toBe('repeatable read');
  });

  test('settings', () => {
    expect(one('SET search_path TO "$user", S2, "Odd Name"').setting).toEqual({ name: 'search_path', value: '"$user", s2, "Odd Name"', local: false });
    expect(one("SET search_path = ''").setting).toEqual({ name: 'search_path', value: '""', local: false });
    expect(one("SET LOCAL application_name = 'My App'").setting).toEqual({ name: 'application_name', value: 'My App', local: true });
    expect(one('SET statement_timeout TO 100').setting?.value).toBe('100');
    expect(one('SET Work_Mem TO DEFAULT')).toMatchObject({ kind: 'reset', setting: { name: 'work_mem', value: undefined } });
    expect(one("SELECT set_config('Search_Path', 'a, b', true)").setting).toEqual({ name: 'search_path', value: 'a, b', local: true });
    expect(one("SELECT set_config($1, 'x', false)").setting).toBeUndefined();
    expect(one("SELECT set_config('a.b', 'x', false), set_config('a.c', 'x', false)").setting).toBeUndefined();
    expect(one('SHOW TIME ZONE').setting?.name).toBe('timezone');
  });

  test('names of objects', () => {
    expect(one('PREPARE "Q q" AS SELECT 1').objectName).toBe('Q q');
    expect(one('ROLLBACK TO sp').objectName).toBe('sp');
    expect(one('FETCH NEXT FROM c').objectName).toBe('c');
    expect(one('DISCARD TEMPORARY').objectName).toBe('temp');
    expect(one('CREATE TEMP TABLE tt (a int)').objectName).toBe('tt');
    expect(one('ALTER TABLE a RENAME TO b').objectName).toBe('b');
    expect(one("COMMIT PREPARED 'g'").objectName).toBe('g');
  });

  test('commands', () => {
    expect(one('DROP MATERIALIZED VIEW x').command).toBe('DROP MATERIALIZED VIEW');
    expect(one('ALTER INDEX i RENAME TO j').command).toBe('ALTER INDEX');
    expect(one('CREATE TABLE x (a int)').command).toBe('CREATE TABLE');
    expect(one('ANALYZE').command).toBe('ANALYZE');
  });

  test('system relations only', () => {
    expect(one('SELECT * FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace').flags.systemOnly).toBe(true);
    expect(one('SELECT 1').flags.systemOnly).toBe(true);
    expect(one('SELECT * FROM pg_class, a').flags.systemOnly).toBe(false);
    expect(one("SELECT nextval('s')").flags.systemOnly).toBe(false);
    expect(one('CREATE TEMP TABLE x AS SELECT 1').flags.systemOnly).toBe(false);
  });

  test('the statement inside', () => {
    expect(one('EXPLAIN ANALYZE INSERT INTO a VALUES (1)').inner).toMatchObject({ kind: 'insert', inner: undefined });
    expect(one('DECLARE c CURSOR FOR SELECT 1').inner?.kind).toBe('select');
    expect(one('CREATE TEMP TABLE x AS EXECUTE q').inner?.kind).toBe('execute');
  });
});

describe('texts', () => {
  test('several statements', () => {
    const facts = parser.parseFacts('BEGIN; UPDATE a SET v = 1; SELECT * FROM b; COMMIT');
    expect(facts).toMatchObject({ type: 'sql', statements: [{ kind: 'begin' }, { kind: 'update' }, { kind: 'select' }, { kind: 'commit' }] });
  });

  test.each(['', '  \n', '-- x', '/* y */', ';;'])('nothing to do: %j', (sql) => {
    expect(one(sql).kind).toBe('empty');
  });

  test('a NUL is refused, never cut at', () => {
    expect(parser.parseFacts('SELECT 1\0; DELETE FROM a')).toMatchObject({ type: 'invalid' });
  });

  test('syntax errors', () => {
    expect(parser.parseFacts('SELEC 1')).toEqual({ type: 'invalid', message: 'syntax error at or near "SELEC"' });
  });

  test.each([
    'START MIGRATION FOR TABLE a FROM s', 'show migration status', 'CUTOVER TABLE a', '/* x */ ROLLBACK MIGRATION FOR TABLE a', 'ABORT MIGRATION FOR TABLE a', 'EXPLAIN ROUTE SELECT 1',
    'EXPLAIN CUTOVER TABLE a', 'CREATE SERVER x FOREIGN DATA WRAPPER postgres', 'CREATE MIGRATION SOURCE s FROM SERVER x', 'SHOW MIGRATION WHY FOR TABLE "a"',
  ])('the migration language: %s', (sql) => {
    expect(parser.parseFacts(sql)).toEqual({ type: 'migration' });
  });

  test.each([['drop user mapping for x server Y', ['y'], 'sql'], ['DROP SERVER a, "B" CASCADE', ['a', 'B'], 'sql'], ['ALTER SERVER s', ['s'], 'invalid'], ['CREATE USER MAPPING FOR a', [], 'invalid']])(
    'the gateway\'s or the database\'s, by the name of the server: %s', (sql, names, type) => {
      expect(parser.parseFacts(sql)).toMatchObject({ type: 'migration', ofServers: { names, otherwise: { type } } });
    });

  test.each(['ROLLBACK', 'START TRANSACTION', 'EXPLAIN SELECT 1', 'CREATE USER x', 'SHOW search_path', 'CREATE SERVER x FOREIGN DATA WRAPPER postgres_fdw', 'SELECT 1 AS migration', 'DROP USER x'])(
    'not the migration language: %s', (sql) => {
      expect(parser.parseFacts(sql)).toMatchObject({ type: 'sql' });
    });
});
