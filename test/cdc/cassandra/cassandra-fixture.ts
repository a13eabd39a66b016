/** Two clusters, a keyspace on each, and everything that a table holds, cell by cell. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { noFaults } from '../../../config/faults.ts';
import { noMetrics, processClock } from '../../../config/process-runtime.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import type { Side } from '../../../cdc/cassandra/cluster.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import type { LoaderOptions } from '../../../cdc/cassandra/load/loader.ts';
import type { LoadProgress } from '../../../cdc/cassandra/load/load-progress.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { readersOf } from '../../../cdc/cassandra/row-reader.ts';
import { readTable } from '../../../cdc/cassandra/table.ts';
import { wholeRing } from '../../../grammar/cql/token-range.ts';
import { sharedCassandra } from '../../support/cassandra-servers.ts';
import type { CassandraAddress } from '../../support/cassandra-process.ts';
import type { TestCassandraClients } from '../../support/cassandra-servers.ts';

export interface TwoClusters extends AsyncDisposable {
  /** The same name on both. */
  readonly keyspace: string;
  readonly source: TestCassandraClients;
  readonly target: TestCassandraClients;
  readonly clusters: { readonly [side in Side]: Cluster };
  readonly runtime: Runtime;
  readonly folder: string;
  readonly ledgerFile: string;
  readonly failedFile: string;
  /** On both sides; `ks.` stands for the keyspace. */
  both(...statements: readonly string[]): Promise<void>;
  on(side: Side, ...statements: readonly string[]): Promise<void>;
  load(tables: readonly string[], options?: Partial<LoaderOptions>): Promise<LoadProgress>;
  /** Sorted lines, one per row and cell; expiry instead of time to live, to be compared with `roughly`. */
  dump(side: Side, table: string): Promise<readonly DumpedCell[]>;
}

export interface DumpedCell {
  readonly cell: string;
  readonly writetime: string;
  /** Seconds left when it was read; undefined = for ever. */
  readonly ttl: number | undefined;
}

export function clusterOptions({ host, port, datacenter }: CassandraAddress): { contactPoints: string[]; localDataCenter: string } {
  return { contactPoints: [`${host}:${port}`], localDataCenter: datacenter };
}

export const testRuntime: Runtime = {
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => testRuntime.log },
  metrics: noMetrics, clock: processClock, signal: new AbortController().signal, faults: noFaults,
};

export async function startTwoClusters(): Promise<TwoClusters> {
  const [source, target] = await Promise.all([sharedCassandra('source'), sharedCassandra('target')]);
  const keyspace = await source.createKeyspace('move');
  await target.cql(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
  const clusters = { source: await Cluster.connect('source', clusterOptions(source.address)), target: await Cluster.connect('target', clusterOptions(target.address)) };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-load-'));
  const own = { source, target };
  const on = async (side: Side, ...statements: readonly string[]): Promise<void> => {
    for (const statement of statements) await own[side].cql(statement.replaceAll('ks.', `${keyspace}.`));
  };
  const ledgerFile = path.join(folder, 'ledger.db');
  const failedFile = path.join(folder, 'failed.jsonl');
  return {
    keyspace, source, target, clusters, runtime: testRuntime, folder, ledgerFile, failedFile, on,
    both: async (...statements) => {
      await Promise.all([on('source', ...statements), on('target', ...statements)]);
    },
    load: async (tables, options = {}) => {
      using ledger = new SqliteLoadLedger(ledgerFile);
      await using failed = await openFailedRows(failedFile, processClock.now);
      const loads = tables.map((name) => ({ sourceTable: { keyspace, name }, targetTable: { keyspace, name } }));
      return await new Loader(testRuntime, clusters, ledger, failed, loads, { ...loaderDefaults, ranges: 8, retryPauseMs: 50, ...options }).run(testRuntime.signal);
    },
    dump: (side, table) => dumpTable(clusters[side], keyspace, table),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([source.cql(`DROP KEYSPACE ${keyspace}`), target.cql(`DROP KEYSPACE ${keyspace}`)]);
      await Promise.all([clusters.source[Symbol.asyncDispose](), clusters.target[Symbol.asyncDispose]()]);
      await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose]()]);
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function dumpTable(cluster: Cluster, keyspace: string, name: string): Promise<readonly DumpedCell[]> {
  const table = await readTable(cluster, { keyspace, name });
  const cells: DumpedCell[] = [];
  for (const reader of readersOf(table, cluster.tellsElementTimes)) {
    for (let from: string | undefined, isFirst = true; isFirst || from !== undefined; isFirst = false) {
      const page = await cluster.read(reader.inRange(wholeRing), { size: 1000, from });
      for (const answer of page.rows) {
        const row = reader.parse(answer, 0);
        if (row === undefined) continue;
        const key = `${reader.part} ${[...row.partitionKey, ...row.clustering].map((bytes) => bytes.toString('hex')).join(',')}`;
        cells.push({ cell: key, writetime: '', ttl: undefined });
        for (const { column, path: place, value, writetime, ttl } of row.cells) {
          cells.push({ cell: `${key} ${column.name}[${Buffer.isBuffer(place) ? place.toString('hex') : place ?? ''}] = ${value.toString('hex')}`, writetime: String(writetime), ttl });
        }
      }
      from = page.next;
    }
  }
  return cells.sort((a, b) => (a.cell < b.cell ? -1 : 1));
}

/** Times to live read one after the other differ by what passed between. */
export function withoutTtl(cells: readonly DumpedCell[]): readonly Omit<DumpedCell, 'ttl'>[] {
  return cells.map(({ cell, writetime }) => ({ cell, writetime }));
}
