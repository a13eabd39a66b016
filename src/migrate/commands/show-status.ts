/** SHOW MIGRATION STATUS, for all tables and for one (specification §8.3). */
import type { TableRecord } from '../../../catalog/records.ts';
import { formatPosition } from '../../../cdc/change.ts';
import type { ShowStatus } from '../../../grammar/migration/statement.ts';
import { detailsOf, displayName } from '../table-details.ts';
import { tableStatus } from '../table-status.ts';
import type { TableStatus } from '../table-status.ts';
import { table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { findRecord } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { clockTime, grouped, lagText, percentText } from './format.ts';

export async function showStatus(context: CommandContext, statement: ShowStatus): Promise<SuccessfulAnswer> {
  if (statement.table !== undefined) return oneTable(context, await findRecord(context, statement.table));
  const records = await context.catalog.tables();
  const rows = await Promise.all(records.map(async (record) => {
    const status = await tableStatus(context, record);
    return [status.name, record.state, progressText(record), lagText(status.lagMs), clockTime(status.rate?.remainingMs), record.sourceName, status.next] as const;
  }));
  return table('SHOW', [['Table'], ['State'], ['Progress'], ['CDC Lag'], ['ETA'], ['Source'], ['Next']], rows);
}

function progressText(record: TableRecord): string {
  if (record.state === 'NOT_STARTED') return '0%';
  const loading = record.state === 'BULK_LOADING' || record.interruptedState === 'BULK_LOADING';
  return loading ? percentText(record.bulkRowsMigrated, record.bulkRowsTotal) : '100%';
}

type Line = readonly [section: string, item: string, value: string | number | undefined];

async function oneTable(context: CommandContext, record: TableRecord): Promise<SuccessfulAnswer> {
  const status = await tableStatus(context, record);
  const lines: Line[] = [...identityLines(status), ...loadLines(status), ...(await streamLines(context, status)), ...(await proofLines(context, record)), ...switchLines(record)];
  return table('SHOW', [['Section'], ['Item'], ['Value']], lines.map(([section, item, value]) => [section, item, value ?? '-']));
}

function identityLines({ record, name, next }: TableStatus): Line[] {
  const details = detailsOf(record);
  const state = record.interruptedState === undefined ? record.state : `${record.state} (was ${record.interruptedState})`;
  return [
    ['Table', 'Name', name], ['Table', 'Source', `${record.sourceServer}.${displayName(record.source)}`], ['Table', 'State', state],
    ['Table', 'Started', details.startedAt], ['Table', 'State Changed', record.stateChangedAt], ['Table', 'Group', record.groupName],
    ['Table', 'Reads', record.route.reads === 'source' && details.readsHeld === true ? 'source, for users may not read it on local as there' : record.route.reads], ['Table', 'Writes', record.route.waitVisible ? 'source, acknowledged when local shows them' : record.route.writes],
    ['Table', 'Key', details.plan.key.join(', ')], ['Table', 'Last Error', record.lastError], ['Table', 'Next', next],
  ];
}

function loadLines({ record, rate }: TableStatus): Line[] {
  const details = detailsOf(record);
  const average = details.loadElapsedMs === undefined || record.bulkRowsMigrated === undefined ? undefined : (record.bulkRowsMigrated * 1000) / Math.max(1, details.loadElapsedMs);
  const shown = rate?.rowsPerSecond ?? average;
  return [
    ['Bulk Load', 'Total Rows', grouped(record.bulkRowsTotal)],
    ['Bulk Load', 'Migrated', `${grouped(record.bulkRowsMigrated)} (${percentText(record.bulkRowsMigrated, record.bulkRowsTotal)})`],
    ['Bulk Load', 'Rate', shown === undefined ? undefined : `${grouped(shown)} rows/sec`],
    ['Bulk Load', 'Bytes', details.loadBytes === undefined ? undefined : grouped(details.loadBytes)],
    ['Bulk Load', 'ETA', clockTime(rate?.remainingMs)],
  ];
}

async function streamLines(context: CommandContext, { record, stream, lagMs }: TableStatus): Promise<Line[]> {
  const flow = await context.flow(record.sourceServer);
  const reverse = record.route.writes === 'local';
  const health = (reverse ? flow.reverse : flow.forward).health();
  const applied = stream ? stream.applied.insert + stream.applied.update + stream.applied.delete + stream.applied.truncate : undefined;
  return [
    ['CDC', 'Mode', String(record.options['cdcMode'])], ['CDC', 'Direction', reverse ? 'local to source' : 'source to local'], ['CDC', 'Stream', stream?.mode],
    ['CDC', 'Position', health.visible === undefined ? undefined : formatPosition(health.visible)],
    ['CDC', 'Lag', lagMs === undefined ? undefined : `${(lagMs / 1000).toFixed(1)} seconds`],
    ['CDC', 'Pending', stream === undefined ? undefined : `${grouped(stream.pendingChanges)} changes`], ['CDC', 'Applied', applied === undefined ? undefined : `${grouped(applied)} changes`],
    ['CDC', 'Spool', stream === undefined ? undefined : `${grouped(stream.spoolBytes)} bytes`], ['CDC', 'Bypass Writes', stream?.bypassWrites],
  ];
}

async function proofLines(context: CommandContext, record: TableRecord): Promise<Line[]> {
  const validation = await context.catalog.lastValidation(record.tableId);
  const conflicts = await context.catalog.conflictCounts(record.tableId);
  const rows = validation?.finishedAt === undefined ? undefined : validation.sourceRows === validation.localRows ? `Match (${grouped(validation.localRows)})` : `Differ (source ${grouped(validation.sourceRows)}, local ${grouped(validation.localRows)})`;
  const extent = validation?.mode === 'full' ? 'every chunk' : `${validation?.samplePercent ?? 0}% sample`;
  return [
    ['Validation', 'Last Run', validation?.finishedAt ?? validation?.startedAt], ['Validation', 'Row Count', rows],
    ['Validation', 'Checksum', validation?.passed === undefined ? undefined : `${validation.passed ? 'Pass' : `Fail, ${grouped(validation.mismatchedRows)} rows`} (${extent})`],
    ['Validation', 'Conflicts', `${conflicts.total} (${conflicts.unresolved} unresolved)`],
  ];
}

function switchLines(record: TableRecord): Line[] {
  const last = detailsOf(record).lastSwitch;
  if (!last) return [];
  return [['Switch', 'Last', `${last.direction} at ${last.at}`], ['Switch', 'Pause', `${last.pauseMs} ms`], ['Switch', 'Steps (ms)', Object.entries(last.steps).map(([step, ms]) => `${step} ${ms}`).join(', ')],
    ['Switch', 'Rollback Until', record.rollbackUntil ?? (record.completedAt === undefined ? 'COMPLETE MIGRATION' : 'closed')]];
}
