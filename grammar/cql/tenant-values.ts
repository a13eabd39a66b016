/** A tenant of the configuration, which is text, as the bytes that a frame has for it: by the column's type where that is known, in every type else. */
import * as net from 'node:net';
import { inetBytes } from './inet-bytes.ts';
import type { CqlTerm } from './statement.ts';
import type { CqlType, NativeType } from './type.ts';

/** Ids of types (native_protocol_v4.spec, §4.2.5.2). */
const encoders: ReadonlyMap<number, (text: string) => Buffer | undefined> = new Map([
  [0x01, asText], [0x0d, asText],
  [0x02, (text: string) => asInteger(text, 8)], [0x05, (text: string) => asInteger(text, 8)],
  [0x03, asBlob], [0x04, asBoolean],
  [0x07, asDouble], [0x08, asFloat],
  [0x09, (text: string) => asInteger(text, 4)], [0x13, (text: string) => asInteger(text, 2)], [0x14, (text: string) => asInteger(text, 1)],
  [0x0b, asTimestamp], [0x0c, asUuid], [0x0f, asUuid], [0x0e, asVarint], [0x10, asInet], [0x11, asDate],
]);

const typeIds: Readonly<Partial<Record<NativeType, number>>> = {
  ascii: 0x01, bigint: 0x02, blob: 0x03, boolean: 0x04, double: 0x07, float: 0x08, int: 0x09, timestamp: 0x0b, uuid: 0x0c, text: 0x0d, varint: 0x0e, timeuuid: 0x0f, inet: 0x10, date: 0x11, smallint: 0x13, tinyint: 0x14,
};

/** Undefined for a type whose values are no tenants. */
export function tenantTypeId(type: CqlType): number | undefined {
  return type.kind === 'native' ? typeIds[type.name] : undefined;
}

/** Decimals of one value have many encodings, and collections are no tenants: a column of such a type has no tenant that can be told. */
export function canTell(typeId: number): boolean {
  return encoders.has(typeId);
}

/** Every form in which the tenant may stand in a column of this type, of any type where the frame does not tell. Empty when the text is no value of it. */
export function tenantBytes(text: string, typeId: number | undefined): readonly Buffer[] {
  const types = typeId === undefined ? [...encoders.keys()] : [typeId];
  // A uuid is the same tenant in either case, also where a table keeps it as text.
  const texts = uuid.test(text) ? [text, text.toLowerCase(), text.toUpperCase()] : [text];
  return types.flatMap((type) => texts.flatMap((one) => encoders.get(type)?.(one) ?? []));
}

/** Whether a constant of the text is this tenant. */
export function isTenant(term: Extract<CqlTerm, { kind: 'constant' }>, tenant: string): boolean {
  switch (term.form) {
    case 'string': return term.text === tenant || (uuid.test(tenant) && term.text.toLowerCase() === tenant.toLowerCase());
    case 'number': return sameNumber(term.text, tenant);
    case 'uuid': case 'blob': case 'boolean': return term.text.toLowerCase() === tenant.toLowerCase();
    case 'duration': case 'null': return false;
    default: return term.form satisfies never;
  }
}

const integer = /^[+-]?\d+$/;
const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

function sameNumber(a: string, b: string): boolean {
  if (integer.test(a) && integer.test(b)) return BigInt(a) === BigInt(b);
  return b.trim() !== '' && Number(a) === Number(b);
}

function asText(text: string): Buffer {
  return Buffer.from(text);
}

function asInteger(text: string, bytes: 1 | 2 | 4 | 8): Buffer | undefined {
  if (!integer.test(text)) return undefined;
  const value = BigInt(text);
  if (BigInt.asIntN(bytes * 8, value) !== value) return undefined;
  const long = Buffer.alloc(8);
  long.writeBigInt64BE(value);
  return long.subarray(8 - bytes);
}

/** The shortest two's complement. */
function asVarint(text: string): Buffer | undefined {
  if (!integer.test(text) || text.length > 1000) return undefined;
  const value = BigInt(text);
  let bytes = 1;
  while (BigInt.asIntN(bytes * 8, value) !== value) bytes += 1;
  return Buffer.from(BigInt.asUintN(bytes * 8, value).toString(16).padStart(bytes * 2, '0'), 'hex');
}

function asBlob(text: string): Buffer | undefined {
  return /^0x(?:[\da-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), 'hex') : undefined;
}

function asBoolean(text: string): Buffer | undefined {
  return /^(?:true|false)$/i.test(text) ? Buffer.from([text.toLowerCase() === 'true' ? 1 : 0]) : undefined;
}

function asDouble(text: string): Buffer | undefined {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) return undefined;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function asFloat(text: string): Buffer | undefined {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) return undefined;
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return bytes;
}

function asUuid(text: string): Buffer | undefined {
  return uuid.test(text) ? Buffer.from(text.replaceAll('-', ''), 'hex') : undefined;
}

function asInet(text: string): Buffer | undefined {
  return net.isIP(text) === 0 ? undefined : inetBytes(text);
}

/** Milliseconds since 1970, or a date as ISO 8601 writes it. */
function asTimestamp(text: string): Buffer | undefined {
  if (integer.test(text)) return asInteger(text, 8);
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : asInteger(String(ms), 8);
}

/** Days, with 1970-01-01 at 2^31. */
function asDate(text: string): Buffer | undefined {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) return undefined;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(ms / 86_400_000 + 2 ** 31);
  return bytes;
}
