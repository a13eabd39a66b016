/**
 * Property: what local has and MySQL cannot hold is told by the name of its loss, refused by default; under `clamp` it becomes a value that MySQL
 * takes under strict rules and gives back as it was written.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mysqlServerCapabilities, parseMysqlVersion } from '../../../cdc/mysql/capabilities.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { makeConversion, mapColumn } from '../../../cdc/mysql/type-map.ts';
import type { MappedColumn } from '../../../cdc/mysql/type-map.ts';
import type { LossKind } from '../../../cdc/mysql/type-loss.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { readCanonical, sourceKinds, startMysqlSource, writeCanonical } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';

/** Type on MySQL, type on local, value on local, what becomes of it, and the loss if there is one. */
type Case = readonly [type: string, local: string, value: string, becomes: string, loss: LossKind | undefined, kinds?: readonly MysqlKind[]];

const cases: readonly Case[] = [
  ['TINYINT', 'smallint', '128', '127', 'integer_range'], ['TINYINT', 'smallint', '-129', '-128', 'integer_range'], ['TINYINT UNSIGNED', 'smallint', '-1', '0', 'integer_range'], ['INT UNSIGNED', 'bigint', '4294967296', '4294967295', 'integer_range'],
  ['BIGINT UNSIGNED', 'numeric', '18446744073709551616', '18446744073709551615', 'integer_range'], ['BIGINT UNSIGNED', 'numeric', '-0.5', '0', 'fraction'], ['BIGINT UNSIGNED', 'numeric', 'NaN', '0', 'not_finite'], ['BIGINT', 'numeric', '12.000', '12', undefined],
  ['DECIMAL(5,2)', 'numeric', '1000', '999.99', 'decimal_range'], ['DECIMAL(5,2)', 'numeric', '1.005', '1.00', 'fraction'], ['DECIMAL(5,2)', 'numeric', 'NaN', '0.00', 'not_finite'], ['DECIMAL(5,2)', 'numeric', '-Infinity', '-999.99', 'not_finite'], ['DECIMAL(5,2)', 'numeric', '1', '1.00', undefined], ['DECIMAL(3,3)', 'numeric', '0.5', '0.500', undefined], ['DECIMAL(5,2) UNSIGNED', 'numeric', '-3', '0.00', 'decimal_range'],
  ['FLOAT', 'real', 'NaN', '0', 'not_finite'], ['FLOAT', 'real', 'Infinity', '3.4028235e+38', 'not_finite'], ['DOUBLE', 'double precision', '-Infinity', '-1.7976931348623157e308', 'not_finite'], ['DOUBLE', 'double precision', '1e300', '1e300', undefined], ['FLOAT', 'double precision', '0.123456789', '0.12345679', 'float_rounding'], ['FLOAT', 'double precision', '0.1', '0.1', undefined],
  ['FLOAT(5,2)', 'real', '1.239', '1.24', 'float_rounding'], ['FLOAT(5,2)', 'real', '12345', '999.99', 'decimal_range'], ['DOUBLE UNSIGNED', 'double precision', '-1', '0', 'decimal_range'],
  ['YEAR', 'smallint', '1900', '1901', 'integer_range'], ['YEAR', 'smallint', '2156', '2155', 'integer_range'],
  ['DATE', 'date', 'infinity', '9999-12-31', 'date_range'], ['DATE', 'date', '10000-01-01', '9999-12-31', 'date_range'], ['DATE', 'date', '0044-03-15 BC', '0000-01-01', 'date_range'], ['DATE', 'date', '0001-03-15 BC', '0000-03-15', undefined], ['DATE', 'date', '0001-02-29 BC', '0000-02-28', 'date_range'],
  ['DATETIME', 'timestamp', '2024-01-01 00:00:00.5', '2024-01-01 00:00:00', 'fraction'], ['DATETIME(3)', 'timestamp', '2024-01-01 00:00:00.123456', '2024-01-01 00:00:00.123', 'fraction'], ['DATETIME(3)', 'timestamp', '2024-01-01 00:00:00.1', '2024-01-01 00:00:00.100', undefined], ['DATETIME(6)', 'timestamp', '99999-01-01', '9999-12-31 23:59:59.999999', 'date_range'], ['DATETIME', 'timestamptz', '2024-01-01 02:00:00+02', '2024-01-01 00:00:00', undefined],
  ['TIMESTAMP NULL', 'timestamptz', '1969-12-31 23:59:59+00', '1970-01-01 00:00:01', 'timestamp_range'], ['TIMESTAMP NULL', 'timestamptz', '2200-01-01', '2038-01-19 03:14:07', 'timestamp_range'], ['TIMESTAMP(2) NULL', 'timestamptz', '2024-06-01 12:00:00.999', '2024-06-01 12:00:00.99', 'fraction'],
  ['TIME', 'interval', '1 day 02:00:00', '26:00:00', undefined], ['TIME(3)', 'interval', '-1 day +00:00:00.5', '-23:59:59.500', undefined], ['TIME', 'interval', '40 days', '838:59:59', 'time_range'], ['TIME', 'interval', '1 mon', '720:00:00', 'interval_months'], ['TIME', 'interval', '00:00:00.9', '00:00:00', 'fraction'], ['TIME', 'time', '23:59:59.9', '23:59:59', 'fraction'],
  ['CHAR(5)', 'text', 'ab  ', 'ab', 'trailing_blanks'], ['CHAR(3)', 'text', 'abcd', 'abc', 'text_length'], ['VARCHAR(3) CHARACTER SET utf8mb4', 'text', '𝄞𝄞𝄞𝄞', '𝄞𝄞𝄞', 'text_length'], ['VARCHAR(3) CHARACTER SET utf8mb4', 'text', '𝄞𝄞𝄞', '𝄞𝄞𝄞', undefined],
  ['VARCHAR(9) CHARACTER SET utf8', 'text', 'a𝄞ж', 'a?ж', 'charset'], ['VARCHAR(9) CHARACTER SET latin1', 'text', '€ж', '€?', 'charset'], ['VARCHAR(9) CHARACTER SET ascii', 'text', 'aé', 'a?', 'charset'], ['VARCHAR(9) CHARACTER SET gbk', 'text', '中é', '中é', undefined], ['VARCHAR(9) CHARACTER SET koi8r', 'text', 'жé', 'ж?', 'charset'], ['VARCHAR(9) CHARACTER SET ucs2', 'text', 'ж𝄞', 'ж?', 'charset'],
  ['TINYTEXT CHARACTER SET utf8mb4', 'text', 'é'.repeat(128), 'é'.repeat(127), 'text_length'], ['BINARY(3)', 'bytea', '\\x61', '\\x610000', 'trailing_blanks'], ['VARBINARY(2)', 'bytea', '\\x010203', '\\x0102', 'text_length'],
  ["ENUM('a','b')", 'text', 'c', 'a', 'enum_label'], ["SET('a','b')", 'text[]', '{b,a,b}', 'a,b', undefined], ["SET('a','b')", 'text[]', '{b,c}', 'b', 'set_member'], ["SET('a','b')", 'text[]', '{a,NULL}', '', 'set_member'],
  ['JSON', 'jsonb', '{"a": 1.2345678901234567890}', '{"a": 1.2345678901234567}', 'json_number', ['mysql-9.7']], ['JSON', 'jsonb', '[18446744073709551615, 1e20]', '[18446744073709551615, 1e20]', undefined, ['mysql-9.7']],
  ['INET6', 'inet', '10.0.0.0/8', '', 'malformed', ['mariadb-10.11']], ['INET4', 'inet', '::1', '', 'malformed', ['mariadb-10.11']],
];

for (const kind of sourceKinds) {
  describeMysql([kind], `values of local for ${kind}`, () => {
    let source: MysqlSource;
    let mapped: readonly MappedColumn[];
    const own = cases.filter(([, , , , , kinds]) => kinds === undefined || kinds.includes(kind));

    beforeAll(async () => {
      source = await startMysqlSource(kind);
      await source.mysql.createDatabase('shop');
      await source.mysql.sql(`CREATE TABLE t (id INT PRIMARY KEY, ${own.map(([type], index) => `c${index} ${type}`).join(', ')}) ENGINE=InnoDB`, 'shop');
      const table = await introspectMysqlTable(source.query, { schema: 'shop', name: 't' });
      const overrides = readTypeOverrides(own.map(([, local], index) => `c${index} ${local} ON * CLAMP`).join(', '));
      mapped = table.columns.slice(1).map((column) => mapColumn(column, table.server, overrides));
      await source.local.query("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'");
    });
    afterAll(() => source[Symbol.asyncDispose]());

    it('becomes what its loss says, and MySQL keeps that', async () => {
      const losses = new Map<string, LossKind>();
      const written: (string | null)[] = [];
      for (const [index, [, local, value]] of own.entries()) {
        const found = await source.local.query<[string]>({ text: `SELECT $1::text::${local}`, values: [value], rowMode: 'array', types: { getTypeParser: () => (text: string) => text } });
        const one = mapped[index];
        written.push(one === undefined ? null : makeConversion(one, (loss) => losses.set(loss.column, loss.kind)).toSource(found.rows[0]?.[0] ?? ''));
      }
      expect(own.map((_, index) => `${own[index]?.[0]}: ${losses.get(`c${index}`) ?? 'kept'}`)).toEqual(own.map(([type, , , , loss]) => `${type}: ${loss ?? 'kept'}`));
      const columns = mapped.map(({ column }) => ({ name: column.name, type: column.type }));
      const rows = [['1', ...written]];
      const idColumn = { name: 'id', type: { name: 'int', length: undefined, scale: undefined, unsigned: false, zerofill: false, labels: [] } };
      await writeCanonical(source.mysql, 'shop', 't', [idColumn, ...columns], rows, 'STRICT_ALL_TABLES');
      const [row] = await readCanonical(source.mysql, 'shop', 't', [idColumn, ...columns]);
      expect(row?.slice(1).map((text, index) => `${own[index]?.[0]}: ${text ?? ''}`)).toEqual(own.map(([type, , , becomes]) => `${type}: ${becomes}`));
    });

    it('is refused by default', () => {
      for (const [index, [, local, value, , loss]] of own.entries()) {
        const one = mapped[index];
        if (loss === undefined || one === undefined) continue;
        const strict = mapColumn(one.column, serverOf(kind), readTypeOverrides(`c${index} ${local}`));
        const convert = (): unknown => makeConversion(strict, () => undefined).toSource(value);
        expect(convert, `${one.column.typeText} ${value}`).toThrow(expect.objectContaining({ code: 'MIG014' }));
      }
    });
  });
}

function serverOf(kind: MysqlKind): Parameters<typeof mapColumn>[1] {
  return mysqlServerCapabilities(parseMysqlVersion(kind.startsWith('mariadb') ? '10.11.1-MariaDB' : kind === 'mysql-9.7' ? '9.7.0' : '5.6.24'));
}
