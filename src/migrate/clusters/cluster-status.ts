/** A table's move between clusters in figures: for SHOW MIGRATION STATUS and WHY. */
import type { TableRecord } from '../../../catalog/records.ts';
import { nextStep } from '../table-status.ts';
import { clusterDetails, clusterName } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import type { TableAtProxy } from './proxy-port.ts';

export interface ClusterStatus {
  readonly record: TableRecord;
  readonly name: string;
  /** Undefined while the proxy is away. */
  readonly at: TableAtProxy | undefined;
  readonly rowsPerSecond: number | undefined;
  readonly remainingMs: number | undefined;
  /** Age of the oldest write in the proxy's log. */
  readonly lagMs: number | undefined;
  readonly next: string;
}

/** Without `context` the settings have no clusters any more: what the catalog has is shown all the same. */
export async function clusterStatus(context: ClusterContext | undefined, record: TableRecord): Promise<ClusterStatus> {
  const isOver = record.state === 'NOT_STARTED' || record.completedAt !== undefined;
  const at = isOver ? undefined : await context?.proxy.table(clusterName(record)).catch(() => undefined);
  const load = record.state === 'BULK_LOADING' ? context?.progress.get(record.tableId) : undefined;
  return {
    record, name: clusterName(record), at, rowsPerSecond: load?.rowsPerSecond, remainingMs: load?.remainingMs,
    lagMs: at === undefined || record.state === 'BULK_LOADING' ? undefined : at.oldestQueuedMs, next: nextClusterStep(record),
  };
}

export function nextClusterStep(record: TableRecord): string {
  const name = clusterName(record);
  if (clusterDetails(record).needsResync === true && record.route.writes === 'source') return `RESYNC MIGRATION FOR TABLE ${name};`;
  if (record.state === 'SYNCHRONIZING') return 'wait: the target is sent what it is owed';
  return nextStep(record);
}
