/** SQLite text with the PostgreSQL type of its value, and the conversions between them. */
import { canCast, convert } from './conversion.ts';
import { refuse } from './refusal.ts';
import { category, meetingType, typeTitles } from './sql-types.ts';
import type { SqlType } from './sql-types.ts';

export interface Typed {
  readonly sql: string;
  readonly type: SqlType;
  /** Set for a string literal or NULL of type `unknown`: its text, still to be read as the type that the context gives. */
  readonly literal?: string | null;
}

const SQL_LIMIT = 200_000;

/** NULLIF, BETWEEN and CASE write an operand twice, so nested ones double at each level: bounded here. */
export function typed(sql: string, type: SqlType): Typed {
  if (sql.length > SQL_LIMIT) refuse('the expression is too complex');
  return { sql, type };
}

export function stringLiteral(value: string): string {
  if (value.includes('\0')) refuse('invalid byte sequence: 0x00');
  return `'${value.replaceAll("'", "''")}'`;
}

export function nullOf(type: SqlType): Typed {
  return { sql: 'NULL', type, literal: null };
}

/** Implicit conversion where the types have a common one; a literal is read as the wanted type at once. */
export function coerce(value: Typed, to: SqlType, at?: number): Typed {
  if (value.type === to) return value;
  if (value.literal !== undefined) return literalAs(value.literal, to);
  if (meetingType(to, value.type) !== to) refuse(`type ${typeTitles[value.type]} cannot be used where ${typeTitles[to]} is wanted`, at);
  return convertAtRunTime(value, to);
}

export function castTo(value: Typed, to: SqlType, at?: number): Typed {
  if (value.type === to) return { sql: value.sql, type: to };
  if (value.literal !== undefined) return literalAs(value.literal, to);
  if (!canCast(value.type, to)) refuse(`cannot cast type ${typeTitles[value.type]} to ${typeTitles[to]}`, at);
  return convertAtRunTime(value, to);
}

/** As `||` and string functions take their arguments. */
export function asText(value: Typed): Typed {
  return castTo(value, 'text');
}

function literalAs(literal: string | null, to: SqlType): Typed {
  if (literal === null) return nullOf(to);
  const value = convert(literal, 'unknown', to);
  if (typeof value === 'number') return { sql: `CAST('${String(value)}' AS REAL)`, type: to };
  return { sql: typeof value === 'string' ? stringLiteral(value) : String(value), type: to };
}

function convertAtRunTime(value: Typed, to: SqlType): Typed {
  const sameValue = (type: SqlType): boolean => type === 'text' || type === 'varchar' || type === 'unknown';
  if (sameValue(value.type) && sameValue(to)) return { sql: value.sql, type: to };
  if (value.type === 'int4' && to === 'int8') return { sql: value.sql, type: to };
  return { sql: `pg_cast(${value.sql}, '${value.type}', '${to}')`, type: to };
}

/** All values as the type in which they meet; literals alone are text. */
export function unify(values: readonly Typed[], what: string, at?: number): { readonly type: SqlType; readonly values: readonly Typed[] } {
  const met = values.reduce<SqlType>((type, value) => meetingType(type, value.type) ?? mismatch(what, type, value.type, at), 'unknown');
  const type = met === 'unknown' ? 'text' : met;
  return { type, values: values.map((value) => coerce(value, type, at)) };
}

function mismatch(what: string, a: SqlType, b: SqlType, at: number | undefined): never {
  return refuse(`${what} types ${typeTitles[a]} and ${typeTitles[b]} cannot be matched`, at);
}

/** What `=`, `<`, ORDER BY and GROUP BY see of a value. */
export function comparable(value: Typed, at?: number): string {
  if (value.type === 'json') refuse('could not identify an equality operator for type json', at, 'Compare its text: column ->> \'key\', or column::text.');
  return hasKey(value.type) ? `pg_key(${value.sql}, '${value.type}')` : value.sql;
}

export function hasKey(type: SqlType): boolean {
  return type === 'numeric' || type === 'interval';
}

export function isNumber(type: SqlType): boolean {
  return category(type) === 'number';
}

export function isTime(type: SqlType): boolean {
  return category(type) === 'time';
}

export function isString(type: SqlType): boolean {
  return category(type) === 'string';
}
