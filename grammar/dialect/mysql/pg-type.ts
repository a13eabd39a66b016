/** PostgreSQL's types as far as the emitter knows them, and which of two an operation is done in. */
import { treeOf, nameParts, listOf, constantText } from '../../sql/tree.ts';
import { refuse } from './refusal.ts';

export type PgTypeName =
  | 'bool' | 'int2' | 'int4' | 'int8' | 'numeric' | 'float4' | 'float8' | 'text' | 'varchar' | 'bpchar' | 'bytea' | 'date' | 'time' | 'timestamp' | 'timestamptz'
  | 'interval' | 'json' | 'jsonb' | 'uuid' | 'other' | 'unknown';

export interface PgType {
  readonly name: PgTypeName;
  /** Of numeric: digits at most, before and after the point together; undefined: not known. */
  readonly precision?: number | undefined;
  /** Of numeric: digits after the point of every value; undefined: each value has its own. */
  readonly scale?: number | undefined;
  /** Of varchar and bpchar: characters at most. */
  readonly length?: number | undefined;
  /** Of an enum, which is `other`: all that it takes. */
  readonly labels?: readonly string[];
  /** Of `other`: the name. */
  readonly spelling?: string;
}

const names: Readonly<Record<string, PgTypeName>> = {
  bool: 'bool', boolean: 'bool', int2: 'int2', smallint: 'int2', int4: 'int4', int: 'int4', integer: 'int4', int8: 'int8', bigint: 'int8', numeric: 'numeric', decimal: 'numeric',
  float4: 'float4', real: 'float4', float8: 'float8', 'double precision': 'float8', text: 'text', varchar: 'varchar', 'character varying': 'varchar', bpchar: 'bpchar', character: 'bpchar',
  bytea: 'bytea', date: 'date', time: 'time', 'time without time zone': 'time', timestamp: 'timestamp', 'timestamp without time zone': 'timestamp', timestamptz: 'timestamptz',
  'timestamp with time zone': 'timestamptz', interval: 'interval', json: 'json', jsonb: 'jsonb', uuid: 'uuid',
};

export const bool: PgType = { name: 'bool' };
export const int4: PgType = { name: 'int4' };
export const int8: PgType = { name: 'int8' };
export const float8: PgType = { name: 'float8' };
export const text: PgType = { name: 'text' };
export const date: PgType = { name: 'date' };
export const timestamp: PgType = { name: 'timestamp' };
export const timestamptz: PgType = { name: 'timestamptz' };
export const unknown: PgType = { name: 'unknown' };

export function numeric(precision?: number, scale?: number): PgType {
  return { name: 'numeric', precision, scale };
}

/** `format_type`'s spelling: `character varying(20)`, `timestamp(3) without time zone`. */
export function parsePgType(spelling: string): PgType {
  const [, before = '', modifiers, after = ''] = /^([^(]*?)\s*(?:\(([\d, -]+)\)(.*))?$/.exec(spelling.trim().toLowerCase()) ?? [];
  const name = names[`${before}${after}`];
  if (name === undefined) return { name: 'other', spelling };
  return withModifiers(name, modifiers?.split(',').map(Number) ?? [], before === 'character');
}

function withModifiers(name: PgTypeName, modifiers: readonly number[], isCharacter = false): PgType {
  const [first, second = 0] = modifiers;
  if (name === 'numeric') return first === undefined ? numeric() : numeric(first, second);
  if (name === 'varchar' || name === 'bpchar') return { name, length: first ?? (isCharacter ? 1 : undefined) };
  return { name };
}

/** The type of a cast; refuses what the emitter does not know. */
export function castType(typeName: unknown): PgType {
  const node = treeOf(typeName);
  const parts = nameParts(node?.['names']) ?? [];
  const place = node?.['location'];
  if (listOf(node?.['arrayBounds']).length > 0) refuse('array type', place);
  if (parts.length > 1 && parts[0] !== 'pg_catalog') refuse(`type ${parts.join('.')}`, place);
  const spelling = parts.at(-1) ?? '';
  const name = names[spelling];
  if (name === undefined) refuse(`type ${spelling}`, place);
  const modifiers = listOf(node?.['typmods']).map((modifier) => Number(constantText(modifier) ?? Number.NaN));
  if (modifiers.some((modifier) => !Number.isInteger(modifier) || modifier < 0)) refuse(`modifier of type ${spelling}`, place);
  if (modifiers.length > 0 && !['numeric', 'varchar', 'bpchar'].includes(name)) refuse(`type ${spelling}(${modifiers.join(',')})`, place);
  if (name === 'numeric' && modifiers.length > 0 && ((modifiers[0] ?? 0) > 65 || (modifiers[1] ?? 0) > 30)) refuse('numeric of more than 65 digits', place);
  return withModifiers(name, modifiers, parts.length > 1 && name === 'bpchar' && modifiers.length > 0);
}

export function isInteger(type: PgType): boolean {
  return type.name === 'int2' || type.name === 'int4' || type.name === 'int8';
}

export function isFloat(type: PgType): boolean {
  return type.name === 'float4' || type.name === 'float8';
}

export function isNumber(type: PgType): boolean {
  return isInteger(type) || isFloat(type) || type.name === 'numeric';
}

export function isText(type: PgType): boolean {
  return type.name === 'text' || type.name === 'varchar' || type.name === 'bpchar';
}

export function isMoment(type: PgType): boolean {
  return type.name === 'date' || type.name === 'timestamp' || type.name === 'timestamptz';
}

/** As numbers of fixed scale: an integer has none. */
export function asNumeric(type: PgType): PgType {
  switch (type.name) {
    case 'int2': return numeric(5, 0);
    case 'int4': return numeric(10, 0);
    case 'int8': return numeric(19, 0);
    default: return type;
  }
}

const numberOrder: readonly PgTypeName[] = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'];

/**
 * The type that an operator, CASE, COALESCE, UNION … brings two to. Undefined where PostgreSQL has no operator for them, or one
 * that the emitter does not know.
 * https://www.postgresql.org/docs/current/typeconv-union-case.html
 */
export function commonType(left: PgType, right: PgType): PgType | undefined {
  if (left.name === 'unknown') return right;
  if (right.name === 'unknown') return left;
  if (isNumber(left) && isNumber(right)) return commonNumber(left, right);
  if (isText(left) && isText(right)) return commonText(left, right);
  if (isMoment(left) && isMoment(right)) return left.name === 'timestamptz' || right.name === 'timestamptz' ? timestamptz : left.name === 'timestamp' || right.name === 'timestamp' ? timestamp : date;
  return left.name === right.name && left.name !== 'other' ? left : undefined;
}

function commonNumber(left: PgType, right: PgType): PgType {
  if (left.name === 'numeric' || right.name === 'numeric') {
    if (isFloat(left) || isFloat(right)) return float8;
    const [one, other] = [asNumeric(left), asNumeric(right)];
    // Each value keeps the scale that it has: only where both have the same is it known.
    if (one.scale === undefined || other.scale === undefined || one.scale !== other.scale) return numeric();
    return numeric(one.precision === undefined || other.precision === undefined ? undefined : Math.max(one.precision, other.precision), one.scale);
  }
  return { name: numberOrder[Math.max(numberOrder.indexOf(left.name), numberOrder.indexOf(right.name))] ?? 'float8' };
}

/** Of two lengths of `character` each value is filled up to its own, which a result cannot say; with other text it depends on which stands first. */
function commonText(left: PgType, right: PgType): PgType | undefined {
  if (left.name === right.name && left.length === right.length) return left;
  if (left.name === 'bpchar' || right.name === 'bpchar') return undefined;
  return text;
}

/** As error messages and results name it. */
export function typeLabel(type: PgType): string {
  return type.name === 'other' ? type.spelling ?? 'other' : type.name;
}
