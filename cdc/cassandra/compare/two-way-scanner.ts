/**
 * Looks for differences in both directions at once, again and again, and removes them if it is told to.
 *
 * `OneTime` scans everything once; `Continuous` does so with a pause between; `Incremental` scans everything the first time and afterwards the ranges that were not clean and
 * the rows that the log of keys names as written since. The alert counts what has settled as different, never what was on its way.
 */
import type { Runtime } from '../../../config/runtime.ts';
import type { Cluster, Side } from '../cluster.ts';
import { murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';
import { splitRing } from '../../../grammar/cql/token-range.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import { compareKeys, compareRanges } from './compare-ranges.ts';
import { compareTables } from './compare-tables.ts';
import type { ComparingOptions, TablePair } from './compare-tables.ts';
import type { ComparisonReport } from './comparison-report.ts';
import type { ScanLedger } from './scan-ledger.ts';
import type { ComparedKey, RecentKeys } from './recent-keys.ts';

export type ScanMode = 'OneTime' | 'Continuous' | 'Incremental';

/** A write may reach a cluster so long after the proxy has noted it: longer than anybody waits for an answer. What is owed for longer the log names of itself. */
const LATE_MS = 60_000;

export interface ScannerOptions extends ComparingOptions {
  readonly scanMode: ScanMode;
  /** Between the end of one scan and the begin of the next; `OneTime` has none. */
  readonly scanIntervalMs: number;
  /** More rows than this are an alert. */
  readonly alertThreshold: number;
  /** Without it `Incremental` sees only what was different before. */
  readonly keys?: RecentKeys;
  /** How long before the last scan's begin the log is read from; a minute when not said. */
  readonly lateMs?: number;
}

export interface ScannerEvents {
  scanned(report: ComparisonReport): void;
  alert(report: ComparisonReport): void;
}

export class TwoWayScanner {
  readonly #runtime: Runtime;
  readonly #clusters: { readonly [side in Side]: Cluster };
  readonly #tables: readonly TablePair[];
  readonly #ledger: ScanLedger;
  readonly #options: ScannerOptions;
  readonly #events: ScannerEvents;

  constructor(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, tables: readonly TablePair[], ledger: ScanLedger, options: ScannerOptions, events: ScannerEvents) {
    this.#runtime = runtime;
    this.#clusters = clusters;
    this.#tables = tables;
    this.#ledger = ledger;
    this.#options = options;
    this.#events = events;
  }

  /** Resolves after the one scan, or when the signal ends it. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.scan(signal);
        if (this.#options.scanMode === 'OneTime') return;
        await this.#runtime.clock.sleep(this.#options.scanIntervalMs, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  /** One cycle. */
  async scan(signal: AbortSignal): Promise<ComparisonReport> {
    const { scanMode, keys, ranges, alertThreshold, lateMs = LATE_MS } = this.#options;
    const report = await compareTables(this.#runtime, this.#clusters, scanMode, this.#tables, this.#options, signal, async (comparison) => {
      const table = comparison.table.source;
      const startedAt = BigInt(this.#runtime.clock.now()) * 1000n;
      const last = scanMode === 'Incremental' ? await this.#ledger.last(table) : undefined;
      const written = last && (await keys?.recent(table, last.startedAt - BigInt(lateMs) * 1000n, signal));
      const isUnknown = written !== undefined && 'unknown' in written;
      if (isUnknown) comparison.tally.wholeBecause = written.unknown;
      const again = isUnknown ? undefined : last?.different;
      if (again === undefined) await this.#ledger.begin(table);
      await compareRanges(comparison, again ?? splitRing([], ranges), signal, (range, differences) => this.#ledger.finish(table, range, differences));
      if (again !== undefined && written !== undefined && 'keys' in written) {
        for (const token of await compareKeys(comparison, written.keys.filter((key) => !isWithin(again, key)), signal)) await this.#ledger.finish(table, { after: token - 1n, upTo: token }, 1);
      }
      await this.#ledger.complete(table, startedAt);
    });
    this.#runtime.log.info('scan ended', { mode: scanMode, rows: report.rowsCompared, different: report.rowsDifferent, repaired: report.repaired, unsettled: report.unsettled });
    this.#events.scanned(report);
    if (report.rowsDifferent > alertThreshold) {
      this.#runtime.log.warn('more rows differ than the alert threshold', { different: report.rowsDifferent, alertThreshold });
      this.#events.alert(report);
    }
    return report;
  }
}

function isWithin(ranges: readonly TokenRange[], { partitionKey }: ComparedKey): boolean {
  if (ranges.length === 0) return false;
  const token = murmur3Token(partitionKeyBytes(partitionKey));
  return ranges.some(({ after, upTo }) => token > after && token <= upTo);
}
