/**
 * Moves one table between clusters through its states without an operator: BULK_LOADING → SYNCHRONIZING → DUAL_WRITE, then watches it. As with tables of databases each phase is a turn of a
 * loop that reads again what is saved, so that starting, resuming and recovering are the same code; and what the proxy says is asked at each turn.
 */
import type { TableRecord } from '../../../catalog/records.ts';
import type { MigrationError } from '../../../config/migration-error.ts';
import { lossOfHold } from './assert-held.ts';
import { clusterTrouble } from './cluster-connections.ts';
import { clusterDetails, clusterName, dualMode, patched, withoutEpoch } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { finishRollback, settleSwitch } from './switch-cluster-table.ts';
import type { TableAtProxy } from './proxy-port.ts';
import { loadClusterTable } from './load-cluster-table.ts';

type Next = 'again' | 'watch' | 'stop';

const WATCH_MS = 500;

export async function driveClusterTable(context: ClusterContext, tableId: string, signal: AbortSignal): Promise<void> {
  const { catalog, runtime, retry } = context;
  let failures = 0;
  while (!signal.aborted) {
    const record = await catalog.table(tableId);
    if (!record) return;
    try {
      const next = await turn(context, record, signal);
      failures = 0;
      if (next === 'stop') return;
      if (next === 'watch') await runtime.clock.sleep(WATCH_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      // A validation has moved it meanwhile: what was seen of it is old.
      if ((await catalog.table(tableId))?.state !== record.state) continue;
      const trouble = clusterTrouble(error);
      await noteError(context, record, trouble);
      failures += 1;
      // A cluster or a proxy that is away comes back, however long that takes: both are written meanwhile, or owed it.
      const isAway = trouble.category === 'CONNECTION' || trouble.code === 'MIG084';
      if (!trouble.retryable || (failures > retry.max && !isAway)) return await toError(context, record, trouble);
      await runtime.clock.sleep(Math.min(retry.maxMs, retry.initialMs * 2 ** Math.min(16, failures - 1)), signal).catch(() => undefined);
    }
  }
}

async function turn(context: ClusterContext, record: TableRecord, signal: AbortSignal): Promise<Next> {
  if (clusterDetails(record).switching !== undefined) {
    await settleSwitch(context, record);
    return 'again';
  }
  switch (record.state) {
    case 'NOT_STARTED':
      // A ROLLBACK was killed in front of its last step.
      if (clusterDetails(record).startedAt === undefined) await context.catalog.endTable(record.tableId, 'NOT_STARTED');
      return 'stop';
    case 'PAUSED':
    case 'ERROR':
      return 'stop';
    case 'ROLLBACK':
      await finishRollback(context, record, 'ROLLBACK MIGRATION');
      return 'stop';
    case 'BULK_LOADING':
      await loadClusterTable(context, record, signal);
      return 'again';
    case 'SYNCHRONIZING':
      return synchronize(context, record);
    case 'DUAL_WRITE':
    case 'CUTOVER_READY':
      return watchDualWrite(context, record);
    case 'LOCAL_ONLY':
      return watchLocalOnly(context, record);
    default:
      return record.state satisfies never;
  }
}

/** A proxy that waits for a decision here has not heard that it was taken back: what was decided stands in the details, and is settled first. */
async function lookAt({ proxy }: ClusterContext, record: TableRecord): Promise<TableAtProxy> {
  const at = await proxy.table(clusterName(record));
  if (!at.isPending) return at;
  await proxy.settleMove(clusterName(record), undefined);
  return proxy.table(clusterName(record));
}

/** Until the target can be written and has been sent all that it was owed. */
async function synchronize(context: ClusterContext, record: TableRecord): Promise<Next> {
  const { catalog, proxy, connections } = context;
  const at = await lookAt(context, record);
  const lost = lossOfHold(at, record, ['DualAsync', 'DualSync']);
  if (lost) throw lost;
  if (!at.isReachable[1] || at.queued > 0 || at.refusal !== null || !(await connections.targetAnswers())) return 'watch';
  if (at.modes.some((mode) => mode !== dualMode(record))) await proxy.switchTable({ table: clusterName(record), mode: dualMode(record), holds: true });
  await catalog.moveState(record.tableId, 'SYNCHRONIZING', 'DUAL_WRITE', { trigger: 'the target has what it was owed', ...withoutEpoch });
  await catalog.setProgress([{ tableId: record.tableId, lastError: null }]);
  return 'again';
}

/** A target that is away must not hold up the application: nobody waits for it any more, and the table comes back by itself. */
async function watchDualWrite(context: ClusterContext, record: TableRecord): Promise<Next> {
  const { catalog, proxy, connections } = context;
  const at = await lookAt(context, record);
  const lost = lossOfHold(at, record, ['DualAsync', 'DualSync']);
  if (lost) throw lost;
  if (at.isReachable[1] && (await connections.targetAnswers())) return 'watch';
  if (at.modes.includes('DualSync')) await proxy.switchTable({ table: clusterName(record), mode: 'DualAsync', holds: true });
  await catalog.moveState(record.tableId, record.state, 'SYNCHRONIZING', { trigger: 'the target cannot be reached', error: 'the target cluster cannot be reached; its writes are queued', ...withoutEpoch });
  return 'again';
}

async function watchLocalOnly(context: ClusterContext, record: TableRecord): Promise<Next> {
  if (record.completedAt !== undefined) return 'stop';
  const lost = lossOfHold(await lookAt(context, record), record, ['ShadowPrimary']);
  if (lost) throw lost;
  return 'watch';
}

async function noteError({ catalog, runtime }: ClusterContext, record: TableRecord, error: MigrationError): Promise<void> {
  const name = clusterName(record);
  runtime.log.warn(`${name}: ${error.message}`, { state: record.state, detail: error.detail, retryable: error.retryable });
  runtime.metrics.count('scratchbird_migration_errors_total', { table: name, error: error.code });
  await catalog.insertErrors([{ tableId: record.tableId, code: error.code, message: error.message, sourceError: error.detail }]);
  await catalog.setProgress([{ tableId: record.tableId, lastError: error.message }]);
}

/** The proxy goes on as it is: what both clusters are written is not lost by an error of the load. */
async function toError({ catalog, runtime }: ClusterContext, record: TableRecord, error: MigrationError): Promise<void> {
  runtime.log.error(`${clusterName(record)} needs an operator`, { code: error.code, detail: error.detail, hint: error.hint });
  const fresh = await catalog.table(record.tableId);
  if (!fresh || fresh.state === 'ERROR' || fresh.state === 'NOT_STARTED') return;
  const isLoss = error.code === 'MIG024';
  await catalog.moveState(fresh.tableId, fresh.state, 'ERROR', { trigger: error.code, error: error.message, ...(isLoss ? { change: { details: patched(fresh, { needsResync: true }) } } : {}), ...withoutEpoch });
}
