/** PAUSE, RESUME, ABORT, RESYNC and COMPLETE: each for a table, a schema or all (specification §8.2). */
import type { TableRecord } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { AbortMigration, CompleteMigration, PauseMigration, ResumeMigration, ResyncMigration } from '../../../grammar/migration/statement.ts';
import { leaveDualWrite } from '../dual-write.ts';
import { endMigration } from '../end-migration.ts';
import { loadAgain } from '../load-again.ts';
import { replanTable } from '../replan.ts';
import type { SourceFlow } from '../source-flow.ts';
import { detailsOf, displayName } from '../table-details.ts';
import { done, table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { findRecord, recordsOf } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { resyncRows } from './validate.ts';

/** Acts on every table of a scope; for one table what does not fit is an error, for many it is left as it is and said. */
export async function forEach(context: CommandContext, tag: string, records: readonly TableRecord[], one: boolean, act: (record: TableRecord) => Promise<void>): Promise<SuccessfulAnswer> {
  const rows: (readonly string[])[] = [];
  for (const record of records) {
    let outcome = 'done';
    try {
      await context.work.alone([record.tableId], tag, async () => {
        const fresh = await context.catalog.table(record.tableId);
        if (fresh) await act(fresh);
      });
    } catch (error) {
      if (one) throw error;
      outcome = error instanceof Error ? error.message : String(error);
    }
    rows.push([displayName(record.source), (await context.catalog.table(record.tableId))?.state ?? 'NOT_STARTED', outcome]);
  }
  return table(tag, [['Table'], ['State'], ['Result']], rows);
}

export async function pause(context: CommandContext, statement: PauseMigration): Promise<SuccessfulAnswer> {
  const records = await recordsOf(context, statement.scope);
  return forEach(context, 'PAUSE MIGRATION', records, statement.scope.type === 'table', async (record) => {
    switch (record.state) {
      case 'BULK_LOADING':
      case 'SYNCHRONIZING':
      case 'DUAL_WRITE':
      case 'CUTOVER_READY':
        break;
      case 'PAUSED':
        return;
      default:
        throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state} and can't be paused`);
    }
    await leaveDualWrite(context, record, 'PAUSED', 'PAUSE MIGRATION');
    const flow = await context.flow(record.sourceServer);
    if (flow.forward.status(record.tableId)) await flow.forward.pauseTable(record.tableId);
    await context.catalog.audit({ action: 'MIGRATION_PAUSE', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
  });
}

export async function resume(context: CommandContext, statement: ResumeMigration): Promise<SuccessfulAnswer> {
  const records = await recordsOf(context, statement.scope);
  return forEach(context, 'RESUME MIGRATION', records, statement.scope.type === 'table', async (record) => {
    if (record.state !== 'PAUSED' && record.state !== 'ERROR') throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state}: there is nothing to resume`);
    if (detailsOf(record).needsResync === true) {
      throw new MigrationError('MIG021', `${displayName(record.source)} has lost changes of the source`, { detail: 'Going on would leave a gap.', hint: `RESYNC MIGRATION FOR TABLE ${displayName(record.source)}; copies it again.` });
    }
    const { catalog } = context;
    const flow = await context.flow(record.sourceServer);
    // The cause for which the stream stopped may be gone; one that is not stops it again.
    if (record.route.writes === 'source') await flow.streams.runForward();
    if (statement.acceptDdl) await replanTable(context, flow, record);
    if (statement.skipRow) await flow.forward.skipFailedChange(record.tableId);
    const fresh = (await catalog.table(record.tableId)) ?? record;
    const local = fresh.route.writes === 'local';
    const to = local ? 'LOCAL_ONLY' : fresh.interruptedState === 'BULK_LOADING' ? 'BULK_LOADING' : 'SYNCHRONIZING';
    await catalog.moveState(record.tableId, record.state, to, { trigger: 'RESUME MIGRATION', route: { ddlBlocked: true } });
    await catalog.setProgress([{ tableId: record.tableId, lastError: null }]);
    await context.publisher.publish();
    await catalog.audit({ action: 'MIGRATION_RESUME', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer, details: { acceptDdl: statement.acceptDdl, skipRow: statement.skipRow } });
  });
}

export async function abort(context: CommandContext, statement: AbortMigration): Promise<SuccessfulAnswer> {
  const records = await recordsOf(context, statement.scope);
  return forEach(context, 'ABORT MIGRATION', records, statement.scope.type === 'table', async (record) => {
    if (record.route.writes === 'local') {
      throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state}: local holds the truth, aborting would lose it`, { hint: `ROLLBACK MIGRATION FOR TABLE ${displayName(record.source)}; carries it back to the source first.` });
    }
    await endMigration(context, record, { trigger: 'ABORT MIGRATION', dropLocal: true });
    await context.catalog.audit({ action: 'MIGRATION_ABORT', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
  });
}

export async function resync(context: CommandContext, statement: ResyncMigration): Promise<SuccessfulAnswer> {
  const record = await findRecord(context, statement.table);
  if (record.route.writes === 'local') throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state}: the source is not the truth for it`, { hint: 'ROLLBACK MIGRATION first.' });
  if (statement.where !== undefined) return resyncRows(context, record, statement.where);
  return forEach(context, 'RESYNC MIGRATION', [record], true, async (fresh) => {
    const flow = await context.flow(fresh.sourceServer);
    if (flow.streams.forwardFailure) await beginStreamAnew(context, flow, fresh);
    if (fresh.state !== 'PAUSED') await leaveDualWrite(context, fresh, 'PAUSED', 'RESYNC MIGRATION');
    await loadAgain(context, fresh, 'RESYNC MIGRATION');
  });
}

/**
 * The forward stream has stopped for good. Every other table that it carried has lost changes as this one has, and says so until it is
 * resynced; those that local is the authority for have lost none, for nobody but the reverse stream writes them on the source.
 */
async function beginStreamAnew(context: CommandContext, flow: SourceFlow, asked: TableRecord): Promise<void> {
  const { catalog } = context;
  const cause = flow.streams.forwardFailure;
  const others = (await catalog.tables()).filter((record) => record.sourceServer === asked.sourceServer && record.tableId !== asked.tableId && record.completedAt === undefined);
  const behind = others.filter((record) => record.route.writes === 'source' && record.state !== 'NOT_STARTED' && record.state !== 'ROLLBACK');
  await context.work.alone(behind.map(({ tableId }) => tableId), 'RESYNC MIGRATION', async () => {
    for (const { tableId } of behind) {
      const fresh = await catalog.table(tableId);
      if (!fresh) continue;
      await catalog.changeTable(tableId, { details: { ...fresh.details, needsResync: true } });
      if (fresh.state !== 'ERROR' && fresh.state !== 'PAUSED') await leaveDualWrite(context, { ...fresh, details: { ...fresh.details, needsResync: true } }, 'ERROR', cause?.code ?? 'MIG021', cause?.message);
    }
    await flow.streams.restartForward();
    for (const record of others.filter(({ route, details }) => route.writes === 'local' && details['noRollback'] !== true)) await flow.followAgain(record);
  });
}

export async function complete(context: CommandContext, statement: CompleteMigration): Promise<SuccessfulAnswer> {
  const record = await findRecord(context, statement.table);
  if (record.state !== 'LOCAL_ONLY') throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state}; only a table that is LOCAL_ONLY can be completed`);
  if (record.completedAt !== undefined) return done('COMPLETE MIGRATION');
  await context.work.alone([record.tableId], 'COMPLETE MIGRATION', () => completeTable(context, record));
  return done('COMPLETE MIGRATION', [{ severity: 'NOTICE', message: `the way back of ${displayName(record.source)} is closed; the fence on the source is gone` }]);
}

/** Ends the rollback window: the reverse stream, the fence on the source, and the block on DDL. */
export async function completeTable(context: Pick<CommandContext, 'catalog' | 'flow' | 'publisher'>, record: TableRecord): Promise<void> {
  const flow = await context.flow(record.sourceServer);
  await flow.reverse.removeTable(record.tableId);
  await flow.forward.removeTable(record.tableId);
  await flow.unfenceSource([record]);
  // Switched off is enough; who uses the table now need not hold up the command.
  await flow.dropFences([record], { timeoutMs: 5_000 }).catch(() => undefined);
  await flow.dropGuards([record.target], 5_000).catch(() => undefined);
  await context.catalog.endTable(record.tableId, 'LOCAL_ONLY');
  await context.catalog.changeRoutes('COMPLETE MIGRATION', { routes: [{ tableId: record.tableId, route: { ddlBlocked: false } }] });
  await context.publisher.publish();
}
