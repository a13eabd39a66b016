/** A transaction that takes locks against writers, for a fence: tried for in short attempts, so that nobody is held up behind it (RULES 10). */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { AdminConnection } from './admin-connection.ts';
import { describeLockHolders } from './lock-holders.ts';

/**
 * One attempt at the lock: short, so that those who queue behind it are not held up; tried again until the budget ends. Longer
 * than the default `deadlock_timeout` of a second, after which an autovacuum that is in the way is cancelled by the server.
 */
const LOCK_ATTEMPT_MS = 1_500;

export interface LockWish {
  /** Named when the lock cannot be had. */
  readonly tables: readonly QualifiedName[];
  readonly timeoutMs: number;
  /** Readers are in its way as well. */
  readonly excludesReaders?: boolean;
}

/** MIG052 with those who hold the tables when the budget ends. */
export async function lockedTransaction(runtime: Runtime, admin: AdminConnection, { tables, timeoutMs, excludesReaders }: LockWish, work: (client: ClientBase) => Promise<void>): Promise<void> {
  const { clock } = runtime;
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const leftMs = Math.max(1, Math.floor(endMs - clock.monotonicMs()));
    try {
      await admin.transaction(async (client) => {
        await client.query(`SET LOCAL lock_timeout = ${Math.min(leftMs, LOCK_ATTEMPT_MS)}`);
        await hurryAutovacuum(client);
        await work(client);
      });
      return;
    } catch (error) {
      const state = error instanceof Error && 'code' in error ? error.code : undefined;
      if ((state !== '55P03' && state !== '40P01') || clock.monotonicMs() >= endMs) {
        throw state === '55P03' ? await lockError(admin, tables, error, excludesReaders) : error;
      }
      await clock.sleep(20);
    }
  }
}

async function lockError(admin: AdminConnection, tables: readonly QualifiedName[], cause: unknown, withReaders = false): Promise<MigrationError> {
  const holders = await admin.use((client) => describeLockHolders(client, tables, withReaders)).catch(() => undefined);
  const detail = holders ?? 'The lock that stops writers could not be had in time, and whoever held it has ended since.';
  return new MigrationError('MIG052', 'a transaction outside the gateway holds the table', { detail, cause });
}

/** An autovacuum in the way of a lock is cancelled after `deadlock_timeout`; who may lower it does not wait a second for that. */
export async function hurryAutovacuum(client: ClientBase): Promise<void> {
  await client.query("SELECT set_config('deadlock_timeout', '20ms', true) FROM pg_roles WHERE rolname = current_user AND rolsuper");
}
