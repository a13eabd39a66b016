/** Makes the two sides of rows the same, looks whether they are, and tells of those that would not become so. */
import type { Runtime } from '../../../config/runtime.ts';
import { messageOf } from '../cluster.ts';
import type { Side } from '../cluster.ts';
import { RowWriter } from '../load/row-writer.ts';
import { forEachLimited, withRetries } from '../load/retry.ts';
import type { Throttle } from '../throttle.ts';
import { compareRows } from './compare-rows.ts';
import type { ComparedTable } from './compared-table.ts';
import { deleteCell, deleteRow } from './delete-statements.ts';
import { rowOf } from './discrepancy.ts';
import type { RowDifference } from './discrepancy.ts';
import { planRepair } from './plan-repair.ts';
import type { ReconcileMode, Repair } from './plan-repair.ts';
import type { RowMarkers } from '../row-statements.ts';
import type { SettleOptions } from './settle-differences.ts';

export interface Reconciled {
  readonly repaired: number;
  /** As they are after the attempts. */
  readonly remaining: readonly RowDifference[];
  /** Rows that looked missing, and did not appear on the target where they were written with their own times: it has a later deletion. */
  readonly hiddenByDeletion: number;
}

const ATTEMPTS = 2;
/** How far ahead of the clock a deletion's time is looked for: it cannot be read, so each step is a write, and what appears is later than the deletion by no more than the last step. */
const FIRST_STEP_MS = 1000;
const STEP_GROWTH = 1.25;
const LATEST_TIME = 2n ** 63n - 1n;

export class Reconciler {
  readonly #runtime: Runtime;
  readonly #table: ComparedTable;
  readonly #mode: Exclude<ReconcileMode, 'manual'>;
  readonly #options: SettleOptions;
  readonly #throttle: Throttle;
  /** A repaired cell is no reason for a row marker; a row that is made anew has one. */
  readonly #writers: { readonly rows: { readonly [side in Side]: RowWriter }; readonly cells: { readonly [side in Side]: RowWriter } };

  constructor(runtime: Runtime, throttle: Throttle, table: ComparedTable, mode: Exclude<ReconcileMode, 'manual'>, options: SettleOptions) {
    this.#runtime = runtime;
    this.#table = table;
    this.#mode = mode;
    this.#options = options;
    this.#throttle = throttle;
    const { clusters, source, target } = table;
    const seenOnTarget = { ...source, keyspace: target.keyspace, name: target.name };
    const writersWith = (rowMarkers: RowMarkers): { readonly [side in Side]: RowWriter } => {
      const written = { ...options, concurrency: 1, rowMarkers, assumedTime: BigInt(runtime.clock.now() - options.safeAgeMs) * 1000n, replacesNewerLists: true };
      return {
        target: new RowWriter(runtime, { from: clusters.source, fromTable: source, to: clusters.target, toTable: target, throttle }, written),
        source: new RowWriter(runtime, { from: clusters.target, fromTable: seenOnTarget, to: clusters.source, toTable: source, throttle }, written),
      };
    };
    this.#writers = { rows: writersWith('oldest-write'), cells: writersWith('when-needed') };
  }

  async repair(differences: readonly RowDifference[], signal: AbortSignal): Promise<Reconciled> {
    const remaining: RowDifference[] = [];
    const hidden: RowDifference[] = [];
    let hiddenByDeletion = 0;
    await forEachLimited(differences, this.#options.recheckConcurrency, async (difference) => {
      let now: RowDifference | undefined = difference;
      for (let attempt = 0; attempt < ATTEMPTS && now !== undefined; attempt += 1) {
        signal.throwIfAborted();
        const safeTime = this.#safeTime();
        if (this.#table.source.isCounter && !mayAddCounters(now, this.#mode, attempt)) break;
        for (const repair of planRepair(now, this.#mode, attempt, safeTime)) await this.#carryOut(repair, now, signal);
        now = await this.#compareAgain(now, signal);
        if (attempt === 0 && difference.target === undefined && now !== undefined && now.target === undefined && now.source !== undefined) hiddenByDeletion += 1;
      }
      if (now !== undefined) (this.#mode === 'source-wins' && !this.#table.source.isCounter && isHidden(now) ? hidden : remaining).push(now);
    });
    if (hidden.length > 0) remaining.push(...await this.#uncover(hidden, signal));
    return { repaired: differences.length - remaining.length, remaining, hiddenByDeletion };
  }

  /**
   * What the target has deleted later than the writes that are surely at an end. Such a deletion may be an application's, on its way to the source: after the wait it is there. What is hidden
   * still has been deleted with a time ahead of the clock, which hides whatever applications write until then. The source's cells go behind it, as closely as can be found out.
   */
  async #uncover(hidden: readonly RowDifference[], signal: AbortSignal): Promise<readonly RowDifference[]> {
    const remaining: RowDifference[] = [];
    await this.#runtime.clock.sleep(this.#options.safeAgeMs, signal);
    await forEachLimited(hidden, this.#options.recheckConcurrency, async (difference) => {
      let now = await this.#compareAgain(difference, signal);
      let isTaken = true;
      for (let aheadMs = 0, time = this.#safeTime(); now !== undefined && isHidden(now) && isTaken && time <= LATEST_TIME; aheadMs = Math.max(FIRST_STEP_MS, aheadMs * STEP_GROWTH), time = this.#safeTime() + BigInt(Math.round(aheadMs)) * 1000n) {
        signal.throwIfAborted();
        for (const repair of planRepair(now, 'source-wins', 1, time)) isTaken = await this.#carryOut(repair, now, signal) && isTaken;
        now = await this.#compareAgain(now, signal);
      }
      if (now !== undefined) remaining.push(now);
    });
    return remaining;
  }

  /** Microseconds. */
  #safeTime(): bigint {
    return BigInt(this.#runtime.clock.now() - this.#options.safeAgeMs) * 1000n;
  }

  /** False when the server refuses the row. */
  async #carryOut({ side, write, deletedCells, deletedRow }: Repair, difference: RowDifference, signal: AbortSignal): Promise<boolean> {
    const table = side === 'source' ? this.#table.source : this.#table.target;
    const row = rowOf(difference);
    const statements = deletedCells.map(({ cell, time }) => deleteCell(table, row, cell, time));
    if (deletedRow !== undefined) statements.push(deleteRow(table, row, deletedRow));
    if (statements.length > 0) await withRetries(this.#runtime, this.#throttle, this.#options, signal, () => this.#table.clusters[side].write(statements));
    if (write === undefined) return true;
    const kind = difference.source === undefined || difference.target === undefined ? 'rows' : 'cells';
    const [refused] = await this.#writers[kind][side].write([write], signal);
    if (refused !== undefined) this.#runtime.log.warn('a row could not be repaired', { side, error: messageOf(refused.error) });
    return refused === undefined;
  }

  async #compareAgain(before: RowDifference, signal: AbortSignal): Promise<RowDifference | undefined> {
    const { source, target } = await withRetries(this.#runtime, this.#throttle, this.#options, signal, () => this.#table.readBoth(before.part, rowOf(before), this.#options.quietly));
    return compareRows(source, target, this.#options);
  }
}

/** A counter is added to, on the target; it has no times by which one of two could be the newer, and cannot be made again once deleted. But a side without the row has not counted at all. */
function mayAddCounters({ source, target }: RowDifference, mode: ReconcileMode, attempt: number): boolean {
  return mode === 'source-wins' ? source !== undefined : attempt === 0 && (source === undefined || target === undefined);
}

/** The target lacks what the source has, though it was written there. */
function isHidden({ source, target, cells }: RowDifference): boolean {
  return source !== undefined && (target === undefined || cells.some((cell) => cell.source !== undefined && cell.target === undefined));
}
