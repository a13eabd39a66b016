/**
 * Events of a binlog and the types of its columns.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/namespacemysql_1_1binlog_1_1event.html, https://mariadb.com/kb/en/replication-protocol/
 */
import { crc32 } from 'node:zlib';

export const eventType = {
  query: 2, stop: 3, rotate: 4, intvar: 5, rand: 13, userVar: 14, formatDescription: 15, xid: 16, beginLoadQuery: 17, executeLoadQuery: 18, tableMap: 19,
  writeRowsV1: 23, updateRowsV1: 24, deleteRowsV1: 25, incident: 26, heartbeat: 27, ignorable: 28, rowsQuery: 29, writeRows: 30, updateRows: 31, deleteRows: 32,
  gtid: 33, anonymousGtid: 34, previousGtids: 35, transactionContext: 36, viewChange: 37, xaPrepare: 38, partialUpdateRows: 39, transactionPayload: 40, heartbeatV2: 41, gtidTagged: 42,
  annotateRows: 160, binlogCheckpoint: 161, mariadbGtid: 162, mariadbGtidList: 163, startEncryption: 164, queryCompressed: 165,
  writeRowsCompressedV1: 166, updateRowsCompressedV1: 167, deleteRowsCompressedV1: 168, writeRowsCompressed: 169, updateRowsCompressed: 170, deleteRowsCompressed: 171,
} as const;

export const columnType = {
  decimal: 0, tiny: 1, short: 2, long: 3, float: 4, double: 5, null: 6, timestamp: 7, longLong: 8, int24: 9, date: 10, time: 11, datetime: 12, year: 13, newDate: 14, varchar: 15, bit: 16,
  timestamp2: 17, datetime2: 18, time2: 19, typedArray: 20, blobCompressed: 140, varcharCompressed: 141, vector: 242, json: 245, newDecimal: 246, enum: 247, set: 248, tinyBlob: 249, mediumBlob: 250,
  longBlob: 251, blob: 252, varString: 253, string: 254, geometry: 255,
} as const;

export interface CheckedEvent {
  readonly event: Buffer;
  /** Without header and checksum. */
  readonly body: Buffer;
}

export const HEADER_BYTES = 19;
export const CHECKSUM_BYTES = 4;
/** The server made the event up: it is in no file. */
export const ARTIFICIAL = 0x20;

/** Of an event with its header; offsets by https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Log__event__header.html */
export function typeOf(event: Buffer): number {
  return event[4] ?? 0;
}

export function writtenAtMs(event: Buffer): number {
  return event.readUInt32LE(0) * 1000;
}

export function serverIdOf(event: Buffer): number {
  return event.readUInt32LE(5);
}

/** Where the next event begins, without the bits above 32; 0 for an event that is in no file. */
export function nextOffset(event: Buffer): number {
  return event.readUInt32LE(13);
}

export function flagsOf(event: Buffer): number {
  return event.readUInt16LE(17);
}

export function hasGoodChecksum(event: Buffer): boolean {
  const end = event.length - CHECKSUM_BYTES;
  return crc32(event.subarray(0, end)) === event.readUInt32LE(end);
}
