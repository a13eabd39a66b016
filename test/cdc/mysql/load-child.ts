/** A load from MySQL in a process of its own, to be killed. Argument: a `MysqlLoadJob` as JSON; prints the result as JSON. Faults come by CAUSEWAY_FAULT. */
import { MysqlChunkSource } from '../../../cdc/mysql/chunk-reader.ts';
import { connectServer } from '../../../cdc/postgres/connect.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import { createLoader } from '../../../cdc/snapshot/copy-table.ts';
import type { LoadOptions, TableLoader } from '../../../cdc/ports.ts';
import { quoteList, quoteTable } from '../../../cdc/postgres/quote.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { defaultOptions, testRuntime } from '../snapshot/loader-fixture.ts';
import { everyTypePlan, mapEveryType } from './every-type.ts';
import type { MapColumn } from '../../../cdc/mysql/source-column.ts';

export interface MysqlLoadJob {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly options?: Partial<LoadOptions>;
}

export function mysqlLoader(source: ServerAddress, target: ServerAddress, mapColumn: MapColumn, faults = ''): TableLoader {
  return createLoader(testRuntime(faults), { target, token: 1n, memoryBytes: 64 << 20 }, new MysqlChunkSource({ source, mapColumn: () => mapColumn, buildKey: (plan, signal) => addPrimaryKey(target, plan, signal) }));
}

async function addPrimaryKey(target: ServerAddress, plan: TablePlan, signal: AbortSignal): Promise<void> {
  const client = await connectServer(target, { applicationName: 'test', signal });
  try {
    const { rowCount } = await client.query("SELECT 1 FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'", [quoteTable(plan.target)]);
    if (rowCount === 0) await client.query(`ALTER TABLE ${quoteTable(plan.target)} ADD PRIMARY KEY (${quoteList(plan.key)})`);
  } finally {
    await client.end();
  }
}

if (process.argv[1] === import.meta.filename) {
  const job = JSON.parse(process.argv[2] ?? '') as MysqlLoadJob;
  const loader = mysqlLoader(job.source, job.target, mapEveryType, process.env['CAUSEWAY_FAULT']);
  const result = await loader.load(everyTypePlan(job.source.database), { ...defaultOptions, ...job.options }, () => undefined, new AbortController().signal);
  console.log(JSON.stringify({ ...result, maxRssMb: process.resourceUsage().maxRSS / 1024 }));
}
