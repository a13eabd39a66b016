/**
 * Ordinary SELECTs on the SYS$MIGRATION_ tables, as operators type them in psql.
 *
 * The text is parsed by PostgreSQL's own grammar, checked node by node against what is known here, and written anew for
 * SQLite with PostgreSQL's meaning; what is not known is refused by name. It runs in a thread of its own on a read-only
 * connection. The thread starts with the first query and is replaced if it dies.
 */
import { Worker } from 'node:worker_threads';
import { MigrationError } from '../../config/migration-error.ts';
import type { Clock } from '../../config/runtime.ts';
import { defaultLimits } from './query-runner.ts';
import type { QueryAnswer, QueryFailure, QueryLimits, QueryResult } from './query-runner.ts';
import type { QueryRequest, QueryWorkerData } from './query-worker.ts';

export interface CatalogQuery extends AsyncDisposable {
  /** Rejects with MIG070 for a query that can't be read or answered, MIG085 for one beyond the limits. */
  query(sql: string): Promise<QueryResult>;
  close(): Promise<void>;
}

export interface CatalogQueryOptions {
  /** The catalog's file; it must exist. */
  readonly file: string;
  /** What `now()` is. */
  readonly clock: Clock;
  readonly limits?: Partial<QueryLimits>;
}

interface Waiting {
  readonly resolve: (result: QueryResult) => void;
  readonly reject: (error: Error) => void;
}

const WORKER_MEMORY_MB = 256;
const WAITING_LIMIT = 100;

export function openCatalogQuery(options: CatalogQueryOptions): CatalogQuery {
  const data: QueryWorkerData = { file: options.file, limits: { ...defaultLimits, ...options.limits } };
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let lastId = 0;

  const failAll = (cause: Error): void => {
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new MigrationError('MIG090', 'the query on the catalog was lost', { detail: cause.message, cause }));
    waiting.clear();
  };
  const start = (): Worker => {
    const fresh = new Worker(new URL('./query-worker.ts', import.meta.url), { workerData: data, resourceLimits: { maxOldGenerationSizeMb: WORKER_MEMORY_MB } });
    fresh.on('message', ({ id, answer }: { readonly id: number; readonly answer: QueryAnswer }) => {
      const caller = waiting.get(id);
      waiting.delete(id);
      if (waiting.size === 0) fresh.unref();
      if (answer.ok) caller?.resolve(answer.result);
      else caller?.reject(errorOf(answer.failure));
    });
    fresh.on('error', (error: unknown) => failAll(error instanceof Error ? error : new Error(String(error))));
    fresh.on('exit', () => {
      if (worker === fresh) failAll(new Error('its thread ended'));
    });
    return fresh;
  };
  const close = async (): Promise<void> => {
    const ending = worker;
    failAll(new Error('the catalog is being closed'));
    await ending?.terminate();
  };
  return {
    query: (sql) =>
      new Promise((resolve, reject) => {
        if (waiting.size >= WAITING_LIMIT) {
          reject(new MigrationError('MIG085', 'too many queries on the catalog at once', { detail: `${WAITING_LIMIT} are waiting.` }));
          return;
        }
        worker ??= start();
        worker.ref();
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        const request: QueryRequest = { id: lastId, sql, now: new Date(options.clock.now()).toISOString().replace('T', ' ').slice(0, -1) };
        worker.postMessage(request);
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function errorOf(failure: QueryFailure): MigrationError {
  const { code, message, detail, hint, position } = failure;
  return new MigrationError(code, message, {
    ...(detail === undefined ? {} : { detail }),
    hint: hint ?? 'Catalog tables take SELECT with joins, subqueries, WITH, GROUP BY, ORDER BY and LIMIT; docs/catalog.md lists the functions.',
    ...(position === undefined ? {} : { position }),
  });
}
