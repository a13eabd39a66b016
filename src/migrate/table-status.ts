/** A table's migration in figures: what SHOW MIGRATION STATUS, WHY and the metrics tell. Pure but for the reading. */
import type { TableRecord } from '../../catalog/records.ts';
import type { TableStreamStatus } from '../../cdc/ports.ts';
import type { ControlContext } from './control-context.ts';
import type { LoadRate } from './load-rates.ts';
import { detailsOf, displayName } from './table-details.ts';

export interface TableStatus {
  readonly record: TableRecord;
  readonly name: string;
  /** Of the stream that is at work: reverse once local is the authority. */
  readonly stream: TableStreamStatus | undefined;
  readonly rate: LoadRate | undefined;
  readonly lagMs: number | undefined;
  readonly next: string;
}

export async function tableStatus(context: ControlContext, record: TableRecord): Promise<TableStatus> {
  const flow = await context.flow(record.sourceServer);
  const stream = record.route.writes === 'local' ? flow.reverse.status(record.tableId) : flow.forward.status(record.tableId);
  const isStreaming = record.state !== 'NOT_STARTED' && record.state !== 'BULK_LOADING' && record.completedAt === undefined;
  return {
    record, name: displayName(record.source), stream,
    rate: record.state === 'BULK_LOADING' ? flow.rates.rate(record.tableId) : undefined,
    lagMs: isStreaming ? stream?.lagMs : undefined,
    next: nextStep(record),
  };
}

/** The command that comes next, or what is being waited for. */
export function nextStep(record: TableRecord): string {
  const name = displayName(record.source);
  if (detailsOf(record).needsResync === true && (record.state === 'ERROR' || record.state === 'PAUSED')) return `RESYNC MIGRATION FOR TABLE ${name};`;
  switch (record.state) {
    case 'NOT_STARTED':
      return `START MIGRATION FOR TABLE ${name} FROM ${record.sourceName};`;
    case 'BULK_LOADING':
      return 'wait: rows are being copied';
    case 'SYNCHRONIZING':
      return detailsOf(record).indexesBuilt === true ? 'wait: catching up' : 'wait: catching up, then indexes are built';
    case 'DUAL_WRITE':
      if (detailsOf(record).readsHeld === true) return `CHECK MIGRATION FOR TABLE ${name} FROM ${record.sourceName}; (reads stay on the source)`;
      return `VALIDATE MIGRATION FOR TABLE ${name} FULL;`;
    case 'CUTOVER_READY':
      if (detailsOf(record).readsHeld === true) return `CHECK MIGRATION FOR TABLE ${name} FROM ${record.sourceName}; (reads stay on the source)`;
      return `CUTOVER TABLE ${name};`;
    case 'LOCAL_ONLY':
      if (record.completedAt !== undefined) return 'nothing: complete';
      return detailsOf(record).noRollback === true ? `COMPLETE MIGRATION FOR TABLE ${name};` : `COMPLETE MIGRATION FOR TABLE ${name}; (or ROLLBACK MIGRATION)`;
    case 'ROLLBACK':
      return 'wait: going back to the source';
    case 'PAUSED':
      return `RESUME MIGRATION FOR TABLE ${name};`;
    case 'ERROR':
      return `SHOW MIGRATION WHY FOR TABLE ${name};`;
    default:
      return record.state satisfies never;
  }
}
