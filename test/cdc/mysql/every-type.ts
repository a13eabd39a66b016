/**
 * A table with a column of every type that the three servers have, extreme values in its first rows and as many ordinary ones as asked for; its
 * definition on PostgreSQL, and how its values become local's.
 */
import type { TestMysql } from '../../support/mysql-servers.ts';
import { asItIs } from '../../../cdc/mysql/source-column.ts';
import type { MapColumn, ToLocal } from '../../../cdc/mysql/source-column.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';

export interface TypedColumn {
  readonly name: string;
  readonly type: string;
  readonly local: string;
  /** SQL literals. */
  readonly extremes: readonly string[];
  /** SQL over `n`. */
  readonly ordinary: string;
  /** Default: `asItIs`. */
  readonly toLocal?: ToLocal;
  readonly keepsOrdinary?: boolean;
  /** SQL for what a reader that is none of ours would print, of `v`. Default: the value. */
  readonly shown?: string;
  /** From that to local's text. Default: as it is. */
  readonly expected?: (shown: string) => string | null;
}

/** Local has no NUL: what a policy may make of it. */
const withoutNul: ToLocal = (text) => text.replaceAll('\0', '');
const zeroDate: ToLocal = (text) => (/^0000-00-00/.test(text) ? '-infinity' : /^0000/.test(text) ? `0001${text.slice(4)} BC` : text);
const trimmed = (text: string): string => (text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text);
const moment = (suffix: string) => (text: string): string | null => {
  const date = zeroDate(trimmed(text)) ?? '';
  return date === '-infinity' || suffix === '' ? date : date.endsWith(' BC') ? `${date.slice(0, -3)}${suffix} BC` : `${date}${suffix}`;
};
const hex = { shown: 'HEX(v)', expected: (text: string): string => `\\x${text.toLowerCase()}` };
const characters = { toLocal: withoutNul, keepsOrdinary: true, expected: withoutNul };
const boolean: Partial<TypedColumn> = { toLocal: (text) => (text === '0' ? 'f' : 't'), expected: (text) => (text === '0' ? 'false' : 'true') };
const float = { shown: 'v * 1e0', expected: (text: string): string => `${Number(text)}` };
const bits = (length: number) => ({ shown: `LPAD(BIN(v + 0), ${length}, '0')` });
const list: ToLocal = (text) => (text === '' ? '{}' : `{${text.split(',').map((label) => `"${label}"`).join(',')}}`);
const integer = (type: string, local: string, low: string, high: string): TypedColumn => ({
  name: type.replaceAll(/\W+/g, '_'), type, local, extremes: [low, high, '0', '1'], ordinary: `n % 100 + ${low === '0' ? 0 : -50}`,
});

export const everyType: readonly TypedColumn[] = [
  integer('tinyint', 'smallint', '-128', '127'), integer('tinyint unsigned', 'smallint', '0', '255'),
  integer('smallint', 'smallint', '-32768', '32767'), integer('smallint unsigned', 'integer', '0', '65535'),
  integer('mediumint', 'integer', '-8388608', '8388607'), integer('mediumint unsigned', 'integer', '0', '16777215'),
  integer('int', 'integer', '-2147483648', '2147483647'), integer('int unsigned', 'bigint', '0', '4294967295'),
  integer('bigint', 'bigint', '-9223372036854775808', '9223372036854775807'), integer('bigint unsigned', 'numeric(20,0)', '0', '18446744073709551615'),
  { name: 'filled', type: 'int(8) unsigned zerofill', local: 'bigint', extremes: ['0', '42', '4294967295'], ordinary: 'n', expected: (text) => `${Number(text)}` },
  { name: 'flag', type: 'tinyint(1)', local: 'boolean', extremes: ['0', '1'], ordinary: 'n % 2', ...boolean },
  { name: 'decimal_long', type: 'decimal(65,30)', local: 'numeric(65,30)', extremes: [`-${'9'.repeat(35)}.${'9'.repeat(30)}`, `${'9'.repeat(35)}.${'9'.repeat(30)}`, '0', `0.${'0'.repeat(29)}1`], ordinary: 'n * 1.000000000000000000000000000001' },
  { name: 'decimal_short', type: 'decimal(12,2)', local: 'numeric(12,2)', extremes: ['-9999999999.99', '0.10', '-0.01'], ordinary: 'n / 100' },
  { name: 'single', type: 'float', local: 'real', extremes: ['3.4028234e38', '-3.4028234e38', '1.17549435e-38', '0.1', '16777217', '1e-7', '0'], ordinary: 'n / 7', ...float },
  { name: 'double_', type: 'double', local: 'double precision', extremes: ['1.7976931348623157e308', '-1.7976931348623157e308', '2.2250738585072014e-308', '-1.2345678901234567e-200', '4.9e-324', '-1.0000000116860974e-7', '0.1', '1e15', '123456789012345680', '1e-15', '1.5e-16', '0.00001', '1e22', '0'], ordinary: 'n / 3', ...float },
  { name: 'day', type: 'date', local: 'date', extremes: ["'1000-01-01'", "'9999-12-31'", "'0000-00-00'", "'0001-01-01'", "'0000-03-04'"], ordinary: "'2000-01-01' + INTERVAL n % 9999 DAY", toLocal: zeroDate, keepsOrdinary: true, expected: zeroDate },
  { name: 'moment', type: 'datetime', local: 'timestamp(0)', extremes: ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'"], ordinary: "'2000-01-01' + INTERVAL n SECOND", toLocal: zeroDate, keepsOrdinary: true, expected: moment('') },
  { name: 'moment_exact', type: 'datetime(6)', local: 'timestamp(6)', extremes: ["'1000-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'0000-00-00 00:00:00'", "'2024-02-29 10:20:30.500'"], ordinary: "'2000-01-01' + INTERVAL n * 1000003 MICROSECOND", toLocal: zeroDate, keepsOrdinary: true, expected: moment('') },
  { name: 'instant', type: 'timestamp NULL', local: 'timestamp(0) with time zone', extremes: ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'"], ordinary: "'2000-01-01' + INTERVAL n SECOND", toLocal: zeroDate, keepsOrdinary: true, expected: moment('+00') },
  { name: 'instant_exact', type: 'timestamp(3) NULL', local: 'timestamp(3) with time zone', extremes: ["'1970-01-01 00:00:01.001'", "'2038-01-19 03:14:07.990'"], ordinary: "'2000-01-01' + INTERVAL n * 1000 MICROSECOND", toLocal: zeroDate, keepsOrdinary: true, expected: moment('+00') },
  { name: 'length', type: 'time', local: 'interval', extremes: ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"], ordinary: 'SEC_TO_TIME(n)' },
  { name: 'length_exact', type: 'time(6)', local: 'interval', extremes: ["'-838:59:59.000000'", "'-00:00:00.000001'", "'12:34:56.78'"], ordinary: "ADDTIME('00:00:00', CONCAT('00:00:00.', LPAD(n, 6, '0')))", expected: trimmed },
  { name: 'year_', type: 'year', local: 'smallint', extremes: ["'1901'", "'2155'", "'0000'"], ordinary: '1970 + n % 100', expected: (text) => `${Number(text)}` },
  { name: 'fixed', type: 'char(10) CHARACTER SET utf8mb4', local: 'text', extremes: ["''", "'a  '", "'日本'", "_utf8mb4 0xf09f9880"], ordinary: "CONCAT('c', n)", ...characters },
  { name: 'varying', type: 'varchar(200) CHARACTER SET utf8mb4', local: 'text', extremes: ["''", "'  '", "'tab\\t new\\n return\\r slash\\\\ quote\\'s \"'", "'\\\\N'", "_utf8mb4 0x61f09f988062", 'CHAR(97, 0, 98 USING utf8mb4)', 'CHAR(31, 110, 31 USING utf8mb4)', "REPEAT('x', 200)", "'{\"a\": null}'"], ordinary: "CONCAT('some words of row ', n)", ...characters },
  { name: 'western', type: 'varchar(50) CHARACTER SET latin1', local: 'text', extremes: ["_latin1 0xe4f6fcdf80", "''"], ordinary: "CONCAT('w', n)", ...characters },
  { name: 'japanese', type: 'varchar(50) CHARACTER SET sjis', local: 'text', extremes: ["'日本語'", "_sjis 0x835c"], ordinary: "CONCAT('j', n)", ...characters },
  { name: 'wide', type: 'varchar(50) CHARACTER SET utf16', local: 'text', extremes: ["'wide ß'", "_utf8mb4 0xf09f9880"], ordinary: "CONCAT('u', n)", ...characters },
  { name: 'tiny_text', type: 'tinytext CHARACTER SET utf8mb4', local: 'text', extremes: ["''", "REPEAT('é', 120)"], ordinary: "CONCAT('t', n)", ...characters },
  { name: 'plain_text', type: 'text CHARACTER SET utf8mb4', local: 'text', extremes: ["REPEAT('long\\\\ ', 9000)", "''"], ordinary: "REPEAT('p', n % 50)", ...characters },
  { name: 'medium_text', type: 'mediumtext CHARACTER SET cp1250', local: 'text', extremes: ["'Příliš žluťoučký'", "REPEAT('m', 100000)"], ordinary: "CONCAT('m', n)", ...characters },
  { name: 'long_text', type: 'longtext CHARACTER SET utf8mb4', local: 'text', extremes: ["REPEAT('\\n', 70000)", "'{\"a\": [1, 2.50, null]}'"], ordinary: "CONCAT('l', n)", ...characters },
  { name: 'fixed_bytes', type: 'binary(8)', local: 'bytea', extremes: ["''", '0x00ff00ff00ff00ff', "'a'"], ordinary: 'n', ...hex },
  { name: 'bytes', type: 'varbinary(100)', local: 'bytea', extremes: ["''", '0x00', '0x5c4e0a09', "REPEAT('b', 100)"], ordinary: "REPEAT(CONCAT('b', n), 3)", ...hex },
  { name: 'tiny_blob', type: 'tinyblob', local: 'bytea', extremes: ["''", '0xff'], ordinary: 'n', ...hex },
  { name: 'plain_blob', type: 'blob', local: 'bytea', extremes: ["REPEAT(0x00ff, 30000)", "''"], ordinary: 'UNHEX(LPAD(HEX(n * 7919), 16, 0))', ...hex },
  { name: 'long_blob', type: 'longblob', local: 'bytea', extremes: ["REPEAT(0x5c, 200000)", "''"], ordinary: 'n', ...hex },
  { name: 'bit_one', type: 'bit(1)', local: 'boolean', extremes: ["b'0'", "b'1'"], ordinary: 'n % 2', shown: 'v + 0', ...boolean },
  { name: 'bit_some', type: 'bit(13)', local: 'bit(13)', extremes: ["b'0'", "b'1111111111111'", "b'1000000000001'"], ordinary: 'n % 8192', ...bits(13) },
  { name: 'bit_most', type: 'bit(64)', local: 'bit(64)', extremes: ["b'0'", '18446744073709551615', '9223372036854775808'], ordinary: 'n', ...bits(64) },
  { name: 'choice', type: "enum('small','it''s','b,c','größe') CHARACTER SET utf8mb4", local: 'text', extremes: ["'it''s'", "'b,c'", "'größe'"], ordinary: '1 + n % 4' },
  { name: 'choices', type: "set('a','b','c d','é') CHARACTER SET utf8mb4", local: 'text[]', extremes: ["''", "'a,b,c d,é'", "'é'"], ordinary: 'n % 16', toLocal: list, expected: (text) => (text === '' ? '{}' : `{${text.split(',').map((label) => (/\W/.test(label) && label !== 'é' ? `"${label}"` : label)).join(',')}}`) },
  { name: 'place', type: 'geometry', local: 'bytea', extremes: ["ST_GeomFromText('POINT(1.5 -2.5)', 0)", "ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')"], ordinary: "ST_GeomFromText(CONCAT('POINT(', n, ' 1)'))", ...hex },
];

export const columnsOfEveryType = [{ name: 'id', type: 'bigint', local: 'bigint' }, ...everyType];

export const mapEveryType: MapColumn = ({ name }) => {
  const column = everyType.find((each) => each.name === name);
  return { toLocal: column?.toLocal ?? asItIs, keepsOrdinary: column?.keepsOrdinary ?? false };
};

export function everyTypePlan(database: string, over: Partial<TablePlan> = {}): TablePlan {
  return {
    tableId: 'every_type', source: { schema: database, name: 'every_type' }, target: { schema: 'public', name: 'every_type' },
    columns: columnsOfEveryType.map(({ name, local }, index) => ({ name, type: local, typeOid: index + 1, attnum: index + 1, notNull: name === 'id', canonicalText: local === 'bigint', toastable: false })),
    key: ['id'], keyKind: 'primary', uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: false, definitionHash: 'every type', ...over,
  };
}

export const localDefinition = `CREATE TABLE public.every_type (${columnsOfEveryType.map(({ name, local }) => `"${name}" ${local}`).join(', ')})`;

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
