/** Compares a table on both sides, range by range, in one reading of each; differences are settled, repaired if that is wanted, and told. */
import type { Runtime } from '../../../config/runtime.ts';
import { readPages } from '../read-pages.ts';
import type { PageOptions } from '../read-pages.ts';
import { forEachLimited } from '../load/retry.ts';
import type { BoundStatement, Side } from '../cluster.ts';
import type { RowPart, RowReader, TableRow } from '../row-reader.ts';
import type { Throttle } from '../throttle.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import { compareRows, newestWrite } from './compare-rows.ts';
import type { ComparedTable } from './compared-table.ts';
import type { ComparisonTally } from './comparison-report.ts';
import { rowOf } from './discrepancy.ts';
import type { RowDifference } from './discrepancy.ts';
import type { ComparedKey } from './recent-keys.ts';
import { joinRows } from './join-rows.ts';
import type { RowPair } from './join-rows.ts';
import type { Reconciler } from './reconciler.ts';
import { settleDifferences } from './settle-differences.ts';
import type { SettleOptions } from './settle-differences.ts';
import type { IsChosen } from './tenant-rows.ts';

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
  /** Undefined: every row is compared. */
  readonly isChosen?: IsChosen | undefined;
}

/** Differences that wait to be looked at again: as many as are settled together. */
const MOST_CANDIDATES = 1000;
const KEYS_AT_ONCE = 200;

/** `finished` hears of each range how many rows of it are different or unsettled after all. */
export async function compareRanges(comparison: Comparison, ranges: readonly TokenRange[], signal: AbortSignal, finished: (range: TokenRange, differences: number) => Promise<void> = () => Promise.resolve()): Promise<void> {
  await forEachLimited(ranges, comparison.options.parallelRanges, async (range) => {
    signal.throwIfAborted();
    let differences = 0;
    for (const { part } of comparison.table.readers) {
      const candidates = new Candidates(comparison, signal);
      await comparePairs(comparison, candidates, part, (reader) => reader.inRange(range), signal);
      await candidates.settle();
      differences += candidates.differences;
    }
    await finished(range, differences);
    comparison.tally.rangeDone(range);
  });
}

/** Rows of known keys. Returns the tokens of those that are different or unsettled after all. */
export async function compareKeys(comparison: Comparison, keys: readonly ComparedKey[], signal: AbortSignal): Promise<ReadonlySet<bigint>> {
  const tokens = new Set<bigint>();
  const parts = Array.from({ length: Math.ceil(keys.length / KEYS_AT_ONCE) }, (_, index) => keys.slice(index * KEYS_AT_ONCE, (index + 1) * KEYS_AT_ONCE));
  await forEachLimited(parts, comparison.options.parallelRanges, async (some) => {
    const candidates = new Candidates(comparison, signal);
    for (const { part, partitionKey, clustering } of some) {
      signal.throwIfAborted();
      await comparePairs(comparison, candidates, part, (reader) => reader.byKey(partitionKey, clustering), signal);
    }
    await candidates.settle();
    for (const token of candidates.tokens) tokens.add(token);
  });
  return tokens;
}

async function comparePairs({ runtime, table, throttles, options }: Comparison, candidates: Candidates, part: RowPart, statementOf: (reader: RowReader) => BoundStatement, signal: AbortSignal): Promise<void> {
  const readers = table.readers.find((one) => one.part === part);
  if (readers === undefined) return;
  const pages = (side: Side): AsyncGenerator<readonly TableRow[], void, void> => readPages(runtime, table.clusters[side], throttles[side], readers[side], statementOf(readers[side]), options, signal);
  for await (const pair of joinRows(pages('source'), pages('target'))) await candidates.add(part, pair);
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
    const { isChosen, options: { since } } = this.#comparison;
    if (isChosen?.(source, target) === false) return;
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
