/** The control's part for tables of Cassandra and ScyllaDB clusters: their drivers, their figures, and what commands need. It meets the CQL proxy through `ProxyPort` only. */
import type { Catalog } from '../../../catalog/catalog.ts';
import type { ClusterOptions, Side } from '../../../cdc/cassandra/cluster.ts';
import { Turnstile } from '../../../cdc/flow/turnstile.ts';
import { tableStates } from '../../../catalog/table-state.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { TableWork } from '../table-work.ts';
import { ClusterConnections } from './cluster-connections.ts';
import { clusterName } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { driveClusterTable } from './drive-cluster-table.ts';
import type { ProxyPort } from './proxy-port.ts';

export interface ClusterParts {
  readonly catalog: Catalog;
  readonly proxy: ProxyPort;
  readonly clusters: { readonly [side in Side]: ClusterOptions };
  /** Of the loader's ledger. */
  readonly directory: string;
  readonly retry: ClusterContext['retry'];
  readonly maxConcurrentMigrations: number;
  readonly switchTimeoutMs: number;
  readonly strangers: number;
}

const LOOK_MS = 2_000;
const SAMPLE_EVERY_MS = 5_000;

export class ClusterMigrations implements AsyncDisposable {
  readonly context: ClusterContext;
  readonly work: TableWork;
  #shown: readonly string[] = [];
  #sampledMs = -Infinity;

  constructor(runtime: Runtime, { clusters, directory, maxConcurrentMigrations, ...parts }: ClusterParts) {
    this.context = { runtime, ...parts, connections: new ClusterConnections(runtime.clock, clusters, directory), loads: new Turnstile(maxConcurrentMigrations), progress: new Map() };
    this.work = new TableWork(runtime, (tableId, signal) => driveClusterTable(this.context, tableId, signal));
  }

  /** Every table goes on from where the catalog and the proxy say it is. */
  start(): void {
    const { clock, log, signal } = this.context.runtime;
    const run = async (): Promise<void> => {
      while (!signal.aborted) {
        await this.#look().catch((error: unknown) => log.warn('tables of clusters could not be looked after', { error: String(error) }));
        await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      }
    };
    void run();
  }

  async #look(): Promise<void> {
    const { catalog, runtime: { clock, metrics } } = this.context;
    const records = await catalog.clusterTables();
    for (const { tableId } of records) this.work.start(tableId);
    for (const record of records) for (const state of tableStates) metrics.gauge('scratchbird_migration_table_state', { table: clusterName(record), state: state.toLowerCase() }, record.state === state ? 1 : 0);
    const names = records.map(clusterName);
    for (const table of this.#shown.filter((name) => !names.includes(name))) metrics.remove('scratchbird_migration_table_state', { table });
    this.#shown = names;
    if (records.length === 0 || clock.monotonicMs() - this.#sampledMs < SAMPLE_EVERY_MS) return;
    this.#sampledMs = clock.monotonicMs();
    await catalog.addSamples(records.map(({ tableId, state, bulkRowsTotal, bulkRowsMigrated }) => ({ tableId, state, rowsTotal: bulkRowsTotal, rowsMigrated: bulkRowsMigrated, lagMs: undefined, pendingChanges: undefined, appliedChanges: undefined })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.work.stopAll();
    await this.context.connections[Symbol.asyncDispose]();
  }
}
