/** `npm run cql -- load`: copies tables from one cluster to the other with their times, by `sstable-loader.yaml`; run again it goes on where it stopped. */
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { IndexList } from '../../cdc/cassandra/indexes/index-list.ts';
import { TargetIndexes } from '../../cdc/cassandra/indexes/target-indexes.ts';
import type { WantedIndex } from '../../cdc/cassandra/indexes/target-indexes.ts';
import { openFailedRows } from '../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../cdc/cassandra/load/loader.ts';
import type { LoaderOptions } from '../../cdc/cassandra/load/loader.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { SqliteLoadLedger } from '../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { indexesFile, loaderFile } from '../../config/cql/service-files.ts';
import type { LoaderFile } from '../../config/cql/service-files.ts';
import { readYamlFile } from '../../config/read-yaml.ts';
import { tablePairs, withClusters } from './cql-clusters.ts';
import { ProxyLink, Telling } from './cql-proxy-link.ts';

export const loadUsage = `npm run cql -- load --config FILE [options]
  --config FILE           sstable-loader.yaml: both clusters, and what is loaded how
  --indexes FILE          indexes.yaml: these indexes of the target are dropped for the load and built after it
  --skip-indexes          leaves the target's indexes as they are (so does no --indexes)
  --auto-start            taken, and of no effect: a load starts at once
  --proxy URL             HTTP API of the running proxy, whose dashboard and metrics show the load
  --state-directory DIR   what has been loaded, dropped indexes (default .causeway/cql/load)
  --help
Ctrl-C ends it at a safe place; the same command goes on from there. The exit code is 0 when every table is done.`;

const PROGRESS_MS = 1000;
const BYTES_PER_MEGABYTE = 1024 * 1024;

/** Resolves with the exit code. */
export async function runLoad(project: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args], strict: true,
    options: { config: { type: 'string' }, indexes: { type: 'string' }, 'skip-indexes': { type: 'boolean', default: false }, 'auto-start': { type: 'boolean' }, proxy: { type: 'string' }, 'state-directory': { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(`${loadUsage}\n`);
    return 0;
  }
  if (values.config === undefined) throw new Error(`--config: expected a file\n${loadUsage}`);
  const file = readYamlFile(values.config, loaderFile, process.env);
  const wanted = values.indexes === undefined || values['skip-indexes'] ? [] : readYamlFile(values.indexes, indexesFile, process.env).map(wantedIndex);
  const failedFile = path.resolve(path.dirname(values.config), file.loader.failed_rows_file);
  return withClusters(path.resolve(values['state-directory'] ?? path.join(project, '.causeway/cql/load')), file, async ({ runtime, clusters, directory }) => {
    const proxy = await ProxyLink.open(values.proxy, true);
    const pairs = await tablePairs(clusters, file.loader.tables.map(({ name }) => name), file.source, file.target);
    using ledger = new SqliteLoadLedger(path.join(directory, 'load.db'));
    await using failed = await openFailedRows(failedFile, runtime.clock.now);
    const indexes = new TargetIndexes(runtime, clusters.source, clusters.target, new IndexList(path.join(directory, 'dropped-indexes.json')));
    const dropped = wanted.length === 0 ? [] : await indexes.drop(pairs.map(({ targetTable }) => targetTable), wanted);
    if (dropped.length > 0) say(`${dropped.length} indexes of the target dropped for the load`);
    const loader = new Loader(runtime, clusters, ledger, failed, pairs, optionsOf(file));
    const telling = new Telling(proxy, say);
    const shown = setInterval(() => {
      const progress = loader.progress();
      say(progressLine(progress));
      telling.tell(progress);
    }, PROGRESS_MS);
    const ended = await loader.run(runtime.signal).finally(async () => {
      clearInterval(shown);
      await telling.end(loader.progress());
    });
    say(progressLine(ended));
    for (const { table, state, rows, refused, error } of ended.tables) say(`  ${table}: ${state}, ${rows} rows${refused === 0 ? '' : `, ${refused} refused (${failedFile})`}${error === undefined ? '' : `\n    ${error}`}`);
    // Those of a run that was broken off are on the list too.
    if (!values['skip-indexes']) for (const { name, keyspace, table } of await indexes.rebuild()) say(`  index ${name} of ${keyspace}.${table} is built`);
    return ended.tables.every(({ state }) => state === 'done') ? 0 : 1;
  });
}

function optionsOf({ loader }: LoaderFile): LoaderOptions {
  const retryPauseMs = loader.retry_delay_ms ?? (loader.retry_delay_secs === undefined ? loader.page_retry_backoff_ms : loader.retry_delay_secs * 1000);
  return {
    ...loaderDefaults, parallelTables: Math.min(loader.max_concurrent_loaders, 16), ranges: Math.max(loaderDefaults.ranges, loader.num_ranges_per_core * os.availableParallelism()), pageRows: loader.page_size,
    concurrency: loader.insert_concurrency, maxRetries: Math.max(loader.max_retries, loader.page_retry_attempts), retryPauseMs: Math.max(1, Math.round(retryPauseMs)), skipOnError: loader.skip_on_error,
    sourceLimits: { rowsPerSecond: 0, bytesPerSecond: loader.max_throughput_mbps * BYTES_PER_MEGABYTE },
  };
}

function wantedIndex({ keyspace, table, index_name: indexName, column_name: columnName, index_type: indexType }: { keyspace: string; table: string; index_name: string; column_name: string; index_type: string }): WantedIndex {
  return { keyspace, table, indexName, columnName, indexType: indexType === 'custom' ? 'custom' : 'secondary' };
}

function progressLine({ tables, rows, bytes, refused, share, rowsPerSecond, remainingMs }: LoadProgress): string {
  const done = tables.filter(({ state }) => state === 'done').length;
  const left = remainingMs === undefined || share >= 1 ? '' : `, about ${Math.ceil(remainingMs / 1000)} s left`;
  return `${(share * 100).toFixed(1)} %: ${rows} rows, ${(bytes / BYTES_PER_MEGABYTE).toFixed(1)} MB, ${Math.round(rowsPerSecond)} rows/s${refused === 0 ? '' : `, ${refused} refused`}; ${done} of ${tables.length} tables done${left}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
