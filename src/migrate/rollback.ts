/**
 * ROLLBACK of a group that is LOCAL_ONLY: the authority moves back to the source without losing what was written since the
 * cutover (DESIGN §6, RULES 11, 17). The same procedure as a cutover with the reverse stream as the one to drain.
 *
 * Steps, each a fault point `rollback.<step>`: begun → reverse_ready → quiesced → guarded → drained → sequences →
 * released_source → committed (point of no return) → published → reported.
 */
import { randomUUID } from 'node:crypto';
import type { Actor } from '../../catalog/audit.ts';
import { sourceRoute } from '../../catalog/records.ts';
import type { StoredPosition, TableRecord } from '../../catalog/records.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import { dualWriteRoute } from './dual-write.ts';
import { oneServer, reportSwitch } from './cutover.ts';
import type { SwitchReport } from './cutover.ts';
import { quiesce } from './quiesce.ts';
import type { SourceFlow } from './source-flow.ts';
import { storePosition } from './stored-position.ts';
import { SwitchClock } from './switch-clock.ts';
import { detailsOf, displayName, routedKeys } from './table-details.ts';
import { undoRollback } from './undo-switch.ts';

export interface RollbackRequest {
  readonly records: readonly TableRecord[];
  /** Ends in DUAL_WRITE; otherwise the local tables are dropped and the migration ends. */
  readonly preserveLocalData: boolean;
  readonly timeoutMs: number | undefined;
  readonly actor: Actor;
}

export async function rollback(context: ControlContext, request: RollbackRequest): Promise<SwitchReport> {
  const { catalog, runtime } = context;
  const { records, actor } = request;
  for (const record of records) {
    if (detailsOf(record).noRollback === true) {
      throw new MigrationError('MIG061', `${displayName(record.source)} was cut over with NO ROLLBACK`, { detail: 'No change made on local since then has been carried to the source.' });
    }
  }
  const flow = await context.flow(oneServer(records));
  const attemptId = randomUUID();
  const leave = await flow.switching.enter(runtime.signal);
  context.activeAttempts.add(attemptId);
  const clock = new SwitchClock(runtime.clock, catalog, runtime.faults, attemptId, 'rollback');
  let isBegun = false;
  try {
    await catalog.beginJournal({
      attemptId, direction: 'rollback', tableIds: records.map((record) => record.tableId), step: 'begun', details: { preserveLocalData: request.preserveLocalData },
      audit: records.map((record) => ({ action: 'ROLLBACK_START' as const, actor, tableId: record.tableId, sourceServer: record.sourceServer, details: { attemptId } })),
    });
    isBegun = true;
    return await run(context, flow, request, attemptId, clock);
  } catch (error) {
    if (!isBegun) throw error;
    const fresh = await catalog.table(records[0]?.tableId ?? '');
    if (fresh?.route.writes !== 'local') throw error;
    await undoRollback(context, flow, records, attemptId, error);
    await backToLocalOnly(context, records, String(error));
    throw error;
  } finally {
    context.activeAttempts.delete(attemptId);
    leave();
  }
}

async function run(context: ControlContext, flow: SourceFlow, request: RollbackRequest, attemptId: string, clock: SwitchClock): Promise<SwitchReport> {
  const { catalog, publisher, runtime, limits } = context;
  const { records } = request;
  const tableIds = records.map((record) => record.tableId);
  const deadlineMs = runtime.clock.monotonicMs() + (request.timeoutMs ?? limits.switchTimeoutMs);
  await catalog.moveStates(records.map(({ tableId }) => ({ tableId, expectedFrom: 'LOCAL_ONLY' as const, to: 'ROLLBACK' as const, trigger: 'ROLLBACK' })));
  await clock.done('begun');

  await flow.assertReverseReady(records, clock.left(deadlineMs, 'starting'));
  const sequences = await flow.findSequences('source', records);
  await flow.warmUp();
  await clock.done('reverse_ready');

  clock.pauseBegins();
  const { epoch, gaveWay } = await quiesce(context, {
    tableIds, tableKeys: records.flatMap(routedKeys), writingSide: 'local', deadlineMs, blockers: (pids) => flow.blockers('local', pids),
  });
  await clock.done('quiesced', { epoch });

  const token = await flow.fenceLocal(records, { epoch, attemptId, timeoutMs: clock.left(deadlineMs, 'waiting for writers') });
  await clock.done('guarded', { token });

  const drained = await flow.reverse.waitForMarker(token, tableIds, clock.left(deadlineMs, 'guarding local'));
  const saved = flow.reverse.savedPositions(tableIds);
  await clock.done('drained');

  await flow.carrySequences('source', sequences, limits.sequenceMargin);
  await clock.done('sequences');

  const forwardFrom = await flow.releaseSource(records, { epoch, attemptId, saved });
  clock.left(deadlineMs, 'draining the reverse stream');
  await clock.done('released_source', { forwardFrom: storePosition(forwardFrom), drained: storePosition(drained) });

  await commitRollback(context, request, attemptId, storePosition(drained), storePosition(forwardFrom));
  await clock.done('committed');

  await completeRollback(context, flow, records, () => clock.pauseEnds());
  await clock.done('published');

  const report = { attemptId, tables: records.map((record) => displayName(record.source)), pauseMs: clock.pauseMs, totalMs: Math.round(clock.elapsedMs), gaveWay, steps: clock.steps };
  await publisher.refreshRelations();
  await reportSwitch(context, records, 'rollback', report, request.actor);
  await clock.done('reported');
  return report;
}

/** Without PRESERVE the table stays in ROLLBACK, with the source as the truth, until its local remains have been removed. */
async function commitRollback(context: ControlContext, request: RollbackRequest, attemptId: string, drained: StoredPosition, forwardFrom: StoredPosition): Promise<void> {
  const { catalog } = context;
  const { records } = request;
  const edges = (direction: 'forward' | 'reverse', position: StoredPosition) => records.map(({ tableId }) => ({ tableId, direction, position }));
  const together = {
    reason: `rollback ${attemptId}`, closeIntervals: edges('reverse', drained), openIntervals: edges('forward', forwardFrom),
    journal: { attemptId, step: 'committed' },
  };
  if (!request.preserveLocalData) {
    const routes = records.map(({ tableId }) => ({ tableId, route: sourceRoute }));
    await catalog.changeRoutes(together.reason, { ...together, routes });
    return;
  }
  const moves = records.map((record) => ({
    tableId: record.tableId, expectedFrom: 'ROLLBACK' as const, to: 'DUAL_WRITE' as const, trigger: 'ROLLBACK PRESERVE LOCAL DATA',
    route: { ...sourceRoute, ...dualWriteRoute(record), ddlBlocked: true }, change: { rollbackUntil: null },
  }));
  await catalog.moveStates(moves, together);
}

/** What follows the point of no return; idempotent, recovery calls it too. */
export async function completeRollback(context: ControlContext, flow: SourceFlow, records: readonly TableRecord[], pauseEnds?: () => void): Promise<void> {
  // Before anybody writes on the source: from when on its changes count.
  await Promise.all(records.map(async ({ tableId }) => {
    await flow.applyIntervals(tableId, await context.catalog.intervals(tableId));
    await flow.forward.startDraining(tableId);
  }));
  const served = await Promise.all(records.map(({ tableId }) => context.catalog.table(tableId)));
  flow.forward.setServed(served.flatMap((record) => (record?.route.writes === 'source' && record.route.reads === 'local' ? [record.tableId] : [])), true);
  await context.publisher.publish();
  pauseEnds?.();
  await flow.beginMarking(records);
  for (const { tableId } of records) await flow.reverse.removeTable(tableId);
}

async function backToLocalOnly(context: ControlContext, records: readonly TableRecord[], error: string): Promise<void> {
  for (const { tableId } of records) {
    const fresh = await context.catalog.table(tableId);
    if (fresh?.state === 'ROLLBACK') await context.catalog.moveState(tableId, 'ROLLBACK', 'LOCAL_ONLY', { trigger: 'rollback undone', error });
  }
  await context.publisher.publish();
}
