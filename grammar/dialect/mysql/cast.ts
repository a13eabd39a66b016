/** Explicit casts: what PostgreSQL rounds, cuts or refuses, MySQL must too. */
import { inRange } from './arithmetic.ts';
import { failIf } from './emission.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { decide } from './literal.ts';
import { asNumeric, castType, isInteger, isText, numeric, text as textType, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { textOf } from './text-value.ts';
import { refuse } from './refusal.ts';
import type { Tree } from '../../sql/tree.ts';
import { treeOf } from '../../sql/tree.ts';

export function castExpression(emission: Emission, node: Tree, scope: Scope): Value {
  const type = castType(node['typeName']);
  const place = node['location'] === -1 ? treeOf(node['typeName'])?.['location'] : node['location'];
  if (type.name === 'interval' || type.name === 'other') refuse(`value of type ${typeLabel(type)}`, place);
  return castValue(emission, emission.expression(node['arg'], scope), type, place);
}

export function castValue(emission: Emission, given: Value, type: PgType, place: unknown): Value {
  if (given.type.name === 'unknown') return castUndecided(emission, given, type, place);
  const { shown: _shown, column: _column, literal: _literal, parameter: _parameter, number: _number, ...value } = given;
  if (isText(type)) return cutText(textOf(emission, given, place), type, place);
  const from = value.type;
  if (isInteger(type)) return toInteger(given, type, place);
  switch (type.name) {
    case 'numeric': return toNumeric(given, type, place);
    case 'float8':
      if (isInteger(from) || from.name === 'numeric') return { ...value, type, sql: `(${value.sql} + 0e0)`, ...(given.number === undefined ? {} : { number: given.number }) };
      if (from.name === 'float8' || from.name === 'float4') return { ...value, type };
      break;
    case 'bool':
      if (from.name === 'bool') return given;
      if (from.name === 'int4') return { ...value, type, sql: `(${value.sql} <> 0)` };
      break;
    case 'date': case 'timestamp': case 'timestamptz': return toMoment(emission, value, type, place);
    default:
  }
  return from.name === type.name ? given : refuse(`cast of ${typeLabel(from)} to ${typeLabel(type)}`, place);
}

function castUndecided(emission: Emission, given: Value, type: PgType, place: unknown): Value {
  if (given.parameter !== undefined) {
    const plain = type.name === 'numeric' ? numeric() : isText(type) ? textType : { name: type.name };
    const value = decide(emission, given, plain, place);
    return type.name === 'numeric' && type.scale === undefined ? value : castValue(emission, value, type, place);
  }
  if (given.literal === null) return { sql: nullSql(type), type, nullable: true, constant: true };
  if (isText(type)) return cutText(decide(emission, given, textType, place), type, place);
  return type.name === 'numeric' ? toNumeric(decide(emission, given, numeric(), place), type, place) : decide(emission, given, type, place);
}

/** A NULL of its own type: beside a bare one numbers lose their scale or become doubles, and dates become text. */
function nullSql(type: PgType): string {
  switch (type.name) {
    case 'numeric': return type.scale === undefined || type.precision === undefined ? 'NULL' : `CAST(NULL AS DECIMAL(${type.precision},${type.scale}))`;
    case 'bool': case 'int2': case 'int4': case 'int8': return 'CAST(NULL AS SIGNED)';
    case 'date': return 'CAST(NULL AS DATE)';
    case 'timestamp': case 'timestamptz': return 'CAST(NULL AS DATETIME(6))';
    default: return 'NULL';
  }
}

/** varchar(n) and char(n) of a cast cut without a word. */
function cutText(value: Value, type: PgType, place: unknown): Value {
  if (type.name === 'bpchar') refuse('cast to character', place);
  if (type.length === undefined) return { ...value, type };
  const { column: _column, ...rest } = value;
  return { ...rest, type, sql: `LEFT(${value.sql}, ${type.length})` };
}

function toInteger(given: Value, type: PgType, place: unknown): Value {
  const { shown: _shown, column: _column, number, ...value } = given;
  const from = given.type;
  if (isInteger(from)) return { ...given, type, sql: from.name === 'int2' || from.name === type.name ? value.sql : inRange(value.sql, type) };
  if (from.name === 'bool') return { ...value, type, sql: `(${value.sql} + 0)` };
  if (from.name !== 'numeric') return refuse(`cast of ${typeLabel(from)} to ${typeLabel(type)}`, place);
  const digits = from.precision === undefined ? 65 : from.precision - (from.scale ?? 0);
  const cast = `CAST(${value.sql} AS SIGNED)`;
  // MySQL takes the nearest BIGINT for what is out of range.
  const isLarge = `ABS(ROUND(${value.sql}, 0)) > 9223372036854775807`;
  const checked = type.name === 'int8' && digits > 18 ? `IF(${isLarge}, ${failIf(isLarge)}, ${cast})` : cast;
  return { ...value, type, sql: inRange(checked, type), ...(number !== undefined && Number.isInteger(number) ? { number } : {}) };
}

function toNumeric(given: Value, type: PgType, place: unknown): Value {
  // Rounded it is another number.
  const { column: _column, shown: _shown, number: _number, ...value } = given;
  const from = asNumeric(given.type);
  if (from.name !== 'numeric') return refuse(`cast of ${typeLabel(from)} to numeric`, place);
  if (type.scale === undefined || type.precision === undefined) return { ...given, type: from };
  const limit = `1${'0'.repeat(type.precision - type.scale)}`;
  const isLarge = `ABS(ROUND(${value.sql}, ${type.scale})) >= ${limit}`;
  const cast = (sql: string): string => `CAST(${sql} AS DECIMAL(${type.precision},${type.scale}))`;
  const fits = from.precision !== undefined && from.scale !== undefined && from.precision - from.scale < type.precision - type.scale;
  return { ...value, type, sql: cast(fits ? value.sql : `IF(${isLarge}, ${failIf(isLarge)}, ${value.sql})`) };
}

function toMoment(emission: Emission, value: Value, type: PgType, place: unknown): Value {
  const from = value.type;
  if (from.name === type.name) return { ...value, type };
  if (from.name !== 'date' && from.name !== 'timestamp' && from.name !== 'timestamptz') return refuse(`cast of ${typeLabel(from)} to ${typeLabel(type)}`, place);
  if ((from.name === 'timestamptz' || type.name === 'timestamptz') && emission.facts.timeZone !== 'UTC') refuse(`cast of ${typeLabel(from)} to ${typeLabel(type)} in time zone ${emission.facts.timeZone}`, place);
  if (type.name === 'date') return { ...value, type, sql: `DATE(${value.sql})` };
  return { ...value, type, sql: from.name === 'date' ? `CAST(${value.sql} AS DATETIME)` : value.sql };
}
