/** The tables that statements of MySQL's dialect are tried over, as a MySQL client would make them, with rows on which careless translations differ. */
import type { MysqlKind } from '../../support/mysql-servers.ts';

export interface CorpusTable {
  readonly name: string;
  readonly create: string;
  readonly rows: readonly string[];
  /** Left out on these. */
  readonly without?: readonly MysqlKind[];
}

const items: CorpusTable = {
  name: 'items',
  create: `id int NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, code varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, qty int, price decimal(10,2),
    ratio double, active tinyint(1), created date, changed datetime(6), seen timestamp NULL, big bigint, small smallint, stock int unsigned NOT NULL DEFAULT 0, note text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    raw varbinary(50), size enum('small','Medium','large'), tags set('red','green','blue'), lasts time, year4 year, huge bigint unsigned, fixed char(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, exact varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, KEY (name)`,
  rows: [
    "1, 'Apple', 'A-1', 10, 1.50, 0.5, 1, '2024-01-31', '2024-01-31 23:59:59.999999', '2024-01-31 12:00:00', 9223372036854775807, 32767, 4294967295, 'it''s', x'00ff', 'small', 'red,blue', '10:20:30', 2024, 18446744073709551615, 'ab', 'Aa'",
    "2, 'apple', 'a-1', 0, 0.00, -0.25, 0, '2024-02-29', '2024-02-29 00:00:00', '2024-02-29 08:30:00', -9223372036854775808, -32768, 0, 'back\\\\slash', '', 'large', '', '-01:00:00', 1999, 0, 'AB', 'aa'",
    "3, 'APPLE ', 'A-1 ', -7, -2.45, 1e100, 1, '1970-01-01', '1970-01-01 00:00:00.000001', '1970-01-02 00:00:00', 0, 0, 1, '', NULL, NULL, NULL, '838:59:59', 1901, 9223372036854775808, '', 'AA '",
    "4, 'Äpfel', 'ä', NULL, 99999999.99, 123456789.125, NULL, '9999-12-31', '9999-12-31 23:59:59', '2037-12-31 23:59:59', 9007199254740993, 7, 10, 'percent%under_score', 'abc', 'Medium', 'green', NULL, NULL, NULL, NULL, NULL",
    "5, NULL, NULL, 2147483647, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "6, 'apfel', 'zz', -2147483648, 10.05, 3, 1, '2000-12-25', '2000-12-25 12:34:56.789', '2000-12-25 12:34:56', 42, -5, 42, 'x\"y', x'de', 'small', 'red,green,blue', '00:00:01', 2155, 42, 'x y', 'Zz'",
    "7, 'zebra_1', 'ÿ', 7, 0.01, 1e-7, 0, '2024-12-30', '2024-12-30 06:07:08.5', '2024-12-30 06:07:08', -1, 1, 7, '😀 emoji', x'ff', 'large', 'blue', '23:59:59', 2000, 7, 'é', '_a'",
    "8, '', '', 3, 2.50, -2.5, NULL, '2023-01-01', '2023-01-01 00:00:00', '2023-01-01 00:00:00', 100, 2, 3, ' lead and trail ', 'A', 'Medium', 'red', '12:00:00', 2024, 3, 'Z', ''",
    "9, 'banana', 'B-2', 3, 2.50, 100, 1, '2023-01-01', '2023-03-26 02:30:00', '2023-03-26 02:30:00', 100, 2, 3, 'line\\nbreak\\ttab', 'B', 'small', 'red', '12:00:00', 2023, 3, 'z', 'b'",
    "10, 'Banana', 'b-2', 5, 7.77, 0, 1, '2021-06-15', '2021-06-15 10:20:30.4', '2021-06-15 10:20:30', -100, -2, 2147483648, 'ÿ µ é', 'a', 'large', 'green,blue', '-838:59:59', 2021, 10, 'a1', 'B'",
    "11, 'zebra 1', 'b_2', 5, 7.78, 12345678.9, 1, '2021-06-16', '2021-06-15 10:20:30.4', '2021-06-15 10:20:30', -100, -2, 5, 'Note', 'b', NULL, '', '00:00:00', 2021, 11, 'A2', 'B '",
  ],
};

const people: CorpusTable = {
  name: 'people',
  create: 'id int NOT NULL PRIMARY KEY, name varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL, boss int, city varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, born date, badge int, salary decimal(12,2) NOT NULL, UNIQUE KEY (badge)',
  rows: ["1, 'Ada', NULL, 'London', '1815-12-10', 11, 1000.00", "2, 'Bob', 1, 'london', '1990-05-05', 12, 250.50", "3, 'Cy', 1, NULL, '2000-02-29', NULL, 250.50", "4, 'dee', 2, 'Paris', NULL, 14, 0.00", "5, 'Ébo', 2, 'Paris ', '1969-07-20', 15, 99.99", "6, 'eve', 9, '', '1985-01-31', 16, 3333.33"],
};

const orders: CorpusTable = {
  name: 'orders',
  create: 'person int NOT NULL, item int NOT NULL, n int NOT NULL, at datetime, paid tinyint(1) NOT NULL, PRIMARY KEY (person, item)',
  rows: ["1, 1, 2, '2024-03-01 10:00:00', 1", "1, 2, 1, '2024-03-02 11:30:00', 0", "2, 1, 5, '2024-03-02 11:30:00', 1", '2, 9, 1, NULL, 0', "3, 3, 10, '2024-04-30 23:59:59', 1", "4, 10, 3, '2023-12-31 00:00:00', 1", "7, 4, 1, '2022-01-01 00:00:00', 0"],
};

const counters: CorpusTable = {
  name: 'counters',
  create: "id bigint NOT NULL PRIMARY KEY, hits bigint NOT NULL DEFAULT 0, label varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT 'none', a int, b int",
  rows: ["1, 10, 'one', 1, 2", "2, 20, 'two', 3, 4", '3, 30, NULL, NULL, 6'],
};

const words: CorpusTable = {
  name: 'words',
  create: 'word varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, n int',
  rows: ["'one', 1", "'two', 2", "'three', 3"],
};

const docs: CorpusTable = {
  name: 'docs', without: ['mysql-5.6', 'mariadb-10.11'],
  create: 'id int NOT NULL PRIMARY KEY, data json, title varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci',
  rows: [`1, '{"a": 1, "b": [1, 2, {"c": "x"}], "n": null}', 'Ärger'`, `2, '{"a": "text", "long name": true}', 'arger'`, `3, '[]', 'zoo '`, '4, NULL, NULL', `5, '{"a": {"deep": 1.5}}', 'zoo'`],
};

/** A column of every type; ranges at both ends. */
const kinds: CorpusTable = {
  name: 'kinds',
  create: `id int NOT NULL PRIMARY KEY, ti tinyint, tu tinyint unsigned, si smallint, su smallint unsigned, mi mediumint, mu mediumint unsigned, i int, iu int unsigned, bi bigint, bu bigint unsigned, fl tinyint(1), d1 decimal(10,2), d2 decimal(30,10), du decimal(8,3) unsigned, d0 decimal(5,0),
    f float, g double, ye year, ch char(6) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, vc varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, vu varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, vb varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    lt varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, tx text CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, da date, dt datetime, d3 datetime(3), d6 datetime(6), ts timestamp NULL, t3 timestamp(3) NULL, tm time, t6 time(6), vn varbinary(10), bl blob, bn binary(4), b1 bit(1), b8 bit(8), bm bit(64),
    en enum('small','Medium','large','b'), se set('red','green','blue'), eb enum('x','X','Y') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ec enum('small','é') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`,
  rows: [
    "1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 0, -99999999.99, -99999999999999999999.9999999999, 0, -99999, -1048576, -1e15, 1901, '', '', '', '', '', '', '1000-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00.001', '1000-01-01 00:00:00.000001', '1971-01-01 00:00:01', '1971-01-01 00:00:01.001', '-838:59:59', '-838:59:59', '', '', '', b'0', b'0', b'0', 'small', '', 'x', 'small'",
    "2, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 1, 99999999.99, 99999999999999999999.9999999999, 99999.999, 99999, 1048576, 1e15, 2155, 'zz', 'ZZ ', 'Zz', 'zz ', 'ÿ', 'zz', '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2037-12-31 23:59:59', '2037-12-31 23:59:59.999', '838:59:59', '838:59:58.999999', x'ffffffff', x'00', x'ffffffff', b'1', b'11111111', x'ffffffffffffffff', 'large', 'red,green,blue', 'X', 'é'",
    "3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "4, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0.5, 0, 0, 0, 2000, 'a', 'A', 'a ', 'a', 'a', 'A ', '2000-02-29', '2000-02-29 12:00:00', '2000-02-29 12:00:00.500', '2000-02-29 12:00:00.500000', '2000-02-29 12:00:00', '2000-02-29 12:00:00.5', '00:00:00', '00:00:00.5', 'a', 'A', 'a', b'0', b'101', 5, 'Medium', 'red', 'Y', NULL",
    "5, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 0.5, 0.5, 1.5, 1, 0.125, 0.125, 2024, '12', '12', '12', '12', '12', '12', '2024-01-31', '2024-01-31 00:00:00', '2024-01-31 00:00:00', '2024-01-31 00:00:00', '2024-01-31 00:00:00', '2024-01-31 00:00:00', '12:34:56', '12:34:56.789', '12', '12', '12', b'1', b'1', 1, 'b', 'green', 'x', 'é'",
    "6, -1, 10, -1, 10, -1, 10, -1, 10, -1, 10, 1, -0.01, -0.0000000001, 0.001, -1, -0.5, -0.5, 1999, 'ä', 'Äpfel', 'äpfel', 'Äpfel', 'ä', 'ä b', '1999-12-31', '1999-12-31 23:59:59', '1999-12-31 23:59:59.5', '1999-12-31 23:59:59.5', '1999-12-31 23:59:59', '1999-12-31 23:59:59.5', '-00:00:01', '-00:00:00.000001', 'ab', 'abc', 'ab', b'0', b'10000000', x'8000000000000000', 'large', 'blue', 'X', 'small'",
    "7, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0, 10.00, 10, 10, 10, 10, 10, 2010, 'Apple', 'apple', 'APPLE', 'Apple', 'Apple', 'apple ', '2024-02-29', '2024-02-29 10:20:30', '2024-02-29 10:20:30', '2024-02-29 10:20:30', '2024-02-29 10:20:30', '2024-02-29 10:20:30', '25:00:00', '25:00:00', 'Apple', 'apple', 'Appl', b'1', b'1010', 10, 'small', 'red,blue', NULL, 'small'",
    "8, 10, 3, 7, 3, 5, 3, 3, 7, 7, 3, 1, 2.50, 2.5, 2.5, 3, 2.5, 2.5, 2024, 'é', 'sz', 'É', 'é', 'ß', '😀', '2024-05-06', '2024-05-06 07:08:09', '2024-05-06 07:08:09', '2024-05-06 07:08:09.123456', '2024-05-06 07:08:09', '2024-05-06 07:08:09.123', '07:08:09', '07:08:09.123456', x'00ff', x'e4', x'00', b'0', b'11', 3, 'small', 'green,blue', 'x', 'é'",
  ],
};

/** Instants around the changes of two clocks, written in UTC, and dates and times that these leave out or show twice. */
const moments: CorpusTable = {
  name: 'moments',
  create: 'id int NOT NULL PRIMARY KEY, ts timestamp NULL, t2 timestamp NULL, t3 timestamp(3) NULL, ti timestamp NULL, dt datetime, d3 datetime(3), KEY (ti)',
  rows: [
    "1, '2024-03-31 00:59:59', '2024-03-31 01:00:00', '2024-03-31 00:59:59.5', '2024-03-31 00:59:59', '2024-03-31 01:59:59', '2024-03-31 01:59:59.999'", "2, '2024-03-31 01:00:00', '2024-03-31 01:00:00', '2024-03-31 01:00:00', '2024-03-31 01:00:00', '2024-03-31 02:30:00', '2024-03-31 03:00:00'",
    "3, '2024-10-27 00:30:00', '2024-10-27 01:30:00', '2024-10-27 00:30:00.5', '2024-10-27 00:30:00', '2024-10-27 02:30:00', '2024-10-27 02:30:00.5'", "4, '2024-10-27 01:30:00', '2024-10-27 00:30:00', '2024-10-27 01:30:00.5', '2024-10-27 01:30:00', '2024-10-27 02:30:00', '2024-10-27 02:30:00'",
    "5, '2024-10-27 01:15:00', '2024-10-27 00:30:00', '2024-10-27 01:15:00.25', '2024-10-27 01:15:00', '2024-10-27 02:15:00', '2024-10-27 02:15:00'", "6, '2024-10-27 02:00:00', NULL, NULL, '2024-10-27 02:00:00', '2024-10-27 03:00:00', NULL", "7, '2024-10-27 00:00:00', '2024-10-27 00:30:00', '2024-10-27 00:00:00', '2024-10-27 00:00:00', '2024-10-27 01:59:59', '2024-10-27 01:59:59.999'",
    '8, NULL, NULL, NULL, NULL, NULL, NULL', "9, '2024-04-06 14:45:00', '2024-04-06 15:15:00', '2024-04-06 14:45:00', '2024-04-06 14:45:00', '2024-04-07 01:45:00', '2024-04-07 02:00:00'", "10, '2024-04-06 15:15:00', '2024-04-06 14:45:00', '2024-04-06 15:15:00', '2024-04-06 15:15:00', '2024-04-07 01:45:00', '2024-04-07 01:30:00'",
    "11, '2024-10-05 15:30:00', '2024-10-05 15:29:59', '2024-10-05 15:30:00', '2024-10-05 15:30:00', '2024-10-06 02:15:00', '2024-10-06 02:30:00'", "12, '2024-07-01 12:00:00', '2024-07-01 12:00:01', '2024-07-01 12:00:00.123', '2024-07-01 12:00:00', '2024-07-01 12:00:00', '2024-07-01 12:00:00.5'",
  ],
};

const stamps: CorpusTable = {
  name: 'stamps',
  create: 'id int NOT NULL PRIMARY KEY, a int, made datetime DEFAULT CURRENT_TIMESTAMP, seen timestamp(3) NULL DEFAULT CURRENT_TIMESTAMP(3), touched timestamp(6) NULL ON UPDATE CURRENT_TIMESTAMP(6)',
  rows: ["1, 1, '2024-01-31 12:00:00', '2024-01-31 12:00:00', NULL"],
};

const touches: CorpusTable = { name: 'touches', create: 'id int NOT NULL PRIMARY KEY, a int, touched datetime NULL ON UPDATE CURRENT_TIMESTAMP', rows: ["1, 1, '2024-01-31 12:00:00'"] };

export function corpusTables(kind: MysqlKind): readonly CorpusTable[] {
  return [items, people, orders, counters, words, kinds, moments, stamps, touches, docs].filter(({ without }) => without?.includes(kind) !== true);
}
