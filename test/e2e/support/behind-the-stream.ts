/** Writes to local as nobody should: the guard is told that it is the applier. */
import type { Client } from 'pg';

export async function writeBehind(local: Client, sql: string): Promise<void> {
  await local.query(`BEGIN; SELECT set_config('causeway.applier', token::text, true) FROM causeway.fence LIMIT 1; SET LOCAL session_replication_role = replica; ${sql}; COMMIT`);
}
