/** Tables of our own with everything that MySQL's and MariaDB's definitions can say. */
import type { MysqlKind } from '../../support/mysql-servers.ts';

export interface SampleColumn {
  readonly name: string;
  /** As it stands in CREATE TABLE. */
  readonly type: string;
  /** Type on local. */
  readonly local: string;
  /** Canonical text of the type's extreme values. */
  readonly extremes: readonly string[];
  readonly kinds?: readonly MysqlKind[];
}

const modern: readonly MysqlKind[] = ['mariadb-10.11', 'mariadb-11.8', 'mysql-9.7'];
const mariadb: readonly MysqlKind[] = ['mariadb-10.11', 'mariadb-11.8'];
const hex = (bytes: number): string => 'ff'.repeat(bytes);

/** POINT(1 2) with SRID 0, as MySQL stores it. */
export const storedPoint = '\\x00000000' + '01' + '01000000' + '000000000000f03f' + '0000000000000040';

/** Every column type, each with its extreme values. */
export const sampleColumns: readonly SampleColumn[] = [
  { name: 'tiny', type: 'TINYINT', local: 'smallint', extremes: ['-128', '0', '127'] },
  { name: 'tiny u', type: 'TINYINT UNSIGNED', local: 'smallint', extremes: ['0', '255'] },
  { name: 'flag', type: 'TINYINT(1)', local: 'boolean', extremes: ['0', '1'] },
  { name: 'small', type: 'SMALLINT', local: 'smallint', extremes: ['-32768', '32767'] },
  { name: 'small_u', type: 'SMALLINT UNSIGNED', local: 'integer', extremes: ['0', '65535'] },
  { name: 'medium', type: 'MEDIUMINT', local: 'integer', extremes: ['-8388608', '8388607'] },
  { name: 'medium_u', type: 'MEDIUMINT UNSIGNED', local: 'integer', extremes: ['0', '16777215'] },
  { name: 'int', type: 'INT', local: 'integer', extremes: ['-2147483648', '2147483647'] },
  { name: 'int_u', type: 'INT UNSIGNED', local: 'bigint', extremes: ['0', '4294967295'] },
  { name: 'big', type: 'BIGINT', local: 'bigint', extremes: ['-9223372036854775808', '9223372036854775807'] },
  { name: 'big_u', type: 'BIGINT UNSIGNED', local: 'numeric(20,0)', extremes: ['0', '18446744073709551615'] },
  { name: 'dec', type: 'DECIMAL(65,30)', local: 'numeric(65,30)', extremes: [`-${'9'.repeat(35)}.${'9'.repeat(30)}`, `0.${'0'.repeat(29)}1`, `0.${'0'.repeat(30)}`] },
  { name: 'dec_u', type: 'DECIMAL(5,0) UNSIGNED', local: 'numeric(5,0)', extremes: ['0', '99999'] },
  { name: 'float', type: 'FLOAT', local: 'real', extremes: ['-3.4028234663852886e38', '1.17549e-38', '0.1', '16777216', '3.4028234663852886e38'] },
  { name: 'float_md', type: 'FLOAT(7,2)', local: 'real', extremes: ['-99999.99', '0.01'] },
  { name: 'double', type: 'DOUBLE', local: 'double precision', extremes: ['-1.7976931348623157e308', '2.2250738585072014e-308', '0.1', '123456789.12345679'] },
  { name: 'double_u', type: 'DOUBLE UNSIGNED', local: 'double precision', extremes: ['0', '1e100'] },
  { name: 'bit1', type: 'BIT(1)', local: 'boolean', extremes: ['0', '1'] },
  { name: 'bit12', type: 'BIT(12)', local: 'bit(12)', extremes: ['000000000000', '111111111111'] },
  { name: 'bit64', type: 'BIT(64)', local: 'bit(64)', extremes: ['0'.repeat(64), '1'.repeat(64)] },
  { name: 'date', type: 'DATE', local: 'date', extremes: ['1000-01-01', '9999-12-31', '2024-02-29', '0001-01-01', '0000-01-31'] },
  { name: 'datetime', type: 'DATETIME', local: 'timestamp(0) without time zone', extremes: ['1000-01-01 00:00:00', '9999-12-31 23:59:59'] },
  { name: 'datetime6', type: 'DATETIME(6)', local: 'timestamp(6) without time zone', extremes: ['0001-01-01 00:00:00.000000', '9999-12-31 23:59:59.999999', '2024-02-29 12:34:56.100000'] },
  { name: 'timestamp', type: 'TIMESTAMP NULL', local: 'timestamp(0) with time zone', extremes: ['1970-01-01 00:00:01', '2038-01-19 03:14:07'] },
  { name: 'timestamp3', type: 'TIMESTAMP(3) NULL', local: 'timestamp(3) with time zone', extremes: ['1970-01-01 00:00:01.000', '2038-01-19 03:14:07.999'] },
  { name: 'time', type: 'TIME', local: 'interval(0)', extremes: ['-838:59:59', '838:59:59', '00:00:00', '23:59:59'] },
  { name: 'time6', type: 'TIME(6)', local: 'interval(6)', extremes: ['-838:59:58.999999', '-00:00:00.000001', '25:00:00.500000', '00:00:00.000000'] },
  { name: 'year', type: 'YEAR', local: 'smallint', extremes: ['0000', '1901', '2155'] },
  { name: 'char', type: 'CHAR(10)', local: 'character varying(10)', extremes: ['', 'é\\"\'\t\n', 'ZZZZZZZZZZ'] },
  { name: 'varchar', type: 'VARCHAR(200) CHARACTER SET utf8mb4', local: 'character varying(200)', extremes: ['', ' blanks  ', '𝄞 \\N {"a,b"}', 'x'.repeat(200)] },
  { name: 'latin1', type: 'VARCHAR(20) CHARACTER SET latin1', local: 'character varying(20)', extremes: ['€ÿ¡', 'a'] },
  { name: 'utf8mb3', type: 'VARCHAR(20) CHARACTER SET utf8 COLLATE utf8_bin', local: 'character varying(20)', extremes: ['￿ж', ''] },
  { name: 'sjis', type: 'VARCHAR(20) CHARACTER SET sjis', local: 'character varying(20)', extremes: ['日本語', 'ｱ'] },
  { name: 'cp1250', type: 'VARCHAR(20) CHARACTER SET cp1250', local: 'character varying(20)', extremes: ['žščř'] },
  { name: 'tinytext', type: 'TINYTEXT CHARACTER SET utf8mb4', local: 'text', extremes: ['', 'x'.repeat(255)] },
  { name: 'text', type: 'TEXT CHARACTER SET utf8mb4', local: 'text', extremes: ['\n\r\t\\.', 'é'.repeat(1000)] },
  { name: 'mediumtext', type: 'MEDIUMTEXT CHARACTER SET utf8mb4', local: 'text', extremes: ['y'.repeat(70_000)] },
  { name: 'longtext', type: 'LONGTEXT CHARACTER SET utf8mb4', local: 'text', extremes: ['z'] },
  { name: 'binary', type: 'BINARY(5)', local: 'bytea', extremes: ['\\x0000000000', `\\x${hex(5)}`, '\\x6100000000'] },
  { name: 'varbinary', type: 'VARBINARY(20)', local: 'bytea', extremes: ['\\x', '\\x00', `\\x${hex(20)}`] },
  { name: 'tinyblob', type: 'TINYBLOB', local: 'bytea', extremes: ['\\x', `\\x${hex(255)}`] },
  { name: 'blob', type: 'BLOB', local: 'bytea', extremes: ['\\x5c00ff'] },
  { name: 'mediumblob', type: 'MEDIUMBLOB', local: 'bytea', extremes: [`\\x${hex(70_000)}`] },
  { name: 'longblob', type: 'LONGBLOB', local: 'bytea', extremes: ['\\x01'] },
  { name: 'enum', type: "ENUM('small','it''s','b,c','d\\\\e','x\"y','é')", local: '"shop"."every type_enum"', extremes: ['small', "it's", 'b,c', 'd\\e', 'x"y', 'é'] },
  { name: 'set', type: "SET('a','b c','d\"e','f\\\\g','NULL')", local: 'text[]', extremes: ['', 'a,b c,d"e,f\\g,NULL', 'NULL', 'b c'] },
  { name: 'geometry', type: 'GEOMETRY', local: 'bytea', extremes: [storedPoint] },
  { name: 'point', type: 'POINT', local: 'bytea', extremes: [storedPoint] },
  { name: 'zerofill', type: 'INT(8) ZEROFILL', local: 'bigint', extremes: ['00000000', '00000042', '4294967295'] },
  { name: 'json', type: 'JSON', local: 'jsonb', extremes: ['{"a": [1, -2.5, null, true], "bb": "x\\\\u0000 \\"q\\""}', '[]', '18446744073709551615', '"é"', '0.1'], kinds: ['mysql-9.7'] },
  { name: 'json_text', type: 'JSON', local: 'json', extremes: ['{"b":1, "a":[1,2.50],"b":2}', '1e400'], kinds: mariadb },
  { name: 'uuid', type: 'UUID', local: 'uuid', extremes: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '123e4567-e89b-12d3-a456-426655440000'], kinds: mariadb },
  { name: 'inet4', type: 'INET4', local: 'inet', extremes: ['0.0.0.0', '255.255.255.255'], kinds: mariadb },
  { name: 'inet6', type: 'INET6', local: 'inet', extremes: ['::', '::ffff:1.2.3.4', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8::1', '1:0:0:2::'], kinds: mariadb },
  { name: 'compressed', type: 'VARCHAR(1000) COMPRESSED', local: 'character varying(1000)', extremes: ['c'.repeat(500)], kinds: mariadb },
  { name: 'vector', type: 'VECTOR(3)', local: 'bytea', extremes: ['\\x0000803f0000004000004040'], kinds: ['mysql-9.7'] },
];

export function columnsOf(kind: MysqlKind): readonly SampleColumn[] {
  return sampleColumns.filter(({ kinds }) => kinds === undefined || kinds.includes(kind));
}

/** Clauses of a table: defaults, generated columns, checks, indexes of every sort. */
export function everyTypeTable(kind: MysqlKind, name = 'every type'): string {
  const quoted = (each: string): string => `\`${each}\``;
  const columns = columnsOf(kind).map((column) => `${quoted(column.name)} ${column.type}`);
  return `CREATE TABLE ${quoted(name)} (id INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'it''s the \\\\ key', ${columns.join(', ')}, PRIMARY KEY (id)) ENGINE=InnoDB COMMENT='every "type"' AUTO_INCREMENT=42 DEFAULT CHARSET=latin1`;
}

/** Defaults, generated columns, checks and indexes of every sort; one statement for each table. */
export function clauseTables(kind: MysqlKind): readonly string[] {
  const isModern = modern.includes(kind);
  return [
    `CREATE TABLE parent (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20) NOT NULL, a INT NOT NULL, b INT NOT NULL, UNIQUE KEY by_code (code), UNIQUE KEY ab (a, b)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
    `CREATE TABLE clauses (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, parent_id BIGINT UNSIGNED NOT NULL, other_big BIGINT UNSIGNED, a INT, b INT, c INT,
      email VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, name VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'it''s \\\\ "q"', body TEXT CHARACTER SET utf8mb4,
      flag TINYINT(1) NOT NULL DEFAULT 1, price DECIMAL(10,2) DEFAULT '1.50', ratio DOUBLE DEFAULT -0.25, bits BIT(3) DEFAULT b'101', born DATE DEFAULT '2000-02-29', kind ENUM('new','old') NOT NULL DEFAULT 'old',
      tags SET('x','y') DEFAULT 'x,y', bytes VARBINARY(10) DEFAULT 'ab', y YEAR DEFAULT 2024, made DATETIME DEFAULT CURRENT_TIMESTAMP, changed TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)
      ${isModern ? ", twice INT GENERATED ALWAYS AS (c * 2) STORED, label VARCHAR(130) AS (concat(name, '-', c)) VIRTUAL, calc INT DEFAULT (1 + 2), CONSTRAINT positive CHECK (price >= 0 AND flag IN (0, 1)), CONSTRAINT odd CHECK (c REGEXP '^1')" : ''},
      PRIMARY KEY (id), UNIQUE KEY email (email), UNIQUE KEY start (body(20)), KEY ab (a, b), KEY long_text (body(100)), KEY short_text (name(10)), FULLTEXT KEY words (body)${kind === 'mysql-9.7' ? ', KEY falling (a DESC, b), KEY expression ((c + 1))' : ''},
      CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE RESTRICT, CONSTRAINT to_ab FOREIGN KEY (a, b) REFERENCES parent (a, b) ON DELETE SET NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  ];
}
