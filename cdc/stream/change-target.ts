/**
 * What a stream asks of the server that it applies to. Everything that knows how that engine is written to, and how the stream's own rows are kept
 * there, hides behind it; nothing else of the stream asks which engine it is.
 *
 * A transaction that applies has one of the moves as its first change: so the position is where the changes are, exactly once, and the
 * capture of the other direction knows the transaction by it (RULES 11). A move that finds no row under the fencing token ends the stream (MIG092).
 */
import type { ApplierOptions, ApplyOutcome, ApplyUnit, PreparedUnit } from '../apply/applier.ts';
import type { Statement } from '../apply/apply-connection.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ChangeSource, ServerEngine, SourceIdentity } from './change-source.ts';

/** Of the stream as a whole. */
export interface StreamRow {
  readonly lsn: bigint;
  readonly spoolId: string | undefined;
  readonly spoolEnd: bigint;
  readonly systemId: string | undefined;
  readonly timeline: number | undefined;
}

/** Of a table that is in the stream. */
export interface TableRow {
  readonly tableId: string;
  readonly mode: 'private' | 'shared';
  readonly lsn: bigint;
  readonly spoolOffset: number;
}

/** Statements of the stream's own for transactions that apply. */
export interface TargetMoves {
  /** Moves the shared position. */
  shared(lsn: bigint, spoolEnd: bigint): Statement;
  /** Tags a shared transaction whose position is not known yet: its end has not been captured. */
  tagShared(): Statement;
  /** Tags a transaction of a table that applies by itself. */
  tagPrivate(tableId: string, lsn: bigint): Statement;
  /** Moves the position of a table that applies by itself; behind its tag. */
  private(tableId: string, lsn: bigint, spoolOffset: number): Statement;
  /** Joins or leaves the shared tables at `lsn` (RULES 4); `spoolOffset`: where its log is read from then on, 0 unless given. */
  membership(tableId: string, mode: 'private' | 'shared', lsn: bigint, spoolOffset?: number): Statement;
  /** The commit of this transaction is to outlive a crash of the server. */
  readonly durably: readonly Statement[];
}

/** A row that won on the target, as the list has it (RULES 25). */
export interface ListedWinner {
  readonly key: string;
  readonly local: string;
  readonly remote: string;
}

/** One connection that applies. */
export interface TargetConnection {
  readonly applier: UnitApplier;
  countRereads(tableId: string): Promise<number>;
  /** Reads the table's listed rows from the source again; returns how many are still on the list (a unique key was in the way). */
  reread(source: ChangeSource, plan: TablePlan, shape: TargetShape): Promise<number>;
  /** Called once when the connection ends, whoever ends it. */
  onEnd(listener: () => void): void;
  close(): Promise<void>;
}

export interface UnitApplier {
  /** Touches neither the connection nor the applier's state, so it may run while another unit is applied. */
  prepare(unit: ApplyUnit): PreparedUnit;
  /** Resolves when the unit is committed, or, when it does not end its transaction, written. */
  apply(prepared: PreparedUnit): Promise<ApplyOutcome>;
  /** Rolls back what is open. */
  abandon(): Promise<void>;
}

export interface ChangeTarget {
  readonly engine: ServerEngine;
  readonly moves: TargetMoves;
  /** Makes what the stream keeps here. Idempotent. */
  prepare(): Promise<void>;
  /** Whether the server lets one in. */
  answers(): Promise<boolean>;
  readStream(): Promise<StreamRow | undefined>;
  /** Makes the stream's row when it is not there yet. */
  insertStream(lsn: bigint, spoolId: string): Promise<void>;
  /** Takes the stream over from an older control process; waits for its transactions to end (RULES 14). MIG092. */
  raiseTokens(): Promise<void>;
  saveSource(source: SourceIdentity, spoolId: string): Promise<void>;
  readTables(): Promise<readonly TableRow[]>;
  /** In a transaction of its own. */
  setMembership(tableId: string, mode: 'private' | 'shared', lsn: bigint): Promise<void>;
  /** Durably: a shared table is one that applies by itself from the last committed boundary on. Waits for a transaction whose end was not heard of. */
  leaveShared(tableId: string): Promise<void>;
  /**
   * Durably: the shared tables are ones that apply by themselves from where they stand, and the shared position is at least `spooled`. MIG021 when they
   * stand before `from`. `logStart`: where what is left of a table's log begins.
   */
  leaveAllShared(from: bigint, spooled: bigint, logStart: (tableId: string) => number): Promise<void>;
  /** Everything of the table but its rows. */
  forgetTable(tableId: string): Promise<void>;
  /** Everything that was committed before outlives a crash of the server. */
  makeDurable(): Promise<void>;
  /** What is read before anything of the table is applied, by each connection anew. MIG010, MIG011. */
  readShape(plan: TablePlan): Promise<TargetShape>;
  countRereads(tableId: string): Promise<number>;
  countWinners(tableId: string): Promise<number>;
  /** In the order of their keys, behind `after`. */
  listWinners(tableId: string, after: string, limit: number): Promise<readonly ListedWinner[]>;
  /** Off the list, unless another conflict of the row has taken its place there. */
  removeWinner(tableId: string, winner: ListedWinner): Promise<void>;
  /** Rows as they are now, by the ordinal (1-based) of their key. */
  fetchRows(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowRef>>;
  /** `name`: of the connection, for those who look at the server. */
  connect(name: string, options: ApplierOptions): Promise<TargetConnection>;
  /** Everything of the stream leaves the server; tells of the tables that it had. Idempotent. */
  drop(): Promise<readonly string[]>;
  close(): Promise<void>;
}
