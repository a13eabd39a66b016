/**
 * What the source may forget (RULES 8): the smaller of what is durably applied and durably spooled, once a second.
 *
 * Order: note the applied position → fsync the logs → one synchronous commit on the target, which still has the position → write the spool's own
 * record → tell the source. Segments of logs whose changes are durably applied are deleted on the way.
 */
import type { TableLog } from '../spool/table-log.ts';
import { flushPositions } from './flushed-positions.ts';
import type { SharedPipeline } from './shared-pipeline.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';
import type { TransactionRouter } from './transaction-router.ts';

const IDLE_SAVE_MS = 30_000;
const IDLE_SAVE_BYTES = 16n * 1024n * 1024n;

export interface ConfirmationContext {
  readonly signal: AbortSignal;
  readonly pipeline: SharedPipeline;
  readonly router: TransactionRouter;
  /** Commits the shared position at a boundary. */
  savePosition(boundary: bigint): Promise<void>;
  sendFeedback(): void;
}

export class Confirmation {
  readonly #state: StreamState;
  readonly #context: ConfirmationContext;
  #hasTraffic = false;
  #isSaving = false;
  #isTicking = false;
  #savedAtMs: number;

  constructor(state: StreamState, context: ConfirmationContext) {
    this.#state = state;
    this.#context = context;
    this.#savedAtMs = state.runtime.clock.monotonicMs();
  }

  get isTicking(): boolean {
    return this.#isTicking;
  }

  /** Someone other than an applier wrote to a captured table. */
  onTraffic(): void {
    this.#hasTraffic = true;
  }

  /** The shared position was committed. */
  onSaved(): void {
    this.#hasTraffic = false;
    this.#savedAtMs = this.#state.runtime.clock.monotonicMs();
  }

  async tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    try {
      this.#saveIdle();
      await this.#confirm();
      this.#context.sendFeedback();
    } catch (error) {
      if (!this.#context.signal.aborted) this.#context.pipeline.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isTicking = false;
    }
  }

  /** Writes a position that moved past changes of no shared table; seldom while only appliers write, or two streams would keep each other busy. */
  #saveIdle(): void {
    const state = this.#state;
    const behind = state.visible - state.resume;
    const isDue = this.#hasTraffic || behind > IDLE_SAVE_BYTES || this.#state.runtime.clock.monotonicMs() - this.#savedAtMs > IDLE_SAVE_MS;
    if (behind <= 0n || !isDue || this.#isSaving) return;
    this.#isSaving = true;
    this.#context.pipeline
      .order(async () => {
        const boundary = this.#context.router.unit.endLsn;
        await this.#context.savePosition(boundary);
        this.onSaved();
      })
      .catch(() => undefined)
      .finally(() => (this.#isSaving = false));
  }

  async #confirm(): Promise<void> {
    const state = this.#state;
    const { faults } = this.#state.runtime;
    const applied = state.resume;
    const spooled = this.#context.router.unit.endLsn;
    const logs = [...state.entries.values()].flatMap((entry) => (entry.log ? [{ entry, log: entry.log, offset: entry.savedOffset, end: entry.log.wholeEndOffset }] : []));
    if (applied <= state.durable && logs.every(({ offset, log }) => offset <= log.startOffset)) return;
    // What waits for room on the disk is not spooled; what has been applied gives it room.
    if (state.spoolError || logs.some(({ log }) => log.hasPending)) {
      await this.#flush(applied, logs);
      this.#dropApplied(logs);
      return;
    }
    if (faults.armed) await faults.hit('stream.before_spool_fsync');
    for (const { log } of logs) await log.sync();
    if (faults.armed) await faults.hit('stream.after_spool_fsync');
    await this.#flush(applied, logs);
    const confirmed = applied < spooled ? applied : spooled;
    // Of those that are still there: one that was given up meanwhile begins anew.
    state.spool.advance(confirmed, logs.flatMap(({ entry, log, end }) => (entry.log === log ? [[entry.tableId, end] as const] : [])));
    this.#dropApplied(logs);
    if (faults.armed) await faults.hit('stream.before_confirm');
    if (confirmed > state.durable) state.durable = confirmed;
    state.retainedBytes = (await state.source.readRetention())?.retainedBytes;
  }

  async #flush(applied: bigint, logs: readonly { readonly entry: TableEntry; readonly log: TableLog; readonly offset: number }[]): Promise<void> {
    await flushPositions(this.#state.target, applied, logs.map(({ entry, log, offset }) => ({ tableId: entry.tableId, offset, isCurrent: () => entry.log === log })));
  }

  #dropApplied(logs: readonly { readonly entry: TableEntry; readonly log: TableLog; readonly offset: number }[]): void {
    for (const { entry, log, offset } of logs) {
      try {
        if (entry.log === log) log.dropBefore(offset);
      } catch (error) {
        // A disk without room for an empty file; what lies in the segments that could go makes room elsewhere first.
        this.#state.runtime.log.debug('applied changes could not be given back', { tableId: entry.tableId, error: String(error) });
      }
    }
  }
}
