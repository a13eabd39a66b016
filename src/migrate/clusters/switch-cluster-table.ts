/**
 * Changes of authority: CUTOVER (→ ShadowPrimary), ROLLBACK (→ ShadowSync → DualSync, then as it was), COMPLETE (→ TargetOnly).
 *
 * The proxy's switch is the point of no return, and is on its disk before it is in force. The catalog notes before it what is to come (`switching`) and afterwards what has become of it; after a crash in
 * between the driver asks the proxy which mode is in force, and finishes or takes back. So each may be killed at any moment. Several proxies go together, and of those the catalog has the decision.
 */
import type { TableRecord } from '../../../catalog/records.ts';
import type { CqlModeName } from '../../../config/cql/cql-settings.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { clusterDetails, clusterName, dualMode, noteDetails, patched, tableOf, withoutEpoch } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { lossOfHold } from './assert-held.ts';
import { clusterTrouble } from './cluster-connections.ts';
import type { DecidedMove } from './proxy-port.ts';

export interface ClusterSwitch {
  readonly tables: readonly string[];
  /** No request of a client is held up or refused. */
  readonly totalMs: number;
  readonly steps: Readonly<Record<string, number>>;
}

export interface SwitchWords {
  readonly timeoutMs: number | undefined;
  /** FORCE: without a validation. */
  readonly force: boolean;
}

export async function cutOverCluster(context: ClusterContext, record: TableRecord, words: SwitchWords): Promise<ClusterSwitch> {
  const { proxy, runtime } = context;
  const table = clusterName(record);
  const steps = stepClock(context);
  await begin(context, record, 'ShadowPrimary');
  await runtime.faults.hit('cql.cutover.begun');
  await takingBack(context, record, async () => {
    // From here on a write is answered when both have it: what the target lacks is only what it was owed before.
    await proxy.switchTable({ table, mode: 'DualSync', holds: true });
    steps.done('both acknowledge');
    await runtime.faults.hit('cql.cutover.in_sync');
    await proxy.moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: words.timeoutMs ?? context.switchTimeoutMs, skipsValidation: words.force }, (decided) => noteDecision(context, record, decided));
    steps.done('nothing owed, target answers');
  });
  await runtime.faults.hit('cql.cutover.switched');
  await settleSwitch(context, await again(context, record), steps.steps);
  return { tables: [table], totalMs: steps.totalMs(), steps: steps.steps };
}

/** Of a table that the target answers for; what becomes of it afterwards is `finishRollback`'s. */
export async function rollBackCluster(context: ClusterContext, record: TableRecord, words: { readonly timeoutMs: number | undefined; readonly preserves: boolean }): Promise<ClusterSwitch> {
  const { proxy, runtime } = context;
  const table = clusterName(record);
  const steps = stepClock(context);
  await assertSourceAnswers(context);
  await noteDetails(context, record.tableId, { preserves: words.preserves });
  await begin(context, record, 'DualSync');
  await takingBack(context, record, async () => {
    // As with a cutover: in ShadowPrimary some write is always under way to the source.
    await proxy.switchTable({ table, mode: 'ShadowSync', holds: true });
    steps.done('both acknowledge');
    await runtime.faults.hit('cql.rollback.in_sync');
    await proxy.moveTable({ table, mode: 'DualSync', holds: true, waitMs: words.timeoutMs ?? context.switchTimeoutMs }, (decided) => noteDecision(context, record, decided));
    steps.done('nothing owed, source answers');
  });
  await runtime.faults.hit('cql.rollback.switched');
  await settleSwitch(context, await again(context, record), steps.steps);
  return { tables: [table], totalMs: steps.totalMs(), steps: steps.steps };
}

/** What the source is still owed is sent to it all the same, and nobody goes back there. */
export async function completeCluster(context: ClusterContext, record: TableRecord): Promise<void> {
  await begin(context, record, 'TargetOnly');
  await takingBack(context, record, () => context.proxy.switchTable({ table: clusterName(record), mode: 'TargetOnly', holds: true, leavesQueue: true }));
  await context.runtime.faults.hit('cql.complete.switched');
  await settleSwitch(context, await again(context, record));
}

/** Was the switch made? The catalog says what the proxy does. */
export async function settleSwitch(context: ClusterContext, record: TableRecord, steps: Readonly<Record<string, number>> = {}): Promise<void> {
  const { proxy, catalog, runtime } = context;
  const { switching } = clusterDetails(record);
  if (switching === undefined) return;
  await proxy.settleMove(clusterName(record), switching.decided);
  const at = await proxy.table(clusterName(record));
  const lost = lossOfHold(at, record, ['DualAsync', 'DualSync', 'ShadowPrimary', 'ShadowSync', 'TargetOnly']);
  // The end of a migration gives the table back; killed behind that it has no hold any more.
  const isOver = switching.to === 'TargetOnly' && at.modes.every((mode) => mode === 'TargetOnly');
  if (lost && !isOver) {
    await noteDetails(context, record.tableId, { switching: undefined });
    throw lost;
  }
  // Where some proxies no longer write the source it is no way back any more.
  if (switching.to === 'TargetOnly' && at.modes.includes('TargetOnly') && !isOver) {
    await proxy.switchTable({ table: clusterName(record), mode: 'TargetOnly', holds: true, leavesQueue: true });
  } else if (at.modes.some((mode) => mode !== switching.to)) {
    // DualSync stands between the modes of a cutover, ShadowSync between those of a rollback.
    if (at.modes.some((mode) => mode !== switching.from)) await proxy.switchTable({ table: clusterName(record), mode: switching.from, holds: true });
    await noteDetails(context, record.tableId, { switching: undefined });
    return;
  }
  const lastSwitch = (direction: 'cutover' | 'rollback') => ({ direction, at: new Date(runtime.clock.now()).toISOString(), totalMs: Math.max(0, runtime.clock.now() - switching.startedMs), steps });
  switch (switching.to) {
    case 'ShadowPrimary':
      await catalog.moveState(record.tableId, record.state, 'LOCAL_ONLY', { trigger: 'CUTOVER', route: { reads: 'local', writes: 'local' }, change: { details: patched(record, { switching: undefined, lastSwitch: lastSwitch('cutover') }) }, ...withoutEpoch });
      return;
    case 'DualSync':
      await catalog.moveState(record.tableId, record.state, 'ROLLBACK', { trigger: 'ROLLBACK MIGRATION', route: { reads: 'source', writes: 'source' }, change: { details: patched(record, { switching: undefined, lastSwitch: lastSwitch('rollback') }) }, ...withoutEpoch });
      return;
    case 'TargetOnly':
      await catalog.endTable(record.tableId, 'LOCAL_ONLY');
      await proxy.switchTable({ table: clusterName(record), mode: 'TargetOnly', holds: false });
      await noteDetails(context, record.tableId, { switching: undefined });
      return;
    default:
      throw new MigrationError('MIG091', `${clusterName(record)} cannot be on its way to ${switching.to}`);
  }
}

/** ROLLBACK → DUAL_WRITE when local data is preserved, else NOT_STARTED: the source alone, as it was before START. The target keeps its rows. */
export async function finishRollback(context: ClusterContext, record: TableRecord, trigger: string): Promise<void> {
  const { catalog, proxy, connections, progress, runtime } = context;
  const table = clusterName(record);
  if (clusterDetails(record).preserves === true) {
    await proxy.switchTable({ table, mode: dualMode(record), holds: true });
    await catalog.moveState(record.tableId, 'ROLLBACK', 'DUAL_WRITE', { trigger, change: { details: patched(record, { preserves: undefined }) }, ...withoutEpoch });
    return;
  }
  await proxy.switchTable({ table, mode: 'SourceOnly', holds: false });
  await runtime.faults.hit('cql.rollback.source_only');
  await connections.ledger().forget(tableOf(record));
  progress.delete(record.tableId);
  await catalog.moveState(record.tableId, 'ROLLBACK', 'NOT_STARTED', { trigger, change: { details: {} }, ...withoutEpoch });
  await catalog.endTable(record.tableId, 'NOT_STARTED');
}

/** Throws what it says: applications are not to wait for a cluster that is away. */
async function assertSourceAnswers({ connections }: ClusterContext): Promise<void> {
  try {
    await (await connections.clusters()).source.run("SELECT key FROM system.local WHERE key = 'local'");
  } catch (error) {
    throw clusterTrouble(error);
  }
}

async function noteDecision(context: ClusterContext, record: TableRecord, decided: DecidedMove): Promise<void> {
  const { switching } = clusterDetails(await again(context, record));
  if (!switching) throw new MigrationError('MIG090', `${clusterName(record)} is not being switched`);
  await noteDetails(context, record.tableId, { switching: { ...switching, decided } });
}

async function begin(context: ClusterContext, record: TableRecord, to: CqlModeName): Promise<void> {
  const at = await context.proxy.table(clusterName(record));
  const lost = lossOfHold(at, record, ['DualAsync', 'DualSync', 'ShadowPrimary']);
  if (lost) throw lost;
  await noteDetails(context, record.tableId, { switching: { to, from: at.mode, startedMs: context.runtime.clock.now() } });
}

/** What the proxy refuses changes nothing. Where nobody knows what it has done, the driver asks it as soon as it can be asked. */
async function takingBack(context: ClusterContext, record: TableRecord, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (error instanceof MigrationError && (error.code === 'MIG084' || error.code === 'MIG087')) {
      throw new MigrationError(error.code, `${clusterName(record)}: the proxy was lost while its mode was being switched`, { cause: error, hint: 'What it has done is found out as soon as it is back: SHOW MIGRATION STATUS tells.' });
    }
    await settleSwitch(context, await again(context, record));
    throw error;
  }
}

async function again({ catalog }: ClusterContext, record: TableRecord): Promise<TableRecord> {
  return (await catalog.table(record.tableId)) ?? record;
}

function stepClock({ runtime: { clock } }: ClusterContext): { readonly steps: Record<string, number>; done(step: string): void; totalMs(): number } {
  const startedMs = clock.monotonicMs();
  let lastMs = startedMs;
  const steps: Record<string, number> = {};
  return {
    steps,
    done: (step) => {
      const now = clock.monotonicMs();
      steps[step] = Math.round(now - lastMs);
      lastMs = now;
    },
    totalMs: () => Math.round(clock.monotonicMs() - startedMs),
  };
}
