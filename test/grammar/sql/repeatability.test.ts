/** Property: facts say when an answer may be another one although the rows are the same, and never of a plain read. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadSqlParser } from '../../../grammar/sql/parser.ts';
import type { SqlParser } from '../../../grammar/sql/parser.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});
afterAll(() => parser[Symbol.asyncDispose]());

function flagsOf(sql: string): string[] {
  const facts = parser.parseFacts(sql);
  if (facts === 'too_large_for_sync' || facts.type !== 'sql') throw new Error(`${sql}: ${JSON.stringify(facts)}`);
  const { unrepeatable, orderDependent, ordered } = facts.statements[0]?.flags ?? {};
  return Object.entries({ unrepeatable, orderDependent, ordered }).filter(([, raised]) => raised).map(([name]) => name);
}

test.each([
  ['SELECT a.id, upper(name), count(*) FROM a JOIN b USING (id) WHERE x = $1 GROUP BY 1, 2'],
  ['SELECT DISTINCT name, age(a, b), rank() OVER (ORDER BY name) FROM a'],
  ["SELECT array_agg(name ORDER BY name), string_agg(x, ',' ORDER BY y), sum(n) OVER () FROM a"],
  ['WITH c AS (SELECT id FROM a) SELECT (SELECT max(x) FROM b WHERE b.id = c.id) FROM c UNION SELECT 1'],
  ["SELECT date_trunc('day', at), x::numeric(10,2), '2026-01-01'::date FROM a"],
])('nothing: %s', (sql) => expect(flagsOf(sql)).toEqual([]));

test.each([
  ['SELECT * FROM a WHERE at > now() - interval \'1 day\''], ['SELECT CURRENT_TIMESTAMP FROM a'], ['SELECT current_user, id FROM a'], ['SELECT random() FROM a'], ['SELECT ctid, * FROM a'],
  ['SELECT a.tableoid FROM a'], ["SELECT 'a'::regclass FROM a"], ['SELECT * FROM a TABLESAMPLE system (10)'], ['SELECT pg_catalog.pg_backend_pid() FROM a'], ["SELECT current_setting('x') FROM a"], ['SELECT age(born) FROM a'],
  ['SELECT * FROM (SELECT id FROM a WHERE at < clock_timestamp()) s'], ['SELECT pg_sleep(1) FROM a'], ['SELECT gen_random_uuid() FROM a'], ['SELECT id FROM a UNION SELECT (SELECT x FROM b WHERE d = CURRENT_DATE)'],
])('unrepeatable: %s', (sql) => expect(flagsOf(sql)).toEqual(['unrepeatable']));

test.each([
  ['SELECT * FROM a LIMIT 1'], ['SELECT * FROM a OFFSET 3'], ['SELECT DISTINCT ON (x) x, y FROM a'], ['SELECT * FROM a WHERE id IN (SELECT id FROM b LIMIT 5)'], ['SELECT array_agg(id) FROM a'], ['SELECT json_agg(a) FROM a'],
  ['SELECT row_number() OVER (ORDER BY x) FROM a'], ['WITH c AS (SELECT id FROM a FETCH FIRST 2 ROWS ONLY) SELECT * FROM c'], ['(SELECT id FROM a LIMIT 1) UNION ALL SELECT id FROM b'], ["SELECT string_agg(x, ',') FROM a"],
])('order-dependent: %s', (sql) => expect(flagsOf(sql)).toEqual(['orderDependent']));

test('ordered is of the outside only', () => {
  expect(flagsOf('SELECT * FROM a ORDER BY id')).toEqual(['ordered']);
  expect(flagsOf('SELECT id FROM a UNION SELECT id FROM b ORDER BY 1')).toEqual(['ordered']);
  expect(flagsOf('SELECT * FROM (SELECT * FROM a ORDER BY id) s')).toEqual([]);
  expect(flagsOf('SELECT * FROM a ORDER BY id LIMIT 3')).toEqual(['orderDependent', 'ordered']);
});
