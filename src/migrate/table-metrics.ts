/** Once a second: the figures of every table for Prometheus, for the catalog's state row, and for SHOW MIGRATION PROGRESS. */
import { tableStates } from '../../catalog/table-state.ts';
import { metricList } from '../../config/metric-list.ts';
import { storePosition } from './stored-position.ts';
import type { ControlContext } from './control-context.ts';
import { detailsOf } from './table-details.ts';
import { tableStatus } from './table-status.ts';
import type { TableStatus } from './table-status.ts';

const SAMPLE_EVERY_MS = 5_000;

/** Of the values that only grow, what has been counted already. */
const countedBefore = new WeakMap<ControlContext, Map<string, number>>();
const lastSamples = new WeakMap<ControlContext, number>();
/** Names of the tables that had figures a second ago. */
const published = new WeakMap<ControlContext, ReadonlySet<string>>();
const tableGauges = Object.entries(metricList).filter(([, { type, labels }]) => type === 'gauge' && labels.some((label) => label === 'table')).map(([name]) => name);

export async function publishTableMetrics(context: ControlContext): Promise<readonly TableStatus[]> {
  const { catalog, runtime } = context;
  const records = await catalog.tables();
  const statuses = await Promise.all(records.map((record) => tableStatus(context, record)));
  for (const status of statuses) publish(context, status);
  await catalog.setProgress(statuses.map(({ record, lagMs }) => ({ tableId: record.tableId, cdcLagMs: lagMs === undefined ? null : Math.round(lagMs) })));
  for (const server of new Set(records.map((record) => record.sourceServer))) await savePosition(context, server);
  forgetGone(context, new Set(statuses.map(({ name }) => name)));
  const now = runtime.clock.monotonicMs();
  if (now - (lastSamples.get(context) ?? -Infinity) < SAMPLE_EVERY_MS) return statuses;
  lastSamples.set(context, now);
  for (const status of statuses) await publishFindings(context, status);
  await catalog.addSamples(statuses.map(({ record, stream, lagMs }) => ({
    tableId: record.tableId, state: record.state, rowsTotal: record.bulkRowsTotal, rowsMigrated: record.bulkRowsMigrated,
    lagMs: lagMs === undefined ? undefined : Math.round(lagMs), pendingChanges: stream?.pendingChanges,
    appliedChanges: stream === undefined ? undefined : stream.applied.insert + stream.applied.update + stream.applied.delete + stream.applied.truncate,
  })));
  return statuses;
}

function publish(context: ControlContext, { record, name, stream, rate, lagMs }: TableStatus): void {
  const { metrics } = context.runtime;
  for (const state of tableStates) metrics.gauge('scratchbird_migration_table_state', { table: name, state: state.toLowerCase() }, record.state === state ? 1 : 0);
  metrics.gauge('scratchbird_migration_bulk_rows_total', { table: name }, record.bulkRowsTotal ?? 0);
  metrics.gauge('scratchbird_migration_bulk_rows_migrated', { table: name }, record.bulkRowsMigrated ?? 0);
  metrics.gauge('scratchbird_migration_bulk_rate', { table: name }, rate?.rowsPerSecond ?? 0);
  if (lagMs !== undefined) metrics.gauge('scratchbird_migration_cdc_lag_seconds', { table: name, source: record.sourceName }, lagMs / 1000);
  // From the first second on, so that a rate over it has a first value.
  metrics.count('scratchbird_gateway_bypass_writes_total', { table: name }, 0);
  const lastSwitch = detailsOf(record).lastSwitch;
  if (lastSwitch) metrics.gauge('scratchbird_gateway_cutover_last_pause_seconds', { table: name }, lastSwitch.pauseMs / 1000);
  if (!stream) return;
  metrics.gauge('scratchbird_migration_cdc_pending_changes', { table: name }, stream.pendingChanges);
  for (const operation of ['insert', 'update', 'delete', 'truncate'] as const) {
    const by = grown(context, `${record.tableId} ${record.route.writes} ${operation}`, stream.applied[operation]);
    if (by > 0) metrics.count('scratchbird_migration_cdc_applied_total', { table: name, operation }, by);
  }
}

/** What the catalog has to be asked for. */
async function publishFindings({ catalog, runtime: { metrics } }: ControlContext, { record, name }: TableStatus): Promise<void> {
  const { unresolved } = await catalog.conflictCounts(record.tableId);
  metrics.gauge('scratchbird_gateway_conflicts_unresolved', { table: name }, unresolved);
  const validation = await catalog.lastValidation(record.tableId);
  if (validation?.finishedAt !== undefined) metrics.gauge('scratchbird_gateway_validation_mismatches', { table: name }, validation.mismatchedRows);
}

/** A table whose migration has ended has no figures any more; what it has counted stays. */
function forgetGone(context: ControlContext, present: ReadonlySet<string>): void {
  for (const name of published.get(context) ?? []) {
    if (!present.has(name)) for (const metric of tableGauges) context.runtime.metrics.remove(metric, { table: name });
  }
  published.set(context, present);
}

/** Streams count from their own start: a smaller value than before means that they began anew. */
function grown(context: ControlContext, key: string, value: number): number {
  const counted = countedBefore.get(context) ?? new Map<string, number>();
  countedBefore.set(context, counted);
  const before = counted.get(key) ?? 0;
  counted.set(key, value);
  return value >= before ? value - before : value;
}

async function savePosition(context: ControlContext, serverName: string): Promise<void> {
  const flow = await context.flow(serverName);
  const { resume } = flow.forward.health();
  if (!resume) return;
  await context.catalog.putCdcPosition({ sourceServer: serverName, tableName: flow.forward.name, cdcType: flow.sourceSide.accepts.cdcMode[0] ?? '', position: { ...storePosition(resume), slot_name: flow.forward.name } });
}
