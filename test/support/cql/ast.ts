/** CQL as the mock cluster reads it: enough of the language to be used by drivers and by tests, refused where it ends. */
export type Term =
  | { readonly is: 'bind'; readonly index: number; readonly name: string }
  | { readonly is: 'constant'; readonly form: 'string' | 'number' | 'uuid' | 'blob' | 'boolean' | 'duration' | 'null'; readonly text: string }
  | { readonly is: 'list' | 'tuple'; readonly items: readonly Term[] }
  /** A set has no values, a map has both, a user-defined type has names. */
  | { readonly is: 'braces'; readonly entries: readonly { readonly name?: string; readonly key?: Term; readonly value?: Term }[] }
  | { readonly is: 'call'; readonly name: string; readonly args: readonly Term[] }
  | { readonly is: 'column'; readonly name: string };

export interface Relation {
  readonly columns: readonly string[];
  readonly isToken: boolean;
  /** `c[key]` */
  readonly element?: Term;
  readonly operator: string;
  /** One, or the items of IN. */
  readonly terms: readonly Term[];
  /** IN ? */
  readonly isWholeList: boolean;
}

export interface Assignment {
  readonly column: string;
  readonly operation: 'set' | 'add' | 'prepend' | 'subtract' | 'element' | 'field' | 'delete';
  /** Of `c[key]`, or the name of a field as a string. */
  readonly key?: Term;
  readonly field?: string;
  readonly term?: Term;
}

export interface TableRef { readonly keyspace: string | undefined; readonly name: string }

export interface Modification {
  readonly is: 'insert' | 'update' | 'delete';
  readonly table: TableRef;
  readonly columns: readonly string[];
  readonly terms: readonly Term[];
  readonly assignments: readonly Assignment[];
  readonly where: readonly Relation[];
  readonly timestamp?: Term;
  readonly ttl?: Term;
  readonly condition: 'none' | 'exists' | 'not exists' | 'columns';
  readonly ifs: readonly Relation[];
}

export interface Selector { readonly term: Term | undefined; readonly alias: string | undefined; readonly text: string }

export interface Select {
  readonly is: 'select';
  readonly table: TableRef;
  readonly isDistinct: boolean;
  /** None for `*`. */
  readonly selectors: readonly Selector[];
  readonly where: readonly Relation[];
  readonly orderBy: readonly { readonly column: string; readonly isDescending: boolean }[];
  readonly limit?: Term;
  readonly perPartition?: Term;
  readonly isFilteringAllowed: boolean;
}

export interface ColumnDefinition { readonly name: string; readonly type: string; readonly isStatic: boolean }

export type Statement = Select | Modification
  | { readonly is: 'batch'; readonly type: 'logged' | 'unlogged' | 'counter'; readonly timestamp?: Term; readonly children: readonly Modification[] }
  | { readonly is: 'use'; readonly keyspace: string }
  | { readonly is: 'truncate'; readonly table: TableRef }
  | { readonly is: 'create keyspace'; readonly name: string; readonly isSoft: boolean; readonly replication: ReadonlyMap<string, string>; readonly isAltered: boolean }
  | { readonly is: 'drop keyspace'; readonly name: string; readonly isSoft: boolean }
  | { readonly is: 'create table'; readonly table: TableRef; readonly isSoft: boolean; readonly columns: readonly ColumnDefinition[]; readonly partitionKey: readonly string[]; readonly clustering: readonly string[]; readonly descending: readonly string[]; readonly options: ReadonlyMap<string, string> }
  | { readonly is: 'alter table'; readonly table: TableRef; readonly add: readonly ColumnDefinition[]; readonly drop: readonly string[]; readonly options: ReadonlyMap<string, string> }
  | { readonly is: 'drop table'; readonly table: TableRef; readonly isSoft: boolean }
  | { readonly is: 'create type'; readonly table: TableRef; readonly isSoft: boolean; readonly fields: readonly ColumnDefinition[] }
  | { readonly is: 'drop type'; readonly table: TableRef; readonly isSoft: boolean }
  | { readonly is: 'create index'; readonly table: TableRef; readonly name: string | undefined; readonly isSoft: boolean; readonly target: string; readonly className: string | undefined }
  | { readonly is: 'drop index'; readonly index: TableRef; readonly isSoft: boolean };
