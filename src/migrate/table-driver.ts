/**
 * Moves one table through its states without an operator: BULK_LOADING → SYNCHRONIZING → DUAL_WRITE, then watches it.
 *
 * Each phase is a turn of a loop that re-reads saved state (house rule 5): starting, resuming and recovering are the same
 * code. Retryable errors are tried again with growing pauses; others put the table into ERROR with its reads on the source.
 */
import type { TableRecord } from '../../catalog/records.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import { enterDualWrite, holdReads, leaveDualWrite, releaseReads } from './dual-write.ts';
import { allRemedies, describeLostRights, grantLostRights, knownLosses } from './lost-rights.ts';
import { loadAgain, loadsAnew } from './load-again.ts';
import { makeDependants } from './make-dependants.ts';
import type { SourceFlow } from './source-flow.ts';
import { detailsOf, displayName } from './table-details.ts';
import type { TableDetails } from './table-details.ts';
import { isLocalTrouble, toMigrationError } from './trouble.ts';

/** What to do after a turn: at once again, look again after a while, or stop until a command starts it anew. */
type Next = 'again' | 'watch' | 'stop';

export interface DriverHooks {
  /** `auto_cutover`: the table is CUTOVER_READY and within `cutover_lag_threshold`. */
  onCutoverReady(record: TableRecord): void;
  /** The rollback window has run out. */
  onWindowEnd(record: TableRecord): void;
}

const WATCH_MS = 500;
/** Users whose rights hold reads back are asked about so often. */
const HELD_REVIEW_MS = 5_000;

interface HeldReads {
  nextReviewMs: number;
}
const MARKER_TIMEOUT_MS = 24 * 3600 * 1000;

export async function driveTable(context: ControlContext, tableId: string, hooks: DriverHooks, signal: AbortSignal): Promise<void> {
  const { catalog, runtime, limits } = context;
  let failures = 0;
  const held: HeldReads = { nextReviewMs: 0 };
  while (!signal.aborted) {
    const record = await catalog.table(tableId);
    if (!record) return;
    try {
      const next = await turn(context, record, hooks, held, signal);
      failures = 0;
      if (next === 'stop') return;
      if (next === 'watch') await runtime.clock.sleep(WATCH_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      const trouble = toMigrationError(error);
      await noteError(context, record, trouble);
      if (lostChanges.has(trouble.code) && (await loadsAnew(context, tableId))) continue;
      failures += 1;
      const isSpent = failures > limits.retry.max && trouble.category !== 'CONNECTION' && trouble.category !== 'CDC';
      if (!trouble.retryable || isSpent) return await toError(context, record, trouble);
      await runtime.clock.sleep(Math.min(limits.retry.maxMs, limits.retry.initialMs * 2 ** (failures - 1)), signal).catch(() => undefined);
    }
  }
}

async function turn(context: ControlContext, record: TableRecord, hooks: DriverHooks, held: HeldReads, signal: AbortSignal): Promise<Next> {
  if (detailsOf(record).loadsAnew === true && needsForward.has(record.state)) {
    await loadAgain(context, record, 'its source is another server');
    return 'again';
  }
  if (needsForward.has(record.state)) assertStreaming(await context.flow(record.sourceServer), record.tableId);
  switch (record.state) {
    case 'NOT_STARTED':
    case 'PAUSED':
    case 'ERROR':
    case 'ROLLBACK':
      return 'stop';
    case 'BULK_LOADING':
      return load(context, record, signal);
    case 'SYNCHRONIZING':
      return synchronize(context, record, signal);
    case 'DUAL_WRITE':
    case 'CUTOVER_READY':
      return watchDualWrite(context, record, hooks, held, signal);
    case 'LOCAL_ONLY':
      return watchLocalOnly(context, record, hooks);
    default:
      return record.state satisfies never;
  }
}

const needsForward: ReadonlySet<string> = new Set(['BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY']);

/** Throws what the forward stream has stopped for, for all of its tables or this one: nothing of the source comes any more, and what came between is lost. */
function assertStreaming(flow: SourceFlow, tableId: string): void {
  const { forwardFailure } = flow.streams;
  if (forwardFailure) throw forwardFailure;
  const status = flow.forward.status(tableId);
  if (status?.needsResync === true && status.error) throw status.error;
}

/** Loads at most `max_concurrent_migrations` tables at once; the others wait their turn in BULK_LOADING. */
async function load(context: ControlContext, record: TableRecord, signal: AbortSignal): Promise<Next> {
  const leave = await context.loads.enter(signal);
  try {
    return await loadNow(context, record, signal);
  } finally {
    leave();
  }
}

async function loadNow(context: ControlContext, record: TableRecord, signal: AbortSignal): Promise<Next> {
  const { catalog, runtime } = context;
  const flow = await context.flow(record.sourceServer);
  const details = detailsOf(record);
  flow.noteOptions(record);
  await flow.schema.createTable(record);
  await runtime.faults.hit('load.after_create_table');
  await flow.guardLocal([record]);
  await flow.streams.runForward();
  const from = await flow.forward.addTable(details.plan);
  await flow.ensureForwardInterval(record, from);
  await runtime.faults.hit('load.after_capture');
  const begunMs = runtime.clock.monotonicMs();
  const options = record.options;
  let lastWrite = 0;
  const result = await flow.loader.load(
    details.plan,
    {
      parallelWorkers: numberOption(options['parallelWorkers'], 4),
      batchSize: numberOption(options['batchSize'], 10_000),
      rateLimitRowsPerSecond: numberOption(options['rateLimitRowsPerSecond'], 0),
      maxErrors: numberOption(options['maxErrors'], 0),
      skipOnError: options['skipOnError'] === true,
      orderBy: typeof options['orderBy'] === 'string' ? options['orderBy'] : undefined,
    },
    (progress) => {
      const now = runtime.clock.monotonicMs();
      flow.rates.note(record.tableId, progress, now);
      if (now - lastWrite < 500) return;
      lastWrite = now;
      const update = { tableId: record.tableId, bulkRowsTotal: progress.rowsTotal, bulkRowsMigrated: progress.rowsLoaded };
      catalog.setProgress([update]).catch((error: unknown) => runtime.log.warn('progress could not be saved', { error: String(error) }));
    },
    signal,
  );
  await catalog.insertErrors(result.errors.map((error) => ({ tableId: record.tableId, code: 'MIG011', message: `row left out: ${error.message}`, rowKey: error.key })));
  await flow.schema.buildKey(record);
  await runtime.faults.hit('load.after_key');
  await catalog.setProgress([{ tableId: record.tableId, bulkRowsTotal: result.rowsLoaded, bulkRowsMigrated: result.rowsLoaded }]);
  await catalog.moveState(record.tableId, 'BULK_LOADING', 'SYNCHRONIZING', {
    trigger: 'bulk complete',
    details: { rows: result.rowsLoaded, bytes: result.bytesLoaded, elapsedMs: result.elapsedMs, rowsSkipped: result.rowsSkipped },
    change: { details: { ...details, loadElapsedMs: runtime.clock.monotonicMs() - begunMs, loadBytes: result.bytesLoaded } satisfies TableDetails },
    route: { writesBlocked: false },
  });
  await context.publisher.publish();
  await runtime.faults.hit('load.synchronizing');
  return 'again';
}

async function synchronize(context: ControlContext, record: TableRecord, signal: AbortSignal): Promise<Next> {
  const { catalog, runtime } = context;
  const flow = await context.flow(record.sourceServer);
  const details = detailsOf(record);
  await flow.schema.buildKey(record);
  await flow.streams.runForward();
  await flow.forward.addTable(details.plan);
  await flow.forward.startDraining(record.tableId);
  if (details.indexesBuilt !== true) {
    await passConsistencyPoint(flow, record.tableId, signal);
    await runtime.faults.hit('sync.after_consistency');
    // Nothing is applied while indexes are built: they would lock the applier out, and here the rows are those of one instant.
    await flow.forward.pauseTable(record.tableId);
    await flow.schema.buildIndexes(record);
    await carryGrants(context, flow, record);
    await runtime.faults.hit('sync.after_indexes');
    await catalog.changeTable(record.tableId, { details: { ...details, indexesBuilt: true } });
    return 'again';
  }
  await untilShared(context, flow, record.tableId, signal);
  await buildForeignKeys(context, flow, record);
  await makeDependants(context, flow, record);
  await flow.schema.analyze(record);
  await runtime.faults.hit('sync.after_shared');
  await enterDualWrite(context, record, signal);
  return 'again';
}

async function buildForeignKeys({ catalog }: ControlContext, flow: SourceFlow, record: TableRecord): Promise<void> {
  await flow.schema.buildForeignKeys(record, await catalog.tables(), ({ tableId }) => flow.forward.status(tableId)?.mode === 'shared');
}

/** When the option `copy_grants` asks for it. What cannot be carried is no reason to stop: a cutover looks for it again. */
async function carryGrants({ runtime }: ControlContext, flow: SourceFlow, record: TableRecord): Promise<void> {
  if (record.options['copyGrants'] !== true) return;
  const missed = [...(await flow.schema.copyGrants(record)), ...(await grantLostRights(flow, detailsOf(record).plan))];
  if (missed.length > 0) runtime.log.warn('privileges could not be carried', { table: displayName(record.source), missed });
}

async function passConsistencyPoint(flow: SourceFlow, tableId: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const token = await flow.forward.writeMarker();
    await flow.forward.waitForMarker(token, [tableId], MARKER_TIMEOUT_MS, signal);
    // Rows that were read again carry later values: the marker that counts is one written after the last of them (RULES 1).
    if ((flow.forward.status(tableId)?.pendingRereads ?? 0) === 0) return;
  }
}

async function untilShared(context: ControlContext, flow: SourceFlow, tableId: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const status = flow.forward.status(tableId);
    if (status?.mode === 'failed') throw status.error ?? new MigrationError('MIG090');
    assertStreaming(flow, tableId);
    if (status?.mode === 'shared' && status.pendingRereads === 0 && status.lagMs < context.limits.maxLagMs && flow.localTrouble() === undefined) return;
    await context.runtime.clock.sleep(50, signal);
  }
}

async function watchDualWrite(context: ControlContext, record: TableRecord, hooks: DriverHooks, held: HeldReads, signal: AbortSignal): Promise<Next> {
  const flow = await context.flow(record.sourceServer);
  const status = flow.forward.status(record.tableId);
  if (status?.mode === 'failed') throw status.error ?? new MigrationError('MIG090', 'the change stream failed on the table');
  const trouble = flow.localTrouble();
  if (trouble) {
    // Local can't take the writes: the application's availability comes first, and the table heals by itself (RULES 12, 15).
    await leaveDualWrite(context, record, 'SYNCHRONIZING', 'changes do not come to local', trouble.message);
    return 'again';
  }
  const nowMs = context.runtime.clock.monotonicMs();
  if (record.route.reads === 'local' && flow.rights.isDue(record.tableId, nowMs) && (await holdReads(context, record))) return 'again';
  if (nowMs >= held.nextReviewMs) {
    held.nextReviewMs = nowMs + HELD_REVIEW_MS;
    if (flow.schema.owesForeignKeys(record)) await buildForeignKeys(context, flow, record);
    if (detailsOf(record).readsHeld === true && (await releaseReads(context, record, signal))) return 'again';
  }
  if (record.state === 'CUTOVER_READY' && record.options['autoCutover'] === true) hooks.onCutoverReady(record);
  return 'watch';
}

async function watchLocalOnly(context: ControlContext, record: TableRecord, hooks: DriverHooks): Promise<Next> {
  if (record.completedAt !== undefined) return 'stop';
  if (record.rollbackUntil !== undefined && Date.parse(record.rollbackUntil) <= context.runtime.clock.now()) {
    hooks.onWindowEnd(record);
    return 'stop';
  }
  await noteLostRights(context, record);
  return 'watch';
}

/** Local is the truth, and what it refuses is refused: but whoever took a right away there may not have known who needs it. */
async function noteLostRights(context: ControlContext, record: TableRecord): Promise<void> {
  const { catalog, runtime } = context;
  const flow = await context.flow(record.sourceServer);
  const nowMs = runtime.clock.monotonicMs();
  if (!flow.rights.isDue(record.tableId, nowMs)) return;
  const lost = await knownLosses(flow, detailsOf(record).plan);
  flow.rights.reviewed(record.tableId, nowMs, lost !== undefined);
  if (lost === undefined) return;
  const messages = new Map(lost.map((each) => [`users may do less on local than on the source: ${describeLostRights(each)}`, each]));
  const untold = await flow.rights.untold(record.tableId, [...messages.keys()], async () => (await catalog.errors({ tableId: record.tableId, limit: 200 })).map(({ message }) => message));
  for (const message of untold) {
    const each = messages.get(message);
    runtime.log.warn(message, { table: displayName(record.source) });
    await catalog.insertErrors([{ tableId: record.tableId, code: 'MIG054', message, sourceError: each === undefined ? undefined : allRemedies(each).join(' ') }]);
  }
}

async function noteError(context: ControlContext, record: TableRecord, error: MigrationError): Promise<void> {
  const { catalog, runtime } = context;
  runtime.log.warn(`${displayName(record.source)}: ${error.message}`, { state: record.state, detail: error.detail, retryable: error.retryable });
  runtime.metrics.count('scratchbird_migration_errors_total', { table: displayName(record.source), error: error.code });
  await catalog.insertErrors([{ tableId: record.tableId, code: error.code, message: error.message, rowKey: error.rowKey, sourceError: error.detail }]);
  await catalog.setProgress([{ tableId: record.tableId, lastError: error.message }]);
}

/** After these only RESYNC brings the table back. */
const lostChanges: ReadonlySet<string> = new Set(['MIG020', 'MIG021']);

async function toError(context: ControlContext, record: TableRecord, error: MigrationError): Promise<void> {
  const { catalog, runtime, publisher } = context;
  runtime.log.error(`${displayName(record.source)} needs an operator`, { code: error.code, detail: error.detail, hint: error.hint });
  const fresh = await catalog.table(record.tableId);
  if (!fresh) return;
  if (lostChanges.has(error.code)) await catalog.changeTable(fresh.tableId, { details: { ...fresh.details, needsResync: true } });
  if (fresh.route.writes === 'source' && !isLocalTrouble(error)) await leaveDualWrite(context, fresh, 'ERROR', error.code, error.message);
  else await catalog.moveState(fresh.tableId, fresh.state, 'ERROR', { trigger: error.code, error: error.message });
  await publisher.publish();
}

function numberOption(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}
