/** Values on their way into columns: PostgreSQL's assignment casts, and what MySQL would quietly change. */
import { columnType, isWritten } from './column-type.ts';
import { castValue } from './cast.ts';
import { failIf, quoteMysqlText } from './emission.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { decide, parameterOf } from './literal.ts';
import { isFloat, isMoment, isNumber, isText, numeric, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { textOf } from './text-value.ts';
import { refuse } from './refusal.ts';
import type { ColumnFacts, TableFacts } from './translation.ts';
import { nodeOf } from '../../sql/tree.ts';

export function findColumn(table: TableFacts, name: string, place?: unknown): ColumnFacts {
  return table.columns.find((column) => column.name === name) ?? refuse(`column ${name}`, place);
}

/** The text that puts the node's value into the column. */
export function assign(emission: Emission, column: ColumnFacts, node: unknown, scope: Scope): string {
  // The default of such a column is 0 where 0 does not stand for the next number.
  if (nodeOf(node, 'SetToDefault') !== undefined) return column.autoIncrement === true ? 'NULL' : 'DEFAULT';
  const number = Number(nodeOf(node, 'ParamRef')?.['number'] ?? 0);
  const given = number > 0 ? emission.givenType(number) : undefined;
  // Whether a parameter is NULL is known when it is bound, whoever has said its type.
  if (given !== undefined && given.name !== 'unknown' && isNullReplaced(column)) return assignValue(emission, column, { ...parameterOf(emission, number, given, { notNull: true }), nullable: false });
  return assignValue(emission, column, emission.expression(node, scope));
}

/** MySQL makes a value of its own from NULL there. */
function isNullReplaced(column: ColumnFacts): boolean {
  return column.autoIncrement === true || (!column.nullable && column.mysqlType === 'timestamp');
}

export function assignValue(emission: Emission, column: ColumnFacts, value: Value): string {
  if (column.generated === true) return refuse(`value for the generated column ${column.name}`);
  const type = columnType(column);
  const notNull = isNullReplaced(column);
  if (value.literal === null) return notNull ? refuse(`NULL for column ${column.name}`) : 'NULL';
  if (column.mysqlType === 'binary' && column.exact !== false) return filled(emission, column, value);
  if (value.parameter !== undefined) return parameterFor(emission, column, value.parameter, type, notNull);
  if (notNull && value.nullable) return refuse(`value that may be NULL for column ${column.name}`);
  if (type.name === 'json' || type.name === 'jsonb') return typeof value.literal === 'string' && isJson(value.literal) ? quoteMysqlText(value.literal) : refuse(`${typeLabel(type)} value that is no constant`);
  if (column.exact !== false && isWritten(type, column) && value.literal !== undefined) return decide(emission, value, type).sql;
  if (column.exact === false || ['other', 'uuid', 'time', 'interval', 'bpchar'].includes(type.name) || !isPlainTarget(column, type)) return refuse(`value for column ${column.name} of type ${column.type}`);
  checkFraction(column, value);
  if (value.literal !== undefined) return decide(emission, value, type).sql;
  return converted(emission, column, value, type).sql;
}

/** The server fills a BINARY up with zeros; local keeps what it is given. */
function filled(emission: Emission, column: ColumnFacts, value: Value): string {
  const { sql, nullable, type } = decide(emission, value, columnType(column));
  if (type.name !== 'bytea' || column.bytes === undefined) return refuse(`value for column ${column.name} of type ${column.type}`);
  const isShort = `LENGTH(${sql}) <> ${column.bytes}`;
  return nullable || value.constant !== true ? `IF(${isShort}, ${failIf(isShort)}, ${sql})` : sql.length === column.bytes * 2 + 3 ? sql : refuse(`value of another length for column ${column.name}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** ENUM takes numbers for places in its list, and BIT, YEAR and others change values in their own way. */
function isPlainTarget(column: ColumnFacts, type: PgType): boolean {
  const targets: Readonly<Record<string, readonly string[]>> = { text: ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'], number: ['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double'] };
  if (isText(type)) return targets['text']?.includes(column.mysqlType) === true;
  if (isNumber(type) || type.name === 'bool') return targets['number']?.includes(column.mysqlType) === true;
  return type.name !== 'bytea' || /blob|binary/.test(column.mysqlType);
}

function parameterFor(emission: Emission, column: ColumnFacts, number: number, type: PgType, notNull: boolean): string {
  if (column.exact === false || type.name === 'bpchar' || (type.name === 'uuid' && !isWritten(type, column)) || !(isPlainTarget(column, type) || type.name === 'json' || type.name === 'jsonb')) return refuse(`value for column ${column.name} of type ${column.type}`);
  // A fraction that the column would cut is found when the parameter is bound.
  const wanted: PgType = isMoment(type) && type.name !== 'date' && !keepsFraction(column) ? { ...type, scale: column.fraction ?? 0 } : type.name === 'numeric' ? numeric() : type.name === 'other' ? type : { name: type.name };
  return parameterOf(emission, number, wanted, notNull ? { notNull } : {}).sql;
}

/** Both sides have the same number of digits, and round to it alike. */
function keepsFraction(column: ColumnFacts): boolean {
  const own = /^timestamp\((\d)\)/.exec(column.type)?.[1];
  return (own === undefined ? 6 : Number(own)) === (column.fraction ?? 0);
}

function checkFraction(column: ColumnFacts, value: Value): void {
  if (!['datetime', 'timestamp'].includes(column.mysqlType) || keepsFraction(column)) return;
  const digits = typeof value.literal === 'string' ? /\.(\d+)/.exec(value.literal)?.[1]?.length ?? 0 : value.type.name === 'date' ? 0 : 6;
  if (digits > (column.fraction ?? 0)) refuse(`fraction of a second for column ${column.name}`);
}

/** PostgreSQL rounds digits that the column has no room for, halves away from the year 2000; MySQL rounds halves up, and MariaDB cuts them off. */
function rounded(emission: Emission, column: ColumnFacts, value: Value, from: PgType): Value {
  const fraction = column.fraction ?? 0;
  if (!['datetime', 'timestamp'].includes(column.mysqlType) || fraction >= 6 || from.name === 'date') return value;
  const half = 5 * 10 ** (5 - fraction);
  if (!emission.capabilities.subqueryCache) return { ...value, sql: `IF(${value.sql} < '2000-01-01', DATE_SUB(${value.sql}, INTERVAL 1 MICROSECOND), ${value.sql})` };
  return { ...value, sql: `DATE_ADD(${value.sql}, INTERVAL IF(${value.sql} < '2000-01-01', ${half - 1}, ${half}) MICROSECOND)` };
}

/** Half of the smallest number that a real has: what is not more would be 0, and is an error on PostgreSQL. */
function single(value: Value): Value {
  const isLost = `${value.sql} <> 0 AND ABS(${value.sql}) <= 7.006492321624085e-46`;
  return { ...value, sql: `IF(${isLost}, ${failIf(isLost)}, ${value.sql})` };
}

function converted(emission: Emission, column: ColumnFacts, value: Value, type: PgType): Value {
  const from = value.type;
  if (isText(type)) return textOf(emission, value);
  if (isNumber(type) && isNumber(from)) return isFloat(from) && !isFloat(type) ? refuse(`${typeLabel(from)} into a column of ${typeLabel(type)}`) : type.name === 'float4' && from.name === 'float8' ? single(value) : value;
  if (isMoment(type) && isMoment(from)) return rounded(emission, column, castValue(emission, value, type, undefined), from);
  return from.name === type.name ? value : refuse(`${typeLabel(from)} into a column of ${typeLabel(type)}`);
}
