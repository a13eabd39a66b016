/** VALIDATE MIGRATION … [FULL] [SAMPLE p] [REPAIR …] and RESYNC … WHERE. */
import type { TableRecord } from '../../../catalog/records.ts';
import type { RepairStrategy } from '../../../cdc/validate/repair.ts';
import type { ValidateMigration, ValidationExtent } from '../../../grammar/migration/statement.ts';
import { displayName } from '../table-details.ts';
import { runValidation } from '../validation-run.ts';
import type { ValidationOutcome } from '../validation-run.ts';
import { notice, table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { recordsOf } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandNotice } from '../fleet-messages.ts';

export async function validate(context: CommandContext, statement: ValidateMigration): Promise<SuccessfulAnswer> {
  const records = await recordsOf(context, statement.scope);
  const outcomes: (readonly [TableRecord, ValidationOutcome])[] = [];
  const notices: CommandNotice[] = [];
  for (const record of records) {
    if (statement.scope.type !== 'table' && (record.state === 'BULK_LOADING' || record.state === 'PAUSED' || record.state === 'ERROR' || record.state === 'ROLLBACK')) {
      notices.push(notice(`${displayName(record.source)} is ${record.state} and was left out`));
      continue;
    }
    const outcome = await runValidation(context, {
      record, percent: percentOf(context, record, statement.extent), askedForSample: statement.extent.type === 'sample',
      repair: statement.repair?.toUpperCase() as RepairStrategy | undefined, signal: context.runtime.signal,
    });
    outcomes.push([record, outcome]);
    notices.push(...mismatchNotices(record, outcome));
  }
  const rows = await Promise.all(outcomes.map(async ([record, { record: result, report, repair }]) => [
    displayName(record.source), result.passed === true ? 'PASS' : 'FAIL', result.mode === 'full' ? 'FULL' : `SAMPLE ${result.samplePercent}`,
    report.rowsSource, report.rowsLocal, result.chunks, result.mismatchedRows, result.unsettledRows, Math.round(report.durationMs), report.rowsPerSecond,
    repair === undefined ? '-' : `${repair.written} written, ${repair.deleted} deleted, ${repair.left} left`,
    (await context.catalog.table(record.tableId))?.state,
  ] as const));
  return table('VALIDATE MIGRATION', [
    ['Table'], ['Result'], ['Mode'], ['Source Rows', 'int8'], ['Local Rows', 'int8'], ['Chunks', 'int8'], ['Mismatches', 'int8'], ['Unsettled', 'int8'], ['Time (ms)', 'int8'], ['Rows/s', 'int8'], ['Repair'], ['State'],
  ], rows, notices);
}

function percentOf(context: CommandContext, record: TableRecord, extent: ValidationExtent): number {
  switch (extent.type) {
    case 'full':
      return 100;
    case 'sample':
      return extent.percent ?? context.samplePercent;
    case 'default': {
      const part = record.options['validationSample'];
      return typeof part === 'number' ? part * 100 : 100;
    }
    default:
      return extent satisfies never;
  }
}

function mismatchNotices(record: TableRecord, outcome: ValidationOutcome): CommandNotice[] {
  return outcome.report.mismatches.slice(0, 10).map((mismatch) =>
    warning(`${displayName(record.source)} (${mismatch.key.join(', ')}): ${mismatch.type}${mismatch.columns.length === 0 ? '' : ` in ${mismatch.columns.join(', ')}`}`,
      `source: ${mismatch.source === undefined ? 'no row' : JSON.stringify(mismatch.source)}\nlocal: ${mismatch.local === undefined ? 'no row' : JSON.stringify(mismatch.local)}`));
}

/** RESYNC … WHERE: only the rows of the predicate are compared, and copied from the source where they differ. */
export async function resyncRows(context: CommandContext, record: TableRecord, where: string): Promise<SuccessfulAnswer> {
  const outcome = await runValidation(context, { record, percent: 100, askedForSample: false, repair: 'COPY_FROM_SOURCE', signal: context.runtime.signal, where });
  return table('RESYNC MIGRATION', [['Table'], ['Rows compared', 'int8'], ['Differed', 'int8'], ['Written', 'int8'], ['Deleted', 'int8']], [[
    displayName(record.source), outcome.report.rowsSource, outcome.record.mismatchedRows, outcome.repair?.written ?? 0, outcome.repair?.deleted ?? 0,
  ]]);
}
