/** Where the tables of a stream really are: what the target and the spool say at the start of a connection. */
import { flushPositions } from './flushed-positions.ts';
import { failLost, openCheckedLog } from './lost-table.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';

/** Puts every table where the target and the spool say it is. */
export async function restoreEntries(state: StreamState, applied: bigint): Promise<void> {
  const rows = new Map((await state.target.readTables()).map((row) => [row.tableId, row]));
  for (const entry of state.entries.values()) {
    entry.log?.close();
    entry.log = undefined;
    entry.sharedPending = 0;
    entry.spooledChanges = 0;
    entry.drainedChanges = 0;
    entry.oldestPendingAtMs = undefined;
    const row = rows.get(entry.tableId);
    if (row?.mode === 'shared') {
      state.spool.dropLog(entry.tableId);
      entry.lacksMeta = false;
      entry.mode = 'shared';
      entry.consistentFrom ??= 0n;
      continue;
    }
    if (entry.mode === 'shared') entry.mode = 'draining';
    await restorePrivate(state, entry, row ?? { lsn: applied, spoolOffset: 0 });
    if (entry.mode === 'draining') entry.consistentFrom ??= await state.source.readEnd();
  }
}

async function restorePrivate(state: StreamState, entry: TableEntry, row: { readonly lsn: bigint; readonly spoolOffset: number }): Promise<void> {
  entry.applied = row.lsn;
  if (entry.isLost) return failLost(state, entry);
  const log = openCheckedLog(state, entry, row.spoolOffset);
  if (!log) return;
  // A crash of the machine may take the end of a log that had been applied already and not confirmed; positions tell what is new. It has its place
  // behind what was applied, or a later start would take it for that.
  if (log.wholeEndOffset < row.spoolOffset) {
    await flushPositions(state.target, 0n, [{ tableId: entry.tableId, offset: row.spoolOffset, isCurrent: () => true }]);
    log.continueAt(row.spoolOffset);
  }
  entry.log = log;
  entry.spoolOffset = row.spoolOffset;
  entry.savedOffset = row.spoolOffset;
}
