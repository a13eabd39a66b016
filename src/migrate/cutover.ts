/**
 * CUTOVER of a group: the authority moves from the source to local (DESIGN §6, RULES 10, 13, 16).
 *
 * Steps, each a fault point `cutover.<step>`: begun → reverse_ready → quiesced → fenced → drained → sequences → released_local
 * → committed (point of no return) → published → reported. What fails before `committed` is undone and the clients go on
 * as before; after it, recovery completes the rest (`recovery.ts`).
 */
import { randomUUID } from 'node:crypto';
import type { Actor } from '../../catalog/audit.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { comparePositions } from '../../cdc/change.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import type { CutoverWords } from './cutover-decision.ts';
import { quiesce } from './quiesce.ts';
import type { SourceFlow } from './source-flow.ts';
import { SwitchClock } from './switch-clock.ts';
import { storePosition } from './stored-position.ts';
import { detailsOf, displayName, routedKeys } from './table-details.ts';
import { assertNoOpenLosses } from './type-losses.ts';
import { undoCutover } from './undo-switch.ts';

export interface SwitchReport {
  readonly attemptId: string;
  readonly tables: readonly string[];
  readonly pauseMs: number;
  readonly totalMs: number;
  readonly gaveWay: number;
  readonly steps: Readonly<Record<string, number>>;
}

export interface CutoverRequest {
  readonly records: readonly TableRecord[];
  readonly words: CutoverWords;
  readonly timeoutMs: number | undefined;
  readonly actor: Actor;
}

/** The decision has been made (`decideCutover`); throws MIG050–MIG052 with everything undone. */
export async function cutover(context: ControlContext, request: CutoverRequest): Promise<SwitchReport> {
  const { catalog, runtime } = context;
  const { records, words, actor } = request;
  const flow = await context.flow(oneServer(records));
  const attemptId = randomUUID();
  const names = records.map((record) => displayName(record.source));
  const leave = await flow.switching.enter(runtime.signal);
  context.activeAttempts.add(attemptId);
  const clock = new SwitchClock(runtime.clock, catalog, runtime.faults, attemptId, 'cutover');
  let isBegun = false;
  try {
    await catalog.beginJournal({
      attemptId, direction: 'cutover', tableIds: records.map((record) => record.tableId), step: 'begun',
      details: { noFence: words.noFence, noRollback: words.noRollback, states: records.map((record) => record.state) },
      audit: records.map((record) => ({ action: 'CUTOVER_START' as const, actor, tableId: record.tableId, sourceServer: record.sourceServer, details: { attemptId, ...words } })),
    });
    isBegun = true;
    return await run(context, flow, request, attemptId, clock, names);
  } catch (error) {
    if (!isBegun) throw error;
    const committed = (await catalog.table(records[0]?.tableId ?? ''))?.state === 'LOCAL_ONLY';
    // Past the point of no return nothing is undone: recovery completes it.
    if (committed) throw error;
    await undoCutover(context, flow, records, attemptId, error);
    clock.pauseEnds();
    await catalog.audit({ action: 'CUTOVER_FAILED', actor, tableId: records[0]?.tableId, sourceServer: flow.serverName, details: { attemptId, error: String(error), steps: clock.steps } });
    throw error;
  } finally {
    context.activeAttempts.delete(attemptId);
    leave();
  }
}

async function run(context: ControlContext, flow: SourceFlow, request: CutoverRequest, attemptId: string, clock: SwitchClock, names: readonly string[]): Promise<SwitchReport> {
  const { runtime, limits } = context;
  const { records, words } = request;
  const tableIds = records.map((record) => record.tableId);
  const tableKeys = records.flatMap(routedKeys);
  const deadlineMs = runtime.clock.monotonicMs() + (request.timeoutMs ?? limits.switchTimeoutMs);
  await clock.done('begun');

  // Making a slot waits for every open writing transaction of the cluster: never inside the pause (RULES 16).
  if (!words.noRollback) await flow.prepareReverse(records, clock.left(deadlineMs, 'making the reverse stream'));
  if (!words.noFence) await flow.prepareFence(records, clock.left(deadlineMs, 'preparing the fence'));
  const sequences = await flow.findSequences('local', records);
  await flow.warmUp();
  await clock.done('reverse_ready');

  clock.pauseBegins();
  const { epoch, gaveWay } = await quiesce(context, { tableIds, tableKeys, writingSide: 'source', deadlineMs, blockers: (pids) => flow.blockers('source', pids) });
  await clock.done('quiesced', { epoch });

  const token = await flow.fenceSource(records, { epoch, attemptId, fence: !words.noFence, timeoutMs: clock.left(deadlineMs, 'waiting for writers') });
  await clock.done('fenced', { token });

  const drained = await flow.forward.waitForMarker(token, tableIds, clock.left(deadlineMs, 'fencing the source'));
  const saved = flow.forward.savedPositions(tableIds);
  assertClean(flow, records);
  await assertNoOpenLosses(context, flow, records);
  await clock.done('drained');

  await flow.carrySequences('local', sequences, limits.sequenceMargin);
  await clock.done('sequences');

  const reverseFrom = await flow.releaseLocal(records, { epoch, attemptId, saved });
  if (comparePositions(reverseFrom, reverseFrom) === undefined) throw new MigrationError('MIG090', 'positions of local cannot be compared');
  clock.left(deadlineMs, 'draining the change stream');
  await clock.done('released_local', { reverseFrom: storePosition(reverseFrom), drained: storePosition(drained) });

  await commitCutover(context, request, attemptId, { drained: storePosition(drained), reverseFrom: storePosition(reverseFrom) });
  await clock.done('committed');

  await completeCutover(context, flow, tableIds, !words.noRollback, () => clock.pauseEnds());
  await clock.done('published');

  const report = { attemptId, tables: names, pauseMs: clock.pauseMs, totalMs: Math.round(clock.elapsedMs), gaveWay, steps: clock.steps };
  await reportSwitch(context, records, 'cutover', report, request.actor);
  await clock.done('reported');
  return report;
}

async function commitCutover(context: ControlContext, request: CutoverRequest, attemptId: string, positions: { drained: ReturnType<typeof storePosition>; reverseFrom: ReturnType<typeof storePosition> }): Promise<void> {
  const { records, words } = request;
  const edges = (direction: 'forward' | 'reverse', position: ReturnType<typeof storePosition>) => records.map(({ tableId }) => ({ tableId, direction, position }));
  const options = (record: TableRecord): number | null => (record.options['rollbackWindowMs'] as number | null | undefined) ?? null;
  // Read again: preparing the way back has added to the details.
  const fresh = await Promise.all(records.map(async (record) => (await context.catalog.table(record.tableId)) ?? record));
  await context.catalog.moveStates(
    fresh.map((record) => {
      const windowMs = options(record);
      const until = windowMs === null || words.noRollback ? null : new Date(context.runtime.clock.now() + windowMs).toISOString();
      return {
        tableId: record.tableId, expectedFrom: record.state, to: 'LOCAL_ONLY' as const, trigger: 'CUTOVER',
        // While there is a way back, DDL would have to be mirrored on the source (RULES 17).
        route: { reads: 'local' as const, writes: 'local' as const, waitVisible: false, trackWrites: false, writesBlocked: false, ddlBlocked: !words.noRollback, quiescing: false },
        change: { rollbackUntil: until, details: { ...record.details, noRollback: words.noRollback, noFence: words.noFence } },
      };
    }),
    {
      reason: `cutover ${attemptId}`,
      closeIntervals: edges('forward', positions.drained),
      openIntervals: words.noRollback ? [] : edges('reverse', positions.reverseFrom),
      journal: { attemptId, step: 'committed' },
    },
  );
}

/** What follows the point of no return; idempotent, recovery calls it too. */
export async function completeCutover(context: ControlContext, flow: SourceFlow, tableIds: readonly string[], reverse: boolean, pauseEnds?: () => void): Promise<void> {
  // Before anybody writes on local: from when on its changes count.
  await Promise.all(tableIds.map(async (tableId) => flow.applyIntervals(tableId, await context.catalog.intervals(tableId))));
  await context.publisher.publish();
  flow.forward.setServed(tableIds, false);
  pauseEnds?.();
  if (reverse) await Promise.all(tableIds.map((tableId) => flow.reverse.startDraining(tableId)));
}

export async function reportSwitch(context: ControlContext, records: readonly TableRecord[], direction: 'cutover' | 'rollback', report: SwitchReport, actor: Actor): Promise<void> {
  const { catalog, runtime } = context;
  const at = new Date(runtime.clock.now()).toISOString();
  const action = direction === 'cutover' ? ('CUTOVER_COMPLETE' as const) : ('ROLLBACK_COMPLETE' as const);
  for (const record of records) {
    const fresh = await catalog.table(record.tableId);
    if (fresh) await catalog.changeTable(record.tableId, { details: { ...fresh.details, lastSwitch: { direction, at, pauseMs: report.pauseMs, steps: report.steps } } });
    await catalog.audit({ action, actor, tableId: record.tableId, sourceServer: record.sourceServer, details: { attemptId: report.attemptId, pauseMs: report.pauseMs, steps: report.steps } });
  }
  await catalog.putJournalStep({ attemptId: report.attemptId, step: 'reported', outcome: 'complete' });
  runtime.metrics.observe('scratchbird_gateway_cutover_pause_seconds', { direction }, report.pauseMs / 1000);
  runtime.log.info(`${direction} complete`, { ...report });
}

function assertClean(flow: SourceFlow, records: readonly TableRecord[]): void {
  for (const record of records) {
    const status = flow.forward.status(record.tableId);
    if (status?.mode === 'shared' && status.pendingRereads === 0 && status.pendingWritebacks === 0) continue;
    throw new MigrationError('MIG050', `${displayName(record.source)} is not in step with the source`, {
      detail: status?.error?.message ?? `Its changes are ${status?.mode ?? 'not captured'}, ${status?.pendingRereads ?? 0} rows are to be read again, ${status?.pendingWritebacks ?? 0} to be written to the source.`,
    });
  }
}

export function oneServer(records: readonly TableRecord[]): string {
  const names = new Set(records.map((record) => record.sourceServer));
  const [first] = names;
  if (first === undefined || names.size > 1) throw new MigrationError('MIG074', 'the tables of one cutover or rollback must come from one server');
  return first;
}

/** Kept here for callers that only have the record. */
export function hasWayBack(record: TableRecord): boolean {
  return detailsOf(record).noRollback !== true;
}
