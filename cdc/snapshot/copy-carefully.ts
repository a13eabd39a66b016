/**
 * The slow way for a chunk that holds rows which the target refuses: blocks of rows under savepoints, each failing block
 * halved until the bad rows stand alone. Good rows stay, in the transaction that the caller has open.
 */
import type { CopySink } from '../postgres/copy-connection.ts';
import { CopyDataSplitter, framePayload } from '../postgres/copy-connection-frames.ts';
import type { RowError } from '../postgres/row-writer-ledger.ts';
import type { RowWriter } from '../postgres/row-writer.ts';
import { CopyFailure } from './copy-through.ts';
import type { Copied, CopyFlow, Holdable } from './copy-through.ts';

const BLOCK_ROWS = 1000;
const BLOCK_BYTES = 1024 * 1024;
const SHOWN_VALUE_LENGTH = 200;

export interface CarefulCopy {
  /** Hands the rows to `sink`, and `COPY … FROM STDIN`, both in the text format. */
  read(sink: CopySink): Promise<void>;
  readonly copySql: string;
  /** Of the columns in the SELECT, those to name a row by. */
  readonly keyColumns: readonly { readonly name: string; readonly index: number }[];
  /** SQLSTATEs that blame a row; anything else ends the copy. */
  isRowError(error: unknown): boolean;
  /** Throws when no further row may fail. */
  reject(error: RowError): void;
}

/** Returns the rows that were written; memory is bounded by two blocks, or by the largest row. */
export async function copyCarefully(source: Holdable, writer: RowWriter, copy: CarefulCopy, flow: CopyFlow): Promise<Copied> {
  const splitter = new CopyDataSplitter();
  const work = new BlockWriter(writer, copy, flow);
  let failure: { readonly reason: unknown } | undefined;
  let block: Buffer[] = [];
  let blockBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = (): void => {
    const rows = block;
    block = [];
    blockBytes = 0;
    source.pause();
    writing = writing.then(() => (failure ? undefined : work.write(rows))).catch((reason: unknown) => {
      failure ??= { reason };
    }).finally(() => source.resume());
  };
  const outgoing = copy.read((piece) => {
    if (failure) return;
    for (const frame of splitter.push(piece)) {
      block.push(frame);
      blockBytes += frame.length;
    }
    if (block.length >= BLOCK_ROWS || blockBytes >= BLOCK_BYTES) flush();
  });
  try {
    await outgoing;
  } catch (error) {
    throw new CopyFailure('source', error);
  }
  flush();
  await writing;
  if (failure) throw failure.reason;
  return work.written;
}

class BlockWriter {
  readonly #writer: RowWriter;
  readonly #copy: CarefulCopy;
  readonly #flow: CopyFlow;
  written: Copied = { rows: 0, bytes: 0 };

  constructor(writer: RowWriter, copy: CarefulCopy, flow: CopyFlow) {
    this.#writer = writer;
    this.#copy = copy;
    this.#flow = flow;
  }

  async write(frames: readonly Buffer[]): Promise<void> {
    if (frames.length === 0) return;
    const delayMs = this.#flow.limit.book(frames.length);
    if (delayMs >= 1) await this.#flow.clock.sleep(delayMs, this.#flow.signal);
    await this.#split(frames);
  }

  async #split(frames: readonly Buffer[]): Promise<void> {
    const error = await this.#tryBlock(frames);
    if (error === undefined) return this.#count(frames);
    if (!this.#copy.isRowError(error)) throw new CopyFailure('target', error);
    const [only] = frames;
    if (frames.length === 1 && only) {
      this.#copy.reject({ key: rowName(only, this.#copy.keyColumns), message: error instanceof Error ? error.message : String(error) });
      return;
    }
    const middle = frames.length >> 1;
    await this.#split(frames.slice(0, middle));
    await this.#split(frames.slice(middle));
  }

  async #tryBlock(frames: readonly Buffer[]): Promise<unknown> {
    const { connection } = this.#writer;
    await connection.exec('SAVEPOINT causeway_rows');
    try {
      const incoming = connection.copyIn(this.#copy.copySql);
      await incoming.ready;
      for (const frame of frames) connection.write(frame);
      connection.endCopy();
      await incoming.done;
      await this.#writer.merge();
      await this.#writer.clearStage();
      await connection.exec('RELEASE SAVEPOINT causeway_rows');
      return undefined;
    } catch (error) {
      await connection.exec('ROLLBACK TO SAVEPOINT causeway_rows; RELEASE SAVEPOINT causeway_rows');
      return error;
    }
  }

  #count(frames: readonly Buffer[]): void {
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    this.written = { rows: this.written.rows + frames.length, bytes: this.written.bytes + bytes };
    this.#flow.passed(frames.length, bytes);
  }
}

/** `id=42`, `a=1, b=x`; without a key the row itself, shortened. */
export function rowName(frame: Buffer, keyColumns: CarefulCopy['keyColumns']): string {
  const line = framePayload(frame).toString('utf8').replace(/\n$/, '');
  const values = line.split('\t').map(readTextValue);
  if (keyColumns.length === 0) return shorten(values.map((value) => value ?? 'NULL').join(', '));
  return keyColumns.map(({ name, index }) => `${name}=${shorten(values[index] ?? 'NULL')}`).join(', ');
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS */
function readTextValue(text: string): string | null {
  if (text === '\\N') return null;
  return text.replace(/\\(.)/g, (_, letter: string) => escapes[letter] ?? letter);
}

function shorten(text: string): string {
  return text.length <= SHOWN_VALUE_LENGTH ? text : `${text.slice(0, SHOWN_VALUE_LENGTH)}…`;
}
