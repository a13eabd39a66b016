/** Between two connections: a shared table that cannot go on with the others. */
import { ChangeFailure } from '../apply/apply-error.ts';
import type { StreamState } from './stream-state.ts';
import { LeaveShared } from './transaction-router.ts';

/** It leaves at the last committed boundary, and tries by itself; true when that is what the stream ended for. */
export async function ejectTable(state: StreamState, error: Error): Promise<boolean> {
  const { options, target, spool, runtime } = state;
  const entry = error instanceof LeaveShared ? error.entry : error instanceof ChangeFailure ? state.entries.get(error.table.plan.tableId) : undefined;
  if (!entry) return false;
  const commitLsn = error instanceof LeaveShared ? error.commitLsn : error instanceof ChangeFailure ? error.record.transaction.commitLsn : 0n;
  runtime.log.warn('table leaves the shared applier', { stream: options.name, tableId: entry.tableId, error: error.message });
  await target.leaveShared(entry.tableId);
  spool.advance(state.durable);
  entry.log?.remove();
  entry.log = undefined;
  entry.mode = 'draining';
  entry.joinsAfter = commitLsn;
  return true;
}
