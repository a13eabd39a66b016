/** What the corpus cannot show of the translation of MySQL's dialect: how texts are split and classified, what modes change, values of both protocols, places of refusals. */
import { describe, expect, test } from 'vitest';
import { classifyMysql, splitMysqlText } from '../../../grammar/dialect/postgres/classify-mysql.ts';
import type { MysqlColumnFacts, MysqlFacts, MysqlForm, MysqlParameter, MysqlTextMode, PgForm } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { mysqlValue, pgValue } from '../../../grammar/dialect/postgres/mysql-value.ts';
import { translateMysql } from '../../../grammar/dialect/postgres/translate-mysql.ts';

const mode: MysqlTextMode = { sqlMode: new Set(['STRICT_TRANS_TABLES']), server: { flavour: 'mysql', version: 90700 } };
const withMode = (...words: readonly string[]): MysqlTextMode => ({ ...mode, sqlMode: new Set(['STRICT_TRANS_TABLES', ...words]) });
const split = (text: string, of: MysqlTextMode = mode): readonly (readonly [string, number])[] => splitMysqlText(text, of).map((part) => [part.text, part.offset] as const);
const names = (text: string): readonly string[] | undefined => classifyMysql(text, mode)?.relations.map(({ database, name, written }) => `${database === undefined ? '' : `${database}.`}${name}${written ? '!' : ''}`);

describe('several statements', () => {
  test('end at semicolons outside of strings, names and comments', () => {
    expect(split("SELECT ';'; SELECT `a;b` -- ;\n; /* ; */ SELECT 3;")).toEqual([["SELECT ';'", 0], ['SELECT `a;b` -- ;\n', 12], ['/* ; */ SELECT 3', 32]]);
    expect(split(' ; ;')).toEqual([]);
  });
  test('a backslash hides a quote, unless the mode says otherwise', () => {
    expect(split("SELECT 'a\\'; b'")).toHaveLength(1);
    expect(split("SELECT 'a\\'; SELECT 2", withMode('NO_BACKSLASH_ESCAPES'))).toEqual([["SELECT 'a\\'", 0], ['SELECT 2', 13]]);
  });
  test('versioned comments stay whole', () => {
    expect(split('/*!40000 SET a = 1 */; SELECT 2')).toEqual([['/*!40000 SET a = 1 */', 0], ['SELECT 2', 23]]);
  });
  test('the body of a routine is one with its statement', () => {
    expect(split('SELECT 1; CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END')).toHaveLength(2);
  });
});

describe('classification', () => {
  test.each([
    ['SELECT 1', 'read'], ['(SELECT 1) UNION SELECT 2', 'read'], ['insert into t values (1)', 'write'], ['REPLACE t SET a = 1', 'write'], ['TRUNCATE t', 'write'], ['BEGIN', 'begin'], ['START TRANSACTION READ ONLY', 'begin'],
    ['COMMIT AND CHAIN', 'commit'], ['ROLLBACK WORK', 'rollback'], ['ROLLBACK TO a', 'rollback to'], ['SAVEPOINT a', 'savepoint'], ['RELEASE SAVEPOINT a', 'release'], ['SET NAMES utf8mb4', 'set'], ['SHOW TABLES', 'show'], ['USE shop', 'use'],
    ['LOCK TABLES t READ', 'lock'], ['CALL p(1)', 'call'], ['DO SLEEP(1)', 'read'],
  ])('%s is %s', (text, kind) => expect(classifyMysql(text, mode)?.kind).toBe(kind));

  test.each(['CREATE TABLE t (a int)', 'EXPLAIN SELECT 1', 'SELECT FROM', 'SELECT MATCH (a) AGAINST (1) FROM t', "SELECT 'open", 'SELECT 1; SELECT 2'])('%s is not understood', (text) => expect(classifyMysql(text, mode)).toBeUndefined());

  test('every table is named, wherever it stands', () => {
    expect(names('SELECT (SELECT MAX(a) FROM x) FROM shop.y JOIN (SELECT * FROM z) d WHERE b IN (SELECT 1 FROM v) UNION SELECT 1 FROM w ORDER BY (SELECT 1 FROM u)')?.toSorted()).toEqual(['shop.y', 'u', 'v', 'w', 'x', 'z']);
    expect(names('WITH c AS (SELECT * FROM t) SELECT * FROM c JOIN shop.c')).toEqual(['t', 'shop.c']);
    expect(names('WITH t AS (SELECT * FROM t) SELECT * FROM t')).toEqual(['t']);
    expect(names('INSERT INTO a SELECT * FROM b ON DUPLICATE KEY UPDATE x = (SELECT 1 FROM c)')?.toSorted()).toEqual(['a!', 'b', 'c']);
    expect(names('UPDATE a JOIN b SET a.x = (SELECT 1 FROM c)')?.toSorted()).toEqual(['a!', 'b!', 'c']);
    expect(names('DELETE a FROM a JOIN b WHERE x IN (SELECT 1 FROM c)')?.toSorted()).toEqual(['a!', 'b!', 'c']);
    expect(names('SET @a = (SELECT 1 FROM t)')).toEqual(['t']);
    expect(names('LOCK TABLES a WRITE, b AS c READ')).toEqual(['a!', 'b']);
  });
  test('a locking read writes', () => expect(names('SELECT * FROM a WHERE x IN (SELECT 1 FROM b) FOR UPDATE')?.includes('a!')).toBe(true));
  test('functions, variables and parameters', () => {
    expect(classifyMysql('SELECT now(), f(?), db.g(@a, ?)', mode)).toMatchObject({ functions: ['NOW', 'F', 'db.g'], readsVariables: true, parameters: 2 });
  });
});

const column = (name: string, type: string, localType: string, more: Partial<MysqlColumnFacts> = {}): MysqlColumnFacts => ({
  name, mysqlName: name, type: { name: type, length: type === 'varchar' ? 20 : undefined, scale: undefined, unsigned: false, zerofill: false, labels: [] }, localType, isLocalEnum: false, charset: null, collation: null, padsBlanks: false, localCollation: undefined,
  nullable: true, hasDefault: true, autoIncrement: false, generated: false, onUpdateNow: false, isJsonText: false, invisible: false, exact: true, ...more,
});
const general: Partial<MysqlColumnFacts> = { charset: 'utf8mb4', collation: 'utf8mb4_general_ci', padsBlanks: true, localCollation: { schema: 'mysql', name: 'ai_ci', deterministic: false } };
const facts: MysqlFacts = {
  table: (database, name) => (name === 't' ? { schema: 'shop', name: 't', mysqlDatabase: database, mysqlName: 't', columns: [column('id', 'int', 'integer', { nullable: false }), column('name', 'varchar', 'character varying(20)', general), column('born', 'date', 'date', { exact: false }), column('seen', 'timestamp', 'timestamp with time zone')], primaryKey: ['id'], uniqueKeys: [['id']], hasOtherUniqueKeys: false, isReferenced: true } : undefined),
  database: 'shop', mode, timeZone: 'UTC', charset: 'utf8mb4', collation: 'utf8mb4_general_ci', foundRows: false, divPrecision: 4, groupConcatMaxLength: 1024, localVersion: 180000,
};
const translated = (text: string, other: Partial<MysqlFacts> = {}): string => {
  const plan = translateMysql(text, { ...facts, ...other });
  return plan.type === 'refused' ? `refused: ${plan.construct} at ${plan.place}` : plan.steps.map((step) => step.text).join('; ');
};

describe('what a session changes', () => {
  test('modes', () => {
    expect(translated('SELECT "id" FROM t', { mode: withMode('ANSI_QUOTES') })).toContain('"t"."id"');
    expect(translated('SELECT "id" FROM t')).toContain("'id'::text");
    expect(translated("SELECT name || 'a' FROM t", { mode: withMode('PIPES_AS_CONCAT') })).toContain("\"t\".\"name\" || 'a'");
    expect(translated("SELECT 'a\\'", { mode: withMode('NO_BACKSLASH_ESCAPES') })).toContain("E'a\\\\'");
    for (const word of ['PAD_CHAR_TO_FULL_LENGTH', 'EMPTY_STRING_IS_NULL', 'ORACLE', 'REAL_AS_FLOAT']) expect(translated('SELECT name FROM t', { mode: withMode(word) })).toBe(`refused: sql_mode ${word} at 0`);
    expect(translated("INSERT INTO t (id) VALUES (1)", { mode: { ...mode, sqlMode: new Set() } })).toBe('refused: INSERT without strict mode at 0');
  });
  test('rows found are counted where the client asked for it', () => {
    for (const foundRows of [false, true]) expect(translated('UPDATE t SET id = 1', { foundRows })).toContain('SELECT count(*), count(*) FILTER (WHERE c)');
    expect(translated('UPDATE t SET id = 1', { localVersion: 170000 })).toContain('WHERE ROW(');
    expect(translated('UPDATE t SET id = 1', { foundRows: true, localVersion: 170000 })).toBe('UPDATE "shop"."t" AS "t" SET "id" = 1');
  });
  test('names of months and days', () => {
    for (const value of ['DAYNAME(seen)', 'MONTHNAME(seen)', "DATE_FORMAT(seen, '%W')"]) {
      expect(translated(`SELECT ${value} FROM t`, { timeNames: 'de_DE' })).toMatch(/lc_time_names de_DE/);
      expect(translated(`SELECT ${value} FROM t`, { timeNames: 'en_GB' })).toContain('to_char');
    }
    expect(translated("SELECT DATE_FORMAT(seen, '%Y') FROM t", { timeNames: 'de_DE' })).toContain('to_char');
  });
  test('an older local is asked for less', () => {
    expect(translated("SELECT id FROM t WHERE name LIKE 'a'", { localVersion: 170000 })).toMatch(/^refused: LIKE on a local before PostgreSQL 18/);
    expect(translated('SELECT UPPER(name) FROM t', { localVersion: 160000 })).toMatch(/^refused: UPPER\(\) on a local before PostgreSQL 17/);
  });
  test('the zone of TIMESTAMP', () => {
    expect(translated('SELECT seen FROM t', { timeZone: '+02:00' })).toContain("AT TIME ZONE INTERVAL '+02:00'");
    expect(translated("SELECT id FROM t WHERE seen > '2024-01-01'", { timeZone: 'Europe/Berlin' })).toContain("AT TIME ZONE 'Europe/Berlin'");
    // CET is an abbreviation to local, without a summer; SYSTEM is what the server's machine says.
    for (const timeZone of ['SYSTEM', 'CET', 'posix/Europe/Berlin', 'Nowhere/Land']) for (const value of ['seen', 'NOW()', 'CURDATE()', 'HOUR(seen)', "UNIX_TIMESTAMP('2024-01-31')", 'FROM_UNIXTIME(id)']) expect(translated(`SELECT ${value} FROM t`, { timeZone })).toMatch(/^refused: time zone /);
    expect(translated('SELECT id, UTC_TIMESTAMP() FROM t', { timeZone: 'SYSTEM' })).toContain('SELECT');
  });
  test('a column whose values a policy changes is shown, and nothing else', () => {
    expect(translated('SELECT born FROM t')).toContain('"t"."born"');
    expect(translated("SELECT id FROM t WHERE born > '2024-01-01'")).toMatch(/^refused: .*DATE/);
  });
  test('a refusal has its place', () => {
    expect(translated('SELECT id, SLEEP(1) FROM t')).toBe('refused: SLEEP() at 11');
    expect(translated('SELECT id FROM nowhere')).toBe('refused: table nowhere at 15');
    expect(translated('SELECT id FROM t WHERE')).toBe('refused: syntax at 22');
    expect(translated(`SELECT ${'('.repeat(500)}1${')'.repeat(500)}`)).toMatch(/^refused: statement nested too deeply/);
    expect(translated('TRUNCATE t')).toBe('refused: TRUNCATE of a table that foreign keys point at at 9');
    expect(translated('REPLACE INTO t (id) VALUES (1)')).toMatch(/^refused: REPLACE in a table that foreign keys point at/);
  });
});

describe('values', () => {
  const shown = (form: MysqlForm, text: string): string => mysqlValue({ form })?.(text) ?? text;
  test.each<readonly [MysqlForm, string, string]>([
    [{ kind: 'boolean' }, 't', '1'], [{ kind: 'double' }, '1e+100', '1e100'], [{ kind: 'double' }, '1e-05', '0.00001'], [{ kind: 'double' }, '123456789012345', '123456789012345'], [{ kind: 'double' }, '1e+15', '1e15'], [{ kind: 'float' }, '1.6777216e+07', '16777200'],
    [{ kind: 'date' }, '-infinity', '0000-00-00'], [{ kind: 'datetime', fraction: 3 }, '2024-01-31 10:20:30.5', '2024-01-31 10:20:30.500'], [{ kind: 'datetime', fraction: 0 }, '-infinity', '0000-00-00 00:00:00'], [{ kind: 'datetime', fraction: 2 }, '2024-01-31 10:20:30', '2024-01-31 10:20:30.00'],
    [{ kind: 'time', fraction: 0 }, '838:59:59', '838:59:59'], [{ kind: 'time', fraction: 1 }, '-1 days -02:03:04.5', '-26:03:04.5'], [{ kind: 'year' }, '0', '0000'], [{ kind: 'zerofill', width: 5 }, '42', '00042'], [{ kind: 'bytes' }, '\\x00ff', '\0ÿ'], [{ kind: 'bit', bits: 10 }, '1000000001', '\x02\x01'],
    [{ kind: 'set', labels: ['a', 'b c'] }, '{a,"b c"}', 'a,b c'],
  ])('%j of %s', (form, text, expected) => expect(shown(form, text)).toBe(expected));

  const bound = (form: PgForm, kind: MysqlParameter['kind'], value: string | null): unknown => {
    const made = pgValue(form)({ kind, value });
    return made.type === 'value' ? made.text : made.type === 'error' ? made.number : made.construct;
  };
  test.each<readonly [PgForm, MysqlParameter['kind'], string | null, unknown]>([
    [{ kind: 'integer' }, 'text', ' 5', '5'], [{ kind: 'integer' }, 'double', '5', '5'], [{ kind: 'integer' }, 'text', 'five', 'parameter as an integer'], [{ kind: 'integer' }, 'double', '1.5', 'parameter as an integer'], [{ kind: 'integer', max: '127' }, 'integer', '128', 1264], [{ kind: 'integer' }, 'text', null, null],
    [{ kind: 'year' }, 'text', '0', 'parameter as a YEAR'], [{ kind: 'year' }, 'integer', '0', '0'], [{ kind: 'decimal' }, 'decimal', '12345678901234567890.12', '12345678901234567890.12'], [{ kind: 'text', maxLength: 2 }, 'text', 'abc', 1406], [{ kind: 'text', maxLength: 2 }, 'text', 'ab  ', 'ab  '], [{ kind: 'text', charset: 'latin1' }, 'text', '😀', 1366], [{ kind: 'text', unpadded: true }, 'text', 'a ', 'blanks at the end of a unique key'],
    [{ kind: 'text', pattern: '|' }, 'text', 'a|%\\', 'a\\%\\\\'], [{ kind: 'boolean' }, 'integer', '1', 't'], [{ kind: 'boolean' }, 'integer', '2', 'another number than 0 and 1 in a TINYINT(1)'], [{ kind: 'date' }, 'text', '2024-02-30', 'parameter as a date'],
    [{ kind: 'datetime', fraction: 6, timestamp: true }, 'datetime', '2050-01-01 00:00:00', 'TIMESTAMP at the end of its range'], [{ kind: 'enum', labels: ['a', 'B'] }, 'text', 'b', 'B'], [{ kind: 'enum', labels: ['a'], assigned: true }, 'text', 'z', 1265], [{ kind: 'set', labels: ['a', 'b'] }, 'text', 'b,a', '{"a","b"}'],
    [{ kind: 'bytes', fixed: 3 }, 'bytes', '\u00ff', '\\xff0000'], [{ kind: 'json' }, 'text', '{"a": 1}', '{"a": 1}'], [{ kind: 'json' }, 'text', '{', 3140], [{ kind: 'bit', bits: 4 }, 'integer', '5', '0101'],
  ])('%j of %s %s', (form, kind, value, expected) => expect(bound(form, kind, value)).toBe(expected));
});
