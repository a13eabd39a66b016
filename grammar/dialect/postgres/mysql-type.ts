/** MySQL's types as far as the emitter knows them, each with the type that its values have on PostgreSQL. */
import { refuse } from './refused-mysql.ts';
import type { MysqlColumnFacts } from './mysql-translation.ts';

export interface TextCollation {
  /** MySQL's name. */
  readonly name: string;
  /** As it is written behind COLLATE on local; undefined: no column of the statement has it there, so nothing can be compared in it. */
  readonly local: string | undefined;
  readonly deterministic: boolean;
  /** Blanks at the end do not count. */
  readonly pads: boolean;
  readonly charset: string;
  /** Written with COLLATE. */
  readonly isExplicit?: boolean;
  /** Of a constant: what it meets decides. */
  readonly isWeak?: boolean;
}

export type MysqlType =
  /** `bigint`, or `numeric` where `min` or `max` exceed it. The range is what the value can be, not what the type can hold. `told`: the type code of the protocol where it is not LONGLONG. `isNarrow`: of a column whose type on MySQL is no BIGINT. `isBound`: chosen among a parameter that the client has bound as another kind of number, which the server calculates with. */
  | { readonly kind: 'int'; readonly unsigned: boolean; readonly min: bigint; readonly max: bigint; readonly told?: number | undefined; readonly isNarrow?: boolean; readonly isBound?: boolean }
  /** `boolean` on local: a condition, or TINYINT(1). */
  | { readonly kind: 'bool' }
  /** `inner`: digits behind the point that a quotient keeps until it is shown. `varies`: each value has digits of its own, `scale` at most. `lost`: where this is true the server has a negative zero, which it takes for less than zero. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number; readonly unsigned?: boolean; readonly inner?: number; readonly varies?: boolean; readonly lost?: string | undefined }
  | { readonly kind: 'float' }
  /** `decimals`: as many digits behind the point are shown. */
  | { readonly kind: 'double'; readonly decimals?: number }
  /** Without a collation: a constant, which takes that of what it meets. `isTrimmed`: no blanks at its end. `isOwn`: the expression itself has the collation. */
  /** `isFixed`: digits and signs, each at its place in every value: ordered alike by every collation. `isLabel`: may come of an ENUM or a SET, which as a number is another one than its label says. `decimals`: before MySQL 8 as a number it is shown with so many digits behind the point. */
  | { readonly kind: 'text'; readonly collation: TextCollation | undefined; readonly isTrimmed: boolean; readonly isOwn: boolean; readonly maxLength?: number | undefined; readonly isFixed?: boolean | undefined; readonly isLabel?: boolean | undefined; readonly decimals?: number | undefined }
  | { readonly kind: 'bytes' }
  /** `zero`: may be the zero date, of these three, which is -infinity. */
  | { readonly kind: 'date'; readonly zero?: boolean | undefined }
  /** `timestamp`. `isBound`: made of a parameter, whose value says how it is shown. */
  | { readonly kind: 'datetime'; readonly fraction: number; readonly zero?: boolean | undefined; readonly isBound?: boolean }
  /** `timestamptz`. */
  | { readonly kind: 'timestamp'; readonly fraction: number; readonly zero?: boolean | undefined }
  /** `interval`. */
  | { readonly kind: 'time'; readonly fraction: number }
  | { readonly kind: 'year' }
  /** `collation`: of the labels. */
  | { readonly kind: 'enum'; readonly labels: readonly string[]; readonly local: string; readonly collation: TextCollation | undefined }
  | { readonly kind: 'set'; readonly labels: readonly string[]; readonly collation: TextCollation | undefined }
  | { readonly kind: 'bit'; readonly bits: number }
  | { readonly kind: 'json'; readonly binary: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'parameter'; readonly number: number }
  /** Shown, and nothing else. */
  | { readonly kind: 'other'; readonly name: string };

export type MysqlKind = MysqlType['kind'];

export const minBigint = -(1n << 63n);
export const maxBigint = (1n << 63n) - 1n;
export const maxUnsigned = (1n << 64n) - 1n;

export const boolType: MysqlType = { kind: 'bool' };
export const bigintType: MysqlType = { kind: 'int', unsigned: false, min: minBigint, max: maxBigint };
export const doubleType: MysqlType = { kind: 'double' };

export function intType(min: bigint, max: bigint, unsigned = false): Extract<MysqlType, { kind: 'int' }> {
  return { kind: 'int', unsigned, min, max };
}

export function decimalType(precision: number, scale: number): MysqlType {
  return { kind: 'decimal', precision: Math.min(precision, 65), scale: Math.min(scale, 30) };
}

/** Before MySQL 8 a DOUBLE that was rounded is shown with its zeros, and so is what is calculated of it and of exact numbers: with the most digits of all. */
export function roundedDouble(...parts: readonly MysqlType[]): MysqlType {
  const decimals = parts.map((type) => (type.kind === 'double' ? type.decimals : type.kind === 'decimal' ? type.scale : type.kind === 'int' || type.kind === 'bool' || type.kind === 'year' ? 0 : undefined));
  return decimals.some((each) => each === undefined) ? doubleType : { kind: 'double', decimals: Math.max(...decimals.map((each) => each ?? 0)) };
}

/** Digits that a value has are not those of its type: what is done with it has to settle them. */
export function isUnsettled(type: MysqlType): boolean {
  return type.kind === 'decimal' && (type.inner !== undefined || type.varies === true);
}

/** Does a value of this range fit `bigint`? */
export function fitsBigint(type: { readonly min: bigint; readonly max: bigint }): boolean {
  return type.min >= minBigint && type.max <= maxBigint;
}

const integerBits: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 };
const utf8Charsets: ReadonlySet<string> = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii']);

export function isUtf8(charset: string): boolean {
  return utf8Charsets.has(charset);
}

/** ` COLLATE …`, for what is shown: whether it is in its place or not. */
export function collated(sql: string, collation: TextCollation | undefined): string {
  return collation?.local === undefined ? sql : `(${sql} COLLATE ${collation.local})`;
}

/** Behind COLLATE, for what is compared. */
export function localCollation(collation: TextCollation, place: number | undefined): string {
  return collation.local ?? refuse(`comparison in collation ${collation.name}, which no string of the statement's tables has`, place);
}

/** Labels are no strings of their own on local. */
function labelCollation({ collation, charset, padsBlanks }: MysqlColumnFacts): TextCollation | undefined {
  return collation === null ? undefined : { name: collation, local: undefined, deterministic: false, pads: padsBlanks, charset: charset ?? collation.split('_')[0] ?? '' };
}

export function collationOf(column: MysqlColumnFacts): TextCollation | undefined {
  const { collation, localCollation, charset } = column;
  if (collation === null || localCollation === undefined) return undefined;
  const quoted = `"${localCollation.schema.replaceAll('"', '""')}"."${localCollation.name.replaceAll('"', '""')}"`;
  return { name: collation, local: quoted, deterministic: localCollation.deterministic, pads: column.padsBlanks, charset: charset ?? collation.split('_')[0] ?? '' };
}

/** The type of a column's values; `other` where local keeps them in a type that nothing but showing them is known of. */
export function columnType(column: MysqlColumnFacts): MysqlType {
  const { type, localType } = column;
  const other: MysqlType = { kind: 'other', name: type.name };
  const local = localType.replace(/\s*\([\d,]*\)/, '');
  const zero = column.hasZeroDate === true ? { zero: true } : {};
  const bits = integerBits[type.name];
  if (bits !== undefined) {
    if (local === 'boolean') return boolType;
    if (!['smallint', 'integer', 'bigint', 'numeric'].includes(local)) return other;
    const told = bits === 64 ? {} : { told: bits === 8 ? 1 : bits === 16 ? 2 : 3 };
    return { ...(type.unsigned ? { ...intType(0n, (1n << BigInt(bits)) - 1n, true), ...(bits < 64 ? { isNarrow: true } : {}) } : intType(-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n)), ...told };
  }
  switch (type.name) {
    case 'decimal': return local === 'numeric' ? { kind: 'decimal', precision: type.length ?? 10, scale: type.scale ?? 0, unsigned: type.unsigned } : other;
    case 'float': return local === 'real' && type.scale === undefined ? { kind: 'float' } : other;
    case 'double': return local === 'double precision' && type.scale === undefined ? doubleType : other;
    case 'date': return local === 'date' ? { kind: 'date', ...zero } : other;
    case 'datetime': return local === 'timestamp without time zone' || local === 'timestamp' ? { kind: 'datetime', fraction: type.length ?? 0, ...zero } : other;
    case 'timestamp': return local === 'timestamp with time zone' || local === 'timestamptz' ? { kind: 'timestamp', fraction: type.length ?? 0, ...zero } : other;
    case 'time': return local === 'interval' ? { kind: 'time', fraction: type.length ?? 0 } : other;
    case 'year': return local === 'smallint' ? { kind: 'year' } : other;
    case 'enum': return column.isLocalEnum ? { kind: 'enum', labels: type.labels, local: localType, collation: labelCollation(column) } : other;
    case 'set': return local === 'text[]' ? { kind: 'set', labels: type.labels, collation: labelCollation(column) } : other;
    case 'bit': return local === 'bit' || local === 'boolean' ? { kind: 'bit', bits: type.length ?? 1 } : other;
    case 'json': return local === 'jsonb' ? { kind: 'json', binary: true } : other;
    case 'char': case 'varchar': case 'tinytext': case 'text': case 'mediumtext': case 'longtext': return textType(column, local);
    case 'binary': case 'varbinary': case 'tinyblob': case 'blob': case 'mediumblob': case 'longblob': return local === 'bytea' ? { kind: 'bytes' } : other;
    default: return other;
  }
}

function textType(column: MysqlColumnFacts, local: string): MysqlType {
  if (column.isJsonText) return local === 'json' ? { kind: 'json', binary: false } : { kind: 'other', name: 'json' };
  if (local !== 'character varying' && local !== 'text') return { kind: 'other', name: column.type.name };
  return { kind: 'text', collation: collationOf(column), isTrimmed: column.type.name === 'char', isOwn: true, maxLength: local === 'text' ? undefined : column.type.length };
}

export function isNumber(type: MysqlType): boolean {
  return type.kind === 'int' || type.kind === 'bool' || type.kind === 'decimal' || type.kind === 'double' || type.kind === 'float' || type.kind === 'year';
}

export function isMoment(type: MysqlType): boolean {
  return type.kind === 'date' || type.kind === 'datetime' || type.kind === 'timestamp';
}

/** Whether a value may be the zero date. */
export function mayBeZero(type: MysqlType): boolean {
  return (type.kind === 'date' || type.kind === 'datetime' || type.kind === 'timestamp') && type.zero === true;
}

/** How messages name a type. */
export function typeName(type: MysqlType): string {
  switch (type.kind) {
    case 'int': return 'integer';
    case 'bool': return 'boolean value';
    case 'text': return 'string';
    case 'bytes': return 'binary string';
    case 'parameter': return 'parameter';
    case 'other': return type.name.toUpperCase();
    default: return type.kind.toUpperCase();
  }
}

/** Of two strings that meet. https://dev.mysql.com/doc/refman/8.4/en/charset-collation-coercibility.html */
export function commonCollation(one: TextCollation | undefined, other: TextCollation | undefined, place: number | undefined): TextCollation | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (one.name === other.name) return one;
  if (one.isWeak !== other.isWeak) return one.isWeak === true ? other : one;
  if (one.isExplicit !== other.isExplicit) return one.isExplicit === true ? one : other;
  // What holds the characters of both, or compares them one by one.
  const [width, otherWidth] = [charsetWidth(one.charset), charsetWidth(other.charset)];
  if (width !== otherWidth && one.isExplicit !== true) return width > otherWidth ? one : other;
  const isBinary = one.name.endsWith('_bin');
  if (one.charset === other.charset && isBinary !== other.name.endsWith('_bin') && one.isExplicit !== true) return isBinary ? one : other;
  return refuse('mix of collations', place);
}

/** Of Unicode in its widths, before all others. */
function charsetWidth(charset: string): number {
  return charset === 'utf8mb4' ? 3 : charset === 'utf8mb3' || charset === 'utf8' ? 2 : charset === 'ascii' ? 0 : 1;
}
