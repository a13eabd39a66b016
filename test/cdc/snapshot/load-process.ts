/**
 * A loader in a process of its own, for tests that kill it and for measurements of its memory. Argument: a `LoadJob` as JSON.
 * Prints the result as JSON with the time and the largest resident set; faults come by CAUSEWAY_FAULT.
 */
import pg from 'pg';
import { createPostgresLoader } from '../../../cdc/postgres/table-loader.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { LoadOptions } from '../../../cdc/ports.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { defaultOptions, testRuntime } from './loader-fixture.ts';

export interface LoadJob {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly table: string;
  readonly options?: Partial<LoadOptions>;
  readonly memoryBytes?: number;
  readonly token?: number;
}

const job = JSON.parse(process.argv[2] ?? '') as LoadJob;
const client = new pg.Client(job.source);
await client.connect();
const plan = planTable(await introspectTable(client, { schema: 'public', name: job.table }), { tableId: job.table });
await client.end();
const loader = createPostgresLoader(testRuntime(process.env['CAUSEWAY_FAULT']), { source: job.source, target: job.target, token: BigInt(job.token ?? 1), memoryBytes: job.memoryBytes ?? 64 << 20 });
try {
  const result = await loader.load(plan, { ...defaultOptions, ...job.options }, () => undefined, new AbortController().signal);
  console.log(JSON.stringify({ ...result, maxRssMb: process.resourceUsage().maxRSS / 1024 }));
} catch (error) {
  console.log(JSON.stringify({ error: error instanceof MigrationError ? error.code : String(error) }));
  process.exitCode = 1;
}
