/** Property: what a session on local reads out of texts, clocks and errors is what a MySQL server would. */
import { describe, expect, test } from 'vitest';
import type { MigratedColumn, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { textOf, withoutBinaryLiterals } from '../../../src/session/mysql-local/binary-literals.ts';
import { localError } from '../../../src/session/mysql-local/local-error.ts';
import { nowText } from '../../../src/session/mysql-local/plan-values.ts';
import { decodeText, encoderOf } from '../../../src/session/mysql-local/text-charset.ts';
import { transactionWord } from '../../../src/session/mysql-local/transaction-words.ts';

describe('bytes in texts', () => {
  const usual = { hasBackslashes: true, hasAnsiQuotes: false };
  const utf8 = (sqlMode: readonly string[] = []) => ({ clientCharset: 'utf8mb4', sqlMode: new Set(sqlMode) });

  test.each([
    ["SELECT _binary'a\\0b', 'plain', _BINARY 'it''s'", "SELECT x'610062', 'plain', x'69742773'"],
    ["SELECT '_binary ''x'' ', `_binary'` -- _binary'\n, 1", "SELECT '_binary ''x'' ', `_binary'` -- _binary'\n, 1"],
    ["SELECT '\xff\\'', \"\xfe\\\"\"", "SELECT x'ff27', x'fe22'"],
    ["SELECT '\\0%\\%'", "SELECT x'00255c25'"],
    ["SELECT my_binary'x'", "SELECT my_binary'x'"],
  ])('%s', (text, expected) => expect(withoutBinaryLiterals(text, usual)).toBe(expected));

  test('without backslashes, and with names in double quotes', () => {
    expect(withoutBinaryLiterals("SELECT _binary'a\\', \"\xff\"", { hasBackslashes: false, hasAnsiQuotes: true })).toBe("SELECT x'615c', \"\xff\"");
  });

  test('what is no text is undefined, what is one stays', () => {
    expect(textOf(Buffer.from("SELECT 'ä漢'"), utf8())).toBe("SELECT 'ä漢'");
    expect(textOf(Buffer.concat([Buffer.from("SELECT '"), Buffer.of(0xff), Buffer.from("'")]), utf8())).toBe("SELECT x'ff'");
    expect(textOf(Buffer.concat([Buffer.from('SELECT '), Buffer.of(0xff)]), utf8())).toBeUndefined();
    expect(textOf(Buffer.of(0x80, 0xe4), { ...utf8(), clientCharset: 'latin1' })).toBe('€ä');
    expect(decodeText(Buffer.of(0xe4), 'koi8r')).toBeUndefined();
    expect(encoderOf('latin1')?.('€ä漢\u0080')).toEqual(Buffer.of(0x80, 0xe4, 0x3f, 0x3f));
    expect(encoderOf('utf8mb3')?.('a😀').toString()).toBe('a?');
  });
});

test.each([
  ['COMMIT', 'commit'], ['/* x */ commit work', 'commit'], ['ROLLBACK', 'rollback'], ['rollback work to savepoint `a b`', 'rollback to'], ['SAVEPOINT a', 'savepoint'], ['RELEASE SAVEPOINT a', 'release'],
  ['BEGIN', 'begin'], ['START TRANSACTION READ ONLY', 'begin'], ['SET autocommit = 1', 'implicit commit'], ['SET NAMES utf8', 'other'], ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'isolation'],
  ['CREATE TABLE t (a int)', 'implicit commit'], ['CREATE TEMPORARY TABLE t (a int)', 'write'], ['LOCK TABLES t READ', 'lock'], ['/* x */ unlock table', 'unlock'], ['FLUSH TABLES', 'implicit commit'], ['SELECT 1', 'read'], ['(SELECT 1)', 'read'], ['WITH a AS (SELECT 1) DELETE FROM t', 'write'],
  ['INSERT INTO t VALUES (1)', 'write'], ['/*! UPDATE t SET a = 1 */', 'unknown'], ['shutdown', 'unknown'],
])('%s is a %s', (text, type) => expect(transactionWord(text).type).toBe(type));

test('now, in the zone of the session', () => {
  const micros = 1_709_164_799_123_456n;
  const slot = { kind: 'now', as: 'datetime', zone: 'session', fraction: 0 } as const;
  expect(nowText(slot, { micros, timeZone: 'UTC' })).toBe('2024-02-28 23:59:59');
  expect(nowText({ ...slot, fraction: 3 }, { micros, timeZone: '+05:30' })).toBe('2024-02-29 05:29:59.123');
  expect(nowText({ ...slot, as: 'date' }, { micros, timeZone: 'Europe/Berlin' })).toBe('2024-02-29');
  expect(nowText({ ...slot, as: 'time', zone: 'utc' }, { micros, timeZone: 'Europe/Berlin' })).toBe('23:59:59');
  expect(nowText({ ...slot, as: 'unix', fraction: 6 }, { micros, timeZone: '-03:00' })).toBe('1709164799.123456');
});

describe('errors', () => {
  const column = (name: string, type: string): MigratedColumn => ({
    name, position: 1, type, isLocalEnum: false, mysqlType: 'int', typeText: 'int', unsigned: false, zerofill: false, charset: null, collation: null, padsBlanks: false, nullable: true, mayBecomeNull: false,
    hasLocalDefault: false, autoIncrement: false, onUpdateNow: false, isJsonText: false, isInvisible: false, exact: true, policies: {},
  });
  const key = { mysqlName: 'of_item', localName: 'of_item', child: { database: 'shop', name: 'line' }, columns: ['item_id'], parent: { database: 'shop', name: 'item' }, parentColumns: ['id'], onUpdate: 'no action', onDelete: 'cascade' };
  const table: MigratedTable = {
    mysql: { database: 'shop', name: 'line' }, local: { schema: 'moved', name: 'line' }, server: { flavour: 'mysql', version: 80_036, text: '8.0.36' }, collation: null, hash: '', primaryKey: ['a'],
    columns: [column('a', 'integer'), column('b', 'character varying(5)'), column('n', 'smallint')], uniqueKeys: [{ mysqlName: 'by_ab', localName: 'line_by_ab', columns: ['a', 'b'] }], foreignKeys: [key], referencedBy: [],
  };
  const said = (fields: Readonly<Record<string, string>>, flavour: 'mysql' | 'mariadb' = 'mysql') =>
    localError(new Map(Object.entries({ s: 'moved', t: 'line', M: '', ...fields })), [table], { flavour, version: flavour === 'mysql' ? 80_036 : 101_106 });

  test.each([
    [{ C: '23505', n: 'line_by_ab', D: 'Key (a, b)=(1, x) already exists.' }, 1062, "Duplicate entry '1-x' for key 'line.by_ab'"],
    [{ C: '23503', n: 'of_item', D: 'Key (item_id)=(9) is not present in table "item".' }, 1452, 'Cannot add or update a child row: a foreign key constraint fails (`shop`.`line`, CONSTRAINT `of_item` FOREIGN KEY (`item_id`) REFERENCES `item` (`id`) ON DELETE CASCADE)'],
    [{ C: '23503', n: 'of_item', D: 'Key (id)=(9) is still referenced from table "line".' }, 1451, 'Cannot delete or update a parent row'],
    [{ C: '23502', c: 'b' }, 1048, "Column 'b' cannot be null"],
    [{ C: '23514', n: 'line_n_range' }, 1264, "Out of range value for column 'n' at row 1"],
    [{ C: '22001', M: 'value too long for type character varying(5)' }, 1406, "Data too long for column 'b' at row 1"],
    [{ C: '22003', M: 'smallint out of range' }, 1264, "Out of range value for column 'n' at row 1"],
    [{ C: '40P01' }, 1213, 'Deadlock found'], [{ C: '40001' }, 1213, 'Deadlock found'], [{ C: '55P03' }, 1205, 'Lock wait timeout exceeded'], [{ C: '57014' }, 1317, 'interrupted'],
    [{ C: '42501', M: 'permission denied for table line' }, 1142, 'permission denied for table line'], [{ C: 'XX000', M: 'odd' }, 1105, 'local: odd'], [{ C: '2201E' }, 3020, 'Invalid argument for logarithm'],
  ])('%o', (fields, code, message) => {
    const error = said(fields);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
  });

  test('a MariaDB says the key alone, and of a logarithm that it is a division', () => {
    expect(said({ C: '2201E' }, 'mariadb').code).toBe(1365);
    expect(said({ C: '23505', n: 'line_by_ab', D: 'Key (a, b)=(1, x) already exists.' }, 'mariadb').message).toBe("Duplicate entry '1-x' for key 'by_ab'");
  });
});
