/** INSERT, with ON CONFLICT where exactly one unique key can be hit. */
import { assign, assignValue, findColumn } from './assignment.ts';
import { inOrder, refuseChangedTable, refuseOwnTarget } from './change-rows.ts';
import { columnValue, sqlTable, tableRelation } from './column-value.ts';
import { compare } from './comparison.ts';
import { quoteMysqlName, Scope } from './emission.ts';
import type { Emission, Relation, Value } from './emission.ts';
import { findTable } from './from-clause.ts';
import { parsePgType } from './pg-type.ts';
import { returningList, returningText } from './returning.ts';
import { makeStep } from './step.ts';
import type { Steps } from './step.ts';
import { refuse } from './refusal.ts';
import type { ColumnFacts, Draws, RowCount, TableFacts } from './translation.ts';
import { listOf, nameParts, nodeOf, stringConstant, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

interface Source {
  readonly sql: string;
  readonly columns: readonly ColumnFacts[];
  /** The nodes of each row of VALUES; undefined for a query. */
  readonly rows: readonly (readonly unknown[])[] | undefined;
}

export function emitInsert(emission: Emission, node: Tree): Steps {
  const { steps, target, source, isUpsert } = insertSteps(emission, node);
  const draws = drawsOf(target, source, isUpsert);
  return draws === undefined ? steps : { ...steps, draws };
}

/** What PostgreSQL draws for a row that meets another, and how many numbers a query takes, is not what the server does. */
function drawsOf(table: TableFacts, { columns, rows }: Source, isUpsert: boolean): Draws | undefined {
  const numbered = table.columns.find(({ autoIncrement }) => autoIncrement === true);
  if (numbered === undefined) return undefined;
  const index = columns.indexOf(numbered);
  const isDrawn = (row: readonly unknown[]): boolean => index < 0 || nodeOf(row[index], 'SetToDefault') !== undefined;
  if (rows === undefined ? index >= 0 : !rows.some(isDrawn)) return undefined;
  return { table: sqlTable(table), rows: rows?.length === 1 && !isUpsert ? 'one' : 'some' };
}

interface InsertSteps {
  readonly steps: Steps;
  readonly target: TableFacts;
  readonly source: Source;
  readonly isUpsert: boolean;
}

function insertSteps(emission: Emission, node: Tree): InsertSteps {
  if (node['withClause'] !== undefined) return refuse('WITH of INSERT');
  if (node['override'] !== undefined && node['override'] !== 'OVERRIDING_NOT_SET') return refuse('OVERRIDING');
  const relation = treeOf(node['relation']) ?? refuse('target');
  const table = findTable(emission, relation);
  const alias = stringOf(treeOf(relation['alias'])?.['aliasname']) ?? table.name;
  const source = sourceOf(emission, node, table);
  const conflict = treeOf(node['onConflictClause']);
  const upsert = conflict === undefined ? undefined : onConflict(emission, conflict, { table, alias, source });
  const names = source.columns.map((column) => quoteMysqlName(column.mysqlName)).join(', ');
  const text = `INSERT INTO ${sqlTable(table)} (${names}) ${source.sql}${upsert?.sql ?? ''}`;
  const rowCount: RowCount = upsert?.updates === true ? source.rows?.length ?? 'records' : 'affected';
  const returning = returningList(node);
  const made = (steps: Steps): InsertSteps => ({ steps, target: table, source, isUpsert: upsert !== undefined });
  if (returning.length === 0) return made({ steps: [makeStep(text, { rowCount })], columns: [], needsTransaction: false });
  if (upsert !== undefined && !upsert.updates) return refuse('RETURNING of ON CONFLICT DO NOTHING');
  if (emission.capabilities.insertReturning) return made(nativeReturning(emission, { text, table, alias, returning }));
  return made(readBack(emission, { text, table, alias, returning, source, keyed: upsert?.target }));
}

function sourceOf(emission: Emission, node: Tree, table: TableFacts): Source {
  const named = listOf(node['cols']).map((item) => {
    const target = nodeOf(item, 'ResTarget');
    if (target === undefined || target['indirection'] !== undefined) return refuse('subscript or field of a column');
    return findColumn(table, stringOf(target['name']) ?? '', target['location']);
  });
  const select = treeOf(nodeOf(node['selectStmt'], 'SelectStmt'));
  if (select === undefined) return { sql: 'VALUES ()', columns: [], rows: [[]] };
  const isValues = select['valuesLists'] !== undefined && select['sortClause'] === undefined && select['limitCount'] === undefined && select['limitOffset'] === undefined && select['withClause'] === undefined;
  if (!isValues) return fromQuery(emission, node['selectStmt'], named.length === 0 ? table.columns : named);
  const rows = listOf(select['valuesLists']).map((row) => listOf(nodeOf(row, 'List')?.['items']));
  const columns = named.length === 0 ? table.columns.slice(0, rows[0]?.length ?? 0) : named;
  if (rows.some((row) => row.length !== columns.length)) return refuse('INSERT with another number of values');
  refuseOwnTarget(emission, rows, table);
  const scope = new Scope(undefined);
  const texts = rows.map((row) => `(${row.map((value, index) => assign(emission, columns[index] ?? refuse('column'), value, scope)).join(', ')})`);
  return { sql: `VALUES ${texts.join(', ')}`, columns, rows };
}

function fromQuery(emission: Emission, node: unknown, all: readonly ColumnFacts[]): Source {
  // Numbers are given in the order of the rows.
  const first = emission.query(node, undefined, { named: true, keepsOrder: true });
  const columns = all.slice(0, first.columns.length);
  if (columns.length !== first.columns.length) return refuse('INSERT with another number of values');
  const targets = listOf(treeOf(nodeOf(node, 'SelectStmt'))?.['targetList']).map((target) => nodeOf(target, 'ResTarget')?.['val']);
  const types = columns.map((column, index) => (stringConstant(targets[index]) !== undefined || nodeOf(targets[index], 'ParamRef') !== undefined ? parsePgType(column.type) : undefined));
  const query = types.some((type) => type !== undefined) ? emission.query(node, undefined, { named: true, types, keepsOrder: true }) : first;
  const name = emission.newName();
  const values = query.columns.map(({ value }, index): Value => ({ type: value.type, nullable: value.nullable, sql: `${name}.c${index + 1}`, ...(value.showOnly === true ? { showOnly: true } : {}) }));
  const list = values.map((value, index) => (value.showOnly === true ? refuse('INSERT of a column that can only be shown') : assignValue(emission, columns[index] ?? refuse('column'), value)));
  return { sql: `SELECT ${list.join(', ')} FROM (${query.sql}) AS ${name}`, columns, rows: undefined };
}

interface Upsert {
  readonly sql: string;
  readonly updates: boolean;
  /** Columns of the key that is hit. */
  readonly target: readonly string[];
}

interface UpsertParts {
  readonly table: TableFacts;
  readonly alias: string;
  readonly source: Source;
}

function onConflict(emission: Emission, clause: Tree, parts: UpsertParts): Upsert {
  const { table, source } = parts;
  const target = conflictTarget(clause);
  const reachable = table.uniqueKeys.filter((key) => canBeHit(key, table, source.columns));
  const isUpdate = clause['action'] === 'ONCONFLICT_UPDATE';
  if (target !== undefined && !table.uniqueKeys.some((key) => sameColumns(key, target))) return refuse('ON CONFLICT without a unique key for it');
  if ((isUpdate || target !== undefined) && reachable.some((key) => target === undefined || !sameColumns(key, target))) return refuse('ON CONFLICT of a table where another unique key can be hit');
  for (const name of reachable.flat()) requireExactKey(emission, findColumn(table, name));
  if (!isUpdate) {
    const [column] = table.columns;
    if (column === undefined) return refuse('ON CONFLICT');
    const own = `${sqlTable(table)}.${quoteMysqlName(column.mysqlName)}`;
    // An assignment that changes nothing: the row is left alone, and not counted.
    return { sql: ` ON DUPLICATE KEY UPDATE ${quoteMysqlName(column.mysqlName)} = ${own}`, updates: false, target: target ?? [] };
  }
  requireDistinctRows(source, target ?? []);
  return { sql: doUpdate(emission, clause, parts), updates: true, target: target ?? [] };
}

function conflictTarget(clause: Tree): readonly string[] | undefined {
  const infer = treeOf(clause['infer']);
  if (infer === undefined) return undefined;
  if (infer['conname'] !== undefined) return refuse('ON CONFLICT ON CONSTRAINT');
  if (infer['whereClause'] !== undefined) return refuse('ON CONFLICT of a partial index');
  return listOf(infer['indexElems']).map((item) => {
    const element = nodeOf(item, 'IndexElem');
    const name = stringOf(element?.['name']);
    return name === undefined || element?.['collation'] !== undefined || element?.['opclass'] !== undefined ? refuse('ON CONFLICT of an expression') : name;
  });
}

function sameColumns(key: readonly string[], other: readonly string[]): boolean {
  return key.length === other.length && key.every((name) => other.includes(name));
}

/** A key that the server numbers, and one with a column that stays NULL, meets no row. */
function canBeHit(key: readonly string[], table: TableFacts, given: readonly ColumnFacts[]): boolean {
  return key.every((name) => {
    const column = findColumn(table, name);
    return given.includes(column) || column.autoIncrement !== true;
  });
}

/** Keys of text are equal to more on MySQL than on PostgreSQL, unless the column compares by code point. */
function requireExactKey(emission: Emission, column: ColumnFacts): void {
  const { type } = columnValue(emission, '', column);
  const isExactText = column.mysqlType === 'varchar' && column.collation !== undefined && column.collation === emission.capabilities.binaryCollation;
  if (['int2', 'int4', 'int8', 'numeric', 'date', 'bytea'].includes(type.name) || isExactText) return;
  refuse(`ON CONFLICT on a key of type ${column.type}`);
}

/** PostgreSQL refuses to change a row twice in one statement; MySQL does it. Only numbers can be told apart here. */
function requireDistinctRows(source: Source, target: readonly string[]): void {
  if (source.rows === undefined) return refuse('ON CONFLICT DO UPDATE of rows from a query');
  if (source.rows.length < 2) return;
  const keys = source.rows.map((row) => target.map((name) => {
    const index = source.columns.findIndex((column) => column.name === name);
    const integer = treeOf(nodeOf(row[index], 'A_Const')?.['ival']);
    return integer === undefined ? refuse('ON CONFLICT DO UPDATE of several rows whose keys are no integer constants') : Number(integer['ival'] ?? 0);
  }).join(','));
  if (new Set(keys).size !== keys.length) refuse('ON CONFLICT DO UPDATE of one row twice');
}

function doUpdate(emission: Emission, clause: Tree, { table, alias, source }: UpsertParts): string {
  if (clause['whereClause'] !== undefined) return refuse('WHERE of ON CONFLICT DO UPDATE');
  refuseSubqueries(clause['targetList']);
  const own = tableRelation(emission, table, { alias, schema: table.schema, qualifier: `${sqlTable(table)}.` });
  const scope = new Scope(undefined);
  scope.relations.push(own, excluded(emission, table, source));
  scope.visible = [...own.columns];
  const assignments = listOf(clause['targetList']).map((item) => {
    const node = nodeOf(item, 'ResTarget') ?? refuse('SET');
    if (node['indirection'] !== undefined || nodeOf(node['val'], 'MultiAssignRef') !== undefined) return refuse('SET of several columns', node['location']);
    const column = findColumn(table, stringOf(node['name']) ?? '', node['location']);
    return { column, sql: assign(emission, column, node['val'], scope) };
  });
  const isKeyChanged = assignments.some(({ column }) => table.uniqueKeys.some((key) => key.includes(column.name)));
  if (isKeyChanged) return refuse('ON CONFLICT DO UPDATE of a key');
  const sets = inOrder(assignments, false).map(({ column, sql }) => `${quoteMysqlName(column.mysqlName)} = ${sql}`);
  return `${emission.capabilities.rowAlias ? ' AS excluded' : ''} ON DUPLICATE KEY UPDATE ${sets.join(', ')}`;
}

function refuseSubqueries(node: unknown): void {
  if (JSON.stringify(node ?? null).includes('"SubLink"')) refuse('subquery in ON CONFLICT DO UPDATE');
}

/** The row that was proposed. What the statement leaves out has its default on PostgreSQL, and cannot be named on MySQL. */
function excluded(emission: Emission, table: TableFacts, source: Source): Relation {
  const columns = source.columns.map((column) => {
    const value = columnValue(emission, emission.capabilities.rowAlias ? 'excluded.' : '', column);
    if (emission.capabilities.rowAlias) return { name: column.name, value };
    const bare = quoteMysqlName(column.mysqlName);
    const { column: _raw, ...rest } = value;
    return { name: column.name, value: { ...rest, sql: value.sql.replaceAll(bare, () => `VALUES(${bare})`) } };
  });
  return { alias: 'excluded', columns, table, sqlName: 'excluded' };
}

interface ReturningParts {
  readonly text: string;
  readonly table: TableFacts;
  readonly alias: string;
  readonly returning: readonly unknown[];
}

function nativeReturning(emission: Emission, { text, table, alias, returning }: ReturningParts): Steps {
  if (JSON.stringify(returning).includes('"SubLink"')) return refuse('subquery in RETURNING');
  const read = returningText(emission, returning, tableRelation(emission, table, { alias, schema: table.schema, qualifier: '' }));
  const columns = read.columns.map(({ name, value }) => ({ name, type: value.type }));
  return { steps: [makeStep(`${text} RETURNING ${read.sql}`, { answer: 'rows', columns, rowCount: 'rows' })], columns, needsTransaction: false };
}

/** Rows whose key stands in the statement are read by it; rows that the server has numbered, by LAST_INSERT_ID. */
function readBack(emission: Emission, parts: ReturningParts & { readonly source: Source; readonly keyed: readonly string[] | undefined }): Steps {
  const { table, source } = parts;
  if (source.rows === undefined) return refuse('RETURNING of INSERT from a query');
  refuseChangedTable(parts.returning, table);
  const name = emission.newName();
  const relation = tableRelation(emission, table, { alias: parts.alias, schema: table.schema, qualifier: `${name}.` });
  const read = returningText(emission, parts.returning, relation);
  const columns = read.columns.map(({ name: label, value }) => ({ name: label, type: value.type }));
  const [test, order] = ownRows(emission, { table, source, relation, name, key: parts.keyed ?? table.primaryKey });
  const text = `SELECT ${read.sql} FROM ${sqlTable(table)} AS ${name} WHERE ${test} ORDER BY ${order}`;
  return { steps: [makeStep(parts.text, {}), makeStep(text, { answer: 'rows', columns, rowCount: 'rows' })], columns, needsTransaction: true };
}

function ownRows(emission: Emission, parts: { readonly table: TableFacts; readonly source: Source; readonly relation: Relation; readonly name: string; readonly key: readonly string[] }): readonly [string, string] {
  const { table, source, relation, key } = parts;
  if (key.length === 0) return refuse('RETURNING of a table without a primary key');
  const rows = source.rows ?? [];
  const [first] = key;
  const column = findColumn(table, first ?? '');
  if (key.length === 1 && column.autoIncrement === true && !source.columns.includes(column)) {
    const own = `${parts.name}.${quoteMysqlName(column.mysqlName)}`;
    if (rows.length === 1) return [`${own} = LAST_INSERT_ID()`, own];
    const step = '@@auto_increment_increment';
    return [`${own} BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + ${rows.length - 1} * ${step} AND (${own} - LAST_INSERT_ID()) MOD ${step} = 0`, own];
  }
  const tests = rows.map((row) => `(${key.map((name) => keyTest(emission, { table, source, relation, row, name })).join(' AND ')})`);
  return [tests.join(' OR '), `CASE ${tests.map((test, index) => `WHEN ${test} THEN ${index}`).join(' ')} END`];
}

function keyTest(emission: Emission, parts: { readonly table: TableFacts; readonly source: Source; readonly relation: Relation; readonly row: readonly unknown[]; readonly name: string }): string {
  const index = parts.source.columns.findIndex((column) => column.name === parts.name);
  const node = parts.row[index];
  if (nodeOf(node, 'A_Const') === undefined && nodeOf(node, 'ParamRef') === undefined) return refuse('RETURNING of INSERT whose key is no constant or parameter');
  const value = parts.relation.columns.find(({ name }) => name === parts.name)?.value ?? refuse(`column ${nameParts(node)?.join('.') ?? parts.name}`);
  return compare(emission, '=', value, emission.expression(node, new Scope(undefined)), undefined).sql;
}
