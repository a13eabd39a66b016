/** Runs one validation of one table and keeps its result; a full one that passes makes the table CUTOVER_READY. */
import { randomUUID } from 'node:crypto';
import type { TableRecord, ValidationRecord } from '../../catalog/records.ts';
import type { RepairResult, RepairStrategy } from '../../cdc/validate/repair.ts';
import type { ValidationReport } from '../../cdc/validate/validation-report.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ControlContext } from './control-context.ts';
import { assertSameDefinition } from './definition-drift.ts';
import type { SourceFlow } from './source-flow.ts';
import { detailsOf, displayName } from './table-details.ts';

export interface ValidationRequest {
  readonly record: TableRecord;
  /** 100 = every chunk. */
  readonly percent: number;
  /** A sample may make the table ready because the operator asked for one. */
  readonly askedForSample: boolean;
  readonly repair: RepairStrategy | undefined;
  readonly signal: AbortSignal;
  /** Only the rows of this predicate; such a validation says nothing about the table as a whole. */
  readonly where?: string;
}

export interface ValidationOutcome {
  readonly record: ValidationRecord;
  readonly report: ValidationReport;
  readonly repair: RepairResult | undefined;
}

/** Rows that kept changing are proved by the drain of the cutover; more of them than this say nothing about the table (RULES 29). */
const MAX_UNSETTLED = 1_000;
const SETTLE_TIMEOUT_MS = 120_000;

export async function runValidation(context: ControlContext, request: ValidationRequest): Promise<ValidationOutcome> {
  const { catalog, runtime } = context;
  const { record } = request;
  assertComparable(record);
  const flow = await context.flow(record.sourceServer);
  if (record.route.writes === 'source') await assertSameDefinition(flow, record);
  const started: ValidationRecord = {
    validationId: randomUUID(), tableId: record.tableId, mode: request.percent >= 100 ? 'full' : 'sample',
    samplePercent: request.percent >= 100 ? undefined : request.percent, passed: undefined, sourceRows: undefined, localRows: undefined,
    chunks: 0, mismatchedChunks: 0, mismatchedRows: 0, unsettledRows: 0, details: {}, startedAt: new Date(runtime.clock.now()).toISOString(), finishedAt: undefined,
  };
  await catalog.putValidation(started);
  const { report, repair } = await compare(context, flow, request);
  const finished = conclude(started, report, new Date(runtime.clock.now()).toISOString());
  await catalog.putValidation(finished);
  await catalog.putValidationChunks(finished.validationId, report.chunks.map((chunk, chunkNo) => ({
    chunkNo, lowerBound: JSON.stringify(chunk.range), upperBound: undefined, sourceChecksum: undefined, localChecksum: undefined,
    rowCount: chunk.rowsSource, position: chunk.result === 'equal' ? { type: 'postgresql_lsn', lsn: chunk.position } : undefined,
  })));
  await catalog.appendHistory({ tableId: record.tableId, eventType: 'validation', details: { mode: finished.mode, passed: finished.passed, rows: report.rowsSource, mismatches: finished.mismatchedRows, durationMs: report.durationMs } });
  await afterwards(context, record, finished, request);
  return { record: finished, report, repair };
}

function assertComparable(record: TableRecord): void {
  if (record.state === 'DUAL_WRITE' || record.state === 'CUTOVER_READY' || record.state === 'LOCAL_ONLY' || record.state === 'SYNCHRONIZING') return;
  throw new MigrationError('MIG074', `${displayName(record.source)} is ${record.state}: there is nothing to compare yet`, { hint: `SHOW MIGRATION WHY FOR TABLE ${displayName(record.source)};` });
}

async function compare(context: ControlContext, flow: SourceFlow, request: ValidationRequest): Promise<{ report: ValidationReport; repair: RepairResult | undefined }> {
  const { record, signal } = request;
  const { runtime } = context;
  const whole = detailsOf(record).plan;
  const where = [whole.where, request.where].filter((part) => part !== undefined).map((part) => `(${part})`).join(' AND ');
  const plan = { ...whole, where: where === '' ? undefined : where };
  const stream = record.route.writes === 'local' ? flow.reverse : flow.forward;
  const settle = async (timeoutMs = SETTLE_TIMEOUT_MS): Promise<void> => {
    const token = await stream.writeMarker();
    await stream.waitForMarker(token, [record.tableId], timeoutMs);
  };
  const report = await flow.comparer.compare({
    plan, signal, authority: record.route.writes, maxListed: request.repair === undefined ? 100 : 10_000, monotonicMs: () => runtime.clock.monotonicMs(),
    mode: request.percent >= 100 ? { type: 'full' } : { type: 'sample', percent: request.percent, seed: runtime.clock.now() % 1_000_000 },
    settle: () => settle(),
  });
  const repair = request.repair === undefined || report.isEqual ? undefined : await flow.comparer.repair({
    plan, mismatches: report.mismatches, strategy: request.repair, authority: record.route.writes, settle, token: String(context.catalog.token ?? ''), signal,
    stream: request.repair === 'COPY_TO_SOURCE' ? flow.reverse.name : flow.forward.name,
  });
  return { report, repair };
}

function conclude(started: ValidationRecord, report: ValidationReport, finishedAt: string): ValidationRecord {
  const mismatchedRows = report.counts.MISSING_LOCAL + report.counts.MISSING_REMOTE + report.counts.VALUE_DIFF;
  return {
    ...started, finishedAt, passed: report.isEqual && report.unsettled.length <= MAX_UNSETTLED, sourceRows: report.rowsSource, localRows: report.rowsLocal,
    chunks: report.chunks.length, mismatchedChunks: report.chunks.filter((chunk) => chunk.result === 'different' || chunk.result === 'unread').length,
    mismatchedRows, unsettledRows: report.unsettled.length,
    details: { counts: report.counts, mismatches: report.mismatches.slice(0, 20), durationMs: report.durationMs, rowsPerSecond: report.rowsPerSecond, method: report.method },
  };
}

async function afterwards(context: ControlContext, record: TableRecord, validation: ValidationRecord, request: ValidationRequest): Promise<void> {
  const { catalog, publisher } = context;
  const fresh = await catalog.table(record.tableId);
  if (!fresh) return;
  if (request.where !== undefined) return;
  const enough = validation.mode === 'full' || request.askedForSample;
  if (validation.passed === true && enough && fresh.state === 'DUAL_WRITE') {
    await catalog.moveState(fresh.tableId, 'DUAL_WRITE', 'CUTOVER_READY', { trigger: 'validation passed', details: { validationId: validation.validationId, mode: validation.mode } });
    await publisher.publish();
  }
  if (validation.passed === false && fresh.state === 'CUTOVER_READY') {
    await catalog.moveState(fresh.tableId, 'CUTOVER_READY', 'DUAL_WRITE', { trigger: 'validation failed', error: `MIG041: ${validation.mismatchedRows} rows differ` });
    await publisher.publish();
  }
  if (validation.passed === false) {
    const code = validation.sourceRows === validation.localRows ? ('MIG041' as const) : ('MIG040' as const);
    await catalog.insertErrors([{ tableId: fresh.tableId, code, message: `${validation.mismatchedRows} rows differ` }]);
  }
}
