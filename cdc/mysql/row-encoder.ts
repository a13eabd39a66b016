/**
 * Rows of the text protocol to `COPY` text, one pass over the bytes. Digits, dates and Unicode text are copied as they came; a value becomes a string
 * only where its type asks for it, or where it holds what local cannot keep as it is.
 *
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html,
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { isByteType, isCharacterType } from './column-type.ts';
import { keepText } from './conversion.ts';
import type { ConvertText } from './conversion.ts';
import { keepsAll } from './source-column.ts';
import type { SourceColumn } from './source-column.ts';

/** How the bytes of a column's values are written. */
const form = {
  /** As they are. */
  plain: 0,
  /** With the characters escaped that COPY gives a meaning; through the conversion where a NUL is among them. */
  text: 1,
  /** As they are; through the conversion where a part of the date is zero, or a day that not every month has. */
  date: 2,
  hex: 3,
  bits: 4,
  /** Through the conversion, all of them. */
  converted: 5,
} as const;

const NULL_VALUE = 0xfb;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const COPY_DATA = 0x64;
const FRAME_HEAD_BYTES = 5;
/** Below this, copying byte by byte beats calls into the runtime. */
const SHORT_BYTES = 48;
const START_BYTES = 128 * 1024;
const HEX = Buffer.from('0123456789abcdef');

function formOf(column: SourceColumn): number {
  const { type } = column;
  const isKept = keepsAll(column);
  if (isByteType(type)) return isKept ? form.hex : form.converted;
  if (type.name === 'bit') return form.bits;
  if (isKept || column.keepsOrdinary) {
    if (/^(?:date|datetime|timestamp)$/.test(type.name)) return form.date;
    if (isCharacterType(type)) return form.text;
  }
  if (!isKept) return form.converted;
  return /int$|^(?:decimal|float|double|year|time)$/.test(type.name) ? form.plain : form.text;
}

/** Collects rows as `CopyData` frames; `take` hands over what is there. One for each reader; not used twice at once. */
export class RowEncoder {
  readonly #forms: Uint8Array;
  readonly #converters: readonly ConvertText[];
  readonly #areBytes: readonly boolean[];
  readonly #bits: readonly number[];
  #out = Buffer.allocUnsafe(START_BYTES);
  #at = 0;
  #rows = 0;

  constructor(columns: readonly SourceColumn[]) {
    this.#areBytes = columns.map((column) => isByteType(column.type));
    this.#bits = columns.map((column) => column.type.length ?? 1);
    this.#forms = Uint8Array.from(columns, formOf);
    this.#converters = columns.map((column) => column.toLocal);
  }

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  /** The buffer is the caller's; what comes next goes to another one. */
  take(): { readonly bytes: Buffer; readonly rows: number } {
    const taken = { bytes: this.#out.subarray(0, this.#at), rows: this.#rows };
    this.#out = this.#out.subarray(this.#at);
    // A new one only when little is left: what was taken is still on its way.
    if (this.#out.length < START_BYTES / 4) this.#out = Buffer.allocUnsafe(START_BYTES);
    this.#at = 0;
    this.#rows = 0;
    return taken;
  }

  /** One row, whole, from `at` to `end`. Throws what a conversion throws; the row is then left out. */
  add(from: Buffer, at: number, end: number): void {
    const begin = this.#at;
    // Enough for every value as it is; escapes and hex ask for more.
    this.#reserve(FRAME_HEAD_BYTES + (end - at) + this.#forms.length * 2 + 1);
    this.#at += FRAME_HEAD_BYTES;
    try {
      this.#addValues(from, at);
    } catch (error) {
      this.#at = begin;
      throw error;
    }
    this.#out[this.#at - 1] = NEWLINE;
    this.#out[begin] = COPY_DATA;
    this.#out.writeUInt32BE(this.#at - begin - 1, begin + 1);
    this.#rows += 1;
  }

  #addValues(from: Buffer, at: number): void {
    const forms = this.#forms;
    let next = at;
    for (let column = 0; column < forms.length; column += 1) {
      let length = from[next] as number;
      if (length === NULL_VALUE) {
        next += 1;
        this.#reserve(3);
        this.#out[this.#at++] = BACKSLASH;
        this.#out[this.#at++] = 0x4e;
      } else {
        next += 1;
        if (length > NULL_VALUE) {
          const width = length === 0xfc ? 2 : length === 0xfd ? 3 : 8;
          length = width === 8 ? Number(from.readBigUInt64LE(next)) : from.readUIntLE(next, width);
          next += width;
        }
        this.#addValue(forms[column] as number, column, from, next, next + length);
        next += length;
      }
      this.#reserve(1);
      this.#out[this.#at++] = TAB;
    }
  }

  #addValue(kind: number, column: number, from: Buffer, at: number, end: number): void {
    switch (kind) {
      case form.plain:
        return this.#plain(from, at, end);
      case form.text:
        return this.#text(column, from, at, end);
      case form.date:
        return isWholeDate(from, at) ? this.#plain(from, at, end) : this.#convert(column, from.toString('latin1', at, end));
      case form.hex:
        return this.#hex(from, at, end);
      case form.bits:
        return this.#convert(column, bitDigits(from, at, end, this.#bits[column] ?? 1));
      default:
        return this.#convert(column, this.#areBytes[column] === true ? `\\x${from.toString('hex', at, end)}` : from.toString('utf8', at, end));
    }
  }

  #plain(from: Buffer, at: number, end: number): void {
    this.#reserve(end - at);
    const out = this.#out;
    let to = this.#at;
    if (end - at > SHORT_BYTES) {
      from.copy(out, to, at, end);
      to += end - at;
    } else for (let next = at; next < end; next += 1) out[to++] = from[next] as number;
    this.#at = to;
  }

  #text(column: number, from: Buffer, at: number, end: number): void {
    this.#reserve((end - at) * 2);
    const out = this.#out;
    const begin = this.#at;
    let to = begin;
    for (let next = at; next < end; next += 1) {
      const byte = from[next] as number;
      if (byte > BACKSLASH || (byte > RETURN && byte < BACKSLASH)) {
        out[to++] = byte;
        continue;
      }
      if (byte === 0) {
        this.#at = begin;
        this.#convert(column, from.toString('utf8', at, end));
        return;
      }
      if (byte === BACKSLASH || byte === NEWLINE || byte === RETURN || byte === TAB) {
        out[to++] = BACKSLASH;
        out[to++] = byte === BACKSLASH ? BACKSLASH : byte === NEWLINE ? 0x6e : byte === RETURN ? 0x72 : 0x74;
      } else out[to++] = byte;
    }
    this.#at = to;
  }

  /** Canonical text of bytes is `\x…`, its backslash doubled by COPY. */
  #hex(from: Buffer, at: number, end: number): void {
    this.#reserve((end - at) * 2 + 3);
    const out = this.#out;
    let to = this.#at;
    out[to++] = BACKSLASH;
    out[to++] = BACKSLASH;
    out[to++] = 0x78;
    if (end - at > SHORT_BYTES) to += out.write(from.toString('hex', at, end), to, 'latin1');
    else {
      for (let next = at; next < end; next += 1) {
        const byte = from[next] as number;
        out[to++] = HEX[byte >> 4] as number;
        out[to++] = HEX[byte & 15] as number;
      }
    }
    this.#at = to;
  }

  #convert(column: number, text: string): void {
    const value = (this.#converters[column] ?? keepText)(text);
    if (value === null) {
      this.#reserve(2);
      this.#out[this.#at++] = BACKSLASH;
      this.#out[this.#at++] = 0x4e;
      return;
    }
    const escaped = /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (letter) => escapes[letter] ?? letter) : value;
    const bytes = Buffer.byteLength(escaped);
    this.#reserve(bytes);
    this.#at += this.#out.write(escaped, this.#at, 'utf8');
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes + 2 <= this.#out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(START_BYTES, (this.#at + bytes + 2) * 2));
    this.#out.copy(grown, 0, 0, this.#at);
    this.#out = grown;
  }
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `YYYY-MM-DD…` with a year, a month and a day that are not zero, and a day that every month has. */
function isWholeDate(from: Buffer, at: number): boolean {
  if (from[at] === ZERO && from[at + 1] === ZERO && from[at + 2] === ZERO && from[at + 3] === ZERO) return false;
  if (from[at + 5] === ZERO && from[at + 6] === ZERO) return false;
  const day = ((from[at + 8] as number) - ZERO) * 10 + (from[at + 9] as number) - ZERO;
  return day > 0 && day <= 28;
}

/** BIT(n) comes as bytes, the highest first. */
function bitDigits(from: Buffer, at: number, end: number, bits: number): string {
  let value = 0n;
  for (let next = at; next < end; next += 1) value = (value << 8n) | BigInt(from[next] as number);
  return value.toString(2).padStart(bits, '0');
}
