/** Expressions of MySQL as expressions of PostgreSQL, with their types. What is not listed here is refused. */
import { quoteLiteral } from '../../names.ts';
import { aggregateCalls, overMark, windowCalls } from './aggregate-calls.ts';
import { calculate, negate } from './calculate.ts';
import type { CallContext } from './call-context.ts';
import { castValue, inCollation } from './cast-value.ts';
import { chosen, commonValues, keepsScales } from './unified-type.ts';
import { comparisonCollation, compareValues } from './compare-values.ts';
import type { Comparison } from './compare-values.ts';
import { asCondition, asText, condition, isConstantText, nullValue, withoutLabels } from './convert-value.ts';
import { literal, moment, variable } from './emit-constant.ts';
import { matchedRegexp } from './emit-regexp.ts';
import { withWidth } from './integer-widths.ts';
import { jsonCalls } from './json-calls.ts';
import { likePattern, losesBackslash, unslashed } from './like-pattern.ts';
import { anyOf, checkBound, checkNull, checkNullRows, checkSigns, contains, knownRow, oneCollation, shortList } from './member-tests.ts';
import { addInterval, momentCalls } from './moment-calls.ts';
import { Scope } from './mysql-emission.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import { valueOf } from './mysql-expression.ts';
import type { Value } from './mysql-expression.ts';
import type { CallDetails, Expression, OrderItem, Query, WindowSpec } from './mysql-tree.ts';
import { boolType, intType, maxUnsigned, mayBeZero, typeName, isMoment, isNumber, localCollation, maxBigint } from './mysql-type.ts';
import { numberCalls } from './number-calls.ts';
import { refuse } from './refused-mysql.ts';
import { findName } from './scope-names.ts';
import { sessionCalls } from './session-calls.ts';
import { sortKey, zeroForNull } from './sort-key.ts';
import { textCalls } from './text-calls.ts';

/** How a subquery is written; handed in, since a query is made of expressions. */
export interface SubqueryEmitter {
  /** The text of a query in parentheses, and its columns. */
  subquery(query: Query, parent: Scope): { readonly sql: string; readonly columns: readonly Value[] };
}

const calls = { ...textCalls, ...numberCalls, ...momentCalls, ...sessionCalls, ...jsonCalls };
/** Functions that know what to make of the zero date. */
const takeZero: ReadonlySet<string> = new Set(['YEAR', 'MONTH', 'DAY', 'DAYOFMONTH', 'QUARTER', 'HOUR', 'MINUTE', 'SECOND', 'EXTRACT', 'DATE', 'IF', 'IFNULL', 'COALESCE', 'CONCAT', 'CONCAT_WS', 'LEFT']);
const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=', '<=>']);
const isComparison = (operator: string): operator is Comparison => comparisons.has(operator);

type Node<Type extends Expression['type']> = Extract<Expression, { type: Type }>;

export class ExpressionEmitter {
  readonly emission: MysqlEmission;
  readonly #queries: SubqueryEmitter;
  /** `VALUES(column)` and the alias of the new row, in ON DUPLICATE KEY UPDATE. */
  insertedColumn: ((name: string, place: number) => Value) | undefined;

  constructor(emission: MysqlEmission, queries: SubqueryEmitter) {
    this.emission = emission;
    this.#queries = queries;
  }

  value(node: Expression, scope: Scope): Value {
    const before = scope.free.length;
    const value = this.#value(node, scope);
    // What GROUP BY has is accounted for as a whole.
    if (scope.groups.has(value.sql)) scope.free.length = before;
    const substitute = scope.groups.has(value.sql) && scope.aggregateDepth === 0 ? scope.substitutes.get(value.sql) : undefined;
    if (substitute !== undefined) return { ...value, sql: substitute, ...(value.place === undefined && 'place' in node ? { place: node.place } : {}) };
    return value.place === undefined && 'place' in node ? { ...value, place: node.place } : value;
  }

  condition(node: Expression, scope: Scope): string {
    return asCondition(this.emission, this.value(node, scope));
  }

  #value(node: Expression, scope: Scope): Value {
    switch (node.type) {
      case 'literal': return literal(this.emission, node);
      case 'moment': return moment(node);
      case 'parameter': return { sql: 'NULL', type: { kind: 'parameter', number: node.number }, nullable: true, place: node.place };
      case 'column': return findName(scope, node);
      case 'variable': return variable(this.emission, node);
      case 'unary': return this.#unary(node, scope);
      case 'binary': return this.#binary(node, scope);
      case 'in': return this.#in(node, scope);
      case 'between': return this.#between(node, scope);
      case 'like': return this.#like(node, scope);
      case 'is': return this.#is(node, scope);
      case 'case': return this.#case(node, scope);
      case 'cast': return this.#cast(this.value(node.operand, scope), node.to, node.place);
      case 'using': return this.#using(node, scope);
      case 'collate': return this.#collate(node, scope);
      case 'interval': return addInterval(this.emission, this.value(node.moment, scope), this.value(node.amount, scope), node.unit, node.sign, node.place);
      case 'call': return this.#call(node, scope);
      case 'subquery': return this.#scalar(node, scope);
      case 'exists': return condition(`EXISTS ${this.#queries.subquery(node.query, scope).sql}`, false);
      case 'quantified': return this.#quantified(node, scope);
      case 'inserted': return (this.insertedColumn ?? refuse('VALUES()', node.place))(node.column, node.place);
      case 'regexp': return matchedRegexp(this.emission, this.value(node.operand, scope), this.value(node.pattern, scope), node);
      case 'row': return refuse('row', node.place);
      case 'default': return refuse(node.column === undefined ? 'DEFAULT' : 'DEFAULT()', node.place);
      case 'star': return refuse('*', node.place);
    }
  }

  #unary(node: Node<'unary'>, scope: Scope): Value {
    const operand = this.value(node.operand, scope);
    switch (node.operator) {
      case 'NOT': return { sql: `(NOT ${asCondition(this.emission, operand)})`, type: boolType, nullable: operand.nullable };
      case '-': return negate(this.emission, operand, node.place);
      case '+': return operand;
      case 'BINARY': return castValue(this.emission, operand, { name: 'BINARY', length: undefined, scale: undefined }, node.place);
      case '~': return operand.type.kind === 'int' && operand.type.min >= 0n ? valueOf(`(18446744073709551615 - (${operand.sql})::numeric)`, intType(0n, maxUnsigned, true), [operand]) : refuse('operator ~', node.place);
    }
  }

  #binary(node: Node<'binary'>, scope: Scope): Value {
    const { operator, place } = node;
    if (node.left.type === 'row' || node.right.type === 'row') return this.#rows(node, scope);
    const [left, right] = [this.value(node.left, scope), this.value(node.right, scope)];
    if (isComparison(operator)) return compareValues(this.emission, operator, left, right, place);
    if (operator !== 'AND' && operator !== 'OR' && operator !== 'XOR') return calculate(this.emission, operator, left, right, place);
    // Its sides are rounded to integers before.
    if (operator === 'XOR' && [left, right].some(({ type }) => type.kind === 'decimal' || type.kind === 'double' || type.kind === 'float')) return refuse('XOR of numbers that are no integers', place);
    const [one, other] = [asCondition(this.emission, left), asCondition(this.emission, right)];
    return valueOf(operator === 'XOR' ? `(${one} <> ${other})` : `(${one} ${operator} ${other})`, boolType, [left, right]);
  }

  /** `(a, b) = (1, 2)`. */
  #rows(node: Node<'binary'>, scope: Scope): Value {
    const { left, right, operator, place } = node;
    if (left.type !== 'row' || right.type !== 'row' || left.items.length !== right.items.length) return refuse('row', place);
    if (operator !== '=' && operator !== '<>' && operator !== '<=>') return refuse('order of rows', place);
    const parts = left.items.map((item, index) => compareValues(this.emission, operator === '<>' ? '=' : operator, this.value(item, scope), this.value(right.items[index] ?? item, scope), place));
    const all = `(${parts.map(({ sql }) => sql).join(' AND ')})`;
    return valueOf(operator === '<>' ? `(NOT ${all})` : all, boolType, parts);
  }

  #in(node: Node<'in'>, scope: Scope): Value {
    const { operand, list, place } = node;
    const wrap = (value: Value): Value => (node.not ? { ...value, sql: `(NOT ${value.sql})` } : value);
    if (!Array.isArray(list)) return wrap(this.#inQuery(operand, list as Query, scope, place));
    const items: readonly Expression[] = list;
    if (operand.type === 'row') {
      // A column of rows is compared as one type.
      operand.items.forEach((each, index) => {
        const kinds = [each, ...items.map((item) => (item.type === 'row' ? item.items[index] ?? each : each))].map((item) => this.value(item, scope)).filter((value) => !isConstantText(value) && value.type.kind !== 'null' && value.type.kind !== 'parameter').map(({ type }) => type);
        if (new Set(kinds.map((type) => (isNumber(type) ? 'number' : isMoment(type) ? 'moment' : type.kind))).size > 1) refuse('IN of rows of several types', place);
      });
      checkNullRows(this.emission, items.flatMap((item) => (item.type === 'row' && items.length > 1 ? item.items.map((each) => this.value(each, scope)) : [])), place);
      // All of them are compared in one collation.
      operand.items.forEach((each, index) => oneCollation([each, ...items.map((item) => (item.type === 'row' ? item.items[index] ?? each : each))].map((item) => this.value(item, scope)), place));
      const rows = items.map((item) => this.#rows({ type: 'binary', operator: '=', left: operand, right: item, place }, scope));
      const found = `(${rows.map(({ sql }) => sql).join(' OR ')})`;
      return wrap(valueOf(items.length > 1 ? knownRow(this.emission, operand.items.map((each) => this.value(each, scope)), found) : found, boolType, rows));
    }
    const left = this.value(operand, scope);
    const values = items.map((item) => this.value(item, scope));
    oneCollation([left, ...values], place);
    const compared = values.map((value) => compareValues(this.emission, '=', left, value, place));
    return wrap(valueOf(shortList(compared) ?? `(${compared.map(({ sql }) => sql).join(' OR ')})`, boolType, compared));
  }

  #inQuery(operand: Expression, query: Query, scope: Scope, place: number): Value {
    const { sql, columns } = this.#queries.subquery(query, scope);
    const left = operand.type === 'row' ? operand.items.map((item) => this.value(item, scope)) : [this.value(operand, scope)];
    if (left.length !== columns.length) return refuse('IN with another number of columns', place);
    checkNull(this.emission, left, place);
    if (left.some((value, index) => this.#isBeyond(value, columns[index]))) return refuse('IN with a subquery of smaller integers', place);
    const alias = this.emission.alias();
    // The comparison is that of the values' types, which `=` between two columns need not be.
    const names = columns.map((column, index): Value => ({ ...column, sql: `${alias}."${index + 1}"`, origin: undefined, constant: undefined }));
    const parts = left.map((value, index) => compareValues(this.emission, '=', value, names[index] ?? value, place));
    const isPlain = parts.every(({ sql: part }, index) => part === `(${left[index]?.sql ?? ''} = ${names[index]?.sql ?? ''})`);
    const nullable = parts.some((part) => part.nullable);
    if (isPlain) return { sql: `(${left.length === 1 ? left[0]?.sql ?? '' : `(${left.map((value) => value.sql).join(', ')})`} IN ${sql})`, type: boolType, nullable };
    const found = parts.map((part) => part.sql).join(' AND ');
    return { sql: anyOf(found, `${sql} AS ${alias} (${columns.map((_, index) => `"${index + 1}"`).join(', ')})`), type: boolType, nullable };
  }

  /** MariaDB, and MySQL before 8, find a number that the column cannot hold to be in no list, also where a NULL leaves it open. */
  #isBeyond(value: Value, column: Value | undefined): boolean {
    const { flavour, version } = this.emission.facts.mode.server;
    if ((flavour === 'mysql' && version >= 80000) || value.type.kind !== 'int' || column?.type.kind !== 'int' || !column.nullable) return false;
    return value.type.min < column.type.min || value.type.max > column.type.max;
  }

  #quantified(node: Node<'quantified'>, scope: Scope): Value {
    const { operator, quantifier, place } = node;
    if (operator === '=' && quantifier === 'ANY') return this.#inQuery(node.left, node.query, scope, place);
    if (operator === '<>' && quantifier === 'ALL') {
      const found = this.#inQuery(node.left, node.query, scope, place);
      return { ...found, sql: `(NOT ${found.sql})` };
    }
    const { sql, columns } = this.#queries.subquery(node.query, scope);
    const [column] = columns;
    const left = this.value(node.left, scope);
    checkNull(this.emission, [left], place);
    checkBound(this.emission, node.query, place);
    if (column === undefined || columns.length !== 1 || !isComparison(operator) || operator === '<=>') return refuse(`${operator} ${quantifier}`, place);
    const alias = this.emission.alias();
    const compared = compareValues(this.emission, operator, left, { ...column, sql: `${alias}."1"`, origin: undefined, constant: undefined }, place);
    const from = `${sql} AS ${alias} ("1")`;
    return { sql: quantifier === 'ANY' ? anyOf(compared.sql, from) : `(NOT ${anyOf(`(NOT ${compared.sql})`, from)})`, type: boolType, nullable: true };
  }

  #between(node: Node<'between'>, scope: Scope): Value {
    const operand = this.value(node.operand, scope);
    const [from, to] = [this.value(node.low, scope), this.value(node.high, scope)];
    oneCollation([operand, from, to], node.place);
    const { flavour, version } = this.emission.facts.mode.server;
    // Before MySQL 5.7 it is unknown, even where one end decides.
    if (flavour === 'mysql' && version < 50700 && isMoment(operand.type) && (from.type.kind === 'null' || to.type.kind === 'null')) return refuse('BETWEEN of a date and NULL', node.place);
    // Before MySQL 8 it compares all with a sign or all without.
    const integers = [operand, from, to].map(({ type }) => type).filter((type) => type.kind === 'int');
    if (flavour === 'mysql' && version < 80000 && integers.some(({ max }) => max > maxBigint) && integers.some(({ unsigned }) => !unsigned)) return refuse('BETWEEN of signed and unsigned integers', node.place);
    // What one of the three is decides how all of them are compared.
    const isMixed = [from, to].some(({ type }) => type.kind !== 'text' && type.kind !== 'null') && [from, to].some(({ type }) => type.kind === 'text' || type.kind === 'parameter');
    if (isMixed && (operand.type.kind === 'text' || operand.type.kind === 'parameter')) return refuse('BETWEEN a string and another type', node.place);
    const low = compareValues(this.emission, '>=', operand, from, node.place);
    const high = compareValues(this.emission, '<=', operand, to, node.place);
    return valueOf(`(${node.not ? 'NOT ' : ''}(${low.sql} AND ${high.sql}))`, boolType, [low, high]);
  }

  #like(node: Node<'like'>, scope: Scope): Value {
    const { emission } = this;
    const [given, pattern] = [this.value(node.operand, scope), this.value(node.pattern, scope)];
    if (given.type.kind === 'parameter') return refuse('LIKE of a parameter', node.place);
    const operand = asText(emission, given);
    // Whether it escapes in a pattern nevertheless is another question on every version.
    if (node.escape === undefined && emission.facts.mode.sqlMode.has('NO_BACKSLASH_ESCAPES') && (!isConstantText(pattern) || pattern.constant.includes('\\'))) return refuse('backslash in LIKE under NO_BACKSLASH_ESCAPES', node.place);
    const escape = node.escape === undefined ? '\\' : escapeOf(this.value(node.escape, scope));
    const collation = comparisonCollation(emission, operand, pattern.type.kind === 'parameter' ? operand : asText(emission, pattern), node.place);
    if (!collation.deterministic && emission.facts.localVersion < 180000) return refuse('LIKE on a local before PostgreSQL 18', node.place);
    const isExact = collation.deterministic;
    const { flavour, version } = emission.facts.mode.server;
    // It does not find what begins with a backslash behind a `%`.
    if (!isExact && flavour === 'mysql' && version < 50700 && isConstantText(pattern) && /%\\\\[^%]/.test(likePattern(pattern.constant, escape))) return refuse('LIKE of a backslash in a collation that is not binary', node.place);
    if (!isExact && isConstantText(pattern) && losesBackslash(likePattern(pattern.constant, escape))) return refuse('LIKE of a backslash in a collation that is not binary', node.place);
    const sql = pattern.type.kind === 'parameter'
      ? emission.parameter(pattern.type.number, { kind: 'text', pattern: escape, ...(isExact ? {} : { unslashed: true }) }, 'text')
      : isConstantText(pattern) ? quoteLiteral(likePattern(pattern.constant, escape)) : pattern.type.kind === 'text' ? `(${isExact ? pattern.sql : unslashed(pattern.sql, escape)} COLLATE ${localCollation(collation, node.place)}) ESCAPE ${quoteLiteral(escape)}` : refuse(`LIKE by ${typeName(pattern.type)}`, node.place);
    return { sql: `(${operand.sql} COLLATE ${localCollation(collation, node.place)} ${node.not ? 'NOT ' : ''}LIKE ${sql})`, type: boolType, nullable: operand.nullable || pattern.nullable };
  }

  #is(node: Node<'is'>, scope: Scope): Value {
    const operand = this.value(node.operand, scope);
    const not = node.not ? 'NOT ' : '';
    const { flavour, version } = this.emission.facts.mode.server;
    // MySQL before 8 and MariaDB do not see that a comparison of rows can be unknown; MySQL before 5.7 takes <=> for one that can.
    if ((node.what === 'NULL' || node.what === 'UNKNOWN') && (flavour === 'mariadb' || version < 80000)) {
      if (contains(node.operand, (each) => each.type === 'binary' && each.left.type === 'row')) return refuse(`IS ${node.what} of a comparison of rows`, node.place);
      if (flavour === 'mysql' && version < 50700 && contains(node.operand, (each) => each.type === 'binary' && each.operator === '<=>')) return refuse(`IS ${node.what} of <=>`, node.place);
    }
    // It loses rows without a partner where such a condition holds for NULL.
    if (node.what !== 'NULL' && flavour === 'mysql' && version < 50700 && scope.hasOuterJoin) return refuse(`IS ${node.what} over an outer join`, node.place);
    if (node.what !== 'NULL') return condition(`${asCondition(this.emission, operand)} IS ${not}${node.what}`, false);
    if (operand.type.kind === 'parameter') return refuse('parameter whose type its place does not tell', node.place);
    // In WHERE the server takes the zero date of a NOT NULL column for NULL, elsewhere not.
    if (mayBeZero(operand.type) && operand.origin?.column.nullable === false && !node.not) return refuse('IS NULL of a NOT NULL column that may have the zero date', node.place);
    return condition(`${operand.sql} IS ${not}NULL`, false);
  }

  #case(node: Node<'case'>, scope: Scope): Value {
    const operand = node.operand === undefined ? undefined : this.value(node.operand, scope);
    const { flavour, version } = this.emission.facts.mode.server;
    // Before MySQL 5.7 these are compared as strings.
    const compared = operand === undefined ? [] : node.branches.map(({ when }) => this.value(when, scope));
    if (operand !== undefined) oneCollation([operand, ...compared], node.place);
    if (operand !== undefined && [operand, ...compared].some(({ type }) => isMoment(type) || type.kind === 'time') && flavour === 'mysql' && version < 50700) refuse('CASE of a date or time', node.place);
    if (operand !== undefined && flavour === 'mysql') checkSigns([operand, ...compared], 'CASE', node.place);
    const conditions = operand === undefined ? node.branches.map(({ when }) => this.condition(when, scope)) : compared.map((when) => compareValues(this.emission, '=', operand, when, node.place).sql);
    const values = [...node.branches.map(({ then }) => this.value(then, scope)), node.otherwise === undefined ? nullValue : this.value(node.otherwise, scope)];
    // MariaDB describes it as a NULL, and what is like it as a string.
    if (flavour === 'mariadb' && node.otherwise === undefined && values.every(({ type }) => type.kind === 'null')) return refuse('CASE of NULL alone', node.place);
    return chosen(commonValues(this.emission, values, node.place, keepsScales(this.emission)), values, (sql) => `CASE ${conditions.map((each, index) => `WHEN ${each} THEN ${sql[index] ?? 'NULL'}`).join(' ')} ELSE ${sql.at(-1) ?? 'NULL'} END`);
  }

  #cast(value: Value, to: Node<'cast'>['to'], place: number): Value {
    if (mayBeZero(value.type) && to.name !== 'CHAR' && to.name !== 'DATE') return refuse(`CAST of a column that may have the zero date to ${to.name}`, place);
    return castValue(this.emission, value, to, place);
  }

  #using(node: Node<'using'>, scope: Scope): Value {
    const operand = this.value(node.operand, scope);
    if (!['utf8', 'utf8mb3', 'utf8mb4'].includes(node.charset) || operand.type.kind === 'bytes') return refuse(`CONVERT() USING ${node.charset}`, node.place);
    return inCollation(asText(this.emission, operand), this.emission.defaultCollation(node.charset));
  }

  #collate(node: Node<'collate'>, scope: Scope): Value {
    const operand = asText(this.emission, this.value(node.operand, scope));
    const collation = this.emission.collations.get(node.collation) ?? (node.collation.endsWith('_bin')
      ? { name: node.collation, local: '"pg_catalog"."C"', deterministic: true, pads: !node.collation.includes('0900'), charset: node.collation.split('_')[0] ?? '' } : refuse(`COLLATE ${node.collation}`, node.place));
    if (operand.type.kind !== 'text') return refuse('COLLATE', node.place);
    const has = operand.type.collation?.charset ?? this.emission.facts.charset;
    if (has.replace('utf8mb3', 'utf8') !== collation.charset.replace('utf8mb3', 'utf8')) return refuse(`COLLATE ${node.collation} of character set ${has}`, node.place);
    // A column of varchar would be cast behind its COLLATE in one place and not in another.
    return { sql: `(${operand.sql}${operand.origin === undefined ? '' : '::text'} COLLATE ${localCollation(collation, node.place)})`, type: { ...operand.type, collation: { ...collation, isExplicit: true }, isOwn: true, maxLength: undefined }, nullable: operand.nullable };
  }

  #scalar(node: Node<'subquery'>, scope: Scope): Value {
    const { sql, columns } = this.#queries.subquery(node.query, scope);
    const [column] = columns;
    if (column === undefined || columns.length !== 1) return refuse('subquery of several columns', node.place);
    const { flavour, version } = this.emission.facts.mode.server;
    // It is shown as a number there.
    if (column.type.kind === 'bit' && (flavour === 'mariadb' || version < 80000)) return refuse('subquery of BIT', node.place);
    return withoutLabels(this.emission, { sql, type: column.type, nullable: true });
  }

  #call(node: Node<'call'>, scope: Scope): Value {
    const { name, place } = node;
    const details = node.details ?? {};
    if (details.database !== undefined) return refuse(`function ${details.database}.${name}`, place);
    const aggregate = Object.hasOwn(aggregateCalls, name) ? aggregateCalls[name] : undefined;
    if (aggregate !== undefined) return this.#aggregate(node, scope, aggregate, details);
    const window = Object.hasOwn(windowCalls, name) ? windowCalls[name] : undefined;
    if (window !== undefined) return this.#windowed(window(this.#context(node, scope)), details.over ?? refuse(`${name}() without OVER`, place), scope, place);
    const emit = Object.hasOwn(calls, name) ? calls[name] : undefined;
    if (emit === undefined || details.over !== undefined) return refuse(`${name}()`, place);
    const context = this.#context(node, scope);
    if (!takeZero.has(name) && context.args.some(({ type }) => mayBeZero(type))) return refuse(`${name}() of a column that may have the zero date`, place);
    return withWidth(this.emission, name, emit(context));
  }

  #context(node: Node<'call'>, scope: Scope): CallContext {
    const isStar = node.args[0]?.type === 'star';
    return {
      emission: this.emission, name: node.name, args: isStar ? [] : node.args.map((argument) => this.value(argument, scope)), nodes: node.args, details: node.details ?? {}, place: node.place,
      order: (items) => (this.emission.losesInstants && items.some(({ expression }) => this.value(expression, scope).type.kind === 'timestamp') ? refuse('order of TIMESTAMP in a zone with summer time', node.place) : this.order(items, scope, zeroForNull)),
    };
  }

  #aggregate(node: Node<'call'>, scope: Scope, emit: (call: CallContext) => Value, details: CallDetails): Value {
    if (details.over !== undefined) {
      const over = emit(this.#context(node, scope));
      return over.sql.includes(overMark) ? this.#windowed(over, details.over, scope, node.place) : refuse(`${node.name}() with OVER`, node.place);
    }
    if (!scope.allowsAggregates || scope.aggregateDepth > 0) return refuse(`${node.name}() at this place`, node.place);
    scope.hasAggregates = true;
    scope.aggregateDepth += 1;
    const [own, outer] = [scope.named, namedOutside(scope)];
    const value = emit(this.#context(node, scope));
    scope.aggregateDepth -= 1;
    // Over columns of an outer query it is that query's.
    if (scope.named === own && namedOutside(scope) > outer) return refuse(`${node.name}() over columns of an outer query`, node.place);
    return { ...value, sql: value.sql.replaceAll(overMark, '') };
  }

  #windowed(value: Value, over: WindowSpec, scope: Scope, place: number): Value {
    if (!scope.allowsWindows) return refuse('window function at this place', place);
    scope.hasWindows = true;
    if (value.sql.includes('ORDER BY')) return refuse('window function over strings', place);
    const window = over.name !== undefined && over.partition.length === 0 && over.order.length === 0 && over.frame === undefined ? `"${over.name.replaceAll('"', '""')}"` : `(${this.window(over, scope)})`;
    const sql = value.sql.includes(overMark) ? value.sql.replaceAll(overMark, ` OVER ${window}`) : `${value.sql} OVER ${window}`;
    const told = this.emission.facts.mode.server.flavour === 'mariadb' && value.type.kind === 'int' ? value.type.told : undefined;
    return { ...value, sql: `(${sql})`, origin: undefined, ...(value.type.kind === 'int' ? { type: { ...value.type, told } } : {}) };
  }

  /** The inside of a window's parentheses. */
  window(spec: WindowSpec, scope: Scope): string {
    const parts: string[] = [];
    if (spec.name !== undefined) parts.push(`"${spec.name.replaceAll('"', '""')}"`);
    // It orders by instants what it then compares as dates and times.
    if (this.emission.losesInstants && [...spec.partition, ...spec.order.map(({ expression }) => expression)].some((each) => this.value(each, scope).type.kind === 'timestamp')) refuse('window over a TIMESTAMP in a zone with summer time', (spec.partition[0] ?? spec.order[0]?.expression)?.place);
    if (spec.partition.length > 0) parts.push(`PARTITION BY ${spec.partition.map((each) => sortKey(this.emission, this.value(each, scope))).join(', ')}`);
    if (spec.order.length > 0) parts.push(`ORDER BY ${this.order(spec.order, scope)}`);
    if (spec.frame !== undefined) parts.push(spec.frame);
    return parts.join(' ');
  }

  order(items: readonly OrderItem[], scope: Scope, keyed = (value: Value): Value => value): string {
    return items.map(({ expression, descending }) => {
      const value = keyed(this.value(expression, scope));
      return `${sortKey(this.emission, value)}${direction(descending, value.nullable)}`;
    }).join(', ');
  }
}

function namedOutside({ parent }: Scope): number {
  return parent === undefined ? 0 : parent.named + namedOutside(parent);
}

/** NULL comes before everything else. */
export function direction(descending: boolean, nullable: boolean): string {
  return `${descending ? ' DESC' : ''}${nullable ? ` NULLS ${descending ? 'LAST' : 'FIRST'}` : ''}`;
}

function escapeOf(value: Value): string {
  if (!isConstantText(value) || value.constant.length > 1) return refuse(`ESCAPE ${typeName(value.type)}`, value.place);
  return value.constant;
}
