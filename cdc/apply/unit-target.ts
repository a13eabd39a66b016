/** What an applier asks of the connection that it has to itself. */
import type { Statement } from './apply-connection.ts';
import type { ChangeRecord } from './change-record.ts';
import type { Step } from './fold.ts';
import type { HeededUnit } from './marks.ts';
import type { RowTarget } from './row-target.ts';
import type { PreparedSet, StepRun } from './run-steps.ts';
import type { TableBinding } from './table-binding.ts';

export interface StatementOutcome {
  /** Rows that were found, whether they were changed or not. */
  readonly rowCount: number | null;
  /** The server's word for what it has done: `ROLLBACK` to a COMMIT is none. */
  readonly command: string;
}

export interface UnitTarget {
  readonly rows: RowTarget;
  /** Does not wait for what was sent before; what is behind a statement that failed is undone with it. */
  send(statement: Statement): Promise<StatementOutcome>;
  /** Encodes steps ahead, while the connection is busy; undefined where they are run as they are. */
  prepareSets(steps: readonly Step[], isStrict: (table: TableBinding) => boolean): readonly PreparedSet[] | undefined;
  /** Sends what was prepared without waiting for anything; what it gives back waits, and throws as `RowTarget.runSteps` does. */
  sendSets(sets: readonly PreparedSet[]): (run: StepRun) => Promise<void>;
  /** Undefined when nothing of the unit is marked, or nothing ever is here (RULES 24). */
  heedMarks(records: readonly ChangeRecord[], skipped: readonly ChangeRecord[], mayHaveMarks: (tableId: string) => boolean): Promise<HeededUnit | undefined>;
}
