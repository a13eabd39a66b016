/** What one load has copied, skipped and still expects; shared by its workers. */
import type { Clock } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { LoadOptions, LoadProgress, LoadResult } from '../ports.ts';
import type { FinishedChunk, RowError } from '../postgres/row-writer-ledger.ts';

/** Rows of one chunk that are on their way; they count as loaded only as long as the chunk may still commit. */
export interface InFlight {
  rows: number;
  bytes: number;
}

export class LoadTally {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #allowedErrors: number;
  readonly #inFlight = new Set<InFlight>();
  #rows = 0;
  #bytes = 0;
  #skipped = 0;
  #errors: RowError[] = [];
  #chunks = 0;
  /** An estimate. */
  rowsTotal = 0;

  constructor(clock: Clock, options: Pick<LoadOptions, 'maxErrors' | 'skipOnError'>) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#allowedErrors = options.skipOnError ? options.maxErrors : 0;
  }

  get isEmpty(): boolean {
    return this.#chunks === 0;
  }

  /** Forgets everything and counts the chunks of the ledger. */
  restore(finished: readonly FinishedChunk[]): void {
    this.#rows = this.#bytes = this.#skipped = this.#chunks = 0;
    this.#errors = [];
    for (const chunk of finished) this.finish(chunk);
  }

  begin(): InFlight {
    const inFlight = { rows: 0, bytes: 0 };
    this.#inFlight.add(inFlight);
    return inFlight;
  }

  end(inFlight: InFlight): void {
    this.#inFlight.delete(inFlight);
  }

  finish(chunk: FinishedChunk): void {
    this.#chunks += 1;
    this.#rows += chunk.rows;
    this.#bytes += chunk.bytes;
    this.#skipped += chunk.skipped;
    this.#errors.push(...chunk.errors.slice(0, Math.max(0, this.#allowedErrors - this.#errors.length)));
  }

  /** Throws MIG011 when the row is one too many; `pending` are rows that the same chunk has skipped before. */
  assertMaySkip(tableId: string, row: RowError, pending: number): void {
    if (this.#skipped + pending < this.#allowedErrors) return;
    throw new MigrationError('MIG011', `A row of ${tableId} does not fit the target: ${row.message}`, {
      tableName: tableId, rowKey: row.key, detail: `Row ${row.key}. ${this.#skipped + pending} rows were skipped before it, ${this.#allowedErrors} may be.`,
      hint: 'Correct the row or the target\'s definition, or allow it with skip_on_error and max_errors.',
    });
  }

  progress(): LoadProgress {
    let rows = this.#rows;
    let bytes = this.#bytes;
    for (const inFlight of this.#inFlight) {
      rows += Math.max(0, inFlight.rows);
      bytes += inFlight.bytes;
    }
    return { rowsTotal: Math.max(this.rowsTotal, rows), rowsLoaded: rows, bytesLoaded: bytes };
  }

  /** Once the load has ended the total is no longer an estimate. */
  result(): LoadResult {
    this.rowsTotal = this.#rows;
    return { rowsTotal: this.#rows, rowsLoaded: this.#rows, bytesLoaded: this.#bytes, rowsSkipped: this.#skipped, errors: this.#errors, elapsedMs: this.#clock.monotonicMs() - this.#startedMs };
  }
}
