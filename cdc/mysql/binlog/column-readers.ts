/** From a column's description to the function that reads its values as canonical text; made once per definition of a table. */
import { inflateRawSync, inflateSync } from 'node:zlib';
import { MigrationError } from '../../../config/migration-error.ts';
import { BINARY } from './charsets.ts';
import type { Charsets, TextReader } from './charsets.ts';
import type { ColumnFacts } from './column-facts.ts';
import type { Cursor } from './cursor.ts';
import { decimalReader } from './decimal-text.ts';
import { columnType } from './event.ts';
import { doubleText, floatText } from './float-text.ts';
import { inet4Text, inet6Text, uuidText } from './address-text.ts';
import { jsonText } from './json-text.ts';
import type { MappedColumn, TableMap } from './table-map.ts';
import { datetimeReader, oldDatetimeReader, oldTimeReader, oldTimestampReader, readDate, readYear, timeReader, timestampReader } from './temporal-text.ts';

export type ValueReader = (cursor: Cursor) => string;

interface ColumnContext {
  readonly column: MappedColumn;
  readonly isUnsigned: boolean;
  /** Of the column's texts; undefined for bytes. */
  readonly text: TextReader | undefined;
  readonly labels: readonly string[];
  readonly facts: ColumnFacts | undefined;
}

export async function columnReader(map: TableMap, index: number, facts: ColumnFacts | undefined, charsets: Charsets): Promise<ValueReader> {
  const column = map.columns[index];
  if (!column) throw new RangeError(`no column ${index} in ${map.schema}.${map.name}`);
  const { metadata } = map;
  const collation = metadata.collations.get(index);
  const charset = collation === undefined ? facts?.charset : await charsets.nameOf(collation);
  const text = charset === undefined || charset === BINARY ? undefined : await charsets.readerOf(charset);
  const labels = metadata.labels.get(index)?.map((label) => (text ? text(label, 0, label.length) : label.toString('latin1'))) ?? facts?.type.labels ?? [];
  const isUnsigned = metadata.unsigned?.has(index) ?? facts?.type.unsigned ?? false;
  const name = metadata.names[index] ?? facts?.name ?? String(index + 1);
  return makeReader({ column, isUnsigned, text, labels, facts }, `${map.schema}.${map.name}.${name}`);
}

function makeReader(context: ColumnContext, name: string): ValueReader {
  const { column: { type, meta, meta2 }, text, labels } = context;
  const c = columnType;
  switch (type) {
    case c.tiny: return integerReader(1, context.isUnsigned);
    case c.short: return integerReader(2, context.isUnsigned);
    case c.int24: return integerReader(3, context.isUnsigned);
    case c.long: return integerReader(4, context.isUnsigned);
    case c.longLong: return context.isUnsigned ? readUint64 : (cursor) => String(cursor.int64());
    case c.float: return (cursor) => floatText(cursor.buffer.readFloatLE(cursor.skip(4)));
    case c.double: return (cursor) => doubleText(cursor.buffer.readDoubleLE(cursor.skip(8)));
    case c.newDecimal: return decimalReader(meta, meta2);
    case c.year: return readYear;
    case c.date:
    case c.newDate: return readDate;
    case c.time: return oldTimeReader(context.facts?.type.length ?? 0);
    case c.datetime: return oldDatetimeReader(context.facts?.type.length ?? 0);
    case c.timestamp: return oldTimestampReader(context.facts?.type.length ?? 0);
    case c.time2: return timeReader(meta);
    case c.datetime2: return datetimeReader(meta);
    case c.timestamp2: return timestampReader(meta);
    case c.bit: return bitReader(meta);
    case c.enum: return enumReader(meta, labels);
    case c.set: return setReader(meta, labels);
    case c.string: return fixedReader(context);
    case c.varchar:
    case c.varString: return lengthReader(meta > 255 ? 2 : 1, valueOf(text));
    case c.blob:
    case c.tinyBlob:
    case c.mediumBlob:
    case c.longBlob: return lengthReader(meta, valueOf(text));
    case c.geometry:
    case c.vector: return lengthReader(meta, hex);
    case c.json: return lengthReader(meta, jsonText);
    case c.varcharCompressed: return lengthReader(meta > 255 ? 2 : 1, compressed(valueOf(text)));
    case c.blobCompressed: return lengthReader(meta, compressed(valueOf(text)));
    default:
      throw new MigrationError('MIG012', `${name} has a type that cannot be read from the binlog`, { detail: `type ${type}` });
  }
}

function integerReader(bytes: 1 | 2 | 3 | 4, isUnsigned: boolean): ValueReader {
  return isUnsigned ? (cursor) => String(cursor.uint(bytes)) : (cursor) => String(cursor.int(bytes));
}

function readUint64(cursor: Cursor): string {
  return String(cursor.uint64());
}

function bitReader(bits: number): ValueReader {
  const bytes = (bits + 7) >> 3;
  return (cursor) => {
    let text = '';
    for (let left = bytes; left > 0; left -= 1) text += cursor.uint8().toString(2).padStart(8, '0');
    return text.slice(-bits);
  };
}

/** 0 is the empty text that stands for a value which was not in the list. */
function enumReader(bytes: number, labels: readonly string[]): ValueReader {
  return (cursor) => {
    const number = cursor.uint(bytes);
    const label = number === 0 ? '' : labels[number - 1];
    if (label === undefined) throw new RangeError(`an enum of ${labels.length} labels has none of number ${number}`);
    return label;
  };
}

function setReader(bytes: number, labels: readonly string[]): ValueReader {
  return (cursor) => {
    const { buffer } = cursor;
    const start = cursor.skip(bytes);
    let text = '';
    for (let index = 0; index < bytes * 8; index += 1) {
      if ((((buffer[start + (index >> 3)] ?? 0) >> (index & 7)) & 1) === 0) continue;
      const label = labels[index];
      if (label === undefined) throw new RangeError(`a set of ${labels.length} labels has none of number ${index + 1}`);
      text += text === '' ? label : `,${label}`;
    }
    return text;
  };
}

type SliceReader = (buffer: Buffer, start: number, end: number) => string;

function lengthReader(bytes: number, value: SliceReader): ValueReader {
  return (cursor) => {
    const length = cursor.uint(bytes);
    const start = cursor.skip(length);
    return value(cursor.buffer, start, start + length);
  };
}

function valueOf(text: TextReader | undefined): SliceReader {
  return text ?? hex;
}

function hex(buffer: Buffer, start: number, end: number): string {
  return `\\x${buffer.toString('hex', start, end)}`;
}

/** CHAR without its trailing blanks; BINARY is sent without its trailing zeros, which belong to the value. */
function fixedReader({ column: { meta }, text, facts }: ColumnContext): ValueReader {
  const lengthBytes = meta > 255 ? 2 : 1;
  if (text) return lengthReader(lengthBytes, text);
  const padded = (buffer: Buffer, start: number, end: number): Buffer => {
    const whole = Buffer.alloc(meta);
    buffer.copy(whole, 0, start, end);
    return whole;
  };
  switch (facts?.type.name) {
    case 'uuid': return lengthReader(lengthBytes, (buffer, start, end) => uuidText(padded(buffer, start, end)));
    case 'inet4': return lengthReader(lengthBytes, (buffer, start, end) => inet4Text(padded(buffer, start, end)));
    case 'inet6': return lengthReader(lengthBytes, (buffer, start, end) => inet6Text(padded(buffer, start, end)));
    default: return lengthReader(lengthBytes, (buffer, start, end) => `\\x${padded(buffer, start, end).toString('hex')}`);
  }
}

/**
 * MariaDB's compressed columns: 0 and the value as it is, or 0x80, 8 when the data have no zlib header, and the bytes of the value's length, which
 * follows, high byte first. https://mariadb.com/kb/en/storage-engine-independent-column-compression/
 */
function compressed(value: SliceReader): SliceReader {
  return (buffer, start, end) => {
    const head = start === end ? 0 : (buffer[start] ?? 0);
    if (head === 0) return value(buffer, Math.min(start + 1, end), end);
    if ((head & 0xf0) !== 0x80) throw new RangeError(`a compressed column uses method ${head >> 4}`);
    const data = buffer.subarray(start + 1 + (head & 7), end);
    const plain = (head & 8) === 0 ? inflateSync(data) : inflateRawSync(data);
    return value(plain, 0, plain.length);
  };
}
