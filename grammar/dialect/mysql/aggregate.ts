/** Aggregates and window functions. https://www.postgresql.org/docs/current/functions-aggregate.html */
import { quotient } from './arithmetic.ts';
import { failIf, quoteMysqlText } from './emission.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { coerce, decide } from './literal.ts';
import { asNumeric, bool, float8, int4, int8, isFloat, isInteger, isMoment, isText, numeric, text as textType, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { requireCodePoints } from './comparison.ts';
import { collated, comparable, needsBinary, textOf } from './text-value.ts';
import { refuse } from './refusal.ts';
import { sortKeys } from './sort-keys.ts';
import { listOf, nodeOf, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

const aggregates: ReadonlySet<string> = new Set(['count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'string_agg']);
/** Known as aggregates and refused: a query that has one groups. */
const refusedAggregates: ReadonlySet<string> = new Set(['array_agg', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'stddev', 'variance', 'stddev_pop', 'stddev_samp', 'var_pop', 'var_samp', 'corr', 'percentile_cont', 'percentile_disc', 'mode', 'bit_and', 'bit_or', 'any_value']);
const windowFunctions: ReadonlySet<string> = new Set(['row_number', 'rank', 'dense_rank', 'percent_rank', 'cume_dist', 'ntile', 'lag', 'lead', 'first_value', 'last_value', 'nth_value']);

export function isAggregate(name: string): boolean {
  return aggregates.has(name) || refusedAggregates.has(name);
}

export function isWindowFunction(name: string): boolean {
  return windowFunctions.has(name);
}

export function aggregateCall(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const over = node['over'] === undefined ? undefined : windowOf(emission, treeOf(node['over']) ?? {}, scope);
  if (windowFunctions.has(name)) return windowFunction(emission, name, node, scope, over ?? refuse(`function ${name} without OVER`, place));
  if (refusedAggregates.has(name) || node['agg_within_group'] === true) return refuse(`aggregate ${name}`, place);
  if (over === undefined && scope.grouping === undefined) return refuse(`aggregate ${name} in this place`, place);
  if (over === undefined && scope.aggregating) return refuse('nested aggregates', place);
  return withArguments(scope, over !== undefined, () => aggregate(emission, name, node, scope, over));
}

/** Columns in an aggregate's arguments need no GROUP BY; those of a window function stand outside the grouping. */
function withArguments<T>(scope: Scope, isWindow: boolean, emit: () => T): T {
  const before = scope.aggregating;
  scope.aggregating = before || !isWindow;
  try {
    return emit();
  } finally {
    scope.aggregating = before;
  }
}

function aggregate(emission: Emission, name: string, node: Tree, scope: Scope, over: string | undefined): Value {
  const place = node['location'];
  const { own, outer } = scope.met;
  const values = listOf(node['args']).map((argument) => emission.expression(argument, scope));
  // One over columns of a query outside is that query's.
  if (scope.met.outer > outer && scope.met.own === own) return refuse(`aggregate ${name} of an outer query`, place);
  const filter = node['agg_filter'] === undefined ? undefined : coerce(emission, emission.expression(node['agg_filter'], scope), bool, place).sql;
  const isDistinct = node['agg_distinct'] === true;
  if (over !== undefined && isDistinct) return refuse('DISTINCT in a window function', place);
  const end = over === undefined ? '' : ` OVER ${over}`;
  const filtered = (sql: string): string => (filter === undefined ? sql : `CASE WHEN ${filter} THEN ${sql} END`);
  if (name === 'count' && node['agg_star'] === true) return { sql: filter === undefined ? `COUNT(*)${end}` : `COUNT(${filtered('1')})${end}`, type: int8, nullable: false };
  if (name === 'string_agg') return stringAggregate(emission, node, scope, { values, filtered, isDistinct, over });
  const [given] = values;
  if (given === undefined || values.length > 1) return refuse(`aggregate ${name} of these arguments`, place);
  if (node['agg_order'] !== undefined && name !== 'count') return refuse(`ORDER BY in ${name}`, place);
  const value = decide(emission, given, textType, place);
  const call = (word: string, sql = value.sql): string => `${word}(${isDistinct ? 'DISTINCT ' : ''}${filtered(sql)})${end}`;
  // MySQL 9.7 counts a NULL that it has worked out before the rows.
  if (name === 'count' && isDistinct && (!/`|\br\d+\.c\d/.test(value.sql) || value.sql.includes('(SELECT '))) return refuse('count of DISTINCT constants or subqueries', place);
  switch (name) {
    case 'count': return { sql: call('COUNT', isDistinct && needsBinary(emission, value) ? `BINARY ${value.sql}` : value.sql), type: int8, nullable: false };
    case 'sum': return { ...sumOf(call, value, place), nullable: true };
    case 'avg': return average(call, value, place);
    case 'min': case 'max': return extreme(emission, name, call, value, place);
    // The greatest and least of 1 and 0.
    case 'bool_and': case 'every': case 'bool_or':
      if (value.type.name !== 'bool') return refuse(`aggregate ${name} of ${typeLabel(value.type)}`, place);
      return { sql: `(${call(name === 'bool_or' ? 'MAX' : 'MIN')} <> 0)`, type: bool, nullable: true };
    default: return refuse(`aggregate ${name}`, place);
  }
}

type Call = (word: string, sql?: string) => string;

function sumOf(call: Call, value: Value, place: unknown): { readonly sql: string; readonly type: PgType } {
  const { type } = value;
  if (type.name === 'int2' || type.name === 'int4') return { sql: `CAST(${call('SUM')} AS SIGNED)`, type: int8 };
  if (type.name === 'int8') return { sql: call('SUM'), type: numeric(41, 0) };
  if (type.name === 'numeric') return { sql: call('SUM'), type: numeric(type.precision === undefined ? undefined : Math.min(65, type.precision + 22), type.scale) };
  return type.name === 'float8' ? { sql: finite(call('SUM')), type: float8 } : refuse(`sum of ${typeLabel(type)}`, place);
}

/** The servers show 0, or the greatest double, for a sum that no double holds. */
function finite(sql: string): string {
  const isBeyond = `ABS(${sql}) >= 1.7976931348623157e308`;
  return `IF(${isBeyond}, ${failIf(isBeyond)}, ${sql})`;
}

function average(call: Call, value: Value, place: unknown): Value {
  if (value.type.name === 'float8') return { sql: finite(call('AVG')), type: float8, nullable: true };
  if (!isInteger(value.type) && value.type.name !== 'numeric') return refuse(`avg of ${typeLabel(value.type)}`, place);
  const own = asNumeric(value.type);
  const sum: Value = { sql: call('SUM'), type: numeric(Math.min(65, (own.precision ?? 43) + 11), own.scale), nullable: true };
  // A sum of nothing is NULL already: no quotient by zero is left.
  const count: Value = { sql: `NULLIF(${call('COUNT')}, 0)`, type: numeric(15, 0), nullable: true, number: 1 };
  return { ...quotient(sum, count, place), nullable: true };
}

function extreme(emission: Emission, name: 'min' | 'max', call: Call, value: Value, place: unknown): Value {
  const { type } = value;
  if (isText(type)) {
    requireCodePoints(emission, place);
    // By bytes, whose order is that of code points. MySQL 9.7 breaks letters in the extreme of a text that has a number or a moment in it.
    const bytes = call(name.toUpperCase(), `CAST(${value.sql} AS BINARY)`);
    return { sql: collated(emission, `CONVERT(${bytes} USING utf8mb4)`), type: type.name === 'bpchar' ? type : textType, nullable: true };
  }
  if (!isInteger(type) && !isFloat(type) && type.name !== 'numeric' && !isMoment(type)) return refuse(`${name} of ${typeLabel(type)}`, place);
  // MySQL 5.6 looks the extreme of a column up in its index, also when a joined table then has no row.
  const own = emission.capabilities.binaryCollation === undefined ? `COALESCE(${value.sql}, NULL)` : value.sql;
  return { sql: call(name.toUpperCase(), own), type, nullable: true };
}

function stringAggregate(emission: Emission, node: Tree, scope: Scope, parts: { readonly values: readonly Value[]; readonly filtered: (sql: string) => string; readonly isDistinct: boolean; readonly over: string | undefined }): Value {
  const place = node['location'];
  const [given, separator] = parts.values;
  if (given === undefined || typeof separator?.literal !== 'string') return refuse('string_agg with a separator that is no constant', place);
  if (parts.over !== undefined) return refuse('string_agg as a window function', place);
  // MySQL 9.7 makes NULL of empty constants.
  if (given.constant === true) return refuse('string_agg of a constant', place);
  if (!isText(given.type) && given.type.name !== 'unknown') return refuse(`string_agg of ${typeLabel(given.type)}`, place);
  const order = listOf(node['agg_order']);
  if (order.length === 0 && !parts.isDistinct && scope.readsSorted) return refuse('string_agg without ORDER BY over a sorted subquery', place);
  const keys = order.length === 0 ? '' : ` ORDER BY ${order.flatMap((item) => sortKeys(emission, item, (key) => emission.expression(key, scope))).join(', ')}`;
  const text = textOf(emission, given, place);
  const item = parts.filtered(text.sql);
  // PostgreSQL sorts them to find those that are alike.
  const own = parts.isDistinct && order.length === 0 ? ` ORDER BY ${comparable(emission, text)}` : keys;
  const end = `${own} SEPARATOR ${quoteMysqlText(separator.literal)})`;
  // Where no collation compares text as it is, its bytes do.
  if (parts.isDistinct && emission.capabilities.binaryCollation === undefined) return { sql: collated(emission, `CONVERT(GROUP_CONCAT(DISTINCT BINARY (${item})${end} USING utf8mb4)`), type: textType, nullable: true };
  return { sql: `GROUP_CONCAT(${parts.isDistinct ? 'DISTINCT ' : ''}${item}${end}`, type: textType, nullable: true };
}

function windowFunction(emission: Emission, name: string, node: Tree, scope: Scope, over: string): Value {
  const place = node['location'];
  const values = listOf(node['args']).map((argument) => emission.expression(argument, scope));
  const [value, offset, otherwise] = values;
  if (node['agg_filter'] !== undefined || node['agg_distinct'] === true) return refuse(`FILTER or DISTINCT of ${name}`, place);
  switch (name) {
    case 'row_number': case 'rank': case 'dense_rank': return { sql: `${name.toUpperCase()}() OVER ${over}`, type: int8, nullable: false };
    case 'percent_rank': case 'cume_dist': return { sql: `(${name.toUpperCase()}() OVER ${over} + 0e0)`, type: float8, nullable: false };
    case 'ntile': return value?.number === undefined || value.number < 1 ? refuse('ntile of what is no constant', place) : { sql: `NTILE(${value.number}) OVER ${over}`, type: int4, nullable: false };
    case 'first_value': case 'last_value':
      return value === undefined || value.type.name === 'unknown' ? refuse(`${name} of a constant without a type`, place) : { sql: `${name.toUpperCase()}(${value.sql}) OVER ${over}`, type: value.type, nullable: true };
    case 'lag': case 'lead': {
      if (value === undefined || value.type.name === 'unknown' || (offset !== undefined && (offset.number === undefined || offset.number < 0))) return refuse(`${name} by what is no constant`, place);
      if (otherwise !== undefined && !emission.capabilities.lagDefault) return refuse(`${name} with a default`, place);
      // PostgreSQL shows the digits that the default has.
      if (otherwise !== undefined && value.type.name === 'numeric' && (otherwise.type.name !== 'numeric' || otherwise.type.scale !== value.type.scale)) return refuse(`${name} with a default of other digits`, place);
      const more = [...(offset === undefined ? [] : [String(offset.number)]), ...(otherwise === undefined ? [] : [coerce(emission, otherwise, value.type, place).sql])];
      return { sql: `${name.toUpperCase()}(${[value.sql, ...more].join(', ')}) OVER ${over}`, type: value.type, nullable: true };
    }
    default: return refuse(`window function ${name}`, place);
  }
}

/** Bits of frameOptions in PostgreSQL's parsenodes.h. */
const frame = { nonDefault: 0x1, range: 0x2, rows: 0x4, groups: 0x8, between: 0x10, startUnbounded: 0x20, endUnbounded: 0x100, startCurrent: 0x200, endCurrent: 0x400, startPreceding: 0x800, endPreceding: 0x1000, startFollowing: 0x2000, endFollowing: 0x4000, exclusions: 0x38000 } as const;

function windowOf(emission: Emission, given: Tree, scope: Scope): string {
  const place = given['location'];
  if (!emission.capabilities.windows) return refuse('window function', place);
  const name = stringOf(given['name']);
  if (stringOf(given['refname']) !== undefined) return refuse('window that extends another', place);
  const node = name === undefined ? given : treeOf(nodeOf(scope.windows.get(name), 'WindowDef')) ?? refuse(`window ${name}`, place);
  if (stringOf(node['refname']) !== undefined) return refuse('window that extends another', place);
  const partition = listOf(node['partitionClause']).map((item) => decide(emission, emission.expression(item, scope), textType).sql);
  const order = listOf(node['orderClause']).flatMap((item) => sortKeys(emission, item, (key) => emission.expression(key, scope)));
  if (order.length === 0 && scope.readsSorted) return refuse('window without ORDER BY over a sorted subquery', place);
  const pieces = [
    ...(partition.length === 0 ? [] : [`PARTITION BY ${partition.join(', ')}`]),
    ...(order.length === 0 ? [] : [`ORDER BY ${order.join(', ')}`]),
    ...frameOf(node),
  ];
  const text = pieces.join(' ');
  const known = scope.sqlWindows.get(text) ?? emission.newName();
  scope.sqlWindows.set(text, known);
  return known;
}

function frameOf(node: Tree): readonly string[] {
  const options = Number(node['frameOptions'] ?? 0);
  const has = (bit: number): boolean => (options & bit) !== 0;
  if (!has(frame.nonDefault)) return [];
  if (has(frame.groups) || has(frame.exclusions)) return refuse('window frame of GROUPS or EXCLUDE', node['location']);
  if (has(frame.range) && (node['startOffset'] !== undefined || node['endOffset'] !== undefined)) return refuse('window frame of RANGE with an offset', node['location']);
  const bound = (side: 'start' | 'end'): string => {
    if (has(side === 'start' ? frame.startUnbounded : frame.endUnbounded)) return `UNBOUNDED ${side === 'start' ? 'PRECEDING' : 'FOLLOWING'}`;
    if (has(side === 'start' ? frame.startCurrent : frame.endCurrent)) return 'CURRENT ROW';
    const count = treeOf(nodeOf(node[side === 'start' ? 'startOffset' : 'endOffset'], 'A_Const')?.['ival']);
    if (count === undefined) return refuse('window frame by what is no constant', node['location']);
    return `${Number(count['ival'] ?? 0)} ${has(side === 'start' ? frame.startPreceding : frame.endPreceding) ? 'PRECEDING' : 'FOLLOWING'}`;
  };
  return [`${has(frame.rows) ? 'ROWS' : 'RANGE'} BETWEEN ${bound('start')} AND ${bound('end')}`];
}
