/** Rows that clients' transactions write to local with their commit: over a few connections of the gateway process's own, which pass the guard. */
import { ApplyConnection } from '../../cdc/apply/apply-connection.ts';
import { writeMarked } from '../../cdc/apply/write-marked.ts';
import { quoteLiteral } from '../../cdc/postgres/quote.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MarkedRowsPort, PreparedRows } from '../session/two-phase/marked-rows-port.ts';

const CONNECTIONS = 8;
/** Commits that wait for a connection. Beyond it they wait for the stream, which takes many at once. */
const QUEUE = 64;
/** All of it: a lock of local's, or local itself, may be what it waits for. */
const WITHIN_MS = 2_000;
const LOCK_MS = 1_000;
/** Once local could not be reached nobody waits for it for so long. */
const DOWN_MS = 1_000;

export function createMarkedRows(runtime: Runtime, local: ServerAddress): MarkedRowsPort & AsyncDisposable {
  const pool = new Pool(runtime, local);
  return {
    prepare: (rows, done) => {
      let isOver = false;
      const once = (prepared: PreparedRows | undefined): void => {
        // Too late: nobody will decide it.
        if (isOver) return prepared?.rollback();
        isOver = true;
        clearTimeout(timer);
        done(prepared);
      };
      const timer = setTimeout(() => once(undefined), WITHIN_MS);
      pool.use((connection) => writeMarked(connection, rows)).then(
        () => once(preparedRows(pool, runtime, rows.gid)),
        (error: unknown) => {
          runtime.log.debug('local could not take rows with their transaction', { error: String(error) });
          once(undefined);
        },
      );
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

function preparedRows(pool: Pool, runtime: Runtime, gid: string): PreparedRows {
  const finish = (verb: string): Promise<unknown> => pool.use((connection) => connection.send({ text: `${verb} PREPARED ${quoteLiteral(gid)}` }));
  return {
    commit: (done) => void finish('COMMIT').then(() => done(true), (error: unknown) => {
      runtime.log.warn('a decided transaction could not be committed at once on local', { error: String(error) });
      done(false);
    }),
    rollback: () => void finish('ROLLBACK').catch((error: unknown) => runtime.log.info('a prepared transaction of local is left to recovery', { error: String(error) })),
  };
}

interface Waiting {
  readonly resolve: (connection: Promise<ApplyConnection>) => void;
}

class Pool {
  readonly #runtime: Runtime;
  readonly #address: ServerAddress;
  readonly #idle: ApplyConnection[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #lost = new WeakSet<ApplyConnection>();
  #open = 0;
  #downUntilMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(runtime: Runtime, address: ServerAddress) {
    this.#runtime = runtime;
    this.#address = address;
  }

  async use<T>(work: (connection: ApplyConnection) => Promise<T>): Promise<T> {
    const connection = await this.#take();
    try {
      return await work(connection);
    } finally {
      if (this.#isClosed) void connection.close();
      else if (!this.#lost.has(connection)) this.#give(connection);
    }
  }

  #take(): Promise<ApplyConnection> {
    const idle = this.#idle.pop();
    if (idle) return Promise.resolve(idle);
    if (this.#open < CONNECTIONS) return this.#connect();
    if (this.#waiting.length >= QUEUE) return Promise.reject(new Error('too many commits wait for a connection to local'));
    return new Promise((resolve) => this.#waiting.push({ resolve }));
  }

  async #connect(): Promise<ApplyConnection> {
    const { clock } = this.#runtime;
    if (this.#isClosed || clock.monotonicMs() < this.#downUntilMs) throw new Error('local cannot be reached');
    this.#open += 1;
    try {
      const connection = await ApplyConnection.open(this.#address, 'causeway marked rows', { token: 0n, synchronousCommit: 'on', lockTimeoutMs: LOCK_MS });
      connection.onEnd(() => this.#forget(connection));
      return connection;
    } catch (error) {
      this.#open -= 1;
      this.#downUntilMs = clock.monotonicMs() + DOWN_MS;
      this.#next();
      throw error;
    }
  }

  #give(connection: ApplyConnection): void {
    const next = this.#waiting.shift();
    if (next) next.resolve(Promise.resolve(connection));
    else this.#idle.push(connection);
  }

  #forget(connection: ApplyConnection): void {
    this.#lost.add(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#open -= 1;
    this.#next();
  }

  /** A place has come free, and who waits for one takes it, or learns that local is away. */
  #next(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    const connected = this.#connect();
    connected.catch(() => undefined);
    next.resolve(connected);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()));
  }
}
