/**
 * Reads pgoutput messages, protocol version 1, text format
 * (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).
 *
 * The hot path never turns a tuple into strings: a tuple is a place in a buffer, and the functions here find their way
 * around in it. A value is stored as kind byte (`t`, `n`, `u`), then for `t` a 32-bit length and the bytes.
 */
import type { Change, Relation, TextValue, Tuple } from '../change.ts';

export const messageKind = {
  begin: 0x42, commit: 0x43, origin: 0x4f, relation: 0x52, type: 0x59, insert: 0x49, update: 0x55, delete: 0x44, truncate: 0x54,
} as const;

export const tupleKind = { new: 0x4e, key: 0x4b, old: 0x4f } as const;
export const valueKind = { text: 0x74, null: 0x6e, unchanged: 0x75 } as const;

export interface BeginMessage {
  /** Start of the commit record: below the end that `CommitMessage` tells. */
  readonly commitLsn: bigint;
  /** Milliseconds since 1970. */
  readonly committedAtMs: number;
  readonly transactionId: number;
}

export interface CommitMessage {
  readonly commitLsn: bigint;
  /** Where the next record begins: the transaction's position. */
  readonly endLsn: bigint;
}

const MS_FROM_1970_TO_2000 = 946_684_800_000;

export function readBegin(buffer: Buffer, at: number): BeginMessage {
  return {
    commitLsn: buffer.readBigUInt64BE(at + 1),
    // As a number it is exact for some 285 years to either side.
    committedAtMs: Math.trunc((buffer.readInt32BE(at + 9) * 2 ** 32 + uint32(buffer, at + 13)) / 1000) + MS_FROM_1970_TO_2000,
    transactionId: buffer.readUInt32BE(at + 17),
  };
}

export function readCommit(buffer: Buffer, at: number): CommitMessage {
  return { commitLsn: buffer.readBigUInt64BE(at + 2), endLsn: buffer.readBigUInt64BE(at + 10) };
}

const identities: Readonly<Record<string, Relation['replicaIdentity']>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

export function readRelation(buffer: Buffer, at: number): Relation {
  const oid = buffer.readUInt32BE(at + 1);
  const schema = readCString(buffer, at + 5);
  const name = readCString(buffer, schema.end);
  const replicaIdentity = identities[String.fromCharCode(buffer[name.end] ?? 0)] ?? 'default';
  const count = buffer.readUInt16BE(name.end + 1);
  const columns: { name: string; typeOid: number; typmod: number; inKey: boolean }[] = [];
  let next = name.end + 3;
  for (let index = 0; index < count; index += 1) {
    const inKey = ((buffer[next] ?? 0) & 1) === 1;
    const column = readCString(buffer, next + 1);
    columns.push({ name: column.text, typeOid: buffer.readUInt32BE(column.end), typmod: buffer.readInt32BE(column.end + 4), inKey });
    next = column.end + 8;
  }
  return { oid, schema: schema.text === '' ? 'pg_catalog' : schema.text, name: name.text, replicaIdentity, columns };
}

interface SlicingBuffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/** Node's own slices skip the argument checks of `toString`; its types leave them out. */
export function latin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as unknown as SlicingBuffer).latin1Slice(start, end);
}

export function utf8(buffer: Buffer, start: number, end: number): string {
  return (buffer as unknown as SlicingBuffer).utf8Slice(start, end);
}

function readCString(buffer: Buffer, at: number): { text: string; end: number } {
  const zero = buffer.indexOf(0, at);
  if (zero < 0) throw new RangeError('pgoutput: text without its end');
  return { text: utf8(buffer, at, zero), end: zero + 1 };
}

export interface TruncateMessage {
  readonly relationOids: readonly number[];
  readonly cascade: boolean;
  readonly restartIdentity: boolean;
}

export function readTruncate(buffer: Buffer, at: number): TruncateMessage {
  const count = buffer.readUInt32BE(at + 1);
  const flags = buffer[at + 5] ?? 0;
  const relationOids = Array.from({ length: count }, (_, index) => buffer.readUInt32BE(at + 6 + index * 4));
  return { relationOids, cascade: (flags & 1) === 1, restartIdentity: (flags & 2) === 2 };
}

/** Where the parts of a row change lie; `oldAt` and `newAt` point at a tuple's column count, −1 where there is none. */
export interface RowPlace {
  readonly oldAt: number;
  readonly oldIsKeyOnly: boolean;
  readonly newAt: number;
}

/** `at` is the message's kind byte: insert, update or delete. */
export function locateRow(buffer: Buffer, at: number): RowPlace {
  const kind = buffer[at + 5];
  if (kind === tupleKind.new) return { oldAt: -1, oldIsKeyOnly: false, newAt: at + 6 };
  const oldIsKeyOnly = kind === tupleKind.key;
  if (buffer[at] === messageKind.delete) return { oldAt: at + 6, oldIsKeyOnly, newAt: -1 };
  return { oldAt: at + 6, oldIsKeyOnly, newAt: skipTuple(buffer, at + 6) + 1 };
}

/** The offset behind the tuple at `at`. */
export function skipTuple(buffer: Buffer, at: number): number {
  let left = uint16(buffer, at);
  let next = at + 2;
  for (; left > 0; left -= 1) next = skipValue(buffer, next);
  return next;
}

export function skipValue(buffer: Buffer, at: number): number {
  return buffer[at] === valueKind.text ? at + 5 + uint32(buffer, at + 1) : at + 1;
}

export function uint16(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
}

export function uint32(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) * 0x1000000) + (((buffer[at + 1] as number) << 16) | ((buffer[at + 2] as number) << 8) | (buffer[at + 3] as number));
}

/** True when the source left a value out because it did not change and is stored out of line. */
export function hasUnchanged(buffer: Buffer, at: number): boolean {
  let left = uint16(buffer, at);
  let next = at + 2;
  for (; left > 0; left -= 1) {
    if (buffer[next] === valueKind.unchanged) return true;
    next = skipValue(buffer, next);
  }
  return false;
}

/** A tuple as values; for messages, logs and slow paths. */
export function readTuple(buffer: Buffer, at: number): Tuple {
  const values: TextValue[] = [];
  let left = uint16(buffer, at);
  let next = at + 2;
  for (; left > 0; left -= 1) {
    const kind = buffer[next];
    if (kind === valueKind.text) values.push(utf8(buffer, next + 5, next + 5 + uint32(buffer, next + 1)));
    else values.push(kind === valueKind.null ? null : undefined);
    next = skipValue(buffer, next);
  }
  return values;
}

/** Writes a tuple in the same form, for merged and re-read rows. */
export function writeTuple(values: Tuple): Buffer {
  const parts: Buffer[] = [Buffer.from([values.length >> 8, values.length & 0xff])];
  for (const value of values) {
    if (value === null || value === undefined) {
      parts.push(Buffer.from([value === null ? valueKind.null : valueKind.unchanged]));
      continue;
    }
    const bytes = Buffer.from(value);
    const head = Buffer.alloc(5);
    head[0] = valueKind.text;
    head.writeUInt32BE(bytes.length, 1);
    parts.push(head, bytes);
  }
  return Buffer.concat(parts);
}

export type PgoutputMessage =
  | { readonly kind: 'begin'; readonly begin: BeginMessage }
  | { readonly kind: 'commit'; readonly commit: CommitMessage }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'other' };

/** The whole message as values. `relations` are the ones seen before in this session. */
export function readMessage(buffer: Buffer, at: number, relations: ReadonlyMap<number, Relation>): PgoutputMessage {
  const relationOf = (oid: number): Relation => {
    const relation = relations.get(oid);
    if (!relation) throw new RangeError(`pgoutput: relation ${oid} was not described before its change`);
    return relation;
  };
  switch (buffer[at]) {
    case messageKind.begin:
      return { kind: 'begin', begin: readBegin(buffer, at) };
    case messageKind.commit:
      return { kind: 'commit', commit: readCommit(buffer, at) };
    case messageKind.relation:
      return { kind: 'relation', relation: readRelation(buffer, at) };
    case messageKind.truncate: {
      const { relationOids, cascade, restartIdentity } = readTruncate(buffer, at);
      return { kind: 'change', change: { op: 'truncate', relations: relationOids.map(relationOf), cascade, restartIdentity } };
    }
    case messageKind.insert:
    case messageKind.update:
    case messageKind.delete:
      return { kind: 'change', change: readRowChange(buffer, at, relationOf(uint32(buffer, at + 1))) };
    default:
      return { kind: 'other' };
  }
}

function readRowChange(buffer: Buffer, at: number, relation: Relation): Change {
  const { oldAt, oldIsKeyOnly, newAt } = locateRow(buffer, at);
  if (buffer[at] === messageKind.insert) return { op: 'insert', relation, new: readTuple(buffer, newAt) };
  if (buffer[at] === messageKind.delete) return { op: 'delete', relation, old: readTuple(buffer, oldAt), oldIsKeyOnly };
  return { op: 'update', relation, old: oldAt < 0 ? undefined : readTuple(buffer, oldAt), oldIsKeyOnly, new: readTuple(buffer, newAt) };
}
