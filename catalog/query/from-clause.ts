/** FROM: catalog tables, subqueries, common table expressions and joins of them. */
import type { JoinExpr, Node, RangeSubselect, RangeVar } from 'libpg-query';
import { condition, expression, locationOf, nodeTitle, only, at, strings } from './expression.ts';
import type { Translation } from './expression.ts';
import { compare } from './operators.ts';
import { refuse } from './refusal.ts';
import { Scope } from './scope.ts';
import type { RangeColumn, RangeItem } from './scope.ts';
import { catalogTable, catalogTables } from './tables.ts';

export interface FromPart {
  readonly sql: string;
  readonly items: readonly RangeItem[];
  readonly columns: readonly RangeColumn[];
  /**
   * Conditions that are always true and count the rows visited, to be put before all others of the WHERE: SQLite tests the conditions
   * of a loop in their order. Those of an outer join's right side are in its ON already.
   */
  readonly ticks: readonly string[];
}

/** Hands out names that no query can have written. */
export interface Names {
  next(): string;
}

export function fromPart(node: Node, scope: Scope, query: Translation, names: Names): FromPart {
  if ('RangeVar' in node) return tablePart(node.RangeVar, scope, names);
  if ('RangeSubselect' in node) return subqueryPart(node.RangeSubselect, scope, query, names);
  if ('JoinExpr' in node) return joinPart(node.JoinExpr, scope, query, names);
  if ('RangeFunction' in node) return refuse(`function ${functionName(node)}() in FROM cannot be used with SYS$MIGRATION_ tables`, locationOf(node));
  return refuse(`${nodeTitle(node)} in FROM cannot be used in queries on SYS$MIGRATION_ tables`, locationOf(node));
}

function tablePart(reference: RangeVar, scope: Scope, names: Names): FromPart {
  const location = at(reference);
  only(reference, ['relname', 'schemaname', 'catalogname', 'inh', 'relpersistence', 'alias', 'location'], 'a table', location);
  const name = reference.relname ?? '';
  const visible = reference.alias?.aliasname ?? name;
  const renamed = strings(reference.alias?.colnames);
  const sqlName = names.next();
  if (reference.schemaname !== undefined) return refuse('catalog tables have no schema', location, `Write "${name.toUpperCase()}" without a schema.`);
  const common = scope.commonTable(name);
  if (common !== undefined) {
    const columns = common.columns.map((column, index) => ({ name: column.name, type: column.type, sql: `${sqlName}.c${index + 1}` }));
    return itemPart(`${common.sqlName} AS ${sqlName}`, visible, rename(columns, renamed, location), []);
  }
  const table = catalogTable(name);
  if (table === undefined) {
    return refuse(`relation "${name}" is not one of the catalog's, or cannot be read together with them`, location, `Catalog tables: ${catalogTables.map((known) => known.name).join(', ')}.`);
  }
  const columns = table.columns.map((column) => ({ name: column.name, type: column.type, sql: `${sqlName}."${column.name}"` }));
  const primaryKey = table.primaryKey.map((key) => `${sqlName}."${key}"`);
  // The rowid is in every index, so that no index lets SQLite test another condition first.
  return { ...itemPart(`"${table.name}" AS ${sqlName}`, visible, rename(columns, renamed, location), primaryKey), ticks: [`pg_tick(${sqlName}.rowid)`] };
}

function subqueryPart(reference: RangeSubselect, scope: Scope, query: Translation, names: Names): FromPart {
  if (reference.lateral === true) return refuse('LATERAL cannot be used in queries on SYS$MIGRATION_ tables');
  if (reference.subquery === undefined || !('SelectStmt' in reference.subquery)) return refuse('this subquery cannot be used in queries on SYS$MIGRATION_ tables');
  const sqlName = names.next();
  // Its surroundings lend it their common tables, and the SELECTs further out their columns, but not its neighbours in FROM.
  const around = new Scope(scope.parent);
  for (const [name, common] of scope.commonTables) around.commonTables.set(name, common);
  const { sql, columns } = query.select(reference.subquery.SelectStmt, around);
  const own = columns.map((column, index): RangeColumn => ({ name: column.name, type: column.type === 'unknown' ? 'text' : column.type, sql: `${sqlName}.c${index + 1}` }));
  // LIMIT keeps SQLite from merging it into the SELECT around it, which writes a column's expression out at every use of it: nested
  // ones would double at each level (sqlite.org/optoverview.html, "Subquery Flattening").
  return itemPart(`(SELECT * FROM (${sql}) LIMIT -1) AS ${sqlName}`, reference.alias?.aliasname ?? '', rename(own, strings(reference.alias?.colnames), undefined), []);
}

function itemPart(sql: string, name: string, columns: readonly RangeColumn[], primaryKey: readonly string[]): FromPart {
  const [first] = columns;
  return { sql, items: [{ name, columns, primaryKey }], columns, ticks: first === undefined ? [] : [`pg_tick(${first.sql})`] };
}

function rename(columns: readonly RangeColumn[], names: readonly string[], location: number | undefined): readonly RangeColumn[] {
  if (names.length > columns.length) refuse('more column aliases than columns', location);
  return columns.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
}

const joinWords: Readonly<Record<string, string>> = { JOIN_INNER: 'JOIN', JOIN_LEFT: 'LEFT JOIN', JOIN_RIGHT: 'RIGHT JOIN', JOIN_FULL: 'FULL JOIN' };

function joinPart(join: JoinExpr, scope: Scope, query: Translation, names: Names): FromPart {
  if (join.larg === undefined || join.rarg === undefined) return refuse('a join needs two sides');
  only(join, ['jointype', 'larg', 'rarg', 'quals', 'usingClause', 'isNatural', 'rtindex'], 'a join');
  const left = fromPart(join.larg, scope, query, names);
  const right = fromPart(join.rarg, scope, query, names);
  const items = joinItems(left.items, right.items);
  const word = joinWords[join.jointype ?? ''] ?? refuse('this kind of join cannot be used in queries on SYS$MIGRATION_ tables');
  const shared = join.isNatural === true ? left.columns.map((column) => column.name).filter((name) => right.columns.some((column) => column.name === name)) : strings(join.usingClause);
  const merged = shared.map((name) => mergeColumn(name, left.columns, right.columns, join.jointype));
  const columns = [
    ...merged.map(({ column }) => column),
    ...[...left.columns, ...right.columns].filter((column) => !shared.includes(column.name)),
  ];
  const inner = join.jointype === 'JOIN_INNER';
  const on = [...(inner ? [] : right.ticks), ...merged.map(({ equal }) => equal)];
  if (join.quals !== undefined) {
    const inside = new Scope(scope.parent);
    for (const [name, common] of scope.commonTables) inside.commonTables.set(name, common);
    inside.items = items;
    inside.columns = columns;
    inside.noAggregates = 'JOIN conditions';
    on.push(condition(expression(join.quals, inside, query), locationOf(join.quals)).sql);
  }
  const rightSql = 'JoinExpr' in join.rarg ? `(${right.sql})` : right.sql;
  return { sql: `${left.sql} ${word} ${rightSql} ON ${on.length === 0 ? '1' : on.join(' AND ')}`, items, columns, ticks: inner ? [...left.ticks, ...right.ticks] : left.ticks };
}

export function joinItems(left: readonly RangeItem[], right: readonly RangeItem[]): readonly RangeItem[] {
  const twice = right.find((item) => item.name !== '' && left.some((other) => other.name === item.name));
  if (twice !== undefined) refuse(`table name "${twice.name}" specified more than once`);
  return [...left, ...right];
}

function mergeColumn(name: string, left: readonly RangeColumn[], right: readonly RangeColumn[], joinType: string | undefined): { readonly column: RangeColumn; readonly equal: string } {
  const [a, ...moreLeft] = left.filter((column) => column.name === name);
  const [b, ...moreRight] = right.filter((column) => column.name === name);
  if (a === undefined || b === undefined) return refuse(`column "${name}" specified in USING clause does not exist in both tables`);
  if (moreLeft.length + moreRight.length > 0) return refuse(`common column name "${name}" appears more than once`);
  const sql = joinType === 'JOIN_FULL' ? `coalesce(${a.sql}, ${b.sql})` : joinType === 'JOIN_RIGHT' ? b.sql : a.sql;
  return { column: { name, type: a.type, sql }, equal: compare('=', a, b).sql };
}

function functionName(node: Node): string {
  const match = /"funcname":\[(.*?)\]/.exec(JSON.stringify(node));
  return (match?.[1] ?? '').match(/"sval":"([^"]*)"/g)?.at(-1)?.slice(8, -1) ?? '?';
}
