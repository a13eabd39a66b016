/** RESULT messages (native_protocol_v4.spec, §4.2.5): what the proxy needs of those that pass, and those of its own. */
import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';

export const resultKinds = { void: 1, rows: 2, setKeyspace: 3, prepared: 4, schemaChange: 5 } as const;
export const rowsFlags = { globalTable: 0x01, hasMorePages: 0x02, noMetadata: 0x04 } as const;

/** Ids of types (§4.2.5.2). */
export const typeIds = { custom: 0x00, int: 0x09, text: 0x0d, uuid: 0x0c, inet: 0x10, list: 0x20, map: 0x21, set: 0x22, udt: 0x30, tuple: 0x31 } as const;

function skipType(reader: BodyReader): void {
  const id = reader.short();
  switch (id) {
    case typeIds.custom: reader.skip(reader.short()); break;
    case typeIds.list: case typeIds.set: skipType(reader); break;
    case typeIds.map: skipType(reader); skipType(reader); break;
    case typeIds.udt:
      reader.skip(reader.short());
      reader.skip(reader.short());
      for (let left = reader.short(); left > 0; left -= 1) {
        reader.skip(reader.short());
        skipType(reader);
      }
      break;
    case typeIds.tuple: for (let left = reader.short(); left > 0; left -= 1) skipType(reader); break;
    default:
  }
}

export interface BindColumn {
  readonly keyspace: string;
  readonly table: string;
  readonly name: string;
  /** As the frame has it; a copy. */
  readonly type: Buffer;
}

export interface PreparedResult {
  /** A view. */
  readonly id: Buffer;
  readonly columns: readonly BindColumn[];
  /** Indexes of the partition key's columns; empty in version 3, which does not tell. */
  readonly partitionKey: readonly number[];
  /** What the server says of the values and of the rows, for a comparison with another server's; a view. */
  readonly values: Buffer;
  readonly rows: Buffer;
  /** Where each column's description lies in `values`. */
  readonly columnPlaces: readonly ColumnPlace[];
  /** Places behind the id. */
  readonly afterId: number;
}

export interface ColumnPlace {
  readonly from: number;
  readonly end: number;
}

/** Of a RESULT of kind Prepared, whose message begins at `start`, with the kind. */
export function readPrepared(buffer: Buffer, start: number, end: number, version: number): PreparedResult {
  const reader = new BodyReader(buffer, start, end);
  const kind = reader.int();
  if (kind !== resultKinds.prepared) throw new RangeError(`a result of kind ${kind} instead of a prepared statement`);
  const id = reader.shortBytes();
  const afterId = reader.at;
  const flags = reader.int();
  const count = reader.int();
  const partitionKey: number[] = [];
  if (version >= 4) for (let left = reader.int(); left > 0; left -= 1) partitionKey.push(reader.short());
  const columnPlaces: ColumnPlace[] = [];
  const columns = readColumns(reader, flags, count, (from, to) => columnPlaces.push({ from: from - afterId, end: to - afterId }));
  const behind = reader.at;
  return { id, columns, partitionKey, columnPlaces, values: buffer.subarray(afterId, behind), rows: buffer.subarray(behind, end), afterId };
}

function readColumns(reader: BodyReader, flags: number, count: number, placed?: (from: number, end: number) => void): BindColumn[] {
  const isGlobal = (flags & rowsFlags.globalTable) !== 0;
  let keyspace = isGlobal ? reader.string() : '';
  let table = isGlobal ? reader.string() : '';
  const columns: BindColumn[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = reader.at;
    if (!isGlobal) {
      keyspace = reader.string();
      table = reader.string();
    }
    const name = reader.string();
    const from = reader.at;
    skipType(reader);
    columns.push({ keyspace, table, name, type: Buffer.from(reader.buffer.subarray(from, reader.at)) });
    placed?.(start, reader.at);
  }
  return columns;
}

/** Kind of the result whose message begins there. */
export function resultKindAt(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at);
}

/** Place of the paging state's length, in rows with more pages behind them; −1 in all others. */
export function pagingStateAt(buffer: Buffer, start: number): number {
  if (buffer.readInt32BE(start) !== resultKinds.rows || (buffer.readInt32BE(start + 4) & rowsFlags.hasMorePages) === 0) return -1;
  return start + 12;
}

/** `[applied]` of a conditional statement's answer: the first column of its first row. Undefined when the answer is none of that kind. */
export function readApplied(buffer: Buffer, start: number, end: number): boolean | undefined {
  const reader = new BodyReader(buffer, start, end);
  if (reader.int() !== resultKinds.rows) return undefined;
  const flags = reader.int();
  const count = reader.int();
  if ((flags & rowsFlags.hasMorePages) !== 0) reader.skipBytes();
  if ((flags & rowsFlags.noMetadata) === 0) {
    const [first] = readColumns(reader, flags, count);
    if (first?.name !== '[applied]') return undefined;
  }
  if (reader.int() === 0) return undefined;
  const cell = reader.bytes();
  return cell?.length === 1 ? cell[0] !== 0 : undefined;
}

/** The keyspace of a SetKeyspace result; undefined for another. */
export function readSetKeyspace(buffer: Buffer, start: number, end: number): string | undefined {
  const reader = new BodyReader(buffer, start, end);
  return reader.int() === resultKinds.setKeyspace ? reader.string() : undefined;
}

export function voidBody(): Buffer {
  return new BodyWriter(4).int(resultKinds.void).done();
}

export function setKeyspaceBody(keyspace: string): Buffer {
  return new BodyWriter(64).int(resultKinds.setKeyspace).string(keyspace).done();
}

export interface RowColumn {
  readonly name: string;
  /** Type ids: of the column, and of its elements. */
  readonly type: readonly number[];
}

export interface RowsOf {
  readonly keyspace: string;
  readonly table: string;
  readonly columns: readonly RowColumn[];
}

function writeRowsMetadata(out: BodyWriter, { keyspace, table, columns }: RowsOf): void {
  out.int(rowsFlags.globalTable).int(columns.length).string(keyspace).string(table);
  for (const { name, type } of columns) {
    out.string(name);
    for (const id of type) out.short(id);
  }
}

export function rowsBody(shape: RowsOf, rows: readonly (readonly (Buffer | undefined)[])[]): Buffer {
  const out = new BodyWriter(1024).int(resultKinds.rows);
  writeRowsMetadata(out, shape);
  out.int(rows.length);
  for (const row of rows) for (const cell of row) out.bytes(cell);
  return out.done();
}

/** A prepared statement of the proxy's own: `values` are the columns of its bind markers. */
export function preparedBody(id: Buffer, version: number, values: RowsOf, rows: RowsOf): Buffer {
  const out = new BodyWriter(1024).int(resultKinds.prepared).shortBytes(id).int(values.columns.length > 0 ? rowsFlags.globalTable : 0).int(values.columns.length);
  if (version >= 4) out.int(0);
  if (values.columns.length > 0) {
    out.string(values.keyspace).string(values.table);
    for (const { name, type } of values.columns) {
      out.string(name);
      for (const typeId of type) out.short(typeId);
    }
  }
  writeRowsMetadata(out, rows);
  return out.done();
}

/** Rows of a result, each cell's bytes as latin1 text: for the proxy's own questions. Null is ''. */
export function readTextRows(reader: BodyReader): string[][] {
  if (reader.int() !== resultKinds.rows) return [];
  const flags = reader.int();
  const count = reader.int();
  if ((flags & rowsFlags.hasMorePages) !== 0) reader.skipBytes();
  if ((flags & rowsFlags.noMetadata) === 0) readColumns(reader, flags, count);
  return Array.from({ length: reader.int() }, () => Array.from({ length: count }, () => reader.bytes()?.toString('latin1') ?? ''));
}

/** What a result's rows are, without what stands before them: names, types, and where the next page begins. */
export interface RowsPart {
  readonly hasMore: boolean;
  readonly count: number;
  /** A copy. */
  readonly bytes: Buffer;
}

/** Undefined for a result of another kind. */
export function readRowsPart(buffer: Buffer, start: number, end: number): RowsPart | undefined {
  const reader = new BodyReader(buffer, start, end);
  if (reader.int() !== resultKinds.rows) return undefined;
  const flags = reader.int();
  const columns = reader.int();
  const hasMore = (flags & rowsFlags.hasMorePages) !== 0;
  if (hasMore) reader.skipBytes();
  if ((flags & rowsFlags.noMetadata) === 0) readColumns(reader, flags, columns);
  const count = reader.int();
  return { hasMore, count, bytes: Buffer.from(buffer.subarray(reader.at, end)) };
}
