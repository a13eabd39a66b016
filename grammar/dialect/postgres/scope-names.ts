/** What a name means: a column of the tables in scope, or an alias of the list. */
import type { Expression } from './mysql-tree.ts';
import { Scope } from './mysql-emission.ts';
import type { Relation, ScopeColumn } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { refuse } from './refused-mysql.ts';

export type ColumnNode = Extract<Expression, { type: 'column' }>;

/** Refuses a name that is not known or that several tables have. */
export function findName(scope: Scope, node: ColumnNode): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const found = findInScope(at, node);
    if (found !== undefined) return seen(at, found, node.place);
  }
  return refuse(`column ${node.table === undefined ? '' : `${node.table}.`}${node.name}`, node.place);
}

function findInScope(scope: Scope, node: ColumnNode): Value | undefined {
  const alias = node.table === undefined ? scope.aliases?.get(node.name.toLowerCase()) : undefined;
  if (alias !== undefined && scope.aliasesFirst) return { ...alias, origin: alias.origin };
  const column = columnIn(scope, node);
  if (column === undefined) return alias;
  // HAVING means the column if it is grouped by, else the alias: only where both are one is it clear.
  if (alias !== undefined && alias.sql !== column.value.sql) return refuse(`${node.name}, which is a column and an alias`, node.place);
  return column.value;
}

function columnIn(scope: Scope, node: ColumnNode): ScopeColumn | undefined {
  const name = node.name.toLowerCase();
  if (node.table === undefined) {
    const merged = scope.merged.get(name);
    if (merged !== undefined) return merged;
  }
  const found = scope.relations.filter((relation) => isNamed(relation, node)).flatMap((relation) => relation.columns.filter((column) => column.name.toLowerCase() === name));
  if (found.length > 1) return refuse(`ambiguous column ${node.name}`, node.place);
  return found[0];
}

export function isNamed(relation: Relation, node: { readonly table?: string | undefined; readonly database?: string | undefined }): boolean {
  if (node.table === undefined) return true;
  return relation.alias === node.table && (node.database === undefined || node.database === relation.database);
}

/** Notes that a column stands here, and gives what stands for it now. */
export function seen(scope: Scope, value: Value, place: number | undefined): Value {
  scope.named += 1;
  if (scope.aggregateDepth > 0) return value;
  if (value.origin !== undefined || value.sql.startsWith('"')) scope.free.push({ value, place });
  const substitute = scope.substitutes.get(value.sql);
  return substitute === undefined ? { ...value, place } : { ...value, sql: substitute, place };
}

/** Of a column of a result without an alias; `text`: as it is written. */
export function nameOf(expression: Expression, text: string): string {
  if (expression.type === 'column') return expression.name;
  if (expression.type === 'literal' && expression.kind === 'string') return expression.value.trimStart();
  return text;
}
