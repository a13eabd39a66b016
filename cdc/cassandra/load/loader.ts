/**
 * Loads tables from one cluster to another.
 *
 * States of a table: waiting → loading → done, or incomplete when rows were refused, ranges could not be read, or something else stopped it. `run` goes on from the
 * ledger, so it is also the way to resume: tables that are done stay so, incomplete ones are gone through again.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { messageOf } from '../cluster.ts';
import type { Cluster, Side } from '../cluster.ts';
import { printTable } from '../table.ts';
import { Throttle } from '../throttle.ts';
import type { SideLimits } from '../throttle.ts';
import type { FailedRows } from './failed-rows.ts';
import type { LoadLedger } from './load-ledger.ts';
import { LoadTally } from './load-progress.ts';
import type { LoadProgress } from './load-progress.ts';
import { loadTable } from './load-table.ts';
import type { TableLoad, TableLoadOptions } from './load-table.ts';
import { forEachLimited } from './retry.ts';

export interface LoaderOptions extends TableLoadOptions {
  readonly parallelTables: number;
  readonly sourceLimits: SideLimits;
  readonly targetLimits: SideLimits;
}

export const loaderDefaults: LoaderOptions = {
  parallelTables: 2, parallelRanges: 4, ranges: 256, pageRows: 2000, pageBytes: 4 * 1024 * 1024, concurrency: 32, maxRetries: 5, retryPauseMs: 500, skipOnError: true, rowMarkers: 'oldest-write',
  sourceLimits: { rowsPerSecond: 0, bytesPerSecond: 0 }, targetLimits: { rowsPerSecond: 0, bytesPerSecond: 0 },
};

export class Loader {
  readonly #runtime: Runtime;
  readonly #clusters: { readonly [side in Side]: Cluster };
  readonly #throttles: { readonly [side in Side]: Throttle };
  readonly #ledger: LoadLedger;
  readonly #failedRows: FailedRows;
  readonly #loads: readonly TableLoad[];
  readonly #options: LoaderOptions;
  readonly #tally: LoadTally;

  constructor(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, ledger: LoadLedger, failedRows: FailedRows, loads: readonly TableLoad[], options: LoaderOptions = loaderDefaults) {
    this.#runtime = runtime;
    this.#clusters = clusters;
    this.#throttles = { source: new Throttle(runtime.clock, options.sourceLimits), target: new Throttle(runtime.clock, options.targetLimits) };
    this.#ledger = ledger;
    this.#failedRows = failedRows;
    this.#loads = loads;
    this.#options = options;
    this.#tally = new LoadTally(runtime.clock, loads.map(({ sourceTable }) => sourceTable));
  }

  /** In force at once. */
  setLimits(side: Side, limits: SideLimits): void {
    this.#throttles[side].limits = limits;
  }

  progress(): LoadProgress {
    return this.#tally.progress();
  }

  /** Resolves with how it ended, table by table; throws the signal's reason when that ends it. What one table fails of does not end the others. */
  async run(signal: AbortSignal): Promise<LoadProgress> {
    const { source, target } = this.#clusters;
    const sides = { source, target, sourceThrottle: this.#throttles.source, targetThrottle: this.#throttles.target };
    this.#tally.progress();
    await forEachLimited(this.#loads.map((load, index) => ({ load, tally: this.#tally.tables[index] })), this.#options.parallelTables, async ({ load, tally }) => {
      if (tally === undefined) return;
      const name = printTable(load.sourceTable);
      tally.state = 'loading';
      this.#runtime.log.info('table load begins', { table: name });
      try {
        await loadTable(this.#runtime, sides, this.#ledger, this.#failedRows, load, tally, this.#options, signal);
        const { rows, refused } = tally.progress();
        tally.state = refused === 0 ? 'done' : 'incomplete';
        if (refused > 0) tally.error = `the target refused ${refused} rows, which are in the file of failed rows`;
        this.#runtime.log.info('table load ended', { table: name, rows, refused });
      } catch (error) {
        signal.throwIfAborted();
        tally.state = 'incomplete';
        tally.error = error instanceof MigrationError ? `${error.message}${error.detail === undefined ? '' : ` ${error.detail}`}` : messageOf(error);
        this.#runtime.log.error('table load failed', { table: name, error: tally.error });
      }
    });
    return this.progress();
  }
}
