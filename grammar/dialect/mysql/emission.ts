/** What the parts of the emitter hand one another: values with their PostgreSQL types, names in sight, and the translation under way. */
import type { PgType } from './pg-type.ts';
import type { DialectCapabilities, DialectFacts, Slot, TableFacts } from './translation.ts';
import { refuse } from './refusal.ts';

/** An expression of the statement as MySQL text whose value is that of PostgreSQL's, brought to the form that `type` has on MySQL. */
export interface Value {
  readonly sql: string;
  readonly type: PgType;
  readonly nullable: boolean;
  /** A constant whose type is not decided yet: its text, or null. */
  readonly literal?: string | null;
  /** A parameter whose type is not decided yet. */
  readonly parameter?: number;
  /** The column itself, where `sql` is more than it: an index can be used on it. */
  readonly column?: string;
  /** Of a column of text: what a value is brought to before it is compared with it by its index. */
  readonly columnCharset?: { readonly charset: string; readonly collation: string };
  /** A constant or a parameter: the same for every row. */
  readonly constant?: boolean;
  /** A constant number of known value. */
  readonly number?: number;
  /** Text of a number whose scale differs from row to row. */
  readonly shown?: string;
  /** Of a column that local compares by a collation of its own. */
  readonly own?: { readonly charset: string; readonly collation: string; readonly isPadded: boolean; /** Of constants that it is compared with, where they are not text. */ readonly type?: PgType };
  /** Has been looked through as a pattern of LIKE. */
  readonly pattern?: boolean;
  /** Cannot be used in any expression. */
  readonly showOnly?: boolean;
}

export interface VisibleColumn {
  readonly name: string;
  readonly value: Value;
}

export interface Relation {
  readonly alias: string;
  readonly schema?: string;
  readonly columns: readonly VisibleColumn[];
  readonly table?: TableFacts;
  /** How the relation is called in the translated text. */
  readonly sqlName: string;
}

export interface CommonTable {
  readonly name: string;
  readonly sqlName: string;
  /** Where the server has no common tables: the query itself. */
  readonly inline?: string;
  readonly columns: readonly { readonly name: string; readonly type: PgType; readonly nullable: boolean; readonly showOnly?: boolean | undefined; readonly hasText?: boolean }[];
  readonly isSorted?: boolean;
}

/** Names that one query level sees. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly relations: Relation[] = [];
  /** Columns that a bare name can mean, in the order of `*`. */
  visible: VisibleColumn[] = [];
  readonly commonTables = new Map<string, CommonTable>();
  readonly windows = new Map<string, unknown>();
  /** Definition in the text → its name: windows that are the same are one. */
  readonly sqlWindows = new Map<string, string>();
  /** Texts of what the query groups by; undefined: it does not group. */
  grouping: readonly string[] | undefined;
  /** Columns met outside aggregates that the grouping has not explained yet. */
  readonly ungrouped: string[] = [];
  /** In the argument of an aggregate. */
  aggregating = false;
  /** Rows come in the order of a subquery of FROM, as far as nothing else orders them. */
  readsSorted = false;
  /** Columns that names have meant: of this level, and of those outside. */
  readonly met = { own: 0, outer: 0 };
  /** Relations all of whose columns follow from the grouping. */
  readonly keyed = new Set<Relation>();

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  commonTable(name: string): CommonTable | undefined {
    return this.commonTables.get(name) ?? this.parent?.commonTable(name);
  }

  column(qualifiers: readonly string[], name: string, place: unknown): Value {
    const found = qualifiers.length === 0 ? this.#bare(name) : this.#qualified(qualifiers, name);
    const first = found[0];
    if (found.length > 1) refuse(`ambiguous column ${name}`, place);
    if (first !== undefined) {
      this.met.own += 1;
      this.#noteUngrouped(first);
      return first.value;
    }
    if (this.parent === undefined) refuse(`column ${[...qualifiers, name].join('.')}`, place);
    this.met.outer += 1;
    return this.parent.column(qualifiers, name, place);
  }

  /** The relation that `alias.*` means. */
  relation(qualifiers: readonly string[], place: unknown): Relation {
    const found = this.relations.filter((relation) => isNamed(relation, qualifiers));
    const first = found[0];
    if (first === undefined || found.length > 1) refuse(`relation ${qualifiers.join('.')}`, place);
    return first;
  }

  #bare(name: string): readonly VisibleColumn[] {
    return this.visible.filter((column) => column.name === name);
  }

  #qualified(qualifiers: readonly string[], name: string): readonly VisibleColumn[] {
    return this.relations.filter((relation) => isNamed(relation, qualifiers)).flatMap(({ columns }) => columns.filter((column) => column.name === name));
  }

  #noteUngrouped(column: VisibleColumn): void {
    if (this.grouping === undefined || this.aggregating || this.grouping.includes(column.value.sql)) return;
    if ([...this.keyed].some(({ columns }) => columns.includes(column))) return;
    this.ungrouped.push(column.name);
  }
}

function isNamed(relation: Relation, qualifiers: readonly string[]): boolean {
  const [first, second] = qualifiers;
  return qualifiers.length === 1 ? relation.alias === first : qualifiers.length === 2 && relation.schema === first && relation.alias === second && relation.table !== undefined;
}

/** A query as text, with what its columns are. */
export interface QueryText {
  readonly sql: string;
  readonly columns: readonly { readonly name: string; readonly value: Value }[];
}

/** One translation under way. The parts call one another through it, so that none imports what imports it. */
export interface Emission {
  readonly facts: DialectFacts;
  readonly capabilities: DialectCapabilities;
  /** The place of a slot in the text; equal slots are one. */
  slot(slot: Slot): string;
  /** The type of a parameter that is used as `wanted`. */
  parameterType(number: number, wanted: PgType): PgType;
  /** The type that the client gave the parameter. */
  givenType(number: number): PgType | undefined;
  expression(node: unknown, scope: Scope): Value;
  /** `named`: columns are called c1, c2 …, as for a query that another one reads. `types`: what they are brought to. */
  query(node: unknown, parent: Scope | undefined, options: QueryOptions): QueryText;
  /** A name that nothing else in the text has. */
  newName(): string;
  /** Some text has a collation that knows the case of ASCII's letters only, or of letters in a way of its own. */
  isCaseOpen: boolean;
}

export interface QueryOptions {
  readonly named: boolean;
  readonly types?: readonly (PgType | undefined)[];
  /** The text of numbers of varying scale: in their place (`shown`), or as columns t1, t2 … of their own behind the others (`beside`). */
  readonly texts?: 'shown' | 'beside';
  /** What reads it goes on in its order, as PostgreSQL does: the servers forget the order of a query that another one reads, unless it has a limit. */
  readonly keepsOrder?: boolean;
}

export function quoteMysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Of a connection with NO_BACKSLASH_ESCAPES. */
export function quoteMysqlText(text: string): string {
  if (text.includes('\0')) refuse('NUL character in a constant');
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * An expression that fails (1690, out of range) when the condition holds: SELECT has no other way to fail for one row. The condition is
 * part of the sum because a sum of constants would be tried before any row is read.
 */
export function failIf(condition: string): string {
  return `9223372036854775807 + (${condition})`;
}
