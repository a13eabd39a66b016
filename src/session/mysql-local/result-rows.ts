/** Rows of local as they come, written as rows for a MySQL client. What is the same in both protocols is copied, nothing else is made of it. */
import { mysqlValue } from '../../../grammar/dialect/postgres/mysql-value.ts';
import type { MysqlResultColumn } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { ImageTaker } from '../../execute/segment.ts';
import { CUT, WHOLE } from '../../wire/framing.ts';
import { RowWriter } from '../../wire/mysql/row-writer.ts';
import { encoderOf } from './text-charset.ts';

const ROW = 0x44;
const FLUSH_BYTES = 32 * 1024;
const TRUE = 0x74;
const one = Buffer.from('1');
const zero = Buffer.from('0');

type Convert = (text: string) => Buffer;

interface Cell {
  readonly type: number;
  readonly isBoolean: boolean;
  /** Undefined: the bytes as they are. */
  readonly convert: Convert | undefined;
}

export interface RowsOptions {
  readonly columns: readonly MysqlResultColumn[];
  /** Rows of a prepared statement. */
  readonly isBinary: boolean;
  /** `character_set_results`. */
  readonly charset: string;
  /** Columns behind those that are shown are kept in `kept`: of statements that write, whose rows they count. */
  readonly keepsRest: boolean;
  /** What stands before the rows has this sequence id first; it is written with the first row, or with the end. */
  readonly head: () => { readonly packets: Buffer; readonly next: number };
  readonly write: (bytes: Buffer) => void;
}

export class ResultRows implements ImageTaker {
  readonly #options: RowsOptions;
  readonly #cells: readonly Cell[];
  #writer: RowWriter | undefined;
  #isDue = false;
  /** That have been written. */
  count = 0;
  readonly kept: (readonly (string | null)[])[] = [];
  /** A value that cannot be written: the rows end before it. */
  fault: Error | undefined;

  constructor(options: RowsOptions) {
    this.#options = options;
    this.#cells = options.columns.map((column) => cellOf(column, options));
  }

  /** Something has been written, or is about to be. */
  get hasBegun(): boolean {
    return this.#writer !== undefined;
  }

  take(type: number, buffer: Buffer, start: number, length: number): 1 | 3 {
    if (type !== ROW || this.fault) return CUT;
    if (start + length > buffer.length) return WHOLE;
    const writer = this.#begun();
    try {
      this.#row(writer, buffer, start);
      this.count += 1;
    } catch (error) {
      writer.dropRow();
      this.fault = error instanceof Error ? error : new Error(String(error));
    }
    if (writer.bytes >= FLUSH_BYTES) this.#flush();
    else if (!this.#isDue) {
      // Behind the chunk that is being read.
      this.#isDue = true;
      queueMicrotask(() => this.#flush());
    }
    return CUT;
  }

  /** Sequence id of what comes behind the rows, all of which have been handed over. */
  end(): number {
    const writer = this.#begun();
    this.#flush();
    return writer.sequence;
  }

  #begun(): RowWriter {
    if (this.#writer) return this.#writer;
    const { packets, next } = this.#options.head();
    this.#options.write(packets);
    return (this.#writer = new RowWriter(this.#options.isBinary, this.#cells.length, next));
  }

  #flush(): void {
    this.#isDue = false;
    if (this.#writer && this.#writer.bytes > 0) this.#options.write(this.#writer.take());
  }

  #row(writer: RowWriter, buffer: Buffer, start: number): void {
    const cells = this.#cells;
    const { isBinary } = this.#options;
    writer.beginRow();
    let at = start + 7;
    for (let index = 0; index < cells.length; index += 1) {
      const length = buffer.readInt32BE(at);
      at += 4;
      const cell = cells[index];
      if (length < 0 || !cell) writer.null(index);
      else {
        const end = at + length;
        if (cell.isBoolean) write(writer, isBinary, cell.type, buffer[at] === TRUE ? one : zero, 0, 1);
        else if (cell.convert) {
          const bytes = cell.convert(buffer.toString('utf8', at, end));
          write(writer, isBinary, cell.type, bytes, 0, bytes.length);
        } else write(writer, isBinary, cell.type, buffer, at, end);
        at = end;
      }
    }
    writer.endRow();
    if (this.#options.keepsRest) this.kept.push(restOf(buffer, start, at));
  }
}

/** The columns from place `at` on. */
function restOf(buffer: Buffer, start: number, from: number): readonly (string | null)[] {
  const rest: (string | null)[] = [];
  const end = start + 1 + buffer.readInt32BE(start + 1);
  for (let at = from; at < end;) {
    const length = buffer.readInt32BE(at);
    at += 4;
    rest.push(length < 0 ? null : buffer.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return rest;
}

function write(writer: RowWriter, isBinary: boolean, type: number, from: Buffer, start: number, end: number): void {
  if (isBinary) writer.typed(type, from, start, end);
  else writer.bytesOf(from, start, end);
}

function cellOf(column: MysqlResultColumn, { isBinary, charset }: RowsOptions): Cell {
  const { form, type } = column;
  if (form.kind === 'boolean') return { type, isBoolean: true, convert: undefined };
  const encode = column.charset === 'text' ? encoderOf(charset) : undefined;
  // As a number the text is read anyhow.
  const isNumber = isBinary && (form.kind === 'float' || form.kind === 'double');
  const change = isNumber ? undefined : mysqlValue(column);
  if (!change) return { type, isBoolean: false, convert: encode };
  if (form.kind === 'bytes' || form.kind === 'bit') return { type, isBoolean: false, convert: (text) => Buffer.from(change(text), 'latin1') };
  return { type, isBoolean: false, convert: encode ? (text) => encode(change(text)) : (text) => Buffer.from(change(text), 'utf8') };
}
