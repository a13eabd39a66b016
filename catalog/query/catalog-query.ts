/**
 * Ordinary SELECTs on the SYS$MIGRATION_ tables, as operators type them in psql.
 *
 * The text is parsed by PostgreSQL's own grammar, checked node by node against what is known here, and written anew for
 * SQLite with PostgreSQL's meaning; what is not known is refused by name. It runs in a process of its own on a read-only
 * connection, one query after the other.
 *
 * States: idle (no process) → serving (process, oldest waiting query under the time limit) → idle after it was killed or died;
 * the next query starts a new one.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as path from 'node:path';
import { MigrationError } from '../../config/migration-error.ts';
import type { Clock } from '../../config/runtime.ts';
import { defaultLimits } from './query-runner.ts';
import type { QueryFailure, QueryLimits, QueryResult } from './query-runner.ts';
import type { QueryReply, QueryRequest } from './query-process.ts';

export interface CatalogQuery extends AsyncDisposable {
  /** Rejects with MIG070 for a query that can't be read or answered, MIG085 for one beyond the limits, MIG087 beyond the time limit. */
  query(sql: string): Promise<QueryResult>;
  close(): Promise<void>;
}

export interface CatalogQueryOptions {
  /** The catalog's file; it must exist. */
  readonly file: string;
  /** What `now()` is, and what measures the time limit. */
  readonly clock: Clock;
  readonly limits?: Partial<QueryLimits>;
  /** Default 15,000. The bound on visited rows comes first unless SQLite itself is stuck. */
  readonly timeoutMs?: number;
}

interface Waiting {
  readonly request: QueryRequest;
  readonly resolve: (result: QueryResult) => void;
  readonly reject: (error: Error) => void;
}

const PROCESS_MEMORY_MB = 256;
const WAITING_LIMIT = 100;
const DEFAULT_TIMEOUT_MS = 15_000;

export function openCatalogQuery(options: CatalogQueryOptions): CatalogQuery {
  return new QueryQueue(options);
}

class QueryQueue implements CatalogQuery {
  readonly #options: CatalogQueryOptions;
  readonly #limits: QueryLimits;
  /** In order of arrival; the first one is being answered. */
  readonly #waiting: Waiting[] = [];
  #process: ChildProcess | undefined;
  #timer = new AbortController();
  #lastId = 0;
  #closed = false;

  constructor(options: CatalogQueryOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  query(sql: string): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(lost('the catalog is closed'));
      if (this.#waiting.length >= WAITING_LIMIT) {
        return reject(new MigrationError('MIG085', 'too many queries on the catalog at once', { detail: `${WAITING_LIMIT} are waiting.` }));
      }
      this.#lastId += 1;
      const now = new Date(this.#options.clock.now()).toISOString().replace('T', ' ').slice(0, -1);
      this.#waiting.push({ request: { id: this.#lastId, sql, now }, resolve, reject });
      if (this.#waiting.length === 1) this.#sendFirst();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const ending = this.#process;
    this.#stop();
    for (const { reject } of this.#waiting.splice(0)) reject(lost('the catalog is being closed'));
    if (ending !== undefined && ending.exitCode === null && ending.signalCode === null) {
      await new Promise((resolve) => ending.once('exit', resolve));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sendFirst(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      // An idle process does not keep its parent from ending.
      this.#process?.unref();
      this.#process?.channel?.unref();
      return;
    }
    const child = (this.#process ??= this.#start());
    child.ref();
    child.channel?.ref();
    child.send(first.request, (error) => {
      if (error !== null && this.#process === child) this.#died(error.message);
    });
    this.#watch(first);
  }

  #start(): ChildProcess {
    const child = fork(path.join(import.meta.dirname, 'query-process.ts'), [this.#options.file, JSON.stringify(this.#limits)], {
      serialization: 'advanced', execArgv: [`--max-old-space-size=${PROCESS_MEMORY_MB}`], stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (reply: QueryReply) => {
      if (this.#process === child) this.#answered(reply);
    });
    child.once('error', (error) => {
      if (this.#process === child) this.#died(error.message);
    });
    child.once('exit', (code, signal) => {
      if (this.#process === child) this.#died(`its process ended (${String(signal ?? code)})`);
    });
    return child;
  }

  #answered({ id, answer }: QueryReply): void {
    if (this.#waiting[0]?.request.id !== id) return;
    const first = this.#waiting.shift();
    this.#timer.abort();
    if (answer.ok) first?.resolve(answer.result);
    else first?.reject(errorOf(answer.failure));
    this.#sendFirst();
  }

  #watch(first: Waiting): void {
    const timer = new AbortController();
    this.#timer = timer;
    const timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const expire = (): void => {
      if (timer.signal.aborted || this.#waiting[0] !== first) return;
      this.#stop();
      this.#waiting.shift();
      first.reject(new MigrationError('MIG087', 'a query on the catalog took too long', { detail: `It was ended after ${timeoutMs} ms.`, hint: 'Ask for less: WHERE, LIMIT, fewer joins.' }));
      this.#sendFirst();
    };
    this.#options.clock.sleep(timeoutMs, timer.signal).then(expire, () => undefined);
  }

  /** The query that was being answered is lost; those behind it get a new process. */
  #died(why: string): void {
    this.#stop();
    this.#waiting.shift()?.reject(lost(why));
    this.#sendFirst();
  }

  #stop(): void {
    const ending = this.#process;
    this.#process = undefined;
    this.#timer.abort();
    ending?.kill('SIGKILL');
  }
}

function lost(why: string): MigrationError {
  return new MigrationError('MIG090', 'the query on the catalog was lost', { detail: why });
}

function errorOf(failure: QueryFailure): MigrationError {
  const { code, message, detail, hint, position } = failure;
  return new MigrationError(code, message, {
    ...(detail === undefined ? {} : { detail }),
    hint: hint ?? 'Catalog tables take SELECT with joins, subqueries, WITH, GROUP BY, ORDER BY and LIMIT; docs/catalog.md lists the functions.',
    ...(position === undefined ? {} : { position }),
  });
}
