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
/** Below this, copying byte by byte beats calls into the runtime. */
export const SHORT_BYTES = 48;

export abstract class CopyEncoder {
  readonly columns: readonly SourceColumn[];
  protected out = Buffer.allocUnsafe(START_BYTES);
  protected at = 0;
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
    this.out = this.out.subarray(this.at);
    // A new one only when little is left: what was taken is still on its way.
    if (this.out.length < START_BYTES / 4) this.out = Buffer.allocUnsafe(START_BYTES);
    this.at = 0;
    this.#rows = 0;
    return taken;
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

  #frame(begin: number): void {
    this.out[begin] = COPY_DATA;
    this.out.writeUInt32BE(this.at - begin - 1, begin + 1);
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
    if (end - at > SHORT_BYTES) {
      from.copy(out, to, at, end);
      to += end - at;
    } else for (let next = at; next < end; next += 1) out[to++] = from[next] as number;
    this.at = to;
  }

  /** By the column's conversion, from the canonical text. */
  protected converted(column: SourceColumn, from: Buffer, at: number, end: number): string | null {
    const { type, toLocal } = column;
    if (type.name === 'bit') return toLocal(bitDigits(from, at, end, type.length ?? 1));
    return toLocal(isByteType(type) ? `\\x${from.toString('hex', at, end)}` : from.toString('utf8', at, end));
  }

  protected reserve(bytes: number): void {
    if (this.at + bytes + 4 <= this.out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(START_BYTES, (this.at + bytes + 4) * 2));
    this.out.copy(grown, 0, 0, this.at);
    this.out = grown;
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
