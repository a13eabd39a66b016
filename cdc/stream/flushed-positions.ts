/**
 * What the target has applied is confirmed once it would outlive a crash of the target, and not because a flush was answered: a server that crashed and came
 * back since answers too, and has flushed what it still has. Its positions are read behind the flush, and tell.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { ChangeTarget } from './change-target.ts';

/** `offset`: how far the target has the table's log. */
export interface AppliedOffset {
  readonly tableId: string;
  readonly offset: number;
  /** False for a table that was taken out meanwhile, or begins anew. */
  readonly isCurrent: () => boolean;
}

/** MIG002 when the target has less than `applied`, or less of a table's log, than it had said. */
export async function flushPositions(target: ChangeTarget, applied: bigint, offsets: readonly AppliedOffset[]): Promise<void> {
  await target.makeDurable();
  const stream = await target.readStream();
  if (!stream || stream.lsn < applied) throw lost('the position of the stream');
  if (offsets.every(({ offset }) => offset === 0)) return;
  const rows = new Map((await target.readTables()).map((row) => [row.tableId, row]));
  for (const { tableId, offset, isCurrent } of offsets) {
    const row = rows.get(tableId);
    // One that joined, or that is no longer there, has given its log up.
    if (row?.mode === 'private' && row.spoolOffset < offset && isCurrent()) throw lost(`the position of table ${tableId}`);
  }
}

function lost(what: string): MigrationError {
  return new MigrationError('MIG002', 'The target has lost commits in a crash', { detail: `${what} is behind what had been committed there; what came after it is read again` });
}
