/** SHOW MIGRATION STATUS and WHY for tables of a cluster. */
import type { TableRecord } from '../../../catalog/records.ts';
import { errorKinds } from '../../../config/migration-error.ts';
import { blockingCutover } from '../clusters/check-cluster-table.ts';
import { clusterDetails, clusterName } from '../clusters/cluster-context.ts';
import { clusterStatus, nextClusterStep } from '../clusters/cluster-status.ts';
import type { ClusterStatus } from '../clusters/cluster-status.ts';
import { table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import type { CommandContext } from './command-context.ts';
import { clockTime, grouped, lagText, percentText } from './format.ts';

type Line = readonly [section: string, item: string, value: string | number | undefined];

/** The columns of `showStatus`. */
export async function clusterStatusRows({ clusters }: CommandContext, records: readonly TableRecord[]): Promise<SuccessfulAnswer> {
  const rows = await Promise.all(records.map(async (record) => {
    const { name, lagMs, remainingMs, next } = await clusterStatus(clusters?.context, record);
    return [name, record.state, progressText(record), lagText(lagMs), clockTime(remainingMs), record.sourceName, next] as const;
  }));
  return table('SHOW', [['Table'], ['State'], ['Progress'], ['CDC Lag'], ['ETA'], ['Source'], ['Next']], rows);
}

function progressText(record: TableRecord): string {
  if (record.state === 'NOT_STARTED') return '0%';
  return record.state === 'BULK_LOADING' || record.interruptedState === 'BULK_LOADING' ? percentText(record.bulkRowsMigrated, record.bulkRowsTotal) : '100%';
}

export async function showClusterTable(context: CommandContext, record: TableRecord): Promise<SuccessfulAnswer> {
  const status = await clusterStatus(context.clusters?.context, record);
  const lines = [...identityLines(status), ...loadLines(status), ...proxyLines(status), ...(await proofLines(context, record)), ...switchLines(record)];
  return table('SHOW', [['Section'], ['Item'], ['Value']], lines.map(([section, item, value]) => [section, item, value ?? '-']));
}

function identityLines({ record, name, next }: ClusterStatus): Line[] {
  const state = record.interruptedState === undefined ? record.state : `${record.state} (was ${record.interruptedState})`;
  return [
    ['Table', 'Name', name], ['Table', 'Source', `${record.sourceServer}.${name}`], ['Table', 'State', state], ['Table', 'Started', clusterDetails(record).startedAt], ['Table', 'State Changed', record.stateChangedAt],
    ['Table', 'Last Error', record.lastError], ['Table', 'Next', next],
  ];
}

function loadLines({ record, rowsPerSecond, remainingMs }: ClusterStatus): Line[] {
  const { loadElapsedMs, loadBytes } = clusterDetails(record);
  const average = loadElapsedMs === undefined || record.bulkRowsMigrated === undefined ? undefined : (record.bulkRowsMigrated * 1000) / Math.max(1, loadElapsedMs);
  const rate = rowsPerSecond ?? average;
  return [
    ['Bulk Load', 'Total Rows', record.state === 'BULK_LOADING' && record.bulkRowsTotal !== undefined ? `about ${grouped(record.bulkRowsTotal)}` : grouped(record.bulkRowsTotal)],
    ['Bulk Load', 'Migrated', `${grouped(record.bulkRowsMigrated)} (${percentText(record.bulkRowsMigrated, record.bulkRowsTotal)})`],
    ['Bulk Load', 'Rate', rate === undefined ? undefined : `${grouped(rate)} rows/sec`], ['Bulk Load', 'Bytes', loadBytes === undefined ? undefined : grouped(loadBytes)], ['Bulk Load', 'ETA', clockTime(remainingMs)],
  ];
}

function proxyLines({ at }: ClusterStatus): Line[] {
  if (!at) return [['Proxy', 'Mode', undefined]];
  const reach = (side: 0 | 1): string => (at.isReachable[side] ? 'reachable' : 'away');
  return [
    ['Proxy', 'Mode', at.modes.join(' and ')], ['Proxy', 'Switched By', at.isHeld ? 'this migration' : 'somebody else'], ['Proxy', 'Queued Writes', `${grouped(at.queued)} of this table, ${grouped(at.depth)} in all`],
    ['Proxy', 'Oldest Queued', lagText(at.oldestQueuedMs)], ['Proxy', 'Waiting For Repair', at.repairs], ['Proxy', 'Source', reach(0)], ['Proxy', 'Target', reach(1)],
  ];
}

async function proofLines({ catalog }: CommandContext, { tableId }: TableRecord): Promise<Line[]> {
  const validation = await catalog.lastValidation(tableId);
  const rows = validation?.finishedAt === undefined ? undefined : validation.sourceRows === validation.localRows ? `Match (${grouped(validation.localRows)})` : `Differ (source ${grouped(validation.sourceRows)}, target ${grouped(validation.localRows)})`;
  const extent = validation?.mode === 'full' ? 'every range' : `${validation?.samplePercent ?? 0}% sample`;
  return [
    ['Validation', 'Last Run', validation?.finishedAt ?? validation?.startedAt], ['Validation', 'Row Count', rows],
    ['Validation', 'Cells', validation?.passed === undefined ? undefined : `${validation.passed ? 'Pass' : `Fail, ${grouped(validation.mismatchedRows)} rows`} (${extent})`],
  ];
}

function switchLines(record: TableRecord): Line[] {
  const { lastSwitch } = clusterDetails(record);
  if (!lastSwitch) return [];
  return [['Switch', 'Last', `${lastSwitch.direction} at ${lastSwitch.at}`], ['Switch', 'Took', `${lastSwitch.totalMs} ms`], ['Switch', 'Steps (ms)', Object.entries(lastSwitch.steps).map(([step, ms]) => `${step} ${ms}`).join(', ')],
    ['Switch', 'Rollback Until', record.completedAt === undefined ? 'COMPLETE MIGRATION' : 'closed']];
}

export async function showClusterWhy({ catalog, clusters }: CommandContext, record: TableRecord): Promise<SuccessfulAnswer> {
  const rows: (readonly [string, string])[] = [];
  if (record.state === 'ERROR' || record.lastError !== undefined) {
    const [last] = await catalog.errors({ tableId: record.tableId, limit: 1 });
    rows.push([`${record.lastError ?? last?.message ?? 'an error'}${last?.sourceError === undefined ? '' : ` (${last.sourceError})`}`, last === undefined ? '' : errorKinds[last.code].hint]);
  }
  if (clusters && (record.state === 'DUAL_WRITE' || record.state === 'CUTOVER_READY')) rows.push(...(await blockingCutover(clusters.context, record, false)).map(({ condition, remedy }) => [condition, remedy] as const));
  const status = await clusterStatus(clusters?.context, record);
  if (record.state === 'SYNCHRONIZING') rows.push(status.at ? [`${status.at.queued} of its writes are queued; the target is ${status.at.isReachable[1] ? 'reachable' : 'away'}`, 'wait, or look at the target cluster'] : ['the proxy is away', 'wait: it is started again']);
  if (rows.length === 0 || record.state === 'BULK_LOADING') rows.push([`${clusterName(record)} is ${record.state}`, nextClusterStep(record)]);
  return table('SHOW', [['Why'], ['Next']], rows);
}
