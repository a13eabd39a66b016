/** What a change stream is made from. */
import type { Conflict, ConflictStrategy } from '../apply/conflict.ts';
import type { Position } from '../change.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { TablePlan } from '../table-plan.ts';

export interface ChangeStreamOptions {
  /** Names the stream's rows in the target's bookkeeping; unique per target. */
  readonly name: string;
  /** In a forward stream a table without intervals counts as open from the beginning, in a reverse one as closed. */
  readonly direction: 'forward' | 'reverse';
  readonly target: ServerAddress;
  /** A folder of this stream's own. */
  readonly spoolDirectory: string;
  /** Fencing token of the control process (RULES 14). */
  readonly token: bigint;
  readonly limits: StreamLimits;
  /** A target that cannot be reached for so long has its changes kept in the spool; default 10 s. */
  readonly offlineAfterMs?: number;
  /** Default `off`: what is visible is told apart from what is durable, and only the latter is confirmed. */
  readonly synchronousCommit?: 'on' | 'off' | 'local' | 'remote_write' | 'remote_apply';
  /** Called after the transaction that resolved the conflict has committed. */
  readonly onConflict: (conflict: Conflict) => void;
  /** A table left the shared tables or stopped; it keeps spooling. */
  readonly onError: (tableId: string, error: Error) => void;
  /** The source's definition differs from the plan's from `position` on (RULES 6). */
  readonly onSchemaChange: (tableId: string, change: SchemaChange) => void;
  /** Untagged change outside the table's authority (RULES 11). */
  readonly onBypassWrite?: (tableId: string, position: Position) => void;
  /** A row that won on the target could not be written to the source; it is tried again. Told once per row and connection. */
  readonly onWriteBackFailed?: (tableId: string, key: string, error: Error) => void;
  readonly onSkipped?: (skipped: SkippedChange) => void;
  readonly conflictStrategy: (tableId: string) => ConflictStrategy;
  /** Rows of the table may be marked on the target (`cdc/postgres/marks.ts`); left out: no table's are. */
  readonly mayHaveMarks?: (tableId: string) => boolean;
}

export interface StreamLimits {
  /** All tables' spools together; beyond it reading from the source stops until there is room. */
  readonly spoolBytes: number;
  /** Captured and not yet dispatched. */
  readonly bufferBytes: number;
  /** Changes in one target transaction; a larger source transaction is written in parts of this size. */
  readonly batchChanges: number;
  /** Longest time that changes are gathered while the target is busy. */
  readonly batchWaitMs: number;
}

export interface SchemaChange {
  readonly position: Position;
  /** One line per difference, for people. */
  readonly differences: readonly string[];
}

export interface SkippedChange {
  readonly tableId: string;
  readonly key: string | undefined;
  readonly position: Position;
  readonly error: Error | undefined;
}

/** A table as the catalog knows it, handed in after a restart before `run`. */
export interface RestoredTable {
  readonly plan: TablePlan;
  /** What is wanted; where the table really is, the target and the spool say. */
  readonly mode: 'spooling' | 'draining' | 'shared';
  /** As `setServed` was last told. */
  readonly isServed?: boolean;
  readonly intervals: readonly { readonly from: Position; readonly to: Position | undefined }[];
}
