/** Names that an expression can see: the FROM items of its SELECT, then those of the SELECTs around it. */
import { refuse } from './refusal.ts';
import type { Typed } from './typed.ts';

export interface RangeColumn extends Typed {
  readonly name: string;
}

/** One FROM item under the name it is referred to by. */
export interface RangeItem {
  readonly name: string;
  readonly columns: readonly RangeColumn[];
  /** SQL of the columns that identify a row, of a catalog table: grouping by them groups by every column. */
  readonly primaryKey: readonly string[];
}

export interface CommonTable {
  readonly sqlName: string;
  readonly columns: readonly { readonly name: string; readonly type: Typed['type'] }[];
}

/** Columns and expressions by which a SELECT is grouped, as SQL. */
export interface Grouping {
  readonly expressions: ReadonlySet<string>;
}

export class Scope {
  readonly parent: Scope | undefined;
  readonly commonTables = new Map<string, CommonTable>();
  items: readonly RangeItem[] = [];
  /** Visible unqualified, in the order of `*`: a column merged by USING is there once. */
  columns: readonly RangeColumn[] = [];
  /** Set while the target list, HAVING or ORDER BY of a grouped SELECT is translated. */
  grouping: Grouping | undefined;
  /** Where aggregates may not be, what to call the place; undefined where they may. */
  noAggregates: string | undefined = 'FROM';
  insideAggregate = false;
  /** Column references resolved so far, here and in an outer SELECT. */
  localReferences = 0;
  outerReferences = 0;

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  commonTable(name: string): CommonTable | undefined {
    return this.commonTables.get(name) ?? this.parent?.commonTable(name);
  }

  item(name: string): RangeItem | undefined {
    return this.items.find((item) => item.name === name);
  }

  /** Throws when the name is missing or means two columns, or is not grouped by. */
  resolve(qualifier: string | undefined, name: string, at: number | undefined): RangeColumn {
    const found = this.#find(qualifier, name, at);
    if (found !== undefined) {
      this.localReferences += 1;
      this.checkGrouped(found, qualifier, at);
      return found;
    }
    if (this.parent === undefined) return refuse(`column ${qualifier === undefined ? `"${name}"` : `${qualifier}.${name}`} does not exist`, at);
    this.outerReferences += 1;
    return this.parent.resolve(qualifier, name, at);
  }

  #find(qualifier: string | undefined, name: string, at: number | undefined): RangeColumn | undefined {
    const candidates = qualifier === undefined ? this.columns : (this.item(qualifier)?.columns ?? []);
    const named = candidates.filter((column) => column.name === name);
    if (named.length > 1) refuse(`column reference "${name}" is ambiguous`, at);
    return named[0];
  }

  /** Throws when the SELECT is grouped and the column is not among what it is grouped by. */
  checkGrouped(column: RangeColumn, qualifier: string | undefined, at: number | undefined): void {
    if (this.grouping === undefined || this.insideAggregate) return;
    const { expressions } = this.grouping;
    if (expressions.has(column.sql)) return;
    const owner = this.items.find((item) => item.columns.some((candidate) => candidate.sql === column.sql));
    if (owner !== undefined && owner.primaryKey.length > 0 && owner.primaryKey.every((key) => expressions.has(key))) return;
    refuse(`column "${qualifier ?? owner?.name ?? '?'}.${column.name}" must appear in the GROUP BY clause or be used in an aggregate function`, at);
  }
}
