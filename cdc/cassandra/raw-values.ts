/**
 * The driver's rows as the bytes that the server sent.
 *
 * What is read from one cluster is written to another or compared with it: as JavaScript values a timestamp beyond a Date, a NaN's bits, an empty int or a map's
 * order would not survive, and two conversions would cost most of the time. Binding needs nothing: the driver writes a Buffer as it is, whatever the type.
 * Reading has no such option, so the driver's row parser is told that every column is a blob, for clients made with `rawEncoding` only, and never for the
 * system keyspaces, from which the driver learns about the cluster.
 */
import { createRequire } from 'node:module';
import cassandra from 'cassandra-driver';

interface ColumnOfResult {
  readonly ksname?: string;
  type: { readonly code: number };
}

interface FrameBeingRead {
  readonly meta: { readonly global_tables_spec?: boolean; readonly keyspace?: string; columns: ColumnOfResult[] };
}

interface RowParser {
  readonly encoder: { readonly encodingOptions: { readonly rawValues?: boolean } };
  parseRows(this: RowParser, frame: FrameBeingRead, reader: unknown): unknown;
}

const { Parser } = createRequire(import.meta.url)('cassandra-driver/lib/streams') as { Parser: { prototype: RowParser } };
const blob = { code: cassandra.types.dataTypes.blob };
const systemKeyspaces = new Set(['system', 'system_schema', 'system_auth', 'system_distributed', 'system_traces', 'system_views', 'system_virtual_schema', 'system_distributed_everywhere', 'system_replicated_keys']);
const parseRows = Parser.prototype.parseRows;

Parser.prototype.parseRows = function parseRowsRaw(this: RowParser, frame: FrameBeingRead, reader: unknown): unknown {
  const { meta } = frame;
  const keyspace = meta.columns[0]?.ksname ?? meta.keyspace;
  if (this.encoder.encodingOptions.rawValues === true && keyspace !== undefined && !systemKeyspaces.has(keyspace)) {
    // A large answer comes in parts: the second time they are blobs already.
    for (const column of meta.columns) column.type = blob;
  }
  return parseRows.call(this, frame, reader);
};

/** For `ClientOptions.encoding`. The buffers are views of what came from the network: a page is held as a whole or not at all. */
export const rawEncoding = { rawValues: true, copyBuffer: false };

/** A bigint of the server (writetime, token, counter). */
export function readBigint(bytes: Buffer): bigint {
  return bytes.readBigInt64BE(0);
}

export function writeBigint(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

export function writeInt(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
