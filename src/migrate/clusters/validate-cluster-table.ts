/** Compares a table on both clusters, keeps the result, and tells the proxy: a full comparison that passes makes the table CUTOVER_READY. */
import { randomUUID } from 'node:crypto';
import type { TableRecord, ValidationRecord } from '../../../catalog/records.ts';
import type { TableState } from '../../../catalog/table-state.ts';
import type { TableComparison } from '../../../cdc/cassandra/compare/comparison-report.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { readTable } from '../../../cdc/cassandra/table.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { RepairStrategy } from '../../../grammar/migration/statement.ts';
import { clusterDetails, clusterName, noteDetails, tableOf, withoutEpoch } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { QuietReads } from './quiet-reads.ts';

export interface ClusterValidation {
  readonly record: TableRecord;
  /** 100 = every range of the ring. */
  readonly percent: number;
  readonly askedForSample: boolean;
  readonly repair: RepairStrategy | undefined;
}

export interface ClusterValidated {
  readonly validation: ValidationRecord;
  readonly comparison: TableComparison;
  readonly elapsedMs: number;
}

const comparable: ReadonlySet<string> = new Set(['SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY']);

export async function validateClusterTable(context: ClusterContext, request: ClusterValidation): Promise<ClusterValidated> {
  const { runtime, catalog, proxy } = context;
  const { record } = request;
  const name = clusterName(record);
  if (!comparable.has(record.state)) throw new MigrationError('MIG074', `${name} is ${record.state}: there is nothing to compare yet`, { hint: `SHOW MIGRATION WHY FOR TABLE ${name};` });
  const isRepair = isRepairing(request);
  const isFull = request.percent >= 100;
  const started: ValidationRecord = {
    validationId: randomUUID(), tableId: record.tableId, mode: isFull ? 'full' : 'sample', samplePercent: isFull ? undefined : request.percent, passed: undefined, sourceRows: undefined, localRows: undefined,
    chunks: 0, mismatchedChunks: 0, mismatchedRows: 0, unsettledRows: 0, details: {}, startedAt: new Date(runtime.clock.now()).toISOString(), finishedAt: undefined,
  };
  await catalog.putValidation(started);
  if (isRepair) await noteDetails(context, record.tableId, { repaired: true });
  const { comparison, elapsedMs } = await compare(context, request, isRepair);
  const { rowsSource, rowsTarget, rowsDifferent, repaired, notRepaired, unsettled, counts, discrepancies } = comparison;
  const isEqual = rowsDifferent === 0 && unsettled === 0;
  const validation: ValidationRecord = {
    ...started, finishedAt: new Date(runtime.clock.now()).toISOString(), passed: isEqual, sourceRows: rowsSource, localRows: rowsTarget, chunks: comparingDefaults.ranges, mismatchedRows: rowsDifferent, unsettledRows: unsettled,
    details: { counts, mismatches: discrepancies.slice(0, 20), durationMs: Math.round(elapsedMs), repaired, notRepaired },
  };
  await catalog.putValidation(validation);
  await catalog.appendHistory({ tableId: record.tableId, eventType: 'validation', details: { mode: validation.mode, passed: isEqual, rows: rowsSource, mismatches: rowsDifferent, durationMs: Math.round(elapsedMs) } });
  const isRepaired = unsettled === 0 && rowsDifferent === repaired;
  await proxy.validated({ table: name, isGood: isEqual || isRepaired, isWhole: isFull, rows: rowsSource, different: rowsDifferent, tookMs: elapsedMs, summary: `${rowsDifferent} rows differ, ${unsettled} kept changing` });
  await afterwards(context, record, validation, request);
  return { validation, comparison, elapsedMs };
}

/** The side that has the authority is the truth, and is not written. */
function isRepairing({ record, repair }: ClusterValidation): boolean {
  if (repair === undefined || repair === 'skip' || repair === 'manual') return false;
  const name = clusterName(record);
  if (repair === 'copy_to_source') throw new MigrationError('MIG071', `REPAIR COPY_TO_SOURCE does not fit ${name}`, { detail: 'Rows of the target are not copied over those of the source.', hint: 'npm run cql -- scan --reconcile newest writes on both sides; read docs/cql-load.md before.' });
  if (record.route.writes === 'local') throw new MigrationError('MIG074', `${name} is ${record.state}: the source is not the truth for it`, { hint: 'ROLLBACK MIGRATION first, or npm run cql -- scan --reconcile newest.' });
  return true;
}

async function compare(context: ClusterContext, { record, percent }: ClusterValidation, isRepair: boolean): Promise<{ readonly comparison: TableComparison; readonly elapsedMs: number }> {
  const { runtime, connections } = context;
  const { dualSince, repaired } = clusterDetails(record);
  const clusters = await connections.clusters();
  const { isCounter } = await readTable(clusters.source, tableOf(record));
  const options = {
    ...comparingDefaults, ...(isCounter ? { quietly: new QuietReads(runtime, context.proxy, clusterName(record)).quietly } : {}), mostListed: 100, acceptsLaterTarget: repaired === true, ...(dualSince === undefined ? {} : { dualWritesSince: BigInt(dualSince) }), ...(isRepair ? { reconcile: 'source-wins' as const } : {}),
  };
  const pair = { sourceTable: tableOf(record), targetTable: tableOf(record) };
  const mode = percent >= 100 ? { mode: 'FullScan' as const } : { mode: 'RandomSample' as const, sampleRate: percent / 100, random: Math.random };
  const report = await new Validator(runtime, clusters, options).validate([pair], mode, runtime.signal);
  const [comparison] = report.tables;
  if (comparison === undefined || comparison.error !== undefined) {
    throw new MigrationError('MIG042', `The comparison of ${clusterName(record)} did not come to its end`, { ...(comparison?.error === undefined ? {} : { detail: comparison.error }), hint: 'Look at the clusters, then VALIDATE MIGRATION again.' });
  }
  return { comparison, elapsedMs: report.elapsedMs };
}

async function afterwards(context: ClusterContext, record: TableRecord, validation: ValidationRecord, request: ClusterValidation): Promise<void> {
  const { catalog } = context;
  const isEnough = validation.mode === 'full' || request.askedForSample;
  if (validation.passed === true && isEnough) {
    await moveFrom(context, record, 'DUAL_WRITE', 'CUTOVER_READY', { trigger: 'validation passed', details: { validationId: validation.validationId, mode: validation.mode } });
  }
  if (validation.passed !== false) return;
  await moveFrom(context, record, 'CUTOVER_READY', 'DUAL_WRITE', { trigger: 'validation failed', error: `MIG041: ${validation.mismatchedRows} rows differ` });
  await catalog.insertErrors([{ tableId: record.tableId, code: validation.sourceRows === validation.localRows ? 'MIG041' : 'MIG040', message: `${validation.mismatchedRows} rows differ` }]);
}

/** In another state it has been moved meanwhile, and the result says nothing of where it is now. */
async function moveFrom({ catalog }: ClusterContext, { tableId }: TableRecord, from: TableState, to: TableState, why: { readonly trigger: string; readonly details?: Readonly<Record<string, unknown>>; readonly error?: string }): Promise<void> {
  try {
    if ((await catalog.table(tableId))?.state === from) await catalog.moveState(tableId, from, to, { ...why, ...withoutEpoch });
  } catch (error) {
    if (!(error instanceof MigrationError) || error.code !== 'MIG074') throw error;
  }
}
