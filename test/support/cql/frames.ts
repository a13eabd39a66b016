/** Frames of the native protocol 3 and 4, and bodies of results. https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec */
import type { CqlType } from '../../../grammar/cql/type.ts';
import { Reader, Writer } from './bytes.ts';
import type { BindSpec } from './binds.ts';
import type { Result, SchemaChange } from './database.ts';
import type { ResultColumn } from './select.ts';
import type { UserTypes } from './values.ts';

export const opcodes = { ERROR: 0x00, STARTUP: 0x01, READY: 0x02, AUTHENTICATE: 0x03, OPTIONS: 0x05, SUPPORTED: 0x06, QUERY: 0x07, RESULT: 0x08, PREPARE: 0x09, EXECUTE: 0x0a, REGISTER: 0x0b, EVENT: 0x0c, BATCH: 0x0d, AUTH_CHALLENGE: 0x0e, AUTH_RESPONSE: 0x0f, AUTH_SUCCESS: 0x10 } as const;

export const flags = { compressed: 1, tracing: 2, payload: 4, warning: 8 } as const;

export interface Frame { readonly version: number; readonly flags: number; readonly stream: number; readonly opcode: number; readonly body: Buffer }

/** Bytes in, frames out. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const found: Frame[] = [];
    let at = 0;
    while (this.#rest.length - at >= 9) {
      const length = this.#rest.readInt32BE(at + 5);
      if (length < 0 || length > 256 * 1024 * 1024) throw new RangeError(`a frame of ${length} bytes`);
      if (this.#rest.length - at < 9 + length) break;
      found.push({ version: this.#rest.readUInt8(at), flags: this.#rest.readUInt8(at + 1), stream: this.#rest.readInt16BE(at + 2), opcode: this.#rest.readUInt8(at + 4), body: this.#rest.subarray(at + 9, at + 9 + length) });
      at += 9 + length;
    }
    this.#rest = this.#rest.subarray(at);
    return found;
  }
}

export function frameBytes({ version, flags: flagBits, stream, opcode, body }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt8(version, 0);
  head.writeUInt8(flagBits, 1);
  head.writeInt16BE(stream, 2);
  head.writeUInt8(opcode, 4);
  head.writeInt32BE(body.length, 5);
  return Buffer.concat([head, body]);
}

/** What stands behind the text or the id of QUERY and EXECUTE. */
export interface QueryParameters {
  readonly consistency: number;
  readonly values: readonly (Buffer | null | undefined)[];
  /** Of values by name. */
  readonly names: readonly string[] | undefined;
  readonly skipMetadata: boolean;
  readonly pageSize: number | undefined;
  readonly pagingState: Buffer | undefined;
  readonly serialConsistency: number | undefined;
  readonly timestamp: bigint | undefined;
}

export function readParameters(reader: Reader): QueryParameters {
  const consistency = reader.u16();
  const bits = reader.u8();
  const names: string[] = [];
  const values: (Buffer | null | undefined)[] = [];
  if (bits & 0x01) {
    for (let left = reader.u16(); left > 0; left -= 1) {
      if (bits & 0x40) names.push(reader.string());
      values.push(reader.value());
    }
  }
  const pageSize = bits & 0x04 ? reader.i32() : undefined;
  const pagingState = bits & 0x08 ? reader.bytes() ?? undefined : undefined;
  const serialConsistency = bits & 0x10 ? reader.u16() : undefined;
  const timestamp = bits & 0x20 ? reader.i64() : undefined;
  if (!reader.isEnd) throw new RangeError('bytes behind the parameters of a query');
  return { consistency, values, names: bits & 0x40 ? names : undefined, skipMetadata: (bits & 0x02) !== 0, pageSize, pagingState, serialConsistency, timestamp };
}

const typeCodes: Readonly<Record<string, number>> = { ascii: 1, bigint: 2, blob: 3, boolean: 4, counter: 5, decimal: 6, double: 7, float: 8, int: 9, timestamp: 0x0b, uuid: 0x0c, text: 0x0d, varint: 0x0e, timeuuid: 0x0f, inet: 0x10 };
/** From protocol 4 on. */
const laterCodes: Readonly<Record<string, number>> = { date: 0x11, time: 0x12, smallint: 0x13, tinyint: 0x14 };
const classes: Readonly<Record<string, string>> = { date: 'SimpleDateType', time: 'TimeType', smallint: 'ShortType', tinyint: 'ByteType', duration: 'DurationType', empty: 'EmptyType' };

export function writeType(out: Writer, type: CqlType, version: number, keyspace: string, userTypes: UserTypes): void {
  const inner = (each: CqlType): void => writeType(out, each, version, keyspace, userTypes);
  switch (type.kind) {
    case 'native': {
      const code = typeCodes[type.name] ?? (version >= 4 ? laterCodes[type.name] : undefined);
      if (code === undefined) out.u16(0).string(`org.apache.cassandra.db.marshal.${classes[type.name] ?? type.name}`);
      else out.u16(code);
      return;
    }
    case 'custom': out.u16(0).string(type.className); return;
    case 'vector': out.u16(0).string(`org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , ${type.dimension})`); return;
    case 'list': out.u16(0x20); inner(type.of); return;
    case 'set': out.u16(0x22); inner(type.of); return;
    case 'map': out.u16(0x21); inner(type.key); inner(type.value); return;
    case 'tuple': {
      out.u16(0x31).u16(type.items.length);
      type.items.forEach(inner);
      return;
    }
    case 'udt': {
      const fields = userTypes(type.name);
      out.u16(0x30).string(keyspace).string(type.name).u16(fields.length);
      for (const field of fields) {
        out.string(field.name);
        inner(field.type);
      }
    }
  }
}

/** Body of RESULT, for all but PREPARED. */
export function resultBody(result: Result, version: number, userTypesOf: (keyspace: string) => UserTypes, skipMetadata: boolean): Buffer {
  const out = new Writer();
  switch (result.is) {
    case 'void': return out.i32(1).done();
    case 'keyspace': return out.i32(3).string(result.keyspace).done();
    case 'schema': return schemaChange(out.i32(5), result).done();
    case 'rows': {
      out.i32(2);
      const bits = (skipMetadata ? 4 : 1) | (result.next ? 2 : 0);
      out.i32(bits).i32(result.columns.length);
      if (result.next) out.bytes(result.next);
      if (!skipMetadata) columnSpecs(out, result.table.keyspace, result.table.name, result.columns, version, userTypesOf(result.table.keyspace));
      out.i32(result.rows.length);
      for (const row of result.rows) for (const value of row) out.bytes(value);
      return out.done();
    }
  }
}

function columnSpecs(out: Writer, keyspace: string, table: string, columns: readonly ResultColumn[], version: number, userTypes: UserTypes): void {
  out.string(keyspace).string(table);
  for (const { name, type } of columns) {
    out.string(name);
    writeType(out, type, version, keyspace, userTypes);
  }
}

export function schemaChange(out: Writer, { change, target, keyspace, name }: SchemaChange): Writer {
  out.string(change).string(target).string(keyspace);
  return name === undefined ? out : out.string(name);
}

export function preparedBody(id: Buffer, specs: readonly BindSpec[], keyMarkers: readonly number[], columns: readonly ResultColumn[] | undefined, table: { readonly keyspace: string; readonly name: string } | undefined, version: number, userTypesOf: (keyspace: string) => UserTypes): Buffer {
  const out = new Writer().i32(4).shortBytes(id);
  const [first] = specs;
  const isGlobal = first !== undefined && specs.every(({ table: each }) => each === first.table || (each.keyspace === first.table.keyspace && each.name === first.table.name));
  out.i32(isGlobal ? 1 : 0).i32(specs.length);
  if (version >= 4) {
    out.i32(keyMarkers.length);
    for (const marker of keyMarkers) out.u16(marker);
  }
  if (isGlobal) out.string(first.table.keyspace).string(first.table.name);
  for (const { name, type, table: each } of specs) {
    if (!isGlobal) out.string(each.keyspace).string(each.name);
    out.string(name);
    writeType(out, type, version, each.keyspace, userTypesOf(each.keyspace));
  }
  if (!columns || !table) return out.i32(4).i32(0).done();
  out.i32(1).i32(columns.length);
  columnSpecs(out, table.keyspace, table.name, columns, version, userTypesOf(table.keyspace));
  return out.done();
}
