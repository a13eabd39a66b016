/**
 * Encodes rows as the parameters of a set-wise statement: one binary `text[]` per column. A value of the stream and an element of a binary
 * array look the same (32-bit length, bytes), so a value is copied once and never becomes a string.
 * Layout: https://www.postgresql.org/docs/current/arrays.html, `array_recv` in the server's sources.
 */
import { skipValue, uint32, valueKind } from '../postgres/pgoutput.ts';

const ARRAY_HEAD_BYTES = 20;
const TEXT_OID = 25;
/** Below this, copying byte by byte beats a call into the runtime. */
const SHORT_COPY_BYTES = 40;

/** A tuple's place: `at` points at its column count. */
export interface RowRef {
  readonly buffer: Buffer;
  readonly at: number;
}

class ColumnWriter {
  #buffer: Buffer;
  #next = ARRAY_HEAD_BYTES;
  #hasNull = 0;

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafe(ARRAY_HEAD_BYTES + expectedBytes);
  }

  /** `at` points at a value's kind byte; an unchanged value must not get here. */
  add(from: Buffer, at: number): void {
    if (from[at] !== valueKind.text) {
      this.#reserve(4);
      this.#next = this.#buffer.writeInt32BE(-1, this.#next);
      this.#hasNull = 1;
      return;
    }
    const size = 4 + uint32(from, at + 1);
    this.#reserve(size);
    if (size > SHORT_COPY_BYTES) {
      from.copy(this.#buffer, this.#next, at + 1, at + 1 + size);
      this.#next += size;
      return;
    }
    const buffer = this.#buffer;
    let next = this.#next;
    for (let byte = at + 1; byte <= at + size; byte += 1) buffer[next++] = from[byte] as number;
    this.#next = next;
  }

  #reserve(bytes: number): void {
    if (this.#next + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#next + bytes));
    this.#buffer.copy(grown, 0, 0, this.#next);
    this.#buffer = grown;
  }

  finish(count: number): Buffer {
    const buffer = this.#buffer;
    buffer.writeInt32BE(1, 0);
    buffer.writeInt32BE(this.#hasNull, 4);
    buffer.writeInt32BE(TEXT_OID, 8);
    buffer.writeInt32BE(count, 12);
    buffer.writeInt32BE(1, 16);
    return buffer.subarray(0, this.#next);
  }
}

/** One parameter per place; `places` are the tuples' column indexes in parameter order. Rows must hold all of them. */
export function encodeRows(rows: readonly RowRef[], places: readonly number[]): Buffer[] {
  const writers = places.map(() => new ColumnWriter(rows.length * 16));
  const last = Math.max(...places);
  const writerOf: (ColumnWriter | undefined)[] = Array.from({ length: last + 1 }, () => undefined);
  places.forEach((place, index) => (writerOf[place] = writers[index]));
  const twice = places.length !== new Set(places).size;
  if (twice) throw new RangeError('a column is encoded twice');
  for (const { buffer, at } of rows) {
    let next = at + 2;
    for (let column = 0; column <= last; column += 1) {
      writerOf[column]?.add(buffer, next);
      next = skipValue(buffer, next);
    }
  }
  return writers.map((writer) => writer.finish(rows.length));
}
