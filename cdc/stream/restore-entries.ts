/** Where the tables of a stream really are: what the target and the spool say at the start of a connection. */
import * as fs from 'node:fs';
import { MigrationError } from '../../config/migration-error.ts';
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
      fs.rmSync(state.spool.tableDirectory(entry.tableId), { recursive: true, force: true });
      entry.mode = 'shared';
      entry.consistentFrom ??= 0n;
      continue;
    }
    if (entry.mode === 'shared') entry.mode = 'draining';
    restorePrivate(state, entry, row ?? { lsn: applied, spoolOffset: 0 });
    if (entry.mode === 'draining') entry.consistentFrom ??= await state.source.readEnd();
  }
}

function restorePrivate(state: StreamState, entry: TableEntry, row: { readonly lsn: bigint; readonly spoolOffset: number }): void {
  const directory = state.spool.tableDirectory(entry.tableId);
  if (!fs.existsSync(directory) && row.spoolOffset > 0) throw new MigrationError('MIG021', 'The spool of a table is gone: resync needed', { tableName: entry.plan.source.name, detail: directory });
  entry.log = state.openLog(entry);
  if (row.spoolOffset < entry.log.startOffset) {
    throw new MigrationError('MIG021', 'The spool of a table does not reach its position: resync needed', { tableName: entry.plan.source.name, detail: `spool holds ${entry.log.startOffset} to ${entry.log.endOffset}, needed from ${row.spoolOffset}` });
  }
  entry.applied = row.lsn;
  // A crash of the machine may take the end of a log that had been applied already and not confirmed; positions tell what is new.
  entry.spoolOffset = Math.min(row.spoolOffset, entry.log.wholeEndOffset);
  entry.savedOffset = entry.spoolOffset;
}

