/**
 * Rows of the text protocol as `CopyData` frames, one row in each, in one pass over the bytes. `take` hands over what is there. One for each reader; not
 * used twice at once.
 *
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
 */
import { isByteType } from './column-type.ts';
import type { SourceColumn } from './source-column.ts';

const NULL_VALUE = 0xfb;
const COPY_DATA = 0x64;
const FRAME_HEAD_BYTES = 5;
const START_BYTES = 128 * 1024;
const ZERO = 0x30;
/** Up to this, going through bytes four by four beats calls into the runtime. */
export const SHORT_BYTES = 128;
/** In a word with these two: a byte that is zero borrows from its upper bit. */
const LOW_BITS = 0x0101_0101;
const HIGH_BITS = 0x8080_8080 | 0;

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export abstract class CopyEncoder {
  readonly columns: readonly SourceColumn[];
  /** What `out` is the rest of. */
  #block: Buffer = Buffer.allocUnsafe(START_BYTES);
  protected out = this.#block;
  protected at = 0;
  /** The same bytes as `out`, for what is more than one of them. */
  protected view = viewOf(this.out);
  /** Of the piece of the result that rows are read from. */
  #source: Buffer = this.out;
  #sourceView = this.view;
  #rows = 0;

  constructor(columns: readonly SourceColumn[]) {
    this.columns = columns;
  }

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  /** The buffer is the caller's; what comes next goes to another one. */
  take(): { readonly bytes: Buffer; readonly rows: number } {
    const taken = { bytes: this.out.subarray(0, this.at), rows: this.#rows };
    const rest = this.out.subarray(this.at);
    // A new one only when little is left: what was taken is still on its way.
    if (rest.length >= START_BYTES / 4) this.#writeTo(rest);
    else this.#begin(START_BYTES);
    this.at = 0;
    this.#rows = 0;
    return taken;
  }

  /** All that was ever taken has left: it may be written over. */
  reuse(): void {
    // One that had to grow is not kept.
    if (this.isEmpty && this.#block.length === START_BYTES) this.#writeTo(this.#block);
  }

  /** A result begins: what is left of another one is forgotten. */
  begin(): void {
    if (!this.isEmpty) this.take();
  }

  /** The result has ended. */
  end(): void {
    // Nothing follows the rows of every form.
  }

  /** One row, whole, from `at` to `end`. Throws what a conversion throws; the row is then left out. */
  add(from: Buffer, at: number, end: number): void {
    // Enough for most values as they are; what needs more asks for it.
    this.reserve(FRAME_HEAD_BYTES + (end - at));
    const begin = this.at;
    this.at += FRAME_HEAD_BYTES;
    try {
      this.row(from, at);
    } catch (error) {
      this.at = begin;
      throw error;
    }
    this.#frame(begin);
  }

  /** A frame that is no row, counted as one. */
  protected addFrame(content: Buffer): void {
    this.reserve(FRAME_HEAD_BYTES + content.length);
    const begin = this.at;
    this.at += FRAME_HEAD_BYTES;
    this.at += content.copy(this.out, this.at);
    this.#frame(begin);
  }

  #begin(bytes: number): void {
    this.#block = Buffer.allocUnsafe(bytes);
    this.#writeTo(this.#block);
  }

  #writeTo(out: Buffer): void {
    this.out = out;
    this.view = viewOf(out);
  }

  #frame(begin: number): void {
    this.out[begin] = COPY_DATA;
    this.view.setInt32(begin + 1, this.at - begin - 1);
    this.#rows += 1;
  }

  protected row(from: Buffer, at: number): void {
    let next = at;
    for (let column = 0; column < this.columns.length; column += 1) {
      let length = from[next] as number;
      next += 1;
      if (length === NULL_VALUE) {
        this.nothing();
        continue;
      }
      if (length > NULL_VALUE) {
        const width = length === 0xfc ? 2 : length === 0xfd ? 3 : 8;
        length = width === 8 ? Number(from.readBigUInt64LE(next)) : from.readUIntLE(next, width);
        next += width;
      }
      this.value(column, from, next, next + length);
      next += length;
    }
  }

  /** NULL. */
  protected abstract nothing(): void;
  protected abstract value(column: number, from: Buffer, at: number, end: number): void;

  /** As they are. */
  protected copy(from: Buffer, at: number, end: number): void {
    this.reserve(end - at);
    const { out } = this;
    let to = this.at;
    this.at = to + end - at;
    if (end - at > SHORT_BYTES) {
      from.copy(out, to, at, end);
      return;
    }
    const [source, target] = [this.#viewOf(from), this.view];
    let next = at;
    for (const last = end - 4; next <= last; next += 4, to += 4) target.setInt32(to, source.getInt32(next));
    for (; next < end; next += 1) out[to++] = from[next] as number;
  }

  /** As they are. False, and nothing is written, where a NUL is among them. */
  protected copyWithoutNul(from: Buffer, at: number, end: number): boolean {
    if (end - at > SHORT_BYTES) {
      const zero = from.indexOf(0, at);
      if (zero >= 0 && zero < end) return false;
      this.copy(from, at, end);
      return true;
    }
    this.reserve(end - at);
    const { out } = this;
    let to = this.at;
    const [source, target] = [this.#viewOf(from), this.view];
    let next = at;
    for (const last = end - 4; next <= last; next += 4, to += 4) {
      const word = source.getInt32(next);
      if (((word - LOW_BITS) & ~word & HIGH_BITS) !== 0) return false;
      target.setInt32(to, word);
    }
    for (; next < end; next += 1) {
      const byte = from[next] as number;
      if (byte === 0) return false;
      out[to++] = byte;
    }
    this.at = to;
    return true;
  }

  #viewOf(from: Buffer): DataView {
    if (from !== this.#source) {
      this.#source = from;
      this.#sourceView = viewOf(from);
    }
    return this.#sourceView;
  }

  /** By the column's conversion, from the canonical text. */
  protected converted(column: SourceColumn, from: Buffer, at: number, end: number): string | null {
    const { type, toLocal } = column;
    if (type.name === 'bit') return toLocal(bitDigits(from, at, end, type.length ?? 1));
    return toLocal(isByteType(type) ? `\\x${from.toString('hex', at, end)}` : from.toString('utf8', at, end));
  }

  protected reserve(bytes: number): void {
    if (this.at + bytes + 4 <= this.out.length) return;
    const full = this.out;
    this.#begin(Math.max(START_BYTES, (this.at + bytes + 4) * 2));
    full.copy(this.out, 0, 0, this.at);
  }
}

const monthDays = Uint8Array.from([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);

/** `YYYY-MM-DD…` with a year and a month that are not zero, and a day that the month has in every year. */
export function isPlainDate(from: Buffer, at: number): boolean {
  if (from[at] === ZERO && from[at + 1] === ZERO && from[at + 2] === ZERO && from[at + 3] === ZERO) return false;
  const day = twoDigits(from, at + 8);
  return day > 0 && day <= (monthDays[twoDigits(from, at + 5)] ?? 0);
}

export function twoDigits(from: Buffer, at: number): number {
  return ((from[at] as number) - ZERO) * 10 + (from[at + 1] as number) - ZERO;
}

/** BIT(n) comes as bytes, the highest first. */
function bitDigits(from: Buffer, at: number, end: number, bits: number): string {
  let value = 0n;
  for (let next = at; next < end; next += 1) value = (value << 8n) | BigInt(from[next] as number);
  return value.toString(2).padStart(bits, '0');
}
