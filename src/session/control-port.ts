/**
 * What the query path asks of the migration control; `src/main` fills it in (in one process for tests, over a socket for
 * gateway workers). Sessions never touch the catalog.
 */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { MigrationError } from '../../config/migration-error.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';

export interface ControlPort {
  /** The newest snapshot; replaced whole. Read synchronously on the hot path. */
  readonly snapshot: RoutingSnapshot;
  /**
   * False when the control process has not been heard of for a lease time: dual-written tables are then read from the source,
   * and quiescing tables stay parked (RULES 15).
   */
  readonly leaseValid: boolean;
  /** True for a server of CREATE SERVER at the gateway: other servers are the database's own. */
  hasServer(name: string): boolean;
  onChange(listener: () => void): () => void;
  /** Runs one migration statement, or a SELECT over SYS$ tables. Rejects with MigrationError. */
  command(request: CommandRequest): Promise<CommandResult>;
  /** What the translation of statements has to know of a table of another engine, by its key in the snapshot; undefined while it is not known here. */
  tableFacts(key: string): MigratedTable | undefined;
  /** Asks for those of them that are not known here. `done` comes once, never from within: with an error when some cannot be had. */
  loadTableFacts(keys: readonly string[], done: (error: MigrationError | undefined) => void): void;
  readonly visibility: VisibilityTracker;
  /**
   * The same for tables of a MySQL server, by their keys in the snapshot: calls back once local shows everything that the server has committed by now. Returns a cancel
   * function; the callback comes at most once.
   */
  whenCaughtUp(tables: readonly string[], callback: () => void): () => void;
  /** Routing decisions are counted in the worker and sent in batches: per table and route. */
  countRoute(table: string, route: string): void;
}

export interface CommandRequest {
  readonly sql: string;
  readonly user: string;
  readonly clientAddress: string;
  readonly sessionId: string;
  readonly searchPath: readonly string[];
}

/** Rows as text, the way a simple query answers. Types are PostgreSQL type OIDs. */
export interface CommandResult {
  readonly tag: string;
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly notices?: readonly { readonly severity: 'NOTICE' | 'WARNING' | 'INFO'; readonly message: string; readonly detail?: string; readonly hint?: string }[];
}

/**
 * How far local shows what the source has committed. Callbacks, not promises: this is on the write path of every client.
 * Each wait returns a cancel function; the callback comes at most once.
 */
export interface VisibilityTracker {
  /** Calls back once this transaction of the source is visible on local (at once when it already is). */
  whenTransactionVisible(transactionId: number, callback: () => void): () => void;
  /** Calls back once everything up to this LSN of the source is visible on local. */
  whenPositionVisible(lsn: bigint, callback: () => void): () => void;
  /** LSN up to which local shows the source. */
  readonly visibleLsn: bigint;
}

/**
 * What a gateway worker does for a barrier (DESIGN §6). The control publishes a snapshot in which tables are `quiescing`;
 * the worker answers once no unit of an older epoch that touched them is open.
 */
export interface QuiesceReport {
  readonly epoch: number;
  /** Units still open that hold the barrier up; empty = quiesced. */
  readonly holding: readonly HoldingUnit[];
  readonly parked: number;
}

export interface HoldingUnit {
  readonly sessionId: string;
  readonly user: string;
  readonly clientAddress: string;
  /** Backend process ids by side, for blocking graphs. */
  readonly backendPids: { readonly source?: number; readonly local?: number };
  readonly openForMs: number;
  readonly lastStatement: string;
}
