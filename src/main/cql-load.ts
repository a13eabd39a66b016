/** `npm run cql -- load`: copies tables from one cluster to the other with their times, by `sstable-loader.yaml`; run again it goes on where it stopped. */
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { IndexList } from '../../cdc/cassandra/indexes/index-list.ts';
import { TargetIndexes } from '../../cdc/cassandra/indexes/target-indexes.ts';
import type { WantedIndex } from '../../cdc/cassandra/indexes/target-indexes.ts';
import { openFailedRows } from '../../cdc/cassandra/load/failed-rows.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { SqliteLoadLedger } from '../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { indexesFile, loaderFile } from '../../config/cql/service-files.ts';
import { readYamlFile } from '../../config/read-yaml.ts';
import { portOf, readServiceFile, tablePairs, withClusters } from './cql-clusters.ts';
import { LoadService } from './cql-load-service.ts';
import { Telling } from './cql-proxy-link.ts';
import { ProxyLinks } from './cql-proxy-links.ts';
import { buildIndexes, BYTES_PER_MEGABYTE, loadOnce } from './load-once.ts';
import { untilEnded } from './one-job.ts';

export const loadUsage = `npm run cql -- load --config FILE [options]
  --config FILE           sstable-loader.yaml: both clusters, and what is loaded how
  --indexes FILE          indexes.yaml: these indexes of the target are dropped for the load and built after it
  --skip-indexes          leaves the target's indexes as they are (so does no --indexes)
  --http-port N           serves the loader's HTTP API (the document's port is 8081) and waits for POST /start, until Ctrl-C
  --http-host HOST        for it (default 127.0.0.1)
  --auto-start            begins at once, also with --http-port; without that a load always does
  --proxy URL[,URL]       HTTP API of the running proxy, or of each of a group, whose dashboard and metrics show the load
  --state-directory DIR   what has been loaded, dropped indexes (default .causeway/cql/load)
  --help
Ctrl-C ends it at a safe place; the same command goes on from there. The exit code is 0 when every table is done.`;

const PROGRESS_MS = 1000;

/** Resolves with the exit code. */
export async function runLoad(project: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args], strict: true,
    options: { config: { type: 'string' }, indexes: { type: 'string' }, 'skip-indexes': { type: 'boolean', default: false }, 'auto-start': { type: 'boolean', default: false }, 'http-port': { type: 'string' }, 'http-host': { type: 'string', default: '127.0.0.1' }, proxy: { type: 'string' }, 'state-directory': { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(`${loadUsage}\n`);
    return 0;
  }
  if (values.config === undefined) throw new Error(`--config: expected a file\n${loadUsage}`);
  const file = readServiceFile('sstable-loader', values.config, loaderFile);
  const wanted = values.indexes === undefined || values['skip-indexes'] ? [] : readYamlFile(values.indexes, indexesFile, process.env).map(wantedIndex);
  const httpPort = portOf(values['http-port']);
  const failedFile = path.resolve(path.dirname(values.config), file.loader.failed_rows_file);
  return withClusters(path.resolve(values['state-directory'] ?? path.join(project, '.causeway/cql/load')), file, async ({ runtime, clusters, directory }) => {
    const proxy = await ProxyLinks.open(values.proxy, true);
    using ledger = new SqliteLoadLedger(path.join(directory, 'load.db'));
    await using failed = await openFailedRows(failedFile, runtime.clock.now);
    const indexes = new TargetIndexes(runtime, clusters.source, clusters.target, new IndexList(path.join(directory, 'dropped-indexes.json')));
    const telling = new Telling(proxy, say);
    let progress: (() => LoadProgress) | undefined;
    const parts = { runtime, clusters, file, ledger, failed, indexes, wanted, skipsIndexes: values['skip-indexes'], say };
    if (httpPort !== undefined) {
      await serve(new LoadService(parts, values['http-host'], httpPort, file.observability.metricsPort), runtime.signal, values['auto-start']);
      return 0;
    }
    const pairs = await tablePairs(clusters, file.loader.tables.map(({ name }) => name), file.source, file.target);
    const shown = setInterval(() => {
      const now = progress?.();
      if (now === undefined) return;
      say(progressLine(now));
      telling.tell(now);
    }, PROGRESS_MS);
    const ended = await loadOnce(parts, pairs, runtime.signal, (given) => (progress = given)).finally(async () => {
      clearInterval(shown);
      const last = progress?.();
      if (last) await telling.end(last);
    });
    say(progressLine(ended));
    for (const { table, state, rows, refused, error } of ended.tables) say(`  ${table}: ${state}, ${rows} rows${refused === 0 ? '' : `, ${refused} refused (${failedFile})`}${error === undefined ? '' : `\n    ${error}`}`);
    await buildIndexes(parts, runtime.signal);
    return ended.tables.every(({ state }) => state === 'done') ? 0 : 1;
  });
}

/** Until the signal. */
async function serve(service: LoadService, signal: AbortSignal, startsAtOnce: boolean): Promise<void> {
  await using serving = service;
  say(`HTTP API of the loader: port ${await serving.listen()}`);
  if (startsAtOnce) await serving.start();
  await untilEnded(signal);
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
