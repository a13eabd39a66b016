/**
 * Property: a random well-typed query has the same columns and rows here as in PostgreSQL, or is refused here by name. Where one of the
 * two meets a value that it must refuse (a division by zero, a number out of range) nothing is compared: which rows an expression is
 * evaluated for is the planner's choice.
 */
import * as fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCatalogQuery } from '../../catalog/query/catalog-query.ts';
import type { CatalogQuery } from '../../catalog/query/catalog-query.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { fillPostgres, fillSqlite } from './query-fixture.ts';
import type { TestCatalog } from './support.ts';
import { testCatalog, testClock } from './support.ts';

let server: TestPostgres;
let client: pg.Client;
let catalog: TestCatalog;
let query: CatalogQuery;

beforeAll(async () => {
  server = await startTestPostgres();
  client = await server.client();
  await fillPostgres(client);
  catalog = await testCatalog();
  fillSqlite(catalog.file);
  query = openCatalogQuery({ file: catalog.file, clock: testClock(Date.now()) });
});

afterAll(async () => {
  await query.close();
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

interface Expressions {
  readonly int: string;
  readonly num: string;
  readonly text: string;
  readonly bool: string;
  readonly time: string;
  readonly interval: string;
}

const depth = { maxDepth: 2, depthSize: 'small' as const };

const expressions = fc.letrec<Expressions>((tie) => {
  const format = (...parts: readonly (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
    fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((texts) => texts.join(''));
  const word = (...words: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...words);
  const comparison = word(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ', ' IS DISTINCT FROM ', ' IS NOT DISTINCT FROM ');
  const of = (name: keyof Expressions): fc.Arbitrary<string> => tie(name) as fc.Arbitrary<string>;
  const [int, num, text, bool, time, interval] = [of('int'), of('num'), of('text'), of('bool'), of('time'), of('interval')];
  const choice = (one: fc.Arbitrary<string>): readonly fc.Arbitrary<string>[] => [
    format('CASE WHEN ', bool, ' THEN ', one, ' ELSE ', one, ' END'), format('coalesce(', one, ', ', one, ')'), format('nullif(', one, ', ', one, ')'),
    format('greatest(', one, ', ', one, ')'), format('least(', one, ', ', one, ')'), format('(', one, ')'),
  ];
  return {
    int: fc.oneof(depth, word('cdc_lag_ms', '0', '1', '7', '-3', '250', 'NULL::int', '1000003'),
      ...choice(int), format('(', int, word(' + ', ' - ', ' * ', ' / ', ' % '), int, ')'), format('length(', text, ')'), format('abs(', int, ')'), format('(- ', int, ')'),
      format('position(', text, ' in ', text, ')'), format('(', num, ')::int'), format('(', bool, ')::int')),
    num: fc.oneof(depth, word('bulk_rows_total::numeric', '1.5', '0.10', '100.0', '-2.345', '3.0', 'bulk_rows_migrated * 1.0', '0.000123', '123456789012.5'),
      ...choice(num), format('(', num, word(' + ', ' - ', ' * ', ' / '), num, ')'), format('round(', num, ', ', word('0', '1', '3', '-2'), ')'), format('trunc(', num, ', 1)'),
      format('floor(', num, ')'), format('ceil(', num, ')'), format('(', int, ')::numeric'), format('EXTRACT(epoch FROM ', interval, ')'), format('EXTRACT(', word('hour', 'day', 'month', 'second', 'dow'), ' FROM ', time, ')')),
    text: fc.oneof(depth, word('source_table', 'state', 'last_error', 'source_server', "'x'", "''", "'Ä_%'", "'users'::text"),
      ...choice(text), format('(', text, ' || ', text, ')'), format(word('upper', 'lower', 'btrim'), '(', text, ')'), format('substr(', text, ', ', int, ')'),
      format('left(', text, ', ', word('2', '-1', '0'), ')'), format('right(', text, ', ', word('2', '-1', '0'), ')'), format('split_part(', text, ", '_', ", word('1', '2', '-1'), ')'),
      format('replace(', text, ', ', text, ", '*')"), format('(', int, ')::text'), format('(', num, ')::text'), format('(', bool, ')::text'), format('(', time, ')::text'), format('(', interval, ')::text'),
      format('concat(', text, ', ', int, ', ', bool, ')')),
    bool: fc.oneof(depth, word('true', 'false', 'cdc_lag_ms > 500', "state = 'ERROR'", 'last_error IS NULL', 'NULL::bool'),
      format('(', int, comparison, int, ')'), format('(', num, comparison, num, ')'), format('(', int, comparison, num, ')'), format('(', text, comparison, text, ')'), format('(', time, comparison, time, ')'),
      format('(', interval, comparison, interval, ')'), format('(', bool, word(' AND ', ' OR '), bool, ')'), format('(NOT ', bool, ')'), format('(', text, word(' LIKE ', ' ILIKE ', ' NOT LIKE '), word("'%s'", "'_r%'", "'%O%'", "''"), ')'),
      format('(', int, word(' IN (', ' NOT IN ('), int, ', ', int, '))'), format('(', num, word(' BETWEEN ', ' NOT BETWEEN '), num, ' AND ', int, ')'), format('(', text, word(' IS NULL', ' IS NOT NULL'), ')'),
      format('(', bool, word(' IS TRUE', ' IS NOT FALSE', ' IS UNKNOWN'), ')'), format('(', int, ' IN (SELECT cdc_lag_ms FROM SYS$MIGRATION_STATE WHERE ', bool, '))')),
    time: fc.oneof(depth, word('created_at', 'updated_at', 'state_changed_at', "timestamp '2026-03-01 12:00'", "timestamp '2026-01-31 00:00:00.5'", "'2026-12-31'::timestamp"),
      ...choice(time), format('(', time, word(' + ', ' - '), interval, ')'), format("date_trunc('", word('hour', 'day', 'week', 'month', 'quarter', 'year', 'minute'), "', ", time, ')')),
    interval: fc.oneof(depth, word("interval '1 hour'", "interval '36 hours 15 minutes'", "interval '-2 days 00:00:01.5'", "interval '1 mon 3 days'", "interval '1 year'"),
      format('(', time, ' - ', time, ')'), format('(', interval, word(' + ', ' - '), interval, ')'), format('(', interval, word(' * ', ' / '), word('2', '-1', '3', '0.5', '7'), ')'), format('(- ', interval, ')'), format('coalesce(', interval, ', ', interval, ')')),
  };
});

const value = fc.oneof(expressions.int, expressions.num, expressions.text, expressions.bool, expressions.time, expressions.interval);
const order = fc.tuple(value, fc.constantFrom('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST')).map(([key, direction]) => `coalesce(${key}, NULL)${direction}`);

const plain = fc.tuple(fc.array(value, { minLength: 1, maxLength: 4 }), expressions.bool, order, fc.constantFrom('', ' LIMIT 3', ' OFFSET 2', ' LIMIT 4 OFFSET 1'))
  .map(([list, where, key, limit]) => `SELECT ${list.join(', ')} FROM SYS$MIGRATION_STATE WHERE ${where} ORDER BY ${key}, table_id${limit}`);

const aggregate = fc.oneof(
  fc.constant('count(*)'), value.map((of) => `count(${of})`), expressions.text.map((of) => `count(DISTINCT ${of})`), expressions.num.map((of) => `count(DISTINCT ${of})`),
  fc.tuple(fc.constantFrom('sum', 'avg', 'min', 'max'), fc.oneof(expressions.int, expressions.num, expressions.interval)).map(([name, of]) => `${name}(${of})`),
  fc.tuple(fc.constantFrom('min', 'max'), fc.oneof(expressions.text, expressions.time)).map(([name, of]) => `${name}(${of})`),
  expressions.bool.map((of) => `bool_or(${of})`), expressions.text.map((of) => `string_agg(${of}, ';' ORDER BY table_id)`), expressions.bool.map((of) => `count(*) FILTER (WHERE ${of})`),
);
const grouped = fc.tuple(fc.oneof(expressions.text, expressions.bool, expressions.num, expressions.interval, expressions.time), fc.array(aggregate, { minLength: 1, maxLength: 3 }), expressions.bool)
  .map(([key, list, where]) => `SELECT ${list.join(', ')} FROM SYS$MIGRATION_STATE WHERE ${where} GROUP BY coalesce(${key}, NULL) ORDER BY min(table_id::text)`);

const rawText = { getTypeParser: () => (text: unknown) => text } as unknown as pg.CustomTypesConfig;
/** data_exception, and what the server says of numbers and texts that do not fit. */
const dataError = /^(22|0A000)/;

test('random queries', async () => {
  let compared = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(plain, grouped), async (sql) => {
      const wanted = await client.query({ text: sql, rowMode: 'array', types: rawText }).catch((error: unknown) => error as pg.DatabaseError);
      const got = await query.query(sql).catch((error: unknown) => error as Error);
      if (wanted instanceof Error || got instanceof Error) {
        refused += 1;
        const harmless = wanted instanceof Error ? dataError.test((wanted as pg.DatabaseError).code ?? '') : /division by zero|out of range|cannot be used|negative substring/.test(String(got));
        // An error of the grammar or of the types must be one in both.
        if (!harmless) expect([String(wanted), String(got)]).toEqual([expect.stringMatching(/^error/), expect.stringMatching(/^MigrationError/)]);
        return;
      }
      compared += 1;
      expect({ types: got.columns.map((column) => column.typeOid), rows: got.rows }).toEqual({ types: wanted.fields.map((field) => field.dataTypeID), rows: wanted.rows });
    }),
    { numRuns: Number(process.env['CAUSEWAY_TEST_RUNS'] ?? 600) },
  );
  console.log(`random queries: ${compared} compared, ${refused} refused by one of the two`);
  expect(compared).toBeGreaterThan(refused);
});
