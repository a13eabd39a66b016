/**
 * The bytes of the intent log.
 *
 * A segment is a run of records: `check u32 | magic u16 | kind u8 | opcode u8 | length u32 | ticket f64 | payload`; the checksum covers everything behind
 * itself. The magic lets a reader find the next record behind one whose length is damaged, and says which checksum it has: CRC-32, or in intents, of which
 * there are many, the cheaper one of `mixed-check.ts`. In segments of format 1 all have CRC-32. All numbers are big-endian.
 *
 *   head       version u32                                                     ticket = first ticket of the segment
 *   origin     number u32 | protocol u8 | keyspace | user                      each text behind its u32 length
 *   statement  number u32 | id 16 bytes | keyspace | text
 *   intent     owes u8 | order u32 | at f64 | origin u32 | count u16 | count × statement u32 | body
 *   seal       empty                                                           ticket = first ticket behind the segment
 *
 * Origins and statements are written once per segment, before the first intent that names them: a segment can be read without the others.
 *
 * How an intent ended is in a second file beside the segment, in records of eight bytes: `index u32 | what u8 | owes u8 | check u16`.
 */
import { crc32 } from 'node:zlib';
import type { Intent, IntentOrigin, IntentStatement } from './intent-log.ts';
import { mixedCheck } from './mixed-check.ts';

export const HEAD_BYTES = 20;
export const END_BYTES = 8;
const MAGIC = 0xc71d;
/** Of records with a mixed check. */
const MIXED_MAGIC = 0xc71e;
const FORMAT = 2;
const OLDEST_FORMAT = 1;

export const RecordKind = { head: 1, origin: 2, statement: 3, intent: 4, seal: 5 } as const;
export const EndKind = { settled: 1, cancelled: 2, owes: 3 } as const;

/** Offset of `owes` in an intent's payload. */
const INTENT_FIXED_BYTES = 1 + 4 + 8 + 4 + 2;
export const LONGEST_RECORD_BYTES = 512 * 1024 * 1024;

export function intentBytes(statements: number, body: number): number {
  return HEAD_BYTES + INTENT_FIXED_BYTES + 4 * statements + body;
}

/** Under which numbers a segment has its statements. */
export interface StatementNumbers {
  statementNumber(statement: IntentStatement): number;
}

/** A buffer that grows; what is written to it in one turn of the loop goes to disk in one write. */
export class RecordBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  length = 0;
  #view = viewOf(this.bytes);

  clear(): void {
    this.length = 0;
    // One large body must not hold its memory for ever.
    if (this.bytes.length > 4 * 1024 * 1024) this.#use(Buffer.allocUnsafeSlow(64 * 1024));
  }

  #use(bytes: Buffer): void {
    this.bytes = bytes;
    this.#view = viewOf(bytes);
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + bytes));
    this.bytes.copy(larger, 0, 0, this.length);
    this.#use(larger);
  }

  /** `body[from, end)`. Once per write: through a view, which costs less than the methods of a buffer. All statements have a number. */
  intent(ticket: number, opcode: number, owes: number, order: number, atMs: number, origin: number, statements: readonly IntentStatement[], names: StatementNumbers, body: Buffer, from: number, end: number): void {
    const payload = INTENT_FIXED_BYTES + 4 * statements.length + end - from;
    this.#room(HEAD_BYTES + payload);
    const view = this.#view;
    const at = this.length;
    view.setUint16(at + 4, MIXED_MAGIC);
    view.setUint8(at + 6, RecordKind.intent);
    view.setUint8(at + 7, opcode);
    view.setUint32(at + 8, payload);
    view.setFloat64(at + 12, ticket);
    let next = at + HEAD_BYTES;
    view.setUint8(next, owes);
    view.setUint32(next + 1, order);
    view.setFloat64(next + 5, atMs);
    view.setUint32(next + 13, origin);
    view.setUint16(next + 17, statements.length);
    next += INTENT_FIXED_BYTES;
    for (const statement of statements) {
      view.setUint32(next, names.statementNumber(statement));
      next += 4;
    }
    body.copy(this.bytes, next, from, end);
    this.length = at + HEAD_BYTES + payload;
    view.setUint32(at, mixedCheck(view, at + 4, this.length));
  }

  origin(number: number, origin: IntentOrigin): void {
    const keyspace = Buffer.from(origin.keyspace);
    const user = Buffer.from(origin.user);
    const at = this.#begin(RecordKind.origin, 0, 0, 5 + 8 + keyspace.length + user.length);
    this.bytes.writeUInt32BE(number, at + HEAD_BYTES);
    this.bytes[at + HEAD_BYTES + 4] = origin.version;
    this.#text(this.#text(at + HEAD_BYTES + 5, keyspace), user);
    this.#end(at);
  }

  statement(number: number, statement: IntentStatement): void {
    if (statement.id.length !== 16) throw new RangeError('prepared ids of the proxy have 16 bytes');
    const keyspace = Buffer.from(statement.keyspace);
    const text = Buffer.from(statement.text);
    const at = this.#begin(RecordKind.statement, 0, 0, 20 + 8 + keyspace.length + text.length);
    this.bytes.writeUInt32BE(number, at + HEAD_BYTES);
    statement.id.copy(this.bytes, at + HEAD_BYTES + 4);
    this.#text(this.#text(at + HEAD_BYTES + 20, keyspace), text);
    this.#end(at);
  }

  head(firstTicket: number): void {
    const at = this.#begin(RecordKind.head, 0, firstTicket, 4);
    this.bytes.writeUInt32BE(FORMAT, at + HEAD_BYTES);
    this.#end(at);
  }

  seal(nextTicket: number): void {
    this.#end(this.#begin(RecordKind.seal, 0, nextTicket, 0));
  }

  #begin(kind: number, opcode: number, ticket: number, payload: number): number {
    this.#room(HEAD_BYTES + payload);
    const at = this.length;
    this.bytes.writeUInt16BE(MAGIC, at + 4);
    this.bytes[at + 6] = kind;
    this.bytes[at + 7] = opcode;
    this.bytes.writeUInt32BE(payload, at + 8);
    this.bytes.writeDoubleBE(ticket, at + 12);
    this.length = at + HEAD_BYTES + payload;
    return at;
  }

  #text(at: number, text: Buffer): number {
    this.bytes.writeUInt32BE(text.length, at);
    text.copy(this.bytes, at + 4);
    return at + 4 + text.length;
  }

  #end(at: number): void {
    this.bytes.writeUInt32BE(crc32(this.bytes.subarray(at + 4, this.length)), at);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export interface LogRecord {
  readonly kind: number;
  readonly opcode: number;
  readonly ticket: number;
  readonly payload: Buffer;
  readonly end: number;
}

/** The record at `offset`, or why there is none: `short` when the bytes end before it does, `bad` when they are not what was written. */
export function readRecord(bytes: Buffer, offset: number): LogRecord | 'short' | 'bad' {
  if (offset + HEAD_BYTES > bytes.length) return 'short';
  const magic = bytes.readUInt16BE(offset + 4);
  if (magic !== MAGIC && magic !== MIXED_MAGIC) return 'bad';
  const length = bytes.readUInt32BE(offset + 8);
  if (length > LONGEST_RECORD_BYTES) return 'bad';
  const end = offset + HEAD_BYTES + length;
  if (end > bytes.length) return 'short';
  const check = magic === MAGIC ? crc32(bytes.subarray(offset + 4, end)) : mixedCheck(viewOf(bytes), offset + 4, end);
  if (check !== bytes.readUInt32BE(offset)) return 'bad';
  return { kind: bytes[offset + 6] ?? 0, opcode: bytes[offset + 7] ?? 0, ticket: bytes.readDoubleBE(offset + 12), payload: bytes.subarray(offset + HEAD_BYTES, end), end };
}

/** Offset of the next whole record at or behind `from`, or -1. */
export function findRecord(bytes: Buffer, from: number): number {
  // The first byte of either magic; the rest is looked at with the record.
  const first = MAGIC >> 8;
  for (let at = bytes.indexOf(first, from + 4); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (typeof readRecord(bytes, at - 4) === 'object') return at - 4;
  }
  return -1;
}

export function formatOf(record: LogRecord): boolean {
  const format = record.kind === RecordKind.head && record.payload.length === 4 ? record.payload.readUInt32BE(0) : 0;
  return format >= OLDEST_FORMAT && format <= FORMAT;
}

export function readOrigin({ payload }: LogRecord): { readonly number: number; readonly origin: IntentOrigin } {
  const [keyspace, next] = readText(payload, 5);
  return { number: payload.readUInt32BE(0), origin: { version: payload[4] ?? 0, keyspace, user: readText(payload, next)[0] } };
}

export function readStatement({ payload }: LogRecord): { readonly number: number; readonly statement: IntentStatement } {
  const [keyspace, next] = readText(payload, 20);
  return { number: payload.readUInt32BE(0), statement: { id: Buffer.from(payload.subarray(4, 20)), keyspace, text: readText(payload, next)[0] } };
}

function readText(payload: Buffer, at: number): readonly [string, number] {
  const end = at + 4 + payload.readUInt32BE(at);
  return [payload.toString('utf8', at + 4, end), end];
}

export interface IntentParts {
  readonly owes: number;
  readonly order: number;
  readonly atMs: number;
  readonly origin: number;
  readonly statements: readonly number[];
  readonly body: Buffer;
}

export function readIntent({ payload }: LogRecord): IntentParts {
  const count = payload.readUInt16BE(17);
  return {
    owes: payload[0] ?? 0,
    order: payload.readUInt32BE(1),
    atMs: payload.readDoubleBE(5),
    origin: payload.readUInt32BE(13),
    statements: Array.from({ length: count }, (_, index) => payload.readUInt32BE(INTENT_FIXED_BYTES + 4 * index)),
    body: payload.subarray(INTENT_FIXED_BYTES + 4 * count),
  };
}

/** The number of an execution's statement, without reading the rest; −1 when there is none. */
export function onlyStatement({ payload }: LogRecord): number {
  return payload.readUInt16BE(17) === 0 ? -1 : payload.readUInt32BE(INTENT_FIXED_BYTES);
}

/** The names of origins and statements of one segment. */
export interface SegmentNames {
  readonly origins: readonly IntentOrigin[];
  readonly statements: readonly IntentStatement[];
}

/** Undefined when the record names an origin or a statement that the segment does not have. */
export function nameIntent(record: LogRecord, parts: IntentParts, owes: number, names: SegmentNames): Intent | undefined {
  const origin = names.origins[parts.origin];
  const statements = parts.statements.flatMap((number) => names.statements[number] ?? []);
  if (!origin || statements.length !== parts.statements.length) return undefined;
  return { ticket: record.ticket, opcode: record.opcode, owes, order: parts.order, atMs: parts.atMs, origin, statements, body: parts.body };
}

export function writeEnd(bytes: Buffer, at: number, index: number, what: number, owes: number): void {
  bytes.writeUInt32BE(index, at);
  bytes[at + 4] = what;
  bytes[at + 5] = owes;
  bytes.writeUInt16BE(checkOfEnd(bytes, at), at + 6);
}

export interface EndRecord {
  readonly index: number;
  readonly what: number;
  readonly owes: number;
}

export function readEnd(bytes: Buffer, at: number): EndRecord | undefined {
  if (bytes.readUInt16BE(at + 6) !== checkOfEnd(bytes, at)) return undefined;
  return { index: bytes.readUInt32BE(at), what: bytes[at + 4] ?? 0, owes: bytes[at + 5] ?? 0 };
}

/** Never 0 for eight zero bytes, which is what a hole in a file reads as. */
function checkOfEnd(bytes: Buffer, at: number): number {
  let sum = 0x5a5a;
  for (let index = at; index < at + 6; index += 1) sum = ((sum * 31) ^ (bytes[index] ?? 0)) & 0xffff;
  return sum;
}
