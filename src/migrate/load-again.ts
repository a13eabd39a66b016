/** A table's rows on local go, and its load begins anew: RESYNC, and what the stream cannot go on with since the source's server is another one. Idempotent up to its end. */
import type { TableRecord } from '../../catalog/records.ts';
import type { ControlContext } from './control-context.ts';
import { replanTable } from './replan.ts';
import { detailsOf } from './table-details.ts';
import { restartLosses } from './type-losses.ts';

/** Of a table that nobody reads on local. */
export async function loadAgain(context: ControlContext, record: TableRecord, trigger: string): Promise<void> {
  const { catalog, publisher } = context;
  const { tableId } = record;
  const flow = await context.flow(record.sourceServer);
  const left = (await catalog.table(tableId)) ?? record;
  // From here on its changes are not kept: whatever stops this, going on with the old copy would leave a gap.
  await catalog.changeTable(tableId, { details: { ...left.details, needsResync: true } });
  await flow.forward.removeTable(tableId);
  await flow.loader.forget(tableId);
  await flow.schema.dropTable(record);
  await restartLosses(context, flow, tableId);
  await replanTable(context, flow, left);
  const planned = (await catalog.table(tableId)) ?? record;
  await catalog.changeTable(tableId, { details: { ...planned.details, needsResync: false, loadsAnew: false } });
  const route = { ddlBlocked: true, writesBlocked: record.options['bulkLoadWrites'] === 'block', waitVisible: false, trackWrites: false };
  if (planned.state === 'BULK_LOADING') await catalog.changeRoutes(trigger, { routes: [{ tableId, route }] });
  else await catalog.moveState(tableId, planned.state, 'BULK_LOADING', { trigger, route });
  await publisher.publish();
}

/**
 * Notes that the table's load is to begin anew, if that is all that ails it: its copy was being made from a server of the source that is not the source any more. True: the next turn of its driver does so.
 */
export async function loadsAnew(context: ControlContext, tableId: string): Promise<boolean> {
  const record = await context.catalog.table(tableId);
  if (!record || record.route.writes !== 'source' || (record.state !== 'BULK_LOADING' && record.state !== 'SYNCHRONIZING')) return false;
  const { forward } = await context.flow(record.sourceServer);
  if (forward.status(tableId)?.loadsAnew !== true) return false;
  if (detailsOf(record).loadsAnew !== true) await context.catalog.changeTable(tableId, { details: { ...record.details, loadsAnew: true } });
  return true;
}
