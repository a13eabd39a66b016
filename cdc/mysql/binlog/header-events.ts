/** Events that say where a transaction begins and ends, and what it is called. */
import { isAscii } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { eventType, HEADER_BYTES } from './event.ts';
import { formatUuid } from './gtid-set.ts';
import type { UuidText } from './gtid-set.ts';
import { decompress } from './rows-event.ts';

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Format__description__event.html */
export interface FormatDescription {
  readonly hasChecksums: boolean;
}

const VERSION_BYTES = 50;
const ALGORITHM_AND_CHECKSUM = 5;
const CRC32 = 1;

/** `event`: with its header, and with the checksum that this event always has. */
export function readFormatDescription(event: Buffer): FormatDescription {
  const format = event.readUInt16LE(HEADER_BYTES);
  const headerBytes = event[HEADER_BYTES + 2 + VERSION_BYTES + 4] ?? 0;
  const lengthsAt = HEADER_BYTES + 2 + VERSION_BYTES + 5;
  const tableMapHead = event[lengthsAt + eventType.tableMap - 1] ?? 0;
  if (format !== 4 || headerBytes !== HEADER_BYTES || tableMapHead !== 8) throw new RangeError(`the binlog has format ${format} with headers of ${headerBytes} bytes, which is older than MySQL 5.6`);
  return { hasChecksums: event[event.length - ALGORITHM_AND_CHECKSUM] === CRC32 };
}

export function readRotate(body: Buffer): { readonly file: string; readonly offset: number } {
  return { offset: Number(body.readBigUInt64LE(0)), file: body.toString('utf8', 8) };
}

export interface QueryEvent {
  readonly text: string;
  readonly database: string;
  /** The text's bytes and their collation, where its character set matters. */
  readonly written: { readonly bytes: Buffer; readonly collation: number } | undefined;
}

const QUERY_HEAD = 13;
/** LOAD DATA logged as a statement: the same, with the place of the file's name in it. */
export const LOAD_QUERY_HEAD = 26;

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html */
export function readQuery(body: Buffer, isCompressed = false, headBytes = QUERY_HEAD): QueryEvent {
  const databaseLength = body[8] ?? 0;
  const databaseAt = headBytes + body.readUInt16LE(11);
  const textAt = databaseAt + databaseLength + 1;
  const rest = body.subarray(textAt);
  const bytes = isCompressed ? decompress(rest) : rest;
  const collation = isAscii(bytes) ? undefined : clientCollation(body.subarray(headBytes, databaseAt));
  return { database: body.toString('utf8', databaseAt, databaseAt + databaseLength), text: bytes.toString('utf8'), written: collation === undefined ? undefined : { bytes, collation } };
}

/** Variables of the session that come before its character set: code and length of the value; a text has its own length before it. */
const valueBytes: ReadonlyMap<number, number | 'text'> = new Map<number, number | 'text'>([[0, 4], [1, 8], [3, 4], [6, 'text']]);
const CHARSET_CODE = 4;

function clientCollation(status: Buffer): number | undefined {
  for (let at = 0; at < status.length; ) {
    const code = status[at] ?? 0;
    if (code === CHARSET_CODE) return status.readUInt16LE(at + 1);
    const bytes = valueBytes.get(code);
    if (bytes === undefined) return undefined;
    at += 1 + (bytes === 'text' ? 1 + (status[at + 1] ?? 0) : bytes);
  }
  return undefined;
}

export interface MysqlGtid {
  readonly uuid: string;
  readonly tag: string;
  readonly number: bigint;
  /** Undefined on servers before MySQL 8. */
  readonly committedAtMs: number | undefined;
}

const LOGICAL_CLOCK = 2;

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html */
export function readGtid(body: Buffer, uuids: UuidText): MysqlGtid {
  const uuid = uuids.of(body, 1);
  const number = body.readBigUInt64LE(17);
  const timeAt = body[25] === LOGICAL_CLOCK ? 42 : body.length;
  if (body.length < timeAt + 7) return { uuid, tag: '', number, committedAtMs: undefined };
  // 55 bits; the highest of the seven bytes says that the first server's own time follows.
  const micros = body.readUIntLE(timeAt, 6) + ((body[timeAt + 6] ?? 0) & 0x7f) * 2 ** 48;
  return { uuid, tag: '', number, committedAtMs: Math.trunc(micros / 1000) };
}

/** Fields with numbers of their own, integers of variable length: https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html */
export function readTaggedGtid(body: Buffer): MysqlGtid {
  const cursor = new Cursor().point(body, 0, body.length);
  readVariable(cursor);
  const end = Number(readVariable(cursor));
  readVariable(cursor);
  let uuid = '';
  let number = 0n;
  let tag = '';
  let committedAtMs: number | undefined;
  // Fields come in the order of their numbers; those behind the times are of no use here.
  while (cursor.at < end && committedAtMs === undefined) {
    const field = Number(readVariable(cursor));
    switch (field) {
      case 1:
        uuid = formatUuid(Buffer.from(Array.from({ length: 16 }, () => Number(readVariable(cursor)))));
        break;
      case 2:
        number = readSignedVariable(cursor);
        break;
      case 3:
        tag = cursor.text(Number(readVariable(cursor)));
        break;
      case 6:
        committedAtMs = Number(readVariable(cursor) / 1000n);
        break;
      default:
        readVariable(cursor);
    }
  }
  return { uuid, tag, number, committedAtMs };
}

/** As many low bits as further bytes are set in the first one, then a zero; nine bytes have none. */
function readVariable(cursor: Cursor): bigint {
  const first = cursor.uint8();
  let more = 0;
  while (more < 8 && ((first >> more) & 1) === 1) more += 1;
  if (more === 8) return cursor.uint64();
  let value = BigInt(first >> (more + 1));
  for (let index = 0; index < more; index += 1) value |= BigInt(cursor.uint8()) << BigInt(7 - more + index * 8);
  return value;
}

function readSignedVariable(cursor: Cursor): bigint {
  const value = readVariable(cursor);
  return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n;
}

export interface MariadbGtidEvent {
  readonly sequence: bigint;
  readonly domain: number;
  /** One statement that is logged as its text, without a transaction around it. */
  readonly isStandalone: boolean;
  /** Ends with XA PREPARE. */
  readonly isPrepared: boolean;
  /** Says that an ALTER TABLE begins, or that one has been given up: what it does comes with another group, if it comes. */
  readonly isNoChange: boolean;
}

const mariadbFlag = { standalone: 1, groupCommit: 2, preparedXa: 64, completedXa: 128 } as const;
const mariadbExtraFlag = { startAlter: 2, rollbackAlter: 8 } as const;

/** https://mariadb.com/kb/en/gtid_event/ */
export function readMariadbGtid(body: Buffer): MariadbGtidEvent {
  const flags = body[12] ?? 0;
  let extraAt = 13 + ((flags & mariadbFlag.groupCommit) === 0 ? 0 : 8);
  if ((flags & (mariadbFlag.preparedXa | mariadbFlag.completedXa)) !== 0) extraAt += 6 + (body[extraAt + 4] ?? 0) + (body[extraAt + 5] ?? 0);
  const extra = body[extraAt] ?? 0;
  return {
    sequence: body.readBigUInt64LE(0), domain: body.readUInt32LE(8), isStandalone: (flags & mariadbFlag.standalone) !== 0, isPrepared: (flags & mariadbFlag.preparedXa) !== 0,
    isNoChange: (extra & (mariadbExtraFlag.startAlter | mariadbExtraFlag.rollbackAlter)) !== 0,
  };
}

/** Whether it is in fact the commit in one phase; format, lengths of the two parts of the name, and the parts. */
export function readXaPrepare(body: Buffer): { readonly isOnePhase: boolean; readonly xid: string } {
  return { isOnePhase: body[0] !== 0, xid: formatXid(body.readUInt32LE(1), body.subarray(13), body.readUInt32LE(5), body.readUInt32LE(9)) };
}

/** As the server writes it in XA COMMIT and XA ROLLBACK. */
function formatXid(format: number, parts: Buffer, globalLength: number, branchLength: number): string {
  return `X'${parts.toString('hex', 0, globalLength)}',X'${parts.toString('hex', globalLength, globalLength + branchLength)}',${format}`;
}
