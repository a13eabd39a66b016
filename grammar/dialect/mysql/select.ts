/** SELECT, VALUES and set operations. */
import { isAggregate } from './aggregate.ts';
import { Scope } from './emission.ts';
import type { Emission, QueryOptions, QueryText, Relation, Value } from './emission.ts';
import { filter, sortable } from './expression.ts';
import { derivedValue, emitFrom } from './from-clause.ts';
import { groupClause } from './group-clause.ts';
import { limitClause, lockClause } from './limit-clause.ts';
import { coerce } from './literal.ts';
import { withClause } from './with-clause.ts';
import { comparable } from './text-value.ts';
import { columnLabel } from './column-label.ts';
import { commonType, isText, text as textType, typeLabel, unknown } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { isSameForAll, sortKeys } from './sort-keys.ts';
import { refuse } from './refusal.ts';
import { listOf, nameParts, nodeOf, stringNode, stringOf, treeOf, unwrap } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

interface Column {
  readonly name: string;
  readonly value: Value;
}

interface Core {
  /** With `columnTexts` in place of the list. */
  readonly build: (list: string, order: readonly string[]) => string;
  readonly columns: readonly Column[];
  readonly scope: Scope;
}

export function emitQuery(emission: Emission, node: unknown, parent: Scope | undefined, options: QueryOptions): QueryText {
  const select = treeOf(nodeOf(node, 'SelectStmt')) ?? treeOf(node) ?? refuse('query');
  if (select['intoClause'] !== undefined) return refuse('SELECT INTO');
  const level = new Scope(parent);
  const withText = withClause(emission, treeOf(select['withClause']), level);
  const body = queryBody(emission, select, level, options);
  return { sql: `${withText}${body.sql}`, columns: body.columns };
}

function queryBody(emission: Emission, select: Tree, level: Scope, options: QueryOptions): QueryText {
  const sorts = listOf(select['sortClause']);
  const isSet = select['op'] !== undefined && select['op'] !== 'SETOP_NONE';
  if (isSet || select['valuesLists'] !== undefined) {
    const inner = isSet ? setOperation(emission, select, level, options) : valuesQuery(emission, select, level, options);
    return sortedOutside(emission, inner, select, sorts, options);
  }
  const distinct = listOf(select['distinctClause']);
  if (distinct.length > 0 && distinct.some((item) => unwrap(item) !== undefined)) return distinctOn(emission, select, level, options);
  const core = selectCore(emission, select, level, options.types);
  if (distinct.length > 0) {
    refuseShowOnly(core.columns, 'DISTINCT');
    return sortedOutside(emission, hasInexactText(emission, core.columns) ? distinctBytes(emission, core) : named(core, 'DISTINCT '), select, sorts, options);
  }
  // MariaDB loses the order of groups where a window stands in what is shown.
  if (sorts.length > 0 && core.scope.sqlWindows.size > 0 && core.scope.grouping !== undefined && emission.capabilities.subqueryCache) return sortedAbove(emission, core, { select, options, more: [], where: '' });
  const order = sorts.flatMap((item) => sortKeys(emission, item, (key) => sortValue(emission, key, core.columns, core.scope)));
  const list = listTexts(core.columns, options);
  explainGrouping(core.scope);
  return { sql: `${core.build(list.join(', '), order)}${limitClause(emission, select, options.keepsOrder)}${lockClause(emission, select, core.scope)}`, columns: core.columns };
}

function listTexts(columns: readonly Column[], options: QueryOptions): readonly string[] {
  const texts = columns.map(({ value }, index) => (options.named ? `${value.sql} AS c${index + 1}` : options.texts === 'shown' ? value.shown ?? value.sql : value.sql));
  return options.texts === 'beside' ? [...texts, ...columns.flatMap(({ value }, index) => (value.shown === undefined ? [] : [`${value.shown} AS t${index + 1}`]))] : texts;
}

function withoutText({ name, value }: Column): Column {
  const { shown: _shown, ...rest } = value;
  return { name, value: rest };
}

/** Where no collation compares text as it is, its bytes do. */
function hasInexactText(emission: Emission, columns: readonly Column[]): boolean {
  return emission.capabilities.binaryCollation === undefined && columns.some(({ value }) => isText(value.type));
}

function refuseShowOnly(columns: readonly Column[], what: string): void {
  const other = columns.find(({ value }) => value.showOnly === true);
  if (other !== undefined) refuse(`${what} of ${typeLabel(other.value.type)}`);
}

/** DISTINCT as GROUP BY, which takes other expressions than those that are shown. */
function distinctBytes(emission: Emission, core: Core): QueryText {
  if (core.scope.grouping !== undefined) return refuse('DISTINCT of text with GROUP BY');
  const { sql, columns } = named(core, '');
  return { sql: `${sql}${groupedBy(emission, core.columns)}`, columns };
}

/** A constant would be the place of a column. */
function groupedBy(emission: Emission, columns: readonly Column[]): string {
  const keys = columns.filter(({ value }) => !isSameForAll(value)).map(({ value }) => sortable(emission, value));
  return keys.length === 0 ? refuse('DISTINCT of constants') : ` GROUP BY ${keys.join(', ')}`;
}

function named(core: Core, distinct: string): QueryText {
  explainGrouping(core.scope);
  return { sql: core.build(`${distinct}${listTexts(core.columns, { named: true }).join(', ')}`, []), columns: core.columns.map(withoutText) };
}

/** A column outside an aggregate that the groups do not decide is an error on PostgreSQL; MySQL would take any row's. */
function explainGrouping(scope: Scope): void {
  const [column] = scope.ungrouped;
  if (column !== undefined) refuse(`column ${column} that is neither grouped by nor aggregated`);
}

function sortedOutside(emission: Emission, inner: QueryText, select: Tree, sorts: readonly unknown[], options: QueryOptions): QueryText {
  if (select['lockingClause'] !== undefined) return refuse('FOR UPDATE of such a query');
  const limit = limitClause(emission, select, options.keepsOrder);
  if (sorts.length === 0 && limit === '' && options.named) return inner;
  const name = emission.newName();
  const columns = inner.columns.map((column, index) => ({ name: column.name, value: derivedValue(emission, `${name}.c${index + 1}`, column.value) }));
  const keys = sorts.flatMap((item) => sortKeys(emission, item, (key) => outputColumn(key, columns) ?? refuse('ORDER BY an expression over DISTINCT or a set operation')));
  const list = listTexts(columns, { named: options.named });
  return { sql: `SELECT ${list.join(', ')} FROM (${inner.sql}) AS ${name}${keys.length === 0 ? '' : ` ORDER BY ${keys.join(', ')}`}${limit}`, columns };
}

/** An ordinal or a bare name that is one of the output. */
function outputColumn(node: unknown, columns: readonly Column[]): Value | undefined {
  const ordinal = treeOf(nodeOf(node, 'A_Const')?.['ival']);
  if (ordinal !== undefined) return columns[Number(ordinal['ival'] ?? 0) - 1]?.value ?? refuse('ORDER BY position that is not in the list');
  const fields = listOf(nodeOf(node, 'ColumnRef')?.['fields']);
  const name = fields.length === 1 ? stringNode(fields[0]) : undefined;
  const found = name === undefined ? [] : columns.filter((column) => column.name === name);
  const texts = new Set(found.map(({ value }) => value.sql));
  return texts.size > 1 ? refuse(`ambiguous ORDER BY ${name ?? ''}`) : found[0]?.value;
}

function sortValue(emission: Emission, key: unknown, columns: readonly Column[], scope: Scope): Value {
  const output = outputColumn(key, columns);
  if (output?.showOnly === true) return refuse(`ORDER BY ${typeLabel(output.type)}`);
  return output ?? emission.expression(key, scope);
}

function selectCore(emission: Emission, select: Tree, level: Scope, types: QueryOptions['types']): Core {
  const scope = level;
  const from = emitFrom(emission, listOf(select['fromClause']), scope);
  for (const item of listOf(select['windowClause'])) scope.windows.set(stringOf(nodeOf(item, 'WindowDef')?.['name']) ?? '', item);
  const isGrouped = select['groupClause'] !== undefined || select['havingClause'] !== undefined || listOf(select['targetList']).some(hasAggregate) || listOf(select['sortClause']).some(hasAggregate);
  typeParameters(emission, select, scope, isGrouped);
  const where = select['whereClause'] === undefined ? '' : ` WHERE ${filter(emission, select['whereClause'], scope)}`;
  const group = isGrouped ? groupClause(emission, select, scope) : '';
  const columns = targetColumns(emission, listOf(select['targetList']), scope).map((column, index) => typed(emission, column, types?.[index]));
  const having = select['havingClause'] === undefined ? '' : ` HAVING ${filter(emission, select['havingClause'], scope)}`;
  // MySQL 5.6 takes no WHERE of DUAL in a query, and misreads it in a subquery.
  const oneRow = `(SELECT 1) AS ${emission.newName()}`;
  const build = (list: string, order: readonly string[]): string =>
    `SELECT ${list} FROM ${from === '' ? (where === '' ? 'DUAL' : oneRow) : from}${where}${group}${having}${windowClause(scope)}${order.length === 0 ? '' : ` ORDER BY ${order.join(', ')}`}`;
  return { build, columns, scope };
}

/** A parameter has the type of where it stands first, for which PostgreSQL looks at the list before it looks at WHERE. */
function typeParameters(emission: Emission, select: Tree, scope: Scope, isGrouped: boolean): void {
  const targets = listOf(select['targetList']).filter(hasParameter);
  if (targets.length === 0 || !hasParameter(select['whereClause'])) return;
  const [unexplained, windows] = [scope.ungrouped.length, [...scope.sqlWindows]];
  if (isGrouped) scope.grouping = [];
  targetColumns(emission, targets, scope);
  scope.grouping = undefined;
  scope.ungrouped.length = unexplained;
  scope.sqlWindows.clear();
  for (const [text, name] of windows) scope.sqlWindows.set(text, name);
}

function hasParameter(node: unknown): boolean {
  return JSON.stringify(node ?? null).includes('"ParamRef"');
}

/** Written once each: a server counts the windows of a query, and has an end of them. */
function windowClause(scope: Scope): string {
  return scope.sqlWindows.size === 0 ? '' : ` WINDOW ${[...scope.sqlWindows].map(([text, name]) => `${name} AS (${text})`).join(', ')}`;
}

function typed(emission: Emission, column: Column, type: PgType | undefined): Column {
  if (column.value.showOnly === true) return column;
  const wanted = type ?? unknown;
  const common = commonType(column.value.type, wanted) ?? refuse(`column of type ${typeLabel(column.value.type)} where ${typeLabel(wanted)} is expected`);
  return { name: column.name, value: coerce(emission, column.value, common.name === 'unknown' ? textType : common) };
}

/** Of this query level: not in a subquery, not as a window function. */
function hasAggregate(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(hasAggregate);
  const tree = treeOf(node);
  if (tree === undefined) return false;
  const call = treeOf(tree['FuncCall']);
  if (call !== undefined && call['over'] === undefined && isAggregate(nameParts(call['funcname'])?.at(-1) ?? '')) return true;
  return Object.entries(tree).some(([name, value]) => name !== 'SubLink' && hasAggregate(value));
}

export function targetColumns(emission: Emission, targets: readonly unknown[], scope: Scope): readonly Column[] {
  return targets.flatMap((item) => {
    const target = nodeOf(item, 'ResTarget') ?? refuse('target list');
    if (target['indirection'] !== undefined) return refuse('subscript or field of a column');
    const fields = listOf(nodeOf(target['val'], 'ColumnRef')?.['fields']);
    if (nodeOf(fields.at(-1), 'A_Star') !== undefined) return star(fields, scope, nodeOf(target['val'], 'ColumnRef')?.['location']);
    const value = shownColumn(fields, scope) ?? emission.expression(target['val'], scope);
    return [{ name: stringOf(target['name']) ?? columnLabel(target['val']), value }];
  });
}

/** A column that can only be shown is no expression: it is looked up here. */
function shownColumn(fields: readonly unknown[], scope: Scope): Value | undefined {
  const parts = fields.map(stringNode);
  if (parts.length === 0 || parts.includes(undefined)) return undefined;
  const names = parts.map((part) => part ?? '');
  const unexplained = scope.ungrouped.length;
  const value = scope.column(names.slice(0, -1), names.at(-1) ?? '', undefined);
  if (value.showOnly === true && scope.grouping === undefined) return value;
  scope.ungrouped.length = unexplained;
  return undefined;
}

function star(fields: readonly unknown[], scope: Scope, place: unknown): readonly Column[] {
  const qualifiers = fields.slice(0, -1).map((field) => stringNode(field) ?? '');
  const columns = qualifiers.length === 0 ? scope.visible : scope.relation(qualifiers, place).columns;
  if (columns.length === 0) return refuse('* of nothing', place);
  if (scope.grouping !== undefined && !columns.every(({ value }) => scope.grouping?.includes(value.sql)) && ![...scope.keyed].some((relation: Relation) => columns.every((column) => relation.columns.includes(column)))) return refuse('* in a query that groups', place);
  return columns.map(({ name, value }) => ({ name, value }));
}

/** The first row of each group: numbered in the order of the query, which begins with the group's keys. */
function distinctOn(emission: Emission, select: Tree, level: Scope, options: QueryOptions): QueryText {
  if (!emission.capabilities.windows) return refuse('DISTINCT ON');
  if (select['groupClause'] !== undefined || select['lockingClause'] !== undefined) return refuse('DISTINCT ON with GROUP BY or FOR UPDATE');
  const core = selectCore(emission, select, level, options.types);
  if (core.scope.grouping !== undefined) return refuse('DISTINCT ON with aggregates');
  const keys = listOf(select['distinctClause']).map((item) => sortable(emission, sortValue(emission, item, core.columns, core.scope)));
  const sorts = listOf(select['sortClause']);
  const order = sorts.flatMap((item) => sortKeys(emission, item, (key) => sortValue(emission, key, core.columns, core.scope)));
  if (order.length === 0 && core.scope.readsSorted) return refuse('DISTINCT ON without ORDER BY over a sorted subquery');
  const number = `ROW_NUMBER() OVER (PARTITION BY ${keys.join(', ')}${order.length === 0 ? '' : ` ORDER BY ${order.join(', ')}`}) AS n`;
  return sortedAbove(emission, core, { select, options, more: [number], where: 'n = 1' });
}

interface Above {
  readonly select: Tree;
  readonly options: QueryOptions;
  /** What the query shows besides its columns. */
  readonly more: readonly string[];
  readonly where: string;
}

/** The query as the table of another one, which sorts its rows by values that stand beside its columns. */
function sortedAbove(emission: Emission, core: Core, { select, options, more, where }: Above): QueryText {
  const name = emission.newName();
  const sorts = listOf(select['sortClause']);
  const values = sorts.map((item) => sortValue(emission, nodeOf(item, 'SortBy')?.['node'], core.columns, core.scope));
  explainGrouping(core.scope);
  const list = [...listTexts(core.columns, { named: true, texts: 'beside' }), ...more, ...values.map((value, index) => `${value.sql} AS s${index + 1}`)];
  const columns = core.columns.map((column, index) => ({ name: column.name, value: derivedValue(emission, `${name}.c${index + 1}`, { ...column.value, hasText: column.value.shown !== undefined }) }));
  const outer = sorts.flatMap((item, index) => {
    const value = values[index] ?? refuse('ORDER BY');
    return sortKeys(emission, item, () => derivedValue(emission, `${name}.s${index + 1}`, value));
  });
  const texts = listTexts(columns, options);
  return { sql: `SELECT ${texts.join(', ')} FROM (${core.build(list.join(', '), [])}) AS ${name}${where === '' ? '' : ` WHERE ${name}.${where}`}${outer.length === 0 ? '' : ` ORDER BY ${outer.join(', ')}`}${limitClause(emission, select, options.keepsOrder)}`, columns };
}

function valuesQuery(emission: Emission, select: Tree, level: Scope, options: QueryOptions): QueryText {
  const rows = listOf(select['valuesLists']).map((row) => listOf(nodeOf(row, 'List')?.['items']).map((item) => emission.expression(item, level)));
  const types = rows[0]?.map((_value, index) => {
    const type = rows.reduce<PgType>((common, row) => commonType(common, row[index]?.type ?? unknown) ?? refuse('VALUES of different types'), options.types?.[index] ?? unknown);
    return type.name === 'unknown' ? textType : type;
  }) ?? [];
  const values = rows.map((row) => row.map((value, index) => coerce(emission, value, types[index] ?? textType)));
  const columns = types.map((type, index) => ({ name: `column${index + 1}`, value: { sql: '', type: scaleOf(values.map((row) => row[index]), type), nullable: values.some((row) => row[index]?.nullable === true) } }));
  return { sql: values.map((row) => `SELECT ${row.map((value, index) => `${value.sql} AS c${index + 1}`).join(', ')} FROM DUAL`).join(' UNION ALL '), columns };
}

/** Numbers of one scale keep it; coercion has made integers numeric. */
function scaleOf(values: readonly (Value | undefined)[], type: PgType): PgType {
  if (type.name !== 'numeric') return type;
  return values.reduce<PgType>((common, value) => (value === undefined || value.sql === 'NULL' ? common : commonType(common, value.type) ?? type), unknown);
}

const setWords: Readonly<Record<string, string>> = { SETOP_UNION: 'UNION', SETOP_INTERSECT: 'INTERSECT', SETOP_EXCEPT: 'EXCEPT' };

function setOperation(emission: Emission, select: Tree, level: Scope, options: QueryOptions): QueryText {
  const operation = setWords[String(select['op'])] ?? refuse('set operation');
  const isAll = select['all'] === true;
  if (operation !== 'UNION' && !emission.capabilities.exceptIntersect && isAll) return refuse(`${operation} ALL`);
  const branch = (side: 'larg' | 'rarg', types: QueryOptions['types']): QueryText => emission.query({ SelectStmt: select[side] }, level, { named: true, keepsOrder: isAll, ...(types === undefined ? {} : { types }) });
  const [first, second] = [branch('larg', options.types), branch('rarg', options.types)];
  if (first.columns.length !== second.columns.length) return refuse(`${operation} of different numbers of columns`);
  const types = first.columns.map((column, index) => {
    const [one, other] = [column.value, second.columns[index]?.value ?? refuse(operation)];
    return commonType(literalType(select['larg'], index) ?? one.type, literalType(select['rarg'], index) ?? other.type) ?? refuse(`${operation} of ${typeLabel(one.type)} and ${typeLabel(other.type)}`);
  });
  // Once more, now that the columns' types are known.
  const [left, right] = [branch('larg', types), branch('rarg', types)];
  const columns = left.columns.map((column, index) => ({
    name: column.name,
    value: { sql: '', type: commonType(column.value.type, right.columns[index]?.value.type ?? column.value.type) ?? refuse(`${operation} of ${typeLabel(column.value.type)} of different lengths`), nullable: column.value.nullable || right.columns[index]?.value.nullable === true, ...(column.value.showOnly === true || right.columns[index]?.value.showOnly === true ? { showOnly: true } : {}) },
  }));
  if (!isAll) refuseShowOnly(columns, operation);
  const side = ({ sql }: QueryText): string => {
    const name = emission.newName();
    return `SELECT ${columns.map((_column, index) => `${name}.c${index + 1} AS c${index + 1}`).join(', ')} FROM (${sql}) AS ${name}`;
  };
  if (operation !== 'UNION' && !emission.capabilities.exceptIntersect) return { sql: byRows(emission, left, right, columns, operation), columns };
  if (isAll || !hasInexactText(emission, columns)) return { sql: `${side(left)} ${operation}${isAll ? ' ALL' : ''} ${side(right)}`, columns };
  if (operation !== 'UNION') return refuse(`${operation} of text`);
  const name = emission.newName();
  const own = columnsOf(emission, name, columns);
  return { sql: `SELECT ${own.map(({ value }, index) => `${value.sql} AS c${index + 1}`).join(', ')} FROM (${side(left)} UNION ALL ${side(right)}) AS ${name}${groupedBy(emission, own)}`, columns };
}

function columnsOf(emission: Emission, name: string, columns: readonly Column[]): readonly Column[] {
  return columns.map((column, index) => ({ name: column.name, value: derivedValue(emission, `${name}.c${index + 1}`, column.value) }));
}

/** INTERSECT and EXCEPT where the server has none: rows that are there on the other side, too, or are not. */
function byRows(emission: Emission, left: QueryText, right: QueryText, columns: readonly Column[], operation: string): string {
  const [one, other] = [emission.newName(), emission.newName()];
  const [own, theirs] = [columnsOf(emission, one, columns), columnsOf(emission, other, columns)];
  const same = own.map(({ value }, index) => `${comparable(emission, value)} <=> ${comparable(emission, theirs[index]?.value ?? value)}`);
  const isMeant = `${operation === 'EXCEPT' ? 'NOT ' : ''}EXISTS (SELECT 1 FROM (${right.sql}) AS ${other} WHERE ${same.join(' AND ')})`;
  return `SELECT ${own.map(({ value }, index) => `${value.sql} AS c${index + 1}`).join(', ')} FROM (${left.sql}) AS ${one} WHERE ${isMeant}${groupedBy(emission, own)}`;
}

/** A bare string or NULL in a branch takes the other branch's type. */
function literalType(branch: unknown, index: number): PgType | undefined {
  const select = treeOf(branch);
  const value = nodeOf(listOf(select?.['targetList'])[index], 'ResTarget')?.['val'];
  const constant = nodeOf(value, 'A_Const');
  return constant !== undefined && (constant['isnull'] === true || treeOf(constant['sval']) !== undefined) ? unknown : undefined;
}
