/** Functions of numbers whose results are the same on both sides. */
import { calculate, inRange } from './arithmetic.ts';
import { failIf } from './emission.ts';
import type { Emission, Value } from './emission.ts';
import { coerce } from './literal.ts';
import { asNumeric, float8, isFloat, isInteger, isNumber, numeric, typeLabel } from './pg-type.ts';
import { refuse } from './refusal.ts';

export type FunctionEmitter = (emission: Emission, values: readonly Value[], place: unknown) => Value;

function plain(value: Value, sql: string): Value {
  return { sql, type: value.type, nullable: value.nullable, ...(value.constant === true ? { constant: true } : {}) };
}

function one(name: string, emit: (value: Value, place: unknown) => Value): FunctionEmitter {
  return (_emission, values, place) => {
    const [value] = values;
    if (value === undefined || values.length > 1 || !isNumber(value.type) || value.type.name === 'float4') return refuse(`function ${name} of these arguments`, place);
    return emit(value, place);
  };
}

/** Of an integer PostgreSQL takes the double precision one, which leaves it as it is. */
function wholeNumber(name: string, word: 'CEILING' | 'FLOOR'): FunctionEmitter {
  return one(name, (value) => {
    if (isInteger(value.type)) return { ...plain(value, `(${value.sql} + 0e0)`), type: float8 };
    // MySQL 5.6 has room for fewer digits where such a number is a column of a subquery.
    if (value.type.name === 'numeric') return { ...plain(value, `CAST(${word}(${value.sql}) AS DECIMAL(${Math.min(65, (value.type.precision ?? 64) + 1)},0))`), type: numeric(value.type.precision === undefined ? undefined : Math.min(65, value.type.precision + 1), 0) };
    return plain(value, word === 'FLOOR' ? `(FLOOR(${value.sql}) * 1e0)` : ceilingOfDouble(value.sql));
  });
}

/**
 * What lies between -1 and 0 goes up to -0, which MySQL does not make. Times one: a sorted result has room for 17 digits of what FLOOR and
 * CEILING give, and would cut a larger number to them.
 */
function ceilingOfDouble(sql: string): string {
  return `IF(${sql} < 0 AND CEILING(${sql}) = 0, 0e0 * -1e0, CEILING(${sql}) * 1e0)`;
}

function rounding(name: 'round' | 'trunc'): FunctionEmitter {
  return (emission, values, place) => {
    const [given, digits, ...others] = values;
    if (given === undefined || others.length > 0 || given.type.name === 'unknown') return refuse(`function ${name} of these arguments`, place);
    // MySQL rounds a double away from zero, PostgreSQL to the even neighbour.
    if (isFloat(given.type) || (digits === undefined && isInteger(given.type))) return isFloat(given.type) ? refuse(`function ${name} of double precision`, place) : { ...plain(given, `(${given.sql} + 0e0)`), type: float8 };
    if (!isNumber(given.type)) return refuse(`function ${name} of ${typeLabel(given.type)}`, place);
    const scale = digits === undefined ? 0 : digits.number;
    if (scale === undefined || scale < 0 || scale > 30 || !Number.isInteger(scale)) return refuse(`function ${name} to digits that are no constant from 0 to 30`, place);
    const value = coerce(emission, given, numeric(), place);
    const from = asNumeric(given.type);
    const whole = from.precision === undefined ? undefined : from.precision - (from.scale ?? 0) + 1 + scale;
    const cut = name === 'round' ? `ROUND(${value.sql}, ${scale})` : `TRUNCATE(${value.sql}, ${scale})`;
    // Digits that the value has not are shown as zeros by PostgreSQL, and not by MySQL.
    const isShort = from.scale === undefined || from.scale < scale;
    const total = Math.min(65, whole ?? 65);
    return { ...plain(given, isShort ? `CAST(${cut} AS DECIMAL(${Math.max(total, scale + 1)},${scale}))` : cut), type: numeric(total, scale) };
  };
}

export const mathFunctions: Readonly<Record<string, FunctionEmitter>> = {
  abs: one('abs', (value) => plain(value, isInteger(value.type) ? inRange(`ABS(${value.sql})`, value.type) : `ABS(${value.sql})`)),
  ceil: wholeNumber('ceil', 'CEILING'),
  ceiling: wholeNumber('ceiling', 'CEILING'),
  floor: wholeNumber('floor', 'FLOOR'),
  sign: one('sign', (value) => (value.type.name === 'numeric' ? { ...plain(value, `SIGN(${value.sql})`), type: numeric(1, 0) } : { ...plain(value, `(SIGN(${value.sql}) + 0e0)`), type: float8 })),
  round: rounding('round'),
  trunc: rounding('trunc'),
  mod: (emission, values, place) => {
    const [left, right] = values;
    return left === undefined || right === undefined || values.length > 2 ? refuse('function mod of these arguments', place) : calculate(emission, '%', left, right, place);
  },
  sqrt: one('sqrt', (value, place) => {
    if (value.type.name === 'numeric') return refuse('function sqrt of numeric', place);
    const isNegative = `${value.sql} < 0`;
    return { ...plain(value, `IF(${isNegative}, ${failIf(isNegative)}, SQRT(${value.sql}))`), type: float8 };
  }),
};
