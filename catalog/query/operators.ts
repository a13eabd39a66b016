/** Operators by the types of their operands (manual §10.2), for the types the catalog has. */
import { refuse } from './refusal.ts';
import { meetingType, typeTitles } from './sql-types.ts';
import type { SqlType } from './sql-types.ts';
import { asText, castTo, coerce, comparable, isNumber, isString, isTime, nullOf, typed } from './typed.ts';
import type { Typed } from './typed.ts';

const comparisons: Readonly<Record<string, string>> = { '=': '=', '<>': '<>', '!=': '<>', '<': '<', '>': '>', '<=': '<=', '>=': '>=' };

export function binary(operator: string, left: Typed, right: Typed, at?: number): Typed {
  const comparison = comparisons[operator];
  if (comparison !== undefined) return compare(comparison, left, right, at);
  switch (operator) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return arithmetic(operator, left, right, at);
    case '||':
      return concatenate(left, right, at);
    case '->':
    case '->>':
      return jsonAccess(operator, left, right, at);
    case '~~':
      return like(left, right, false, at);
    case '~~*':
      return like(left, right, true, at);
    case '!~~':
      return not(like(left, right, false, at));
    case '!~~*':
      return not(like(left, right, true, at));
    default:
      return refuse(`operator ${operator} cannot be used in queries on SYS$MIGRATION_ tables`, at, operator.includes('~') ? 'Use LIKE or ILIKE.' : undefined);
  }
}

export function compare(operator: string, left: Typed, right: Typed, at?: number): Typed {
  const [a, b] = matched(operator, left, right, at);
  return typed(`(${comparable(a, at)} ${operator} ${comparable(b, at)})`, 'bool');
}

/** IS [NOT] DISTINCT FROM. */
export function distinct(left: Typed, right: Typed, negated: boolean, at?: number): Typed {
  const [a, b] = matched('=', left, right, at);
  return typed(`(${comparable(a, at)} IS ${negated ? '' : 'NOT '}${comparable(b, at)})`, 'bool');
}

export function not(value: Typed): Typed {
  return typed(`(NOT ${value.sql})`, 'bool');
}

/** Both operands as the type that the operator takes. */
export function matched(operator: string, left: Typed, right: Typed, at?: number): readonly [Typed, Typed] {
  const met = meetingType(left.type, right.type) ?? noOperator(operator, left, right, at);
  const type: SqlType = met === 'unknown' || met === 'varchar' ? 'text' : met;
  return [coerce(left, type, at), coerce(right, type, at)];
}

export function unary(operator: string, value: Typed, at?: number): Typed {
  if (operator === '+' && isNumber(value.type)) return value;
  if (operator === '-') {
    if (value.type === 'int4' || value.type === 'int8') return typed(`pg_int_op('-', '${value.type}', 0, ${value.sql})`, value.type);
    if (value.type === 'numeric') return typed(`pg_num_neg(${value.sql})`, 'numeric');
    if (value.type === 'float8') return typed(`(- ${value.sql})`, 'float8');
    if (value.type === 'interval') return typed(`pg_iv_mul(${value.sql}, -1)`, 'interval');
  }
  return refuse(`operator does not exist: ${operator} ${typeTitles[value.type]}`, at);
}

function arithmetic(operator: string, left: Typed, right: Typed, at: number | undefined): Typed {
  // A literal takes the type of the other side; beside a time, `+` reads it as an interval.
  const a = left.literal !== undefined ? literalBeside(left, right.type, operator, at) : left;
  const b = right.literal !== undefined ? literalBeside(right, left.type, operator, at) : right;
  if (isNumber(a.type) && isNumber(b.type)) return numberArithmetic(operator, a, b, at);
  return timeArithmetic(operator, a, b) ?? noOperator(operator, left, right, at);
}

function literalBeside(literal: Typed, other: SqlType, operator: string, at: number | undefined): Typed {
  if (literal.literal === null && other === 'unknown') return nullOf('int4');
  if (other === 'date') return coerce(literal, operator === '+' ? 'int4' : 'date', at);
  return coerce(literal, isTime(other) && operator === '+' ? 'interval' : other, at);
}

function numberArithmetic(operator: string, left: Typed, right: Typed, at: number | undefined): Typed {
  const type = meetingType(left.type, right.type) ?? noOperator(operator, left, right, at);
  const a = coerce(left, type, at);
  const b = coerce(right, type, at);
  if (type === 'int4' || type === 'int8') return typed(`pg_int_op('${operator}', '${type}', ${a.sql}, ${b.sql})`, type);
  if (operator === '%') return refuse(`operator % cannot be used with ${typeTitles[type]}`, at);
  if (type === 'numeric') return typed(`pg_num_op('${operator}', ${a.sql}, ${b.sql})`, 'numeric');
  return typed(operator === '/' ? `pg_float_div(${a.sql}, ${b.sql})` : `(${a.sql} ${operator} ${b.sql})`, 'float8');
}

function timeArithmetic(operator: string, a: Typed, b: Typed): Typed | undefined {
  const sign = operator === '+' || operator === '-';
  if (isTime(a.type) && b.type === 'interval' && sign) {
    const interval = operator === '+' ? b.sql : `pg_iv_mul(${b.sql}, -1)`;
    return typed(`pg_ts_add(${a.sql}, ${interval})`, a.type === 'date' ? 'timestamp' : a.type);
  }
  if (a.type === 'interval' && isTime(b.type) && operator === '+') return timeArithmetic('+', b, a);
  if (a.type === 'date' && b.type === 'date' && operator === '-') return typed(`pg_date_sub(${a.sql}, ${b.sql})`, 'int4');
  if (a.type === 'date' && b.type === 'int4' && sign) return typed(`pg_date_add(${a.sql}, ${operator === '+' ? b.sql : `-(${b.sql})`})`, 'date');
  if (isTime(a.type) && isTime(b.type) && operator === '-') return typed(`pg_ts_sub(${a.sql}, ${b.sql})`, 'interval');
  if (a.type === 'interval' && b.type === 'interval' && sign) {
    return typed(`pg_iv_add(${a.sql}, ${operator === '+' ? b.sql : `pg_iv_mul(${b.sql}, -1)`})`, 'interval');
  }
  if (a.type === 'interval' && isNumber(b.type) && operator === '*') return typed(`pg_iv_mul(${a.sql}, ${castTo(b, 'float8').sql})`, 'interval');
  if (a.type === 'interval' && isNumber(b.type) && operator === '/') return typed(`pg_iv_div(${a.sql}, ${castTo(b, 'float8').sql})`, 'interval');
  return undefined;
}

function concatenate(left: Typed, right: Typed, at: number | undefined): Typed {
  if (!isString(left.type) && !isString(right.type)) return noOperator('||', left, right, at);
  return typed(`pg_join(${asText(left).sql}, ${asText(right).sql})`, 'text');
}

function jsonAccess(operator: '->' | '->>', left: Typed, right: Typed, at: number | undefined): Typed {
  if (left.type !== 'json') return noOperator(operator, left, right, at);
  const key = right.type === 'int4' ? right : coerce(right, 'text', at);
  return operator === '->' ? typed(`pg_json_get(${left.sql}, ${key.sql})`, 'json') : typed(`pg_json_get_text(${left.sql}, ${key.sql})`, 'text');
}

function like(left: Typed, right: Typed, insensitive: boolean, at: number | undefined): Typed {
  const value = coerce(left, 'text', at);
  const pattern = coerce(right, 'text', at);
  return typed(`pg_like(${value.sql}, ${pattern.sql}, ${Number(insensitive)})`, 'bool');
}

function noOperator(operator: string, left: Typed, right: Typed, at: number | undefined): never {
  return refuse(
    `operator does not exist: ${typeTitles[left.type]} ${operator} ${typeTitles[right.type]}`, at, 'You might need to add explicit type casts.',
  );
}
