/** Queries: SELECT with its clauses, set operations, WITH. */
import { distinctKey } from './aggregate-calls.ts';
import { checkMet, commonValues, floats } from './unified-type.ts';
import { mayBeNegativeZero } from './calculate.ts';
import { asInteger } from './convert-value.ts';
import { direction, ExpressionEmitter } from './emit-expression.ts';
import { FromEmitter } from './emit-from.ts';
import type { From, OutputColumn } from './emit-from.ts';
import { Scope } from './mysql-emission.ts';
import type { CommonRelation, MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlResultColumn, MysqlTableFacts } from './mysql-translation.ts';
import type { CommonTable, Expression, Limit, Locking, OrderItem, Query, QueryBody, Select, SelectItem } from './mysql-tree.ts';
import { intType, isUnsettled, maxBigint, minBigint, localCollation } from './mysql-type.ts';
import { showValue } from './result-column.ts';
import type { Shown } from './result-column.ts';
import { refuse } from './refused-mysql.ts';
import { isNamed, nameOf } from './scope-names.ts';
import { sortKey } from './sort-key.ts';
import { trimmed } from './text-order.ts';

export interface EmittedQuery {
  readonly sql: string;
  readonly columns: readonly OutputColumn[];
  /** Of the outermost query. */
  readonly shown: readonly MysqlResultColumn[];
  /** Without its LIMIT. */
  readonly unlimited: string;
}

interface Tail {
  readonly order: readonly OrderItem[];
  readonly limit: string;
  readonly lock: Locking | undefined;
}

const noTail: Tail = { order: [], limit: '', lock: undefined };

export class QueryEmitter {
  readonly emission: MysqlEmission;
  readonly expressions: ExpressionEmitter;
  readonly #from: FromEmitter;

  constructor(emission: MysqlEmission) {
    this.emission = emission;
    this.expressions = new ExpressionEmitter(emission, { subquery: (query, parent) => {
      const { sql, columns } = this.query(query, parent);
      return { sql: `(${sql})`, columns: columns.map(({ value }) => value) };
    } });
    this.#from = new FromEmitter(emission, this.expressions, this);
  }

  /** What a statement that writes shows of its rows; `scope` has the table alone. */
  returned(items: readonly SelectItem[], scope: Scope, place: number): readonly Shown[] {
    scope.allowsAggregates = true;
    const relation = scope.relations[0];
    const columns = this.#itemsOf(items, scope, { sql: '', visible: relation?.columns.filter(({ value }) => value.origin?.column.invisible !== true) ?? [], hasOuterJoin: false });
    if (scope.hasAggregates || scope.hasWindows) return refuse('aggregate in RETURNING', place);
    return columns.map(({ name, value }) => showValue(this.emission, name, value));
  }

  from(reference: Parameters<FromEmitter['from']>[0], scope: Scope): From {
    return this.#from.from(reference, scope);
  }

  /** `isTop`: its values go to the client. */
  query(query: Query, parent: Scope | undefined, isTop = false): EmittedQuery {
    const hidden = new Map(this.emission.commonTables);
    const common = this.#with(query, parent);
    const limit = this.limit(query.limit);
    const emitted = this.#body(query.body, parent, { order: query.order, limit, lock: query.lock }, isTop);
    this.emission.commonTables.clear();
    for (const [name, relation] of hidden) this.emission.commonTables.set(name, relation);
    return common === '' ? emitted : { ...emitted, sql: `${common}${emitted.sql}`, unlimited: `${common}${emitted.unlimited}` };
  }

  limit(limit: Limit | undefined): string {
    if (limit === undefined) return '';
    const number = (node: Expression): string => {
      if (node.type === 'literal') return BigInt(node.value) > maxBigint ? 'ALL' : node.value;
      return node.type === 'parameter' ? this.emission.parameter(node.number, { kind: 'integer', min: '0' }, 'bigint', true) : refuse('LIMIT', limit.count.type === 'literal' ? limit.count.place : undefined);
    };
    return ` LIMIT ${number(limit.count)}${limit.offset === undefined ? '' : ` OFFSET ${number(limit.offset)}`}`;
  }

  #with(query: Query, parent: Scope | undefined): string {
    const parts = query.with.map((table) => this.#commonTable(table, query.recursive, parent));
    return parts.length === 0 ? '' : `WITH ${query.recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} `;
  }

  #commonTable(table: CommonTable, isRecursive: boolean, parent: Scope | undefined): string {
    const alias = this.emission.alias();
    const body = table.query.body;
    const register = (columns: readonly OutputColumn[]): CommonRelation => {
      if (table.columns.length > 0 && table.columns.length !== columns.length) refuse('WITH of another number of columns', table.place);
      const relation = { alias, columns: columns.map(({ name, value }, index) => ({ name: table.columns[index] ?? name, type: value.type, nullable: value.nullable })) };
      this.emission.commonTables.set(table.name.toLowerCase(), relation);
      return relation;
    };
    if (isRecursive && body.type === 'union' && namesTable(body.right, table.name)) return this.#recursive(table, body, alias, parent, register);
    const { sql, columns } = this.query(table.query, parent);
    for (const { value } of columns) if (isUnsettled(value.type)) refuse('WITH of a quotient', table.place);
    for (const { value } of columns) if (mayBeNegativeZero(this.emission, value)) refuse('WITH of a remainder of a DECIMAL', table.place);
    register(columns);
    return `${alias} (${columns.map((_, index) => `"${index + 1}"`).join(', ')}) AS (${sql})`;
  }

  /** Types are those of the part that does not name the table; only whole numbers keep theirs whatever is added. */
  #recursive(table: CommonTable, body: Extract<QueryBody, { type: 'union' }>, alias: string, parent: Scope | undefined, register: (columns: readonly OutputColumn[]) => CommonRelation): string {
    const { query } = table;
    if (body.operator !== 'UNION' || query.order.length > 0 || query.limit !== undefined) return refuse('WITH RECURSIVE with ORDER BY or LIMIT', table.place);
    const first = this.#body(body.left, parent, noTail, false);
    const wide = first.columns.map(({ name, value }): OutputColumn => (value.type.kind === 'int' ? { name, value: { ...value, type: intType(minBigint, maxBigint), nullable: true } } : refuse('WITH RECURSIVE of other types than integers', table.place)));
    register(wide);
    const second = this.#body(body.right, parent, noTail, false);
    const cast = (part: EmittedQuery): string => {
      const inner = this.emission.alias();
      for (const { value } of part.columns) asInteger(this.emission, value);
      return `SELECT ${part.columns.map((column, index) => `(${asInteger(this.emission, { ...column.value, sql: `${inner}."${index + 1}"` }).sql})::bigint`).join(', ')} FROM (${part.sql}) AS ${inner} (${part.columns.map((_, index) => `"${index + 1}"`).join(', ')})`;
    };
    if (second.columns.length !== wide.length) return refuse('UNION of another number of columns', table.place);
    return `${alias} (${wide.map((_, index) => `"${index + 1}"`).join(', ')}) AS (${cast(first)} UNION ${body.all ? 'ALL ' : ''}${cast(second)})`;
  }

  #body(body: QueryBody, parent: Scope | undefined, tail: Tail, isTop: boolean): EmittedQuery {
    switch (body.type) {
      case 'select': return this.#select(body, parent, tail, isTop);
      case 'nested':
        if (tail.order.length === 0 && tail.limit === '' && tail.lock === undefined) return this.query(body.query, parent, isTop);
        return this.#wrapped(this.query(body.query, parent), tail, isTop);
      case 'union': return this.#union(body, parent, tail, isTop);
      case 'rows': return this.#rows(body, parent, tail, isTop);
    }
  }

  #rows(body: Extract<QueryBody, { type: 'rows' }>, parent: Scope | undefined, tail: Tail, isTop: boolean): EmittedQuery {
    const scope = new Scope(parent);
    const rows = body.rows.map((row) => row.map((item) => this.expressions.value(item, scope)));
    const [first = []] = rows;
    if (rows.some((row) => row.length !== first.length)) return refuse('VALUES of another number of columns', body.place);
    const columns = first.map((_, index) => commonValues(this.emission, rows.map((row) => row[index] ?? refuse('VALUES', body.place)), body.place));
    const sql = `VALUES ${rows.map((_, row) => `(${columns.map((column) => column.sql[row] ?? 'NULL').join(', ')})`).join(', ')}`;
    const output = columns.map((column, index): OutputColumn => ({ name: `column_${index}`, value: { sql: '', type: column.type, nullable: true } }));
    return this.#wrapped({ sql, columns: output, shown: [], unlimited: sql }, tail, isTop);
  }

  #union(body: Extract<QueryBody, { type: 'union' }>, parent: Scope | undefined, tail: Tail, isTop: boolean): EmittedQuery {
    if (tail.lock !== undefined) return refuse('locking clause of a UNION', body.place);
    const [left, right] = [this.#body(body.left, parent, noTail, false), this.#body(body.right, parent, noTail, false)];
    if (left.columns.length !== right.columns.length) return refuse(`${body.operator} of another number of columns`, body.place);
    const sides = [this.emission.alias(), this.emission.alias()] as const;
    const pairs = left.columns.map((column, index) => [
      { ...column.value, sql: `${sides[0]}."${index + 1}"`, origin: undefined, constant: undefined }, { ...(right.columns[index] ?? column).value, sql: `${sides[1]}."${index + 1}"`, origin: undefined, constant: undefined },
    ]);
    const { flavour, version } = this.emission.facts.mode.server;
    // MySQL 8 keeps YEAR() as a YEAR there, which has no year before 1901.
    if (flavour === 'mysql' && version >= 80000 && pairs.flat().some(({ type }) => type.kind === 'int' && type.max === 9999n)) return refuse(`${body.operator} of YEAR()`, body.place);
    // Before MySQL 8 its digits behind the point are those of this or that side.
    if (pairs.some((pair) => pair.some(({ type }) => type.kind === 'double' && type.decimals !== undefined))) return refuse(`${body.operator} of a rounded DOUBLE`, body.place);
    // Before MySQL 8 the first side says whether there are negative numbers.
    if (flavour === 'mysql' && version < 80000 && pairs.some((pair) => pair.some(({ type }) => type.kind === 'year' || (type.kind === 'int' && type.unsigned)) && pair.some(({ type }) => type.kind === 'bool' || (type.kind === 'int' && !type.unsigned)))) return refuse(`${body.operator} of signed and unsigned integers`, body.place);
    // As a string a DECIMAL that was calculated has the digits that the server kept of it, and a zero none.
    const isWritten = ({ value }: OutputColumn): boolean => value.type.kind === 'decimal' && value.origin === undefined && value.constant === undefined;
    const isString = ({ value }: OutputColumn): boolean => value.type.kind === 'text' || value.type.kind === 'enum' || value.type.kind === 'set';
    if (left.columns.some((column, index) => [column, right.columns[index] ?? column].some(isWritten) && [column, right.columns[index] ?? column].some(isString))) return refuse(`${body.operator} of a calculated DECIMAL and a string`, body.place);
    // Before MySQL 8 they stay instants.
    if (version < 80000 && this.emission.losesInstants && pairs.flat().some(({ type }) => type.kind === 'timestamp')) return refuse(`${body.operator} of TIMESTAMP in a zone with summer time`, body.place);
    const common = pairs.map((pair) => {
      const [one, other] = pair;
      if (one?.type.kind === 'enum' && other?.type.kind === 'enum' && one.type.local === other.type.local) return { sql: [one.sql, other.sql], type: one.type };
      // Whether a FLOAT stays one beside another number differs by version.
      if (pair.some(({ type }) => type.kind === 'float')) return pair.every(({ type }) => type.kind === 'float' || type.kind === 'null') ? floats(pair) : refuse(`${body.operator} of FLOAT and another type`, body.place);
      return commonValues(this.emission, pair, body.place);
    });
    // All sides of several operators meet at once there: as one type, and in one collation.
    for (const [at, each] of [left, right].entries()) if ((at === 0 ? body.left : body.right).type !== 'select') each.columns.forEach(({ value }, index) => checkMet(value.type, common[index]?.type, body.operator, body.place));
    const names = `(${left.columns.map((_, index) => `"${index + 1}"`).join(', ')})`;
    const side = (emitted: EmittedQuery, at: 0 | 1): string => `SELECT ${common.map((column) => column.sql[at] ?? 'NULL').join(', ')} FROM (${emitted.sql}) AS ${sides[at]} ${names}`;
    const columns = left.columns.map(({ name }, index): OutputColumn => ({ name, value: { sql: '', type: common[index]?.type ?? { kind: 'null' }, nullable: pairs[index]?.some(({ nullable }) => nullable) === true } }));
    const isByText = columns.some(({ value }) => value.type.kind === 'text');
    if (body.operator !== 'UNION' && (isByText || body.all)) return refuse(`${body.operator} ${body.all ? 'ALL' : 'of strings'}`, body.place);
    for (const { value } of columns) if (body.operator !== 'UNION' || !body.all) distinctKey(this.emission, value);
    const isDistinctOn = body.operator === 'UNION' && !body.all && isByText;
    const sql = `${side(left, 0)} ${body.operator}${body.all || isDistinctOn ? ' ALL' : ''} ${side(right, 1)}`;
    const alias = this.emission.alias();
    const keys = isDistinctOn ? `DISTINCT ON (${columns.map(({ value }, index) => this.#distinctKey({ ...value, sql: `${alias}."${index + 1}"` })).join(', ')}) ` : '';
    const combined = keys === '' ? sql : `SELECT ${keys}* FROM (${sql}) AS ${alias} ${names}`;
    return this.#wrapped({ sql: combined, columns, shown: [], unlimited: combined }, tail, isTop);
  }

  #distinctKey(value: Value): string {
    if (value.type.kind !== 'text') return distinctKey(this.emission, value);
    const collation = value.type.collation ?? this.emission.connectionCollation(value.place);
    return `${collation.pads ? trimmed(value) : value.sql} COLLATE ${localCollation(collation, value.place)}`;
  }

  /** A query as the only table of another, which orders, limits and shows. */
  #wrapped(inner: EmittedQuery, tail: Tail, isTop: boolean, kept = inner.columns.length): EmittedQuery {
    if (tail.lock !== undefined) return refuse('locking clause of a derived table');
    const alias = this.emission.alias();
    const columns = inner.columns.map(({ name, value }, index): OutputColumn => ({ name, value: { ...value, sql: `${alias}."${index + 1}"`, constant: undefined } }));
    const scope = new Scope(undefined);
    scope.relations.push({ alias: '', database: undefined, table: undefined, columns: columns.map(({ name, value }) => ({ name, value: { ...value, origin: undefined } })) });
    const order = this.#order(tail.order, scope, columns);
    const left = columns.slice(0, kept);
    const shown = isTop ? left.map(({ name, value }) => showValue(this.emission, name, value)) : [];
    const list = isTop ? shown.map(({ sql }) => sql) : left.map(({ value }) => value.sql);
    const unlimited = `SELECT ${list.join(', ')} FROM (${inner.sql}) AS ${alias} (${columns.map((_, index) => `"${index + 1}"`).join(', ')})${order}`;
    return { sql: `${unlimited}${tail.limit}`, columns: left, shown: shown.map(({ column }) => column), unlimited };
  }

  #order(items: readonly OrderItem[], scope: Scope, columns: readonly OutputColumn[]): string {
    const keys = items.flatMap(({ expression, descending }) => {
      // MariaDB, and MySQL before 8, take TRUE for the first column.
      if (expression.type === 'literal' && (expression.kind === 'true' || expression.kind === 'false') && (this.emission.facts.mode.server.flavour === 'mariadb' || this.emission.facts.mode.server.version < 80000)) refuse('ORDER BY TRUE', expression.place);
      const value = ordinal(expression, columns) ?? this.expressions.value(expression, scope);
      // A constant orders nothing.
      return value.constant !== undefined || value.type.kind === 'null' ? [] : [`${sortKey(this.emission, value)}${direction(descending, value.nullable)}`];
    });
    return keys.length === 0 ? '' : ` ORDER BY ${keys.join(', ')}`;
  }

  #select(select: Select, parent: Scope | undefined, tail: Tail, isTop: boolean): EmittedQuery {
    const scope = new Scope(parent);
    const from = select.from === undefined ? undefined : this.from(select.from, scope);
    const conditions = select.where === undefined ? [] : [this.expressions.condition(select.where, scope)];
    scope.free.length = 0;
    if (select.rollup) refuse('WITH ROLLUP', select.place);
    const groups = select.groupBy.map((item) => this.#group(item, select, scope, from));
    if (groups.length > 0 && !this.emission.facts.mode.sqlMode.has('ONLY_FULL_GROUP_BY')) takeAny(scope);
    scope.free.length = 0;
    scope.allowsAggregates = true;
    scope.allowsWindows = true;
    const columns = this.#itemsOf(select.items, scope, from);
    scope.aliases = new Map(select.items.flatMap(({ alias }, index) => (alias === undefined || select.items.some(({ expression }) => expression.type === 'star') ? [] : [[alias.toLowerCase(), columns[index]?.value ?? refuse('alias', select.place)] as const])));
    scope.allowsWindows = false;
    const having = select.having === undefined ? undefined : this.expressions.condition(select.having, scope);
    scope.allowsWindows = true;
    scope.aliasesFirst = true;
    const isGrouped = groups.length > 0 || scope.hasAggregates;
    const filter = having === undefined ? '' : isGrouped ? ` HAVING ${having}` : '';
    if (having !== undefined && !isGrouped) conditions.push(scope.hasWindows ? refuse('HAVING over window functions', select.place) : having);
    const window = select.windows.length === 0 ? '' : ` WINDOW ${select.windows.map(({ name, spec }) => `"${name.replaceAll('"', '""')}" AS (${this.expressions.window(spec, scope)})`).join(', ')}`;
    const body = (list: readonly string[], distinct = ''): string => `SELECT ${distinct}${list.join(', ')}${from === undefined ? '' : ` FROM ${from.sql}`}${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`}${groups.length === 0 ? '' : ` GROUP BY ${groups.map(({ key }) => key).join(', ')}`}${filter}${window}`;
    if (select.distinct) {
      const lists = this.#distinct(columns, tail, scope, isTop, body);
      this.#checkGroups(scope, isGrouped);
      return lists;
    }
    const order = tail.order.length === 0 && groups.length > 0 && this.#sortsGroups() ? groupOrder(this.emission, groups) : this.#order(tail.order, scope, columns);
    this.#checkGroups(scope, isGrouped);
    const shown = isTop ? columns.map(({ name, value }) => showValue(this.emission, name, value)) : [];
    const unlimited = `${body(isTop ? shown.map(({ sql }) => sql) : columns.map(({ value }) => value.sql))}${order}`;
    const lock = tail.lock === undefined ? '' : lockText(tail.lock, scope, isGrouped || scope.hasWindows || from?.hasOuterJoin === true, select.place);
    return { sql: `${unlimited}${tail.limit}${lock}`, columns, shown: shown.map(({ column }) => column), unlimited };
  }

  /** GROUP BY orders, too, until MySQL 8. */
  #sortsGroups(): boolean {
    const { flavour, version } = this.emission.facts.mode.server;
    return flavour === 'mariadb' || version < 80000;
  }

  #group(item: OrderItem, select: Select, scope: Scope, from: From | undefined): { readonly key: string; readonly value: Value; readonly descending: boolean } {
    const { expression } = item;
    const place = expression.place;
    const numbered = expression.type === 'literal' && expression.kind === 'integer' ? select.items[Number(expression.value) - 1]?.expression ?? refuse('GROUP BY position', place) : expression;
    const isColumn = numbered.type === 'column' && (numbered.table !== undefined || scope.merged.has(numbered.name.toLowerCase()) || scope.relations.some(({ columns }) => columns.some(({ name }) => name.toLowerCase() === numbered.name.toLowerCase())));
    const aliased = numbered.type === 'column' && !isColumn ? select.items.find(({ alias }) => alias?.toLowerCase() === numbered.name.toLowerCase())?.expression ?? numbered : numbered;
    if (aliased.type === 'star' || from === undefined) return refuse('GROUP BY at this place', place);
    const value = this.expressions.value(aliased, scope);
    if (value.constant !== undefined || value.type.kind === 'parameter' || value.type.kind === 'null') return refuse('GROUP BY a constant', place);
    this.#checkKept(value);
    // Which of two instants stands for the group is the server's secret.
    if (value.type.kind === 'timestamp' && this.emission.losesInstants) refuse('GROUP BY of a TIMESTAMP in a zone with summer time', place);
    const key = distinctKey(this.emission, value);
    scope.groups.add(value.sql);
    if (key !== value.sql) {
      // One of the values that are equal here: the first, as the server shows it.
      const first = `(array_agg(${value.sql}))[1]`;
      scope.substitutes.set(value.sql, first);
      scope.groups.add(first);
    }
    // Strings that are made of numbers, dates and constants are the same byte for byte, or not at all.
    if (value.type.kind === 'text' && !value.type.isOwn && !value.type.isTrimmed) refuse('GROUP BY a string that is made of no column', place);
    return { key, value: { ...value, place }, descending: item.descending };
  }

  /** MySQL 5.6 keeps a DECIMAL that it groups by with other digits than it has. */
  #checkKept(value: Value): void {
    const { flavour, version } = this.emission.facts.mode.server;
    if (flavour === 'mysql' && version < 50700 && value.type.kind === 'decimal' && value.origin === undefined) refuse('GROUP BY or DISTINCT of a DECIMAL that is no column', value.place);
    if (flavour === 'mariadb' && value.type.kind === 'decimal' && value.type.inner !== undefined) refuse('GROUP BY or DISTINCT of a quotient', value.place);
    // MariaDB sorts a negative zero apart from zero, and then makes groups of neighbours.
    if (flavour === 'mariadb' && mayBeNegativeZero(this.emission, value)) refuse('GROUP BY or DISTINCT of a remainder of a DECIMAL', value.place);
  }

  #itemsOf(items: readonly SelectItem[], scope: Scope, from: From | undefined): OutputColumn[] {
    return items.flatMap(({ expression, alias, text }): OutputColumn[] => {
      if (expression.type === 'star') return this.#star(expression, scope, from);
      const value = this.expressions.value(expression, scope);
      if (value.type.kind === 'parameter') return refuse('parameter whose type its place does not tell', expression.place);
      return [{ name: alias ?? nameOf(expression, text), value }];
    });
  }

  #star(node: Extract<Expression, { type: 'star' }>, scope: Scope, from: From | undefined): OutputColumn[] {
    const found = node.table === undefined ? from?.visible : scope.relations.find((relation) => isNamed(relation, node))?.columns.filter(({ value }) => value.origin?.column.invisible !== true);
    if (found === undefined) return refuse('*', node.place);
    return found.map(({ name, value }) => {
      if (value.origin !== undefined || value.sql.startsWith('"')) scope.free.push({ value, place: node.place });
      if (scope.groups.has(value.sql)) scope.free.length -= 1;
      return { name, value: { ...value, sql: scope.substitutes.get(value.sql) ?? value.sql } };
    });
  }

  #distinct(columns: readonly OutputColumn[], tail: Tail, scope: Scope, isTop: boolean, body: (list: readonly string[], distinct?: string) => string): EmittedQuery {
    if (tail.lock !== undefined) return refuse('locking clause with DISTINCT');
    for (const { value } of columns) this.#checkKept(value);
    const keys = columns.map(({ value }) => this.#distinctKey(value));
    const isPlain = keys.every((key, index) => key === columns[index]?.value.sql);
    // What orders has to be one of the columns that are left; else, without ONLY_FULL_GROUP_BY, it is that of some row.
    const order = tail.order.map((item): OrderItem & { readonly value: Value } => ({ ...item, value: ordinal(item.expression, columns) ?? this.expressions.value(item.expression, scope) }));
    const isFree = !this.emission.facts.mode.sqlMode.has('ONLY_FULL_GROUP_BY');
    const all = [...columns];
    const places = order.map(({ value, expression }) => {
      const index = all.findIndex((column) => column.value.sql === value.sql);
      if (index >= 0) return index;
      if (!isFree || value.type.kind === 'parameter') return refuse('ORDER BY of what DISTINCT leaves out', expression.place);
      return all.push({ name: '', value }) - 1;
    });
    const sql = body(all.map(({ value }) => value.sql), isPlain && all.length === columns.length ? 'DISTINCT ' : `DISTINCT ON (${keys.join(', ')}) `);
    const items = order.map(({ expression, descending }, index): OrderItem => ({ expression: { type: 'literal', kind: 'integer', value: `${(places[index] ?? 0) + 1}`, place: expression.place }, descending }));
    return this.#wrapped({ sql, columns: all, shown: [], unlimited: sql }, { ...tail, order: items }, isTop, columns.length);
  }

  /** Columns beside aggregates have to follow from the groups: by the whole primary key of their table, as PostgreSQL knows it. */
  #checkGroups(scope: Scope, isGrouped: boolean): void {
    if (!isGrouped) return;
    for (const { value, place } of scope.free) {
      const { origin } = value;
      const prefix = value.sql.slice(0, value.sql.indexOf('.'));
      if (origin === undefined || !isKeyGrouped(scope, origin.table, prefix)) refuse('nonaggregated column', place);
    }
  }
}

function isKeyGrouped(scope: Scope, table: MysqlTableFacts, prefix: string): boolean {
  return table.primaryKey.length > 0 && table.primaryKey.every((name) => {
    const key = `${prefix}."${table.columns.find((each) => each.mysqlName === name)?.name.replaceAll('"', '""') ?? ''}"`;
    return scope.groups.has(key) && !scope.substitutes.has(key);
  });
}

/**
 * Without ONLY_FULL_GROUP_BY a column that does not follow from the groups is that of some row of its group. Here it is the first by the primary keys, the same row for all columns:
 * https://dev.mysql.com/doc/refman/8.4/en/group-by-handling.html
 */
function takeAny(scope: Scope): void {
  const keys = scope.relations.flatMap(({ table, columns }) => columns.filter(({ name }) => table?.primaryKey.includes(name) === true).map(({ value }) => value.sql));
  const order = keys.length === 0 ? '' : ` ORDER BY ${keys.join(', ')}`;
  for (const { table, columns } of scope.relations) {
    for (const { value } of columns) {
      const prefix = value.sql.slice(0, value.sql.indexOf('.'));
      // An array of arrays has no first array.
      if (value.type.kind === 'set' || scope.groups.has(value.sql) || scope.substitutes.has(value.sql) || (table !== undefined && isKeyGrouped(scope, table, prefix))) continue;
      const first = `(array_agg(${value.sql}${order}))[1]`;
      scope.substitutes.set(value.sql, first);
      scope.groups.add(first);
    }
  }
}

function groupOrder(emission: MysqlEmission, groups: readonly { readonly value: Value; readonly descending: boolean }[]): string {
  return ` ORDER BY ${groups.map(({ value, descending }) => `${sortKey(emission, value)}${direction(descending, value.nullable)}`).join(', ')}`;
}

function ordinal(expression: Expression, columns: readonly OutputColumn[]): Value | undefined {
  if (expression.type !== 'literal' || expression.kind !== 'integer') return undefined;
  return columns[Number(expression.value) - 1]?.value ?? refuse('ORDER BY position', expression.place);
}

function lockText(lock: Locking, scope: Scope, isRefused: boolean, place: number): string {
  if (isRefused) return refuse('locking clause with groups, windows or outer joins', place);
  const tables = scope.relations.filter(({ table, alias }) => table !== undefined && (lock.of.length === 0 || lock.of.includes(alias)));
  if (tables.length === 0) return lock.of.length === 0 ? '' : refuse('FOR UPDATE OF', place);
  return ` FOR ${lock.strength} OF ${tables.map(({ alias }) => `"${alias.replaceAll('"', '""')}"`).join(', ')}${lock.wait === undefined ? '' : ` ${lock.wait}`}`;
}

/** Whether a part of a query reads the table of that name. */
function namesTable(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((each) => namesTable(each, name));
  if (typeof node !== 'object' || node === null) return false;
  if ('type' in node && node.type === 'table' && 'name' in node && typeof node.name === 'string' && node.name.toLowerCase() === name.toLowerCase()) return true;
  return Object.values(node).some((each) => namesTable(each, name));
}
