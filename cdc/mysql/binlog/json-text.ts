/**
 * MySQL's binary JSON to the text that the server prints of it.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html
 */
import { Cursor } from './cursor.ts';
import { decimalReader } from './decimal-text.ts';
import { columnType } from './event.ts';
import { packedTemporalText } from './temporal-text.ts';

const kind = {
  smallObject: 0, largeObject: 1, smallArray: 2, largeArray: 3, literal: 4, int16: 5, uint16: 6, int32: 7, uint32: 8, int64: 9, uint64: 10, double: 11, string: 12, opaque: 15,
} as const;
const literals = ['null', 'true', 'false'] as const;

export function jsonText(buffer: Buffer, start: number, end: number): string {
  // What IGNORE makes of a NULL in a column that must not be NULL.
  if (start === end) return 'null';
  return valueText(buffer, buffer[start] ?? 0, start + 1, end);
}

function valueText(buffer: Buffer, type: number, at: number, end: number): string {
  switch (type) {
    case kind.smallObject: return containerText(buffer, at, end, true, 2);
    case kind.largeObject: return containerText(buffer, at, end, true, 4);
    case kind.smallArray: return containerText(buffer, at, end, false, 2);
    case kind.largeArray: return containerText(buffer, at, end, false, 4);
    case kind.literal: return literals[buffer[at] ?? -1] ?? bad(`literal ${buffer[at]}`);
    case kind.int16: return String(buffer.readInt16LE(at));
    case kind.uint16: return String(buffer.readUInt16LE(at));
    case kind.int32: return String(buffer.readInt32LE(at));
    case kind.uint32: return String(buffer.readUInt32LE(at));
    case kind.int64: return String(buffer.readBigInt64LE(at));
    case kind.uint64: return String(buffer.readBigUInt64LE(at));
    case kind.double: return jsonDouble(buffer.readDoubleLE(at));
    case kind.string: {
      const { value, next } = readLength(buffer, at);
      return quoted(buffer.toString('utf8', next, next + value));
    }
    case kind.opaque: return opaqueText(buffer, at);
    default: return bad(`type ${type}`);
  }
}

/** Keys and values are entries of fixed width, with offsets from the container's start; small values are inside their entry. */
function containerText(buffer: Buffer, start: number, end: number, isObject: boolean, width: 2 | 4): string {
  const count = buffer.readUIntLE(start, width);
  const size = buffer.readUIntLE(start + width, width);
  if (start + size > end) bad('container longer than its value');
  const keysAt = start + 2 * width;
  const valuesAt = isObject ? keysAt + count * (width + 2) : keysAt;
  const parts: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = valuesAt + index * (width + 1);
    const type = buffer[entry] ?? 0;
    const at = isInside(type, width) ? entry + 1 : start + buffer.readUIntLE(entry + 1, width);
    const text = valueText(buffer, type, at, end);
    if (isObject) {
      const key = keysAt + index * (width + 2);
      const keyAt = start + buffer.readUIntLE(key, width);
      parts.push(`${quoted(buffer.toString('utf8', keyAt, keyAt + buffer.readUInt16LE(key + width)))}: ${text}`);
    } else parts.push(text);
  }
  return isObject ? `{${parts.join(', ')}}` : `[${parts.join(', ')}]`;
}

function isInside(type: number, width: 2 | 4): boolean {
  return type === kind.literal || type === kind.int16 || type === kind.uint16 || (width === 4 && (type === kind.int32 || type === kind.uint32));
}

/** Seven bits in each byte, low ones first; the eighth says that more follow. */
function readLength(buffer: Buffer, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = buffer[at++] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
  return bad('length');
}

/** Values of SQL types that JSON has not. */
function opaqueText(buffer: Buffer, at: number): string {
  const type = buffer[at] ?? 0;
  const { value: length, next } = readLength(buffer, at + 1);
  switch (type) {
    case columnType.newDecimal:
      return decimalReader(buffer[next] ?? 0, buffer[next + 1] ?? 0)(new Cursor().point(buffer, next + 2, next + length));
    case columnType.date:
      return `"${packedTemporalText('date', buffer.readBigInt64LE(next))}"`;
    case columnType.time:
      return `"${packedTemporalText('time', buffer.readBigInt64LE(next))}"`;
    case columnType.datetime:
    case columnType.timestamp:
      return `"${packedTemporalText('datetime', buffer.readBigInt64LE(next))}"`;
    default:
      return quoted(`base64:type${type}:${base64(buffer.subarray(next, next + length))}`);
  }
}

const BASE64_LINE = 76;

/** The server breaks it into lines. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(new RegExp(`.{${BASE64_LINE}}(?=.)`, 'g'), '$&\n');
}

const MOST_PLAIN_DIGITS = 15;

/** With an exponent below 1e-15, and from 1e15 on unless there are digits behind the point; a whole number keeps a zero behind its point. */
export function jsonDouble(value: number): string {
  const [, sign = '', first = '', rest = '', written = '0'] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(Object.is(value, -0) ? '-0e+0' : value.toExponential()) ?? [];
  const digits = first + rest;
  const exponent = Number(written);
  const point = exponent + 1;
  const isLong = point > MOST_PLAIN_DIGITS && digits.length <= point;
  if (value !== 0 && (isLong || point < 1 - MOST_PLAIN_DIGITS)) return `${sign}${first}${rest === '' ? '' : `.${rest}`}e${exponent}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits.slice(0, point).padEnd(point, '0')}.${digits.slice(point) || '0'}`;
}

const escapes: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quoted(text: string): string {
  return `"${text.replace(/["\\\u0000-\u001f]/g, (character) => escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

function bad(what: string): never {
  throw new RangeError(`binary JSON: ${what}`);
}
