/** FROM: tables, subqueries, VALUES, common tables and joins, each under a generated name. */
import { sqlTable, tableRelation } from './column-value.ts';
import { compare } from './comparison.ts';
import { Scope } from './emission.ts';
import type { Emission, Relation, Value, VisibleColumn } from './emission.ts';
import { filter } from './expression.ts';
import { coerce } from './literal.ts';
import { asNumeric, commonType, isText } from './pg-type.ts';
import { collated } from './text-value.ts';
import { refuse } from './refusal.ts';
import type { TableFacts } from './translation.ts';
import { listOf, nodeOf, stringNode, stringOf, treeOf, unwrap } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

/** One item of FROM: its text, and what can be seen of it. */
export interface FromItem {
  readonly sql: string;
  readonly relations: readonly Relation[];
  readonly visible: readonly VisibleColumn[];
}

export function emitFrom(emission: Emission, items: readonly unknown[], scope: Scope): string {
  const texts: string[] = [];
  for (const item of items) {
    const emitted = fromItem(emission, item, scope);
    scope.relations.push(...emitted.relations);
    scope.visible = [...scope.visible, ...emitted.visible];
    texts.push(emitted.sql);
  }
  const names = scope.relations.map(({ alias }) => alias);
  const double = names.find((name, index) => name !== '' && names.indexOf(name) !== index);
  if (double !== undefined) refuse(`table name ${double} specified more than once`);
  return texts.join(' CROSS JOIN ');
}

function fromItem(emission: Emission, item: unknown, scope: Scope): FromItem {
  const found = unwrap(item);
  switch (found?.name) {
    case 'RangeVar': return rangeVar(emission, found.node, scope);
    case 'RangeSubselect': return rangeSubselect(emission, found.node, scope);
    case 'JoinExpr': return join(emission, found.node, scope);
    case 'RangeFunction': return refuse('function in FROM', found.node['location']);
    default: return refuse(found?.name ?? 'FROM');
  }
}

export function findTable(emission: Emission, node: Tree): TableFacts {
  const name = stringOf(node['relname']) ?? '';
  const schema = stringOf(node['schemaname']);
  const { tables, searchPath } = emission.facts;
  const schemas = schema === undefined ? searchPath : [schema];
  for (const one of schemas) {
    const table = tables.find((candidate) => candidate.schema === one && candidate.name === name);
    if (table !== undefined) return table;
  }
  return refuse(`relation ${schema === undefined ? name : `${schema}.${name}`}`, node['location']);
}

function aliasOf(node: Tree): { readonly name: string | undefined; readonly columns: readonly string[] } {
  const alias = treeOf(node['alias']);
  return { name: stringOf(alias?.['aliasname']), columns: listOf(alias?.['colnames']).map((name) => stringNode(name) ?? '') };
}

function rangeVar(emission: Emission, node: Tree, scope: Scope): FromItem {
  const alias = aliasOf(node);
  const name = emission.newName();
  const written = stringOf(node['relname']) ?? '';
  const common = node['schemaname'] === undefined ? scope.commonTable(written) : undefined;
  if (common !== undefined) {
    const columns = common.columns.map((column, index) => ({ name: alias.columns[index] ?? column.name, value: derivedValue(emission, `${name}.c${index + 1}`, column) }));
    if (common.isSorted === true) scope.readsSorted = true;
    const relation: Relation = { alias: alias.name ?? written, columns, sqlName: name };
    return { sql: `${common.inline === undefined ? common.sqlName : `(${common.inline})`} AS ${name}`, relations: [relation], visible: columns };
  }
  const table = findTable(emission, node);
  const relation = tableRelation(emission, table, { alias: alias.name ?? written, schema: alias.name === undefined ? table.schema : undefined, qualifier: `${name}.`, columnNames: alias.columns });
  return { sql: `${sqlTable(table)} AS ${name}`, relations: [relation], visible: relation.columns };
}

/** Text from a subquery has the collation it was made with, but not the strength of one that is written. */
export function derivedValue(emission: Emission, sql: string, column: { readonly type: Value['type']; readonly nullable: boolean; readonly showOnly?: boolean | undefined; readonly hasText?: boolean }): Value {
  const { type, nullable } = column;
  if (column.hasText === true) return { sql, type, nullable, shown: sql.replace(/c(\d+)$/, 't$1') };
  if (column.showOnly === true) return { sql, type, nullable, showOnly: true };
  if (isText(type)) return { sql: collated(emission, sql), type, nullable };
  return { sql: type.name === 'bool' ? `(${sql} <> 0)` : sql, type, nullable };
}

/** A query whose rows PostgreSQL hands on in an order: its own, or that of one that it reads. */
export function isSorted(query: unknown): boolean {
  const select = treeOf(nodeOf(query, 'SelectStmt'));
  return select !== undefined && (listOf(select['sortClause']).length > 0 || listOf(select['fromClause']).some((item) => isSorted(nodeOf(item, 'RangeSubselect')?.['subquery'])));
}

function rangeSubselect(emission: Emission, node: Tree, scope: Scope): FromItem {
  const isLateral = node['lateral'] === true;
  if (isLateral && !emission.capabilities.lateral) return refuse('LATERAL');
  if (isSorted(node['subquery'])) scope.readsSorted = true;
  const alias = aliasOf(node);
  const name = emission.newName();
  const query = emission.query(node['subquery'], isLateral ? scope : outside(scope), { named: true, texts: 'beside', keepsOrder: true });
  const columns = query.columns.map((column, index) => ({ name: alias.columns[index] ?? column.name, value: derivedValue(emission, `${name}.c${index + 1}`, { ...column.value, hasText: column.value.shown !== undefined }) }));
  return { sql: `${isLateral ? 'LATERAL ' : ''}(${query.sql}) AS ${name}`, relations: [{ alias: alias.name ?? '', columns, sqlName: name }], visible: columns };
}

/** What a subquery in FROM sees: common tables, and no neighbour; MySQL shows it no outer query either. */
function outside(scope: Scope): Scope {
  const seen = new Scope(undefined);
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    for (const [name, table] of level.commonTables) if (!seen.commonTables.has(name)) seen.commonTables.set(name, table);
  }
  return seen;
}

function join(emission: Emission, node: Tree, scope: Scope): FromItem {
  const type = String(node['jointype'] ?? 'JOIN_INNER');
  if (treeOf(node['alias']) !== undefined || treeOf(node['join_using_alias']) !== undefined) return refuse('alias of a join');
  if (node['isNatural'] === true) return refuse('NATURAL JOIN');
  if (type === 'JOIN_FULL') return refuse('FULL JOIN');
  const left = fromItem(emission, node['larg'], scope);
  // A lateral item sees what stands before it.
  const seen = new Scope(scope);
  seen.relations.push(...left.relations);
  seen.visible = [...left.visible];
  const right = fromItem(emission, node['rarg'], seen);
  const one = type === 'JOIN_RIGHT' ? withNulls(left) : left;
  const other = type === 'JOIN_LEFT' ? withNulls(right) : right;
  const words: Readonly<Record<string, string>> = { JOIN_INNER: 'JOIN', JOIN_LEFT: 'LEFT JOIN', JOIN_RIGHT: 'RIGHT JOIN' };
  const word = words[type] ?? refuse(type);
  const relations = [...one.relations, ...other.relations];
  if (node['usingClause'] !== undefined) return joinUsing(emission, { word, one, other, relations, names: listOf(node['usingClause']).map((name) => stringNode(name) ?? ''), isRight: type === 'JOIN_RIGHT' }, left, right);
  if (node['quals'] === undefined) return { sql: `${left.sql} CROSS JOIN ${parenthesised(node['rarg'], right.sql)}`, relations, visible: [...one.visible, ...other.visible] };
  const inner = new Scope(scope);
  inner.relations.push(...left.relations, ...right.relations);
  inner.visible = [...left.visible, ...right.visible];
  return { sql: `${left.sql} ${word} ${parenthesised(node['rarg'], right.sql)} ON ${filter(emission, node['quals'], inner)}`, relations, visible: [...one.visible, ...other.visible] };
}

function parenthesised(node: unknown, sql: string): string {
  return nodeOf(node, 'JoinExpr') === undefined ? sql : `(${sql})`;
}

interface UsingJoin {
  readonly word: string;
  readonly one: FromItem;
  readonly other: FromItem;
  readonly relations: readonly Relation[];
  readonly names: readonly string[];
  readonly isRight: boolean;
}

function joinUsing(emission: Emission, parts: UsingJoin, left: FromItem, right: FromItem): FromItem {
  const find = (item: FromItem, name: string): VisibleColumn => {
    const found = item.visible.filter((column) => column.name === name);
    const [first] = found;
    return first === undefined || found.length > 1 ? refuse(`USING (${name})`) : first;
  };
  const tests = parts.names.map((name) => compare(emission, '=', find(left, name).value, find(right, name).value, undefined).sql);
  // The merged column is that of the side that always has a row, in the type that both are compared in.
  const merged = parts.names.map((name): VisibleColumn => {
    const [own, other] = parts.isRight ? [parts.other, parts.one] : [parts.one, parts.other];
    const column = find(own, name);
    const type = commonType(column.value.type, find(other, name).value.type) ?? refuse(`USING (${name})`);
    // A number has the digits that it has on its own side.
    const kept = type.name === 'numeric' ? { ...column.value, type: asNumeric(column.value.type) } : undefined;
    return type.name === column.value.type.name ? column : { name, value: kept ?? coerce(emission, column.value, type) };
  });
  const rest = [...parts.one.visible, ...parts.other.visible].filter(({ name }) => !parts.names.includes(name));
  return { sql: `${left.sql} ${parts.word} ${right.sql} ON ${tests.join(' AND ')}`, relations: parts.relations, visible: [...merged, ...rest] };
}

/** The side of an outer join that may have no row. */
function withNulls(item: FromItem): FromItem {
  const made = new Map<VisibleColumn, VisibleColumn>();
  const nullable = (column: VisibleColumn): VisibleColumn => {
    const known = made.get(column) ?? { ...column, value: { ...column.value, nullable: true } };
    made.set(column, known);
    return known;
  };
  return { sql: item.sql, relations: item.relations.map((relation) => ({ ...relation, columns: relation.columns.map(nullable) })), visible: item.visible.map(nullable) };
}
