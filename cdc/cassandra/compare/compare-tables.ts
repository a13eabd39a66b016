/** Compares several tables one after the other, whatever becomes of each. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { messageOf } from '../cluster.ts';
import type { Cluster, Side } from '../cluster.ts';
import { printTable } from '../table.ts';
import type { TableName } from '../table.ts';
import { Throttle } from '../throttle.ts';
import type { SideLimits } from '../throttle.ts';
import { compareDefaults } from './compare-rows.ts';
import type { Comparison, ComparisonOptions } from './compare-ranges.ts';
import { ComparedTable } from './compared-table.ts';
import { ComparisonTally, reportOf } from './comparison-report.ts';
import type { ComparisonReport, DiscrepancySink, TableComparison } from './comparison-report.ts';
import { discrepancyTypes } from './discrepancy.ts';
import type { ReconcileMode } from './plan-repair.ts';
import { Reconciler } from './reconciler.ts';
import { chooseTenants } from './tenant-rows.ts';
import type { TenantChoice } from './tenant-rows.ts';

export interface ComparingOptions extends ComparisonOptions {
  readonly sourceLimits: SideLimits;
  readonly targetLimits: SideLimits;
  /** In the report. */
  readonly mostListed: number;
  /** The ring is cut into so many ranges at least, of which a sample draws: fewer would be few lots. */
  readonly sampledRanges: number;
  /** Hears of every discrepancy. */
  readonly sink?: DiscrepancySink;
  /** Undefined: all of them. */
  readonly tenants?: TenantChoice;
  /** Undefined: differences are told and nothing is written; so it is with `manual`. */
  readonly reconcile?: ReconcileMode;
}

export const comparingDefaults: ComparingOptions = {
  ...compareDefaults, pageRows: 2000, pageBytes: 4 * 1024 * 1024, maxRetries: 5, retryPauseMs: 500, ranges: 256, parallelRanges: 4, recheckPauseMs: 2000, recheckRounds: 3, recheckConcurrency: 16, safeAgeMs: 30_000, mostListed: 1000, sampledRanges: 4096,
  sourceLimits: { rowsPerSecond: 0, bytesPerSecond: 0 }, targetLimits: { rowsPerSecond: 0, bytesPerSecond: 0 },
};

export interface TablePair {
  readonly sourceTable: TableName;
  readonly targetTable: TableName;
}

/** `compare` does one table. */
export async function compareTables(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, mode: string, tables: readonly TablePair[], wanted: ComparingOptions, signal: AbortSignal, compare: (comparison: Comparison) => Promise<void>): Promise<ComparisonReport> {
  const options = wanted.reconcile === 'source-wins' ? { ...wanted, acceptsLaterTarget: true } : wanted;
  const startedAtMs = runtime.clock.now();
  const startedMs = runtime.clock.monotonicMs();
  const throttles = { source: new Throttle(runtime.clock, options.sourceLimits), target: new Throttle(runtime.clock, options.targetLimits) };
  const results: TableComparison[] = [];
  for (const { sourceTable, targetTable } of tables) {
    let tally: ComparisonTally | undefined;
    try {
      const table = await ComparedTable.open(runtime, clusters, sourceTable, targetTable);
      tally = new ComparisonTally(runtime.clock, table.source, options.mostListed, options.sink);
      const reconciler = options.reconcile === undefined || options.reconcile === 'manual' ? undefined : new Reconciler(runtime, throttles.target, table, options.reconcile, options);
      const isChosen = options.tenants && chooseTenants(table.source, options.tenants);
      await compare({ runtime, table, throttles, options, tally, reconciler, isChosen });
      results.push(tally.result());
    } catch (error) {
      signal.throwIfAborted();
      const message = error instanceof MigrationError ? `${error.message}${error.detail === undefined ? '' : ` ${error.detail}`}` : messageOf(error);
      runtime.log.error('the comparison of a table failed', { table: printTable(sourceTable), error: message });
      results.push({ ...(tally?.result() ?? nothing(printTable(sourceTable))), error: message });
    }
  }
  return reportOf(mode, startedAtMs, runtime.clock.monotonicMs() - startedMs, results);
}

function nothing(table: string): TableComparison {
  return { table, rowsSource: 0, rowsTarget: 0, counts: Object.fromEntries(discrepancyTypes.map((type) => [type, 0])) as TableComparison['counts'], rowsDifferent: 0, transient: 0, unsettled: 0, repaired: 0, notRepaired: 0, shareOfRing: 0, discrepancies: [], wholeBecause: undefined, error: undefined };
}
