/**
 * What a statement that runs on one side needs of the relations that only the other side has, as SQL for that side: which columns, which
 * rows. Pure. Errs towards more: the statement tests everything again.
 */
import { quoteName, quoteTableName } from '../../../grammar/names.ts';
import type { TableName } from '../../../grammar/names.ts';
import type { QueryUses, RelationUse } from '../../../grammar/sql/relation-uses.ts';
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { ColumnName, RowFilter } from '../../../grammar/sql/row-filter.ts';

export interface MovedColumn {
  readonly name: string;
  /** As SQL writes it, modifier included. */
  readonly type: string;
  /** Its own, quoted, where it is not its type's. */
  readonly collation: string | undefined;
  readonly isCollated: boolean;
  /** Of a type that is not the system's: the other side may not have it. */
  readonly isOwnType: boolean;
  /** Place in the primary key, from 0. */
  readonly keyAt: number | undefined;
}

export interface MovedRelation {
  readonly key: string;
  /** On the side that has it. */
  readonly name: TableName;
  readonly columns: readonly MovedColumn[];
  /** Of a table on the MySQL server. */
  readonly mysql?: MigratedTable;
}

/** Rows of one relation, for every use of it that needs the same. */
export interface Fetch {
  readonly relation: MovedRelation;
  readonly uses: readonly RelationUse[];
  readonly only: boolean;
  readonly columns: readonly MovedColumn[];
  readonly conditions: readonly string[];
}

/** A parameter's value as SQL; undefined when it is not known here. */
export type ParameterText = (number: number) => string | undefined;

export function planFetches(query: QueryUses, relationOf: (use: RelationUse) => MovedRelation | undefined, parameter: ParameterText): readonly Fetch[] {
  const columns = new Map<MovedRelation, Set<MovedColumn>>();
  const planned = new Map<string, { readonly relation: MovedRelation; readonly only: boolean; readonly conditions: readonly string[]; readonly uses: RelationUse[] }>();
  for (const use of query.uses) {
    const relation = use.isTarget ? undefined : relationOf(use);
    if (!relation) continue;
    const needed = columns.get(relation) ?? new Set();
    columns.set(relation, needed);
    for (const column of neededColumns(query, use, relation)) needed.add(column);
    const conditions = conditionsOf(use, query, relation, parameter);
    const id = JSON.stringify([relation.key, use.only, conditions]);
    const same = planned.get(id);
    if (same) same.uses.push(use);
    else planned.set(id, { relation, only: use.only, conditions, uses: [use] });
  }
  return [...planned.values()].map((fetch) => ({ ...fetch, columns: fetch.relation.columns.filter((column) => columns.get(fetch.relation)?.has(column)) }));
}

function neededColumns(query: QueryUses, use: RelationUse, { columns }: MovedRelation): readonly MovedColumn[] {
  if (use.allColumns) return columns;
  const hasKey = query.groups && columns.some(({ keyAt }) => keyAt !== undefined);
  const needed = columns.filter(({ name, keyAt }) => query.names.has(name) || query.qualified.has(`${use.alias}.${name}`) || (hasKey && keyAt !== undefined));
  // Rows count even when nothing of them is named.
  return needed.length > 0 ? needed : columns.slice(0, 1);
}

/** What rows of this use must meet, as far as it can be tried on them alone. */
export function conditionsOf(use: RelationUse, query: QueryUses, relation: MovedRelation, parameter: ParameterText): readonly string[] {
  return use.filters.flatMap((filter) => conditionOf(filter, use, query, relation, parameter) ?? []);
}

/** Undefined unless every column is the relation's own, and the other side would judge as this one does. */
function conditionOf(filter: RowFilter, use: RelationUse, query: QueryUses, relation: MovedRelation, parameter: ParameterText): string | undefined {
  const found = filter.columns.map((column) => ownColumn(column, use, query, relation));
  // Text is ordered by collations that the two sides may have in different versions.
  if (found.some((column) => column === undefined || (filter.isOrdered && column.isCollated))) return undefined;
  const texts = filter.parts.map((part) => (typeof part === 'string' ? part : 'column' in part ? `r.${quoteName(part.column.name)}` : parameter(part.parameter)));
  return texts.includes(undefined) ? undefined : texts.join('');
}

/** A bare name is the relation's if it has such a column: another one of that name in the same FROM would be an error, or be equal by USING. */
export function ownColumn({ qualifier, name }: ColumnName, use: RelationUse, query: QueryUses, { columns }: MovedRelation): MovedColumn | undefined {
  if (use.level < 0) return undefined;
  if (qualifier !== undefined && (qualifier !== use.alias || query.uses.some((other) => other !== use && other.level === use.level && other.alias === use.alias))) return undefined;
  return columns.find((column) => column.name === name);
}

/** The rows, as a query. */
export function selectRows({ relation, only, columns, conditions }: Fetch): string {
  return `SELECT ${columns.map(({ name }) => `r.${quoteName(name)}`).join(', ')} ${fromRows({ relation, only, conditions })}`;
}

export function fromRows({ relation, only, conditions }: Pick<Fetch, 'relation' | 'only' | 'conditions'>): string {
  return `FROM ${only ? 'ONLY ' : ''}${quoteTableName(relation.name)} AS r${conditions.length === 0 ? '' : ` WHERE ${conditions.map((condition) => `(${condition})`).join(' AND ')}`}`;
}

/**
 * All rows in one statement, so that they are of one moment. Of several fetches each row begins with the number of its
 * own, as the server may mix them, and has its values as text, as their columns differ. `all`: with those that come from elsewhere, behind these.
 */
export function copyRows(fetches: readonly Fetch[], all: readonly Fetch[] = fetches): string {
  const [first] = fetches;
  if (all.length === 1 && first) return `COPY (${selectRows(first)}) TO STDOUT`;
  const width = Math.max(...all.map(({ columns }) => columns.length));
  const parts = fetches.map((fetch, index) => {
    const values = Array.from({ length: width }, (_, at) => (fetch.columns[at] ? `r.${quoteName(fetch.columns[at].name)}::pg_catalog.text` : 'NULL::pg_catalog.text'));
    return `SELECT ${index}, ${values.join(', ')} ${fromRows(fetch)}`;
  });
  return `COPY (${parts.join(' UNION ALL ')}) TO STDOUT`;
}

/** A table for the rows of one fetch. Its key is there where the statement may group by it. */
export function createTable(fetch: Fetch, name: string, dropOnCommit: boolean, withKey: boolean): string {
  const key = withKey ? fetch.columns.filter(({ keyAt }) => keyAt !== undefined).sort((a, b) => (a.keyAt ?? 0) - (b.keyAt ?? 0)) : [];
  const columns = fetch.columns.map(({ name: column, type, collation }) => `${quoteName(column)} ${type}${collation === undefined ? '' : ` COLLATE ${collation}`}`);
  const constraint = key.length === 0 ? [] : [`PRIMARY KEY (${key.map((column) => quoteName(column.name)).join(', ')})`];
  return `CREATE TEMPORARY TABLE ${name} (${[...columns, ...constraint].join(', ')})${dropOnCommit ? ' ON COMMIT DROP' : ''}`;
}

/** The rows of one fetch out of the table that has those of all, as text. */
export function fillTable(fetch: Fetch, index: number, name: string, all: string): string {
  return `INSERT INTO ${name} SELECT ${fetch.columns.map(({ type }, at) => `c${at + 1}::${type}`).join(', ')} FROM ${all} WHERE n = ${index}`;
}

export function createTableOfAll(fetches: readonly Fetch[], name: string): string {
  const width = Math.max(...fetches.map(({ columns }) => columns.length));
  return `CREATE TEMPORARY TABLE ${name} (n pg_catalog.int4, ${Array.from({ length: width }, (_, at) => `c${at + 1} pg_catalog.text`).join(', ')})`;
}
