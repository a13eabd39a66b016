/** Rows of a MySQL server as DataRows of PostgreSQL: values that both write alike are copied, nothing is kept of them. */
import { binaryOf } from '../../wire/binary-text.ts';
import { isVerbatim } from './value-readers.ts';
import type { ReadValue } from './value-readers.ts';

const CHUNK_BYTES = 32 * 1024;
const NULL_VALUE = 0xfb;

export interface RowColumn {
  readonly read: ReadValue;
  readonly oid: number;
  readonly isBinary: boolean;
}

export class RowWriter {
  readonly #columns: readonly RowColumn[];
  readonly #isVerbatim: readonly boolean[];
  readonly #flush: (bytes: Buffer) => void;
  #out = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;

  /** `flush` gets whole messages, which are its own. */
  constructor(columns: readonly RowColumn[], flush: (bytes: Buffer) => void) {
    this.#columns = columns;
    this.#isVerbatim = columns.map(({ read, isBinary, oid }) => isVerbatim(read) && (!isBinary || oid === 25 || oid === 1043));
    this.#flush = flush;
  }

  /** A row's payload; values behind the last column are not shown. Throws what a reader throws. */
  row(payload: Buffer): void {
    const before = this.#at;
    try {
      this.#row(payload);
    } catch (error) {
      this.#at = before;
      throw error;
    }
    if (this.#at >= CHUNK_BYTES) this.flush();
  }

  #row(payload: Buffer): void {
    // A row is seldom longer than it was, and each value has four bytes before it.
    this.#reserve(7 + payload.length + 4 * this.#columns.length);
    const start = this.#at;
    this.#out[start] = 0x44;
    this.#out.writeInt16BE(this.#columns.length, start + 5);
    this.#at = start + 7;
    let at = 0;
    for (let index = 0; index < this.#columns.length; index += 1) {
      const first = payload[at] ?? NULL_VALUE;
      at += 1;
      if (first === NULL_VALUE) {
        this.#out.writeInt32BE(-1, this.#at);
        this.#at += 4;
        continue;
      }
      let length = first;
      if (first === 0xfc) {
        length = payload.readUInt16LE(at);
        at += 2;
      } else if (first === 0xfd) {
        length = payload.readUIntLE(at, 3);
        at += 3;
      } else if (first === 0xfe) {
        length = Number(payload.readBigUInt64LE(at));
        at += 8;
      }
      this.#value(index, payload, at, at + length, this.#columns.length - index);
      at += length;
    }
    this.#out.writeInt32BE(this.#at - start - 1, start + 1);
  }

  flush(): void {
    if (this.#at === 0) return;
    this.#flush(this.#out.subarray(0, this.#at));
    this.#out = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#at = 0;
  }

  #value(index: number, payload: Buffer, start: number, end: number, columnsLeft: number): void {
    const column = this.#columns[index];
    if (this.#isVerbatim[index] === true || !column) {
      this.#out.writeInt32BE(end - start, this.#at);
      payload.copy(this.#out, this.#at + 4, start, end);
      this.#at += 4 + end - start;
      return;
    }
    const text = column.read(payload, start, end);
    const bytes = text === null ? undefined : column.isBinary ? binaryOf(column.oid, text) ?? Buffer.from(text, 'utf8') : undefined;
    const length = text === null ? -1 : bytes?.length ?? Buffer.byteLength(text);
    this.#reserve(length + 4 + (payload.length - end) + 4 * columnsLeft);
    this.#out.writeInt32BE(length, this.#at);
    this.#at += 4;
    if (bytes) this.#at += bytes.copy(this.#out, this.#at);
    else if (text !== null) this.#at += this.#out.write(text, this.#at, 'utf8');
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#at + more));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }
}
