/** A load in a process of its own, to be killed: its orders are the first argument, in JSON. */
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { noMetrics, processClock, processRuntime } from '../../../config/process-runtime.ts';
import type { Log } from '../../../config/runtime.ts';

interface Orders {
  readonly source: { readonly host: string; readonly port: number };
  readonly target: { readonly host: string; readonly port: number };
  readonly keyspace: string;
  readonly table: string;
  readonly ledgerFile: string;
  readonly failedFile: string;
}

const orders = JSON.parse(process.argv[2] ?? '') as Orders;
const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: (message, fields) => console.error(message, fields), child: () => log };
const runtime = processRuntime({ log, metrics: noMetrics, signal: new AbortController().signal });
const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): { contactPoints: string[] } => ({ contactPoints: [`${host}:${port}`] });
await using source = await Cluster.connect('source', addressOf(orders.source));
await using target = await Cluster.connect('target', addressOf(orders.target));
using ledger = new SqliteLoadLedger(orders.ledgerFile);
await using failed = await openFailedRows(orders.failedFile, processClock.now);
const name = { keyspace: orders.keyspace, name: orders.table };
const loader = new Loader(runtime, { source, target }, ledger, failed, [{ sourceTable: name, targetTable: name }], { ...loaderDefaults, ranges: 8, parallelRanges: 2, pageRows: 200 });
const { tables } = await loader.run(runtime.signal);
process.exitCode = tables[0]?.state === 'done' ? 0 : 1;
