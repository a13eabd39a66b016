/** BULK_LOADING: from here on the proxy writes both clusters, and what was there before is copied with its own times. Every step may be done twice. */
import type { TableRecord } from '../../../catalog/records.ts';
import { loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import type { LoaderOptions } from '../../../cdc/cassandra/load/loader.ts';
import { LoadTally } from '../../../cdc/cassandra/load/load-progress.ts';
import type { LoadProgress } from '../../../cdc/cassandra/load/load-progress.ts';
import { loadTable } from '../../../cdc/cassandra/load/load-table.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Throttle } from '../../../cdc/cassandra/throttle.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { readTable } from '../../../cdc/cassandra/table.ts';
import { assertHeld } from './assert-held.ts';
import { clusterDetails, clusterName, noteDetails, patched, tableOf, withoutEpoch } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { QuietReads } from './quiet-reads.ts';

const PROGRESS_MS = 500;
/** Longer than a server goes on with an addition whose client is gone. */
const LATE_ADDITION_MS = 6000;

export async function loadClusterTable(context: ClusterContext, record: TableRecord, signal: AbortSignal): Promise<void> {
  await writeBoth(context, record);
  const leave = await context.loads.enter(signal);
  try {
    await load(context, record, signal);
  } finally {
    leave();
  }
}

/** Once the switch is answered every write that came before it has ended, on the source alone: the load reads it there. */
async function writeBoth(context: ClusterContext, record: TableRecord): Promise<void> {
  const { runtime, proxy } = context;
  if (clusterDetails(record).dualSince !== undefined) return assertHeld(context, record, ['DualAsync', 'DualSync']);
  await proxy.switchTable({ table: clusterName(record), mode: 'DualAsync', holds: true });
  await runtime.faults.hit('cql.load.after_switch');
  await noteDetails(context, record.tableId, { dualSince: String(BigInt(runtime.clock.now()) * 1000n) });
}

async function load(context: ClusterContext, record: TableRecord, signal: AbortSignal): Promise<void> {
  const { runtime, catalog, connections, progress } = context;
  const { clock } = runtime;
  const { source, target } = await connections.clusters();
  const { isCounter } = await readTable(source, tableOf(record));
  if (isCounter) await untilCounted(context, record, signal);
  const options = { ...optionsOf(record), ...(isCounter ? { quietly: new QuietReads({ clock, signal }, context.proxy, clusterName(record)).quietly } : {}) };
  const tally = new LoadTally(clock, [tableOf(record)]);
  const [table] = tally.tables;
  if (!table) return;
  await using failedRows = await openFailedRows(connections.failedRowsFile, clock.now);
  const note = (): LoadProgress => {
    const now = tally.progress();
    progress.set(record.tableId, now);
    catalog.setProgress([{ tableId: record.tableId, ...rowsOf(now) }]).catch((error: unknown) => runtime.log.warn('progress could not be saved', { error: String(error) }));
    return now;
  };
  const shown = setInterval(note, PROGRESS_MS);
  try {
    table.state = 'loading';
    const sides = { source, target, sourceThrottle: new Throttle(clock, options.sourceLimits), targetThrottle: new Throttle(clock, options.targetLimits) };
    await loadTable(runtime, sides, connections.ledger(), failedRows, { sourceTable: tableOf(record), targetTable: tableOf(record) }, table, options, signal);
    table.state = 'done';
  } finally {
    clearInterval(shown);
  }
  const { rows, bytes, refused, elapsedMs } = note();
  if (refused > 0) {
    throw new MigrationError('MIG042', `The target has refused ${refused} rows of ${clusterName(record)}`, { detail: `They stand in ${connections.failedRowsFile}, with the reason.`, hint: 'Remove the reason, then RESUME MIGRATION: the ranges with such rows are read again.' });
  }
  await runtime.faults.hit('cql.load.done');
  const fresh = (await catalog.table(record.tableId)) ?? record;
  await catalog.setProgress([{ tableId: record.tableId, bulkRowsTotal: rows, bulkRowsMigrated: rows, lastError: null }]);
  await catalog.moveState(record.tableId, 'BULK_LOADING', 'SYNCHRONIZING', { trigger: 'bulk complete', details: { rows, bytes, elapsedMs: Math.round(elapsedMs) }, change: { details: patched(fresh, { loadElapsedMs: Math.round(elapsedMs), loadBytes: bytes }) }, ...withoutEpoch });
}

/** What a process that was killed was about to add may still arrive: the differences are reckoned when that is over. */
async function untilCounted(context: ClusterContext, record: TableRecord, signal: AbortSignal): Promise<void> {
  if (clusterDetails(record).addsCounters === true) await context.runtime.clock.sleep(LATE_ADDITION_MS, signal);
  else await noteDetails(context, record.tableId, { addsCounters: true });
}

/** Nobody knows how many rows there are: about as many more as there is more of the ring. */
function rowsOf({ rows, share }: LoadProgress): { readonly bulkRowsMigrated: number; readonly bulkRowsTotal?: number } {
  return { bulkRowsMigrated: rows, ...(share > 0 ? { bulkRowsTotal: Math.max(rows, Math.round(rows / share)) } : {}) };
}

function optionsOf({ options }: TableRecord): LoaderOptions {
  const { batchSize, parallelWorkers, rateLimitRowsPerSecond } = options;
  return {
    ...loaderDefaults,
    ...(typeof batchSize === 'number' ? { pageRows: batchSize } : {}), ...(typeof parallelWorkers === 'number' ? { parallelRanges: parallelWorkers } : {}),
    ...(typeof rateLimitRowsPerSecond === 'number' ? { sourceLimits: { rowsPerSecond: rateLimitRowsPerSecond, bytesPerSecond: 0 } } : {}),
  };
}
