/** Between two connections: a shared table that cannot go on with the others. */
import { MigrationError } from '../../config/migration-error.ts';
import { ChangeFailure } from '../apply/apply-error.ts';
import type { StreamState } from './stream-state.ts';
import { setMembership } from './target-state.ts';
import { LeaveShared } from './transaction-router.ts';

/** It leaves at the last committed boundary, and tries by itself; true when that is what the stream ended for. */
export async function ejectTable(state: StreamState, error: Error): Promise<boolean> {
  const { options, target, spool, runtime } = state;
  const entry = error instanceof LeaveShared ? error.entry : error instanceof ChangeFailure ? state.entries.get(error.table.plan.tableId) : undefined;
  if (!entry) return false;
  const commitLsn = error instanceof LeaveShared ? error.commitLsn : error instanceof ChangeFailure ? error.record.transaction.commitLsn : 0n;
  const { name, token } = options;
  runtime.log.warn('table leaves the shared applier', { stream: name, tableId: entry.tableId, error: error.message });
  await target.use(async (client) => {
    await client.query('BEGIN');
    await client.query('SET LOCAL synchronous_commit = on');
    // Waits for a transaction whose end was not heard of.
    const { rows } = await client.query<{ lsn: string }>("SELECT (lsn - '0/0'::pg_lsn)::text AS lsn FROM causeway.applied WHERE stream = $1 AND token = $2::bigint FOR UPDATE", [name, String(token)]);
    if (!rows[0]) throw new MigrationError('MIG092');
    const { text, values } = setMembership(name, entry.tableId, 'private', BigInt(rows[0].lsn), token);
    await client.query(text, [...(values ?? [])]);
    await client.query('COMMIT');
  });
  spool.advance(state.durable);
  entry.log?.remove();
  entry.log = undefined;
  entry.mode = 'draining';
  entry.joinsAfter = commitLsn;
  return true;
}
