/**
 * Rows that looked different are read again by key until they are the same, or stay as they are.
 *
 * The two sides are read one after the other while applications write: a row that differs once may be on its way. It is different when nothing about it has changed
 * from one reading to the next, and *unsettled* when it kept changing to the last. Where both sides can be read in one quiet moment, that reading decides.
 */
import type { Runtime } from '../../../config/runtime.ts';
import { withRetries, forEachLimited } from '../load/retry.ts';
import type { RetryOptions } from '../load/retry.ts';
import type { Quietly } from '../load/row-writer.ts';
import type { TableRow } from '../row-reader.ts';
import type { Throttle } from '../throttle.ts';
import { compareRows, newestWrite, placeOf } from './compare-rows.ts';
import type { CompareOptions } from './compare-rows.ts';
import type { ComparedTable } from './compared-table.ts';
import { rowOf } from './discrepancy.ts';
import type { RowDifference } from './discrepancy.ts';

export interface SettleOptions extends CompareOptions, RetryOptions {
  /** Longer than a write may take from one side to the other. */
  readonly recheckPauseMs: number;
  readonly recheckRounds: number;
  readonly recheckConcurrency: number;
  /** Writes that are under way are younger than this: a repair writes with times that are older. */
  readonly safeAgeMs: number;
  /** Of counters: see the writer of rows. */
  readonly quietly?: Quietly;
}

export interface Settled {
  readonly different: readonly RowDifference[];
  readonly transient: number;
  readonly unsettled: readonly RowDifference[];
}

export async function settleDifferences(runtime: Runtime, throttle: Throttle, table: ComparedTable, candidates: readonly RowDifference[], options: SettleOptions, signal: AbortSignal): Promise<Settled> {
  const different: RowDifference[] = [];
  let transient = 0;
  let open = [...candidates];
  for (let round = 0; round < options.recheckRounds && open.length > 0; round += 1) {
    await runtime.clock.sleep(options.recheckPauseMs, signal);
    const again: RowDifference[] = [];
    await forEachLimited(open, options.recheckConcurrency, async (before) => {
      signal.throwIfAborted();
      const { source, target } = await withRetries(runtime, throttle, options, signal, () => table.readBoth(before.part, rowOf(before), options.quietly));
      const now = compareRows(source, target, options);
      if (now === undefined) transient += 1;
      else if (options.quietly || (isUnchanged(before.source, source) && isUnchanged(before.target, target))) different.push(now);
      else again.push(now);
    });
    open = again;
  }
  return { different, transient, unsettled: open };
}

function isUnchanged(before: TableRow | undefined, now: TableRow | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  if (before.cells.length !== now.cells.length || newestWrite(before) !== newestWrite(now)) return false;
  return before.cells.every((cell, index) => {
    const other = now.cells[index];
    return other !== undefined && cell.writetime === other.writetime && placeOf(cell) === placeOf(other) && cell.value.equals(other.value);
  });
}
