/**
 * Where one statement goes. Made by `decide` from facts, snapshot and session context; executing takes it and decides
 * nothing (house rule 1).
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { ErrorCode } from '../../config/migration-error.ts';

/** `home` = any leg that answers for the session as a whole (SET, SHOW, SELECT 1, catalog queries). */
export type Route =
  /** `draws`: it takes values of sequences by name. */
  | { readonly type: 'leg'; readonly leg: 'source' | 'local' | 'home'; readonly writes: boolean; readonly touches: readonly string[]; readonly after: AfterWrite; readonly before: BeforeRead; /** Tables of the MySQL server that the same is so of. */ readonly mysqlCopies?: readonly string[]; readonly label: RouteLabel; readonly compared?: ComparedRead; readonly draws?: true }
  /**
   * Tables of both sides: it runs on one, with rows brought there from the other. Each way is possible; the cheapest is taken. `views` are keys of
   * views whose own tables are on both sides: their definitions take their place first, and there are no ways yet.
   */
  | { readonly type: 'hybrid'; readonly ways: readonly HybridWay[]; readonly views: ReadonlySet<string>; readonly touches: readonly string[]; readonly writes: boolean }
  /**
   * Tables that the MySQL server has: translated, it runs there. `otherwise`: when the translation refuses it, rows of these tables can be brought to a side
   * that runs it; undefined where that is no way.
   */
  | { readonly type: 'mysql'; readonly writes: boolean; readonly touches: readonly string[]; readonly label: RouteLabel; readonly otherwise: HybridRoute | undefined }
  /** LISTEN, SET, DISCARD …: run on every open leg, remembered for those opened later; the home leg's answer is the client's. */
  | { readonly type: 'both_legs' }
  /** BEGIN, COMMIT, ROLLBACK, SAVEPOINT …: the transaction layer decides. */
  | { readonly type: 'transaction_control' }
  /** Answered by the control: migration statements, SYS$ tables. */
  | { readonly type: 'control' }
  /** A barrier is on: wait for the next snapshot, then decide again. `touches` are the tables waited for. */
  | { readonly type: 'park'; readonly touches: readonly string[] }
  | { readonly type: 'refuse'; readonly code: ErrorCode; readonly message: string; readonly detail: string; readonly hint: string };

/** A read that the source answers and that is to be compared with local's answer. */
export interface ComparedRead {
  /** Per cent of its runs. */
  readonly percent: number;
  /** Keys of the tables that it reads. */
  readonly tables: readonly string[];
  /** Why its answers cannot be compared. */
  readonly obstacle: string | undefined;
  /** It has an ORDER BY: rows in another order are a finding. */
  readonly ordered: boolean;
  /** Other rows may be due to another order of rows inside. */
  readonly orderDependent: boolean;
  /** It has at most one row, in whatever order, if these columns of the source's table are a key. */
  readonly pinned?: { readonly table: QualifiedName; readonly columns: readonly string[] } | undefined;
}

/** One side to run a statement on, and what it lacks there. */
export interface HybridWay {
  readonly runOn: 'source' | 'local';
  /** Keys of the relations (`relationKey`) whose rows are brought from the other side. */
  readonly moved: ReadonlySet<string>;
  /** Those of them that come from the MySQL server. */
  readonly fromMysql: ReadonlySet<string>;
  /** Of the statement, as it runs on that side. */
  readonly route: LegRoute;
}

/** What a COMMIT that follows has to wait for. `xid`: by transaction id; `position`: by LSN (RULES 19); `track`: only the session's own later reads wait. */
export type AfterWrite = 'none' | 'xid' | 'position' | 'track';
/** Local reads of a table that the source writes: wait until local shows what this session may have seen on the source (RULES 18). */
export type BeforeRead = 'none' | 'read_index';

export type HybridRoute = Extract<Route, { type: 'hybrid' }>;
export type MysqlRoute = Extract<Route, { type: 'mysql' }>;

export type LegRoute = Extract<Route, { type: 'leg' }>;

/** Values of spec §3.3, for metrics and EXPLAIN ROUTE. */
export type RouteLabel = 'LOCAL' | 'REMOTE' | 'DUAL_WRITE' | 'HYBRID' | 'BLOCKED' | 'QUEUED';

/** The part of a session's state that says what a name stands for. */
export interface NamingContext {
  readonly searchPath: readonly string[];
  /** Names of the session's temporary tables (they shadow everything) and the leg each lives on. */
  readonly temporaryTables: ReadonlyMap<string, 'source' | 'local'>;
}

/** The part of a session's state that changes where statements go. */
export interface SessionContext extends NamingContext {
  readonly transaction: TransactionContext | undefined;
  readonly leaseValid: boolean;
  /** Where the database's advisory locks live (RULES 27); the source unless said otherwise. */
  readonly advisoryLocksOn?: 'source' | 'local';
  /** The session's connection to the MySQL server: `reachable`: the user has a login there; `seen`: something of it has been told to the client, who must not be told less later. Undefined: none can be had. */
  readonly mysql?: 'reachable' | 'seen' | undefined;
}

export interface TransactionContext {
  readonly isolation: 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly: boolean;
  /** Tables (keys) that this transaction has touched; the epoch it is pinned to is the snapshot handed to `decide`. */
  readonly wroteOn: 'source' | 'local' | 'both' | undefined;
  /**
   * True once a statement whose route said `after` other than `none` has run on the source in this transaction: an unknown
   * function or trigger may have written there, so the transaction must see its own writes (RULES 20).
   */
  readonly mayHaveWrittenOnSource?: boolean;
  readonly usedLegs: { readonly source: boolean; readonly local: boolean };
  /** What it has done on the MySQL server. */
  readonly mysql?: 'used' | 'wrote' | undefined;
  /** True once it holds locks that others may wait for: then it is admitted on the old side while writers drain (RULES 21). */
  readonly holdsLocks: boolean;
}
