/** Values of CQL types as bytes: made from constants of the language, put in order, and printed for a failing test. */
import { parseCqlType } from '../../../grammar/cql/type.ts';
import type { CqlType, NativeType } from '../../../grammar/cql/type.ts';
import type { Term } from './ast.ts';
import { invalid } from './cql-error.ts';

/** What user-defined types there are: the fields of each in order. */
export type UserTypes = (name: string) => readonly { readonly name: string; readonly type: CqlType }[];

export function typeOf(text: string): CqlType {
  const type = parseCqlType(text);
  if (type === undefined) throw invalid(`Unknown type ${text}`);
  return type;
}

export const native = (name: NativeType): CqlType => ({ kind: 'native', name });

/** One element's length and bytes, as collections hold them from protocol 3 on. */
export function sized(value: Buffer | null): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? -1 : value.length);
  return value === null ? length : Buffer.concat([length, value]);
}

export function counted(values: readonly Buffer[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeInt32BE(values.length);
  return Buffer.concat([count, ...values.map(sized)]);
}

/** Keys and values in turn. */
export function countedMap(values: readonly Buffer[]): Buffer {
  const bytes = counted(values);
  bytes.writeInt32BE(values.length / 2);
  return bytes;
}

/** The elements of a list or a set, or keys and values of a map in turn. */
export function elementsOf(bytes: Buffer, perEntry: 1 | 2): Buffer[] {
  const found: Buffer[] = [];
  const count = bytes.readInt32BE(0) * perEntry;
  let at = 4;
  for (let index = 0; index < count; index += 1) {
    const length = bytes.readInt32BE(at);
    if (length < 0) throw invalid('null is not supported inside collections');
    found.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

/** The fields of a tuple or a user-defined type; trailing ones may be absent. */
export function fieldsOf(bytes: Buffer): (Buffer | null)[] {
  const found: (Buffer | null)[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readInt32BE(at);
    found.push(length < 0 ? null : bytes.subarray(at + 4, at + 4 + length));
    at += 4 + Math.max(0, length);
  }
  return found;
}

export interface EncodeContext {
  readonly binds: readonly (Buffer | null | undefined)[];
  readonly userTypes: UserTypes;
  /** The value of a function, which it may refuse. */
  call(name: string, args: readonly Term[], type: CqlType): Buffer | null;
}

/** The value's bytes; null for null, undefined for a marker that is not set. */
export function encode(term: Term, type: CqlType, context: EncodeContext): Buffer | null | undefined {
  switch (term.is) {
    case 'bind': {
      const value = context.binds[term.index];
      if (value) checkLength(value, type);
      return value;
    }
    case 'constant': return term.form === 'null' ? null : encodeConstant(term, type);
    case 'call': return context.call(term.name, term.args, type);
    case 'column': throw invalid(`Undefined column name ${term.name}`);
    case 'list': {
      if (type.kind === 'vector') return Buffer.concat(term.items.map((item) => present(item, type.of, context)));
      if (type.kind !== 'list') throw invalid('Invalid list literal');
      return counted(term.items.map((item) => present(item, type.of, context)));
    }
    case 'tuple': {
      if (type.kind === 'tuple') return Buffer.concat(term.items.map((item, index) => sized(encode(item, type.items[index] ?? native('blob'), context) ?? null)));
      const [only] = term.items;
      if (only && term.items.length === 1) return encode(only, type, context);
      throw invalid('Invalid tuple literal');
    }
    case 'braces': return encodeBraces(term, type, context);
  }
}

function present(term: Term, type: CqlType, context: EncodeContext): Buffer {
  const value = encode(term, type, context);
  if (!value) throw invalid('null is not supported inside collections');
  return value;
}

function encodeBraces(term: Term & { is: 'braces' }, type: CqlType, context: EncodeContext): Buffer {
  if (type.kind === 'set') return counted(inOrder(term.entries.map(({ key }) => present(key ?? unusable(), type.of, context)), type.of, 1));
  if (type.kind === 'map') return countedMap(inOrder(term.entries.flatMap(({ key, value }) => [present(key ?? unusable(), type.key, context), present(value ?? unusable(), type.value, context)]), type.key, 2));
  if (type.kind !== 'udt') throw invalid('Invalid set, map or user type literal');
  return Buffer.concat(context.userTypes(type.name).map((field) => {
    const entry = term.entries.find(({ name }) => name === field.name);
    return sized(entry?.value ? encode(entry.value, field.type, context) ?? null : null);
  }));
}

function unusable(): never {
  throw invalid('Invalid literal');
}

/** A set's elements or a map's entries by their keys, the last of equal ones. */
export function inOrder(values: readonly Buffer[], keyType: CqlType, perEntry: 1 | 2): Buffer[] {
  const entries = new Map<string, Buffer[]>();
  for (let at = 0; at < values.length; at += perEntry) entries.set((values[at] ?? Buffer.alloc(0)).toString('hex'), values.slice(at, at + perEntry));
  return [...entries.values()].sort(([a = Buffer.alloc(0)], [b = Buffer.alloc(0)]) => compare(keyType, a, b)).flat();
}

const fixed: Partial<Record<NativeType, number>> = { bigint: 8, counter: 8, boolean: 1, date: 4, double: 8, float: 4, int: 4, smallint: 2, time: 8, timestamp: 8, timeuuid: 16, tinyint: 1, uuid: 16 };

function checkLength(value: Buffer, type: CqlType): void {
  const wanted = type.kind === 'native' ? fixed[type.name] : undefined;
  if (wanted !== undefined && value.length !== wanted && value.length !== 0) throw invalid(`Expected ${wanted} byte value for ${type.kind === 'native' ? type.name : ''} (${value.length})`);
}

function encodeConstant({ form, text }: Term & { is: 'constant' }, type: CqlType): Buffer {
  const bad = (): Error => invalid(`Invalid ${form.toUpperCase()} constant (${text}) for type ${type.kind === 'native' ? type.name : type.kind}`);
  if (type.kind !== 'native') throw bad();
  const integer = (bytes: number): Buffer => {
    if (form !== 'number' || !/^-?\d+$/.test(text)) throw bad();
    const value = BigInt(text);
    if (BigInt.asIntN(bytes * 8, value) !== value) throw bad();
    const out = Buffer.alloc(8);
    out.writeBigInt64BE(value);
    return out.subarray(8 - bytes);
  };
  switch (type.name) {
    case 'ascii': case 'text': if (form !== 'string') throw bad(); return Buffer.from(text);
    case 'bigint': case 'counter': return integer(8);
    case 'int': return integer(4);
    case 'smallint': return integer(2);
    case 'tinyint': return integer(1);
    case 'boolean': if (form !== 'boolean') throw bad(); return Buffer.of(text === 'true' ? 1 : 0);
    case 'float': case 'double': {
      if (form !== 'number') throw bad();
      const value = Number(text.replace('nan', 'NaN').replace('infinity', 'Infinity'));
      const out = Buffer.alloc(type.name === 'float' ? 4 : 8);
      if (type.name === 'float') out.writeFloatBE(value); else out.writeDoubleBE(value);
      return out;
    }
    case 'varint': if (form !== 'number' || !/^-?\d+$/.test(text)) throw bad(); return varint(BigInt(text));
    case 'decimal': {
      const match = /^(-?\d+)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text);
      if (form !== 'number' || !match) throw bad();
      const [, whole = '', fraction = '', exponent = '0'] = match;
      const scale = Buffer.alloc(4);
      scale.writeInt32BE(fraction.length - Number(exponent));
      return Buffer.concat([scale, varint(BigInt(whole + fraction))]);
    }
    case 'blob': if (form !== 'blob') throw bad(); return Buffer.from(text.slice(2), 'hex');
    case 'uuid': case 'timeuuid': if (form !== 'uuid') throw bad(); return Buffer.from(text.replaceAll('-', ''), 'hex');
    case 'timestamp': {
      if (form === 'number') return integer(8);
      const moment = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) || !text.includes(':') ? text.replace(' ', 'T') : `${text.replace(' ', 'T')}Z`);
      if (form !== 'string' || Number.isNaN(moment)) throw bad();
      const out = Buffer.alloc(8);
      out.writeBigInt64BE(BigInt(moment));
      return out;
    }
    case 'date': {
      const days = form === 'string' ? Date.parse(`${text}T00:00:00Z`) / 86_400_000 + 2 ** 31 : Number(text);
      if (!Number.isInteger(days) || days < 0 || days >= 2 ** 32) throw bad();
      const out = Buffer.alloc(4);
      out.writeUInt32BE(days);
      return out;
    }
    case 'time': {
      if (form === 'number') return integer(8);
      const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$/.exec(text);
      if (!match) throw bad();
      const [, hours, minutes, seconds, fraction = ''] = match;
      const out = Buffer.alloc(8);
      out.writeBigInt64BE((BigInt(hours ?? 0) * 3600n + BigInt(minutes ?? 0) * 60n + BigInt(seconds ?? 0)) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')));
      return out;
    }
    case 'inet': {
      const parts = text.split('.').map(Number);
      if (form !== 'string' || parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) throw bad();
      return Buffer.from(parts);
    }
    case 'duration': case 'empty': throw invalid(`the mock cluster makes no ${type.name} of a constant: bind it`);
  }
}

/** Two's complement in as few bytes as hold it. */
export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.unshift(Number(rest & 255n));
    rest >>= 8n;
  } while (!((rest === 0n && (bytes[0] ?? 0) < 128) || (rest === -1n && (bytes[0] ?? 0) >= 128)));
  return Buffer.from(bytes);
}

export function readVarint(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}

/** The type's own order, as clustering keys and sets have it. */
export function compare(type: CqlType, a: Buffer, b: Buffer): number {
  if (type.kind !== 'native' || a.length === 0 || b.length === 0) return type.kind === 'tuple' ? compareTuples(type.items, a, b) : Buffer.compare(a, b);
  switch (type.name) {
    case 'int': return a.readInt32BE() - b.readInt32BE();
    case 'smallint': return a.readInt16BE() - b.readInt16BE();
    case 'tinyint': return a.readInt8() - b.readInt8();
    case 'bigint': case 'timestamp': case 'counter': return order(a.readBigInt64BE(), b.readBigInt64BE());
    case 'varint': return order(readVarint(a), readVarint(b));
    case 'decimal': {
      const scale = Math.max(a.readInt32BE(), b.readInt32BE());
      const scaled = (bytes: Buffer): bigint => readVarint(bytes.subarray(4)) * 10n ** BigInt(scale - bytes.readInt32BE());
      return order(scaled(a), scaled(b));
    }
    case 'float': return order(a.readFloatBE(), b.readFloatBE());
    case 'double': return order(a.readDoubleBE(), b.readDoubleBE());
    case 'timeuuid': return order(timeOf(a), timeOf(b)) || Buffer.compare(a.subarray(8), b.subarray(8));
    case 'uuid': {
      const [x = 0, y = 0] = [(a[6] ?? 0) >> 4, (b[6] ?? 0) >> 4];
      return x - y || (x === 1 ? order(timeOf(a), timeOf(b)) : 0) || Buffer.compare(a, b);
    }
    default: return Buffer.compare(a, b);
  }
}

function compareTuples(types: readonly CqlType[], a: Buffer, b: Buffer): number {
  const [left, right] = [fieldsOf(a), fieldsOf(b)];
  for (const [index, type] of types.entries()) {
    const [x, y] = [left[index] ?? null, right[index] ?? null];
    const difference = x === null || y === null ? Number(x !== null) - Number(y !== null) : compare(type, x, y);
    if (difference !== 0) return difference;
  }
  return 0;
}

function order(a: bigint | number, b: bigint | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of a version 1 UUID, in units of 100 ns since 1582. */
export function timeOf(uuid: Buffer): bigint {
  return (BigInt(uuid.readUInt16BE(6) & 0x0fff) << 48n) | (BigInt(uuid.readUInt16BE(4)) << 32n) | BigInt(uuid.readUInt32BE(0));
}

export const uuidEpochMs = 12_219_292_800_000n;

/** A version 1 UUID of that moment; `sequence` makes those of one moment differ. */
export function timeUuid(ms: number, sequence: number, node: Buffer): Buffer {
  const time = (BigInt(ms) + uuidEpochMs) * 10_000n + BigInt(sequence % 10_000);
  const out = Buffer.alloc(16);
  out.writeUInt32BE(Number(time & 0xffff_ffffn), 0);
  out.writeUInt16BE(Number((time >> 32n) & 0xffffn), 4);
  out.writeUInt16BE(Number((time >> 48n) & 0x0fffn) | 0x1000, 6);
  node.copy(out, 8, 0, 8);
  out[8] = ((out[8] ?? 0) & 0x3f) | 0x80;
  return out;
}
