/**
 * What is known of a CQL statement from its text alone. After this nobody looks at the text again, except at the places that are
 * named here (`start`, `end`: UTF-16 offsets into the whole text, also for the children of a batch).
 *
 * What the text does not tell: whether `c = c + x` is a counter's or a list's, which columns are the key. The schema answers that.
 */

export type CqlKind = 'select' | 'insert' | 'update' | 'delete' | 'batch' | 'truncate' | 'use'
  /** CREATE, ALTER, DROP of anything that is not a role or a user. */
  | 'schema'
  /** Roles, users, GRANT, REVOKE, service levels. */
  | 'access'
  /** LIST and DESCRIBE: they only read. */
  | 'list'
  /** Not understood, or no single statement: it is anything. */
  | 'unknown';

/** A value as it is written. */
export type CqlTerm =
  | { readonly kind: 'bind'; readonly index: number; readonly start: number; readonly end: number }
  /** `text` is the value of a string, else as written; a number has its sign. */
  | { readonly kind: 'constant'; readonly form: 'string' | 'number' | 'uuid' | 'blob' | 'boolean' | 'duration' | 'null'; readonly text: string; readonly start: number; readonly end: number }
  | { readonly kind: 'column'; readonly name: string; readonly start: number; readonly end: number }
  /** A collection, a tuple, a function's result, arithmetic, a type in front: `binds` are the numbers of the markers inside. */
  | { readonly kind: 'compound'; readonly form: 'list' | 'braces' | 'tuple' | 'call' | 'cast' | 'arithmetic' | 'selection'; readonly items: readonly CqlTerm[]; readonly start: number; readonly end: number };

/** One column that a statement writes, and how. */
export interface CqlColumnWrite {
  readonly column: string;
  readonly operation:
    /** `c = x`, and a column of INSERT. */
    | 'set'
    /** `c = c + x`, `c += x`: a counter's, a list's, a set's or a map's. */
    | 'append'
    /** `c = x + c`: a list's. */
    | 'prepend'
    /** `c = c - x`, `c -= x` */
    | 'remove'
    /** `c[i] = x`: a list's or a map's. */
    | 'element'
    /** `c.f = x` of a user-defined type. */
    | 'field'
    | 'delete'
    | 'delete-element'
    | 'delete-field';
  /** What is written; undefined for the deletes. */
  readonly term: CqlTerm | undefined;
  /** Of `c[key]`: a key that is no whole number is a map's, or a set's that is deleted from. */
  readonly key: CqlTerm | undefined;
}

/** One condition of WHERE or of IF; all of a clause must hold. */
export interface CqlRelation {
  /** Several for `(a, b) = …` and `token(a, b) > …`. */
  readonly columns: readonly string[];
  /** Upper case: `=`, `<`, `<=`, `>`, `>=`, `!=`, `IN`, `NOT IN`, `CONTAINS`, `CONTAINS KEY`, `NOT CONTAINS`, `LIKE`, `IS NOT NULL`, `BETWEEN`, `EXPR`. */
  readonly operator: string;
  readonly isToken: boolean;
  /** It is about `c[i]` or `c.f`, not about the column. */
  readonly isPart: boolean;
  /** Operands in order; those of `IN (…)` one by one. */
  readonly terms: readonly CqlTerm[];
  /** `IN ?`: the only term is the whole list. */
  readonly isWholeList: boolean;
}

export interface CqlSelector {
  readonly kind: '*' | 'column' | 'count' | 'other';
  /** The column's name when it is one. */
  readonly name: string | undefined;
  readonly alias: string | undefined;
}

/** A function that answers otherwise each time, or of which that is not known. */
export interface CqlUnstableCall {
  /** Folded, with its keyspace if written: `now`, `ks.f`. */
  readonly name: string;
  /** A function of the server's own that is known to differ: `now()`, `uuid()`. False: a function that somebody made. */
  readonly isKnown: boolean;
  readonly start: number;
  readonly end: number;
}

export interface CqlStatement {
  readonly kind: CqlKind;
  /** The words that name the statement, upper case: `SELECT`, `CREATE TABLE`, `BEGIN UNLOGGED BATCH`; the first word of an unknown one. */
  readonly verb: string;
  /** Everything was read. False for a SELECT of which only the table is known, and for what is unknown. */
  readonly isWhole: boolean;
  /** Folded, quoted ones kept; undefined when the session's decides, or there is none. */
  readonly keyspace: string | undefined;
  readonly table: string | undefined;
  /** What a schema or access statement is about: `keyspace`, `table`, `type`, `index`, `materialized view`, `function`, `role` …, and its name without keyspace. */
  readonly object: { readonly kind: string; readonly name: string | undefined } | undefined;
  /** Lightweight transaction; of a batch: of one of its children. */
  readonly isConditional: boolean;
  readonly condition: 'none' | 'exists' | 'not exists' | 'columns';
  /** USING TIMESTAMP and USING TTL. */
  readonly timestamp: CqlTerm | undefined;
  readonly ttl: CqlTerm | undefined;
  readonly writes: readonly CqlColumnWrite[];
  readonly where: readonly CqlRelation[];
  readonly ifs: readonly CqlRelation[];
  /** The document of INSERT … JSON: which columns it writes only its value tells. */
  readonly json: CqlTerm | undefined;
  /** INSERT … JSON … DEFAULT UNSET: columns that the document lacks are left alone. */
  readonly isJsonUnset: boolean;
  readonly selection: { readonly isJson: boolean; readonly isDistinct: boolean; readonly selectors: readonly CqlSelector[] } | undefined;
  readonly limit: CqlTerm | undefined;
  readonly unstableCalls: readonly CqlUnstableCall[];
  readonly batch: { readonly type: 'logged' | 'unlogged' | 'counter'; readonly children: readonly CqlStatement[] } | undefined;
  /** One for each bind marker in the text's order; undefined for `?`. A name that stands twice is two values for Cassandra and one for newer ScyllaDB. */
  readonly bindNames: readonly (string | undefined)[];
}
