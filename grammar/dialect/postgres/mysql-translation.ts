/**
 * What the translation of MySQL's dialect to PostgreSQL's needs to know, and what it says: plain values, no connection.
 * The connection to local that runs a plan has TimeZone UTC, DateStyle ISO, IntervalStyle postgres, bytea_output hex, extra_float_digits 1
 * and standard_conforming_strings on; a session's own zone is written into the texts.
 */

/** How a text is read: what of a session and its server changes the meaning of characters. */
export interface MysqlTextMode {
  /** Words of `sql_mode`, in capitals; combinations (`ANSI`, `TRADITIONAL`) resolved, as the server shows them. */
  readonly sqlMode: ReadonlySet<string>;
  readonly server: MysqlServer;
}

export interface MysqlServer {
  readonly flavour: 'mysql' | 'mariadb';
  /** As in versioned comments: 50651, 90700, 101105. */
  readonly version: number;
}

/** One of several statements of a COM_QUERY; `offset` in UTF-16 units of the whole text. */
export interface MysqlStatementText {
  readonly text: string;
  readonly offset: number;
}

export type MysqlStatementKind =
  | 'read' | 'write' | 'ddl' | 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollback to' | 'release' | 'set' | 'show' | 'use' | 'lock' | 'call' | 'other';

export interface MysqlRelation {
  readonly database?: string | undefined;
  readonly name: string;
  /** By which the statement knows it. */
  readonly alias?: string | undefined;
  readonly place: number;
  /** Changed or locked by the statement (FOR UPDATE, FOR SHARE count). */
  readonly written: boolean;
}

export interface MysqlClassification {
  readonly kind: MysqlStatementKind;
  /** Every table that the text names, names of WITH left out. */
  readonly relations: readonly MysqlRelation[];
  /** Names of functions that are called, in capitals; `database.name` of stored ones that are named so. */
  readonly functions: readonly string[];
  /** User variables (`@a`) or system variables (`@@a`) are read or set. */
  readonly readsVariables: boolean;
  /** Names of the user variables that are read, in lower case. */
  readonly userVariables?: readonly string[] | undefined;
  /** Number of `?`. */
  readonly parameters: number;
  /** The name of SAVEPOINT, ROLLBACK TO, RELEASE; the database of USE. */
  readonly name?: string | undefined;
  /** START TRANSACTION READ ONLY, COMMIT AND CHAIN … as words in capitals. */
  readonly options?: readonly string[] | undefined;
}

/** `COLUMN_TYPE` of information_schema, as a value. */
export interface MysqlColumnType {
  /** Lower case, aliases resolved: `int`, `varchar`, `datetime` … */
  readonly name: string;
  readonly length: number | undefined;
  readonly scale: number | undefined;
  readonly unsigned: boolean;
  readonly zerofill: boolean;
  /** Of ENUM and SET. */
  readonly labels: readonly string[];
}

export interface MysqlColumnFacts {
  /** On local. */
  readonly name: string;
  readonly mysqlName: string;
  readonly type: MysqlColumnType;
  /** On local, as `format_type` prints it; of an enum type its quoted name with the schema. */
  readonly localType: string;
  /** Local has an enum type of its own for it. */
  readonly isLocalEnum: boolean;
  readonly charset: string | null;
  readonly collation: string | null;
  /** PAD SPACE: blanks at the end do not count in comparisons. */
  readonly padsBlanks: boolean;
  /** Collation of the column on local; undefined: none, or the database's. */
  readonly localCollation: { readonly schema: string; readonly name: string; readonly deterministic: boolean } | undefined;
  readonly nullable: boolean;
  /** Local has a default for it, or the column takes NULL. */
  readonly hasDefault: boolean;
  /** NOT NULL, and MySQL has no value for it where an INSERT leaves it out. */
  readonly mustBeGiven?: boolean | undefined;
  readonly autoIncrement: boolean;
  readonly generated: boolean;
  readonly onUpdateNow: boolean;
  /** An INSERT that leaves it out gets the moment. */
  readonly defaultsToNow?: boolean | undefined;
  /** MariaDB's JSON: LONGTEXT with a check. */
  readonly isJsonText: boolean;
  /** Left out of `SELECT *` and of INSERT without a list. */
  readonly invisible: boolean;
  /** False: a policy of the column may have put another value in place of the source's (-infinity for the zero date): it can be shown, and nothing else. */
  readonly exact: boolean;
  /** -infinity stands for the zero date. */
  readonly hasZeroDate?: boolean | undefined;
  /** Its default on MySQL is a constant that is neither NULL nor empty nor zero. */
  readonly hasValueDefault?: boolean | undefined;
  /** Sequence of the identity column, `"schema"."name"`. */
  readonly sequence?: string | undefined;
}

export interface MysqlTableFacts {
  /** On local. */
  readonly schema: string;
  readonly name: string;
  readonly mysqlDatabase: string;
  readonly mysqlName: string;
  /** In the order of the table on MySQL. */
  readonly columns: readonly MysqlColumnFacts[];
  /** Columns as MySQL names them; empty: none. */
  readonly primaryKey: readonly string[];
  /** Every unique key of whole columns, the primary one included. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** Of every key, the primary one left out, its columns as far as they are columns: what the server's descriptions of columns tell. */
  readonly otherKeys?: readonly { readonly isUnique: boolean; readonly columns: readonly (string | null)[] }[] | undefined;
  /** There are unique keys over prefixes or expressions, too. */
  readonly hasOtherUniqueKeys: boolean;
  /** Foreign keys of other tables point here. */
  readonly isReferenced: boolean;
}

/** What a client said about a parameter's value; of prepared statements known when they are executed only. */
export type MysqlParameterKind = 'integer' | 'unsigned' | 'double' | 'decimal' | 'text' | 'bytes' | 'date' | 'datetime' | 'time';

export interface MysqlFacts {
  /** A migrated table on local; undefined: not known. Names as the server compares them (lower_case_table_names is the session's matter). */
  table(database: string, name: string): MysqlTableFacts | undefined;
  readonly database: string | undefined;
  readonly mode: MysqlTextMode;
  /** `UTC`, `+02:00` or a name that both servers know; SYSTEM is resolved by the session. */
  readonly timeZone: string;
  /** lc_time_names, in whose language months and days are named; `en_US` unless it was set. */
  readonly timeNames?: string | undefined;
  /** character_set_connection and its collation. */
  readonly charset: string;
  readonly collation: string;
  /** The session is not strict: a string that is no number is read as far as it is one, in statements that write as well. Values are assigned strictly all the same. */
  readonly isLenient?: boolean | undefined;
  /** CLIENT_FOUND_ROWS: counts are of rows found, not of rows changed. */
  readonly foundRows: boolean;
  /** div_precision_increment; 4 unless it was set. */
  readonly divPrecision: number;
  /** default_week_format; undefined: not known. */
  readonly weekFormat?: number | undefined;
  /** default_regex_flags of MariaDB, where there are any. */
  readonly regexFlags?: string | undefined;
  /** group_concat_max_len; a longer list would be cut off. */
  readonly groupConcatMaxLength: number;
  /** server_version_num of local. */
  readonly localVersion: number;
  readonly parameters?: readonly (MysqlParameterKind | undefined)[] | undefined;
  /** Value of `@name`; undefined: cannot be said here, the statement is refused. */
  userVariable?(name: string): { readonly kind: MysqlParameterKind; readonly value: string | null } | undefined;
  /** Value of `@@name`. */
  systemVariable?(name: string, scope: 'session' | 'global' | undefined): { readonly kind: MysqlParameterKind; readonly value: string | null } | undefined;
}

/** The form in which a step takes a value: `pgValue` makes it. */
export type PgForm =
  /** `numberOnly`: a string would make strings of all that it stands beside. */
  /** `integerOnly`: no other kind of number, which makes another one of what it stands beside. */
  | { readonly kind: 'integer'; readonly min?: string | undefined; readonly max?: string | undefined; readonly numberOnly?: boolean | undefined; readonly integerOnly?: boolean | undefined }
  /** `scale`: digits behind the point at most; others are an error rather than rounded. */
  | { readonly kind: 'decimal'; readonly scale?: number | undefined }
  | { readonly kind: 'double'; readonly numberOnly?: boolean | undefined }
  /** `trimmed`: blanks at the end do not count; `unpadded`: they are an error (a unique key that ignores them); `pattern`: of LIKE with this escape character; `unslashed`: without a backslash that stands for itself; `charset`: of the column that takes it; `stringOnly`: numbers are no strings here; `neverNumber`: nor as a part of one. */
  | { readonly kind: 'text'; readonly maxLength?: number | undefined; readonly trimmed?: boolean | undefined; readonly unpadded?: boolean | undefined; readonly pattern?: string | undefined; readonly unslashed?: boolean | undefined; readonly charset?: string | undefined; readonly stringOnly?: boolean | undefined; readonly neverNumber?: boolean | undefined }
  | { readonly kind: 'bytes'; readonly maxLength?: number | undefined; readonly fixed?: number | undefined }
  | { readonly kind: 'boolean' }
  /** `zero`: takes the zero date. `timestamp`: goes into a TIMESTAMP, which has a range of its own. */
  | { readonly kind: 'date'; readonly zero?: boolean | undefined }
  | { readonly kind: 'datetime'; readonly fraction: number; readonly assigned?: boolean | undefined; readonly timestamp?: boolean | undefined; readonly zero?: boolean | undefined }
  | { readonly kind: 'time'; readonly fraction: number }
  | { readonly kind: 'year' }
  /** `exact`: case counts in the labels. */
  | { readonly kind: 'enum'; readonly labels: readonly string[]; readonly assigned?: boolean | undefined; readonly exact?: boolean | undefined }
  | { readonly kind: 'set'; readonly labels: readonly string[]; readonly exact?: boolean | undefined }
  | { readonly kind: 'bit'; readonly bits: number }
  | { readonly kind: 'json' }
  | { readonly kind: 'uuid' } | { readonly kind: 'inet' };

/** What the session says of itself, as the value of a slot. */
export type MysqlSessionValue = 'last_insert_id' | 'row_count' | 'found_rows' | 'connection_id' | 'user' | 'current_user' | 'version' | 'database' | 'uuid';

/** Where `$n` of a step gets its value from. */
export type MysqlSlot =
  /** The statement's `?` number (from 1). */
  | { readonly kind: 'parameter'; readonly number: number; readonly form: PgForm; readonly notNull?: boolean | undefined }
  | { readonly kind: 'session'; readonly value: MysqlSessionValue }
  /**
   * The moment at which the statement began. `zone`: in the session's zone, `utc`: in UTC; as `2024-05-06 07:08:09.123456`, cut to `fraction` digits, or its
   * date or time of day; `unix`: seconds since 1970. SET TIMESTAMP counts.
   */
  | { readonly kind: 'now'; readonly as: 'datetime' | 'date' | 'time' | 'unix'; readonly zone: 'session' | 'utc'; readonly fraction: number }
  /** Column `column` of the first row that step `step` read. */
  | { readonly kind: 'read'; readonly step: number; readonly column: number };

export interface MysqlStep {
  readonly text: string;
  readonly slots: readonly MysqlSlot[];
  /**
   * `rows`: the statement's rows. `count`: only how many rows were changed, by the command tag. `keys`: rows for counts, insert ids and later steps, not shown.
   * `none`: nothing of it counts.
   */
  readonly answer: 'rows' | 'count' | 'keys' | 'none';
  /** Of `rows`: columns behind those that are shown are kept, as those of `keys` are. */
  readonly keepsRest?: boolean | undefined;
}

/** How a value goes from PostgreSQL's text to MySQL's: `mysqlValue` does it. */
export type MysqlForm =
  /** The texts are the same. */
  | { readonly kind: 'same' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'float' }
  /** `decimals`: digits behind the point that are shown, whatever the number is. */
  | { readonly kind: 'double'; readonly decimals?: number | undefined }
  | { readonly kind: 'date' }
  /** Of a timestamp without zone. */
  | { readonly kind: 'datetime'; readonly fraction: number }
  | { readonly kind: 'time'; readonly fraction: number }
  | { readonly kind: 'year' }
  | { readonly kind: 'zerofill'; readonly width: number }
  | { readonly kind: 'bytes' }
  /** Bits as bytes, the highest first. */
  | { readonly kind: 'bit'; readonly bits: number }
  | { readonly kind: 'set'; readonly labels: readonly string[] };

export interface MysqlResultColumn {
  readonly name: string;
  /** Empty for an expression. */
  readonly orgName: string;
  readonly table: string;
  readonly orgTable: string;
  readonly database: string;
  /** Type code of the protocol: 3 LONG, 8 LONGLONG, 246 NEWDECIMAL, 253 VAR_STRING … */
  readonly type: number;
  readonly length: number;
  readonly flags: number;
  readonly decimals: number;
  /** `binary` of numbers, moments and bytes; else text, which is sent in the character set of the client's results. */
  readonly charset: 'binary' | 'text';
  readonly form: MysqlForm;
  /** What a MariaDB server says beyond the type code. */
  readonly extension?: 'json' | 'uuid' | 'inet4' | 'inet6' | undefined;
}

/** Affected rows of the answer. */
export type MysqlCounts =
  | { readonly kind: 'none' }
  /** The sum of what these steps changed, by their tags. */
  | { readonly kind: 'tags'; readonly steps: readonly number[] }
  /** The sum of column `column` over the rows of a `keys` step. */
  | { readonly kind: 'sum'; readonly step: number; readonly column: number };

/** Where the answer's insert id comes from. */
export interface MysqlInsertId {
  /** A `keys` step, or one that keeps its rest: one row per inserted row, in order. */
  readonly step: number;
  /** Of what is kept. */
  readonly column: number;
  /**
   * Of each row whether the server made the number; `parameter`: it did if that parameter is NULL, or 0 and sql_mode has no NO_AUTO_VALUE_ON_ZERO.
   * One word: of all rows. The first made one is LAST_INSERT_ID(); without one the OK packet tells the last given one, and LAST_INSERT_ID() stays.
   */
  readonly rows: 'made' | 'given' | readonly ('made' | 'given' | { readonly parameter: number })[];
  /** Of ON DUPLICATE KEY UPDATE, a column that is true of rows that were inserted: the number of another is told as a given one. */
  readonly inserted?: number | undefined;
}

/** The text behind the OK of a write. */
export type MysqlInfo =
  /** `Rows matched: …  Changed: …`: columns of the one row of a `keys` step. */
  | { readonly kind: 'update'; readonly step: number; readonly matched: number; readonly changed: number }
  /** `Records: …`: as many as the statement counts. */
  | { readonly kind: 'records' };

export interface MysqlPlan {
  readonly type: 'plan';
  readonly steps: readonly MysqlStep[];
  /** Of the step that answers with rows; empty: the statement answers with OK. */
  readonly columns: readonly MysqlResultColumn[];
  readonly counts: MysqlCounts;
  readonly insertId: MysqlInsertId | undefined;
  /** `SELECT LAST_INSERT_ID(expression)` and its kin: the value that LAST_INSERT_ID() has from now on. */
  readonly lastInsertId?: { readonly step: number; readonly column: number } | undefined;
  /** Undefined: the server says nothing, or it is not known. */
  readonly info?: MysqlInfo | undefined;
  /** SQL_CALC_FOUND_ROWS: the step and column with the number for FOUND_ROWS(); undefined: the number of rows sent. */
  readonly foundRows?: { readonly step: number; readonly column: number } | undefined;
  /** Several steps that have to see one state: run in a transaction if none is open. */
  readonly needsTransaction: boolean;
  /** `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `REPLACE`, `TRUNCATE`, `DO`; transaction statements are the session's own (`classifyMysql`). */
  readonly command: string;
  /** Number of `?`. */
  readonly parameters: number;
  /** The statement commits the open transaction before it, as DDL does (TRUNCATE). */
  readonly commitsBefore: boolean;
}

export interface MysqlRefused {
  readonly type: 'refused';
  /** The construct, named as MySQL's manual does. */
  readonly construct: string;
  /** Offset in the statement's text, UTF-16 units. */
  readonly place: number | undefined;
}

export type MysqlTranslation = MysqlPlan | MysqlRefused;

/** A parameter as the client sent it: its text in MySQL's form (of bytes: latin1, one character per byte); null: NULL. */
export interface MysqlParameter {
  readonly kind: MysqlParameterKind;
  readonly value: string | null;
}

/** PostgreSQL's text of a parameter; `refused`: it cannot be taken exactly. `error`: as the server's strict mode fails, by its number. */
export type PgParameter =
  | { readonly type: 'value'; readonly text: string | null }
  | { readonly type: 'refused'; readonly construct: string }
  | { readonly type: 'error'; readonly number: number };
