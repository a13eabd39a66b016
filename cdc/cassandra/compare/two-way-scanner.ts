/**
 * Looks for differences in both directions at once, again and again, and removes them if it is told to.
 *
 * `OneTime` scans everything once; `Continuous` does so with a pause between; `Incremental` scans everything the first time and afterwards the ranges that were not clean and
 * the rows that the log of keys names as written since. The alert counts what has settled as different, never what was on its way.
 */
import type { Runtime } from '../../../config/runtime.ts';
import type { Cluster, Side } from '../cluster.ts';
import { splitRing } from '../../../grammar/cql/token-range.ts';
import { compareKeys, compareRanges } from './compare-ranges.ts';
import { compareTables } from './compare-tables.ts';
import type { ComparingOptions, TablePair } from './compare-tables.ts';
import type { ComparisonReport } from './comparison-report.ts';
import type { ScanLedger } from './scan-ledger.ts';
import type { RecentKeys } from './validator.ts';

export type ScanMode = 'OneTime' | 'Continuous' | 'Incremental';

export interface ScannerOptions extends ComparingOptions {
  readonly scanMode: ScanMode;
  /** Between the end of one scan and the begin of the next; `OneTime` has none. */
  readonly scanIntervalMs: number;
  /** More rows than this are an alert. */
  readonly alertThreshold: number;
  /** Without it `Incremental` sees only what was different before. */
  readonly keys?: RecentKeys;
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
    const { scanMode, keys, ranges, alertThreshold } = this.#options;
    const report = await compareTables(this.#runtime, this.#clusters, scanMode, this.#tables, this.#options, signal, async (comparison) => {
      const table = comparison.table.source;
      const startedAt = BigInt(this.#runtime.clock.now()) * 1000n;
      const last = scanMode === 'Incremental' ? await this.#ledger.last(table) : undefined;
      if (last === undefined) await this.#ledger.begin(table);
      await compareRanges(comparison, last?.different ?? splitRing([], ranges), signal, (range, differences) => this.#ledger.finish(table, range, differences));
      if (last !== undefined && keys !== undefined) {
        for (const token of await compareKeys(comparison, keys.recent(table, last.startedAt), signal)) await this.#ledger.finish(table, { after: token - 1n, upTo: token }, 1);
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
