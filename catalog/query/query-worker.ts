/** A thread for queries on the catalog: a long one must not hold up the control process. Started by `catalog-query.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadModule } from 'libpg-query';
import { QueryRunner } from './query-runner.ts';
import type { QueryLimits } from './query-runner.ts';

export interface QueryWorkerData {
  readonly file: string;
  readonly limits: QueryLimits;
}

export interface QueryRequest {
  readonly id: number;
  readonly sql: string;
  readonly now: string;
}

const { file, limits } = workerData as QueryWorkerData;
await loadModule();
const runner = new QueryRunner(file, limits);
parentPort?.on('message', ({ id, sql, now }: QueryRequest) => {
  parentPort?.postMessage({ id, answer: runner.run(sql, now) });
});
