/** RETURNING: the server's own where it has one, else rows read by their keys. */
import { quoteMysqlName } from './emission.ts';
import type { Emission, QueryText, Relation } from './emission.ts';
import { Scope } from './emission.ts';
import { decide } from './literal.ts';
import { targetColumns } from './select.ts';
import { refuse } from './refusal.ts';
import type { Slot, TableFacts } from './translation.ts';
import { listOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function returningList(node: Tree): readonly unknown[] {
  const clause = treeOf(node['returningClause']);
  if (clause === undefined) return [];
  if (listOf(clause['options']).length > 0) refuse('RETURNING WITH');
  return listOf(clause['exprs']);
}

/** The list as text, over one relation; text of numbers as PostgreSQL shows it. */
export function returningText(emission: Emission, targets: readonly unknown[], relation: Relation): QueryText {
  const scope = new Scope(undefined);
  scope.relations.push(relation);
  scope.visible = [...relation.columns];
  const columns = targetColumns(emission, targets, scope).map((column) => ({ ...column, value: decide(emission, column.value, column.value.type) }));
  return { sql: columns.map(({ value }) => value.shown ?? value.sql).join(', '), columns };
}

/** Columns of the primary key that can be read, and compared with what was read: integers. */
export function integerKey(table: TableFacts): readonly string[] {
  const columns = table.primaryKey.map((name) => table.columns.find((column) => column.name === name));
  if (columns.length === 0) return refuse('RETURNING of a table without a primary key');
  return columns.map((column) => (column !== undefined && /^(smallint|integer|bigint)$/.test(column.type) ? quoteMysqlName(column.mysqlName) : refuse('RETURNING of a table whose key is no integer')));
}

/** `(key) IN (keys of the step)`. */
export function amongKeys(emission: Emission, qualifier: string, key: readonly string[], slot: Omit<Extract<Slot, { kind: 'keys' }>, 'kind'>): string {
  const left = key.map((name) => `${qualifier}${name}`).join(', ');
  return `${key.length === 1 ? left : `(${left})`} IN (${emission.slot({ kind: 'keys', ...slot })})`;
}
