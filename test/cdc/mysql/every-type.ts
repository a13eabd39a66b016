/**
 * A table with a column of every type that the three servers have, extreme values in its first rows and as many ordinary ones as asked for; and
 * what its values are on local.
 */
import type { TestMysql } from '../../support/mysql-servers.ts';

export interface TypedColumn {
  readonly name: string;
  readonly type: string;
  /** SQL literals. */
  readonly extremes: readonly string[];
  /** SQL over `n`. */
  readonly ordinary: string;
  /** SQL for what a reader that is none of ours would print, of `v`. Default: the value. */
  readonly shown?: string;
  /** From that to local's text. Default: as it is. */
  readonly expected?: (shown: string) => string | null;
}

/** Local has no NUL: what a policy may make of it. */
const withoutNul = (text: string): string => text.replaceAll('\0', '');
const zeroDate = (text: string): string => (/^0000-00-00/.test(text) ? '-infinity' : /^0000/.test(text) ? `0001${text.slice(4)} BC` : text);
const trimmed = (text: string): string => (text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text);
const moment = (suffix: string) => (text: string): string | null => {
  const date = zeroDate(trimmed(text));
  return date === '-infinity' || suffix === '' ? date : date.endsWith(' BC') ? `${date.slice(0, -3)}${suffix} BC` : `${date}${suffix}`;
};
const hex = { shown: 'HEX(v)', expected: (text: string): string => `\\x${text.toLowerCase()}` };
const characters = { expected: withoutNul };
const boolean: Partial<TypedColumn> = { expected: (text) => (text === '0' ? 'false' : 'true') };
const float = { shown: 'v * 1e0', expected: (text: string): string => `${Number(text)}` };
const bits = (length: number) => ({ shown: `LPAD(BIN(v + 0), ${length}, '0')` });
const integer = (type: string, low: string, high: string): TypedColumn => ({
  name: type.replaceAll(/\W+/g, '_'), type, extremes: [low, high, '0', '1'], ordinary: `n % 100 + ${low === '0' ? 0 : -50}`,
});

export const everyType: readonly TypedColumn[] = [
  integer('tinyint', '-128', '127'), integer('tinyint unsigned', '0', '255'),
  integer('smallint', '-32768', '32767'), integer('smallint unsigned', '0', '65535'),
  integer('mediumint', '-8388608', '8388607'), integer('mediumint unsigned', '0', '16777215'),
  integer('int', '-2147483648', '2147483647'), integer('int unsigned', '0', '4294967295'),
  integer('bigint', '-9223372036854775808', '9223372036854775807'), integer('bigint unsigned', '0', '18446744073709551615'),
  { name: 'filled', type: 'int(8) unsigned zerofill', extremes: ['0', '42', '4294967295'], ordinary: 'n', expected: (text) => `${Number(text)}` },
  { name: 'flag', type: 'tinyint(1)', extremes: ['0', '1'], ordinary: 'n % 2', ...boolean },
  { name: 'decimal_long', type: 'decimal(65,30)', extremes: [`-${'9'.repeat(35)}.${'9'.repeat(30)}`, `${'9'.repeat(35)}.${'9'.repeat(30)}`, '0', `0.${'0'.repeat(29)}1`], ordinary: 'n * 1.000000000000000000000000000001' },
  { name: 'decimal_short', type: 'decimal(12,2)', extremes: ['-9999999999.99', '0.10', '-0.01'], ordinary: 'n / 100' },
  { name: 'single', type: 'float', extremes: ['3.4028234e38', '-3.4028234e38', '1.17549435e-38', '0.1', '16777217', '1e-7', '0'], ordinary: 'n / 7', ...float },
  { name: 'double_', type: 'double', extremes: ['1.7976931348623157e308', '-1.7976931348623157e308', '2.2250738585072014e-308', '-1.2345678901234567e-200', '4.9e-324', '-1.0000000116860974e-7', '0.1', '1e15', '123456789012345680', '1e-15', '1.5e-16', '0.00001', '1e22', '0'], ordinary: 'n / 3', ...float },
  { name: 'day', type: 'date', extremes: ["'1000-01-01'", "'9999-12-31'", "'0000-00-00'", "'0001-01-01'", "'0000-03-04'"], ordinary: "'2000-01-01' + INTERVAL n % 9999 DAY", expected: zeroDate },
  { name: 'moment', type: 'datetime', extremes: ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'"], ordinary: "'2000-01-01' + INTERVAL n SECOND", expected: moment('') },
  { name: 'moment_exact', type: 'datetime(6)', extremes: ["'1000-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'0000-00-00 00:00:00'", "'2024-02-29 10:20:30.500'"], ordinary: "'2000-01-01' + INTERVAL n * 1000003 MICROSECOND", expected: moment('') },
  { name: 'instant', type: 'timestamp NULL', extremes: ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'"], ordinary: "'2000-01-01' + INTERVAL n SECOND", expected: moment('+00') },
  { name: 'instant_exact', type: 'timestamp(3) NULL', extremes: ["'1970-01-01 00:00:01.001'", "'2038-01-19 03:14:07.990'"], ordinary: "'2000-01-01' + INTERVAL n * 1000 MICROSECOND", expected: moment('+00') },
  { name: 'length', type: 'time', extremes: ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"], ordinary: 'SEC_TO_TIME(n)' },
  { name: 'length_exact', type: 'time(6)', extremes: ["'-838:59:59.000000'", "'-00:00:00.000001'", "'12:34:56.78'"], ordinary: "ADDTIME('00:00:00', CONCAT('00:00:00.', LPAD(n, 6, '0')))", expected: trimmed },
  { name: 'year_', type: 'year', extremes: ["'1901'", "'2155'", "'0000'"], ordinary: '1970 + n % 100', expected: (text) => `${Number(text)}` },
  { name: 'fixed', type: 'char(10) CHARACTER SET utf8mb4', extremes: ["''", "'a  '", "'日本'", "_utf8mb4 0xf09f9880"], ordinary: "CONCAT('c', n)", ...characters },
  { name: 'varying', type: 'varchar(200) CHARACTER SET utf8mb4', extremes: ["''", "'  '", "'tab\\t new\\n return\\r slash\\\\ quote\\'s \"'", "'\\\\N'", "_utf8mb4 0x61f09f988062", 'CHAR(97, 0, 98 USING utf8mb4)', 'CHAR(31, 110, 31 USING utf8mb4)', "REPEAT('x', 200)", "'{\"a\": null}'"], ordinary: "CONCAT('some words of row ', n)", ...characters },
  { name: 'western', type: 'varchar(50) CHARACTER SET latin1', extremes: ["_latin1 0xe4f6fcdf80", "''"], ordinary: "CONCAT('w', n)", ...characters },
  { name: 'japanese', type: 'varchar(50) CHARACTER SET sjis', extremes: ["'日本語'", "_sjis 0x835c"], ordinary: "CONCAT('j', n)", ...characters },
  { name: 'wide', type: 'varchar(50) CHARACTER SET utf16', extremes: ["'wide ß'", "_utf8mb4 0xf09f9880"], ordinary: "CONCAT('u', n)", ...characters },
  { name: 'tiny_text', type: 'tinytext CHARACTER SET utf8mb4', extremes: ["''", "REPEAT('é', 120)"], ordinary: "CONCAT('t', n)", ...characters },
  { name: 'plain_text', type: 'text CHARACTER SET utf8mb4', extremes: ["REPEAT('long\\\\ ', 9000)", "''"], ordinary: "REPEAT('p', n % 50)", ...characters },
  { name: 'medium_text', type: 'mediumtext CHARACTER SET cp1250', extremes: ["'Příliš žluťoučký'", "REPEAT('m', 100000)"], ordinary: "CONCAT('m', n)", ...characters },
  { name: 'long_text', type: 'longtext CHARACTER SET utf8mb4', extremes: ["REPEAT('\\n', 70000)", "'{\"a\": [1, 2.50, null]}'"], ordinary: "CONCAT('l', n)", ...characters },
  { name: 'fixed_bytes', type: 'binary(8)', extremes: ["''", '0x00ff00ff00ff00ff', "'a'"], ordinary: 'n', ...hex },
  { name: 'bytes', type: 'varbinary(100)', extremes: ["''", '0x00', '0x5c4e0a09', "REPEAT('b', 100)"], ordinary: "REPEAT(CONCAT('b', n), 3)", ...hex },
  { name: 'tiny_blob', type: 'tinyblob', extremes: ["''", '0xff'], ordinary: 'n', ...hex },
  { name: 'plain_blob', type: 'blob', extremes: ["REPEAT(0x00ff, 30000)", "''"], ordinary: 'UNHEX(LPAD(HEX(n * 7919), 16, 0))', ...hex },
  { name: 'long_blob', type: 'longblob', extremes: ["REPEAT(0x5c, 200000)", "''"], ordinary: 'n', ...hex },
  { name: 'bit_one', type: 'bit(1)', extremes: ["b'0'", "b'1'"], ordinary: 'n % 2', shown: 'v + 0', ...boolean },
  { name: 'bit_some', type: 'bit(13)', extremes: ["b'0'", "b'1111111111111'", "b'1000000000001'"], ordinary: 'n % 8192', ...bits(13) },
  { name: 'bit_most', type: 'bit(64)', extremes: ["b'0'", '18446744073709551615', '9223372036854775808'], ordinary: 'n', ...bits(64) },
  { name: 'choice', type: "enum('small','it''s','b,c','größe') CHARACTER SET utf8mb4", extremes: ["'it''s'", "'b,c'", "'größe'"], ordinary: '1 + n % 4' },
  { name: 'choices', type: "set('a','b','c d','é') CHARACTER SET utf8mb4", extremes: ["''", "'a,b,c d,é'", "'é'"], ordinary: 'n % 16', expected: (text) => (text === '' ? '{}' : `{${text.split(',').map((label) => (/\W/.test(label) && label !== 'é' ? `"${label}"` : label)).join(',')}}`) },
  { name: 'place', type: 'geometry', extremes: ["ST_GeomFromText('POINT(1.5 -2.5)', 0)", "ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')"], ordinary: "ST_GeomFromText(CONCAT('POINT(', n, ' 1)'))", ...hex },
];

/** What local cannot hold as it is becomes the nearest that it can. */
export const everyTypeMap = '* ON zero_date CLAMP ON nul_character CLAMP';

/** Row 0 is all NULL, rows below it hold the extremes, those above it are ordinary. */
export async function fillEveryType(server: TestMysql, database: string, rows: number): Promise<void> {
  const length = Math.max(...everyType.map(({ extremes }) => extremes.length));
  const extremes = Array.from({ length }, (_, at) => `(${[-1 - at, ...everyType.map((column) => column.extremes[at % column.extremes.length])].join(', ')})`);
  const digit = '(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)';
  const places = ['a', 'b', 'c', 'd', 'e', 'f'];
  const numbers = `SELECT 1 + ${places.map((place, power) => `${place}.d * ${10 ** power}`).join(' + ')} AS n FROM ${places.map((place) => `${digit} ${place}`).join(', ')} HAVING n <= ${rows}`;
  await server.sql(`SET NAMES utf8mb4; SET sql_mode = '', time_zone = '+00:00';
    CREATE TABLE every_type (id bigint PRIMARY KEY, ${everyType.map(({ name, type }) => `\`${name}\` ${type}`).join(', ')}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
    INSERT INTO every_type (id) VALUES (0);
    INSERT INTO every_type VALUES ${extremes.join(', ')};
    INSERT INTO every_type SELECT n, ${everyType.map(({ ordinary }) => ordinary).join(', ')} FROM (${numbers}) numbers;
    ANALYZE TABLE every_type`, database);
}

export interface TypedRead {
  /** Rows as arrays, of either side; UTC. */
  readonly source: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
  readonly local: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
  /** Of the table on local. */
  readonly schema?: string;
}

/** Compares all rows of the key from `from` to `to`, value by value; how many values, and the first that differ. */
export async function compareEveryType({ source, local, schema = 'public' }: TypedRead, from: number, to: number): Promise<{ readonly compared: number; readonly different: readonly string[] }> {
  const shown = everyType.map((column) => (column.shown ?? 'v').replace(/\bv\b/, `\`${column.name}\``));
  const printed = [{ name: 'id', type: 'bigint' }, ...everyType].map(({ name, type }) => (isFloat(type) ? `"${name}"::float8::text` : `"${name}"::text`));
  const range = `FROM ${schema === 'public' ? '' : `${schema}.`}every_type WHERE id >= ${from} AND id < ${to} ORDER BY every_type.id`;
  const there = await source(`SELECT id, ${shown.join(', ')} ${range}`);
  const here = await local(`SELECT ${printed.join(', ')} ${range}`);
  const different = here.length === there.length ? [] : [`${here.length} rows instead of ${there.length}`];
  for (const [at, row] of there.entries()) {
    for (const [index, column] of everyType.entries()) {
      const value = row[index + 1] ?? null;
      const expected = value === null ? null : column.expected === undefined ? value : column.expected(value);
      const text = here[at]?.[index + 1] ?? null;
      const found = text !== null && isFloat(column.type) ? `${Number(text)}` : text;
      if (found !== expected) different.push(`${row[0]} ${column.name}: ${found} instead of ${expected}`);
    }
  }
  return { compared: there.length * everyType.length, different: different.slice(0, 10) };
}

const isFloat = (type: string): boolean => type === 'float' || type === 'double';
