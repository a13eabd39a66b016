/**
 * Takes the triggers of fences and guards that do not stand away. DROP TRIGGER wants the table for itself, and while it waits for a reader all who come after wait behind
 * it: so it is asked for in attempts that are over before anybody feels them, and a table that somebody reads all the time keeps its triggers, switched off.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { AdminConnection } from './admin-connection.ts';
import { sqlstateOf } from './connect.ts';
import { dropFenceTriggers } from './fence.ts';
import type { FenceKind } from './fence.ts';
import { hurryAutovacuum } from './locked-transaction.ts';

const ATTEMPT_MS = 100;
const PAUSE_MS = 200;

/** Returns the tables whose triggers have stayed. `timeoutMs`: of each table. */
export async function dropIdleFences(runtime: Runtime, admin: AdminConnection, kind: FenceKind, tables: readonly QualifiedName[], timeoutMs: number): Promise<readonly QualifiedName[]> {
  const left: QualifiedName[] = [];
  for (const table of tables) if (!(await dropOne(runtime, admin, kind, table, timeoutMs))) left.push(table);
  return left;
}

async function dropOne({ clock }: Runtime, admin: AdminConnection, kind: FenceKind, table: QualifiedName, timeoutMs: number): Promise<boolean> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      await admin.transaction(async (client) => {
        await client.query(`SET LOCAL lock_timeout = ${ATTEMPT_MS}`);
        await hurryAutovacuum(client);
        await dropFenceTriggers(client, kind, [table]);
      });
      return true;
    } catch (error) {
      const state = sqlstateOf(error);
      if (state !== '55P03' && state !== '40P01') throw error;
      if (clock.monotonicMs() >= endMs) return false;
      await clock.sleep(PAUSE_MS);
    }
  }
}
