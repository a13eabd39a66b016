/**
 * At start: attempts that a crash left open are completed past their point of no return, and undone before it. The
 * catalog's states and routes say which (DESIGN §6); `quiescing` never outlives the attempt that set it.
 */
import type { JournalRecord, TableRecord } from '../../catalog/records.ts';
import { systemActor } from '../../catalog/audit.ts';
import type { ControlContext } from './control-context.ts';
import { completeCutover, oneServer } from './cutover.ts';
import { completeRollback } from './rollback.ts';
import { undoCutover, undoRollback } from './undo-switch.ts';

/** Also called now and then while an undo has not succeeded yet. Returns the attempts that are still open. */
export async function recoverSwitches(context: ControlContext): Promise<number> {
  const { catalog, runtime } = context;
  const abandoned = async (): Promise<readonly JournalRecord[]> => (await catalog.openJournals()).filter((attempt) => !context.activeAttempts.has(attempt.attemptId));
  for (const attempt of await abandoned()) {
    try {
      await recoverOne(context, attempt);
    } catch (error) {
      runtime.log.error('an unfinished change of authority could not be recovered yet', { attemptId: attempt.attemptId, error: String(error) });
    }
  }
  return (await abandoned()).length;
}

async function recoverOne(context: ControlContext, attempt: JournalRecord): Promise<void> {
  const { catalog, runtime } = context;
  const found = await Promise.all(attempt.tableIds.map((tableId) => catalog.table(tableId)));
  const records = found.filter((record): record is TableRecord => record !== undefined);
  const flow = await context.flow(oneServer(records));
  const authority = records[0]?.route.writes;
  const committed = attempt.direction === 'cutover' ? authority === 'local' : authority === 'source';
  runtime.log.warn(`recovering a ${attempt.direction}`, { attemptId: attempt.attemptId, step: attempt.step, committed });
  if (attempt.direction === 'cutover') {
    if (committed) await completeCutover(context, flow, attempt.tableIds, attempt.details['noRollback'] !== true);
    else await undoCutover(context, flow, records, attempt.attemptId, 'the control process ended in the middle');
  } else if (committed) await completeRollback(context, flow, records);
  else await undoRecordedRollback(context, attempt, records);
  if (committed) await catalog.putJournalStep({ attemptId: attempt.attemptId, step: 'recovered', outcome: 'complete' });
  for (const record of records) {
    await catalog.audit({ action: 'RECOVERY_PERFORMED', actor: systemActor, tableId: record.tableId, sourceServer: record.sourceServer, details: { attemptId: attempt.attemptId, step: attempt.step, committed } });
  }
}

async function undoRecordedRollback(context: ControlContext, attempt: JournalRecord, records: readonly TableRecord[]): Promise<void> {
  const { catalog, publisher } = context;
  const flow = await context.flow(oneServer(records));
  await undoRollback(context, flow, records, attempt.attemptId, 'the control process ended in the middle');
  for (const { tableId } of records) {
    const fresh = await catalog.table(tableId);
    if (fresh?.state === 'ROLLBACK') await catalog.moveState(tableId, 'ROLLBACK', 'LOCAL_ONLY', { trigger: 'rollback undone by recovery' });
  }
  await publisher.publish();
}
