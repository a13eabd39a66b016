/** A statement of MySQL's dialect as a tree: what was written, nothing of what it means. `place`: offset in the text. */

export type Expression =
  | { readonly type: 'literal'; readonly kind: 'string' | 'integer' | 'decimal' | 'float' | 'hex' | 'bit' | 'null' | 'true' | 'false'; readonly value: string; readonly charset?: string | undefined; readonly place: number }
  /** `DATE '2024-01-31'` and its kin. */
  | { readonly type: 'moment'; readonly kind: 'DATE' | 'TIME' | 'TIMESTAMP'; readonly value: string; readonly place: number }
  | { readonly type: 'parameter'; readonly number: number; readonly place: number }
  | { readonly type: 'column'; readonly database?: string | undefined; readonly table?: string | undefined; readonly name: string; readonly place: number }
  | { readonly type: 'star'; readonly database?: string | undefined; readonly table?: string | undefined; readonly place: number }
  | { readonly type: 'variable'; readonly scope: 'user' | 'system'; readonly name: string; readonly place: number }
  | { readonly type: 'unary'; readonly operator: '-' | '+' | '~' | 'NOT' | 'BINARY'; readonly operand: Expression; readonly place: number }
  | { readonly type: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression; readonly place: number }
  | { readonly type: 'in'; readonly operand: Expression; readonly list: readonly Expression[] | Query; readonly not: boolean; readonly place: number }
  | { readonly type: 'between'; readonly operand: Expression; readonly low: Expression; readonly high: Expression; readonly not: boolean; readonly place: number }
  | { readonly type: 'like'; readonly operand: Expression; readonly pattern: Expression; readonly escape: Expression | undefined; readonly not: boolean; readonly place: number }
  | { readonly type: 'regexp'; readonly operand: Expression; readonly pattern: Expression; readonly not: boolean; readonly place: number }
  | { readonly type: 'is'; readonly operand: Expression; readonly what: 'NULL' | 'TRUE' | 'FALSE' | 'UNKNOWN'; readonly not: boolean; readonly place: number }
  | { readonly type: 'case'; readonly operand: Expression | undefined; readonly branches: readonly { readonly when: Expression; readonly then: Expression }[]; readonly otherwise: Expression | undefined; readonly place: number }
  | { readonly type: 'cast'; readonly operand: Expression; readonly to: CastType; readonly place: number }
  /** `CONVERT(… USING charset)`. */
  | { readonly type: 'using'; readonly operand: Expression; readonly charset: string; readonly place: number }
  | { readonly type: 'collate'; readonly operand: Expression; readonly collation: string; readonly place: number }
  | { readonly type: 'interval'; readonly moment: Expression; readonly amount: Expression; readonly unit: string; readonly sign: 1 | -1; readonly place: number }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[]; readonly place: number; readonly details?: CallDetails | undefined }
  | { readonly type: 'subquery'; readonly query: Query; readonly place: number }
  | { readonly type: 'exists'; readonly query: Query; readonly place: number }
  | { readonly type: 'quantified'; readonly operator: string; readonly left: Expression; readonly quantifier: 'ANY' | 'ALL'; readonly query: Query; readonly place: number }
  | { readonly type: 'row'; readonly items: readonly Expression[]; readonly place: number }
  /** DEFAULT as a value; with a name `DEFAULT(name)`. */
  | { readonly type: 'default'; readonly column: string | undefined; readonly place: number }
  /** `VALUES(name)` of ON DUPLICATE KEY UPDATE. */
  | { readonly type: 'inserted'; readonly column: string; readonly place: number };

export interface CastType {
  readonly name: string;
  readonly length: number | undefined;
  readonly scale: number | undefined;
}

export interface CallDetails {
  readonly distinct?: boolean | undefined;
  readonly order?: readonly OrderItem[] | undefined;
  readonly separator?: string | undefined;
  readonly over?: WindowSpec | undefined;
  /** Of EXTRACT, TIMESTAMPDIFF and the like; the side of TRIM. */
  readonly word?: string | undefined;
  /** `db.function(…)`. */
  readonly database?: string | undefined;
}

export interface WindowSpec {
  readonly name: string | undefined;
  readonly partition: readonly Expression[];
  readonly order: readonly OrderItem[];
  /** As it was written; only its words and whole numbers are allowed. */
  readonly frame: string | undefined;
}

export interface OrderItem {
  readonly expression: Expression;
  readonly descending: boolean;
}

export interface SelectItem {
  readonly expression: Expression;
  readonly alias: string | undefined;
  /** The text of the expression: its column's name without an alias. */
  readonly text: string;
}

export type TableReference =
  | { readonly type: 'table'; readonly database: string | undefined; readonly name: string; readonly alias: string | undefined; readonly place: number }
  | { readonly type: 'derived'; readonly query: Query; readonly alias: string; readonly columns: readonly string[]; readonly lateral: boolean; readonly place: number }
  | { readonly type: 'join'; readonly kind: 'inner' | 'left' | 'right'; readonly natural: boolean; readonly left: TableReference; readonly right: TableReference; readonly on: Expression | undefined; readonly using: readonly string[]; readonly place: number };

export interface Select {
  readonly type: 'select';
  readonly distinct: boolean;
  readonly calcFoundRows: boolean;
  readonly items: readonly SelectItem[];
  readonly from: TableReference | undefined;
  readonly where: Expression | undefined;
  readonly groupBy: readonly OrderItem[];
  readonly rollup: boolean;
  readonly having: Expression | undefined;
  readonly windows: readonly { readonly name: string; readonly spec: WindowSpec }[];
  readonly place: number;
}

export type QueryBody =
  | Select
  | { readonly type: 'union'; readonly operator: 'UNION' | 'EXCEPT' | 'INTERSECT'; readonly all: boolean; readonly left: QueryBody; readonly right: QueryBody; readonly place: number }
  | { readonly type: 'nested'; readonly query: Query; readonly place: number }
  | { readonly type: 'rows'; readonly rows: readonly (readonly Expression[])[]; readonly place: number };

export interface Limit {
  readonly count: Expression;
  readonly offset: Expression | undefined;
}

export interface Locking {
  readonly strength: 'UPDATE' | 'SHARE';
  readonly of: readonly string[];
  readonly wait: 'NOWAIT' | 'SKIP LOCKED' | undefined;
}

export interface CommonTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly query: Query;
  readonly place: number;
}

export interface Query {
  readonly with: readonly CommonTable[];
  readonly recursive: boolean;
  readonly body: QueryBody;
  readonly order: readonly OrderItem[];
  readonly limit: Limit | undefined;
  readonly lock: Locking | undefined;
  readonly place: number;
}

export interface Assignment {
  readonly table: string | undefined;
  readonly column: string;
  readonly value: Expression;
  readonly place: number;
}

export interface TargetTable {
  readonly database: string | undefined;
  readonly name: string;
  readonly alias: string | undefined;
  readonly place: number;
}

export interface Insert {
  readonly type: 'insert' | 'replace';
  readonly ignore: boolean;
  readonly table: TargetTable;
  /** Undefined: no list was written. */
  readonly columns: readonly string[] | undefined;
  readonly source: { readonly type: 'values'; readonly rows: readonly (readonly Expression[])[] } | { readonly type: 'query'; readonly query: Query };
  readonly rowAlias: string | undefined;
  readonly columnAliases: readonly string[];
  readonly onDuplicate: readonly Assignment[];
  /** Undefined: none; of MariaDB alone. */
  readonly returning: readonly SelectItem[] | undefined;
}

export interface Update {
  readonly type: 'update';
  readonly ignore: boolean;
  readonly from: TableReference;
  readonly assignments: readonly Assignment[];
  readonly where: Expression | undefined;
  readonly order: readonly OrderItem[];
  readonly limit: Limit | undefined;
  readonly hasWith: boolean;
}

export interface Delete {
  readonly type: 'delete';
  readonly ignore: boolean;
  /** Tables or aliases that lose rows, of a statement over several; empty: the only table of `from`. */
  readonly targets: readonly TargetTable[];
  readonly from: TableReference;
  readonly where: Expression | undefined;
  readonly order: readonly OrderItem[];
  readonly limit: Limit | undefined;
  readonly hasWith: boolean;
  readonly returning: readonly SelectItem[] | undefined;
}

/** LOAD DATA INFILE. Separators are as they are meant; an empty one is none. */
export interface LoadData {
  readonly type: 'load';
  /** The client has the file. */
  readonly isLocal: boolean;
  readonly file: string;
  readonly replaces: boolean;
  readonly table: TargetTable;
  readonly charset: string | undefined;
  readonly fields: { readonly terminated: string; readonly enclosed: string; readonly escaped: string };
  readonly lines: { readonly starting: string; readonly terminated: string };
  /** Lines at the beginning that are no rows. */
  readonly skipped: number;
  readonly columns: readonly string[] | undefined;
}

export type Statement =
  | { readonly type: 'query'; readonly query: Query }
  | Insert | Update | Delete
  | { readonly type: 'truncate'; readonly table: TargetTable }
  | LoadData
  | { readonly type: 'do'; readonly expressions: readonly Expression[] }
  | { readonly type: 'set'; readonly expressions: readonly Expression[] }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly type: 'lock'; readonly tables: readonly (TargetTable & { readonly write: boolean })[] }
  | { readonly type: 'transaction'; readonly kind: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollback to' | 'release'; readonly name: string | undefined; readonly options: readonly string[] }
  | { readonly type: 'use'; readonly database: string }
  | { readonly type: 'other'; readonly kind: 'show' | 'other' };
