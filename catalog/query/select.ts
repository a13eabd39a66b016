/** SELECT, set operations and WITH as SQLite text whose columns are named c1, c2, …; their names and types are told apart. */
import type { Node, ResTarget, SelectStmt, WithClause } from 'libpg-query';
import { aggregateNames } from './functions.ts';
import type { QueryMoment } from './functions.ts';
import { at, condition, expression, locationOf, nodeTitle, only, sortTerm, strings } from './expression.ts';
import type { Translation } from './expression.ts';
import { fromPart, joinItems } from './from-clause.ts';
import type { FromPart, Names } from './from-clause.ts';
import { columnName } from './column-name.ts';
import { refuse } from './refusal.ts';
import { Scope } from './scope.ts';
import { coerce, comparable, hasKey } from './typed.ts';
import type { Typed } from './typed.ts';
import { meetingType, typeTitles } from './sql-types.ts';

export interface SelectColumn extends Typed {
  readonly name: string;
}

export interface TranslatedSelect {
  readonly sql: string;
  readonly columns: readonly SelectColumn[];
}

const NOT_HERE = 'cannot be used in queries on SYS$MIGRATION_ tables';

export function translateSelect(statement: SelectStmt, moment: QueryMoment): TranslatedSelect {
  let used = 0;
  const names: Names = {
    next: () => {
      used += 1;
      return `r${used}`;
    },
  };
  const query: Translation = { moment, select: (inner, parent) => select(inner, parent, query, names) };
  return select(statement, undefined, query, names);
}

const plainFields = [
  'targetList', 'fromClause', 'whereClause', 'groupClause', 'havingClause', 'distinctClause', 'sortClause', 'limitCount', 'limitOffset', 'limitOption',
  'withClause', 'op', 'groupByAll',
];
const setFields = ['op', 'all', 'larg', 'rarg', 'sortClause', 'limitCount', 'limitOffset', 'limitOption', 'withClause'];

function select(statement: SelectStmt, parent: Scope | undefined, query: Translation, names: Names): TranslatedSelect {
  if (statement.lockingClause !== undefined) return refuse(`FOR UPDATE and FOR SHARE ${NOT_HERE}`, undefined, 'The catalog can only be read.');
  if (statement.intoClause !== undefined) return refuse(`SELECT INTO ${NOT_HERE}`, undefined, 'The catalog can only be read.');
  const scope = new Scope(parent);
  const prefix = statement.withClause === undefined ? '' : commonTables(statement.withClause, scope, query, names);
  const isSet = statement.op !== undefined && statement.op !== 'SETOP_NONE';
  const { sql, columns } = isSet ? setOperation(statement, scope, query, names) : plainSelect(statement, scope, query, names);
  return { sql: `${prefix}${sql}${limits(statement)}`, columns };
}

function commonTables(clause: WithClause, scope: Scope, query: Translation, names: Names): string {
  if (clause.recursive === true) return refuse(`WITH RECURSIVE ${NOT_HERE}`, at(clause));
  const parts = (clause.ctes ?? []).map((node) => {
    if (!('CommonTableExpr' in node)) return refuse(`${nodeTitle(node)} ${NOT_HERE}`);
    const { ctename = '', ctequery, aliascolnames } = node.CommonTableExpr;
    if (ctequery === undefined || !('SelectStmt' in ctequery)) return refuse('the catalog can only be read', at(node.CommonTableExpr));
    const { sql, columns } = query.select(ctequery.SelectStmt, scope);
    const aliases = strings(aliascolnames);
    const sqlName = names.next();
    scope.commonTables.set(ctename, {
      sqlName, columns: columns.map((column, index) => ({ name: aliases[index] ?? column.name, type: column.type === 'unknown' ? 'text' : column.type })),
    });
    // Merged into its users it would be written out at every use (see `from-clause.ts`).
    return `${sqlName} AS MATERIALIZED (${sql})`;
  });
  return `WITH ${parts.join(', ')} `;
}

function plainSelect(statement: SelectStmt, scope: Scope, query: Translation, names: Names): TranslatedSelect {
  if (statement.valuesLists !== undefined) return refuse(`VALUES ${NOT_HERE}`);
  only(statement, plainFields, 'SELECT');
  const from = (statement.fromClause ?? []).map((node) => fromPart(node, scope, query, names));
  fillScope(scope, from);
  scope.noAggregates = 'WHERE';
  const where = from.flatMap((part) => part.ticks);
  if (statement.whereClause !== undefined) where.push(condition(expression(statement.whereClause, scope, query), locationOf(statement.whereClause)).sql);
  const targets = expandTargets(statement.targetList ?? [], scope);
  const groups = (statement.groupClause ?? []).map((node) => groupExpression(node, targets, scope, query));
  scope.noAggregates = undefined;
  const aggregated = groups.length > 0 || statement.havingClause !== undefined || [statement.targetList, statement.sortClause].some(containsAggregate);
  if (aggregated) scope.grouping = { expressions: new Set(groups.map((group) => group.sql)) };
  const columns = targets.map((target): SelectColumn => ({ ...targetValue(target, scope, query), name: target.name }));
  const having = statement.havingClause === undefined ? '' : ` HAVING ${condition(expression(statement.havingClause, scope, query), locationOf(statement.havingClause)).sql}`;
  const distinct = distinctWord(statement, columns);
  const order = orderBy(statement, columns, scope, query);
  const sql = [
    `SELECT ${distinct}${columns.length === 0 ? 'NULL' : columns.map((column, index) => `${outputOf(column)} AS c${index + 1}`).join(', ')}`,
    // SQLite takes HAVING without GROUP BY only where the list has an aggregate.
    having !== '' && groups.length === 0 ? ', count(*) AS having_count' : '',
    from.length === 0 ? '' : ` FROM ${from.map((part) => (from.length > 1 && part.items.length > 1 ? `(${part.sql})` : part.sql)).join(', ')}`,
    where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`,
    groups.length === 0 ? '' : ` GROUP BY ${groups.map((group) => groupKey(group)).join(', ')}`,
    having, order,
  ].join('');
  scope.grouping = undefined;
  return { sql, columns };
}

function fillScope(scope: Scope, from: readonly FromPart[]): void {
  for (const part of from) {
    scope.items = joinItems(scope.items, part.items);
    scope.columns = [...scope.columns, ...part.columns];
  }
}

interface Target {
  readonly name: string;
  readonly node: Node | undefined;
  /** Set for the columns of `*`. */
  readonly typed: SelectColumn | undefined;
}

function targetValue(target: Target, scope: Scope, query: Translation): Typed {
  if (target.typed === undefined) return expression(target.node, scope, query);
  scope.checkGrouped(target.typed, undefined, undefined);
  return target.typed;
}

function expandTargets(list: readonly Node[], scope: Scope): readonly Target[] {
  return list.flatMap((node): readonly Target[] => {
    if (!('ResTarget' in node)) return refuse(`${nodeTitle(node)} ${NOT_HERE}`);
    const star = starOf(node.ResTarget, scope);
    if (star === undefined) return [{ name: node.ResTarget.name ?? columnName(node.ResTarget.val), node: node.ResTarget.val, typed: undefined }];
    return star.map((column) => ({ name: column.name, node: undefined, typed: column }));
  });
}

function starOf(target: ResTarget, scope: Scope): readonly SelectColumn[] | undefined {
  if (target.val === undefined || !('ColumnRef' in target.val)) return undefined;
  const fields = target.val.ColumnRef.fields ?? [];
  if (!fields.some((field) => 'A_Star' in field)) return undefined;
  const location = at(target);
  if (scope.items.length === 0) return refuse('SELECT * with no tables specified is not valid', location);
  const [qualifier, ...more] = strings(fields.filter((field) => !('A_Star' in field)));
  if (more.length > 0) return refuse('catalog tables have no schema', location);
  const columns = qualifier === undefined ? scope.columns : scope.item(qualifier)?.columns;
  return columns ?? refuse(`missing FROM-clause entry for table "${qualifier ?? ''}"`, location);
}

/** In GROUP BY a bare name is first a column of FROM, then one of the target list; a number is a position. */
function groupExpression(node: Node, targets: readonly Target[], scope: Scope, query: Translation): Typed {
  scope.noAggregates = 'GROUP BY';
  const position = positionOf(node);
  const name = bareName(node);
  const isOutput = name !== undefined && !scope.columns.some((column) => column.name === name);
  const target = position !== undefined ? targetAt(targets, position, 'GROUP BY', node) : isOutput ? targets.find((candidate) => candidate.name === name) : undefined;
  if (target === undefined) return expression(node, scope, query);
  return target.typed ?? expression(target.node, scope, query);
}

function groupKey(group: Typed): string {
  const key = comparable(group.literal === undefined ? group : coerce(group, 'text'));
  return /^-?\d+$/.test(key) ? `(0 + ${key})` : key;
}

/** In ORDER BY a bare name is first a column of the target list. */
function orderBy(statement: SelectStmt, columns: readonly SelectColumn[], scope: Scope, query: Translation): string {
  const terms = (statement.sortClause ?? []).map((node) => {
    if (!('SortBy' in node) || node.SortBy.node === undefined) return refuse(`this ORDER BY ${NOT_HERE}`);
    const key = node.SortBy.node;
    const output = outputColumn(key, columns);
    const value = output ?? expression(key, scope, query);
    if (statement.distinctClause !== undefined && !columns.some((column) => column.sql === value.sql)) {
      return refuse('for SELECT DISTINCT, ORDER BY expressions must appear in select list', locationOf(key));
    }
    return sortTerm(value, node.SortBy, locationOf(key));
  });
  return terms.length === 0 ? '' : ` ORDER BY ${terms.join(', ')}`;
}

function outputColumn(node: Node, columns: readonly SelectColumn[]): SelectColumn | undefined {
  const position = positionOf(node);
  if (position !== undefined) return targetAt(columns, position, 'ORDER BY', node);
  const name = bareName(node);
  const named = name === undefined ? [] : columns.filter((column) => column.name === name);
  if (new Set(named.map((column) => column.sql)).size > 1) return refuse(`ORDER BY "${name ?? ''}" is ambiguous`, locationOf(node));
  return named[0];
}

function targetAt<T>(targets: readonly T[], position: number, clause: string, node: Node): T {
  return targets[position - 1] ?? refuse(`${clause} position ${position} is not in select list`, locationOf(node));
}

function positionOf(node: Node): number | undefined {
  return 'A_Const' in node && node.A_Const.ival !== undefined ? (node.A_Const.ival.ival ?? 0) : undefined;
}

function bareName(node: Node): string | undefined {
  if (!('ColumnRef' in node)) return undefined;
  const [field, ...more] = node.ColumnRef.fields ?? [];
  return more.length === 0 && field !== undefined && 'String' in field ? field.String.sval : undefined;
}

function distinctWord(statement: SelectStmt, columns: readonly SelectColumn[]): string {
  if (statement.distinctClause === undefined) return '';
  if (statement.distinctClause.some((node) => Object.keys(node).length > 0)) return refuse(`DISTINCT ON ${NOT_HERE}`);
  refuseUnequal(columns, 'DISTINCT');
  return 'DISTINCT ';
}

/** SQLite compares these by their text, which differs for equal values (1.0 and 1.00). */
function refuseUnequal(columns: readonly Typed[], what: string): void {
  for (const column of columns) {
    if (column.type === 'json') refuse('could not identify an equality operator for type json', undefined, 'Cast it to text.');
    if (hasKey(column.type)) refuse(`${what} of ${typeTitles[column.type]} values ${NOT_HERE}`, undefined, 'Cast them to text or to a whole number.');
  }
}

function outputOf(column: SelectColumn): string {
  return column.literal === undefined ? column.sql : coerce(column, column.type === 'unknown' ? 'text' : column.type).sql;
}

function containsAggregate(tree: unknown): boolean {
  if (Array.isArray(tree)) return tree.some(containsAggregate);
  if (typeof tree !== 'object' || tree === null || 'SubLink' in tree) return false;
  if ('FuncCall' in tree && isAggregate(tree.FuncCall)) return true;
  return Object.values(tree).some(containsAggregate);
}

function isAggregate(call: unknown): boolean {
  const names = (call as { readonly funcname?: readonly Node[] }).funcname;
  return aggregateNames.has(strings(names).at(-1) ?? '');
}

const setWords: Readonly<Record<string, string>> = { SETOP_UNION: 'UNION', SETOP_INTERSECT: 'INTERSECT', SETOP_EXCEPT: 'EXCEPT' };

function setOperation(statement: SelectStmt, scope: Scope, query: Translation, names: Names): TranslatedSelect {
  only(statement, setFields, 'a set operation');
  if (statement.larg === undefined || statement.rarg === undefined) return refuse('a set operation needs two sides');
  const left = select(statement.larg, scope, query, names);
  const right = select(statement.rarg, scope, query, names);
  const word = setWords[statement.op ?? ''] ?? refuse(`this set operation ${NOT_HERE}`);
  if (statement.all === true && word !== 'UNION') return refuse(`${word} ALL ${NOT_HERE}`);
  if (left.columns.length !== right.columns.length) return refuse(`each ${word} query must have the same number of columns`);
  const columns = left.columns.map((column, index): SelectColumn => {
    const other = right.columns[index] ?? column;
    const met = meetingType(column.type, other.type) ?? refuse(`${word} types ${typeTitles[column.type]} and ${typeTitles[other.type]} cannot be matched`);
    return { name: column.name, sql: `c${index + 1}`, type: met === 'unknown' ? 'text' : met };
  });
  if (statement.all !== true) refuseUnequal(columns, word);
  const arm = (side: TranslatedSelect): string =>
    `SELECT ${side.columns.map((column, index) => `${armColumn(column, columns[index]?.type ?? 'text', index)} AS c${index + 1}`).join(', ')} FROM (${side.sql})`;
  const both = `${arm(left)} ${word}${statement.all === true ? ' ALL' : ''} ${arm(right)}`;
  const terms = (statement.sortClause ?? []).map((node) => setOrder(node, columns));
  return { sql: `SELECT ${columns.map((column) => column.sql).join(', ')} FROM (${both})${terms.length === 0 ? '' : ` ORDER BY ${terms.join(', ')}`}`, columns };
}

function armColumn(column: SelectColumn, type: SelectColumn['type'], index: number): string {
  return column.literal === undefined ? coerce({ sql: `c${index + 1}`, type: column.type }, type).sql : coerce(column, type).sql;
}

function setOrder(node: Node, columns: readonly SelectColumn[]): string {
  if (!('SortBy' in node) || node.SortBy.node === undefined) return refuse(`this ORDER BY ${NOT_HERE}`);
  const column = outputColumn(node.SortBy.node, columns);
  if (column === undefined) return refuse('ORDER BY of a set operation takes names and positions of its columns', locationOf(node.SortBy.node));
  return sortTerm(column, node.SortBy);
}

function limits(statement: SelectStmt): string {
  if (statement.limitOption === 'LIMIT_OPTION_WITH_TIES') return refuse(`WITH TIES ${NOT_HERE}`);
  const count = limitNumber(statement.limitCount, 'LIMIT');
  const offset = limitNumber(statement.limitOffset, 'OFFSET');
  if (count === undefined && offset === undefined) return '';
  return ` LIMIT ${count ?? -1}${offset === undefined ? '' : ` OFFSET ${offset}`}`;
}

function limitNumber(node: Node | undefined, clause: string): number | undefined {
  if (node === undefined) return undefined;
  if ('A_Const' in node && node.A_Const.isnull === true) return undefined;
  const value = positionOf(node);
  if (value === undefined) return refuse(`${clause} takes a whole number here`, locationOf(node));
  return value < 0 ? refuse(`${clause} must not be negative`, locationOf(node)) : value;
}
