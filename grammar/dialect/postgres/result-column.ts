/** How the server describes the columns of a result. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html */
import { shownDecimal } from './convert-value.ts';
import { refuse } from './refused-mysql.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlColumnFacts, MysqlForm, MysqlResultColumn, MysqlServer, MysqlTableFacts } from './mysql-translation.ts';
import { fitsBigint } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';

const flag = { notNull: 1, primaryKey: 2, uniqueKey: 4, multipleKey: 8, blob: 16, unsigned: 32, zerofill: 64, binary: 128, enum: 256, autoIncrement: 512, timestamp: 1024, set: 2048, noDefault: 4096, onUpdateNow: 8192, partOfKey: 16384 };

const codes: Readonly<Record<string, number>> = {
  tinyint: 1, smallint: 2, int: 3, float: 4, double: 5, timestamp: 7, bigint: 8, mediumint: 9, date: 10, time: 11, datetime: 12, year: 13, bit: 16, json: 245, decimal: 246,
  tinyblob: 252, blob: 252, mediumblob: 252, longblob: 252, tinytext: 252, text: 252, mediumtext: 252, longtext: 252, varchar: 253, varbinary: 253, char: 254, binary: 254, enum: 254, set: 254,
  geometry: 255, point: 255, linestring: 255, polygon: 255, multipoint: 255, multilinestring: 255, multipolygon: 255, geometrycollection: 255,
};
const notFixed = 31;
/** Of utf8mb4, which is what results are described in here. */
const bytesPerCharacter = 4;
const textBytes: Readonly<Record<string, number>> = { tinytext: 255, text: 65_535, mediumtext: 16_777_215, longtext: 4_294_967_295, tinyblob: 255, blob: 65_535, mediumblob: 16_777_215, longblob: 4_294_967_295, json: 4_294_967_295 };

export interface Shown {
  readonly sql: string;
  readonly column: MysqlResultColumn;
}

/** A value of the outermost list as it is asked of PostgreSQL, and its description. */
export function showValue(emission: MysqlEmission, name: string, value: Value): Shown {
  const { origin } = value;
  if (origin === undefined) return { sql: shownSql(emission, value), column: { name, orgName: '', table: '', orgTable: '', database: '', ...describe(value.type, value, emission.facts.mode.server.flavour === 'mariadb') } };
  const { column, table, alias } = origin;
  return {
    sql: column.type.name === 'timestamp' && /time zone|timestamptz/.test(column.localType) && !column.localType.includes('without') ? `(${value.sql} AT TIME ZONE ${emission.zone})` : shownSql(emission, value),
    column: { name, orgName: column.mysqlName, table: alias, orgTable: table.mysqlName, database: table.mysqlDatabase, ...describeColumn(column, value, keyFlags(table, column.mysqlName) | momentFlags(column, emission.facts.mode.server)) },
  };
}

function shownSql(emission: MysqlEmission, value: Value): string {
  switch (value.type.kind) {
    case 'timestamp': return `(${value.sql} AT TIME ZONE ${emission.zone})`;
    case 'decimal': return shownDecimal(value);
    case 'datetime': return value.type.isBound === true ? refuse('date and time of a parameter in the result', value.place) : value.sql;
    case 'null': return 'NULL::text';
    default: return value.sql;
  }
}

type Description = Omit<MysqlResultColumn, 'name' | 'orgName' | 'table' | 'orgTable' | 'database'>;

/** The first column of a key says whether that is unique, where it is the only one of it. */
function keyFlags({ primaryKey, otherKeys = [] }: MysqlTableFacts, name: string): number {
  const first = otherKeys.filter(({ columns }) => columns[0] === name);
  const isAlone = ({ isUnique, columns }: (typeof otherKeys)[number]): boolean => isUnique && columns.length === 1;
  const isPart = primaryKey.includes(name) || otherKeys.some(({ columns }) => columns.includes(name));
  return (primaryKey.includes(name) ? flag.primaryKey : 0) | (first.some(isAlone) ? flag.uniqueKey : 0) | (first.some((key) => !isAlone(key)) ? flag.multipleKey : 0) | (isPart ? flag.partOfKey : 0);
}

/** In which the two families differ. */
function momentFlags({ type, onUpdateNow }: MysqlColumnFacts, { flavour }: MysqlServer): number {
  const isTimestamp = type.name === 'timestamp';
  return (isTimestamp && flavour === 'mariadb' ? flag.unsigned : 0) | (onUpdateNow && (isTimestamp || flavour === 'mariadb') ? flag.onUpdateNow : 0);
}

function describeColumn(column: MysqlColumnFacts, value: Value, told: number): Description {
  const { type } = column;
  const isBytes = /(?:^|var)binary$|blob$/.test(type.name) || codes[type.name] === 255;
  const isText = ['uuid', 'inet4', 'inet6'].includes(type.name) || type.name === 'char' || type.name === 'varchar' || type.name.endsWith('text') || type.name === 'enum' || type.name === 'set';
  const isNumber = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double', 'year'].includes(type.name);
  const isBinaryCollation = column.collation?.endsWith('_bin') === true;
  const flags = (value.nullable ? 0 : flag.notNull) | told | (column.mustBeGiven === true ? flag.noDefault : 0) | (textBytes[type.name] !== undefined ? flag.blob : 0) | (type.unsigned || type.name === 'year' || type.name === 'bit' ? flag.unsigned : 0)
    | (type.zerofill || type.name === 'year' ? flag.zerofill : 0) | (!isText && !isNumber && type.name !== 'bit' ? flag.binary : isBinaryCollation ? flag.binary : 0) | (type.name === 'enum' ? flag.enum : 0) | (column.autoIncrement ? flag.autoIncrement : 0)
    | (type.name === 'timestamp' && (column.onUpdateNow || column.defaultsToNow === true) ? flag.timestamp : 0) | (type.name === 'set' ? flag.set : 0);
  const decimals = type.name === 'decimal' ? type.scale ?? 0 : type.name === 'float' || type.name === 'double' ? type.scale ?? notFixed : ['time', 'datetime', 'timestamp'].includes(type.name) ? type.length ?? 0 : 0;
  return { type: codes[type.name] ?? 253, length: columnLength(column), flags, decimals, charset: isText || column.isJsonText ? 'text' : isBytes || !isText ? 'binary' : 'text', form: formOf(column), ...extended(column.isJsonText ? 'json' : type.name) };
}

const extensions = ['json', 'uuid', 'inet4', 'inet6'] as const;

/** MySQL's own JSON has a type code. */
function extended(name: string): Pick<MysqlResultColumn, 'extension'> {
  const extension = extensions.find((each) => each === name);
  return extension === undefined ? {} : { extension };
}

function columnLength(column: MysqlColumnFacts): number {
  const { type } = column;
  const fraction = (type.length ?? 0) > 0 ? (type.length ?? 0) + 1 : 0;
  switch (type.name) {
    case 'tinyint': return type.length ?? (type.unsigned ? 3 : 4);
    case 'smallint': return type.length ?? (type.unsigned ? 5 : 6);
    case 'mediumint': return type.length ?? (type.unsigned ? 8 : 9);
    case 'int': return type.length ?? (type.unsigned ? 10 : 11);
    case 'bigint': return type.length ?? 20;
    case 'decimal': return (type.length ?? 10) + ((type.scale ?? 0) > 0 ? 1 : 0) + (type.unsigned ? 0 : 1);
    case 'float': return 12;
    case 'double': return 22;
    case 'date': return 10;
    case 'time': return 10 + fraction;
    case 'datetime': case 'timestamp': return 19 + fraction;
    case 'year': return 4;
    case 'bit': case 'binary': case 'varbinary': return type.length ?? 1;
    case 'char': case 'varchar': return (type.length ?? 1) * bytesPerCharacter;
    case 'enum': return Math.max(0, ...type.labels.map((label) => [...label].length)) * bytesPerCharacter;
    case 'set': return Math.max(0, type.labels.reduce((sum, label) => sum + [...label].length + 1, -1)) * bytesPerCharacter;
    default: return textBytes[type.name] ?? 255;
  }
}

/** By the types of both sides: also where the emitter can do nothing but show the column. */
function formOf(column: MysqlColumnFacts): MysqlForm {
  const { type } = column;
  const local = column.localType.replace(/\s*\([\d,]*\)/, '');
  if (local === 'bytea') return { kind: 'bytes' };
  if (type.name === 'bit') return { kind: 'bit', bits: type.length ?? 1 };
  if (local === 'boolean') return { kind: 'boolean' };
  if (local === 'real') return { kind: 'float' };
  if (local === 'double precision') return { kind: 'double' };
  if (type.zerofill && local !== 'text') return { kind: 'zerofill', width: type.length ?? 10 };
  if (local === 'date') return { kind: 'date' };
  if (local.startsWith('timestamp')) return { kind: 'datetime', fraction: type.length ?? 0 };
  if (local === 'interval' || local.startsWith('time ')) return { kind: 'time', fraction: type.length ?? 0 };
  if (type.name === 'year' && local === 'smallint') return { kind: 'year' };
  return local === 'text[]' ? { kind: 'set', labels: type.labels } : { kind: 'same' };
}

const defined = (type: number, length: number, flags: number, decimals: number, charset: 'binary' | 'text', form: MysqlForm): Description => ({ type, length, flags, decimals, charset, form });

/** A narrower type than the value needs is never told. */
function integerCode({ told, min, max }: Extract<MysqlType, { kind: 'int' }>): number {
  return told !== undefined && min >= -(1n << 31n) && max < 1n << 32n ? told : 8;
}

function describe(type: MysqlType, value: Value, isMariadb: boolean): Description {
  const notNull = value.nullable ? 0 : flag.notNull;
  const number = notNull | flag.binary;
  switch (type.kind) {
    case 'bool': return defined(isMariadb ? 3 : 8, 1, number, 0, 'binary', { kind: 'boolean' });
    case 'int': return defined(integerCode(type), 21, number | (type.unsigned || !fitsBigint(type) ? flag.unsigned : 0), 0, 'binary', { kind: 'same' });
    case 'decimal': return defined(246, type.precision + 2, number, type.scale, 'binary', { kind: 'same' });
    case 'double': return defined(5, 23, number, type.decimals ?? notFixed, 'binary', { kind: 'double', decimals: type.decimals });
    case 'float': return defined(4, 12, number, notFixed, 'binary', { kind: 'float' });
    case 'text': return defined(253, (type.maxLength ?? 1024) * bytesPerCharacter, notNull, notFixed, 'text', { kind: 'same' });
    case 'bytes': return defined(253, 65_535, number, notFixed, 'binary', { kind: 'bytes' });
    case 'date': return defined(10, 10, number, 0, 'binary', { kind: 'date' });
    case 'datetime': case 'timestamp': return defined(12, 19 + (type.fraction > 0 ? type.fraction + 1 : 0), number, type.fraction, 'binary', { kind: 'datetime', fraction: type.fraction });
    case 'time': return defined(11, 10 + (type.fraction > 0 ? type.fraction + 1 : 0), number, type.fraction, 'binary', { kind: 'time', fraction: type.fraction });
    case 'year': return defined(13, 4, number | flag.unsigned | flag.zerofill, 0, 'binary', { kind: 'year' });
    case 'enum': return defined(254, Math.max(0, ...type.labels.map((label) => label.length)) * bytesPerCharacter, notNull | flag.enum, 0, 'text', { kind: 'same' });
    case 'set': return defined(254, 255, notNull | flag.set, 0, 'text', { kind: 'set', labels: type.labels });
    case 'bit': return defined(16, type.bits, number | flag.unsigned, 0, 'binary', { kind: 'bit', bits: type.bits });
    case 'json': return { ...defined(type.binary ? 245 : 252, 4_294_967_295, type.binary ? number : notNull, 0, type.binary ? 'binary' : 'text', { kind: 'same' }), ...(type.binary ? {} : extended('json')) };
    case 'null': return defined(6, 0, flag.binary, 0, 'binary', { kind: 'same' });
    case 'parameter': case 'other': return defined(253, 255, notNull, notFixed, 'text', { kind: 'same' });
  }
}
