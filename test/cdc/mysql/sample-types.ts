/** Columns of every type, with their extreme values, and how SELECT prints each as the canonical text of the change path. */
import type { MysqlKind } from '../../support/mysql-servers.ts';

export interface SampleColumn {
  readonly name: string;
  readonly type: string;
  /** SQL literals. */
  readonly values: readonly string[];
  /** `number`: the text is another one, the number is the same. */
  readonly compare: 'text' | 'float' | 'double';
  /** SQL over the column's name. */
  readonly select: (name: string) => string;
  readonly isOn: (kind: MysqlKind) => boolean;
}

type Options = Partial<Pick<SampleColumn, 'compare' | 'select' | 'isOn'>>;

const hex = (name: string): string => `CONCAT('\\\\x', LOWER(HEX(${name})))`;
const isMariadb = (kind: MysqlKind): boolean => kind.startsWith('mariadb');
const isNewMysql = (kind: MysqlKind): boolean => kind === 'mysql-9.7';
const notOld = (kind: MysqlKind): boolean => kind !== 'mysql-5.6';

function column(type: string, values: readonly string[], options: Options = {}): Omit<SampleColumn, 'name'> {
  return { type, values, compare: 'text', select: (name) => name, isOn: () => true, ...options };
}

const bits = (width: number): Options => ({ select: (name) => `LPAD(BIN(${name} + 0), ${width}, '0')` });
const bytes: Options = { select: hex };
const integers = (bitsOf: number): readonly string[] => ['0', '1', '-1', String(-(2n ** BigInt(bitsOf - 1))), String(2n ** BigInt(bitsOf - 1) - 1n)];
const naturals = (bitsOf: number): readonly string[] => ['0', '1', String(2n ** BigInt(bitsOf) - 1n), String(2n ** BigInt(bitsOf - 1))];
const times = ["'00:00:00'", "'838:59:59'", "'-838:59:59'", "'-00:00:01'", "'23:59:59'", "'-12:34:56'"];
const fractions = (digits: number): readonly string[] => [...times, `'-00:00:00.${'0'.repeat(digits - 1)}1'`, `'01:02:03.${'9'.repeat(digits)}'`, `'-837:00:59.${'123456'.slice(0, digits)}'`, `'-838:59:58.${'9'.repeat(digits)}'`];
const datetimes = ["'0000-00-00 00:00:00'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2024-02-29 12:34:56'", "'2024-00-00 00:00:00'", "'2024-05-00 01:02:03'", "'0001-01-01 00:00:01'"];
const timestamps = ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-02-29 12:34:56'"];
const withFraction = (values: readonly string[], digits: number): readonly string[] => [...values, ...values.slice(1, 4).map((value) => value.replace(/'$/, `.${'9'.repeat(digits - 1)}1'`))];
const long = (text: string, times_: number): string => `REPEAT('${text}', ${times_})`;
const unicodeTexts = ["''", "'a'", "'ÄÖÜ ß €'", "'日本語 テキスト'", "'a''b\\\\c\\\"'", "'tab\\tnew\\nline'"];
const allBytes = `UNHEX('${Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join('')}')`;

const list: readonly Omit<SampleColumn, 'name'>[] = [
  column('tinyint', integers(8)), column('tinyint unsigned', naturals(8)), column('tinyint(1)', ['0', '1', '-128']), column('smallint', integers(16)), column('smallint unsigned', naturals(16)),
  column('mediumint', integers(24)), column('mediumint unsigned', naturals(24)), column('int', integers(32)), column('int unsigned', naturals(32)), column('bigint', integers(64)), column('bigint unsigned', naturals(64)),
  column('decimal(10,0)', ['0', '-1', '9999999999', '-9999999999']), column('decimal(65,30)', ['0', `-${'9'.repeat(35)}.${'9'.repeat(30)}`, `${'1234567890'.repeat(3)}12345.${'0'.repeat(29)}1`, '-0.5']),
  column('decimal(65,0)', [`${'9'.repeat(65)}`, `-${'9'.repeat(65)}`]), column('decimal(30,30)', [`0.${'9'.repeat(30)}`, `-0.${'0'.repeat(29)}1`, '0']), column('decimal(7,2) unsigned', ['0', '99999.99']), column('decimal(20,9)', ['-1.000000001', '12345678901.123456789']),
  column('float', ['0', '-1.5', '3.402823466e38', '1.175494351e-38', '1e-45', '16777217', '0.1', '123456.789', '1e20', '3.14159265'], { compare: 'float', select: (name) => `${name} * 1e0` }),
  column('double', ['0', '-1.5', '1.7976931348623157e308', '2.2250738585072014e-308', '5e-324', '0.1', '1e21', '9007199254740993', '123456789.123456789', '-0e0'], { compare: 'double' }),
  column('bit(1)', ["b'0'", "b'1'"], bits(1)), column('bit(8)', ["b'0'", "b'10000001'"], bits(8)), column('bit(9)', ["b'1'", "b'111111111'"], bits(9)), column('bit(64)', ['0', "b'1'", '18446744073709551615', '9223372036854775808'], bits(64)),
  column('year', ['0', '1901', '2155', '2024'], { select: (name) => `LPAD(${name}, 4, '0')` }), column('date', ["'0000-00-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'2024-00-00'", "'2024-05-00'"]),
  column('time', times), column('time(1)', fractions(1)), column('time(3)', fractions(3)), column('time(4)', fractions(4)), column('time(6)', fractions(6)),
  column('datetime', datetimes), column('datetime(1)', withFraction(datetimes, 1)), column('datetime(3)', withFraction(datetimes, 3)), column('datetime(6)', withFraction(datetimes, 6)),
  column('timestamp NULL', timestamps), column('timestamp(2) NULL', withFraction(timestamps, 2)), column('timestamp(5) NULL', withFraction(timestamps, 5)), column('timestamp(6) NULL', withFraction(timestamps, 6)),
  column('char(10) CHARACTER SET utf8', ["''", "'a'", "'é   '", "'日本'"]), column('char(255) CHARACTER SET utf8', ["''", long('é', 255), long('日', 200)]), column('varchar(50) CHARACTER SET utf8', [...unicodeTexts, "'trailing   '"]),
  column('varchar(300) CHARACTER SET utf8', ["''", long('é', 300)]), column('varchar(20) CHARACTER SET utf8mb4', ["'😀'", "'a😀é'"]), column('char(20) CHARACTER SET utf8mb4', ["'😀'", "'x'"]),
  column('tinytext CHARACTER SET utf8', unicodeTexts), column('text CHARACTER SET utf8', ["''", long('é', 20_000)]), column('mediumtext CHARACTER SET utf8mb4', ["''", long('😀', 20_000)]), column('longtext CHARACTER SET utf8mb4', ["''", long('日', 100_000)]),
  column('varchar(50) CHARACTER SET latin1', ["''", "'ÄÖÜ ß €'", "'abc'"]), column('text CHARACTER SET latin1', ["'é'", "CONVERT(UNHEX('80818d8f909dff') USING latin1)"]), column('varchar(50) CHARACTER SET ascii', ["'abc'"]),
  column('varchar(50) CHARACTER SET latin2', ["'ąčž'"]), column('varchar(50) CHARACTER SET cp1250', ["'ąčž€'"]), column('varchar(50) CHARACTER SET cp1251', ["'привет'"]), column('varchar(50) CHARACTER SET koi8r', ["'привет'"]), column('varchar(50) CHARACTER SET cp850', ["'é±'"]),
  column('varchar(50) CHARACTER SET swe7', ["'abc'", "'ÅÄÖ'"]), column('varchar(50) CHARACTER SET greek', ["'ελλάς'"]), column('varchar(50) CHARACTER SET hebrew', ["'שלום'"]), column('varchar(50) CHARACTER SET tis620', ["'ไทย'"]),
  column('varchar(50) CHARACTER SET sjis', ["'日本語 ﾊﾝｶｸ'", "'ソ表'"]), column('varchar(50) CHARACTER SET cp932', ["'日本語①'", "'～'"]), column('varchar(50) CHARACTER SET ujis', ["'日本語ﾊ'", "'丂'"]), column('varchar(50) CHARACTER SET eucjpms', ["'日本語①'"]),
  column('varchar(50) CHARACTER SET gbk', ["'中文测试'", "'镕'"]), column('varchar(50) CHARACTER SET gb2312', ["'中文'"]), column('varchar(50) CHARACTER SET big5', ["'中文許功蓋'"]), column('varchar(50) CHARACTER SET euckr', ["'한국어'"]),
  column('varchar(50) CHARACTER SET ucs2', ["'日本é'"]), column('varchar(50) CHARACTER SET utf16', ["'a😀é'"]), column('varchar(50) CHARACTER SET utf16le', ["'a😀é'"]), column('char(9) CHARACTER SET utf32', ["'a😀é'"]),
  column('varchar(50) CHARACTER SET gb18030', ["'中文😀ä'", "'ḿ'"], { isOn: isNewMysql }),
  column('binary(4)', ["''", "UNHEX('00')", "UNHEX('61006200')", "UNHEX('00000001')"], bytes), column('binary(16)', ["UNHEX('11223344556677880000000000000000')"], bytes), column('varbinary(300)', ["''", "UNHEX('00')", allBytes, "UNHEX('610000')"], bytes),
  column('tinyblob', ["''", "UNHEX('00ff00')"], bytes), column('blob', ["''", allBytes, `REPEAT(${allBytes}, 100)`], bytes), column('mediumblob', [`REPEAT(${allBytes}, 300)`], bytes), column('longblob', ["UNHEX('5c0a')", "''"], bytes),
  column("enum('a','b,c','it''s','ä','') CHARACTER SET utf8", ["'a'", "'b,c'", "'it''s'", "'ä'", "''", '0']), column("enum('é','x') CHARACTER SET latin1", ["'é'", "'x'"]),
  column(`enum(${Array.from({ length: 300 }, (_, index) => `'v${index}'`).join(',')})`, ["'v0'", "'v255'", "'v299'"]),
  column("set('a','b','ü') CHARACTER SET utf8", ["''", "'a'", "'a,ü'", "'a,b,ü'"]), column(`set(${Array.from({ length: 64 }, (_, index) => `'s${index}'`).join(',')})`, ["'s0'", "'s63'", "'s0,s31,s32,s63'", '18446744073709551615']),
  column('geometry', ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(1 2)', 4326)"], bytes), column('point', ["ST_GeomFromText('POINT(-1.5 2.25)')"], bytes), column('polygon', ["ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0))')"], bytes),
  column('geometrycollection', ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')"], bytes),
  column('json', ["'null'", "'{}'", "'[]'", `'{"b": [1, -1, 65536, 4294967296, 18446744073709551615], "a": {"x": null, "y": true, "z": false}, "": "é😀"}'`, `'"q\\\\"b\\\\\\\\s\\\\u0001\\\\n"'`, "'1.5'", "'[1e20, 1e-7, 1.0, 0.1, -0.0, 123456789012345, 1e15, 1e300]'"], { isOn: notOld }),
  column('json', [
    "JSON_OBJECT('d', CAST(1.10 AS DECIMAL(10,2)), 'n', CAST(-0.5 AS DECIMAL(65,30)), 'dt', CAST('2024-02-29 01:02:03.000004' AS DATETIME(6)), 'da', CAST('2024-02-29' AS DATE), 't', CAST('-12:34:56.789' AS TIME(3)), 'b', CAST(UNHEX('00ff10') AS BINARY))",
    `JSON_ARRAY(CAST(REPEAT(${allBytes}, 3) AS BINARY), 'x')`, "JSON_OBJECT('big', REPEAT('é', 40000), 'k', JSON_ARRAY(1, 70000, -70000, 5000000000))", "JSON_ARRAY(b'101', CAST('2024' AS YEAR))", "JSON_EXTRACT('[[[[1]]]]', '$')",
  ], { isOn: isNewMysql }),
  column('vector(3)', ["TO_VECTOR('[1,2.5,-3]')"], { select: hex, isOn: isNewMysql }),
  column('uuid', ["'00112233-4455-6677-8899-aabbccddeeff'", "'f47ac10b-58cc-4372-a567-0e02b2c3d479'", "'00000000-0000-0000-0000-000000000000'", "'c232ab00-9414-11ec-b3c8-9f6bdeced846'", "'01890a5d-ac96-774b-bcce-b302099a8057'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"], { isOn: isMariadb }),
  column('inet4', ["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'"], { isOn: isMariadb }), column('inet6', ["'::'", "'::1'", "'::ffff:1.2.3.4'", "'2001:db8::ff00:42:8329'", "'1:0:0:2:0:0:0:3'", "'::1.2.3.4'", "'fe80::'", "'1:2:3:4:5:6:7:8'", "'1:0:3:4:5:6:7:8'", "'::ffff'", "'::2:3'"], { isOn: isMariadb }),
  column('text COMPRESSED CHARACTER SET utf8', ["''", "'short'", long('é', 10_000)], { isOn: isMariadb }), column('varchar(1000) COMPRESSED CHARACTER SET latin1', ["''", "'short'", long('é', 900)], { isOn: isMariadb }), column('blob COMPRESSED', ["''", `REPEAT(${allBytes}, 100)`, "UNHEX('00')"], { ...bytes, isOn: isMariadb }),
];

export function sampleColumns(kind: MysqlKind): readonly SampleColumn[] {
  return list.filter(({ isOn }) => isOn(kind)).map((one, index) => ({ ...one, name: `c${index}` }));
}

/** Rows of literals: each value once, NULL where a column has no more. */
export function sampleRows(columns: readonly SampleColumn[]): readonly (readonly string[])[] {
  const most = Math.max(...columns.map(({ values }) => values.length));
  return Array.from({ length: most + 1 }, (_, row) => columns.map(({ values }) => values[row] ?? 'NULL'));
}
