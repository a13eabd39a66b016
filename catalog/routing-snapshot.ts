/**
 * What the query path knows about tables: one immutable value per epoch, replaced whole (DESIGN §3, §4).
 * It is plain JSON, so that it can be sent to gateway workers as it is.
 */
import type { TableState } from './table-state.ts';

export type Side = 'source' | 'local';

/**
 * Where a table's statements go. `quiescing` says that a barrier is on: transactions that begin to touch the table now
 * wait, those of older epochs that have touched it finish (DESIGN §6).
 */
export interface TableRoute {
  readonly tableId: string;
  readonly state: TableState;
  /** Folded names, as in the system catalogs. */
  readonly source: QualifiedName;
  readonly local: QualifiedName;
  /** Side that answers plain reads. */
  readonly reads: Side;
  /** Side that runs writes, locking reads and COPY FROM. One writer per side, always. */
  readonly writes: Side;
  /** Writes go to the source; their COMMIT is answered when local shows them (`dual_write_mode` `sync`). */
  readonly waitVisible: boolean;
  /** `async`: COMMIT is not waited for, but the session's own later reads on local are. */
  readonly trackWrites: boolean;
  /** `two_phase`: rows that a transaction writes may be written to local with it; else, and for all that cannot be had so, it waits as said above. */
  readonly markable?: MarkableTable;
  /** True when writes and DDL are refused (`bulk_load_writes 'block'`, state BULK_LOADING). */
  readonly writesBlocked: boolean;
  readonly ddlBlocked: boolean;
  readonly quiescing: boolean;
  /** Per cent of the reads that are asked of local too and compared (`read_from 'compare'`): only where the source is read and local follows it. */
  readonly compare?: number;
  /** Its rows on the source are on a MySQL server: a PostgreSQL client's statements go there translated. */
  readonly door?: 'mysql';
  /** Of what the translation of statements has to know of it, which a worker asks the control for. */
  readonly factsHash?: string;
  /** While quiescing: tables of one attempt have one number. A transaction that has touched one of them finishes with all of them. */
  readonly barrier?: number;
  /** While quiescing: transactions that hold locks are no longer let through either; the grace is over (RULES 21). */
  readonly closed?: boolean;
}

/** What it takes to write a row of the source to local. */
export interface MarkableTable {
  readonly local: QualifiedName;
  /** That are carried, with their types as they can be put behind `::` there. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Names of the columns that identify a row: none of them can be equal and differ as text. */
  readonly key: readonly string[];
}

export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

export interface RoutingSnapshot {
  /** Grows with every change of routing. */
  readonly epoch: number;
  /** Every migrated table, every partition under its parent's route, keyed `schema.name` (see `relationKey`) by source name. */
  readonly tables: Readonly<Record<string, TableRoute>>;
  /** Views and materialised views of the source that read migrated tables: key → keys of the base tables they reach. */
  readonly views: Readonly<Record<string, readonly string[]>>;
  /** Sequences owned by migrated tables: key → key of the owning table. `nextval` goes where the owner's writes go. */
  readonly sequences: Readonly<Record<string, string>>;
  /** Tables whose writes reach migrated tables through triggers, rules or foreign-key actions: key → keys of those tables. */
  readonly writeClosure: Readonly<Record<string, readonly string[]>>;
  /** Every other relation of the source that could shadow a migrated one of the same bare name: keys. */
  readonly shadows: readonly string[];
  /**
   * What functions and procedures touch, by `relationKey` of the function, as the operator or the preflight's reading of their bodies says.
   * A function that is not here and not a known pure one is taken to read and write anything on the source.
   */
  readonly functions?: Readonly<Record<string, FunctionTouches>>;
  /** Keys of `views` that local does not have as the source has them: statements on them run on the source, while it has their tables. */
  readonly missingOnLocal?: readonly string[];
  /**
   * How a transaction that has written on both sides is committed (RULES 23): one of `sides` is prepared and the other side decides; `mark` begins
   * the names of its prepared transactions. Undefined where no side takes PREPARE TRANSACTION.
   */
  readonly twoPhase?: TwoPhase;
  /** Keys of `views` whose rows, or part of them, are stored: what they show is as old as their REFRESH, which runs where their tables are written. */
  readonly storedViews?: readonly string[];
}

export interface TwoPhase {
  /** Sides that take PREPARE TRANSACTION, the better one first; never empty. */
  readonly sides: readonly Side[];
  readonly mark: string;
  /**
   * Begins the names of transactions of local for which the MySQL server decides: the row of the decision commits there with what it has written.
   * Undefined while the server keeps no decisions, or local takes no PREPARE TRANSACTION.
   */
  readonly mysqlMark?: string;
}

export interface FunctionTouches {
  /** Keys of tables; both empty for a function that touches none. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** One spelling for map keys; names are already folded, so a dot inside a quoted name is escaped. */
export function relationKey(schema: string, name: string): string {
  return `${escapeDots(schema)}.${escapeDots(name)}`;
}

function escapeDots(part: string): string {
  return part.includes('.') || part.includes('\\') ? part.replaceAll('\\', '\\\\').replaceAll('.', '\\.') : part;
}

export const emptySnapshot: RoutingSnapshot = { epoch: 0, tables: {}, views: {}, sequences: {}, writeClosure: {}, shadows: [] };
