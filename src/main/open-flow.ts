/** Opens everything between one server and local, and restores the streams to what the catalog says of each table. */
import * as path from 'node:path';
import type { Catalog } from '../../catalog/catalog.ts';
import type { NewTypeLoss, TableRecord } from '../../catalog/records.ts';
import type { Conflict, ConflictStrategy } from '../../cdc/apply/conflict.ts';
import { formatPosition } from '../../cdc/change.ts';
import type { ServerPlaces } from '../../cdc/mysql/server-places.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { RestoredTable } from '../../cdc/stream/options.ts';
import type { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { quoteTableName } from '../../grammar/names.ts';
import type { TableName } from '../../grammar/names.ts';
import type { TypeOverride } from '../../grammar/migration/type-overrides.ts';
import { isTwoPhase } from '../migrate/markable-table.ts';
import { reversePlan, SourceFlow } from '../migrate/source-flow.ts';
import { restorePosition } from '../migrate/stored-position.ts';
import { detailsOf, displayName, mappingOf } from '../migrate/table-details.ts';
import type { ProcessSettings } from './process-settings.ts';
import { gatewayLogins } from './gateway-logins.ts';
import { mysqlEngine, postgresEngine } from './source-engine.ts';
import type { StreamParts } from './source-engine.ts';
import { StreamRunner } from './stream-runner.ts';

const MEBI = 1024 * 1024;
/** Captured and not applied yet: as much as is written while the next comes. More would only wait in memory instead of at the source. */
const CAPTURED_BYTES = 2 * MEBI;

/** A server that clients reach through the gateway while its tables have not been moved. */
export interface ReachedSource {
  readonly engine: 'postgres' | 'mysql';
  readonly address: ServerAddress;
  /** Of a source of several servers: `address` is that of the one that goes on. */
  readonly places?: ServerPlaces | undefined;
}

export async function openFlow(runtime: Runtime, handed: ProcessSettings, catalog: Catalog, serverName: string, reached: ReachedSource): Promise<SourceFlow> {
  const { settings, local, paths } = handed;
  const token = BigInt(catalog.token ?? 0);
  const strategies = new Map<string, ConflictStrategy>();
  const overrides = new Map<string, readonly TypeOverride[]>();
  const marked = new Set<string>();
  const names = streamNames(catalog.catalogId, serverName);
  const memory = settings.migration.maxMemoryMb * MEBI;
  const shared = (direction: 'forward' | 'reverse'): StreamParts => ({
    ...names[direction], spoolDirectory: path.join(paths.spool, names[direction].name),
    direction, token,
    limits: { spoolBytes: settings.limits.spoolBytes, bufferBytes: Math.min(Math.floor(memory / 8), CAPTURED_BYTES), batchChanges: settings.migration.cdcBatchSize, batchWaitMs: 100 },
    onConflict: (conflict) => void saveConflict(runtime, catalog, conflict).catch((error: unknown) => runtime.log.error('a conflict could not be logged', { error: String(error) })),
    onError: (tableId, error) => runtime.log.warn('a table left the shared stream', { tableId, direction, error: error.message }),
    onSchemaChange: (tableId, change) => runtime.log.warn('the definition of a table in migration has changed', { tableId, differences: change.differences, position: formatPosition(change.position) }),
    onBypassWrite: (tableId) => void countBypass(runtime, catalog, tableId),
    onSkipped: (skipped) => void catalog.insertErrors([{ tableId: skipped.tableId, code: 'MIG011', message: 'a change was left out by RESUME … SKIP ROW', rowKey: skipped.key, sourceError: skipped.error?.message }]),
    onWriteBackFailed: (tableId, key, error) => void catalog.insertErrors([{ tableId, code: 'MIG031', message: 'a row that won on local could not be written to the source; it is tried again every second until the cause is gone', rowKey: key, sourceError: error.message }]),
    conflictStrategy: (tableId) => inDirection(direction, strategies.get(tableId)),
    ...(direction === 'forward' ? { mayHaveMarks: (tableId) => marked.has(tableId) } : {}),
  });
  const parts = { source: reached.address, places: reached.places, local, token, loadBytes: Math.floor(memory / 4), forward: shared('forward'), reverse: shared('reverse'), overridesOf: (tableId: string) => overrides.get(tableId) ?? [], recordLosses: (losses: readonly NewTypeLoss[]) => catalog.addTypeLosses(losses) };
  const engine = reached.engine === 'mysql' ? mysqlEngine(runtime, parts) : postgresEngine(runtime, parts);
  const { forward, reverse } = engine;
  const records = (await catalog.tables()).filter((record) => record.sourceServer === serverName && record.completedAt === undefined);
  const noteOptions = (record: TableRecord): void => {
    strategies.set(record.tableId, strategyOf(record));
    overrides.set(record.tableId, mappingOf(record).overrides ?? []);
    if (isTwoPhase(record)) marked.add(record.tableId);
  };
  records.forEach(noteOptions);
  const tables = await captured(catalog, records);
  await forward.restore(tables);
  // Once made, its slot must be read until it is dropped, or local keeps its WAL for it.
  const reverseSetting = `reverse stream of ${serverName}`;
  const hasReverse = (await catalog.setting(reverseSetting)) === 'made';
  const [forwardRunner, reverseRunner] = [
    new StreamRunner(runtime, forward, (error) => void noteStopped(runtime, catalog, serverName, 'source', error)),
    new StreamRunner(runtime, reverse, (error) => void noteStopped(runtime, catalog, serverName, 'local', error)),
  ];
  const runReverse = async (): Promise<void> => {
    await catalog.putSetting(reverseSetting, 'made');
    reverseRunner.start();
  };
  // A slot holds WAL on the source: it is made with the first table, not for a question.
  const runForward = (): void => {
    if (!forwardRunner.start()) return;
    // Where the user may not make event triggers, definitions are compared at each change instead (RULES 6).
    forward.installDdlLog().catch((error: unknown) => runtime.log.info('DDL on the source is not logged in its stream', { reason: String(error) }));
  };
  const endStreams = async (): Promise<void> => {
    await Promise.all([forwardRunner.end(), reverseRunner.end()]);
    await catalog.putSetting(reverseSetting, 'dropped');
  };
  const flow = new SourceFlow(runtime, { ...engine, noteOptions, logins: gatewayLogins(settings, reached), serverName, source: reached.address, local, catalog, token, switches: { runForward, runReverse, endStreams, forwardFailure: () => forwardRunner.failure, endForward: () => forwardRunner.end() } });
  await flow.prepare();
  if (tables.length > 0) await flow.streams.runForward();
  if (hasReverse) {
    await reverse.restore(await Promise.all(records.filter((record) => record.route.writes === 'local').map((record) => restored(catalog, record, 'reverse'))));
    await runReverse();
  }
  return flow;
}

/** Every table that the stream carried has the cause among its errors. */
async function noteStopped(runtime: Runtime, catalog: Catalog, serverName: string, writes: 'source' | 'local', { code, message, detail }: MigrationError): Promise<void> {
  const records = (await catalog.tables()).filter((record) => record.sourceServer === serverName && record.completedAt === undefined && record.route.writes === writes);
  await catalog
    .insertErrors(records.map(({ tableId }) => ({ tableId, code, message: writes === 'local' ? `the way back is lost: ${message}` : message, sourceError: detail })))
    .catch((error: unknown) => runtime.log.error('the end of a stream could not be noted', { error: String(error) }));
}

/** Slots and publications carry the catalog's own mark, so that two installations never share one. */
function streamNames(catalogId: string, serverName: string) {
  const mark = `${catalogId.replaceAll('-', '').slice(0, 8)}_${serverName.toLowerCase().replace(/[^a-z0-9_]/g, '_').slice(0, 24)}`;
  const named = (direction: string) => ({ name: `${direction}_${mark}`, slotName: `causeway_${direction}_${mark}`, publicationName: `causeway_${direction}_${mark}` });
  return { forward: named('forward'), reverse: named('reverse') };
}

/** Tables that the forward stream had taken in: `addTable` does the rest for one that a crash met before. */
async function captured(catalog: Catalog, records: readonly TableRecord[]): Promise<RestoredTable[]> {
  const tables: RestoredTable[] = [];
  for (const record of records) {
    const intervals = await catalog.intervals(record.tableId);
    if (intervals.some((interval) => interval.direction === 'forward')) tables.push(await restored(catalog, record, 'forward'));
  }
  return tables;
}

async function restored(catalog: Catalog, record: TableRecord, direction: 'forward' | 'reverse'): Promise<RestoredTable> {
  const intervals = (await catalog.intervals(record.tableId)).filter((interval) => interval.direction === direction);
  const isHeld = record.state === 'BULK_LOADING' || record.state === 'PAUSED' || record.state === 'ERROR';
  return {
    plan: direction === 'forward' ? detailsOf(record).plan : reversePlan(record),
    mode: isHeld ? 'spooling' : 'draining',
    isServed: direction === 'forward' && record.route.writes === 'source' && record.route.reads === 'local',
    intervals: intervals.map((interval) => ({ from: restorePosition(interval.from), to: interval.to === undefined ? undefined : restorePosition(interval.to) })),
  };
}

/** After the cutover local is the authority: what was written to the source behind its back does not win, whatever the option says. */
function inDirection(direction: 'forward' | 'reverse', strategy: ConflictStrategy | undefined): ConflictStrategy {
  if (!strategy || (direction === 'reverse' && strategy.kind !== 'fail')) return { kind: 'source_wins' };
  return strategy;
}

function strategyOf(record: TableRecord): ConflictStrategy {
  const { conflictStrategy, conflictTimestampColumn, conflictMergeFunction } = record.options;
  switch (conflictStrategy) {
    case 'target_wins':
      return { kind: 'target_wins' };
    case 'timestamp_wins':
      return typeof conflictTimestampColumn === 'string' ? { kind: 'timestamp_wins', column: conflictTimestampColumn } : { kind: 'source_wins' };
    case 'custom_merge':
      return { kind: 'custom_merge', function: quoteTableName(conflictMergeFunction as TableName) };
    case 'fail_on_conflict':
      return { kind: 'fail' };
    default:
      return { kind: 'source_wins' };
  }
}

async function saveConflict(runtime: Runtime, catalog: Catalog, conflict: Conflict): Promise<void> {
  const record = await catalog.table(conflict.tableId);
  const strategy = conflict.strategy === 'fail' ? ('fail_on_conflict' as const) : conflict.strategy;
  if (record) runtime.metrics.count('scratchbird_migration_conflicts_total', { table: displayName(record.source), resolution: strategy });
  const names = record === undefined ? [] : detailsOf(record).plan.key;
  const values: unknown = JSON.parse(conflict.key);
  const key = Array.isArray(values) ? Object.fromEntries(values.map((value: unknown, index) => [names[index] ?? String(index), value])) : { key: conflict.key };
  await catalog.insertConflicts([{
    tableId: conflict.tableId, primaryKey: key, localValues: conflict.local, remoteValues: conflict.remote, localTimestamp: undefined,
    remoteTimestamp: new Date(conflict.changedAtMs).toISOString(), strategy,
    resolvedValues: conflict.outcome === 'target' ? conflict.local : conflict.outcome === 'source' ? conflict.remote : conflict.merged, resolved: true,
  }]);
}

async function countBypass(runtime: Runtime, catalog: Catalog, tableId: string): Promise<void> {
  const record = await catalog.table(tableId);
  if (record) runtime.metrics.count('scratchbird_gateway_bypass_writes_total', { table: displayName(record.source) });
}
