/** UPDATE and DELETE. */
import { assign, findColumn } from './assignment.ts';
import { sqlTable, tableRelation } from './column-value.ts';
import { quoteMysqlName, Scope } from './emission.ts';
import type { Emission, Relation } from './emission.ts';
import { filter } from './expression.ts';
import { emitFrom, findTable } from './from-clause.ts';
import { makeStep } from './step.ts';
import type { Steps } from './step.ts';
import { amongKeys, integerKey, returningList, returningText } from './returning.ts';
import { refuse } from './refusal.ts';
import type { ColumnFacts, TableFacts } from './translation.ts';
import { listOf, nodeOf, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

interface Target {
  readonly table: TableFacts;
  readonly alias: string;
  readonly relation: Relation;
  /** `r1`, under which the text has the table. */
  readonly name: string;
}

export function targetOf(emission: Emission, node: Tree): Target {
  const relation = treeOf(node['relation']) ?? refuse('target');
  const table = findTable(emission, relation);
  const written = stringOf(treeOf(relation['alias'])?.['aliasname']);
  const name = emission.newName();
  const alias = written ?? table.name;
  return { table, alias, name, relation: tableRelation(emission, table, { alias, schema: written === undefined ? table.schema : undefined, qualifier: `${name}.` }) };
}

/** Rows are read after the change, and PostgreSQL's subquery sees what was before it. */
export function refuseChangedTable(returning: readonly unknown[], table: TableFacts): void {
  if (reads(returning, table.name)) refuse('subquery in RETURNING that reads the table being changed');
}

/** MySQL refuses a subquery that reads the table which the statement changes. */
export function refuseOwnTarget(emission: Emission, node: unknown, table: TableFacts): void {
  if (!emission.capabilities.readsOwnTarget && reads(node, table.name)) refuse('subquery that reads the table being changed');
}

function reads(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((item) => reads(item, name));
  const tree = treeOf(node);
  if (tree === undefined) return false;
  return treeOf(tree['RangeVar'])?.['relname'] === name || Object.values(tree).some((value) => reads(value, name));
}

function scopeOf(target: Target): Scope {
  const scope = new Scope(undefined);
  scope.relations.push(target.relation);
  scope.visible = [...target.relation.columns];
  return scope;
}

export function emitUpdate(emission: Emission, node: Tree): Steps {
  if (node['withClause'] !== undefined) return refuse('WITH of UPDATE');
  const target = targetOf(emission, node);
  refuseOwnTarget(emission, [node['targetList'], node['whereClause'], node['fromClause']], target.table);
  const scope = scopeOf(target);
  const others = listOf(node['fromClause']);
  const from = others.length === 0 ? '' : emitFrom(emission, others, scope);
  // PostgreSQL looks here first for the types of parameters.
  const where = node['whereClause'] === undefined ? undefined : filter(emission, node['whereClause'], scope);
  const assignments = assignmentsOf(emission, listOf(node['targetList']), target, scope);
  const ordered = emission.capabilities.simultaneousAssignment ? assignments : inOrder(assignments, from !== '');
  const sets = ordered.map(({ column, sql }) => `${target.name}.${quoteMysqlName(column.mysqlName)} = ${sql}`).join(', ');
  const table = `${sqlTable(target.table)} AS ${target.name}`;
  const returning = returningList(node);
  const update = (test: string | undefined): string => `UPDATE ${table}${from === '' ? '' : ` CROSS JOIN ${from}`} SET ${sets}${test === undefined ? '' : ` WHERE ${test}`}`;
  if (returning.length === 0) return { steps: [makeStep(update(where), { rowCount: 'matched' })], columns: [], needsTransaction: false };
  if (from !== '') return refuse('RETURNING of UPDATE FROM');
  return updateReturning(emission, target, { returning, where, update, assigned: ordered.map(({ column }) => column) });
}

interface UpdateParts {
  readonly returning: readonly unknown[];
  readonly where: string | undefined;
  readonly update: (test: string) => string;
  readonly assigned: readonly ColumnFacts[];
}

/** The rows are locked and their keys read; then they are changed, and read, by key. */
function updateReturning(emission: Emission, target: Target, parts: UpdateParts): Steps {
  refuseChangedTable(parts.returning, target.table);
  const key = integerKey(target.table);
  if (parts.assigned.some(({ name }) => target.table.primaryKey.includes(name))) return refuse('RETURNING of an UPDATE of the primary key');
  const table = `${sqlTable(target.table)} AS ${target.name}`;
  const read = returningText(emission, parts.returning, target.relation);
  const among = amongKeys(emission, `${target.name}.`, key, { step: 0, columns: key.map((_name, index) => index) });
  const columns = read.columns.map(({ name, value }) => ({ name, type: value.type }));
  return {
    steps: [
      makeStep(`SELECT ${key.map((name) => `${target.name}.${name}`).join(', ')} FROM ${table}${parts.where === undefined ? '' : ` WHERE ${parts.where}`} FOR UPDATE`, { answer: 'keys' }),
      makeStep(parts.update(among), {}),
      makeStep(`SELECT ${read.sql} FROM ${table} WHERE ${among}`, { answer: 'rows', columns, rowCount: 'rows' }),
    ],
    columns, needsTransaction: true,
  };
}

interface Assignment {
  readonly column: ColumnFacts;
  readonly sql: string;
}

function assignmentsOf(emission: Emission, targets: readonly unknown[], target: Target, scope: Scope): readonly Assignment[] {
  return targets.map((item) => {
    const node = nodeOf(item, 'ResTarget') ?? refuse('SET');
    if (node['indirection'] !== undefined) return refuse('subscript or field of a column', node['location']);
    const column = findColumn(target.table, stringOf(node['name']) ?? '', node['location']);
    return { column, sql: assign(emission, column, sourceOf(node['val']), scope) };
  });
}

/** Of `(a, b) = (1, 2)`: this column's part. */
function sourceOf(value: unknown): unknown {
  const multiple = nodeOf(value, 'MultiAssignRef');
  if (multiple === undefined) return value;
  const row = nodeOf(multiple['source'], 'RowExpr') ?? refuse('SET of several columns from a subquery');
  return listOf(row['args'])[Number(multiple['colno'] ?? 1) - 1] ?? refuse('SET of several columns');
}

/**
 * MySQL assigns from left to right and shows later assignments what earlier ones made: a column must be read before it is changed. In a
 * statement over several tables there is no order at all.
 */
export function inOrder<T extends Assignment>(assignments: readonly T[], isJoined: boolean): readonly T[] {
  const isReadBy = (column: ColumnFacts, other: T): boolean => new RegExp(`(?<!VALUES\\(|excluded\\.)${escapeRegExp(quoteMysqlName(column.mysqlName))}(?![\\w\`])`, 'i').test(other.sql);
  if (isJoined && assignments.some((one) => assignments.some((other) => other !== one && isReadBy(one.column, other)))) return refuse('SET that reads columns which it changes');
  const waiting = [...assignments];
  const done: T[] = [];
  while (waiting.length > 0) {
    const index = waiting.findIndex((one) => !waiting.some((other) => other !== one && isReadBy(one.column, other)));
    if (index < 0) return refuse('SET that reads columns which it changes');
    done.push(...waiting.splice(index, 1));
  }
  return done;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

export function emitDelete(emission: Emission, node: Tree): Steps {
  if (node['withClause'] !== undefined) return refuse('WITH of DELETE');
  const target = targetOf(emission, node);
  refuseOwnTarget(emission, [node['whereClause'], node['usingClause']], target.table);
  const returning = returningList(node);
  const others = listOf(node['usingClause']);
  if (returning.length > 0) return deleteReturning(emission, node, target, returning);
  // MariaDB lets a DELETE read its own table only when it names no other, and takes no alias then.
  const isAlone = others.length === 0;
  const scope = isAlone ? new Scope(undefined) : scopeOf(target);
  const own = sqlTable(target.table);
  if (isAlone) {
    const relation = tableRelation(emission, target.table, { alias: target.alias, ...(target.relation.schema === undefined ? {} : { schema: target.relation.schema }), qualifier: `${own}.` });
    scope.relations.push(relation);
    scope.visible = [...relation.columns];
  }
  const from = isAlone ? '' : ` CROSS JOIN ${emitFrom(emission, others, scope)}`;
  const where = node['whereClause'] === undefined ? '' : ` WHERE ${filter(emission, node['whereClause'], scope)}`;
  return { steps: [makeStep(isAlone ? `DELETE FROM ${own}${where}` : `DELETE ${target.name} FROM ${own} AS ${target.name}${from}${where}`, isAlone ? { rowCount: 'affected' } : { rowCount: 'affected', database: target.table.mysqlDatabase })], columns: [], needsTransaction: false };
}

function deleteReturning(emission: Emission, node: Tree, target: Target, returning: readonly unknown[]): Steps {
  if (listOf(node['usingClause']).length > 0) return refuse('RETURNING of DELETE USING');
  const isNative = emission.capabilities.deleteReturning && nodeOf(node['whereClause'], 'SubLink') === undefined;
  const qualifier = isNative ? '' : `${target.name}.`;
  const relation = tableRelation(emission, target.table, { alias: target.alias, qualifier });
  // A subquery would see the bare names as its own.
  if (isNative && JSON.stringify([node['whereClause'] ?? null, returning]).includes('"SubLink"')) return refuse('subquery in DELETE RETURNING');
  const scope = new Scope(undefined);
  scope.relations.push(relation);
  scope.visible = [...relation.columns];
  const where = node['whereClause'] === undefined ? '' : ` WHERE ${filter(emission, node['whereClause'], scope)}`;
  const read = returningText(emission, returning, relation);
  const columns = read.columns.map(({ name, value }) => ({ name, type: value.type }));
  if (isNative) return { steps: [makeStep(`DELETE FROM ${sqlTable(target.table)}${where} RETURNING ${read.sql}`, { answer: 'rows', columns, rowCount: 'rows' })], columns, needsTransaction: false };
  const key = integerKey(target.table);
  const table = `${sqlTable(target.table)} AS ${target.name}`;
  const among = amongKeys(emission, `${target.name}.`, key, { step: 0, columns: key.map((_name, index) => columns.length + index) });
  return {
    steps: [
      makeStep(`SELECT ${[read.sql, ...key.map((name) => `${target.name}.${name}`)].join(', ')} FROM ${table}${where} FOR UPDATE`, { answer: 'rows', columns, rowCount: 'rows' }),
      makeStep(`DELETE ${target.name} FROM ${table} WHERE ${among}`, { database: target.table.mysqlDatabase }),
    ],
    columns, needsTransaction: true,
  };
}
