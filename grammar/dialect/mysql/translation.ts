/** What a translation needs to know, and what it says: plain values, no connection. */
import type { PgType } from './pg-type.ts';

export interface ColumnFacts {
  /** As PostgreSQL has it. */
  readonly name: string;
  /** As MySQL has it. */
  readonly mysqlName: string;
  /** Of the column on local, as `format_type` prints it: `numeric(10,2)`, `timestamp without time zone`. */
  readonly type: string;
  /** Of the column on the MySQL server, without its attributes: `tinyint`, `varchar`, `datetime`. */
  readonly mysqlType: string;
  readonly unsigned?: boolean;
  /** Fractional digits of a time, datetime or timestamp column. */
  readonly fraction?: number;
  /** Bytes of a BINARY column. */
  readonly bytes?: number;
  readonly charset?: string;
  readonly collation?: string;
  /** Of an ENUM that is an enum on PostgreSQL. */
  readonly labels?: readonly string[];
  readonly nullable: boolean;
  readonly autoIncrement?: boolean;
  /** Of the identity column on local: `currval` may name it. */
  readonly sequence?: { readonly schema: string; readonly name: string };
  /** A value that the server computes. */
  readonly generated?: boolean;
  /** Local compares it by a collation made after the server's: it can be shown, assigned, and tested for equality by the server. `padded`: there blanks at the end do not count. */
  readonly comparison?: 'own' | 'padded';
  /** False: some values mean another thing on PostgreSQL (zero dates, for one); such a column can be shown, and nothing else. */
  readonly exact?: boolean;
}

export interface TableFacts {
  readonly schema: string;
  readonly name: string;
  readonly mysqlDatabase: string;
  readonly mysqlName: string;
  readonly columns: readonly ColumnFacts[];
  /** Columns (names as PostgreSQL has them) of the primary key; empty: none. */
  readonly primaryKey: readonly string[];
  /** Every unique key, the primary one included. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/** What a server's version can do; `serverCapabilities` knows the versions that are tested. */
export interface DialectCapabilities {
  readonly name: string;
  /** A collation that compares utf8mb4 as PostgreSQL's "C" does, without padding; undefined where the server has none. */
  readonly binaryCollation: string | undefined;
  readonly commonTables: boolean;
  readonly windows: boolean;
  /** LAG and LEAD with a third argument. */
  readonly lagDefault: boolean;
  readonly exceptIntersect: boolean;
  readonly lateral: boolean;
  /** Gone with MySQL 9. */
  readonly md5: boolean;
  readonly insertReturning: boolean;
  readonly deleteReturning: boolean;
  readonly skipLocked: boolean;
  /** `FOR SHARE` and `OF table`, in place of `LOCK IN SHARE MODE`. */
  readonly forShare: boolean;
  /** A subquery may read the table that the statement changes. */
  readonly readsOwnTarget: boolean;
  /** The new row of an upsert is named by an alias, not by `VALUES(column)`. */
  readonly rowAlias: boolean;
  /** Assignments of one UPDATE see the old row (sql_mode SIMULTANEOUS_ASSIGNMENT). */
  readonly simultaneousAssignment: boolean;
  readonly json: 'none' | 'text' | 'type';
  /** Answers of a subquery are kept by the values that it saw, and found again by values that are equal in the column's own collation. */
  readonly subqueryCache: boolean;
  /** A transaction that lost a race at REPEATABLE READ fails, as on PostgreSQL, when `innodb_snapshot_isolation` is on. */
  readonly snapshotIsolation: boolean;
}

export interface DialectFacts {
  readonly tables: readonly TableFacts[];
  /** Schemas that a bare name is looked for in, in order. */
  readonly searchPath: readonly string[];
  /** Of the client's session; only UTC is translated where it counts. */
  readonly timeZone: string;
  /** Whether the local database compares text by code point (C, POSIX, C.UTF-8). */
  readonly codePointOrder: boolean;
  /** Not every text is of a collation of local that changes the case of Western letters one by one: `C` knows those of ASCII only, ICU makes SS of ß. */
  readonly isCaseOpen?: boolean;
  /** Types that the client gave its parameters, by number from 1; missing ones are inferred. */
  readonly parameterTypes?: readonly (string | undefined)[];
  readonly capabilities: DialectCapabilities;
}

/** Where a `?` of a step gets its value from. */
export type Slot =
  /** `$number`, in the form of `type`. `notNull`: MySQL would put another value in place of NULL. `zoned`: a moment without a zone is of one that is not known here. */
  | { readonly kind: 'parameter'; readonly number: number; readonly type: PgType; readonly notNull?: boolean; readonly zoned?: boolean }
  /** The elements of the array `$number`: as many `?` as it has. */
  | { readonly kind: 'elements'; readonly number: number; readonly type: PgType }
  /** TRUE, or FALSE when the array `$number` has no elements. */
  | { readonly kind: 'filled'; readonly number: number }
  /** A LIKE pattern: one that ends in its escape character is an error on PostgreSQL. */
  | { readonly kind: 'pattern'; readonly number: number; readonly escape: string }
  /** A row count, written into the text. `limit`: NULL is none. */
  | { readonly kind: 'limit' | 'offset'; readonly number: number }
  /** The start of the transaction or of the statement: PostgreSQL's clock does not go on inside them. */
  | { readonly kind: 'time'; readonly of: 'transaction' | 'statement'; readonly type: 'date' | 'timestamp' }
  /** The number that the session's last INSERT into the table was given, or its last INSERT at all; written into the text. */
  | { readonly kind: 'last_number'; readonly table: string | undefined }
  /** The key values that a step before has read: as many rows as it has. */
  | { readonly kind: 'keys'; readonly step: number; readonly columns: readonly number[] };

/** What a plan needs at run time besides its texts. */
export interface StepValues {
  /** In PostgreSQL's text form; arrays too. */
  readonly parameters: readonly (string | null)[];
  /** `2024-05-06 07:08:09.123456`, in UTC; the date is that of the session. */
  readonly transactionTime: string;
  readonly statementTime: string;
  readonly transactionDate: string;
  /** As `Slot` of that kind asks, as SQL; undefined: it is not known. */
  readonly lastNumber?: (table: string | undefined) => string | undefined;
  /** Rows of the steps before, as the server sent them. */
  readonly rows: readonly (readonly (readonly (string | null)[])[])[];
}

export interface ResultColumn {
  readonly name: string;
  readonly type: PgType;
}

/** How many rows the statement counts: MySQL's affected rows, the `Rows matched` or `Records` of its answer, rows sent, or a number. */
export type RowCount = 'affected' | 'matched' | 'records' | 'rows' | number;

export interface Step {
  /** With `\0n\0` where slot n stands; `bindStep` makes the text that is sent. */
  readonly text: string;
  readonly slots: readonly Slot[];
  /** `keys`: read for later steps, not shown. Rows may be longer than `columns`: `Slot.columns` counts what comes behind, too. */
  readonly answer: 'rows' | 'keys' | 'none';
  readonly columns: readonly ResultColumn[];
  /** That the connection has to have chosen: DELETE looks for the alias of its table there. */
  readonly database?: string;
  /** Undefined: this step's count is not the statement's. */
  readonly rowCount: RowCount | undefined;
}

export interface Draws {
  readonly table: string;
  readonly rows: 'one' | 'some';
}

export interface Plan {
  readonly type: 'plan';
  readonly steps: readonly Step[];
  /** The word of the command tag. */
  readonly command: string;
  readonly columns: readonly ResultColumn[];
  /** Several steps that have to see one state: run in a transaction if none is open. */
  readonly needsTransaction: boolean;
  /** An INSERT for which the server numbers rows of this table; `one`: a single one, whose number it tells. */
  readonly draws?: Draws | undefined;
  /** The server commits what is open before it: it cannot be part of a transaction. */
  readonly commits?: true;
  /** Types of `$1`, `$2` … as the statement uses them. */
  readonly parameterTypes: readonly (PgType | undefined)[];
}

export interface RefusedTranslation {
  readonly type: 'refused';
  /** The construct, named as PostgreSQL's manual does. */
  readonly construct: string;
  /** Byte offset in the statement's text, where the tree tells it. */
  readonly place: number | undefined;
}

export type Translation = Plan | RefusedTranslation;
