/**
 * Dates and times as the binlog has them, to MySQL's own text with all fractional digits of the column.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html; the packed forms: my_time.cc (`my_datetime_packed_from_binary` and neighbours).
 */
import type { Cursor } from './cursor.ts';

export type Reader = (cursor: Cursor) => string;

const two = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

function pad2(value: number): string {
  return two[value] ?? String(value);
}

function pad4(value: number): string {
  return String(value).padStart(4, '0');
}

export function readDate(cursor: Cursor): string {
  return dateText(cursor.uint(3));
}

/** Day in 5 bits, month in 4, year above. */
function dateText(packed: number): string {
  return `${pad4(packed >> 9)}-${pad2((packed >> 5) & 15)}-${pad2(packed & 31)}`;
}

export function readYear(cursor: Cursor): string {
  const value = cursor.uint8();
  return value === 0 ? '0000' : String(1900 + value);
}

/** TIME before MySQL 5.6.4: hhmmss as a number. */
function readOldTime(cursor: Cursor): string {
  const value = cursor.int(3);
  const size = Math.abs(value);
  return `${value < 0 ? '-' : ''}${pad2(Math.trunc(size / 10_000))}:${pad2(Math.trunc(size / 100) % 100)}:${pad2(size % 100)}`;
}

/** DATETIME before MySQL 5.6.4: yyyymmddhhmmss as a number. */
function readOldDatetime(cursor: Cursor): string {
  const value = Number(cursor.uint64());
  const date = Math.trunc(value / 1_000_000);
  const time = value % 1_000_000;
  return `${pad4(Math.trunc(date / 10_000))}-${pad2(Math.trunc(date / 100) % 100)}-${pad2(date % 100)} ${pad2(Math.trunc(time / 10_000))}:${pad2(Math.trunc(time / 100) % 100)}:${pad2(time % 100)}`;
}

export function oldTimestampReader(digits: number): Reader {
  const text = timestampWriter();
  if (digits === 0) return (cursor) => text(cursor.uint(4));
  const bytes = fractionBytes[digits] ?? 0;
  return (cursor) => `${text(cursor.uintBigEndian(4))}.${String(cursor.uintBigEndian(bytes)).padStart(digits, '0')}`;
}

/** Seconds since 1970, UTC; 0 is the zero date. Rows that follow each other are mostly of one day, whose text is kept. */
function timestampWriter(): (seconds: number) => string {
  let lastDay = -1;
  let lastText = '';
  return (seconds) => {
    if (seconds === 0) return '0000-00-00 00:00:00';
    const day = Math.floor(seconds / 86_400);
    if (day !== lastDay) {
      lastText = new Date(day * 86_400_000).toISOString().slice(0, 10);
      lastDay = day;
    }
    const rest = seconds - day * 86_400;
    return `${lastText} ${pad2(Math.trunc(rest / 3600))}:${pad2(Math.trunc(rest / 60) % 60)}:${pad2(rest % 60)}`;
  };
}

/** Bytes of a fraction of so many digits. */
const fractionBytes = [0, 1, 1, 2, 2, 3, 3] as const;

/** Digits are stored in pairs: one of an odd number is a zero more. */
function fractionText(stored: number, digits: number): string {
  const even = digits + (digits & 1);
  return `.${String(stored).padStart(even, '0').slice(0, digits)}`;
}

export function timestampReader(digits: number): Reader {
  const bytes = fractionBytes[digits] ?? 0;
  const text = timestampWriter();
  return (cursor) => {
    const seconds = text(cursor.uintBigEndian(4));
    return bytes === 0 ? seconds : seconds + fractionText(cursor.uintBigEndian(bytes), digits);
  };
}

const DATETIME_OFFSET = 0x80_0000_0000;

export function datetimeReader(digits: number): Reader {
  const bytes = fractionBytes[digits] ?? 0;
  return (cursor) => {
    const packed = cursor.uintBigEndian(5) - DATETIME_OFFSET;
    const text = packedDatetimeText(packed);
    return bytes === 0 ? text : text + fractionText(cursor.uintBigEndian(bytes), digits);
  };
}

/** Year × 13 + month in 17 bits, day in 5, hour in 5, minute and second in 6 each. */
function packedDatetimeText(packed: number): string {
  const time = packed % 0x2_0000;
  const date = Math.trunc(packed / 0x2_0000);
  const months = date >> 5;
  return `${pad4(Math.trunc(months / 13))}-${pad2(months % 13)}-${pad2(date & 31)} ${pad2(time >> 12)}:${pad2((time >> 6) & 63)}:${pad2(time & 63)}`;
}

/** Sign, hour in 10 bits, minute and second in 6 each; with its fraction one number, so that a negative one is its complement. */
export function timeReader(digits: number): Reader {
  const bytes = fractionBytes[digits] ?? 0;
  const unit = 256 ** bytes;
  const offset = 0x80_0000 * unit;
  return (cursor) => {
    const packed = cursor.uintBigEndian(3 + bytes) - offset;
    const size = Math.abs(packed);
    const time = Math.trunc(size / unit);
    const text = `${packed < 0 ? '-' : ''}${pad2((time >> 12) & 1023)}:${pad2((time >> 6) & 63)}:${pad2(time & 63)}`;
    return bytes === 0 ? text : text + fractionText(size % unit, digits);
  };
}

/**
 * Fractions before MariaDB 10.1, and under mysql56_temporal_format = OFF: one number, big endian, of so many bytes for so many digits.
 * The binlog calls these columns as it calls those without fractions.
 */
const oldTimeBytes = [3, 4, 4, 5, 5, 5, 6] as const;
const oldDatetimeBytes = [5, 6, 6, 7, 7, 7, 8] as const;
/** The least TIME is 0: as many seconds as there are up to 838:59:59, and one more. */
const OLD_TIME_OFFSET_S = 839 * 3600;

export function oldTimeReader(digits: number): Reader {
  if (digits === 0) return readOldTime;
  const unit = 10 ** digits;
  return (cursor) => {
    const value = cursor.uintBigEndian(oldTimeBytes[digits] ?? 0) - OLD_TIME_OFFSET_S * unit;
    const size = Math.abs(value);
    const seconds = Math.trunc(size / unit);
    return `${value < 0 ? '-' : ''}${pad2(Math.trunc(seconds / 3600))}:${pad2(Math.trunc(seconds / 60) % 60)}:${pad2(seconds % 60)}.${String(size % unit).padStart(digits, '0')}`;
  };
}

export function oldDatetimeReader(digits: number): Reader {
  if (digits === 0) return readOldDatetime;
  const unit = 10n ** BigInt(digits);
  return (cursor) => {
    const value = BigInt(`0x${cursor.bytes(oldDatetimeBytes[digits] ?? 0).toString('hex')}`);
    const time = Number((value / unit) % 86_400n);
    const date = Number(value / unit / 86_400n);
    const months = date >> 5;
    const day = `${pad4(Math.trunc(months / 13))}-${pad2(months % 13)}-${pad2(date & 31)}`;
    return `${day} ${pad2(Math.trunc(time / 3600))}:${pad2(Math.trunc(time / 60) % 60)}:${pad2(time % 60)}.${String(value % unit).padStart(digits, '0')}`;
  };
}

/** Date or time of a JSON value: the packed form in 64 bits, microseconds in the low 24. */
export function packedTemporalText(kind: 'date' | 'time' | 'datetime', packed: bigint): string {
  const isNegative = packed < 0n;
  const size = isNegative ? -packed : packed;
  const fraction = fractionText(Number(size & 0xff_ffffn), 6);
  const value = Number(size >> 24n);
  if (kind === 'time') return `${isNegative ? '-' : ''}${pad2((value >> 12) & 1023)}:${pad2((value >> 6) & 63)}:${pad2(value & 63)}${fraction}`;
  const text = packedDatetimeText(value);
  return kind === 'date' ? text.slice(0, 10) : text + fraction;
}
