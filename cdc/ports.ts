/**
 * The contracts between the migration control (`src/migrate`) and the change path. The documentation here is the contract;
 * every implementation passes the suites in `test/contract`.
 */
import type { Position } from './change.ts';
import type { TablePlan } from './table-plan.ts';

/**
 * One direction of change flow between two servers: capture on the one, spool on disk, apply on the other.
 *
 * A table is in one of these modes:
 * `spooling` (changes are written to the spool, nothing is applied: the table is loading or paused) →
 * `draining` (the spool is being applied by itself) → `shared` (applied with all other shared tables, whole source
 * transactions in commit order); `failed` keeps spooling and names its error, unless its changes are lost.
 */
export interface ChangeStream {
  readonly name: string;
  /**
   * Runs until aborted; throws to be run again (a lost connection), and throws a `MigrationError` that is not retryable when
   * positions show a gap or a fork (RULES 7).
   */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Puts the table into the capture and starts spooling. Resolves when every change of the table that commits from now on will be
   * delivered, and every transaction that wrote the table before that has ended: rows read after this call, plus the
   * spooled changes, miss nothing (DESIGN §5 "Position first"). Idempotent.
   */
  addTable(plan: TablePlan): Promise<Position>;
  /** Takes the table out; its spool is deleted. Idempotent. */
  removeTable(tableId: string): Promise<void>;
  /** `spooling` or `failed` → `draining`. */
  startDraining(tableId: string): Promise<void>;
  /** `draining`, `shared` or `failed` → `spooling`; resolves once nothing of the table is being applied. */
  pauseTable(tableId: string): Promise<void>;
  /** A new plan for a table that is spooling or failed, after its definition changed; the table is then `spooling`. */
  replan(plan: TablePlan): Promise<void>;
  /** Leaves out the change that the table failed on, and goes on; the change is logged as a skipped row. */
  skipFailedChange(tableId: string): Promise<void>;
  /**
   * Whether clients read these tables on the target, and rely on what is told to be visible. While one of them is not shared and has not
   * caught up by itself, whatever the reason, nothing more is told.
   */
  setServed(tableIds: readonly string[], isServed: boolean): void;
  /** Just these tables wait for an operator. When the spool takes no more, what is kept for them, and for those that have failed, gives way to the others. */
  setStopped(tableIds: ReadonlySet<string>): void;
  status(tableId: string): TableStreamStatus | undefined;
  /** Writes a marker into the captured server's stream and returns its token (a position would not prove it was delivered). */
  writeMarker(): Promise<string>;
  /**
   * Resolves with the marker's position once the marker has come out of the stream and everything before it, of these tables, is
   * visible on the target. Rejects with MIG087 after `timeoutMs`, with the table's error when one fails, and with the signal's reason.
   */
  waitForMarker(token: string, tableIds: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<Position>;
  /** Where the captured server's log ends now: at or behind every commit that it has acknowledged. */
  readEnd(): Promise<Position>;
  /** Called on every advance, in order; see `VisibleAdvance`. Returns the way to stop it. */
  onVisible(listener: (advance: VisibleAdvance) => void): () => void;
  /**
   * Authority of a table by position (RULES 11): changes of the table are delivered only if their commit lies in an interval
   * that was opened and not closed before it. Untagged changes outside are counted as bypass writes and not applied.
   */
  openInterval(tableId: string, from: Position): Promise<void>;
  closeInterval(tableId: string, to: Position): Promise<void>;
  health(): StreamHealth;
  /** Removes slot, publication and every record of the stream on both servers. Not while it runs; idempotent, and `run` begins anew. */
  drop(): Promise<void>;
  /** What the target has to have for what is visible of these tables now to be there: for `assertSaved`. */
  savedPositions(tableIds: readonly string[]): SavedPositions;
}

/** Everything that committed on the captured server up to `position` is visible on the target, for shared tables. */
export interface VisibleAdvance {
  readonly position: Position;
  /** Transaction ids of the captured server that became visible with this advance, in commit order. */
  readonly transactionIds: readonly number[];
  /** The target may have lost what was visible: nothing is, until later advances say so. `position` means nothing then. */
  readonly isReset?: boolean;
}

/** Positions that the target's own bookkeeping has reached: of the shared tables, and of those that are applied by themselves. */
export interface SavedPositions {
  readonly stream: string;
  readonly shared: bigint;
  readonly tables: readonly { readonly tableId: string; readonly lsn: bigint }[];
}

export interface TableStreamStatus {
  readonly mode: 'spooling' | 'draining' | 'shared' | 'failed';
  /** Changes captured and not yet applied. */
  readonly pendingChanges: number;
  readonly spoolBytes: number;
  readonly applied: { readonly insert: number; readonly update: number; readonly delete: number; readonly truncate: number };
  readonly conflicts: number;
  readonly bypassWrites: number;
  /** Age of the oldest change not yet visible, else the time since the source was last heard of when it is silent. */
  readonly lagMs: number;
  /** Rows that still have to be read again (RULES 1). */
  readonly pendingRereads: number;
  /** Rows of the target that won a conflict and still have to be written to the source (RULES 25). */
  readonly pendingWritebacks: number;
  readonly error: Error | undefined;
  /** Changes of the table are lost, and `error` says why: it is `failed` until it is taken out and loaded again. */
  readonly needsResync: boolean;
  /** Of these: nothing but its copy is in doubt, and to load it again is all that there is to do. */
  readonly loadsAnew: boolean;
}

export interface StreamHealth {
  readonly connected: boolean;
  readonly lastError: Error | undefined;
  /** Connected, and not reading: the spool takes no more. */
  readonly blockedBy: Error | undefined;
  /** Three positions, three names (DESIGN §5). */
  readonly durable: Position | undefined;
  readonly visible: Position | undefined;
  readonly resume: Position | undefined;
  readonly spoolBytes: number;
  readonly spoolLimit: number;
  /** Of these, kept for tables that wait for an operator. */
  readonly stoppedBytes: number;
  /** WAL that the slot holds back on the captured server. */
  readonly retainedBytes: number | undefined;
}

/** Copies a table's existing rows. Safe to call again after any failure: finished chunks are not read twice. */
export interface TableLoader {
  load(plan: TablePlan, options: LoadOptions, progress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<LoadResult>;
  /** Forgets the chunks of a table, so that the next load starts from nothing. */
  forget(tableId: string): Promise<void>;
}

export interface LoadOptions {
  readonly parallelWorkers: number;
  /** Rows per chunk, a target: chunks are also bounded in bytes. */
  readonly batchSize: number;
  /** 0 = unlimited. */
  readonly rateLimitRowsPerSecond: number;
  /** Rows that may fail to be written before the load gives up; they are logged one by one. 0 = none. */
  readonly maxErrors: number;
  readonly skipOnError: boolean;
  /** Column that orders the chunks; default: the key. */
  readonly orderBy: string | undefined;
  /** Rows in the target that no load of this table has written: `refuse` (default, MIG074) or `clear` them before the first chunk. */
  readonly existingRows?: 'refuse' | 'clear';
}

export interface LoadProgress {
  /** An estimate until the load ends. */
  readonly rowsTotal: number;
  readonly rowsLoaded: number;
  readonly bytesLoaded: number;
}

export interface LoadResult extends LoadProgress {
  readonly elapsedMs: number;
  readonly rowsSkipped: number;
  /** Rows that could not be written, the first `maxErrors` of them. */
  readonly errors: readonly { readonly key: string; readonly message: string }[];
}
