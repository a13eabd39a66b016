/**
 * Rows as `COPY` text. Digits, dates and Unicode text are copied as they came; a value becomes a string only where its type asks for it, or where it holds what
 * local cannot keep as it is.
 *
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { isByteType, isCharacterType } from './column-type.ts';
import { CopyEncoder, isPlainDate, SHORT_BYTES } from './copy-encoder.ts';
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
  /** Through the conversion, all of them. */
  converted: 4,
} as const;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');

function formOf(column: SourceColumn): number {
  const { type } = column;
  const isKept = keepsAll(column);
  if (isByteType(type)) return isKept ? form.hex : form.converted;
  if (type.name === 'bit') return form.converted;
  if (isKept || column.keepsOrdinary) {
    if (/^(?:date|datetime|timestamp)$/.test(type.name)) return form.date;
    if (isCharacterType(type)) return form.text;
  }
  if (!isKept) return form.converted;
  return /int$|^(?:decimal|float|double|year|time)$/.test(type.name) ? form.plain : form.text;
}

export class TextRows extends CopyEncoder {
  readonly #forms: Uint8Array;

  constructor(columns: readonly SourceColumn[]) {
    super(columns);
    this.#forms = Uint8Array.from(columns, formOf);
  }

  protected override row(from: Buffer, at: number): void {
    super.row(from, at);
    // In place of the last tab.
    this.out[this.at - 1] = NEWLINE;
  }

  protected nothing(): void {
    this.reserve(0);
    this.out[this.at++] = BACKSLASH;
    this.out[this.at++] = 0x4e;
    this.out[this.at++] = TAB;
  }

  protected value(column: number, from: Buffer, at: number, end: number): void {
    this.#value(column, from, at, end);
    this.reserve(0);
    this.out[this.at++] = TAB;
  }

  #value(column: number, from: Buffer, at: number, end: number): void {
    switch (this.#forms[column]) {
      case form.plain:
        return this.copy(from, at, end);
      case form.text:
        return this.#text(column, from, at, end);
      case form.date:
        return isPlainDate(from, at) ? this.copy(from, at, end) : this.#convert(column, from, at, end);
      case form.hex:
        return this.#hex(from, at, end);
      default:
        return this.#convert(column, from, at, end);
    }
  }

  #text(column: number, from: Buffer, at: number, end: number): void {
    this.reserve((end - at) * 2);
    const { out } = this;
    const begin = this.at;
    let to = begin;
    for (let next = at; next < end; next += 1) {
      const byte = from[next] as number;
      if (byte > BACKSLASH || (byte > RETURN && byte < BACKSLASH)) {
        out[to++] = byte;
        continue;
      }
      if (byte === 0) {
        this.at = begin;
        this.#convert(column, from, at, end);
        return;
      }
      if (byte === BACKSLASH || byte === NEWLINE || byte === RETURN || byte === TAB) {
        out[to++] = BACKSLASH;
        out[to++] = byte === BACKSLASH ? BACKSLASH : byte === NEWLINE ? 0x6e : byte === RETURN ? 0x72 : 0x74;
      } else out[to++] = byte;
    }
    this.at = to;
  }

  /** Canonical text of bytes is `\x…`, its backslash doubled by COPY. */
  #hex(from: Buffer, at: number, end: number): void {
    this.reserve((end - at) * 2 + 3);
    const { out } = this;
    let to = this.at;
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
    this.at = to;
  }

  #convert(column: number, from: Buffer, at: number, end: number): void {
    const value = this.converted(this.columns[column] as SourceColumn, from, at, end);
    if (value === null) {
      this.reserve(2);
      this.out[this.at++] = BACKSLASH;
      this.out[this.at++] = 0x4e;
      return;
    }
    const escaped = /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (letter) => escapes[letter] ?? letter) : value;
    this.reserve(Buffer.byteLength(escaped));
    this.at += this.out.write(escaped, this.at, 'utf8');
  }
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
