/** Compares a table on both sides, range by range, in one reading of each; differences are settled, repaired if that is wanted, and told. */
import type { Runtime } from '../../../config/runtime.ts';
import { readPages } from '../read-pages.ts';
import type { PageOptions } from '../read-pages.ts';
import { forEachLimited } from '../load/retry.ts';
import type { RowPart, TableRow } from '../row-reader.ts';
import type { Throttle } from '../throttle.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import { compareRows, newestWrite } from './compare-rows.ts';
import type { ComparedTable } from './compared-table.ts';
import type { ComparisonTally } from './comparison-report.ts';
import { rowOf } from './discrepancy.ts';
import type { RowDifference } from './discrepancy.ts';
import { joinRows } from './join-rows.ts';
import type { RowPair } from './join-rows.ts';
import type { Reconciler } from './reconciler.ts';
import { settleDifferences } from './settle-differences.ts';
import type { SettleOptions } from './settle-differences.ts';

export interface ComparisonOptions extends PageOptions, SettleOptions {
  /** Ranges of one table at once. */
  readonly parallelRanges: number;
  readonly ranges: number;
  /** Microseconds: rows that neither side has written since are passed over. */
  readonly since?: bigint;
}

export interface Comparison {
  readonly runtime: Runtime;
  readonly table: ComparedTable;
  readonly throttles: { readonly source: Throttle; readonly target: Throttle };
  readonly options: ComparisonOptions;
  readonly tally: ComparisonTally;
  /** Undefined: nothing is written. */
  readonly reconciler: Reconciler | undefined;
}

/** Differences that wait to be looked at again: as many as are settled together. */
const MOST_CANDIDATES = 1000;

/** `finished` hears of each range how many rows of it are different or unsettled after all. */
export async function compareRanges(comparison: Comparison, ranges: readonly TokenRange[], signal: AbortSignal, finished: (range: TokenRange, differences: number) => Promise<void> = () => Promise.resolve()): Promise<void> {
  await forEachLimited(ranges, comparison.options.parallelRanges, async (range) => {
    signal.throwIfAborted();
    let differences = 0;
    for (const { part, source, target } of comparison.table.readers) {
      const pages = (side: 'source' | 'target'): AsyncGenerator<readonly TableRow[], void, void> =>
        readPages(comparison.runtime, comparison.table.clusters[side], comparison.throttles[side], side === 'source' ? source : target, range, comparison.options, signal);
      differences += await comparePairs(comparison, part, joinRows(pages('source'), pages('target')), signal);
    }
    await finished(range, differences);
    comparison.tally.rangeDone(range);
  });
}

/** Rows of known keys. Returns the tokens of those that are different or unsettled after all. */
export async function compareKeys(comparison: Comparison, keys: AsyncIterable<Pick<TableRow, 'part' | 'partitionKey' | 'clustering'>>, signal: AbortSignal): Promise<ReadonlySet<bigint>> {
  const candidates = new Candidates(comparison, signal);
  for await (const key of keys) {
    signal.throwIfAborted();
    await comparison.throttles.source.pass(1, 0, signal);
    await candidates.add(key.part, await comparison.table.readBoth(key.part, key));
  }
  await candidates.settle();
  return candidates.tokens;
}

async function comparePairs(comparison: Comparison, part: RowPart, pairs: AsyncIterable<RowPair>, signal: AbortSignal): Promise<number> {
  const candidates = new Candidates(comparison, signal);
  for await (const pair of pairs) await candidates.add(part, pair);
  await candidates.settle();
  return candidates.differences;
}

/** A row that does not tell its time may be. */
function isRecent(row: TableRow | undefined, since: bigint): boolean {
  return row !== undefined && (newestWrite(row) ?? since) >= since;
}

class Candidates {
  /** Rows that are different or unsettled after all. */
  differences = 0;
  readonly tokens = new Set<bigint>();
  readonly #comparison: Comparison;
  readonly #signal: AbortSignal;
  #open: RowDifference[] = [];

  constructor(comparison: Comparison, signal: AbortSignal) {
    this.#comparison = comparison;
    this.#signal = signal;
  }

  async add(part: RowPart, { source, target }: RowPair): Promise<void> {
    const { since } = this.#comparison.options;
    if (since !== undefined && !isRecent(source, since) && !isRecent(target, since)) return;
    this.#comparison.tally.compared(part, source !== undefined, target !== undefined);
    const difference = compareRows(source, target, this.#comparison.options);
    if (difference === undefined) return;
    this.#open.push(difference);
    if (this.#open.length >= MOST_CANDIDATES) await this.settle();
  }

  async settle(): Promise<void> {
    if (this.#open.length === 0) return;
    const { runtime, throttles, table, options, tally, reconciler } = this.#comparison;
    const settled = await settleDifferences(runtime, throttles.source, table, this.#open, options, this.#signal);
    this.#open = [];
    tally.settled(settled);
    for (const difference of settled.different) await tally.found(difference);
    if (reconciler === undefined || settled.different.length === 0) {
      this.#leave([...settled.different, ...settled.unsettled]);
      return;
    }
    const reconciled = await reconciler.repair(settled.different, this.#signal);
    tally.reconciled(reconciled);
    this.#leave([...reconciled.remaining, ...settled.unsettled]);
  }

  #leave(rows: readonly RowDifference[]): void {
    this.differences += rows.length;
    for (const row of rows) this.tokens.add(rowOf(row).token);
  }
}
