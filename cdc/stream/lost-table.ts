/**
 * A table whose changes are not all there any more: its log was lost or damaged, or given up for the others. It is `failed` until it is taken out
 * of the stream and loaded again, whatever ends in between; nothing more is kept for it, and the others go on.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { isFileDamage } from '../spool/damaged-log.ts';
import { TableLog } from '../spool/table-log.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';

/** Durable before it returns. `why`: a clause that begins with "its changes". `isCopy`: its rows were being copied. Not for a shared table, which has no log. */
export function loseTable(state: StreamState, entry: TableEntry, why: string, isCopy = false): void {
  if (entry.isLost) return;
  const meta = { ...entry.meta, lost: why, ...(isCopy ? { isCopyLost: true } : {}) };
  entry.log?.close();
  entry.log = undefined;
  state.spool.lose(meta);
  entry.meta = meta;
  state.runtime.log.error('changes of a table are lost', { stream: state.options.name, tableId: entry.tableId, why });
  failLost(state, entry);
}

/** Puts a table that is known to be lost where it belongs. */
export function failLost(state: StreamState, entry: TableEntry): void {
  entry.mode = 'failed';
  entry.error = lostError(entry);
  entry.failedAt = entry.applied;
  entry.failedChange = undefined;
  entry.spooledChanges = 0;
  entry.drainedChanges = 0;
  entry.oldestPendingAtMs = undefined;
  state.check();
  state.options.onError(entry.tableId, entry.error);
}

/** Throws MIG021. */
export function assertNotLost(entry: TableEntry): void {
  if (entry.isLost) throw lostError(entry);
}

function lostError(entry: TableEntry): MigrationError {
  const { schema, name } = entry.plan.source;
  const tableName = `${schema}.${name}`;
  const { lost } = entry.meta;
  return new MigrationError('MIG021', `Changes of ${tableName} are lost: resync needed`, {
    detail: lost ?? 'its changes are not in the spool any more', tableName, hint: `RESYNC MIGRATION FOR TABLE ${tableName}; copies it again. Other tables are not concerned.`,
  });
}

/** The log of a table that applies by itself; undefined, and the table lost, where it does not hold what it held. `from`: what lies before it in the log has been applied. */
export function openCheckedLog(state: StreamState, entry: TableEntry, from: number): TableLog | undefined {
  const { spool } = state;
  const directory = spool.tableDirectory(entry.tableId);
  const end = spool.endOf(entry.tableId);
  if (entry.lacksMeta) {
    loseTable(state, entry, `its changes were given up, or what the spool knew of them is gone (${directory}.json)`);
    return undefined;
  }
  const existed = TableLog.exists(directory);
  const log = tryOpen(state, entry);
  if (!log) return undefined;
  const isGone = end === undefined && !existed && from > 0;
  const isShort = end !== undefined && log.wholeEndOffset < end && from < end;
  if (!isGone && !isShort && from >= log.startOffset) return log;
  const [begin, held] = [log.startOffset, log.wholeEndOffset];
  log.close();
  loseTable(state, entry, `its changes in the spool were lost or damaged: ${directory} holds bytes ${begin} to ${held}, needed are ${from} to ${end ?? 'the end'}`);
  return undefined;
}

function tryOpen(state: StreamState, entry: TableEntry): TableLog | undefined {
  try {
    return state.openLog(entry);
  } catch (error) {
    if (!isFileDamage(error)) throw error;
    loseTable(state, entry, `its changes in the spool cannot be read: ${String(error)}`);
    return undefined;
  }
}
