/** A load from MySQL in a process of its own, to be killed. Argument: a `MysqlLoadJob` as JSON; prints the result as JSON. Faults come by CAUSEWAY_FAULT. */
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { LoadOptions } from '../../../cdc/ports.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { defaultOptions, testRuntime } from '../snapshot/loader-fixture.ts';
import { typeRules } from './mysql-pair.ts';

export interface MysqlLoadJob {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly plan: TablePlan;
  readonly typeMap: string;
  readonly options?: Partial<LoadOptions>;
}

const job = JSON.parse(process.argv[2] ?? '') as MysqlLoadJob;
const loader = createMysqlLoader(testRuntime(process.env['CAUSEWAY_FAULT']), { source: job.source, target: job.target, token: 1n, memoryBytes: 64 << 20, types: typeRules(job.typeMap) });
const started = performance.now();
const result = await loader.load(job.plan, { ...defaultOptions, ...job.options }, () => undefined, new AbortController().signal);
console.log(JSON.stringify({ ...result, seconds: (performance.now() - started) / 1000, maxRssMb: process.resourceUsage().maxRSS / 1024 }));
