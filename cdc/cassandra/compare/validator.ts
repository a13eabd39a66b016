/**
 * Proves that two clusters hold the same, or shows where they do not.
 *
 * `FullScan` and `CriticalTables` read everything; `RandomSample` reads ranges of the ring that are drawn by lot, all of each, so that every row has the same chance and
 * rows that only one side has are seen as well; `RecentWrites` looks at the rows that a log of keys names, or without one at those that carry a recent time, for which it has to read everything:
 * CQL cannot ask for rows by their time.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { Cluster, Side } from '../cluster.ts';
import { printTable } from '../table.ts';
import { splitRing } from '../../../grammar/cql/token-range.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import { compareKeys, compareRanges } from './compare-ranges.ts';
import { compareTables, comparingDefaults } from './compare-tables.ts';
import type { ComparingOptions, TablePair } from './compare-tables.ts';
import type { Comparison } from './compare-ranges.ts';
import type { ComparisonReport } from './comparison-report.ts';
import type { RecentKeys } from './recent-keys.ts';

export type ValidationMode =
  | { readonly mode: 'FullScan' }
  | { readonly mode: 'RandomSample'; /** 0 to 1. */ readonly sampleRate: number; readonly random: () => number }
  | { readonly mode: 'RecentWrites'; /** Microseconds. */ readonly since: bigint; readonly keys?: RecentKeys }
  | { readonly mode: 'CriticalTables'; /** `ks.t`. */ readonly tables: readonly string[] };

export class Validator {
  readonly #runtime: Runtime;
  readonly #clusters: { readonly [side in Side]: Cluster };
  readonly #options: ComparingOptions;

  constructor(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, options: ComparingOptions = comparingDefaults) {
    this.#runtime = runtime;
    this.#clusters = clusters;
    this.#options = options;
  }

  /** Throws MIG071 for a mode that makes no sense, and the signal's reason. What fails of one table is in the report. */
  validate(tables: readonly TablePair[], mode: ValidationMode, signal: AbortSignal): Promise<ComparisonReport> {
    const chosen = mode.mode === 'CriticalTables' ? tables.filter(({ sourceTable }) => mode.tables.includes(printTable(sourceTable))) : tables;
    if (mode.mode === 'CriticalTables' && chosen.length < mode.tables.length) {
      const absent = mode.tables.filter((name) => !tables.some(({ sourceTable }) => printTable(sourceTable) === name));
      throw new MigrationError('MIG071', `Not among the tables that are compared: ${absent.join(', ')}`);
    }
    const options = mode.mode === 'RecentWrites' && mode.keys === undefined ? { ...this.#options, since: mode.since } : this.#options;
    return compareTables(this.#runtime, this.#clusters, mode.mode, chosen, options, signal, async (comparison) => {
      if (mode.mode === 'RecentWrites' && mode.keys !== undefined && (await this.#compareRecent(comparison, mode.keys, mode.since, signal))) return;
      await compareRanges(comparison, this.#rangesOf(mode), signal);
    });
  }

  /** False when the log does not tell what was written: then everything is read, and every row of it compared, since a row that only one side has lost carries an old time or none. */
  async #compareRecent(comparison: Comparison, log: RecentKeys, since: bigint, signal: AbortSignal): Promise<boolean> {
    const written = await log.recent(comparison.table.source, since, signal);
    if ('unknown' in written) {
      comparison.tally.wholeBecause = written.unknown;
      return false;
    }
    await compareKeys(comparison, written.keys, signal);
    return true;
  }

  #rangesOf(mode: ValidationMode): readonly TokenRange[] {
    if (mode.mode !== 'RandomSample') return splitRing([], this.#options.ranges);
    if (!(mode.sampleRate > 0 && mode.sampleRate <= 1)) throw new MigrationError('MIG071', `A sample rate of ${mode.sampleRate} is not between 0 and 1`);
    const all = splitRing([], Math.max(this.#options.sampledRanges, this.#options.ranges));
    return drawLots(all, Math.max(1, Math.round(all.length * mode.sampleRate)), mode.random);
  }
}

/** So many of them, each as likely as another, in their order. */
function drawLots<T>(items: readonly T[], count: number, random: () => number): readonly T[] {
  const chosen: T[] = [];
  items.forEach((item, index) => {
    if (random() * (items.length - index) < count - chosen.length) chosen.push(item);
  });
  return chosen;
}
