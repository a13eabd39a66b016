/** Rows of a COPY in binary: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT */
import { isUtf8 } from 'node:buffer';
import { textOfBinary } from '../../wire/binary-text.ts';
import { CopyFault } from './copy-rows.ts';
import type { CopyReader, CopyRow } from './copy-rows.ts';

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HAS_OIDS = 1 << 16;
/** The upper half of the flags: one that is not known changes what the data means. */
const CRITICAL = 0xffff_0000;

export interface BinaryColumn {
  readonly name: string;
  readonly oid: number;
  /** Its binary form is its text. */
  readonly isText: boolean;
}

export class CopyBinary implements CopyReader {
  line = 0;
  readonly #columns: readonly BinaryColumn[];
  #parts: Buffer[] = [];
  #held = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** So many have to be there before the next row can be whole. */
  #needed = signature.length + 8;
  #hasBegun = false;
  #isEnded = false;
  #isOver = false;

  constructor(columns: readonly BinaryColumn[]) {
    this.#columns = columns;
  }

  get bytes(): number {
    return this.#bytes.length - this.#at + this.#held;
  }

  push(bytes: Buffer): void {
    if (this.#isOver && bytes.length > 0) throw new CopyFault('22P04', 'received copy data after EOF marker');
    this.#parts.push(bytes);
    this.#held += bytes.length;
  }

  end(): void {
    this.#isEnded = true;
  }

  next(): CopyRow | undefined {
    if (this.#isOver || !this.#gather()) return this.#atEnd();
    if (!this.#hasBegun && !this.#header()) return this.#atEnd();
    return this.#row() ?? this.#atEnd();
  }

  #gather(): boolean {
    if (this.bytes < this.#needed) return false;
    if (this.#parts.length > 0) {
      this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#parts]);
      this.#at = 0;
      this.#parts = [];
      this.#held = 0;
    }
    return true;
  }

  /** Without the trailer is an end as well, behind a whole row. */
  #atEnd(): undefined {
    if (!this.#isEnded || this.#isOver || (this.#hasBegun && this.bytes === 0)) return undefined;
    if (!this.#hasBegun) throw new CopyFault('22P04', 'COPY file signature not recognized');
    this.line += 1;
    throw new CopyFault('22P04', 'unexpected EOF in COPY data');
  }

  #header(): boolean {
    const start = signature.length;
    const bytes = this.#bytes;
    if (!bytes.subarray(0, start).equals(signature)) throw new CopyFault('22P04', 'COPY file signature not recognized');
    const flags = bytes.readUInt32BE(start);
    if ((flags & HAS_OIDS) !== 0) throw new CopyFault('22P04', 'invalid COPY file header (WITH OIDS)');
    if ((flags & CRITICAL) !== 0) throw new CopyFault('22P04', 'unrecognized critical flags in COPY file header');
    const extension = bytes.readInt32BE(start + 4);
    if (extension < 0) throw new CopyFault('22P04', 'invalid COPY file header (missing length)');
    this.#needed = start + 8 + extension;
    if (!this.#gather()) return false;
    this.#at = start + 8 + extension;
    this.#needed = 2;
    this.#hasBegun = true;
    return true;
  }

  #row(): CopyRow | undefined {
    if (!this.#gather()) return undefined;
    const bytes = this.#bytes;
    const count = bytes.readInt16BE(this.#at);
    if (count === -1) {
      this.#isOver = true;
      if (this.bytes > 2) throw new CopyFault('22P04', 'received copy data after EOF marker');
      return undefined;
    }
    this.line += 1;
    if (count !== this.#columns.length) throw new CopyFault('22P04', `row field count is ${count}, expected ${this.#columns.length}`);
    const row: (string | null)[] = [];
    let at = this.#at + 2;
    for (const column of this.#columns) {
      if (at + 4 > bytes.length) return this.#wait(at + 4);
      const length = bytes.readInt32BE(at);
      if (length < -1) throw new CopyFault('22P04', 'invalid field size');
      at += 4;
      if (length < 0) row.push(null);
      else {
        if (at + length > bytes.length) return this.#wait(at + length);
        row.push(valueOf(column, bytes.subarray(at, at + length)));
        at += length;
      }
    }
    this.#at = at;
    this.#needed = 2;
    return row;
  }

  /** The row is read again from its beginning once so much of it is there. */
  #wait(end: number): undefined {
    this.line -= 1;
    this.#needed = end - this.#at;
    return undefined;
  }
}

function valueOf({ name, oid, isText }: BinaryColumn, bytes: Buffer): string {
  if (isText && (bytes.includes(0) || !isUtf8(bytes))) throw new CopyFault('22021', 'invalid byte sequence for encoding "UTF8"');
  return (isText ? bytes.toString('utf8') : textOfBinary(oid, bytes)) ?? notKnown(name);
}

function notKnown(name: string): never {
  throw new CopyFault('22P03', `incorrect binary data format in column "${name}", or one of a type that is not known here`);
}
