/** What `bench cql` says to a cluster, and what a cluster says: one table of five columns, a row written, a row read. */
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { HEADER_BYTES, makeFrame, opcodes } from '../../../src/wire/cql/frame.ts';
import { queryFlags } from '../../../src/wire/cql/request-body.ts';
import { rowsFlags } from '../../../src/wire/cql/result-body.ts';

export const workloads = ['write', 'read', 'mixed'] as const;
export type Workload = (typeof workloads)[number];

export const KEYSPACE = 'ks';
export const TABLE = 't';
export const insertText = `INSERT INTO ${KEYSPACE}.${TABLE} (k, name, number, ratio, note) VALUES (?, ?, ?, ?, ?)`;
export const selectText = `SELECT k, name, number, ratio, note FROM ${KEYSPACE}.${TABLE} WHERE k = ?`;

const ONE = 0x0001;
export const VERSION = 4;

/** Values of a row; 48 bytes, with their lengths 68. */
const row: readonly Buffer[] = [Buffer.from([0, 0, 0, 1]), Buffer.from('a name of 16 b..'), Buffer.from([0, 0, 0, 7]), Buffer.alloc(8, 1), Buffer.from('16 bytes of text')];
/** Types of the columns: int, text, int, double, text. */
export const columns: readonly (readonly [name: string, type: number])[] = [['k', 0x09], ['name', 0x0d], ['number', 0x09], ['ratio', 0x07], ['note', 0x0d]];

export interface ExecuteFrame {
  /** Its stream id is 0. */
  readonly bytes: Buffer;
  /** Of the key's four bytes. */
  readonly keyAt: number;
}

/** `timestamp`: microseconds of the client's own, as drivers send them; undefined: the cluster's, or the proxy's. */
export function executeFrame(id: Buffer, isWrite: boolean, timestamp: bigint | undefined): ExecuteFrame {
  const values = isWrite ? row : row.slice(0, 1);
  const out = new BodyWriter(256).shortBytes(id).short(ONE).byte(queryFlags.values | queryFlags.skipMetadata | (isWrite && timestamp !== undefined ? queryFlags.timestamp : 0)).short(values.length);
  const keyAt = HEADER_BYTES + out.length + 4;
  for (const value of values) out.bytes(value);
  if (isWrite && timestamp !== undefined) out.long(timestamp);
  return { bytes: makeFrame({ version: VERSION, stream: 0, opcode: opcodes.execute }, out.done()), keyAt };
}

/** A row without a description of its columns. */
export function rowAnswerBody(): Buffer {
  const out = new BodyWriter(256).int(2).int(rowsFlags.noMetadata).int(columns.length).int(1);
  for (const value of row) out.bytes(value);
  return out.done();
}

/** PREPARED: the id, the markers, the rows. */
export function preparedAnswerBody(id: Buffer, version: number, isWrite: boolean): Buffer {
  const describe = (out: BodyWriter, described: typeof columns): BodyWriter => {
    out.string(KEYSPACE).string(TABLE);
    for (const [name, type] of described) out.string(name).short(type);
    return out;
  };
  const bound = isWrite ? columns : columns.slice(0, 1);
  const out = new BodyWriter(512).int(4).shortBytes(id).int(rowsFlags.globalTable).int(bound.length);
  if (version >= 4) out.int(1).short(0);
  describe(out, bound);
  if (isWrite) out.int(rowsFlags.noMetadata).int(0);
  else describe(out.int(rowsFlags.globalTable).int(columns.length), columns);
  return out.done();
}
