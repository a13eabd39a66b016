/** Locks that are tried for in short attempts, so that nobody is held up behind them (RULES 10), and who keeps them from being had. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { errnoOf } from './connect.ts';
import type { MysqlClient } from './mysql-client.ts';
import { describeMysqlLockHolders } from './lock-holders.ts';
import type { MysqlQuery } from './query.ts';

/** The shortest that the servers know. */
const LOCK_ATTEMPT_S = 1;
const LOCK_WAIT_TIMEOUT = 1205;
const DEADLOCK = 1213;
const PAUSE_MS = 20;

/** Thrown by `work`: somebody holds the tables by other means than the server's locks. */
export class StillHeldError extends Error {
  readonly errno = LOCK_WAIT_TIMEOUT;
  readonly sqlState = 'HY000';
}

/** `work` is begun again after every attempt that got no lock; MIG052 with those who hold the tables when the budget ends. `attemptS`: how long an attempt waits for tables; 0 on MariaDB only. */
export async function withLocks(runtime: Runtime, admin: MysqlClient, tables: readonly QualifiedName[], timeoutMs: number, work: (query: MysqlQuery) => Promise<void>, attemptS = LOCK_ATTEMPT_S): Promise<void> {
  const { clock } = runtime;
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      await admin.hold((query) => attempt(query, work, attemptS));
      return;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== LOCK_WAIT_TIMEOUT && errno !== DEADLOCK) throw error;
      if (clock.monotonicMs() >= endMs) throw await lockError(admin, tables, error);
      await clock.sleep(PAUSE_MS);
    }
  }
}

async function attempt(query: MysqlQuery, work: (query: MysqlQuery) => Promise<void>, attemptS: number): Promise<void> {
  await query(`SET SESSION lock_wait_timeout = ${attemptS}, innodb_lock_wait_timeout = ${LOCK_ATTEMPT_S}, autocommit = 0`);
  try {
    await work(query);
    await query('COMMIT');
  } catch (error) {
    // A lost connection has released everything already.
    if (errnoOf(error) !== undefined) await query('ROLLBACK');
    throw error;
  } finally {
    await query('UNLOCK TABLES').then(() => query('SET SESSION autocommit = 1, lock_wait_timeout = DEFAULT, innodb_lock_wait_timeout = DEFAULT, timestamp = DEFAULT')).catch(() => undefined);
  }
}

async function lockError(admin: MysqlClient, tables: readonly QualifiedName[], cause: unknown): Promise<MigrationError> {
  const holders = await admin.hold((query) => describeMysqlLockHolders(query, tables)).catch(() => undefined);
  const detail = holders ?? 'The lock that stops writers could not be had in time, and whoever held it has ended since, or may not be seen: that takes the privilege PROCESS.';
  return new MigrationError('MIG052', 'a transaction outside the gateway holds the table', { detail, cause });
}
