/**
 * Into and out of DUAL_WRITE, in two epochs each (RULES 12): a reader that is sent to local must find there whatever any
 * session has been told is committed.
 *
 * In: all workers wait on writes → older units end → the stream passes a marker → reads move to local.
 * While a user may not read on local what he reads on the source, reads stay there, and move once he may; they go back when he may not any more.
 * Out: all workers read the source again → older units end → commits are released unwaited.
 */
import type { RouteFlags, TableRecord } from '../../catalog/records.ts';
import type { TableState } from '../../catalog/table-state.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import { allRemedies, describeLostRights, knownLosses, mayReadOnLocal } from './lost-rights.ts';
import { detailsOf, displayName, routedKeys } from './table-details.ts';

const MARKER_TIMEOUT_MS = 60_000;
/** Readers of an older epoch that stay open longer than this keep their own, older view; nobody waits for them. */
const OLD_READERS_MS = 10_000;

/** Where reads go and what writes wait for, by the table's options `dual_write_mode` and `read_from`. */
export function dualWriteRoute(record: TableRecord): Pick<RouteFlags, 'reads' | 'waitVisible' | 'trackWrites'> {
  const async = record.options['dualWriteMode'] === 'async';
  const readFrom = record.options['readFrom'];
  return { reads: readFrom === 'source' || readFrom === 'compare' || detailsOf(record).readsHeld === true ? 'source' : 'local', waitVisible: !async, trackWrites: async };
}

export async function enterDualWrite(context: ControlContext, caughtUp: TableRecord, signal: AbortSignal): Promise<void> {
  const { catalog, fleet, publisher, runtime } = context;
  const flow = await context.flow(caughtUp.sourceServer);
  const readsHeld = !(await mayReadOnLocal(flow, detailsOf(caughtUp).plan));
  if (readsHeld) runtime.log.warn('reads of a table stay on the source: users may not read it on local as there; CHECK MIGRATION names them', { table: displayName(caughtUp.source) });
  const record = { ...caughtUp, details: { ...caughtUp.details, readsHeld } };
  await catalog.changeTable(record.tableId, { details: record.details });
  const route = dualWriteRoute(record);
  const waiting = { ...route, reads: 'source' as const };
  const { epoch } = await catalog.changeRoutes(`waiting writes for ${record.source.name}`, { routes: [{ tableId: record.tableId, route: waiting }] });
  await publisher.publish();
  await runtime.faults.hit('dual_write.after_waiting');
  await fleet.quiesced(routedKeys(record), epoch, () => !signal.aborted);
  signal.throwIfAborted();
  const token = await flow.forward.writeMarker();
  await flow.forward.waitForMarker(token, [record.tableId], MARKER_TIMEOUT_MS, signal);
  await runtime.faults.hit('dual_write.after_marker');
  signal.throwIfAborted();
  if (route.reads === 'local') flow.forward.setServed([record.tableId], true);
  await flow.beginMarking([record]);
  await catalog.moveState(record.tableId, 'SYNCHRONIZING', 'DUAL_WRITE', { trigger: 'caught up', route });
  await publisher.publish();
  await runtime.faults.hit('dual_write.entered');
}

/** What held them back is gone. In DUAL_WRITE all workers wait on writes already. Returns whether they have moved. */
export async function releaseReads(context: ControlContext, held: TableRecord, signal: AbortSignal): Promise<boolean> {
  const { catalog, publisher } = context;
  const flow = await context.flow(held.sourceServer);
  if (!(await mayReadOnLocal(flow, detailsOf(held).plan))) return false;
  const record = { ...held, details: { ...held.details, readsHeld: false } };
  const { reads } = dualWriteRoute(record);
  const token = await flow.forward.writeMarker();
  await flow.forward.waitForMarker(token, [record.tableId], MARKER_TIMEOUT_MS, signal);
  signal.throwIfAborted();
  if (reads === 'local') flow.forward.setServed([record.tableId], true);
  await catalog.changeRoutes(`reads of ${record.source.name} move to local`, { routes: [{ tableId: record.tableId, route: { reads } }] });
  await publisher.publish();
  const fresh = (await catalog.table(record.tableId)) ?? record;
  await catalog.changeTable(record.tableId, { details: { ...fresh.details, readsHeld: false } });
  return true;
}

/**
 * Rights on local may have changed: a REVOKE, another owner, row security, a role that is not granted any more. Where a user's reads would fail, or miss rows, those of all go
 * back to the source until he may read on local again. Returns whether they have.
 */
export async function holdReads(context: ControlContext, record: TableRecord): Promise<boolean> {
  const { catalog, runtime } = context;
  const flow = await context.flow(record.sourceServer);
  const lost = await knownLosses(flow, detailsOf(record).plan);
  flow.rights.reviewed(record.tableId, runtime.clock.monotonicMs(), lost !== undefined);
  const hindering = lost?.filter(({ hindersReads }) => hindersReads) ?? [];
  if (hindering.length === 0) return false;
  await catalog.changeTable(record.tableId, { details: { ...record.details, readsHeld: true } });
  await readFromSource(context, [record]);
  const what = hindering.map(describeLostRights).join('; ');
  runtime.log.warn('reads of a table go back to the source: users may not read it on local any more as there', { table: displayName(record.source), what });
  await catalog.insertErrors([{ tableId: record.tableId, code: 'MIG054', message: `reads go back to the source, for users may do less on local: ${what}`, sourceError: hindering.flatMap(allRemedies).join(' ') }]);
  return true;
}

/** Moves the table to `to` with all routes on the source. Safe to call in any state whose authority is the source. */
export async function leaveDualWrite(context: ControlContext, record: TableRecord, to: TableState, trigger: string, error?: string): Promise<void> {
  const { catalog, publisher } = context;
  await readFromSource(context, [record]);
  const fresh = (await catalog.table(record.tableId)) ?? record;
  if (fresh.route.writes === 'local') throw new MigrationError('MIG091', `${record.source.name}: the authority moved to local meanwhile`);
  const route = { reads: 'source', writes: 'source', waitVisible: false, trackWrites: false, quiescing: false } as const;
  await catalog.moveState(record.tableId, fresh.state, to, { trigger, route, error });
  await publisher.publish();
}

/** First half of leaving: reads go to the source everywhere, commits are still waited for. */
export async function readFromSource(context: ControlContext, records: readonly TableRecord[]): Promise<void> {
  const { catalog, fleet, publisher, runtime } = context;
  const reading = records.filter((record) => record.route.reads === 'local' && record.route.writes === 'source');
  if (reading.length === 0) return;
  const routes = reading.map(({ tableId }) => ({ tableId, route: { reads: 'source' as const } }));
  const { epoch } = await catalog.changeRoutes('reads return to the source', { routes });
  await publisher.publish();
  // Nobody begins to read them on local any more: what one of them lacks there holds nobody up.
  for (const record of reading) (await context.flow(record.sourceServer)).forward.setServed([record.tableId], false);
  const untilMs = runtime.clock.monotonicMs() + OLD_READERS_MS;
  await fleet.quiesced(reading.flatMap(routedKeys), epoch, () => runtime.clock.monotonicMs() < untilMs);
}
