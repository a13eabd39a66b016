/** What the facts of a session and a server change in a translation; and that no statement at all makes the emitter throw. */
import { beforeAll, describe, expect, test } from 'vitest';
import { bindStep } from '../../../grammar/dialect/mysql/bind-step.ts';
import { parseMysqlVersion, serverCapabilities } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import { translateStatement } from '../../../grammar/dialect/mysql/translate-statement.ts';
import type { DialectFacts, Translation } from '../../../grammar/dialect/mysql/translation.ts';
import { WasmParser } from '../../../grammar/sql/wasm-parser.ts';
import { readCorpus } from '../sql/read-corpus.ts';
import { statementOf } from './dialect-target.ts';
import { dialectFacts } from './dialect-tables.ts';

let parser: WasmParser;

beforeAll(async () => {
  parser = await WasmParser.load();
});

function factsOf(version: string, more: Partial<DialectFacts> = {}): DialectFacts {
  const parsed = parseMysqlVersion(version);
  if (parsed === undefined) throw new Error(version);
  return { tables: dialectFacts(), searchPath: ['public'], timeZone: 'UTC', codePointOrder: true, capabilities: serverCapabilities(parsed), ...more };
}

function translated(sql: string, more: Partial<DialectFacts> = {}, version = '9.7.0'): Translation {
  return translateStatement(statementOf(parser, sql), factsOf(version, more));
}

const refusal = (sql: string, more: Partial<DialectFacts>): string | undefined => {
  const translation = translated(sql, more);
  return translation.type === 'refused' ? translation.construct : undefined;
};

describe('a local database that orders text by a language', () => {
  const more = { codePointOrder: false };
  test.each(['SELECT name FROM items ORDER BY name', "SELECT id FROM items WHERE name < 'b'", "SELECT id FROM items WHERE name BETWEEN 'a' AND 'b'", 'SELECT max(name) FROM items', 'SELECT row_number() OVER (ORDER BY name) FROM items', "SELECT id FROM items WHERE (id, name) > (1, 'a')", 'SELECT greatest(name, code::text) FROM items'])('%s is refused', (sql) => {
    expect(refusal(sql, more)).toBe('order of text under the collation of the local database');
  });
  test.each(["SELECT id FROM items WHERE name = 'b' AND code <> 'c'", "SELECT name, count(*) FROM items WHERE name LIKE 'a%' GROUP BY name", 'SELECT DISTINCT name FROM items', 'SELECT id FROM items ORDER BY id'])('%s is not', (sql) => {
    expect(refusal(sql, more)).toBeUndefined();
  });
});

describe('columns that local compares by a collation of its own, and enums', () => {
  const tables = dialectFacts().map((table) => ({ ...table, columns: table.columns.map((column) => {
    if (table.name === 'kinds' && column.name === 'e') return { ...column, type: 'kind', labels: ['small', 'Big', 'ä'] };
    return column.charset === undefined ? column : { ...column, comparison: column.name === 'code' ? 'own' as const : 'padded' as const };
  }) }));
  const textOf = (sql: string): string => {
    const translation = translated(sql, { tables });
    return translation.type === 'refused' ? `refused: ${translation.construct}` : translation.steps.map(({ text }) => text.replace(/\0\d+\0/g, '?')).join('; ');
  };
  test.each([
    ["SELECT id FROM items WHERE name = 'a'", "(r1.`name` = 'a' AND CONCAT(r1.`name`, '|') = CONCAT('a', '|'))"], ['SELECT id FROM items WHERE name <> $1', '(NOT (r1.`name` = ? AND'], ["SELECT id FROM people WHERE name IN ('a', 'b')", "OR (r1.`name` = 'b'"],
    ["SELECT id FROM items WHERE code = 'a'", 'COLLATE utf8mb4_bin = '], ['SELECT id FROM items WHERE name IS NULL', '`name` IS NULL'], ["UPDATE items SET name = 'x' WHERE name = 'y'", "SET r1.`name` = 'x'"],
    ["SELECT id FROM kinds WHERE e = 'Big'", "(r1.`e` = 'Big')"], ["INSERT INTO kinds (id, e) VALUES (1, 'small')", "'small'"], ['UPDATE kinds SET e = $1', '?'],
  ])('%s is translated', (sql, part) => {
    expect(textOf(sql)).toContain(part);
  });
  test.each([
    'SELECT id FROM items ORDER BY name', "SELECT id FROM items WHERE name < 'b'", 'SELECT name FROM items GROUP BY name', 'SELECT DISTINCT name FROM items', 'SELECT upper(name) FROM items', "SELECT id FROM items WHERE name LIKE 'a%'", 'SELECT i.id FROM items i JOIN people p USING (name)',
    "SELECT id FROM items WHERE 'a' IN (SELECT name FROM people)", "SELECT id FROM items WHERE (SELECT name FROM people WHERE id = 1) = 'a'", 'SELECT name FROM items UNION SELECT name FROM people', "SELECT id FROM items WHERE code <> 'a'", "SELECT id FROM items WHERE name IS DISTINCT FROM 'a'", 'SELECT max(name) FROM items',
    "SELECT id FROM items WHERE name = ANY ('{a}')", "SELECT id FROM kinds WHERE e = '1'", "INSERT INTO kinds (id, e) VALUES (1, 'SMALL')", "SELECT id FROM kinds WHERE e > 'Big'",
  ])('%s is refused', (sql) => {
    expect(textOf(sql)).toMatch(/^refused: /);
  });
});

describe('a session in another time zone', () => {
  const more = { timeZone: 'Europe/Berlin' };
  test.each(['SELECT seen::date FROM items', 'SELECT seen::text FROM items', "SELECT date_trunc('day', seen) FROM items", 'SELECT extract(hour from seen) FROM items', "SELECT seen + interval '1 day' FROM items", 'SELECT id FROM items WHERE seen > changed', "SELECT to_char(seen, 'HH24') FROM items", 'SELECT changed::timestamptz FROM items', "SELECT id FROM items WHERE seen > '2024-01-01 00:00'", "SELECT id FROM items WHERE seen = ANY ($1)", 'SELECT seen FROM items'])('%s is refused', (sql) => {
    expect(refusal(sql, more)).toMatch(/time zone Europe\/Berlin/);
  });
  test.each(["SELECT id FROM items WHERE seen > '2024-01-01 00:00+01'", 'SELECT id FROM items WHERE seen > $1', 'SELECT extract(epoch from seen) FROM items', "SELECT changed + interval '1 day' FROM items", "SELECT seen AT TIME ZONE 'UTC' FROM items"])('%s is not', (sql) => {
    expect(refusal(sql, more)).toBeUndefined();
  });
  test('has a date where its name is known on both sides of it', () => {
    expect(refusal('SELECT current_date', more)).toBeUndefined();
    // West of Greenwich to PostgreSQL, east of it to all others.
    for (const timeZone of ['+01:00', '<-03>+03', 'EST5EDT4', 'Nowhere/Land']) expect(refusal('SELECT current_date', { timeZone })).toBe(`CURRENT_DATE in time zone ${timeZone}`);
  });
});

describe('columns', () => {
  const inexact = dialectFacts().map((table) => ({ ...table, columns: table.columns.map((column) => (column.name === 'created' ? { ...column, exact: false } : column)) }));
  test('whose values are not the same on both sides can be shown, and nothing else', () => {
    expect(refusal('SELECT created FROM items', { tables: inexact })).toBeUndefined();
    expect(refusal('SELECT id FROM items WHERE created IS NULL', { tables: inexact })).toBe('column created of type date in an expression');
    expect(refusal("UPDATE items SET created = '2024-01-01'", { tables: inexact })).toBe('value for column created of type date');
  });
});

describe('parameters', () => {
  const bound = (sql: string, parameters: readonly (string | null)[], more: Partial<DialectFacts> = {}): unknown => {
    const translation = translated(sql, more);
    const [step] = translation.type === 'plan' ? translation.steps : [];
    if (step === undefined) throw new Error('no plan');
    return bindStep(step, { parameters, rows: [], transactionTime: '2024-05-06 07:08:09.123456', statementTime: '2024-05-06 07:08:09.123456', transactionDate: '2024-05-06' });
  };
  test.each([
    ['SELECT id FROM items WHERE qty = $1', 'seven'], ['SELECT id FROM items WHERE qty = $1', '2147483648'], ['SELECT id FROM items WHERE created = $1', 'infinity'], ['SELECT id FROM items WHERE created = $1', '31.12.2024'], ['SELECT id FROM items WHERE price = $1', 'NaN'],
    ['SELECT id FROM items WHERE name LIKE $1', 'a\\'], ['SELECT id FROM items LIMIT $1', '-1'], ['SELECT id FROM items WHERE qty = ANY ($1)', '{{1},{2}}'], ['SELECT id FROM items WHERE active = $1', '2'], ['SELECT id FROM items WHERE qty = $1 OR qty = $2', '1'],
  ])('%s by %s is refused', (sql, value) => {
    expect(bound(sql, [value])).toMatchObject({ type: 'refused' });
  });
  test('of a moment need a zone where that of the session is not UTC', () => {
    const sql = 'SELECT id FROM items WHERE seen > $1';
    const more = { timeZone: 'Europe/Berlin' };
    expect(bound(sql, ['2024-01-01 00:00:00'], more)).toMatchObject({ type: 'refused' });
    expect(bound(sql, ['2024-01-01 00:00:00+01'], more)).toMatchObject({ type: 'bound', values: ['2023-12-31 23:00:00'] });
    expect(bound(sql, ['2024-01-01 00:00:00'])).toMatchObject({ type: 'bound' });
  });
  test('stand where they are used, as often as they are', () => {
    expect(bound('SELECT id FROM items WHERE qty = $2 OR small = $1 OR qty = $2', ['1', '2'])).toMatchObject({ type: 'bound', values: ['2', '1', '2'] });
    expect(bound('SELECT id FROM items WHERE name = ANY ($1)', ['{a,NULL,"b,c"}'])).toMatchObject({ type: 'bound', values: ['a', 'b,c', 'a', 'b,c'] });
  });
});

test('a refusal tells the place', () => {
  expect(translated("SELECT id FROM items WHERE name ~ 'a'")).toEqual({ type: 'refused', construct: 'regular expression', place: 32 });
});

test('no statement makes it throw', () => {
  const statements = readCorpus().flatMap(({ sql }) => {
    const outcome = parser.parse(sql);
    return outcome.type === 'tree' ? [sql] : [];
  });
  expect(statements.length).toBeGreaterThan(100);
  for (const version of ['9.7.0', '10.11.9-MariaDB', '5.6.24']) for (const sql of statements) expect(translated(sql, {}, version).type, sql).toMatch(/plan|refused/);
});
