/** Says once that a table lags by more than `cdc_max_lag_seconds`, and again when it has caught up in between: to the log, and as an error of the table (MIG022). */
import type { Catalog } from '../../catalog/catalog.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { TableStatus } from './table-status.ts';

/** While a table is loading or catching up, lag is what there has to be. */
const inStep: ReadonlySet<string> = new Set(['DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY']);

export class LagWatch {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #maxLagMs: number;
  #late: ReadonlySet<string> = new Set();

  constructor(runtime: Runtime, catalog: Catalog, maxLagMs: number) {
    this.#runtime = runtime;
    this.#catalog = catalog;
    this.#maxLagMs = maxLagMs;
  }

  /** To be called every second or so. */
  async check(statuses: readonly TableStatus[]): Promise<void> {
    const late = statuses.filter(({ record, lagMs }) => inStep.has(record.state) && (lagMs ?? 0) > this.#maxLagMs);
    const fresh = late.filter(({ record }) => !this.#late.has(record.tableId));
    this.#late = new Set(late.map(({ record }) => record.tableId));
    for (const { record, name, lagMs } of fresh) {
      const seconds = (ms: number): string => (ms / 1000).toFixed(1);
      const error = new MigrationError('MIG022', `it lags ${seconds(lagMs ?? 0)} s behind, more than ${seconds(this.#maxLagMs)} s (cdc_max_lag_seconds)`);
      this.#runtime.log.warn(`${name}: ${error.message}`, { state: record.state });
      this.#runtime.metrics.count('scratchbird_migration_errors_total', { table: name, error: error.code });
      await this.#catalog.insertErrors([{ tableId: record.tableId, code: error.code, message: error.message }]);
    }
  }
}
