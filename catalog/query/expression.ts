/**
 * Expressions of PostgreSQL's grammar as SQLite text with a type. Every kind of node is listed; one that is not, and every field
 * of a node that is not looked at, is refused: a wrong answer would be worse than none.
 */
import type { A_Const, A_Expr, FuncCall, Node, SelectStmt, SortBy, SubLink, TypeCast } from 'libpg-query';
import { aggregateNames, callAggregate, callFunction } from './functions.ts';
import type { QueryMoment } from './functions.ts';
import { binary, compare, distinct, matched, not, unary } from './operators.ts';
import { refuse } from './refusal.ts';
import type { Scope } from './scope.ts';
import { typeByName } from './sql-types.ts';
import type { SqlType } from './sql-types.ts';
import { castTo, coerce, comparable, nullOf, stringLiteral, typed, unify } from './typed.ts';
import type { Typed } from './typed.ts';

/** What the translation of one query shares. */
export interface Translation {
  readonly moment: QueryMoment;
  /** A subquery: its SQL and the types of its columns. */
  select(statement: SelectStmt, parent: Scope): { readonly sql: string; readonly columns: readonly (Typed & { readonly name: string })[] };
}

const NOT_HERE = 'cannot be used in queries on SYS$MIGRATION_ tables';

export function expression(node: Node | undefined, scope: Scope, query: Translation): Typed {
  if (node === undefined) return refuse(`an empty expression ${NOT_HERE}`);
  const { grouping } = scope;
  if (grouping !== undefined && !scope.insideAggregate) {
    // The whole expression may be one that is grouped by.
    scope.grouping = undefined;
    const whole = translate(node, scope, query);
    scope.grouping = grouping;
    if (grouping.expressions.has(whole.sql)) return whole;
  }
  return translate(node, scope, query);
}

function translate(node: Node, scope: Scope, query: Translation): Typed {
  const inner = (child: Node | undefined): Typed => expression(child, scope, query);
  if ('ColumnRef' in node) return columnReference(node.ColumnRef.fields ?? [], node.ColumnRef.location, scope);
  if ('A_Const' in node) return constant(node.A_Const);
  if ('TypeCast' in node) return cast(node.TypeCast, inner);
  if ('A_Expr' in node) return operator(node.A_Expr, inner);
  if ('FuncCall' in node) return functionCall(node.FuncCall, scope, query);
  if ('SubLink' in node) return subLink(node.SubLink, scope, query);
  if ('BoolExpr' in node) {
    const args = (node.BoolExpr.args ?? []).map((arg) => condition(inner(arg), at(node.BoolExpr)).sql);
    if (node.BoolExpr.boolop === 'NOT_EXPR') return not(typed(args[0] ?? 'NULL', 'bool'));
    return typed(`(${args.join(node.BoolExpr.boolop === 'AND_EXPR' ? ' AND ' : ' OR ')})`, 'bool');
  }
  if ('NullTest' in node) return typed(`(${inner(node.NullTest.arg).sql} IS ${node.NullTest.nulltesttype === 'IS_NULL' ? '' : 'NOT '}NULL)`, 'bool');
  if ('BooleanTest' in node) return booleanTest(node.BooleanTest.booltesttype, condition(inner(node.BooleanTest.arg), at(node.BooleanTest)));
  if ('CaseExpr' in node) {
    const { arg, args = [], defresult } = node.CaseExpr;
    return caseExpression(arg === undefined ? undefined : inner(arg), args.map((when) => whenOf(when, inner)), defresult === undefined ? nullOf('unknown') : inner(defresult), at(node.CaseExpr));
  }
  if ('CoalesceExpr' in node) {
    const { type, values } = unify((node.CoalesceExpr.args ?? []).map(inner), 'COALESCE', at(node.CoalesceExpr));
    return values.length === 1 && values[0] ? values[0] : typed(`coalesce(${values.map((value) => value.sql).join(', ')})`, type);
  }
  if ('MinMaxExpr' in node) {
    const greatest = node.MinMaxExpr.op === 'IS_GREATEST';
    const { type, values } = unify((node.MinMaxExpr.args ?? []).map(inner), greatest ? 'GREATEST' : 'LEAST', at(node.MinMaxExpr));
    return typed(`pg_${greatest ? 'greatest' : 'least'}('${type}', ${values.map((value) => value.sql).join(', ')})`, type);
  }
  if ('SQLValueFunction' in node) return sqlValue(node.SQLValueFunction.op ?? '', query, at(node.SQLValueFunction));
  if ('ParamRef' in node) return refuse(`parameters ($1, …) ${NOT_HERE}`, at(node.ParamRef), 'Write the value into the text.');
  return refuse(`${nodeTitle(node)} ${NOT_HERE}`, locationOf(node));
}

export function nodeTitle(node: Node): string {
  const [kind = 'an empty node'] = Object.keys(node);
  return `a ${kind.replace(/^A_/, '').replace(/(Stmt|Expr|Ref|Clause)$/, '').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()} expression`;
}

export function locationOf(node: Node): number | undefined {
  const [body] = Object.values(node) as readonly { readonly location?: number }[];
  return body === undefined ? undefined : at(body);
}

/** The grammar leaves a location of 0 out. */
export function at(node: { readonly location?: number }): number | undefined {
  return node.location === undefined ? 0 : node.location < 0 ? undefined : node.location;
}

/** Fields beside those named are not understood here. */
export function only(node: object, known: readonly string[], where: string, location?: number): void {
  const strange = Object.keys(node).find((key) => !known.includes(key));
  if (strange !== undefined) refuse(`${where} with ${strange.replace(/_/g, ' ')} ${NOT_HERE}`, location);
}

export function condition(value: Typed, location: number | undefined): Typed {
  return value.type === 'bool' ? value : value.literal !== undefined ? coerce(value, 'bool', location) : refuse('argument must be type boolean', location);
}

export function strings(nodes: readonly Node[] | undefined): readonly string[] {
  return (nodes ?? []).map((node) => ('String' in node ? (node.String.sval ?? '') : refuse(`${nodeTitle(node)} ${NOT_HERE}`)));
}

function columnReference(fields: readonly Node[], location: number | undefined, scope: Scope): Typed {
  if (fields.some((field) => 'A_Star' in field)) return refuse('* is not allowed here', location);
  const names = strings(fields);
  if (names.length > 2) return refuse('catalog tables have no schema', location, 'Write "SYS$MIGRATION_STATE" without a schema.');
  const [first = '', second] = names;
  const { sql, type } = second === undefined ? scope.resolve(undefined, first, location) : scope.resolve(first, second, location);
  return { sql, type };
}

function constant(value: A_Const): Typed {
  if (value.isnull === true) return nullOf('unknown');
  if (value.boolval !== undefined) return typed(value.boolval.boolval === true ? '1' : '0', 'bool');
  if (value.ival !== undefined) return typed(String(value.ival.ival ?? 0), 'int4');
  if (value.sval !== undefined) {
    const literal = value.sval.sval ?? '';
    return { sql: stringLiteral(literal), type: 'unknown', literal };
  }
  if (value.fval !== undefined) {
    const number = value.fval.fval ?? '0';
    if (!/^[+-]?\d+$/.test(number)) return castTo({ sql: '', type: 'unknown', literal: number }, 'numeric');
    const big = BigInt(number) <= 2n ** 63n - 1n && BigInt(number) >= -(2n ** 63n);
    return big ? typed(number, 'int8') : castTo({ sql: '', type: 'unknown', literal: number }, 'numeric');
  }
  return refuse(`bit strings ${NOT_HERE}`, at(value));
}

function cast(node: TypeCast, inner: (child: Node | undefined) => Typed): Typed {
  const names = strings(node.typeName?.names).filter((name) => name !== 'pg_catalog');
  const location = at(node.typeName ?? node);
  const to = typeByName(names.join('.'));
  if (to === undefined || node.typeName?.arrayBounds !== undefined || node.typeName?.setof === true) {
    return refuse(`type ${names.join('.')}${node.typeName?.arrayBounds === undefined ? '' : '[]'} ${NOT_HERE}`, location, 'Types that can: boolean, integer, bigint, numeric, float8, text, varchar, uuid, timestamp, timestamptz, date, interval, json.');
  }
  const value = castTo(inner(node.arg), to, location);
  const modifiers = node.typeName?.typmods;
  return modifiers === undefined ? value : modify(value, to, modifiers, location);
}

function modify(value: Typed, type: SqlType, modifiers: readonly Node[], location: number | undefined): Typed {
  const numbers = modifiers.map((modifier) => ('A_Const' in modifier && modifier.A_Const.ival !== undefined ? (modifier.A_Const.ival.ival ?? 0) : refuse(`this type modifier ${NOT_HERE}`, location)));
  if (type === 'varchar') return typed(`pg_truncate(${value.sql}, ${numbers[0] ?? 0})`, type);
  if (type === 'numeric') return typed(`pg_num_round(${value.sql}, ${numbers[1] ?? 0})`, type);
  return refuse(`this type modifier ${NOT_HERE}`, location);
}

function operator(node: A_Expr, inner: (child: Node | undefined) => Typed): Typed {
  const location = at(node);
  const name = strings(node.name).at(-1) ?? '';
  switch (node.kind) {
    case 'AEXPR_OP':
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return node.lexpr === undefined ? unary(name, inner(node.rexpr), location) : binary(name, inner(node.lexpr), inner(node.rexpr), location);
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return distinct(inner(node.lexpr), inner(node.rexpr), node.kind === 'AEXPR_NOT_DISTINCT', location);
    case 'AEXPR_NULLIF': {
      // Its type is that of the implied `=` (manual §9.18.3).
      const [value, other] = matched('=', inner(node.lexpr), inner(node.rexpr), location);
      return typed(`CASE WHEN ${compare('=', value, other, location).sql} THEN NULL ELSE ${value.sql} END`, value.type);
    }
    case 'AEXPR_IN':
      return inList(inner(node.lexpr), listOf(node.rexpr).map(inner), name === '<>', location);
    case 'AEXPR_OP_ANY':
      if (node.rexpr !== undefined && 'A_ArrayExpr' in node.rexpr && name === '=') {
        return inList(inner(node.lexpr), (node.rexpr.A_ArrayExpr.elements ?? []).map(inner), false, location);
      }
      return refuse(`${name} ANY (array) ${NOT_HERE}`, location, 'Use IN (…).');
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN': {
      const [low, high] = listOf(node.rexpr).map(inner);
      const value = inner(node.lexpr);
      if (low === undefined || high === undefined) return refuse('BETWEEN needs two bounds', location);
      const between = typed(`(${compare('>=', value, low, location).sql} AND ${compare('<=', value, high, location).sql})`, 'bool');
      return node.kind === 'AEXPR_BETWEEN' ? between : not(between);
    }
    default:
      return refuse(`${name} (${(node.kind ?? '').replace('AEXPR_', '').toLowerCase().replace(/_/g, ' ')}) ${NOT_HERE}`, location);
  }
}

function listOf(node: Node | undefined): readonly Node[] {
  return node !== undefined && 'List' in node ? (node.List.items ?? []) : [];
}

function inList(value: Typed, items: readonly Typed[], negated: boolean, location: number | undefined): Typed {
  if (items.length === 0) return typed(negated ? '1' : '0', 'bool');
  const { values } = unify([value, ...items], 'IN', location);
  const [first = '', ...rest] = values.map((member) => comparable(member, location));
  return typed(`(${first} ${negated ? 'NOT ' : ''}IN (${rest.join(', ')}))`, 'bool');
}

function whenOf(node: Node, inner: (child: Node | undefined) => Typed): { readonly when: Typed; readonly then: Typed } {
  if (!('CaseWhen' in node)) return refuse(`${nodeTitle(node)} ${NOT_HERE}`);
  return { when: inner(node.CaseWhen.expr), then: inner(node.CaseWhen.result) };
}

function caseExpression(subject: Typed | undefined, arms: readonly { readonly when: Typed; readonly then: Typed }[], otherwise: Typed, location: number | undefined): Typed {
  // ELSE counts as the first of them, as in the server's transformCaseExpr.
  const { type, values: [last, ...results] } = unify([otherwise, ...arms.map((arm) => arm.then)], 'CASE', location);
  const clauses = arms.map((arm, index) => {
    const test = subject === undefined ? condition(arm.when, location) : compare('=', subject, arm.when, location);
    return `WHEN ${test.sql} THEN ${results[index]?.sql ?? 'NULL'}`;
  });
  return typed(`CASE ${clauses.join(' ')} ELSE ${last?.sql ?? 'NULL'} END`, type);
}

function booleanTest(test: string | undefined, value: Typed): Typed {
  switch (test) {
    case 'IS_TRUE': return typed(`(${value.sql} IS 1)`, 'bool');
    case 'IS_NOT_TRUE': return typed(`(${value.sql} IS NOT 1)`, 'bool');
    case 'IS_FALSE': return typed(`(${value.sql} IS 0)`, 'bool');
    case 'IS_NOT_FALSE': return typed(`(${value.sql} IS NOT 0)`, 'bool');
    case 'IS_UNKNOWN': return typed(`(${value.sql} IS NULL)`, 'bool');
    default: return typed(`(${value.sql} IS NOT NULL)`, 'bool');
  }
}

function sqlValue(op: string, query: Translation, location: number | undefined): Typed {
  const now = typed(`'${query.moment.now}'`, 'timestamptz');
  if (op === 'SVFOP_CURRENT_TIMESTAMP') return now;
  if (op === 'SVFOP_LOCALTIMESTAMP') return typed(now.sql, 'timestamp');
  if (op === 'SVFOP_CURRENT_DATE') return castTo(now, 'date');
  return refuse(`${op.replace('SVFOP_', '')} ${NOT_HERE}`, location);
}

const callFields = ['funcname', 'args', 'agg_star', 'agg_distinct', 'agg_filter', 'agg_order', 'funcformat', 'location'];

function functionCall(node: FuncCall, scope: Scope, query: Translation): Typed {
  const location = at(node);
  const names = strings(node.funcname);
  const name = names.at(-1) ?? '';
  if (names.length > 1 && names[0] !== 'pg_catalog') return refuse(`function ${names.join('.')}() ${NOT_HERE}`, location);
  only(node, callFields, `function ${name}()`, location);
  if (aggregateNames.has(name)) return aggregateCall(name, node, scope, query);
  only(node, ['funcname', 'args', 'funcformat', 'location'], `function ${name}()`, location);
  return callFunction(name, (node.args ?? []).map((arg) => expression(arg, scope, query)), query.moment, location);
}

function aggregateCall(name: string, node: FuncCall, scope: Scope, query: Translation): Typed {
  const location = at(node);
  if (scope.noAggregates !== undefined) return refuse(`aggregate functions are not allowed in ${scope.noAggregates}`, location);
  if (scope.insideAggregate) return refuse('aggregate function calls cannot be nested', location);
  const before = { local: scope.localReferences, outer: scope.outerReferences };
  scope.insideAggregate = true;
  try {
    const args = (node.args ?? []).map((arg) => expression(arg, scope, query));
    const order = (node.agg_order ?? []).map((sort) => ('SortBy' in sort ? sortTerm(expression(sort.SortBy.node, scope, query), sort.SortBy) : refuse(`this ORDER BY ${NOT_HERE}`, location)));
    const filter = node.agg_filter === undefined ? undefined : condition(expression(node.agg_filter, scope, query), location);
    if (scope.outerReferences > before.outer && scope.localReferences === before.local) return refuse('an aggregate of an outer query\'s columns is not supported here', location);
    return callAggregate({
      name, args, star: node.agg_star === true, distinct: node.agg_distinct === true,
      order: order.length === 0 ? '' : ` ORDER BY ${order.join(', ')}`, filter: filter === undefined ? '' : ` FILTER (WHERE ${filter.sql})`,
    }, location);
  } finally {
    scope.insideAggregate = false;
  }
}

/** PostgreSQL puts NULLs last in ascending order, SQLite first. */
export function sortTerm(value: Typed, sort: SortBy, location?: number): string {
  if (sort.sortby_dir === 'SORTBY_USING') return refuse(`ORDER BY … USING ${NOT_HERE}`, location);
  const descending = sort.sortby_dir === 'SORTBY_DESC';
  const nullsFirst = sort.sortby_nulls === 'SORTBY_NULLS_FIRST' || (sort.sortby_nulls !== 'SORTBY_NULLS_LAST' && descending);
  const key = comparable(value.literal === undefined ? value : coerce(value, 'text'), location);
  // A bare number would be taken for the position of a column.
  return `${/^-?\d+$/.test(key) ? `(0 + ${key})` : key} ${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`;
}

function subLink(node: SubLink, scope: Scope, query: Translation): Typed {
  const location = at(node);
  if (node.subselect === undefined || !('SelectStmt' in node.subselect)) return refuse(`this subquery ${NOT_HERE}`, location);
  const { sql, columns } = query.select(node.subselect.SelectStmt, scope);
  if (node.subLinkType === 'EXISTS_SUBLINK') return typed(`EXISTS (${sql})`, 'bool');
  const [column] = columns;
  if (column === undefined || columns.length > 1) return refuse('subquery must return only one column', location);
  if (node.subLinkType === 'EXPR_SUBLINK') {
    // SQLite would take the first of several rows.
    const type = column.type === 'unknown' ? 'text' : column.type;
    return typed(`(SELECT pg_single(count(*), max(c1)) FROM (SELECT c1 FROM (${sql}) LIMIT 2))`, type);
  }
  const isIn = node.subLinkType === 'ANY_SUBLINK' && (node.operName === undefined || strings(node.operName).join('') === '=');
  if (!isIn) return refuse(`this kind of subquery ${NOT_HERE}`, location);
  const value = expression(node.testexpr, scope, query);
  const { values } = unify([value, { sql: 'c1', type: column.type === 'unknown' ? 'text' : column.type }], 'IN', location);
  const [left, right] = values.map((member) => comparable(member, location));
  return typed(`(${left ?? ''} IN (SELECT ${right ?? ''} FROM (${sql})))`, 'bool');
}
