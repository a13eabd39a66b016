/**
 * Rows that clients' transactions write to local with their commit: over a few connections of the gateway process's own, which pass the guard. Their commits
 * do not wait for local's disk: what a crash takes back the stream brings again.
 */
import { ApplyConnection } from '../../cdc/apply/apply-connection.ts';
import { writeMarked } from '../../cdc/apply/write-marked.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MarkedRowsPort, RowsOfTransaction, WrittenRows } from '../session/two-phase/marked-rows-port.ts';

/** Each has one commit at a time, from its rows to the end of its transaction. */
const CONNECTIONS = 16;
/** Commits that wait for a connection. Beyond it they wait for the stream, which takes many at once. */
const QUEUE = 64;
/** To write the rows: a lock of local's, or local itself, may be what it waits for. */
const WITHIN_MS = 2_000;
const LOCK_MS = 500;
/** An open transaction holds the stream up, should this process be stopped or cut off: local ends it then. */
const OPEN_MS = 3_000;
/** Once local could not be reached nobody waits for it for so long. */
const DOWN_MS = 1_000;

export function createMarkedRows(runtime: Runtime, local: ServerAddress): MarkedRowsPort & AsyncDisposable {
  const pool = new Pool(runtime, local);
  return {
    write: (rows, done) => {
      let isOver = false;
      const once = (written: WrittenRows | undefined): void => {
        // Too late: its commit waits for the stream by now.
        if (isOver) return written?.rollback();
        isOver = true;
        clearTimeout(timer);
        done(written);
      };
      const timer = setTimeout(() => once(undefined), WITHIN_MS);
      write(pool, rows).then(once, (error: unknown) => {
        runtime.log.debug('local could not take rows with their transaction', { error: String(error) });
        once(undefined);
      });
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

async function write(pool: Pool, rows: RowsOfTransaction): Promise<WrittenRows> {
  const connection = await pool.take();
  try {
    await writeMarked(connection, rows);
  } catch (error) {
    pool.give(connection);
    throw error;
  }
  let isOver = false;
  const end = async (verb: 'COMMIT' | 'ROLLBACK'): Promise<boolean> => {
    if (isOver) return false;
    isOver = true;
    try {
      return (await connection.send({ text: verb })).command === 'COMMIT';
    } catch {
      return false;
    } finally {
      pool.give(connection);
    }
  };
  return { commit: (done) => void end('COMMIT').then(done), rollback: () => void end('ROLLBACK') };
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

  take(): Promise<ApplyConnection> {
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
      const connection = await ApplyConnection.open(this.#address, 'causeway marked rows', { token: 0n, synchronousCommit: 'off', lockTimeoutMs: LOCK_MS });
      await connection.send({ text: `SET idle_in_transaction_session_timeout = ${OPEN_MS}` });
      connection.onEnd(() => this.#forget(connection));
      return connection;
    } catch (error) {
      this.#open -= 1;
      this.#downUntilMs = clock.monotonicMs() + DOWN_MS;
      // Whoever waits learns it at once.
      while (this.#waiting.length > 0) this.#next();
      throw error;
    }
  }

  give(connection: ApplyConnection): void {
    if (this.#isClosed) return void connection.close();
    if (this.#lost.has(connection)) return;
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
