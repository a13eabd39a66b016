/**
 * Arithmetic with PostgreSQL's results: quotients of integers are integers, overflow and division by zero fail, and a numeric has the
 * digits after its point that PostgreSQL gives it.
 * https://www.postgresql.org/docs/current/functions-math.html
 */
import { failIf } from './emission.ts';
import type { Emission, Value } from './emission.ts';
import { coerce } from './literal.ts';
import { asNumeric, commonType, isFloat, isInteger, isNumber, numeric, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { refuse } from './refusal.ts';

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%';

/** Added and taken away again it leaves a number of the type as it is, and takes any other out of the range of BIGINT. */
const reserve: Readonly<Record<string, string>> = { int2: '9223372036854743040', int4: '9223372034707292160' };

export function inRange(sql: string, type: PgType): string {
  const shift = reserve[type.name];
  return shift === undefined ? sql : `((((${sql} + ${shift}) - ${shift}) - ${shift}) + ${shift})`;
}

export function calculate(emission: Emission, operator: ArithmeticOperator, one: Value, other: Value, place: unknown): Value {
  const type = commonType(one.type, other.type);
  if (type === undefined || !isNumber(type)) refuse(`operator ${operator} of ${typeLabel(one.type)} and ${typeLabel(other.type)}`, place);
  const [left, right] = [one, other].map((value) => (value.type.name === 'unknown' ? coerce(emission, value, type, place) : value));
  if (left === undefined || right === undefined) return refuse('operator', place);
  // A bare NULL makes a double of what is worked out with it.
  if (left.sql === 'NULL' || right.sql === 'NULL') return refuse('arithmetic with NULL', place);
  const nullable = left.nullable || right.nullable;
  const constant = left.constant === true && right.constant === true;
  const result = isInteger(type) ? integers(operator, left, right, type) : isFloat(type) ? floats(operator, left, right, type, place) : decimals(operator, left, right, place);
  return { nullable, ...(constant ? { constant } : {}), ...result };
}

type Result = Pick<Value, 'sql' | 'type' | 'shown'>;

function integers(operator: ArithmeticOperator, left: Value, right: Value, type: PgType): Result {
  switch (operator) {
    case '+': case '-': case '*': return { sql: inRange(`(${left.sql} ${operator} ${right.sql})`, type), type };
    case '/': {
      const quotient = nonZero(left, right, `(${left.sql} DIV ${right.sql})`);
      return { sql: right.number !== undefined && right.number > 0 ? quotient : inRange(quotient, type), type };
    }
    case '%': return { sql: nonZero(left, right, `(${left.sql} MOD ${right.sql})`), type };
    default: return operator satisfies never;
  }
}

function nonZero(left: Value, right: Value, sql: string): string {
  if (right.number !== undefined && right.number !== 0) return sql;
  const isZero = `${right.sql} = 0${left.nullable ? ` AND ${left.sql} IS NOT NULL` : ''}`;
  return `IF(${isZero}, ${failIf(isZero)}, ${sql})`;
}

function floats(operator: ArithmeticOperator, left: Value, right: Value, type: PgType, place: unknown): Result {
  if (type.name === 'float4') refuse('arithmetic of real', place);
  if (operator === '%') refuse('operator % of double precision', place);
  const [one, other] = [asFloat(left), asFloat(right)];
  const sql = `(${one} ${operator} ${other})`;
  switch (operator) {
    case '*': return { sql: isAtLeastOne(left) || isAtLeastOne(right) ? sql : notLost(sql, `${one} <> 0 AND ${other} <> 0`), type };
    case '/': return { sql: nonZero(left, right, right.number !== undefined && Math.abs(right.number) <= 1 ? sql : notLost(sql, `${one} <> 0`)), type };
    default: return { sql, type };
  }
}

function isAtLeastOne(value: Value): boolean {
  return value.number !== undefined && Math.abs(value.number) >= 1;
}

/** A result that is too small for a double is an error on PostgreSQL, and 0 on MySQL. */
function notLost(sql: string, isWanted: string): string {
  const isLost = `${sql} = 0 AND ${isWanted}`;
  return `IF(${isLost}, ${failIf(isLost)}, ${sql})`;
}

function asFloat(value: Value): string {
  return isFloat(value.type) ? value.sql : `(${value.sql} + 0e0)`;
}

/** Digits before the point, and after it, that MySQL has to hold; those of a number of varying scale are a guess that is never too small. */
function digitsOf(type: PgType): { readonly whole: number; readonly scale: number } {
  const scale = type.scale ?? (type.precision === undefined ? 30 : 15);
  return { whole: (type.precision ?? 50) - scale, scale };
}

function decimals(operator: ArithmeticOperator, left: Value, right: Value, place: unknown): Result {
  const [one, other] = [asNumeric(left.type), asNumeric(right.type)];
  const isFixed = one.scale !== undefined && other.scale !== undefined;
  switch (operator) {
    case '+': case '-': {
      const [a, b] = [digitsOf(one), digitsOf(other)];
      const scale = Math.max(a.scale, b.scale);
      return { sql: `(${left.sql} ${operator} ${right.sql})`, type: isFixed ? fixed(Math.max(a.whole, b.whole) + 1, scale, place) : numeric() };
    }
    case '*': return product(left, right, one, other, place);
    case '/': return quotient(left, right, place);
    case '%':
      if (!isFixed) refuse('remainder of numeric of varying scale', place);
      // MariaDB and MySQL 5.6 have a remainder of -0.
      return { sql: nonZero(left, right, `((${left.sql} MOD ${right.sql}) + 0)`), type: numeric(Math.max(one.precision ?? 65, other.precision ?? 65), Math.max(one.scale ?? 0, other.scale ?? 0)) };
    default: return operator satisfies never;
  }
}

function product(left: Value, right: Value, one: PgType, other: PgType, place: unknown): Result {
  const sql = `(${left.sql} * ${right.sql})`;
  const [a, b] = [digitsOf(one), digitsOf(other)];
  if (one.scale !== undefined && other.scale !== undefined) return { sql, type: fixed(a.whole + b.whole, a.scale + b.scale, place) };
  if (a.scale + b.scale > 30) refuse('product of numeric of varying scale', place);
  return { sql, type: numeric() };
}

function fixed(whole: number, scale: number, place: unknown): PgType {
  if (scale > 30 || whole + scale > 65) refuse('numeric of more than 65 digits', place);
  return numeric(whole + scale, scale);
}

/**
 * PostgreSQL keeps at least 16 significant digits of a quotient, counted in groups of four from the point (select_div_scale in
 * numeric.c); the same number of digits is worked out here for each row.
 */
export function quotient(left: Value, right: Value, place: unknown): Result {
  const [one, other] = [asNumeric(left.type), asNumeric(right.type)];
  if (one.scale === undefined || other.scale === undefined) return refuse('quotient of numeric of varying scale', place);
  const isSmaller = `(${leadingGroup(left, one)} <= ${leadingGroup(right, other)})`;
  const scale = `GREATEST(16 - 4 * (${weight(left, one)} - ${weight(right, other)} - ${isSmaller}), ${one.scale}, ${other.scale}, 0)`;
  const digits = `CAST(ROUND(${left.sql} / ${right.sql}, IF(${scale} > 30, ${failIf(`${scale} > 30`)}, ${scale})) AS DECIMAL(65,30))`;
  const sql = nonZero(left, right, digits);
  const textual = `CONCAT(${sql})`;
  return { sql, type: numeric(), shown: `LEFT(${textual}, LOCATE('.', ${textual}) + IF(${scale} = 0, -1, ${scale}))` };
}

function groups(type: PgType): readonly number[] {
  const { whole, scale } = digitsOf(type);
  const highest = Math.max(Math.ceil(whole / 4) - 1, 0);
  const lowest = -Math.ceil(scale / 4);
  return Array.from({ length: highest - lowest + 1 }, (_, index) => highest - index);
}

/** 10000 to the power of `group`, exactly. */
function power(group: number): string {
  return group >= 0 ? `1${'0'.repeat(group * 4)}` : `0.${'0'.repeat(-group * 4 - 1)}1`;
}

function weight(value: Value, type: PgType): string {
  const arms = groups(type).map((group) => `WHEN ABS(${value.sql}) >= ${power(group)} THEN ${group}`);
  return `(CASE ${arms.join(' ')} ELSE 0 END)`;
}

function leadingGroup(value: Value, type: PgType): string {
  const arms = groups(type).map((group) => `WHEN ABS(${value.sql}) >= ${power(group)} THEN ABS(${value.sql}) ${group >= 0 ? `DIV ${power(group)}` : `* ${power(-group)}`}`);
  return `TRUNCATE(CASE ${arms.join(' ')} ELSE 0 END, 0)`;
}

export function negate(emission: Emission, given: Value, place: unknown): Value {
  if (given.number !== undefined && given.constant === true && isInteger(given.type)) return { ...given, sql: `(-${given.sql})`, number: -given.number };
  if (!isNumber(given.type) || given.type.name === 'float4') return refuse(`operator - of ${typeLabel(given.type)}`, place);
  const value = coerce(emission, given, given.type, place);
  const { shown: _shown, column: _column, number: _number, ...rest } = value;
  return { ...rest, sql: negated(value) };
}

/** Of a double 0 the negative is -0, which MySQL's minus does not make. */
function negated(value: Value): string {
  if (isFloat(value.type)) return `(${value.sql} * -1e0)`;
  return isInteger(value.type) ? inRange(`(-${value.sql})`, value.type) : `(-${value.sql})`;
}
