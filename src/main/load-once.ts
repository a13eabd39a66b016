/** One load, and the target's indexes before and after it, as the command and the service do it. */
import * as os from 'node:os';
import type { TablePair } from '../../cdc/cassandra/compare/compare-tables.ts';
import type { TargetIndexes, WantedIndex } from '../../cdc/cassandra/indexes/target-indexes.ts';
import type { FailedRows } from '../../cdc/cassandra/load/failed-rows.ts';
import type { LoadLedger } from '../../cdc/cassandra/load/load-ledger.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { Loader, loaderDefaults } from '../../cdc/cassandra/load/loader.ts';
import type { LoaderOptions } from '../../cdc/cassandra/load/loader.ts';
import type { LoaderFile } from '../../config/cql/service-files.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { LoaderReport } from '../cql/api/monitor.ts';
import type { Clusters } from './cql-clusters.ts';

export const BYTES_PER_MEGABYTE = 1024 * 1024;

/** Unless the file says it. */
const PAGE_ROWS = 5000;

export interface LoadParts {
  readonly runtime: Runtime;
  readonly clusters: Clusters;
  readonly file: LoaderFile;
  readonly ledger: LoadLedger;
  readonly failed: FailedRows;
  readonly indexes: TargetIndexes;
  /** Of `indexes.yaml`: dropped before the load. */
  readonly wanted: readonly WantedIndex[];
  readonly skipsIndexes: boolean;
  /** Of each step that is worth a line. */
  readonly say: (line: string) => void;
}

/** `watch` is given what says how far it is, before the first row. Throws the signal's reason. */
export async function loadOnce(parts: LoadParts, pairs: readonly TablePair[], signal: AbortSignal, watch: (progress: () => LoadProgress) => void): Promise<LoadProgress> {
  const { runtime, clusters, file, ledger, failed, indexes, wanted, say } = parts;
  const dropped = wanted.length === 0 ? [] : await indexes.drop(pairs.map(({ targetTable }) => targetTable), wanted, signal);
  if (dropped.length > 0) say(`${dropped.length} indexes of the target dropped for the load`);
  const loader = new Loader(runtime, clusters, ledger, failed, pairs, optionsOf(file));
  watch(() => loader.progress());
  return await loader.run(signal);
}

/** After the load; those of a run that was broken off are on the list too. */
export async function buildIndexes({ indexes, skipsIndexes, say }: LoadParts, signal: AbortSignal): Promise<void> {
  if (skipsIndexes) return;
  for (const { name, keyspace, table } of await indexes.rebuild(signal)) say(`  index ${name} of ${keyspace}.${table} is built`);
}

function optionsOf({ loader }: LoaderFile): LoaderOptions {
  const retryPauseMs = loader.retry_delay_ms ?? (loader.retry_delay_secs === undefined ? loader.page_retry_backoff_ms : loader.retry_delay_secs * 1000);
  return {
    ...loaderDefaults, parallelTables: Math.min(loader.max_concurrent_loaders, 16), ranges: Math.max(loaderDefaults.ranges, loader.num_ranges_per_core * os.availableParallelism()), pageRows: loader.page_size ?? loader.batch_size ?? PAGE_ROWS,
    concurrency: loader.insert_concurrency, maxRetries: Math.max(loader.max_retries, loader.page_retry_attempts), retryPauseMs: Math.max(1, Math.round(retryPauseMs)), skipOnError: loader.skip_on_error,
    sourceLimits: { rowsPerSecond: 0, bytesPerSecond: loader.max_throughput_mbps * BYTES_PER_MEGABYTE },
  };
}

export function loaderReport({ share, rows, rowsPerSecond, remainingMs, tables }: LoadProgress, hasEnded: boolean): LoaderReport {
  return { share: Math.min(1, share), rows, rowsPerSecond, remainingMs, tablesDone: tables.filter(({ state }) => state === 'done').length, tablesTotal: tables.length, hasEnded };
}
