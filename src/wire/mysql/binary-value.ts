/**
 * Values of prepared statements, both ways: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html#sect_protocol_binary_resultset_row_value
 *
 * As text a value is what the server prints: numbers as digits, times with as many digits of a fraction as they have (six or none).
 */
import { ColumnType } from './column-definition.ts';
import { integer, lengthEncodedText, PayloadReader, ProtocolFault } from './payload.ts';

const pad = (value: number, length = 2): string => String(value).padStart(length, '0');

/** Texts and bytes as they are. Throws a `ProtocolFault`. */
export function readBinaryValue(reader: PayloadReader, type: number, isUnsigned: boolean): Buffer | string | null {
  switch (type) {
    case ColumnType.null:
      return null;
    case ColumnType.tiny:
      return whole(reader.integer(1), 8, isUnsigned);
    case ColumnType.short:
    case ColumnType.year:
      return whole(reader.integer(2), 16, isUnsigned);
    case ColumnType.long:
    case ColumnType.int24:
      return whole(reader.integer(4), 32, isUnsigned);
    case ColumnType.longLong: {
      const bytes = reader.bytes(8);
      return String(isUnsigned ? bytes.readBigUInt64LE() : bytes.readBigInt64LE());
    }
    case ColumnType.float:
      return shortestFloat(reader.bytes(4).readFloatLE());
    case ColumnType.double:
      return shortestDouble(reader.bytes(8).readDoubleLE());
    case ColumnType.date:
    case ColumnType.dateTime:
    case ColumnType.timestamp:
      return readMoment(reader, type === ColumnType.date);
    case ColumnType.time:
      return readTime(reader);
    default:
      return reader.text() ?? null;
  }
}

function whole(value: number, bits: number, isUnsigned: boolean): string {
  return String(isUnsigned || value < 2 ** (bits - 1) ? value : value - 2 ** bits);
}

function shortestDouble(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The shortest text that reads back to the same four bytes. */
export function shortestFloat(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (!Number.isFinite(value)) return String(value);
  for (let digits = 6; digits < 9; digits += 1) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

function readMoment(reader: PayloadReader, isDate: boolean): string {
  const length = reader.integer(1);
  if (![0, 4, 7, 11].includes(length)) throw new ProtocolFault(`a date has no ${length} bytes`);
  const [year, month, day] = length === 0 ? [0, 0, 0] : [reader.integer(2), reader.integer(1), reader.integer(1)];
  const [hour, minute, second] = length < 7 ? [0, 0, 0] : [reader.integer(1), reader.integer(1), reader.integer(1)];
  const fraction = length < 11 ? '' : `.${pad(reader.integer(4), 6)}`;
  const date = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
  return isDate && length <= 4 ? date : `${date} ${pad(hour)}:${pad(minute)}:${pad(second)}${fraction}`;
}

function readTime(reader: PayloadReader): string {
  const length = reader.integer(1);
  if (![0, 8, 12].includes(length)) throw new ProtocolFault(`a time has no ${length} bytes`);
  if (length === 0) return '00:00:00';
  const sign = reader.integer(1) === 1 ? '-' : '';
  const hours = reader.integer(4) * 24 + reader.integer(1);
  const [minute, second] = [reader.integer(1), reader.integer(1)];
  return `${sign}${pad(hours)}:${pad(minute)}:${pad(second)}${length < 12 ? '' : `.${pad(reader.integer(4), 6)}`}`;
}

/** The reverse, of the same texts; anything else of a time, or a number that its type does not hold, is an `Error`. */
export function writeBinaryValue(value: Buffer | string, type: number): Buffer {
  const text = (): string => value.toString();
  switch (type) {
    case ColumnType.tiny:
      return Buffer.of(inRange(text(), 8));
    case ColumnType.short:
    case ColumnType.year:
      return integer(inRange(text(), 16), 2);
    case ColumnType.long:
    case ColumnType.int24:
      return integer(inRange(text(), 32), 4);
    case ColumnType.longLong: {
      const out = Buffer.allocUnsafe(8);
      out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(text())));
      return out;
    }
    case ColumnType.float: {
      const out = Buffer.allocUnsafe(4);
      out.writeFloatLE(Number(text()));
      return out;
    }
    case ColumnType.double: {
      const out = Buffer.allocUnsafe(8);
      out.writeDoubleLE(Number(text()));
      return out;
    }
    case ColumnType.date:
    case ColumnType.dateTime:
    case ColumnType.timestamp:
      return writeMoment(text());
    case ColumnType.time:
      return writeTime(text());
    default:
      return lengthEncodedText(value);
  }
}

function inRange(text: string, bits: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < -(2 ** (bits - 1)) || value >= 2 ** bits) throw new RangeError(`${text} is no integer of ${bits} bits`);
  return value < 0 ? value + 2 ** bits : value;
}

function micros(fraction: string | undefined): number {
  return Number((fraction ?? '').padEnd(6, '0').slice(0, 6));
}

function writeMoment(text: string): Buffer {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/.exec(text);
  if (!match) throw new RangeError(`${text} is no date`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const fraction = micros(match[7]);
  const length = fraction > 0 ? 11 : hour + minute + second > 0 ? 7 : year + month + day > 0 ? 4 : 0;
  const all = Buffer.concat([integer(year, 2), Buffer.of(month, day, hour, minute, second), integer(fraction, 4)]);
  return Buffer.concat([Buffer.of(length), all.subarray(0, length)]);
}

function writeTime(text: string): Buffer {
  const match = /^(-?)(\d{2,3}):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (!match) throw new RangeError(`${text} is no time`);
  const [hours = 0, minute = 0, second = 0] = match.slice(2, 5).map(Number);
  const fraction = micros(match[5]);
  const length = fraction > 0 ? 12 : hours + minute + second > 0 ? 8 : 0;
  const all = Buffer.concat([Buffer.of(match[1] === '-' ? 1 : 0), integer(Math.floor(hours / 24), 4), Buffer.of(hours % 24, minute, second), integer(fraction, 4)]);
  return Buffer.concat([Buffer.of(length), all.subarray(0, length)]);
}
