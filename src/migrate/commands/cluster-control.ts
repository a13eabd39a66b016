/** PAUSE, RESUME, ABORT, RESYNC, VALIDATE, CUTOVER, ROLLBACK and COMPLETE for tables of a cluster, with the answers that tables of databases give. */
import type { TableRecord } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { AbortMigration, Cutover, PauseMigration, ResumeMigration, ResyncMigration, RollbackMigration, ValidateMigration } from '../../../grammar/migration/statement.ts';
import { lossOfHold } from '../clusters/assert-held.ts';
import { blockingCutover } from '../clusters/check-cluster-table.ts';
import { clusterDetails, clusterName, noteDetails, patched, tableOf, withoutEpoch } from '../clusters/cluster-context.ts';
import type { ClusterMigrations } from '../clusters/cluster-migrations.ts';
import { readsTarget } from '../clusters/proxy-port.ts';
import { completeCluster, cutOverCluster, finishRollback, rollBackCluster, settleSwitch } from '../clusters/switch-cluster-table.ts';
import type { ClusterSwitch } from '../clusters/switch-cluster-table.ts';
import { validateClusterTable } from '../clusters/validate-cluster-table.ts';
import { done, notice, table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import type { CommandNotice } from '../fleet-messages.ts';
import type { CommandContext } from './command-context.ts';

type Act<Result> = (record: TableRecord) => Promise<Result>;

/** With the table's driver stopped, and what a crash has left of a change of authority settled first. */
async function alone<Result>({ context: clusters, work }: ClusterMigrations, { tableId, source }: TableRecord, tag: string, act: Act<Result>): Promise<Result> {
  return work.alone([tableId], tag, async () => {
    const before = await clusters.catalog.table(tableId);
    if (before && clusterDetails(before).switching !== undefined) await settleSwitch(clusters, before);
    const fresh = await clusters.catalog.table(tableId);
    if (!fresh) throw new MigrationError('MIG072', `no migration of a table ${source.schema}.${source.name}`);
    return act(fresh);
  });
}

/** For one table what does not fit is an error, for many it is left as it is and said. */
async function forEach(context: CommandContext, clusters: ClusterMigrations, tag: string, records: readonly TableRecord[], isOne: boolean, act: Act<void>): Promise<SuccessfulAnswer> {
  const rows: (readonly string[])[] = [];
  for (const record of records) {
    let outcome = 'done';
    try {
      await alone(clusters, record, tag, act);
    } catch (error) {
      if (isOne) throw error;
      outcome = error instanceof Error ? error.message : String(error);
    }
    rows.push([clusterName(record), (await context.catalog.table(record.tableId))?.state ?? 'NOT_STARTED', outcome]);
  }
  return table(tag, [['Table'], ['State'], ['Result']], rows);
}

export function pauseClusters(context: CommandContext, clusters: ClusterMigrations, { scope }: PauseMigration, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  const { catalog, proxy } = clusters.context;
  return forEach(context, clusters, 'PAUSE MIGRATION', records, scope.type === 'table', async (record) => {
    if (record.state === 'PAUSED') return;
    if (!['BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY'].includes(record.state)) throw new MigrationError('MIG074', `${clusterName(record)} is ${record.state} and can't be paused`);
    // The load rests; writes go on to both clusters, or a gap would be left. Nobody waits for the target meanwhile.
    if (clusterDetails(record).dualSince !== undefined) await proxy.switchTable({ table: clusterName(record), mode: 'DualAsync', holds: true });
    await catalog.moveState(record.tableId, record.state, 'PAUSED', { trigger: 'PAUSE MIGRATION', ...withoutEpoch });
    await catalog.audit({ action: 'MIGRATION_PAUSE', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
  });
}

export function resumeClusters(context: CommandContext, clusters: ClusterMigrations, { scope, acceptDdl, skipRow }: ResumeMigration, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  const { catalog, proxy } = clusters.context;
  if (acceptDdl || skipRow) throw new MigrationError('MIG071', 'ACCEPT DDL and SKIP ROW do not fit a table of a cluster', { hint: 'RESYNC MIGRATION loads a table with another definition.' });
  return forEach(context, clusters, 'RESUME MIGRATION', records, scope.type === 'table', async (record) => {
    const name = clusterName(record);
    if (record.state !== 'PAUSED' && record.state !== 'ERROR') throw new MigrationError('MIG074', `${name} is ${record.state}: there is nothing to resume`);
    const isMoved = record.route.writes === 'local';
    const lost = clusterDetails(record).dualSince === undefined ? undefined : lossOfHold(await proxy.table(name), record, isMoved ? ['ShadowPrimary'] : ['DualAsync', 'DualSync']);
    if (lost) throw lost;
    if (clusterDetails(record).needsResync === true && !isMoved) throw new MigrationError('MIG021', `Writes of ${name} have gone past the target`, { detail: 'Going on would leave a gap.', hint: `RESYNC MIGRATION FOR TABLE ${name}; loads it again.` });
    const to = isMoved ? 'LOCAL_ONLY' : record.interruptedState === 'BULK_LOADING' ? 'BULK_LOADING' : 'SYNCHRONIZING';
    await catalog.moveState(record.tableId, record.state, to, { trigger: 'RESUME MIGRATION', ...withoutEpoch });
    await catalog.setProgress([{ tableId: record.tableId, lastError: null }]);
    await catalog.audit({ action: 'MIGRATION_RESUME', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
  });
}

export function abortClusters(context: CommandContext, clusters: ClusterMigrations, { scope }: AbortMigration, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  return forEach(context, clusters, 'ABORT MIGRATION', records, scope.type === 'table', async (record) => {
    const name = clusterName(record);
    if (record.route.writes === 'local') throw new MigrationError('MIG074', `${name} is ${record.state}: the target holds the truth, aborting would lose it`, { hint: `ROLLBACK MIGRATION FOR TABLE ${name}; leads back to the source first.` });
    await end(clusters, record, 'ABORT MIGRATION');
    await context.catalog.audit({ action: 'MIGRATION_ABORT', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
  });
}

/** Of a table that the source answers for. */
async function end({ context: clusters }: ClusterMigrations, record: TableRecord, trigger: string): Promise<void> {
  const { catalog } = clusters;
  if (record.state === 'NOT_STARTED') return void (await catalog.endTable(record.tableId, 'NOT_STARTED'));
  if (record.state !== 'ROLLBACK') await catalog.moveState(record.tableId, record.state, 'ROLLBACK', { trigger, change: { details: patched(record, { preserves: undefined }) }, ...withoutEpoch });
  const fresh = await catalog.table(record.tableId);
  if (fresh) await finishRollback(clusters, fresh, trigger);
}

export function resyncCluster(context: CommandContext, clusters: ClusterMigrations, { where }: ResyncMigration, record: TableRecord): Promise<SuccessfulAnswer> {
  const { connections, proxy } = clusters.context;
  const { catalog } = context;
  if (where !== undefined) throw new MigrationError('MIG071', 'RESYNC … WHERE does not fit a table of a cluster', { hint: 'VALIDATE MIGRATION … REPAIR COPY_FROM_SOURCE repairs the rows that differ.' });
  return forEach(context, clusters, 'RESYNC MIGRATION', [record], true, async (fresh) => {
    const name = clusterName(fresh);
    if (fresh.route.writes === 'local') throw new MigrationError('MIG074', `${name} is ${fresh.state}: the source is not the truth for it`, { hint: 'ROLLBACK MIGRATION first.' });
    const { modes } = await proxy.table(name);
    if (modes.some(readsTarget)) throw new MigrationError('MIG074', `${name} is in mode ${modes.join(' and ')} at the proxy: the target answers for it`, { hint: 'POST /config/mode leads back, by DualSync.' });
    await connections.ledger().forget(tableOf(fresh));
    if (fresh.state !== 'PAUSED') await catalog.moveState(fresh.tableId, fresh.state, 'PAUSED', { trigger: 'RESYNC MIGRATION', ...withoutEpoch });
    await noteDetails(clusters.context, fresh.tableId, { dualSince: undefined, needsResync: undefined, loadBytes: undefined, loadElapsedMs: undefined });
    await catalog.setProgress([{ tableId: fresh.tableId, bulkRowsMigrated: 0, bulkRowsTotal: null, lastError: null }]);
    await catalog.moveState(fresh.tableId, 'PAUSED', 'BULK_LOADING', { trigger: 'RESYNC MIGRATION', ...withoutEpoch });
  });
}

export async function validateClusters(context: CommandContext, clusters: ClusterMigrations, { scope, extent, repair }: ValidateMigration, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  const percent = extent.type === 'sample' ? extent.percent ?? context.samplePercent : 100;
  const rows: (readonly (string | number | undefined)[])[] = [];
  const notices: CommandNotice[] = [];
  for (const record of records) {
    if (scope.type !== 'table' && !['SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY'].includes(record.state)) {
      notices.push(notice(`${clusterName(record)} is ${record.state} and was left out`));
      continue;
    }
    const { validation, comparison, elapsedMs } = await validateClusterTable(clusters.context, { record, percent, askedForSample: extent.type === 'sample', repair });
    const { rowsSource, rowsTarget, rowsDifferent, unsettled, repaired, notRepaired, discrepancies } = comparison;
    for (const { key, types, cells } of discrepancies.slice(0, 10)) notices.push(warning(`${clusterName(record)} (${key}): ${types.join(', ')}${cells.length === 0 ? '' : ` in ${[...new Set(cells.map(({ column }) => column))].join(', ')}`}`));
    rows.push([
      clusterName(record), validation.passed === true ? 'PASS' : 'FAIL', percent >= 100 ? 'FULL' : `SAMPLE ${percent}`, rowsSource, rowsTarget, validation.chunks, rowsDifferent, unsettled, Math.round(elapsedMs),
      Math.round((Math.max(rowsSource, rowsTarget) * 1000) / Math.max(1, elapsedMs)), repair === undefined ? '-' : `${repaired} written, ${notRepaired} left`, (await context.catalog.table(record.tableId))?.state,
    ]);
  }
  return table('VALIDATE MIGRATION', [
    ['Table'], ['Result'], ['Mode'], ['Source Rows', 'int8'], ['Local Rows', 'int8'], ['Chunks', 'int8'], ['Mismatches', 'int8'], ['Unsettled', 'int8'], ['Time (ms)', 'int8'], ['Rows/s', 'int8'], ['Repair'], ['State'],
  ], rows, notices);
}

function refuseTogether(isTogether: true | undefined): void {
  if (isTogether) throw new MigrationError('MIG071', 'TOGETHER does not fit tables of a cluster', { detail: 'Nothing ties them, and each is switched by itself.', hint: 'Leave it out.' });
}

export async function cutOverClusters(context: CommandContext, clusters: ClusterMigrations, { scope, force, noFence, noRollback, together, timeoutMs }: Cutover, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  refuseTogether(together);
  if (noFence || noRollback) throw new MigrationError('MIG071', `${noFence ? 'NO FENCE' : 'NO ROLLBACK'} does not fit a table of a cluster`, { hint: noFence ? 'Writes past the proxy are not fenced anyway.' : 'COMPLETE MIGRATION closes the way back.' });
  const switches: ClusterSwitch[] = [];
  for (const record of records) {
    if (scope.type === 'schema' && record.state === 'LOCAL_ONLY') continue;
    switches.push(await alone(clusters, record, 'CUTOVER', async (fresh) => {
      const [first, ...others] = await blockingCutover(clusters.context, fresh, force);
      if (first) throw new MigrationError(first.code, `${clusterName(fresh)}: ${first.condition}`, { ...(others.length === 0 ? {} : { detail: others.map(({ condition }) => condition).join('\n') }), hint: first.remedy });
      const made = await cutOverCluster(clusters.context, fresh, { timeoutMs, force });
      await context.catalog.audit({ action: 'CUTOVER_COMPLETE', actor: context.actor, tableId: fresh.tableId, sourceServer: fresh.sourceServer });
      return made;
    }));
  }
  return switchAnswer('CUTOVER', switches);
}

export async function rollBackClusters(context: CommandContext, clusters: ClusterMigrations, { preserveLocalData, together, timeoutMs }: RollbackMigration, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  refuseTogether(together);
  const switches: ClusterSwitch[] = [];
  for (const record of records) {
    switches.push(await alone(clusters, record, 'ROLLBACK MIGRATION', async (fresh) => {
      if (fresh.completedAt !== undefined) throw new MigrationError('MIG061', 'the rollback window was closed by COMPLETE');
      let made: ClusterSwitch = { tables: [clusterName(fresh)], totalMs: 0, steps: {} };
      if (fresh.state === 'LOCAL_ONLY') {
        made = await rollBackCluster(clusters.context, fresh, { timeoutMs, preserves: preserveLocalData });
        const gone = await context.catalog.table(fresh.tableId);
        if (gone?.state === 'ROLLBACK') await finishRollback(clusters.context, gone, 'ROLLBACK MIGRATION');
      } else if (fresh.route.writes === 'local') throw new MigrationError('MIG061', `${clusterName(fresh)} is ${fresh.state}`, { hint: `SHOW MIGRATION WHY FOR TABLE ${clusterName(fresh)};` });
      else await end(clusters, fresh, 'ROLLBACK MIGRATION');
      await context.catalog.audit({ action: 'ROLLBACK_COMPLETE', actor: context.actor, tableId: fresh.tableId, sourceServer: fresh.sourceServer });
      return made;
    }));
  }
  return switchAnswer('ROLLBACK MIGRATION', switches);
}

/** Nobody waits for a change of mode: there is no pause. */
function switchAnswer(tag: string, switches: readonly ClusterSwitch[]): SuccessfulAnswer {
  const rows = switches.map(({ tables, totalMs, steps }) => [tables.join(', '), 0, totalMs, 0, Object.entries(steps).map(([step, ms]) => `${step} ${ms}`).join(', ')] as const);
  return table(tag, [['Tables'], ['Pause (ms)', 'float8'], ['Total (ms)', 'float8'], ['Gave way', 'int8'], ['Steps (ms)']], rows);
}

export async function completeClusterTable(clusters: ClusterMigrations, record: TableRecord): Promise<SuccessfulAnswer> {
  const name = clusterName(record);
  await alone(clusters, record, 'COMPLETE MIGRATION', async (fresh) => {
    if (fresh.state !== 'LOCAL_ONLY') throw new MigrationError('MIG074', `${name} is ${fresh.state}; only a table that is LOCAL_ONLY can be completed`);
    if (fresh.completedAt === undefined) await completeCluster(clusters.context, fresh);
  });
  return done('COMPLETE MIGRATION', [notice(`the way back of ${name} is closed; the source is no longer written`)]);
}

export async function explainClusterCutover({ context: clusters }: ClusterMigrations, record: TableRecord): Promise<SuccessfulAnswer> {
  const name = clusterName(record);
  const blocking = await blockingCutover(clusters, record, false);
  const isGo = blocking.length === 0;
  return table('EXPLAIN', [['Subject'], ['Finding'], ['Next']], [
    ['Tables', name, ''], ['Decision', isGo ? 'GO' : 'NO GO', isGo ? `CUTOVER TABLE ${name};` : 'remove what blocks it, below'],
    ...blocking.map(({ code, condition, remedy }) => ['Blocking', `${code}: ${condition}`, remedy] as const),
    ['Predicted pause', '0 ms', 'no request is held up: each ends in the mode in which it came'],
  ]);
}
