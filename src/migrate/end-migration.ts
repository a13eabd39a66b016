/** Ends a migration whose authority is the source: streams, bookkeeping and, when asked, the table on local. */
import type { TableRecord } from '../../catalog/records.ts';
import type { ControlContext } from './control-context.ts';
import { dropFences } from './drop-fences.ts';
import { leaveDualWrite } from './dual-write.ts';

const DROP_GUARD_MS = 3_000;

export interface EndOptions {
  readonly trigger: string;
  readonly dropLocal: boolean;
}

/** Each part is idempotent; a crash in the middle leaves the table in ROLLBACK, and recovery calls this again. */
export async function endMigration(context: ControlContext, record: TableRecord, options: EndOptions): Promise<void> {
  const { catalog, publisher, runtime } = context;
  // Kept, so that recovery ends it the same way.
  await catalog.changeTable(record.tableId, { details: { ...record.details, dropLocal: options.dropLocal } });
  if (record.state !== 'ROLLBACK') await leaveDualWrite(context, record, 'ROLLBACK', options.trigger);
  await runtime.faults.hit('abort.after_leave');
  const flow = await context.flow(record.sourceServer);
  await flow.forward.removeTable(record.tableId);
  await flow.reverse.removeTable(record.tableId);
  await flow.loader.forget(record.tableId);
  await flow.unfenceSource([record]);
  if (options.dropLocal) await flow.schema.dropTable(record);
  else await flow.unguardLocal([record]);
  await dropFences(context, flow, record);
  // Switched off, and swept away when nobody reads the table.
  await flow.dropGuards([record.target], DROP_GUARD_MS);
  await flow.forgetAuthority(record);
  flow.rates.forget(record.tableId);
  await runtime.faults.hit('abort.after_cleanup');
  await catalog.moveState(record.tableId, 'ROLLBACK', 'NOT_STARTED', { trigger: options.trigger, route: { reads: 'source', writes: 'source', ddlBlocked: false, writesBlocked: false, quiescing: false, waitVisible: false, trackWrites: false } });
  await catalog.endTable(record.tableId, 'NOT_STARTED');
  await publisher.refreshRelations();
  await publisher.publish();
}
