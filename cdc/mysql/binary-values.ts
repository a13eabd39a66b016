/**
 * Values in the form of PostgreSQL's receive functions, from the bytes of the text that its input functions read. The forms are those of
 * https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES, as versions 10 to 18 have them.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { WireType } from '../postgres/row-writer-format.ts';
import type { ColumnType } from './column-type.ts';
import { CopyEncoder, twoDigits } from './copy-encoder.ts';
import { nearestDouble } from './nearest-double.ts';

export const valueKind = { raw: 0, int2: 1, int4: 2, int8: 3, numeric: 4, float4: 5, float8: 6, bool: 7, date: 8, timestamp: 9, time: 10, interval: 11, uuid: 12, jsonb: 13, bit: 14, labels: 15 } as const;

const kinds: Readonly<Record<string, number>> = {
  int2: valueKind.int2, int4: valueKind.int4, int8: valueKind.int8, numeric: valueKind.numeric, float4: valueKind.float4, float8: valueKind.float8, bool: valueKind.bool, date: valueKind.date,
  timestamp: valueKind.timestamp, timestamptz: valueKind.timestamp, time: valueKind.time, interval: valueKind.interval, uuid: valueKind.uuid, jsonb: valueKind.jsonb, bit: valueKind.bit,
  bytea: valueKind.raw, text: valueKind.raw, varchar: valueKind.raw, bpchar: valueKind.raw, json: valueKind.raw,
};

/** Undefined: such values go as text. `target`: the type on local, below its domains. */
export function valueKindOf(source: ColumnType, target: WireType | undefined): number | undefined {
  if (!target?.hasBinary) return undefined;
  if (target.kind === 'e') return valueKind.raw;
  if (source.name === 'set' && target.name === '_text') return valueKind.labels;
  return target.kind === 'b' ? kinds[target.name] : undefined;
}

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const POINT = 0x2e;
const COLON = 0x3a;
const COMMA = 0x2c;
const TEXT_OID = 25;
/** 1970-01-01 to 2000-01-01. */
const EPOCH_DAYS = 10_957;
/** Days from 2000-01-01 to the first of each year from 0 to 10000. */
const yearDays = Int32Array.from({ length: 10_001 }, (_, year) => daysTo(year, 1, 1));
/** Days before each month, of a year that is no leap year. */
const monthDays = Int32Array.from({ length: 13 }, (_, month) => (month === 0 ? 0 : daysTo(2001, month, 1) - daysTo(2001, 1, 1)));
/** Seconds whose microseconds a double holds exactly: 285 years. */
const EXACT_SECONDS = 9e9;
const DAY_SECONDS = 86_400;
const TWO_32 = 4_294_967_296;
const LARGEST_EXACT = Number.MAX_SAFE_INTEGER;

export abstract class BinaryValues extends CopyEncoder {
  /** Its length, then itself. Throws MIG014 where the bytes are no such value. */
  protected write(kind: number, from: Buffer, at: number, end: number): void {
    switch (kind) {
      case valueKind.raw:
        this.length(end - at);
        return this.copy(from, at, end);
      case valueKind.int2:
      case valueKind.int4:
      case valueKind.int8:
        return this.#integer(kind, from, at, end);
      case valueKind.numeric:
        return this.#numeric(from, at, end);
      case valueKind.float4:
        this.length(4);
        this.view.setFloat32(this.at, readNumber(from, at, end));
        this.at += 4;
        return undefined;
      case valueKind.float8:
        this.length(8);
        this.view.setFloat64(this.at, readNumber(from, at, end));
        this.at += 8;
        return undefined;
      case valueKind.bool:
        this.length(1);
        this.out[this.at++] = from[at] === ZERO + 1 || from[at] === 0x74 ? 1 : 0;
        return undefined;
      case valueKind.date:
        this.length(4);
        this.int32(readDays(from, at, end));
        return undefined;
      case valueKind.timestamp:
        return this.#timestamp(from, at, end);
      case valueKind.time:
      case valueKind.interval:
        return this.#time(kind, from, at, end);
      case valueKind.uuid:
        return this.#uuid(from, at, end);
      case valueKind.jsonb:
        this.length(end - at + 1);
        this.out[this.at++] = 1;
        return this.copy(from, at, end);
      case valueKind.bit:
        return this.#bits(from, at, end);
      default:
        return this.#labels(from, at, end);
    }
  }

  protected writeWhole(kind: number, bytes: Buffer): void {
    this.write(kind, bytes, 0, bytes.length);
  }

  protected length(bytes: number): void {
    this.reserve(bytes + 4);
    this.int32(bytes);
  }

  /** The lower 16 bits; room has been reserved. */
  protected int16(value: number): void {
    this.view.setInt16(this.at, value);
    this.at += 2;
  }

  /** The lower 32 bits; room has been reserved. */
  protected int32(value: number): void {
    this.view.setInt32(this.at, value);
    this.at += 4;
  }

  #integer(kind: number, from: Buffer, at: number, end: number): void {
    const isNegative = from[at] === MINUS;
    const first = isNegative ? at + 1 : at;
    let value = 0;
    for (let next = first; next < end; next += 1) {
      const byte = from[next] as number;
      if (byte < ZERO || byte > NINE) throw malformed(from, at, end, 'integer');
      value = value * 10 + byte - ZERO;
    }
    if (first === end) throw malformed(from, at, end, 'integer');
    if (isNegative) value = -value;
    if (kind === valueKind.int8) {
      this.length(8);
      if (value > LARGEST_EXACT || value < -LARGEST_EXACT) this.at = this.out.writeBigInt64BE(wholeInt8(from, at, end), this.at);
      else this.#int8(Math.floor(value / TWO_32), value);
      return;
    }
    const bytes = kind === valueKind.int2 ? 2 : 4;
    const limit = kind === valueKind.int2 ? 0x8000 : 0x8000_0000;
    if (value < -limit || value >= limit) throw malformed(from, at, end, kind === valueKind.int2 ? 'smallint' : 'integer');
    this.length(bytes);
    if (kind === valueKind.int2) this.int16(value);
    else this.int32(value);
  }

  /** `low` may be any number that has the lower 32 bits. */
  #int8(high: number, low: number): void {
    this.int32(high);
    this.int32((low - Math.floor(low / TWO_32) * TWO_32) | 0);
  }

  /** Groups of four digits, counted from the point. */
  #numeric(from: Buffer, at: number, end: number): void {
    const isNegative = from[at] === MINUS;
    const first = isNegative ? at + 1 : at;
    let point = first;
    while (point < end && from[point] !== POINT) point += 1;
    const whole = point - first;
    const scale = point < end ? end - point - 1 : 0;
    const wholeGroups = Math.ceil(whole / 4);
    const groups = wholeGroups + Math.ceil(scale / 4);
    if (whole + scale === 0) throw malformed(from, at, end, 'numeric');
    this.length(8 + groups * 2);
    this.int16(groups);
    this.int16(wholeGroups - 1);
    this.int16(isNegative ? 0x4000 : 0);
    this.int16(scale);
    const { out } = this;
    let to = this.at;
    let group = 0;
    for (let next = first; next < point; next += 1) {
      group = group * 10 + digit(from, next, at, end);
      if ((point - next) % 4 === 1) {
        out[to++] = group >> 8;
        out[to++] = group;
        group = 0;
      }
    }
    for (let next = 0; next < scale; next += 1) {
      group = group * 10 + digit(from, point + 1 + next, at, end);
      if (next % 4 === 3) {
        out[to++] = group >> 8;
        out[to++] = group;
        group = 0;
      }
    }
    if (scale % 4 !== 0) {
      group *= 10 ** (4 - (scale % 4));
      out[to++] = group >> 8;
      out[to++] = group;
    }
    this.at = to;
  }

  /** Microseconds from 2000-01-01, too many for a double: counted in two halves. */
  #timestamp(from: Buffer, at: number, end: number): void {
    this.length(8);
    if (isInfinite(from, at)) {
      const isNegative = from[at] === MINUS;
      this.int32(isNegative ? -0x8000_0000 : 0x7fff_ffff);
      this.int32(isNegative ? 0 : -1);
      return;
    }
    const clock = at + 11;
    const [seconds, micros] = [readDays(from, at, end) * DAY_SECONDS + twoDigits(from, clock) * 3600 + twoDigits(from, clock + 3) * 60 + twoDigits(from, clock + 6), fraction(from, clock + 8, end)];
    if (seconds < EXACT_SECONDS && seconds > -EXACT_SECONDS) {
      const value = seconds * 1_000_000 + micros;
      this.#int8(Math.floor(value / TWO_32), value);
      return;
    }
    const upper = Math.floor(seconds / 65_536);
    const millions = upper * 1_000_000;
    const millionsHigh = Math.floor(millions / 65_536);
    const rest = (millions - millionsHigh * 65_536) * 65_536 + (seconds - upper * 65_536) * 1_000_000 + micros;
    this.#int8(millionsHigh + Math.floor(rest / TWO_32), rest);
  }

  /** `[-]h…:mm:ss[.ffffff]` */
  #time(kind: number, from: Buffer, at: number, end: number): void {
    const isNegative = from[at] === MINUS;
    let next = isNegative ? at + 1 : at;
    let hours = 0;
    while (next < end && from[next] !== COLON) {
      hours = hours * 10 + digit(from, next, at, end);
      next += 1;
    }
    const micros = (hours * 3600 + twoDigits(from, next + 1) * 60 + twoDigits(from, next + 4)) * 1_000_000 + fraction(from, next + 6, end);
    const value = isNegative ? -micros : micros;
    this.length(kind === valueKind.time ? 8 : 16);
    this.#int8(Math.floor(value / TWO_32), value);
    if (kind === valueKind.time) return;
    // Days and months.
    this.int32(0);
    this.int32(0);
  }

  #uuid(from: Buffer, at: number, end: number): void {
    this.length(16);
    let half = -1;
    let written = 0;
    for (let next = at; next < end; next += 1) {
      const byte = from[next] as number;
      if (byte === MINUS) continue;
      const value = byte <= NINE ? byte - ZERO : (byte | 0x20) - 0x57;
      if (value < 0 || value > 15 || written === 16) throw malformed(from, at, end, 'uuid');
      if (half < 0) half = value;
      else {
        this.out[this.at++] = half * 16 + value;
        written += 1;
        half = -1;
      }
    }
    if (written !== 16) throw malformed(from, at, end, 'uuid');
  }

  #bits(from: Buffer, at: number, end: number): void {
    const bits = end - at;
    this.length(4 + Math.ceil(bits / 8));
    this.int32(bits);
    for (let next = at; next < end; next += 8) {
      let byte = 0;
      for (let bit = 0; bit < 8; bit += 1) byte = byte * 2 + (next + bit < end && from[next + bit] === ZERO + 1 ? 1 : 0);
      this.out[this.at++] = byte;
    }
  }

  /** The members of a SET, which hold no comma, as `text[]`. */
  #labels(from: Buffer, at: number, end: number): void {
    let members = at === end ? 0 : 1;
    for (let next = at; next < end; next += 1) if (from[next] === COMMA) members += 1;
    this.length(members === 0 ? 12 : 20 + end - at + members * 4 - (members - 1));
    this.int32(members === 0 ? 0 : 1);
    this.int32(0);
    this.int32(TEXT_OID);
    if (members === 0) return;
    this.int32(members);
    this.int32(1);
    for (let begin = at, next = at; next <= end; next += 1) {
      if (next < end && from[next] !== COMMA) continue;
      this.int32(next - begin);
      this.copy(from, begin, next);
      begin = next + 1;
    }
  }
}

function malformed(from: Buffer, at: number, end: number, type: string): MigrationError {
  return new MigrationError('MIG014', `"${from.toString('utf8', at, Math.min(end, at + 100))}" is no ${type}`);
}

function digit(from: Buffer, next: number, at: number, end: number): number {
  const value = (from[next] as number) - ZERO;
  if (value < 0 || value > 9 || next >= end) throw malformed(from, at, end, 'number');
  return value;
}

function wholeInt8(from: Buffer, at: number, end: number): bigint {
  const value = BigInt(from.toString('latin1', at, end));
  if (BigInt.asIntN(64, value) !== value) throw malformed(from, at, end, 'bigint');
  return value;
}

/** Throws MIG014. */
function readNumber(from: Buffer, at: number, end: number): number {
  const value = nearestDouble(from, at, end);
  if (Number.isNaN(value)) throw malformed(from, at, end, 'number');
  return value;
}

function isInfinite(from: Buffer, at: number): boolean {
  return (from[from[at] === MINUS ? at + 1 : at] as number) > NINE;
}

/** Days from 2000-01-01 of `yyyy-mm-dd…[ BC]`, `infinity`, `-infinity`. */
function readDays(from: Buffer, at: number, end: number): number {
  if (isInfinite(from, at)) return from[at] === MINUS ? -0x8000_0000 : 0x7fff_ffff;
  const written = twoDigits(from, at) * 100 + twoDigits(from, at + 2);
  const month = twoDigits(from, at + 5);
  const day = twoDigits(from, at + 8);
  // `BC` at the end: 1 BC is the year 0.
  const year = from[end - 1] === 0x43 ? 1 - written : written;
  const [first, next, before] = [yearDays[year], yearDays[year + 1], monthDays[month]];
  if (first === undefined || next === undefined || before === undefined) return daysTo(year, month, day);
  return first + before + day - 1 + (month > 2 ? next - first - 365 : 0);
}

/** Days from 2000-01-01, in the Gregorian calendar whatever the year. */
function daysTo(year: number, month: number, day: number): number {
  // Days from 0000-03-01, in eras of 400 years: the leap day is the last of its year.
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468 - EPOCH_DAYS;
}

/** Microseconds of `.ffffff`, if that is what stands there. */
function fraction(from: Buffer, at: number, end: number): number {
  if (at >= end || from[at] !== POINT) return 0;
  let micros = 0;
  let next = at + 1;
  for (let digits = 0; digits < 6; digits += 1) {
    const byte = next < end ? (from[next] as number) : 0;
    if (byte >= ZERO && byte <= NINE) {
      micros = micros * 10 + byte - ZERO;
      next += 1;
    } else micros *= 10;
  }
  return micros;
}
