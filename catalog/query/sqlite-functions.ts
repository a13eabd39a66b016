/**
 * PostgreSQL's behaviour as SQLite functions, all named `pg_…`; the translation writes calls of them, a query cannot.
 * A NULL argument gives NULL unless said otherwise.
 */
import type Database from 'better-sqlite3';
import { asBigInt, checkRange, comparisonKey, convert, decimalOf } from './conversion.ts';
import type { SqliteValue } from './conversion.ts';
import { addDecimals, divideDecimals, floorDecimal, formatDecimal, multiplyDecimals, negateDecimal, roundDecimal, truncateDecimal } from './decimal.ts';
import type { Decimal } from './decimal.ts';
import { addIntervals, decodeInterval, divideInterval, encodeInterval, scaleInterval } from './interval.ts';
import { Refusal } from './refusal.ts';
import type { SqlType } from './sql-types.ts';
import { addInterval, decodeTimestamp, encodeTimestamp, extractFromInterval, extractFromTimestamp, subtractTimestamps, truncateTimestamp } from './timestamp.ts';

const TEXT_LIMIT = 1_000_000;

type Strict = (...values: (string | number | bigint | Buffer)[]) => SqliteValue;

/** `tick` is called for every row visited and every function called, and throws when the query has used up what it may. */
export function registerFunctions(database: Database.Database, tick: () => void): void {
  database.function('pg_tick', { varargs: true }, () => {
    tick();
    return 1;
  });
  for (const [name, body] of Object.entries(strictFunctions)) {
    database.function(name, { varargs: true, deterministic: true }, (...values: SqliteValue[]) => {
      tick();
      const given = values.filter((value) => value !== null);
      return given.length < values.length ? null : body(...given);
    });
  }
  for (const [name, body] of Object.entries(lenientFunctions)) {
    database.function(name, { varargs: true, deterministic: true }, (...values: SqliteValue[]) => {
      tick();
      return body(values);
    });
  }
  registerAggregates(database);
}

const decimal = (value: SqliteValue | undefined): Decimal => decimalOf(value ?? null);
const text = (value: SqliteValue | undefined): string => String(value);

const strictFunctions: Readonly<Record<string, Strict>> = {
  pg_cast: (value = 0n, from, to) => convert(value, text(from) as SqlType, text(to) as SqlType),
  pg_key: (value = 0n, type) => comparisonKey(value, text(type) as SqlType),
  pg_int_op: (operator, type, a = 0n, b = 0n) => checkRange(integerOperation(text(operator), asBigInt(a), asBigInt(b)), type === 'int4' ? 'int4' : 'int8'),
  pg_num_op: (operator, a, b) => formatDecimal(decimalOperation(text(operator), decimal(a), decimal(b))),
  pg_float_div: (a, b) => (Number(b) === 0 ? divisionByZero() : Number(a) / Number(b)),
  pg_num_neg: (a) => formatDecimal(negateDecimal(decimal(a))),
  pg_num_round: (a, scale) => formatDecimal(roundDecimal(decimal(a), Number(scale))),
  pg_num_trunc: (a, scale) => formatDecimal(truncateDecimal(decimal(a), Number(scale))),
  pg_num_floor: (a) => formatDecimal(floorDecimal(decimal(a))),
  pg_num_ceil: (a) => formatDecimal(negateDecimal(floorDecimal(negateDecimal(decimal(a))))),
  pg_num_abs: (a) => formatDecimal(decimal(a).unscaled < 0n ? negateDecimal(decimal(a)) : decimal(a)),
  pg_ts_add: (a, interval) => encodeTimestamp(addInterval(decodeTimestamp(text(a)), decodeInterval(text(interval)))),
  pg_ts_sub: (a, b) => encodeInterval(subtractTimestamps(decodeTimestamp(text(a)), decodeTimestamp(text(b)))),
  pg_date_sub: (a, b) => (decodeTimestamp(text(a)) - decodeTimestamp(text(b))) / 86_400_000_000n,
  pg_date_add: (a, days) => encodeTimestamp(decodeTimestamp(text(a)) + asBigInt(days ?? 0n) * 86_400_000_000n).slice(0, 10),
  pg_iv_add: (a, b) => encodeInterval(addIntervals(decodeInterval(text(a)), decodeInterval(text(b)))),
  pg_iv_mul: (a, factor) => encodeInterval(scaleInterval(decodeInterval(text(a)), Number(factor))),
  pg_iv_div: (a, divisor) => (Number(divisor) === 0 ? divisionByZero() : encodeInterval(divideInterval(decodeInterval(text(a)), Number(divisor)))),
  pg_ts_trunc: (field, a) => encodeTimestamp(truncateTimestamp(text(field).toLowerCase(), decodeTimestamp(text(a))) ?? unknownField(field)),
  pg_ts_extract: (field, a) => formatDecimal(extractFromTimestamp(text(field).toLowerCase(), decodeTimestamp(text(a))) ?? unknownField(field)),
  pg_iv_extract: (field, a) => formatDecimal(extractFromInterval(text(field).toLowerCase(), decodeInterval(text(a))) ?? unknownField(field)),
  pg_like: (value, pattern, insensitive) => BigInt(like(text(value), text(pattern), insensitive === 1n)),
  pg_join: (a, b) => bounded(text(a) + text(b)),
  pg_lower: (a) => foldCase(text(a), (character) => character.toLowerCase()),
  pg_upper: (a) => foldCase(text(a), (character) => character.toUpperCase()),
  pg_substr: (a, from, length) => substring(text(a), Number(from), length === undefined ? undefined : Number(length)),
  pg_left: (a, count) => [...text(a)].slice(0, Number(count)).join(''),
  pg_right: (a, count) => (Number(count) === 0 ? '' : [...text(a)].slice(Number(count) > 0 ? -Number(count) : -Number(count)).join('')),
  pg_replace: (a, from, to) => (text(from) === '' ? text(a) : bounded(text(a).replaceAll(text(from), () => text(to)))),
  pg_split_part: (a, separator, index) => splitPart(text(a), text(separator), Number(index)),
  pg_truncate: (a, length) => [...text(a)].slice(0, Number(length)).join(''),
  pg_json_get: (document, key) => jsonText(jsonMember(document, key), false),
  pg_json_get_text: (document, key) => jsonText(jsonMember(document, key), true),
  pg_json_array_length: (document) => {
    const value: unknown = JSON.parse(text(document));
    return Array.isArray(value) ? BigInt(value.length) : fail('cannot get array length of a non-array');
  },
  pg_json_typeof: (document) => jsonType(JSON.parse(text(document))),
};

/** They see NULLs. */
const lenientFunctions: Readonly<Record<string, (values: readonly SqliteValue[]) => SqliteValue>> = {
  pg_concat: (values) => bounded(values.map((value) => (value === null ? '' : String(value))).join('')),
  pg_concat_ws: ([separator, ...values]) => (separator === null ? null : bounded(values.filter((value) => value !== null).join(String(separator)))),
  pg_single: ([count, value]) => (count === 2n ? fail('more than one row returned by a subquery used as an expression') : (value ?? null)),
  pg_greatest: (values) => extreme(values, 1),
  pg_least: (values) => extreme(values, -1),
};

/** GREATEST and LEAST pass over NULLs. First argument: the type. */
function extreme([type, ...values]: readonly SqliteValue[], wanted: 1 | -1): SqliteValue {
  const keyed = values.flatMap((value) => (value === null ? [] : [{ value, key: comparisonKey(value, String(type) as SqlType) ?? '' }]));
  return keyed.reduce<{ value: SqliteValue; key: SqliteValue }>(
    (best, next) => (best.key === null || compareValues(next.key, best.key) === wanted ? next : best), { value: null, key: null },
  ).value;
}

/** Text by code point, which is the order of UTF-8 bytes, as in the C collation. */
function compareValues(a: SqliteValue, b: SqliteValue): -1 | 0 | 1 {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return (a ?? 0) < (b ?? 0) ? -1 : (a ?? 0) > (b ?? 0) ? 1 : 0;
}

interface SumState {
  readonly total: Decimal;
  readonly count: bigint;
}

function registerAggregates(database: Database.Database): void {
  const nothing: SumState = { total: { unscaled: 0n, scale: 0 }, count: 0n };
  // The driver's types want the next value to be of the state's type; what comes is a value of the column.
  const step = (state: SumState, next: unknown): SumState =>
    next === null ? state : { total: addDecimals(state.total, decimalOf(next as SqliteValue)), count: state.count + 1n };
  database.aggregate<SumState>('pg_num_sum', { start: nothing, step, result: (state) => (state.count === 0n ? null : formatDecimal(state.total)) });
  database.aggregate<SumState>('pg_num_avg', {
    start: nothing, step, result: (state) => (state.count === 0n ? null : formatDecimal(divideDecimals(state.total, { unscaled: state.count, scale: 0 }))),
  });
  for (const [name, wanted] of [['pg_max_of', 1], ['pg_min_of', -1]] as const) {
    for (const type of ['numeric', 'interval'] as const) {
      database.aggregate<SqliteValue>(`${name}_${type}`, {
        start: null, step: (best, next: unknown) => extreme([type, best, next as SqliteValue], wanted), result: (best) => best,
      });
    }
  }
  database.aggregate<{ readonly sum: string | null; readonly count: number }>('pg_iv_sum', {
    start: { sum: null, count: 0 }, step: stepInterval, result: (state) => state.sum,
  });
  database.aggregate<{ readonly sum: string | null; readonly count: number }>('pg_iv_avg', {
    start: { sum: null, count: 0 }, step: stepInterval,
    result: (state) => (state.sum === null ? null : encodeInterval(divideInterval(decodeInterval(state.sum), state.count))),
  });
}

function stepInterval(state: { readonly sum: string | null; readonly count: number }, next: unknown): { readonly sum: string | null; readonly count: number } {
  if (next === null) return state;
  const sum = state.sum === null ? String(next) : encodeInterval(addIntervals(decodeInterval(state.sum), decodeInterval(String(next))));
  return { sum, count: state.count + 1 };
}

function integerOperation(operator: string, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return b === 0n ? divisionByZero() : a / b;
    case '%': return b === 0n ? divisionByZero() : a % b;
    default: return fail(`operator ${operator} is not known`);
  }
}

function decimalOperation(operator: string, a: Decimal, b: Decimal): Decimal {
  switch (operator) {
    case '+': return addDecimals(a, b);
    case '-': return addDecimals(a, negateDecimal(b));
    case '*': return multiplyDecimals(a, b);
    case '/': return b.unscaled === 0n ? divisionByZero() : divideDecimals(a, b);
    default: return fail(`operator ${operator} is not known`);
  }
}

/** LIKE with backslash as escape; no backtracking beyond the last `%`, so no pattern takes longer than length × length. */
function like(value: string, pattern: string, insensitive: boolean): boolean {
  const subject = [...(insensitive ? value.toLowerCase() : value)];
  const wanted = likeTokens(insensitive ? pattern.toLowerCase() : pattern);
  let at = 0;
  let token = 0;
  let retry: { at: number; token: number } | undefined;
  while (at < subject.length || token < wanted.length) {
    const next = wanted[token];
    if (next === '%any') {
      retry = { at, token: token + 1 };
      token += 1;
    } else if (at < subject.length && next !== undefined && (next === '%one' || next === subject[at])) {
      at += 1;
      token += 1;
    } else if (retry !== undefined && retry.at < subject.length) {
      retry = { at: retry.at + 1, token: retry.token };
      at = retry.at;
      token = retry.token;
    } else {
      return false;
    }
  }
  return true;
}

function likeTokens(pattern: string): readonly string[] {
  const tokens: string[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i += 1) {
    const character = characters[i] ?? '';
    if (character === '\\') {
      i += 1;
      tokens.push(characters[i] ?? fail('LIKE pattern must not end with escape character'));
    } else {
      tokens.push(character === '%' ? '%any' : character === '_' ? '%one' : character);
    }
  }
  return tokens;
}

/** One character for one, as the server's own locale provider does it: ß has no capital. */
function foldCase(value: string, fold: (character: string) => string): string {
  const folded = [...value].map((character) => {
    const other = fold(character);
    return [...other].length === 1 ? other : character;
  });
  return folded.join('');
}

function substring(value: string, from: number, length: number | undefined): string {
  if (length !== undefined && length < 0) return fail('negative substring length not allowed');
  const end = length === undefined ? undefined : from - 1 + length;
  return [...value].slice(Math.max(0, from - 1), end === undefined ? undefined : Math.max(0, end)).join('');
}

function splitPart(value: string, separator: string, index: number): string {
  if (index === 0) return fail('field position must not be zero');
  const parts = separator === '' ? [value] : value.split(separator);
  return parts[index > 0 ? index - 1 : parts.length + index] ?? '';
}

function jsonMember(document: SqliteValue | undefined, key: SqliteValue | undefined): unknown {
  const value: unknown = JSON.parse(text(document));
  if (typeof key === 'bigint') return Array.isArray(value) ? (value as unknown[]).at(Number(key)) : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, text(key)) ? (value as Readonly<Record<string, unknown>>)[text(key)] : undefined;
}

function jsonText(value: unknown, asText: boolean): string | null {
  if (value === undefined || (asText && value === null)) return null;
  return asText && typeof value === 'string' ? value : JSON.stringify(value);
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function bounded(value: string): string {
  return value.length > TEXT_LIMIT ? fail(`a text longer than ${TEXT_LIMIT} characters was made`) : value;
}

function divisionByZero(): never {
  return fail('division by zero');
}

function unknownField(field: SqliteValue | undefined): never {
  return fail(`unit "${text(field)}" is not recognized`);
}

function fail(message: string): never {
  throw new Refusal(message);
}
