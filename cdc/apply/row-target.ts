/**
 * Rows of a target within the transaction that its applier has opened: what replaying and settling conflicts ask for, whatever the engine. Savepoints
 * are the same SQL everywhere.
 */
import type { Statement } from './apply-connection.ts';
import type { ErrorRemedy } from './apply-error.ts';
import type { BoundColumn } from './bound-table.ts';
import type { RowImage } from './conflict.ts';
import type { Step } from './fold.ts';
import type { RowRef } from './row-set.ts';
import type { StepRun } from './run-steps.ts';
import type { TableBinding } from './table-binding.ts';

/** A row of the target that stays, and the source's that lost. */
export interface Winner {
  /** JSON array of the key's values. */
  readonly key: string;
  readonly local: RowImage;
  readonly remote: RowImage;
}

export interface RowTarget {
  send(statement: Statement): Promise<unknown>;
  runSteps(steps: readonly Step[], run: StepRun): Promise<void>;
  /** Ordinals (1-based) of the rows whose key the target does not hold. */
  missingOrdinals(table: TableBinding, rows: readonly RowRef[]): Promise<readonly number[]>;
  /** The target's rows by ordinal (1-based), in the form of the relation's tuples; values that are not carried are left out. */
  fetchRows(table: TableBinding, rows: readonly RowRef[]): Promise<ReadonlyMap<number, RowRef>>;
  deleteRow(table: TableBinding, row: RowRef): Promise<void>;
  /** To be read from the source again (RULES 1). */
  noteReread(table: TableBinding, rows: readonly RowRef[], run: StepRun): Promise<void>;
  /** To be written to the source once this is committed. A later conflict of the same row takes the place of the earlier one. */
  noteWinners(table: TableBinding, winners: readonly Winner[]): Promise<void>;
  /** Whether the one value of the column is larger than the other. */
  isLarger(column: BoundColumn, value: string | null, other: string | null): Promise<boolean>;
  /** By a function of the target's (`conflict_strategy 'custom_merge'`); values in the order of the binding's columns. */
  mergeRows(table: TableBinding, functionName: string, local: RowRef | undefined, remote: RowRef): Promise<readonly (string | null)[]>;
  remedyOf(error: unknown): ErrorRemedy;
  /** Another row holds a key that the row needs. */
  isUniqueViolation(error: unknown): boolean;
}
