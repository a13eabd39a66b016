/**
 * One table in a stream. Mode moves: spooling → draining → shared; shared → spooling (pause) or draining (an error: the table tries
 * by itself and fails at exactly the change at fault); draining → failed; failed → draining or spooling.
 */
import { parseLsn } from '../change.ts';
import type { Relation } from '../change.ts';
import type { TableStreamStatus } from '../ports.ts';
import { BY_DEFINITION } from '../spool/spool.ts';
import type { BaselineColumn, TableMeta } from '../spool/spool.ts';
import type { TableLog } from '../spool/table-log.ts';
import type { TablePlan } from '../table-plan.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import { isAuthoritative, sawTransaction } from './authority.ts';
import type { AuthorityInterval } from './authority.ts';

export class TableEntry {
  plan: TablePlan;
  mode: TableStreamStatus['mode'];
  intervals: readonly AuthorityInterval[];
  /** True once an interval was opened or closed by name: before that a forward table is open from the beginning. */
  hasIntervals: boolean;
  readonly isForward: boolean;
  /** The table is read on the target by clients who are told what is visible there. */
  isServed = false;
  /** An operator has paused it, or has to see to it: what is kept for it is bounded. */
  isStopped = false;
  /** Of an earlier process, and the spool knows nothing of it. */
  lacksMeta = false;
  /** While the table is not shared. */
  log: TableLog | undefined;
  meta: TableMeta;
  shape: TargetShape | undefined;
  /** Not shared: applied up to here, and where in the log that is. */
  applied = 0n;
  spoolOffset = 0;
  /** What the target holds of it: segments before it may go once that commit is durable. */
  savedOffset = 0;
  /** Conflicts count from transactions that commit at or after this (RULES 25). */
  consistentFrom: bigint | undefined;
  /** It left the shared tables for a transaction here: joining them before that has come again would be for nothing. */
  joinsAfter: bigint | undefined;
  /** Holds for the unit that is being prepared. */
  isStrict = false;
  error: Error | undefined;
  failedAt: bigint | undefined;
  /** Commit position and number of the change to be left out, when an operator said so. */
  readonly skip = new Set<string>();
  failedChange: string | undefined;
  failedKey: string | undefined;
  pendingRereads = 0;
  /** Counts re-reads done, so that a marker written before the last one is known to prove nothing (RULES 1). */
  rereadsDone = 0;
  /** Rows of the target that won, still to be written to the source (RULES 25). */
  pendingWritebacks = 0;
  /** Counts those that came, so that a count of the list that was overtaken is known to be old. */
  writebacksNoted = 0;
  spooledChanges = 0;
  drainedChanges = 0;
  sharedPending = 0;
  oldestPendingAtMs: number | undefined;
  conflicts = 0;
  bypassWrites = 0;
  readonly counts = { insert: 0, update: 0, delete: 0, truncate: 0 };

  constructor(plan: TablePlan, isForward: boolean, meta: TableMeta) {
    this.plan = plan;
    this.isForward = isForward;
    this.meta = meta;
    this.mode = 'spooling';
    this.intervals = [];
    this.hasIntervals = false;
    this.consistentFrom = meta.consistentFrom === undefined ? undefined : parseLsn(meta.consistentFrom);
  }

  get tableId(): string {
    return this.plan.tableId;
  }

  /** Changes of it are not there any more. */
  get isLost(): boolean {
    return this.meta.lost !== undefined;
  }

  get isShared(): boolean {
    return this.mode === 'shared';
  }

  /** False for changes outside the table's authority, and those that the copy's snapshot holds. */
  delivers(commitLsn: bigint, transactionId: number): 'yes' | 'bypass' | 'copied' {
    if (this.meta.baseSnapshot !== undefined && sawTransaction(this.meta.baseSnapshot, transactionId)) return 'copied';
    if (!this.hasIntervals) return this.isForward ? 'yes' : 'bypass';
    return isAuthoritative(this.intervals, commitLsn) ? 'yes' : 'bypass';
  }

  isStrictAt(commitLsn: bigint): boolean {
    return this.consistentFrom !== undefined && commitLsn >= this.consistentFrom;
  }

  status(nowMs: number, silentMs: number | undefined): TableStreamStatus {
    const logged = Math.max(this.spooledChanges - this.drainedChanges, this.log && this.spoolOffset < this.log.wholeEndOffset ? 1 : 0);
    const pendingChanges = this.isShared ? this.sharedPending : logged;
    const lagMs = pendingChanges > 0 && this.oldestPendingAtMs !== undefined ? Math.max(0, nowMs - this.oldestPendingAtMs) : (silentMs ?? 0);
    return {
      mode: this.mode, pendingChanges, spoolBytes: this.log?.bytes ?? 0, applied: { ...this.counts }, conflicts: this.conflicts,
      bypassWrites: this.bypassWrites, lagMs, pendingRereads: this.pendingRereads, pendingWritebacks: this.pendingWritebacks, error: this.error, needsResync: this.isLost, loadsAnew: this.isLost && this.meta.isCopyLost === true,
    };
  }
}

/** Lines that say how the source's definition differs from what the plan was made from; empty when it does not. */
export function definitionDifferences(plan: TablePlan, baseline: readonly BaselineColumn[] | undefined, relation: Pick<Relation, 'columns'>): string[] {
  // A source says so by a description of nothing.
  if (relation.columns.length === 0) return ['its rows were replaced, or cannot be told any more from what its definition says now: RESYNC MIGRATION for the table loads it again'];
  const differences: string[] = [];
  const now = new Map(relation.columns.map((column) => [column.name, column]));
  for (const column of plan.columns) {
    const found = now.get(column.name);
    if (!found) differences.push(`column ${column.name} is gone`);
    else if (found.typeOid !== column.typeOid && !(baseline && found.typeOid === BY_DEFINITION)) differences.push(`column ${column.name} has another type (was ${column.type})`);
  }
  if (!baseline) return differences;
  const before = new Map(baseline.map((column) => [column.name, column]));
  for (const column of relation.columns) {
    const was = before.get(column.name);
    if (!was) differences.push(`column ${column.name} is new`);
    else if ((was.typeOid === column.typeOid || column.typeOid === BY_DEFINITION) && was.typmod !== column.typmod) differences.push(`column ${column.name} has another ${column.typeOid === BY_DEFINITION ? 'type' : 'length or precision'}`);
  }
  return differences;
}
