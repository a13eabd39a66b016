/**
 * Values of PostgreSQL's types between their text and their binary form, as the types' send and receive functions have them. Moments are those of ISO 8601, instants in UTC.
 * What has no such form is undefined.
 */
const EPOCH_DAYS = 10_957;
const DAY_US = 86_400_000_000n;

/** Numbers of types, by name. https://www.postgresql.org/docs/current/catalog-pg-type.html */
export const TypeOid = {
  bool: 16, bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, json: 114, float4: 700, float8: 701, inet: 869, bpchar: 1042, varchar: 1043, date: 1082, time: 1083,
  timestamp: 1114, timestamptz: 1184, interval: 1186, bit: 1560, numeric: 1700, uuid: 2950, jsonb: 3802,
} as const;

const ofText: ReadonlySet<number> = new Set([TypeOid.text, TypeOid.json, TypeOid.bpchar, TypeOid.varchar]);

/** `text` is what the server prints. Types of the database's own are enums here, which are sent as text. */
export function binaryOf(oid: number, text: string): Buffer | undefined {
  if (ofText.has(oid) || oid >= 16_384) return Buffer.from(text, 'utf8');
  switch (oid) {
    case TypeOid.bool: return Buffer.of(text === 't' ? 1 : 0);
    case TypeOid.bytea: return Buffer.from(text.slice(2), 'hex');
    case TypeOid.int2: return sized(2, (out) => out.writeInt16BE(Number(text)));
    case TypeOid.int4: return sized(4, (out) => out.writeInt32BE(Number(text)));
    case TypeOid.int8: return sized(8, (out) => out.writeBigInt64BE(BigInt(text)));
    case TypeOid.float4: return sized(4, (out) => out.writeFloatBE(Number(text)));
    case TypeOid.float8: return sized(8, (out) => out.writeDoubleBE(Number(text)));
    case TypeOid.numeric: return numericBinary(text);
    case TypeOid.date: return sized(4, (out) => out.writeInt32BE(daysOf(text)));
    case TypeOid.timestamp: case TypeOid.timestamptz: return sized(8, (out) => out.writeBigInt64BE(microsecondsOf(text)));
    case TypeOid.time: return sized(8, (out) => out.writeBigInt64BE(timeMicroseconds(text)));
    case TypeOid.interval: return sized(16, (out) => out.writeBigInt64BE(timeMicroseconds(text)));
    case TypeOid.uuid: return Buffer.from(text.replaceAll('-', ''), 'hex');
    case TypeOid.jsonb: return Buffer.concat([Buffer.of(1), Buffer.from(text, 'utf8')]);
    default: return undefined;
  }
}

/** Of a parameter. Undefined for a type, or bytes, that are not known here. */
export function textOfBinary(oid: number, value: Buffer): string | undefined {
  if (ofText.has(oid)) return value.toString('utf8');
  switch (oid) {
    case TypeOid.bool: return value.length === 1 ? (value[0] === 0 ? 'f' : 't') : undefined;
    case TypeOid.bytea: return `\\x${value.toString('hex')}`;
    case TypeOid.int2: return value.length === 2 ? String(value.readInt16BE()) : undefined;
    case TypeOid.int4: return value.length === 4 ? String(value.readInt32BE()) : undefined;
    case TypeOid.int8: return value.length === 8 ? String(value.readBigInt64BE()) : undefined;
    case TypeOid.float4: return value.length === 4 ? finite(value.readFloatBE()) : undefined;
    case TypeOid.float8: return value.length === 8 ? finite(value.readDoubleBE()) : undefined;
    case TypeOid.numeric: return numericText(value);
    case TypeOid.date: return value.length === 4 ? momentText(BigInt(value.readInt32BE()) * DAY_US)?.slice(0, 10) : undefined;
    case TypeOid.timestamp: return value.length === 8 ? momentText(value.readBigInt64BE()) : undefined;
    case TypeOid.timestamptz: return value.length === 8 ? suffixed(momentText(value.readBigInt64BE()), '+00') : undefined;
    case TypeOid.uuid: return value.length === 16 ? value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : undefined;
    case TypeOid.jsonb: return value[0] === 1 ? value.toString('utf8', 1) : undefined;
    default: return arrayText(oid, value);
  }
}

const arrays: Readonly<Record<number, number>> = {
  1000: TypeOid.bool, 1001: TypeOid.bytea, 1005: TypeOid.int2, 1007: TypeOid.int4, 1016: TypeOid.int8, 1009: TypeOid.text, 1015: TypeOid.varchar, 1021: TypeOid.float4, 1022: TypeOid.float8, 1231: TypeOid.numeric,
  1182: TypeOid.date, 1115: TypeOid.timestamp, 1185: TypeOid.timestamptz, 2951: TypeOid.uuid,
};

/** The number of the arrays of this type; that of arrays of text for one that is not known here. */
export function arrayOf(element: number): number {
  const [found] = Object.entries(arrays).find(([, of]) => of === element) ?? [];
  return found === undefined ? 1009 : Number(found);
}

/** Of one dimension: a header of five numbers, then each element with its length before it. */
function arrayText(oid: number, value: Buffer): string | undefined {
  const element = arrays[oid];
  if (element === undefined || value.length < 12) return undefined;
  const dimensions = value.readInt32BE(0);
  if (dimensions === 0) return '{}';
  if (dimensions !== 1 || value.readUInt32BE(8) !== element || value.length < 20) return undefined;
  const items: string[] = [];
  for (let at = 20, left = value.readInt32BE(12); left > 0; left -= 1) {
    if (at + 4 > value.length) return undefined;
    const length = value.readInt32BE(at);
    at += 4;
    const text = length < 0 ? null : textOfBinary(element, value.subarray(at, at + length));
    if (text === undefined) return undefined;
    items.push(text === null ? 'NULL' : `"${text.replace(/[\\"]/g, '\\$&')}"`);
    at += Math.max(length, 0);
  }
  return `{${items.join(',')}}`;
}

function sized(bytes: number, write: (out: Buffer) => void): Buffer {
  const out = Buffer.alloc(bytes);
  write(out);
  return out;
}

function finite(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value === Infinity ? 'Infinity' : value === -Infinity ? '-Infinity' : Object.is(value, -0) ? '-0' : String(value);
}

function suffixed(text: string | undefined, suffix: string): string | undefined {
  return text === undefined ? undefined : `${text}${suffix}`;
}

function daysOf(text: string): number {
  if (text === 'infinity') return 0x7fffffff;
  if (text === '-infinity') return -0x80000000;
  const [year = 0, month = 1, day = 1] = text.slice(0, 10).split('-').map(Number);
  return Math.round(utcOf(year, month, day) / 86_400_000) - EPOCH_DAYS;
}

/** `Date.UTC` takes years below 100 for those of the twentieth century. */
function utcOf(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime();
}

function microsecondsOf(text: string): bigint {
  if (text === 'infinity') return (1n << 63n) - 1n;
  if (text === '-infinity') return -(1n << 63n);
  return BigInt(daysOf(text)) * DAY_US + timeMicroseconds(text.slice(11).replace(/\+00$/, ''));
}

/** `-838:59:59.5`. */
function timeMicroseconds(text: string): bigint {
  const [, sign, hours = '0', minutes = '0', seconds = '0', fraction = ''] = /^(-?)(\d+):(\d+):(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const total = ((BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds)) * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6));
  return sign === '-' ? -total : total;
}

/** Undefined before the year 1, after 9999, and for the infinities. */
function momentText(sinceEpoch: bigint): string | undefined {
  const total = sinceEpoch + BigInt(EPOCH_DAYS) * DAY_US;
  const seconds = total >= 0n ? total / 1_000_000n : (total - 999_999n) / 1_000_000n;
  const micros = total - seconds * 1_000_000n;
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) return undefined;
  const iso = new Date(Number(seconds) * 1000).toISOString();
  const fraction = micros === 0n ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction}`;
}

/** Groups of four decimal digits: count, weight of the first, sign, digits behind the point, groups. */
function numericBinary(text: string): Buffer {
  if (text === 'NaN') return Buffer.from([0, 0, 0, 0, 0xc0, 0, 0, 0]);
  const [, sign, whole = '', fraction = ''] = /^(-?)(\d*)(?:\.(\d*))?$/.exec(text) ?? [];
  const left = whole.padStart(Math.ceil(whole.length / 4) * 4, '0');
  const all = `${left}${fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0')}`;
  const groups = Array.from({ length: all.length / 4 }, (_, at) => Number(all.slice(at * 4, at * 4 + 4)));
  let weight = left.length / 4 - 1;
  while (groups[0] === 0) {
    groups.shift();
    weight -= 1;
  }
  while (groups.at(-1) === 0) groups.pop();
  const out = Buffer.alloc(8 + 2 * groups.length);
  out.writeInt16BE(groups.length, 0);
  out.writeInt16BE(groups.length === 0 ? 0 : weight, 2);
  out.writeUInt16BE(sign === '-' && groups.length > 0 ? 0x4000 : 0, 4);
  out.writeInt16BE(fraction.length, 6);
  for (const [at, group] of groups.entries()) out.writeInt16BE(group, 8 + 2 * at);
  return out;
}

function numericText(value: Buffer): string | undefined {
  if (value.length < 8) return undefined;
  const [count, weight, sign, scale] = [value.readInt16BE(0), value.readInt16BE(2), value.readUInt16BE(4), value.readInt16BE(6)];
  if (sign === 0xc000) return 'NaN';
  if (sign !== 0 && sign !== 0x4000) return undefined;
  if (value.length < 8 + 2 * count) return undefined;
  const group = (at: number): string => (at < 0 || at >= count ? '0000' : String(value.readInt16BE(8 + 2 * at)).padStart(4, '0'));
  let whole = '';
  for (let at = 0; at <= weight; at += 1) whole += group(at);
  let fraction = '';
  for (let at = weight + 1; fraction.length < scale; at += 1) fraction += group(at);
  return `${sign === 0x4000 ? '-' : ''}${whole.replace(/^0+(?=\d)/, '') || '0'}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`;
}
