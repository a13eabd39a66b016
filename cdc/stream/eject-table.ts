/** Between two connections: a shared table that cannot go on with the others. */
import { MigrationError } from '../../config/migration-error.ts';
import { ChangeFailure } from '../apply/apply-error.ts';
import { sqlstateOf } from '../postgres/connect.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';
import { LeaveShared } from './transaction-router.ts';

/** The table that the others go on without; undefined where the stream itself is at fault. */
export function tableAtFault(state: StreamState, error: unknown): TableEntry | undefined {
  if (error instanceof LeaveShared) return error.entry;
  return error instanceof ChangeFailure ? state.entries.get(error.table.plan.tableId) : undefined;
}

/** What is wrong with the table itself on the target, as it was asked for its definition; undefined when it is the server or the way there. */
export function tableFault(error: unknown, entry: TableEntry): MigrationError | undefined {
  if (error instanceof MigrationError) return error.category === 'SCHEMA' ? error : undefined;
  if (sqlstateOf(error)?.startsWith('42') !== true) return undefined;
  const { schema, name } = entry.plan.target;
  return new MigrationError('MIG011', 'The table that changes go to cannot be used', {
    detail: error instanceof Error ? error.message : String(error), tableName: `${schema}.${name}`, hint: 'Put it back as it was and RESUME MIGRATION, or RESYNC MIGRATION.', cause: error,
  });
}

/** It leaves at the last committed boundary, and tries by itself. */
export async function ejectTable(state: StreamState, entry: TableEntry, error: Error): Promise<void> {
  const { options, target, spool, runtime } = state;
  const commitLsn = error instanceof LeaveShared ? error.commitLsn : error instanceof ChangeFailure ? error.record.transaction.commitLsn : 0n;
  runtime.log.warn('table leaves the shared applier', { stream: options.name, tableId: entry.tableId, error: error.message });
  await target.leaveShared(entry.tableId);
  spool.advance(state.durable);
  entry.log?.close();
  entry.log = undefined;
  spool.dropLog(entry.tableId);
  entry.mode = 'draining';
  entry.joinsAfter = commitLsn;
}
