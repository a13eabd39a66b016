/** Between two connections: a shared table that cannot go on with the others. */
import { ChangeFailure } from '../apply/apply-error.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';
import { LeaveShared } from './transaction-router.ts';

/** The table that the others go on without; undefined where the stream itself is at fault. */
export function tableAtFault(state: StreamState, error: unknown): TableEntry | undefined {
  return error instanceof LeaveShared ? error.entry : error instanceof ChangeFailure ? state.entries.get(error.table.plan.tableId) : undefined;
}

/** It leaves at the last committed boundary, and tries by itself; true when that is what the stream ended for. */
export async function ejectTable(state: StreamState, error: Error): Promise<boolean> {
  const { options, target, spool, runtime } = state;
  const entry = tableAtFault(state, error);
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
