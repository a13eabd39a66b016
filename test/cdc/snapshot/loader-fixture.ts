/** Two databases on one real server, a loader between them, and an exact comparison of what arrived. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { armFaults } from '../../../config/faults.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { PlanOptions } from '../../../cdc/postgres/plan-table.ts';
import { createPostgresLoader } from '../../../cdc/postgres/table-loader.ts';
import type { PostgresLoaderOptions } from '../../../cdc/postgres/table-loader.ts';
import type { LoadOptions, LoadProgress, TableLoader } from '../../../cdc/ports.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { TestPostgres } from '../../support/postgres.ts';

export function testRuntime(faults = ''): Runtime {
  const silent = (): void => undefined;
  const log = { debug: silent, info: silent, warn: silent, error: silent, child: () => log };
  return {
    log,
    metrics: { count: silent, gauge: silent, observe: silent, observer: () => silent, remove: silent },
    clock: { now: () => Date.now(), monotonicMs: () => performance.now(), sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : {}) },
    signal: new AbortController().signal,
    faults: armFaults(faults, undefined),
  };
}

export const defaultOptions: LoadOptions = { parallelWorkers: 2, batchSize: 10_000, rateLimitRowsPerSecond: 0, maxErrors: 0, skipOnError: false, orderBy: undefined };

export interface Pair {
  readonly source: pg.Client;
  readonly target: pg.Client;
  readonly addresses: Pick<PostgresLoaderOptions, 'source' | 'target'>;
  /** Runs the same statements on both sides. */
  both(sql: string): Promise<void>;
  plan(table: string, options?: Partial<PlanOptions>): Promise<TablePlan>;
  loader(options?: Partial<PostgresLoaderOptions>, faults?: string): TableLoader;
  load(plan: TablePlan, options?: Partial<LoadOptions>, loader?: TableLoader): Promise<{ readonly result: Awaited<ReturnType<TableLoader['load']>>; readonly progress: readonly LoadProgress[] }>;
  /** Count and hash of all rows as text, independent of order. */
  digest(side: 'source' | 'target', table: string, columns?: string, where?: string): Promise<string>;
}

export async function makePair(server: TestPostgres, name: string): Promise<Pair> {
  const sourceName = await server.createDatabase(`${name}_source`);
  const targetName = await server.createDatabase(`${name}_target`);
  const source = await server.client(sourceName);
  const target = await server.client(targetName);
  const addresses = { source: { ...server.address, database: sourceName }, target: { ...server.address, database: targetName } };
  const pair: Pair = {
    source,
    target,
    addresses,
    both: async (sql) => {
      await source.query(sql);
      await target.query(sql);
    },
    plan: async (table, options = {}) => {
      const definition = await introspectTable(source, { schema: 'public', name: table });
      return planTable(definition, { tableId: table, ...options });
    },
    loader: (options = {}, faults = '') => createPostgresLoader(testRuntime(faults), { ...addresses, token: 1n, memoryBytes: 32 << 20, ...options }),
    load: async (plan, options = {}, loader = pair.loader()) => {
      const progress: LoadProgress[] = [];
      const result = await loader.load(plan, { ...defaultOptions, ...options }, (step) => progress.push(step), new AbortController().signal);
      return { result, progress };
    },
    digest: async (side, table, columns = '*', where = 'true') => {
      const client = side === 'source' ? source : target;
      const result = await client.query<{ digest: string }>(
        `SELECT count(*) || ' ' || coalesce(sum(('x' || substr(md5(r::text), 1, 15))::bit(60)::bigint), 0) AS digest FROM (SELECT ${columns} FROM ${table} WHERE ${where}) r`,
      );
      return result.rows[0]?.digest ?? '';
    },
  };
  return pair;
}
