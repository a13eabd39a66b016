/** Values from one type to another, as a cast does it, and to the text that a client gets. Works on values as SQLite holds them. */
import { decimalKey, formatDecimal, parseDecimal, roundDecimal } from './decimal.ts';
import type { Decimal } from './decimal.ts';
import { decodeInterval, encodeInterval, formatInterval, halfEven, intervalKey, parseInterval } from './interval.ts';
import { Refusal } from './refusal.ts';
import { typeTitles } from './sql-types.ts';
import type { SqlType } from './sql-types.ts';
import { encodeDate, encodeTimestamp, formatTimestamp, parseTimestamp } from './timestamp.ts';

export type SqliteValue = string | number | bigint | Buffer | null;

const INT4_MAX = 2n ** 31n - 1n;
const INT8_MAX = 2n ** 63n - 1n;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const truths: Readonly<Record<string, bigint>> = { t: 1n, true: 1n, y: 1n, yes: 1n, on: 1n, '1': 1n, f: 0n, false: 0n, n: 0n, no: 0n, off: 0n, '0': 0n };

/** Pairs that `::` allows here beside those of one category and those to and from text. */
const castable: ReadonlySet<string> = new Set(['bool>int4', 'int4>bool']);

export function canCast(from: SqlType, to: SqlType): boolean {
  const isText = (type: SqlType): boolean => type === 'text' || type === 'varchar' || type === 'unknown';
  const isNumber = (type: SqlType): boolean => type === 'int4' || type === 'int8' || type === 'numeric' || type === 'float8';
  const isTime = (type: SqlType): boolean => type === 'timestamp' || type === 'timestamptz' || type === 'date';
  if (from === to || isText(from) || isText(to)) return true;
  return (isNumber(from) && isNumber(to)) || (isTime(from) && isTime(to)) || castable.has(`${from}>${to}`);
}

/** Throws a Refusal with the server's own words when the value does not fit. */
export function convert(value: SqliteValue, from: SqlType, to: SqlType): SqliteValue {
  if (value === null || from === to) return value;
  switch (to) {
    case 'text':
    case 'varchar':
    case 'unknown':
      return from === 'bool' ? (isTrue(value) ? 'true' : 'false') : printed(value, from);
    case 'bool':
      return from === 'int4' ? BigInt(asBigInt(value) !== 0n) : (truths[String(value).trim().toLowerCase()] ?? invalid(value, to));
    case 'int4':
    case 'int8':
      return from === 'bool' ? asBigInt(value) : integerOf(value, from, to);
    case 'numeric':
      return formatDecimal(decimalOf(value, to));
    case 'float8':
      return floatOf(value, to);
    case 'timestamp':
    case 'timestamptz':
    case 'date':
      return timeOf(value, from, to);
    case 'interval': {
      const interval = parseInterval(String(value));
      return interval === undefined ? invalid(value, to) : encodeInterval(interval);
    }
    case 'uuid': {
      const uuid = String(value).trim().toLowerCase();
      return uuidPattern.test(uuid) ? uuid : invalid(value, to);
    }
    case 'json':
      return jsonOf(value, to);
    case 'bytea':
      return invalid(value, to);
    default:
      return to satisfies never;
  }
}

/** The text of the simple protocol. */
export function printed(value: SqliteValue, type: SqlType): string {
  switch (type) {
    case 'bool': return isTrue(value) ? 't' : 'f';
    case 'float8': return printFloat(Number(value));
    case 'timestamp': return formatTimestamp(String(value));
    case 'timestamptz': return `${formatTimestamp(String(value))}+00`;
    case 'interval': return formatInterval(decodeInterval(String(value)));
    case 'bytea': return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : String(value);
    case 'int4':
    case 'int8':
    case 'numeric':
    case 'text':
    case 'varchar':
    case 'unknown':
    case 'uuid':
    case 'date':
    case 'json':
      return String(value);
    default:
      return type satisfies never;
  }
}

/** What values of the type compare by, where SQLite's own comparison would be wrong. */
export function comparisonKey(value: SqliteValue, type: SqlType): SqliteValue {
  if (value === null) return null;
  if (type === 'numeric') return decimalKey(decimalOf(value, type));
  return type === 'interval' ? intervalKey(decodeInterval(String(value))) : value;
}

export function decimalOf(value: SqliteValue, to: SqlType = 'numeric'): Decimal {
  return parseDecimal(typeof value === 'number' ? printFloat(value) : String(value)) ?? invalid(value, to);
}

/** Integers come out of SQLite as BigInt. */
export function asBigInt(value: SqliteValue): bigint {
  return typeof value === 'bigint' ? value : BigInt(Math.round(Number(value)));
}

export function checkRange(value: bigint, type: 'int4' | 'int8'): bigint {
  const max = type === 'int4' ? INT4_MAX : INT8_MAX;
  if (value > max || value < -max - 1n) throw new Refusal(`${typeTitles[type]} out of range`);
  return value;
}

function isTrue(value: SqliteValue): boolean {
  return value === 1n || value === 1;
}

function integerOf(value: SqliteValue, from: SqlType, to: 'int4' | 'int8'): bigint {
  if (typeof value === 'bigint') return checkRange(value, to);
  if (from === 'numeric') return checkRange(roundDecimal(decimalOf(value), 0).unscaled, to);
  // The server rounds floats to the nearest even integer.
  if (from === 'float8') return checkRange(BigInt(halfEven(Number(value))), to);
  const text = String(value).trim();
  return /^[+-]?\d+$/.test(text) ? checkRange(BigInt(text.replace(/^\+/, '')), to) : invalid(value, to);
}

function floatOf(value: SqliteValue, to: SqlType): number {
  const text = String(value).trim();
  const number = Number(text);
  return text === '' || Number.isNaN(number) ? invalid(value, to) : number;
}

function timeOf(value: SqliteValue, from: SqlType, to: 'timestamp' | 'timestamptz' | 'date'): string {
  const zoneCounts = to === 'timestamptz' && from !== 'timestamp';
  const micros = parseTimestamp(String(value), zoneCounts) ?? invalid(value, to);
  return to === 'date' ? encodeDate(micros) : encodeTimestamp(micros);
}

function jsonOf(value: SqliteValue, to: SqlType): string {
  try {
    JSON.parse(String(value));
    return String(value);
  } catch {
    return invalid(value, to);
  }
}

/** Shortest digits, with an exponent from 1e15 on and below 1e-4, as the server's float8out. */
export function printFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return Object.is(value, -0) ? '-0' : String(value);
}

function invalid(value: SqliteValue, to: SqlType): never {
  throw new Refusal(`invalid input syntax for type ${to === 'timestamp' ? 'timestamp' : typeTitles[to]}: "${String(value)}"`);
}
