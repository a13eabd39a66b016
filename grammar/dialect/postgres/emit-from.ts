/** FROM: tables, derived tables and joins. https://dev.mysql.com/doc/refman/8.4/en/join.html */
import { quoteName } from '../../names.ts';
import { mayBeNegativeZero } from './calculate.ts';
import { compareValues } from './compare-values.ts';
import type { ExpressionEmitter } from './emit-expression.ts';
import { Scope } from './mysql-emission.ts';
import type { MysqlEmission, Relation, ScopeColumn } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlTableFacts } from './mysql-translation.ts';
import type { Query, TableReference } from './mysql-tree.ts';
import { columnType, isUnsettled } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export interface OutputColumn {
  readonly name: string;
  readonly value: Value;
}

export interface DerivedEmitter {
  query(query: Query, parent: Scope | undefined): { readonly sql: string; readonly columns: readonly OutputColumn[] };
}

export interface From {
  readonly sql: string;
  /** What `*` means here. */
  readonly visible: readonly ScopeColumn[];
  readonly hasOuterJoin: boolean;
}

const MAX_ALIAS_BYTES = 63;

export function quoteAlias(alias: string, place: number): string {
  if (Buffer.byteLength(alias) > MAX_ALIAS_BYTES) return refuse('alias of more than 63 bytes', place);
  return quoteName(alias);
}

export function localTable(table: MysqlTableFacts): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`;
}

/** Columns of a table under a name in the statement; `qualifier`: what stands before the point in PostgreSQL's text. */
export function tableColumns(table: MysqlTableFacts, alias: string, qualifier: string): ScopeColumn[] {
  return table.columns.map((column) => ({
    name: column.mysqlName,
    value: {
      sql: `${qualifier}.${quoteName(column.name)}`, type: column.exact ? columnType(column) : { kind: 'other', name: column.type.name }, nullable: column.nullable || !column.exact,
      origin: { column, table, alias },
    },
  }));
}

export class FromEmitter {
  readonly #emission: MysqlEmission;
  readonly #expressions: ExpressionEmitter;
  readonly #queries: DerivedEmitter;

  constructor(emission: MysqlEmission, expressions: ExpressionEmitter, queries: DerivedEmitter) {
    this.#emission = emission;
    this.#expressions = expressions;
    this.#queries = queries;
  }

  from(reference: TableReference, scope: Scope): From {
    switch (reference.type) {
      case 'table': return this.#table(reference, scope);
      case 'derived': return this.#derived(reference, scope);
      case 'join': return this.#join(reference, scope);
    }
  }

  #add(scope: Scope, relation: Relation, place: number): void {
    if (scope.relations.some((other) => other.alias === relation.alias && (other.database === relation.database || other.table === undefined || relation.table === undefined))) refuse(`table ${relation.alias} twice`, place);
    // PostgreSQL would take two databases' tables of one name for one.
    if (scope.relations.some((other) => other.alias === relation.alias)) refuse(`two tables ${relation.alias}`, place);
    scope.relations.push(relation);
  }

  #table(reference: Extract<TableReference, { type: 'table' }>, scope: Scope): From {
    const alias = reference.alias ?? reference.name;
    const quoted = quoteAlias(alias, reference.place);
    const common = reference.database === undefined ? this.#emission.commonTables.get(reference.name.toLowerCase()) : undefined;
    if (common !== undefined) {
      const columns = common.columns.map(({ name, type, nullable }, index): ScopeColumn => ({ name, value: { sql: `${quoted}."${index + 1}"`, type, nullable } }));
      this.#add(scope, { alias, database: undefined, table: undefined, columns }, reference.place);
      return { sql: `${common.alias} AS ${quoted}`, visible: columns, hasOuterJoin: false };
    }
    const table = this.#emission.table(reference.database, reference.name, reference.place);
    const columns = tableColumns(table, alias, quoted);
    this.#add(scope, { alias, database: table.mysqlDatabase, table, columns }, reference.place);
    return { sql: `${localTable(table)} AS ${quoted}`, visible: columns.filter(({ value }) => value.origin?.column.invisible !== true), hasOuterJoin: false };
  }

  #derived(reference: Extract<TableReference, { type: 'derived' }>, scope: Scope): From {
    const { sql, columns } = this.#queries.query(reference.query, reference.lateral ? scope : scope.parent);
    const quoted = quoteAlias(reference.alias, reference.place);
    for (const { value } of columns) if (isUnsettled(value.type)) refuse('derived table with a quotient', reference.place);
    for (const { value } of columns) if (mayBeNegativeZero(this.#emission, value)) refuse('derived table with a remainder of a DECIMAL', reference.place);
    if (reference.columns.length > 0 && reference.columns.length !== columns.length) return refuse('derived table with another number of columns', reference.place);
    const visible = columns.map(({ name, value }, index): ScopeColumn => ({ name: reference.columns[index] ?? name, value: { sql: `${quoted}."${index + 1}"`, type: keptType(value.type), nullable: value.nullable } }));
    this.#add(scope, { alias: reference.alias, database: undefined, table: undefined, columns: visible }, reference.place);
    return { sql: `${reference.lateral ? 'LATERAL ' : ''}(${sql}) AS ${quoted} (${columns.map((_, index) => `"${index + 1}"`).join(', ')})`, visible, hasOuterJoin: false };
  }

  #join(reference: Extract<TableReference, { type: 'join' }>, scope: Scope): From {
    const { kind, place } = reference;
    const first = scope.relations.length;
    const left = this.from(reference.left, scope);
    const second = scope.relations.length;
    const right = this.from(reference.right, scope);
    const names = reference.natural ? sharedNames(left.visible, right.visible) : reference.using;
    const merged = names.map((name) => ({ name, left: only(left.visible, name, place), right: only(right.visible, name, place) }));
    const conditions = merged.map((pair) => compareValues(this.#emission, '=', pair.left.value, pair.right.value, place).sql);
    if (reference.on !== undefined) {
      conditions.push(this.#expressions.condition(reference.on, scope));
      scope.free.length = 0;
    }
    if (kind !== 'inner') scope.hasOuterJoin = true;
    if (kind === 'left') nullableFrom(scope, second, scope.relations.length);
    if (kind === 'right') nullableFrom(scope, first, second);
    const after = (column: ScopeColumn, isOptional: boolean): ScopeColumn => (isOptional ? optional(column) : column);
    const kept = merged.map((pair) => (kind === 'right' ? pair.right : pair.left));
    for (const column of kept) scope.merged.set(column.name.toLowerCase(), column);
    const isMerged = (column: ScopeColumn): boolean => names.some((name) => name.toLowerCase() === column.name.toLowerCase());
    const visible = [...kept, ...left.visible.filter((column) => !isMerged(column)).map((column) => after(column, kind === 'right')), ...right.visible.filter((column) => !isMerged(column)).map((column) => after(column, kind === 'left'))];
    if (kind === 'right' && merged.length > 0 && reference.natural) return refuse('NATURAL RIGHT JOIN', place);
    const words = { inner: 'JOIN', left: 'LEFT JOIN', right: 'RIGHT JOIN' }[kind];
    const sql = conditions.length === 0 && kind === 'inner' ? `(${left.sql} CROSS JOIN ${right.sql})` : `(${left.sql} ${words} ${right.sql} ON ${conditions.length === 0 ? 'true' : conditions.join(' AND ')})`;
    return { sql, visible, hasOuterJoin: kind !== 'inner' || left.hasOuterJoin || right.hasOuterJoin };
  }
}

/** NULL is kept as a string. */
function keptType(type: MysqlType): MysqlType {
  return type.kind === 'null' ? { kind: 'text', collation: undefined, isTrimmed: false, isOwn: false } : type;
}

function sharedNames(left: readonly ScopeColumn[], right: readonly ScopeColumn[]): readonly string[] {
  const names = new Set(right.map(({ name }) => name.toLowerCase()));
  return left.filter(({ name }) => names.has(name.toLowerCase())).map(({ name }) => name);
}

function only(columns: readonly ScopeColumn[], name: string, place: number): ScopeColumn {
  const found = columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  return found.length === 1 && found[0] !== undefined ? found[0] : refuse(`column ${name} of a join`, place);
}

function optional(column: ScopeColumn): ScopeColumn {
  return { name: column.name, value: { ...column.value, nullable: true } };
}

function nullableFrom(scope: Scope, from: number, to: number): void {
  for (let index = from; index < to; index += 1) {
    const relation = scope.relations[index];
    if (relation !== undefined) scope.relations[index] = { ...relation, columns: relation.columns.map(optional) };
  }
}
