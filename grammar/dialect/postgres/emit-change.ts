/** UPDATE and DELETE. https://dev.mysql.com/doc/refman/8.4/en/update.html, https://dev.mysql.com/doc/refman/8.4/en/delete.html */
import { quoteName } from '../../names.ts';
import { localTable, quoteAlias } from './emit-from.ts';
import { returning } from './emit-insert.ts';
import type { EmittedWrite } from './emit-insert.ts';
import type { From } from './emit-from.ts';
import type { QueryEmitter } from './emit-query.ts';
import { Scope } from './mysql-emission.ts';
import type { Relation } from './mysql-emission.ts';
import type { MysqlTableFacts } from './mysql-translation.ts';
import type { Assignment, Delete, Expression, TableReference, TargetTable, Update } from './mysql-tree.ts';
import { changesRow, setAssignments } from './set-assignments.ts';
import type { SetColumn } from './set-assignments.ts';
import { fromRowsOf, isAmong, keyOf, tablesOf } from './picked-rows.ts';
import { refuse } from './refused-mysql.ts';

interface Changed {
  readonly relation: Relation;
  readonly table: MysqlTableFacts;
  /** As it is named in PostgreSQL's text. */
  readonly alias: string;
}

function changedTable(relation: Relation | undefined, place: number): Changed {
  if (relation?.table === undefined) return refuse('change of a derived table', place);
  return { relation, table: relation.table, alias: quoteAlias(relation.alias, place) };
}

/** PostgreSQL from there on tells of a row what it was and what it is. */
const oldRows = 180_000;

export function emitUpdate(queries: QueryEmitter, statement: Update): EmittedWrite {
  const { assignments, remembered } = withoutRemembered(statement.assignments);
  const { emission } = queries;
  const { place } = statement.from;
  const named = assignedAlias(queries, statement);
  const update = { ...statement, assignments, from: named === undefined ? statement.from : fromRowsOf(statement.from, named) };
  if (update.hasWith) return refuse('WITH of UPDATE', place);
  if (update.ignore) return refuse('UPDATE IGNORE', place);
  const scope = new Scope(undefined);
  const from = queries.from(update.from, scope);
  const isJoin = update.from.type === 'join';
  const targets = new Set(update.assignments.map((assignment) => assignedRelation(scope, assignment.table, assignment.column, assignment.place)));
  const target = changedTable([...targets][0], place);
  if (targets.size !== 1) return refuse('UPDATE of several tables', place);
  const condition = update.where === undefined ? undefined : queries.expressions.condition(update.where, scope);
  const sets = setAssignments(queries, target.table, update.assignments, scope, target.alias, !isJoin && !mayBecomeJoin(emission, update.where));
  const readsOthers = isJoin && !isPinned(update, target.relation, scope) && update.assignments.some(({ value }) => namesOther(value, target.relation, scope));
  if (readsOthers) return refuse('UPDATE with values of a table whose row is not known to be one', place);
  // A row that stays as it is is locked like the others, and another one if somebody is changing it: only afterwards is it known which have changed.
  const isCounted = remembered !== undefined || emission.facts.localVersion >= oldRows;
  const changed = emission.facts.foundRows || isCounted ? undefined : changesRow(sets, target.alias);
  const list = sets.map(({ column, sql }) => `${quoteName(column.name)} = ${sql}`).join(', ');
  const head = `UPDATE ${localTable(target.table)} AS ${target.alias} SET ${list}`;
  const where = (parts: readonly (string | undefined)[]): string => {
    const found = parts.filter((part) => part !== undefined);
    return found.length === 0 ? '' : ` WHERE ${found.join(' AND ')}`;
  };
  let text: string;
  if (isJoin && update.assignments.some(({ value }) => namesOther(value, target.relation, scope))) {
    if (from.hasOuterJoin || update.order.length > 0 || update.limit !== undefined || !isInnerPair(update.from)) return refuse('UPDATE of a join with values of another table', place);
    const other = scope.relations.find((relation) => relation !== target.relation);
    const otherTable = changedTable(other, place);
    text = `${head} FROM ${localTable(otherTable.table)} AS ${otherTable.alias}${where([joinCondition(queries, update.from, scope), condition, changed])}`;
  } else if (isJoin || update.limit !== undefined) {
    text = `${head}${where([picked(queries, target, from, condition, update, scope), changed])}`;
  } else text = `${head}${where([condition, changed])}`;
  return isCounted ? counted(queries, text, sets, remembered) : { steps: [emission.step(text, 'count')], counts: { kind: 'tags', steps: [0] } };
}

/** MySQL from 8.0.21 on and MariaDB from 11.1 on may make a join of a subquery: whether a SET sees what those before it have made is then their plan's affair. */
function mayBecomeJoin({ facts: { mode: { server: { flavour, version } } } }: QueryEmitter['emission'], where: Expression | undefined): boolean {
  return version >= (flavour === 'mariadb' ? 110_100 : 80_021) && hasSubquery(where);
}

function hasSubquery(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(hasSubquery);
  if (typeof node !== 'object' || node === null) return false;
  return 'body' in node || Object.values(node).some(hasSubquery);
}

/** In one row: how many were found, how many are others than they were, and what the last one has given to LAST_INSERT_ID(). */
function counted({ emission }: QueryEmitter, text: string, sets: readonly SetColumn[], remembered: Assignment | undefined): EmittedWrite {
  if (emission.facts.localVersion < oldRows) return refuse('LAST_INSERT_ID(expression) on a local before PostgreSQL 18', remembered?.place);
  const images = (side: 'old' | 'new'): string => `ROW(${sets.map(({ column }) => `"~${side}".${quoteName(column.name)}`).join(', ')})::record`;
  const set = sets.find(({ column }) => column.mysqlName.toLowerCase() === remembered?.column.toLowerCase());
  if (remembered !== undefined && (set === undefined || !/^(?:smallint|integer|bigint|numeric\(20(?:,0)?\))$/.test(set.column.localType))) return refuse('LAST_INSERT_ID() of a column that is no integer', remembered.place);
  const value = set && `"~new".${quoteName(set.column.name)}::numeric`;
  // Which of several rows is the last is the server's secret: more than one value is an error.
  const last = value === undefined ? '' : ', (SELECT DISTINCT CASE WHEN l < 0 THEN l + 18446744073709551616 ELSE COALESCE(l, 0) END FROM "~changed")';
  const sql = `WITH "~changed" AS (${text} RETURNING WITH (OLD AS "~old", NEW AS "~new") ${images('old')} *<> ${images('new')} AS c${value === undefined ? '' : `, ${value} AS l`}) SELECT count(*), count(*) FILTER (WHERE c)${last} FROM "~changed"`;
  return {
    steps: [emission.step(sql, 'keys')], counts: { kind: 'sum', step: 0, column: emission.facts.foundRows ? 0 : 1 }, info: { kind: 'update', step: 0, matched: 0, changed: 1 },
    lastInsertId: value === undefined ? undefined : { step: 0, column: 2 },
  };
}

/** `SET id = LAST_INSERT_ID(id + 1)`, by which an application draws numbers of its own: the column gets the value, and so does the session. */
function withoutRemembered(assignments: readonly Assignment[]): { readonly assignments: readonly Assignment[]; readonly remembered: Assignment | undefined } {
  const found = assignments.filter(({ value }) => value.type === 'call' && value.name === 'LAST_INSERT_ID' && value.args.length === 1);
  const [remembered, second] = found;
  if (second !== undefined) refuse('LAST_INSERT_ID(expression) twice', second.place);
  const argument = (value: Expression): Expression => (value.type === 'call' ? value.args[0] ?? value : value);
  return { assignments: assignments.map((each) => (each === remembered ? { ...each, value: argument(each.value) } : each)), remembered };
}

/** The rows that LIMIT or a join leaves, locked so that they are still those. */
function picked(queries: QueryEmitter, target: Changed, from: From, condition: string | undefined, change: Pick<Update, 'order' | 'limit'> & { readonly from: TableReference }, scope: Scope): string {
  const order = change.order.length === 0 || change.limit === undefined ? '' : ` ORDER BY ${queries.expressions.order(change.order, scope)}`;
  const key = keyOf(target.table, change.from.place);
  return isAmong(target.alias, key, `SELECT ${key.map((name) => `${target.alias}.${name}`).join(', ')} FROM ${from.sql}${condition === undefined ? '' : ` WHERE ${condition}`}${order}${queries.limit(change.limit)} FOR UPDATE OF ${target.alias}`);
}

/** The table whose columns an UPDATE names first, as far as that is known before its FROM is read. */
function assignedAlias({ emission }: QueryEmitter, { from, assignments: [first] }: Update): string | undefined {
  if (first === undefined || from.type !== 'join') return undefined;
  const isColumn = (table: MysqlTableFacts): boolean => table.columns.some(({ mysqlName }) => mysqlName.toLowerCase() === first.column.toLowerCase());
  const found = tablesOf(from).find(({ database, name, alias, place }) => (first.table === undefined ? isColumn(emission.table(database, name, place)) : (alias ?? name) === first.table));
  return found?.alias ?? found?.name;
}

function assignedRelation(scope: Scope, table: string | undefined, column: string, place: number): Relation {
  const found = scope.relations.filter((relation) => (table === undefined || relation.alias === table) && relation.columns.some(({ name }) => name.toLowerCase() === column.toLowerCase()));
  const [relation] = found;
  return relation === undefined || found.length > 1 ? refuse(`column ${column}`, place) : relation;
}

/** Whether an expression names a column that is not the relation's own. */
function namesOther(node: unknown, relation: Relation, scope: Scope): boolean {
  if (Array.isArray(node)) return node.some((each) => namesOther(each, relation, scope));
  if (typeof node !== 'object' || node === null) return false;
  if ('type' in node && node.type === 'subquery') return true;
  if ('type' in node && node.type === 'column' && 'name' in node && typeof node.name === 'string') {
    const table = 'table' in node && typeof node.table === 'string' ? node.table : undefined;
    return assignedRelation(scope, table, node.name, 0) !== relation;
  }
  return Object.values(node).some((each) => namesOther(each, relation, scope));
}

function isInnerPair(reference: TableReference): reference is Extract<TableReference, { type: 'join' }> {
  return reference.type === 'join' && reference.kind === 'inner' && reference.left.type === 'table' && reference.right.type === 'table' && reference.using.length === 0 && !reference.natural;
}

function joinCondition(queries: QueryEmitter, reference: TableReference, scope: Scope): string | undefined {
  return reference.type === 'join' && reference.on !== undefined ? queries.expressions.condition(reference.on, scope) : undefined;
}

/** Whether the other table's row is the only one: all columns of a unique key are equal to something outside of it. */
function isPinned(update: Update, target: Relation, scope: Scope): boolean {
  if (!isInnerPair(update.from)) return false;
  const other = scope.relations.find((relation) => relation !== target);
  const conditions = [...conjuncts(update.from.on), ...conjuncts(update.where)];
  const equal = new Set<string>();
  for (const each of conditions) {
    if (each.type !== 'binary' || each.operator !== '=') continue;
    for (const [one, side] of [[each.left, each.right], [each.right, each.left]] as const) {
      if (one.type === 'column' && other !== undefined && assignedRelation(scope, one.table, one.name, one.place) === other && !namesOther(side, target, scope)) equal.add(one.name.toLowerCase());
    }
  }
  return other?.table?.uniqueKeys.some((key) => key.every((name) => equal.has(name.toLowerCase()))) === true;
}

function conjuncts(node: Expression | undefined): readonly Expression[] {
  if (node === undefined) return [];
  return node.type === 'binary' && node.operator === 'AND' ? [...conjuncts(node.left), ...conjuncts(node.right)] : [node];
}

export function emitDelete(queries: QueryEmitter, given: Delete): EmittedWrite {
  const { place } = given.from;
  if (given.hasWith) return refuse('WITH of DELETE', place);
  if (given.ignore) return refuse('DELETE IGNORE', place);
  if (given.targets.length > 1) return deleteFromSeveral(queries, given);
  const [named] = given.targets;
  const statement = named === undefined ? given : { ...given, from: fromRowsOf(given.from, named.name) };
  const scope = new Scope(undefined);
  const from = queries.from(statement.from, scope);
  const target = changedTable(named === undefined ? scope.relations[0] : scope.relations.find((relation) => isTarget(relation, named)), named?.place ?? place);
  const condition = statement.where === undefined ? undefined : queries.expressions.condition(statement.where, scope);
  const isPicked = statement.from.type === 'join' || statement.limit !== undefined;
  const where = isPicked ? picked(queries, target, from, condition, statement, scope) : condition;
  const text = `DELETE FROM ${localTable(target.table)} AS ${target.alias}${where === undefined ? '' : ` WHERE ${where}`}`;
  if (statement.returning !== undefined) {
    const shown = returning(queries, statement.returning, target.table, target.alias, place, 'delete');
    return { steps: [queries.emission.step(`${text} RETURNING ${shown.map(({ sql }) => sql).join(', ')}`, 'rows')], counts: { kind: 'none' }, columns: shown.map(({ column }) => column) };
  }
  return { steps: [queries.emission.step(text, 'count')], counts: { kind: 'tags', steps: [0] } };
}

interface PickedKeys {
  readonly table: MysqlTableFacts;
  readonly key: readonly string[];
  readonly keys: string;
}

/** The rows are picked and locked first, then each table loses its own: a row that was picked twice counts once. */
function deleteFromSeveral(queries: QueryEmitter, statement: Delete): EmittedWrite {
  const { place } = statement.from;
  if (statement.order.length > 0 || statement.limit !== undefined) return refuse('DELETE from several tables with ORDER BY or LIMIT', place);
  // Rows that an outer join may leave out cannot be locked with those beside them.
  const picks = hasOuterJoin(statement.from) ? statement.targets.map((target) => [target]) : [statement.targets];
  const parts = picks.map((targets, index) => pick(queries, statement, targets, `"~picked${index + 1}"`));
  const picked = parts.flatMap(({ rows }) => rows);
  const tables = [...new Set(picked.map(({ table }) => table))];
  const deletes = tables.map((table, index) => {
    const rows = picked.filter((each) => each.table === table);
    return `"~deleted${index + 1}" AS (DELETE FROM ${localTable(table)} AS "~row" WHERE ${isAmong('"~row"', rows[0]?.key ?? [], rows.map(({ keys }) => keys).join(' UNION ALL '))} RETURNING 1)`;
  });
  const counted = tables.map((_, index) => `(SELECT count(*) FROM "~deleted${index + 1}")`).join(' + ');
  const text = `WITH ${[...parts.map(({ sql }) => sql), ...deletes].join(', ')} SELECT ${counted}`;
  return { steps: [queries.emission.step(text, 'keys')], counts: { kind: 'sum', step: 0, column: 0 } };
}

/** The keys of the rows that `targets` lose, under the name `name`. */
function pick(queries: QueryEmitter, statement: Delete, targets: readonly TargetTable[], name: string): { readonly sql: string; readonly rows: readonly PickedKeys[] } {
  const scope = new Scope(undefined);
  const [alone, ...others] = targets;
  const from = queries.from(alone === undefined || others.length > 0 ? statement.from : fromRowsOf(statement.from, alone.name), scope);
  const changed = targets.map((named) => changedTable(scope.relations.find((relation) => isTarget(relation, named)), named.place));
  const condition = statement.where === undefined ? '' : ` WHERE ${queries.expressions.condition(statement.where, scope)}`;
  const columns: string[] = [];
  const rows = changed.map(({ table, alias }): PickedKeys => {
    const key = keyOf(table, statement.from.place);
    const names = key.map((column) => `"${columns.push(`${alias}.${column}`)}"`);
    return { table, key, keys: `SELECT ${names.join(', ')} FROM ${name}` };
  });
  const list = columns.map((column, index) => `${column} AS "${index + 1}"`).join(', ');
  return { sql: `${name} AS MATERIALIZED (SELECT ${list} FROM ${from.sql}${condition} FOR UPDATE OF ${[...new Set(changed.map(({ alias }) => alias))].join(', ')})`, rows };
}

function hasOuterJoin(from: TableReference): boolean {
  return from.type === 'join' && (from.kind !== 'inner' || hasOuterJoin(from.left) || hasOuterJoin(from.right));
}

function isTarget(relation: Relation, { name, database }: TargetTable): boolean {
  return relation.alias === name && (database === undefined || relation.database === database);
}
