/**
 * What the router needs to know of one SQL text. Made once per distinct text (and shared between texts that differ in
 * literals only); after this value nobody looks at the SQL again (house rule 2).
 */
import type { CatalogLook } from './catalog-names.ts';

export type StatementKind =
  // data
  | 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'copy_from' | 'copy_to' | 'truncate' | 'lock' | 'call' | 'do'
  // transactions
  | 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback_to'
  | 'prepare_transaction' | 'commit_prepared' | 'rollback_prepared' | 'set_transaction'
  // session
  | 'set' | 'reset' | 'show' | 'discard' | 'prepare' | 'execute' | 'deallocate'
  | 'declare_cursor' | 'fetch' | 'close_cursor' | 'listen' | 'unlisten' | 'notify'
  // the rest
  | 'explain' | 'ddl' | 'create_temp' | 'maintenance' | 'utility' | 'empty';

export interface RelationRef {
  /** Folded; undefined when the statement gives no schema (search_path decides). */
  readonly schema: string | undefined;
  readonly name: string;
}

export interface StatementFacts {
  readonly kind: StatementKind;
  /** Relations read anywhere in the statement; CTE names are resolved away, views are not expanded (that needs a catalog). */
  readonly reads: readonly RelationRef[];
  /** Relations written: targets of DML in any CTE, TRUNCATE, COPY FROM, LOCK in a writing mode, tables under FOR UPDATE/SHARE. */
  readonly writes: readonly RelationRef[];
  /** Relations that DDL or maintenance names. */
  readonly ddl: readonly RelationRef[];
  /** Sequences named by literals in nextval/setval (writes) and currval (reads). `lastval` sets the flag. */
  readonly sequencesWritten: readonly RelationRef[];
  readonly sequencesRead: readonly RelationRef[];
  /** Names of the functions called, schema-qualified as written, folded, without the ones known to be pure built-ins. */
  readonly functions: readonly string[];
  readonly flags: StatementFlags;
  /** `begin` and `set_transaction` only. */
  readonly transaction: TransactionModes | undefined;
  /**
   * `set`, `reset`, `show`: the parameter, folded, and the value as written when it is one plain literal or list of them (joined
   * with `, `, elements that need it quoted, as SHOW prints them). Also filled for a SELECT with exactly one `set_config` of three literals.
   */
  readonly setting: { readonly name: string; readonly value: string | undefined; readonly local: boolean } | undefined;
  /** Names with a dot, folded, that it sets by SET or `set_config`, whatever the value: no server lists these. */
  readonly customSettings: readonly string[];
  /**
   * Name of a prepared statement, cursor, savepoint, channel or prepared transaction, by kind; of the relation that
   * `create_temp` makes; the new name of a RENAME; `all`, `plans`, `sequences` or `temp` for `discard`.
   */
  readonly objectName: string | undefined;
  /** `ddl`, `create_temp`, `maintenance`: what it is, as in `DROP TABLE`; for messages, and to tell creating from dropping. */
  readonly command?: string | undefined;
  /** `insert`, `update`, `delete`: what the statement calls the table that it writes, and the columns that an UPDATE, or an ON CONFLICT, assigns. */
  readonly target?: { readonly relation: string; readonly assigns: readonly string[] };
  /** `prepare`, `explain`, `declare_cursor`, `create_temp … AS`: the facts of the statement inside; its reads and writes are also those of the whole. */
  readonly inner: StatementFacts | undefined;
  /** A SELECT of system catalogs only that names relations in constants or parameters. */
  readonly catalog?: CatalogLook | undefined;
  /** `copy_to` in binary: the columns that it gives, by name; undefined when not all of them are columns, or not named. */
  readonly binaryCopy?: { readonly columns: readonly string[] | undefined } | undefined;
  /** A SELECT with LIMIT that has at most one row to give, if these columns are a key. */
  readonly pinned?: PinnedRow | undefined;
}

export interface PinnedRow {
  readonly relation: RelationRef;
  /** Each has to be equal to a value. */
  readonly columns: readonly string[];
}

export interface StatementFlags {
  /** FOR UPDATE / NO KEY UPDATE / SHARE / KEY SHARE anywhere. */
  readonly lockingRead: boolean;
  readonly returning: boolean;
  /** DML inside WITH. */
  readonly writesInCte: boolean;
  /** Calls functions with effects on the session: set_config, advisory locks, lastval, pg_notify … */
  readonly sessionEffect: boolean;
  readonly advisoryLock: boolean;
  /** One that is kept beyond the transaction. */
  readonly lastingLock: boolean;
  /** It only reads, but must not run twice for one asking: signals to other sessions, transaction ids. */
  readonly onceOnly: boolean;
  readonly usesLastval: boolean;
  /** Literals name objects or settings ('t'::regclass, nextval('s'), set_config('search_path',…)): facts hold for this exact text only (RULES 26). */
  readonly literalSensitive: boolean;
  /** The statement can't run inside a transaction block (VACUUM, CREATE DATABASE, CREATE INDEX CONCURRENTLY …). */
  readonly outsideTransaction: boolean;
  /** EXPLAIN ANALYZE runs its statement. */
  readonly explainAnalyze: boolean;
  /** DECLARE … WITH HOLD. */
  readonly withHold: boolean;
  /** References SYS$MIGRATION_* relations or MIGRATION_ROW_COUNTS(): answered by the control. */
  readonly readsCatalog: boolean;
  /** Its columns tell the number of something that it names, which each database has its own of. */
  readonly tellsNumbers: boolean;
  /** What it gives may be something else at another moment, in another session or on another server with the same rows: `now()`, `ctid`, TABLESAMPLE … */
  readonly unrepeatable: boolean;
  /** What it gives may depend on an order of rows that it does not surely fix: LIMIT, DISTINCT ON, `array_agg`, `row_number` … */
  readonly orderDependent: boolean;
  /** ORDER BY on the outside. */
  readonly ordered: boolean;
  /** Only pg_catalog / information_schema relations, or none at all: answered by the home leg. */
  readonly systemOnly: boolean;
}

export interface TransactionModes {
  readonly isolation: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable' | undefined;
  readonly readOnly: boolean | undefined;
  readonly deferrable: boolean | undefined;
  /** COMMIT/ROLLBACK AND CHAIN. */
  readonly chain: boolean;
}

/** One client text, as sent in Query or Parse. */
export type TextFacts =
  | { readonly type: 'sql'; readonly statements: readonly StatementFacts[] }
  /** A statement of the migration language (first words match it); parsed by grammar/migration. */
  | MigrationFacts
  /** The real grammar refuses it: goes to the home leg, whose error the client gets. */
  | { readonly type: 'invalid'; readonly message: string; readonly refusal?: TextRefusal };

/**
 * `servers`: the statement is about these, and is ours only if one of them is the gateway's; else it is the database's own (foreign data wrappers
 * have servers and user mappings too), and `otherwise` is what it is there.
 */
export interface MigrationFacts {
  readonly type: 'migration';
  readonly ofServers?: { readonly names: readonly string[]; readonly otherwise: Exclude<TextFacts, MigrationFacts> };
}

/** The text could not be read for a reason of the gateway's own (too large, nested too deeply): it must not reach a server. */
export interface TextRefusal {
  readonly code: 'MIG085' | 'MIG088';
  readonly message: string;
  readonly detail: string;
  readonly hint: string;
}
