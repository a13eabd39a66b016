/** Markers that came out of the stream, and who waits for them. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Position } from '../change.ts';

interface Waiter {
  readonly token: string;
  readonly tableIds: readonly string[];
  readonly resolve: (position: Position) => void;
  readonly reject: (error: Error) => void;
}

/** `reached`: everything of the table up to the position is visible; an error ends the wait. */
export type TableProgress = (tableId: string, lsn: bigint) => 'reached' | 'waiting' | Error;

const MARKERS_KEPT = 10_000;

export class MarkerWatch {
  readonly #seen = new Map<string, bigint>();
  readonly #waiters = new Set<Waiter>();
  readonly #progress: TableProgress;
  readonly #positionOf: (order: bigint) => Position;

  constructor(progress: TableProgress, positionOf: (order: bigint) => Position) {
    this.#progress = progress;
    this.#positionOf = positionOf;
  }

  seen(token: string, lsn: bigint): void {
    this.#seen.set(token, lsn);
    for (const old of this.#seen.keys()) {
      if (this.#seen.size <= MARKERS_KEPT) break;
      this.#seen.delete(old);
    }
  }

  wait(token: string, tableIds: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<Position> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const timer = setTimeout(() => {
        waiter.reject(new MigrationError('MIG087', `The change stream did not pass a marker within ${timeoutMs} ms`, { detail: this.#whatIsMissing(waiter) }));
      }, timeoutMs);
      const abandon = (): void => waiter.reject(signal?.reason instanceof Error ? signal.reason : new Error(String(signal?.reason)));
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abandon);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        token, tableIds,
        resolve: (position) => {
          end();
          resolve(position);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', abandon);
      this.check();
    });
  }

  /** Called whenever something has become visible or a table's mode has changed. */
  check(): void {
    for (const waiter of [...this.#waiters]) {
      const lsn = this.#seen.get(waiter.token);
      const verdicts = waiter.tableIds.map((tableId) => this.#progress(tableId, lsn ?? 0xffff_ffff_ffff_ffffn));
      const error = verdicts.find((verdict) => verdict instanceof Error);
      if (error instanceof Error) waiter.reject(error);
      else if (lsn !== undefined && verdicts.every((verdict) => verdict === 'reached')) waiter.resolve(this.#positionOf(lsn));
    }
  }

  /** The stream has stopped for good: no marker comes out of it any more. */
  fail(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  #whatIsMissing(waiter: Waiter): string {
    const lsn = this.#seen.get(waiter.token);
    if (lsn === undefined) return 'The marker has not come out of the stream.';
    return `Not caught up: ${waiter.tableIds.filter((tableId) => this.#progress(tableId, lsn) !== 'reached').join(', ')}`;
  }
}
