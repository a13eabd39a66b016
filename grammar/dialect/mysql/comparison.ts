/** Comparisons: =, <>, <, IN, BETWEEN, IS DISTINCT FROM, of rows too. */
import { asStored, comparable, needsBinary } from './text-value.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { coerce, decide } from './literal.ts';
import { bool, commonType, isNumber, isText, typeLabel, unknown } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { listOf, nodeOf } from '../../sql/tree.ts';
import { refuse } from './refusal.ts';

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';
const operators: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);

export function isComparison(name: string): name is ComparisonOperator {
  return operators.has(name);
}

const isFloat = (type: PgType): boolean => type.name === 'float4' || type.name === 'float8';

const comparableTypes: ReadonlySet<string> = new Set(['bool', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'text', 'varchar', 'bpchar', 'bytea', 'date', 'timestamp', 'timestamptz']);

/** The type in which these are compared, and each of them in it. */
export function unify(emission: Emission, values: readonly Value[], place: unknown): { readonly type: PgType; readonly values: readonly Value[] } {
  let type: PgType = unknown;
  for (const value of values) {
    // Met here by USING: everything else has looked before.
    if (value.showOnly === true) refuse(`comparison of ${typeLabel(value.type)} that can only be shown`, place);
    const next: PgType | undefined = commonType(type, value.type);
    if (next === undefined) refuse(`comparison of ${typeLabel(type)} with ${typeLabel(value.type)}`, place);
    type = next;
  }
  const decided = values.map((value) => coerce(emission, value, type, place));
  const wanted = decided[0]?.type.name === 'text' && type.name === 'unknown' ? decided[0].type : type;
  return { type: wanted, values: decided };
}

export function compare(emission: Emission, operator: ComparisonOperator, one: Value, other: Value, place: unknown): Value {
  const { type, values: [left = one, right = other] } = unify(emission, [one, other], place);
  if (!comparableTypes.has(type.name)) refuse(`comparison of ${typeLabel(type)}`, place);
  if (isText(type) && operator !== '=' && operator !== '<>') requireCodePoints(emission, place);
  const [first, second] = operator === '=' ? withRoom(emission, [one, left], [other, right]) : [left, right];
  return { sql: comparisonSql(emission, operator, first, second), type: bool, nullable: left.nullable || right.nullable };
}

/** MySQL from 8 on joins decimals in a room that may be too small for one of them, and takes what does not fit for the largest that does. */
function hasSmallRooms({ capabilities: { binaryCollation, subqueryCache } }: Emission): boolean {
  return binaryCollation !== undefined && !subqueryCache;
}

/** Digits before and behind the point that a number may have. */
function roomOf(type: PgType): string {
  const digits: Readonly<Record<string, string>> = { int2: '5', int4: '10', int8: '19' };
  return digits[type.name] ?? `${type.precision ?? 'any'},${type.scale ?? 0}`;
}

function needsRoom(emission: Emission, one: PgType, other: PgType): boolean {
  return hasSmallRooms(emission) && (one.name === 'numeric' || other.name === 'numeric') && [one, other].every((type) => isNumber(type) && !isFloat(type)) && roomOf(one) !== roomOf(other);
}

/** Each as it was given and as it is compared. The one that is no column is given all digits that there are: the index of the other can still be used. */
function withRoom(emission: Emission, [one, left]: readonly [Value, Value], [other, right]: readonly [Value, Value]): readonly [Value, Value] {
  if (one.constant === true || other.constant === true || !needsRoom(emission, one.type, other.type)) return [left, right];
  const wide = ({ column: _column, ...value }: Value): Value => ({ ...value, sql: `CAST(${value.sql} AS DECIMAL(65,30))` });
  return right.column === undefined || left.column !== undefined ? [left, wide(right)] : [wide(left), right];
}

export function requireCodePoints(emission: Emission, place: unknown): void {
  if (!emission.facts.codePointOrder) refuse('order of text under the collation of the local database', place);
}

function comparisonSql(emission: Emission, operator: ComparisonOperator, left: Value, right: Value): string {
  if (!isText(left.type)) return `(${indexable(left)} ${operator} ${indexable(right)})`;
  const exact = `${comparable(emission, left)} ${operator} ${comparable(emission, right)}`;
  if (operator !== '=') return `(${exact})`;
  // The column's own collation finds at least the rows that are equal by code point, and has an index.
  if (left.column !== undefined && right.constant === true) return `(${left.column} = ${asStored(left, right.sql)} AND ${exact})`;
  if (right.column !== undefined && left.constant === true) return `(${right.column} = ${asStored(right, left.sql)} AND ${exact})`;
  return `(${exact})`;
}

function indexable(value: Value): string {
  return isNumber(value.type) ? value.column ?? value.sql : value.sql;
}

export function between(emission: Emission, node: { readonly value: Value; readonly low: Value; readonly high: Value }, isNegated: boolean, place: unknown): Value {
  const { value, low, high } = node;
  const above = compare(emission, '>=', value, low, place);
  const below = compare(emission, '<=', value, high, place);
  const sql = `(${above.sql} AND ${below.sql})`;
  return { sql: isNegated ? `(NOT ${sql})` : sql, type: bool, nullable: above.nullable || below.nullable };
}

export function isDistinct(emission: Emission, one: Value, other: Value, isNegated: boolean, place: unknown): Value {
  const { type, values: [left = one, right = other] } = unify(emission, [one, other], place);
  if (!comparableTypes.has(type.name)) refuse(`comparison of ${typeLabel(type)}`, place);
  const equal = `${comparable(emission, left)} <=> ${comparable(emission, right)}`;
  // MySQL 5.6 takes a comparison with the word NULL for NULL where it is asked whether it is.
  const same = emission.capabilities.binaryCollation === undefined ? `IF(${equal}, TRUE, FALSE)` : equal;
  return { sql: isNegated ? `(${same})` : `(NOT (${same}))`, type: bool, nullable: false };
}

/** `value IN (items)`. An item list is what PostgreSQL compares one by one, so its common type is that of all. */
export function isIn(emission: Emission, value: Value, items: readonly Value[], isNegated: boolean, place: unknown): Value {
  const { type, values: [left = value, ...rest] } = unify(emission, [value, ...items], place);
  if (!comparableTypes.has(type.name)) refuse(`comparison of ${typeLabel(type)}`, place);
  return inList(emission, left, rest, { isNegated, isConstant: rest.every(({ constant }) => constant === true), nullable: rest.some(({ nullable }) => nullable) });
}

function inList(emission: Emission, left: Value, items: readonly Value[], options: { readonly isNegated: boolean; readonly isConstant: boolean; readonly nullable: boolean; readonly isIndexable?: boolean }): Value {
  const word = options.isNegated ? 'NOT IN' : 'IN';
  const list = items.map((item) => comparable(emission, item)).join(', ');
  const exact = `${isText(left.type) ? comparable(emission, left) : indexable(left)} ${word} (${list})`;
  const isIndexed = isText(left.type) && options.isIndexable !== false && left.column !== undefined && !options.isNegated && options.isConstant;
  return { sql: isIndexed ? `(${left.column} IN (${items.map((item) => asStored(left, item.sql)).join(', ')}) AND ${exact})` : `(${exact})`, type: bool, nullable: left.nullable || options.nullable };
}

/** `value = ANY ($n)`: the elements stand in the text once the parameter is there. */
export function isAnyOf(emission: Emission, value: Value, number: number, isNegated: boolean, place: unknown): Value {
  const left = decide(emission, value, unknown, place);
  if (!comparableTypes.has(left.type.name) || left.type.name === 'bytea') refuse(`array of ${typeLabel(left.type)}`, place);
  if (left.type.name === 'timestamptz' && emission.facts.timeZone !== 'UTC') refuse(`array of timestamptz in time zone ${emission.facts.timeZone}`, place);
  const list = emission.slot({ kind: 'elements', number, type: left.type });
  // Elements cannot be converted one by one: they stand in the text later.
  const test = inList(emission, left, [{ sql: list, type: unknown, nullable: true }], { isNegated, isConstant: true, nullable: true, isIndexable: left.columnCharset?.charset === 'utf8mb4' });
  if (emission.capabilities.binaryCollation !== undefined) return test;
  // MySQL 5.6 makes NULL of an empty list in some places of a statement.
  const filled = emission.slot({ kind: 'filled', number });
  return { ...test, sql: isNegated ? `(${test.sql} OR NOT ${filled})` : `(${test.sql} AND ${filled})` };
}

/** Rows are equal when all fields are; they are ordered by the first field that differs. */
export function compareRows(emission: Emission, operator: ComparisonOperator, left: readonly Value[], right: readonly Value[], place: unknown): Value {
  if (left.length !== right.length || left.length === 0) refuse('comparison of rows of different length', place);
  const pairs = left.map((value, index) => [value, right[index] ?? value] as const);
  const sqlOf = (wanted: ComparisonOperator, [one, other]: readonly [Value, Value]): string => compare(emission, wanted, one, other, place).sql;
  const all = (): string => pairs.map((pair) => sqlOf('=', pair)).join(' AND ');
  if (operator === '=') return { sql: `(${all()})`, type: bool, nullable: true };
  if (operator === '<>') return { sql: `(NOT (${all()}))`, type: bool, nullable: true };
  const strict = operator === '<' || operator === '<=' ? '<' : '>';
  const [last, ...before] = pairs.toReversed();
  if (last === undefined) return refuse('comparison of rows', place);
  const sql = before.reduce((rest, pair) => `(${sqlOf(strict, pair)} OR (${sqlOf('=', pair)} AND ${rest}))`, sqlOf(operator, last));
  return { sql, type: bool, nullable: true };
}

export function rowFields(emission: Emission, node: unknown, scope: Scope): readonly Value[] | undefined {
  const row = nodeOf(node, 'RowExpr');
  return row === undefined ? undefined : listOf(row['args']).map((field) => emission.expression(field, scope));
}

/** `value IN (query)`, `value operator ANY (query)`, `… ALL (query)`. */
export function compareWithQuery(emission: Emission, parts: { readonly left: readonly Value[]; readonly operator: ComparisonOperator; readonly all: boolean; readonly query: unknown; /** FALSE is as good as NULL. */ readonly isFilter: boolean }, scope: Scope, place: unknown): Value {
  const { operator, all } = parts;
  const given = parts.left.map((value) => decide(emission, value, unknown, place));
  const found = emission.query(parts.query, scope, { named: true, types: given.map(({ type }) => type) });
  if (found.columns.length !== given.length) refuse('subquery of another number of columns', place);
  if (found.columns.some(({ value }) => value.showOnly === true)) refuse('comparison with a subquery of a column that can only be shown', place);
  const left = given.map((value, index) => coerce(emission, value, commonType(value.type, found.columns[index]?.value.type ?? unknown) ?? refuse('comparison with a subquery of another type', place), place));
  if (left.some(({ type }) => !comparableTypes.has(type.name))) refuse('comparison with a subquery of this type', place);
  if (operator !== '=' && operator !== '<>' && left.some(({ type }) => isText(type))) requireCodePoints(emission, place);
  if (left.length > 1 && !(operator === '=' && !all) && !(operator === '<>' && all)) refuse('row compared with a subquery', place);
  const name = emission.newName();
  // MySQL takes no LIMIT in such a subquery, and one level more does no harm.
  // MariaDB finds a number that the column cannot hold to be in no list, also where a NULL leaves it open: there the list is of a type that holds all.
  const isTooNarrow = (value: Value, index: number): boolean => needsRoom(emission, given[index]?.type ?? value.type, value.type) || (emission.capabilities.subqueryCache && value.nullable && isNumber(value.type) && !isFloat(value.type) && !isFloat(left[index]?.type ?? value.type));
  const columns = found.columns.map(({ value }, index) => {
    const column = `${name}.c${index + 1}`;
    if (isTooNarrow(value, index)) return `CAST(${column} AS DECIMAL(65,30))`;
    return left[index] !== undefined && needsBinary(emission, left[index]) ? `BINARY ${column}` : column;
  });
  const needsLevel = /\bLIMIT\b/.test(found.sql) || columns.some((column) => !column.startsWith(name));
  const isCorrelated = readsOutside(found.sql, scope);
  if (needsLevel && isCorrelated && !emission.capabilities.lateral) return refuse('subquery of an outer row within another one', place);
  const query = needsLevel ? `SELECT ${columns.join(', ')} FROM (${found.sql}) AS ${name}` : found.sql;
  const operand = left.length === 1 ? left.map((value) => comparable(emission, value)).join('') : `(${left.map((value) => comparable(emission, value)).join(', ')})`;
  const word = operator === '=' && !all ? 'IN' : operator === '<>' && all ? 'NOT IN' : `${operator} ${all ? 'ALL' : 'ANY'}`;
  // MySQL 5.6 makes FALSE of a NULL in some places of a statement, and TRUE of its opposite.
  const mayBeNull = left.some(({ nullable }) => nullable) || found.columns.some(({ value }) => value.nullable);
  const test = `(${operand} ${word} (${query}))`;
  // MySQL looks for the least or the greatest of the rows: of none at all it makes NULL, and among others it overlooks a NULL.
  const isExtreme = word !== 'IN' && word !== 'NOT IN';
  if (isExtreme && found.columns.some(({ value }) => value.nullable)) return refuse(`${operator} ${all ? 'ALL' : 'ANY'} of a subquery whose values may be NULL`, place);
  const isVague = emission.capabilities.binaryCollation === undefined && mayBeNull && !parts.isFilter;
  if (isVague && isCorrelated && !isExtreme) return refuse('subquery of an outer row where a value may be NULL', place);
  if (isVague && left.length > 1) return refuse('rows compared with a subquery where a value may be NULL', place);
  if (isExtreme) return { sql: `(CASE WHEN EXISTS (${query}) THEN ${isVague ? `IF(${operand} IS NULL, NULL, ${test})` : test} ELSE ${all ? 'TRUE' : 'FALSE'} END)`, type: bool, nullable: mayBeNull };
  return { sql: isVague ? unknownApart(emission, word === 'IN' ? '' : 'NOT ', operand, { query, named: found.sql }) : test, type: bool, nullable: mayBeNull };
}

/** What a table in FROM is made of sees no row beside it. */
function readsOutside(sql: string, scope: Scope | undefined): boolean {
  return scope !== undefined && (scope.relations.some(({ sqlName }) => /^\w+$/.test(sqlName) && new RegExp(`\\b${sqlName}\\.`).test(sql)) || readsOutside(sql, scope.parent));
}

/** IN with its NULL written out. */
function unknownApart(emission: Emission, not: string, operand: string, { query, named }: { readonly query: string; readonly named: string }): string {
  const name = emission.newName();
  const isOpen = `IF(${operand} IS NULL, EXISTS (${query}), EXISTS (SELECT 1 FROM (${named}) AS ${name} WHERE ${name}.c1 IS NULL))`;
  return `(${not}(CASE WHEN ${operand} IN (${query}) THEN TRUE WHEN ${isOpen} THEN NULL ELSE FALSE END))`;
}
