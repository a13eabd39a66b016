/**
 * Writes changes in the form that every source hands to the stream: pgoutput messages in the frames of `cdc/stream/capture-frames.ts`. Values become
 * local's on the way; a row is written once, into one buffer, and never held as an object behind it.
 *
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import type { Relation } from '../change.ts';
import { messageKind, tupleKind, valueKind } from '../postgres/pgoutput.ts';
import { frameKind, MESSAGE_AT } from '../stream/capture-frames.ts';
import type { Row, Value } from './binlog/transaction.ts';
import type { ConvertText } from './conversion.ts';

/** A value that its conversion refuses. It is written as one that no type of local takes, so that the table stops at this very change, and no other one does. */
export type OnRefused = (relation: Relation, error: unknown) => void;

/** A table as its rows are written now. */
export interface EncodedTable {
  readonly relation: Relation;
  /** For each value of a row; undefined for one that is not carried. */
  readonly toLocal: readonly (ConvertText | undefined)[];
  readonly keyAt: readonly number[];
}

const START_BYTES = 64 * 1024;
/** A larger row than this makes room for itself alone. */
const KEPT_BYTES = 4 * 1024 * 1024;
const MS_FROM_1970_TO_2000 = 946_684_800_000;
const KEEPALIVE_BYTES = 18;
/** Below this, writing unit by unit beats a call into the runtime. */
const SHORT_TEXT = 40;
/** PostgreSQL has no NUL in any text. */
const REFUSED = '\0';
const identityLetter: Readonly<Record<Relation['replicaIdentity'], string>> = { default: 'd', nothing: 'n', full: 'f', index: 'i' };

export class ChangeEncoder {
  readonly #onRefused: OnRefused;
  #out = Buffer.allocUnsafeSlow(START_BYTES);
  #at = 0;
  #frame = 0;

  constructor(onRefused: OnRefused) {
    this.#onRefused = onRefused;
  }

  /** The block that was written; undefined when nothing was. It is the caller's. */
  take(): Buffer | undefined {
    if (this.#at === 0) return undefined;
    // A copy of just its size: blocks wait in a queue that counts no more than that.
    const taken = Buffer.allocUnsafeSlow(this.#at);
    this.#out.copy(taken, 0, 0, this.#at);
    if (this.#out.length > KEPT_BYTES) this.#out = Buffer.allocUnsafeSlow(START_BYTES);
    this.#at = 0;
    return taken;
  }

  /** `position`: at or behind the end of the transaction before, and before this one's end. */
  begin(position: bigint, committedAtMs: number, transactionId: number): void {
    this.#open();
    this.#byte(messageKind.begin);
    this.#long(position);
    this.#moment(committedAtMs);
    this.#int(transactionId);
    this.#close();
  }

  commit(position: bigint, endPosition: bigint, committedAtMs: number): void {
    this.#open();
    this.#byte(messageKind.commit);
    this.#byte(0);
    this.#long(position);
    this.#long(endPosition);
    this.#moment(committedAtMs);
    this.#close();
  }

  relation(relation: Relation): void {
    this.#open();
    this.#byte(messageKind.relation);
    this.#int(relation.oid);
    this.#cString(relation.schema);
    this.#cString(relation.name);
    this.#byte(identityLetter[relation.replicaIdentity].charCodeAt(0));
    this.#short(relation.columns.length);
    for (const column of relation.columns) {
      this.#byte(column.inKey ? 1 : 0);
      this.#cString(column.name);
      this.#int(column.typeOid);
      this.#int(column.typmod >>> 0);
    }
    this.#close();
  }

  insert(table: EncodedTable, row: Row): void {
    this.#open();
    this.#byte(messageKind.insert);
    this.#int(table.relation.oid);
    this.#byte(tupleKind.new);
    this.#tuple(table, row);
    this.#close();
  }

  /** The old row's key goes along only where it is another one. */
  update(table: EncodedTable, before: Row, after: Row): void {
    this.#open();
    this.#byte(messageKind.update);
    this.#int(table.relation.oid);
    if (table.keyAt.some((at) => before[at] !== after[at])) {
      this.#byte(tupleKind.key);
      this.#keyTuple(table, before);
    }
    this.#byte(tupleKind.new);
    this.#tuple(table, after);
    this.#close();
  }

  delete(table: EncodedTable, row: Row): void {
    this.#open();
    this.#byte(messageKind.delete);
    this.#int(table.relation.oid);
    this.#byte(tupleKind.key);
    this.#keyTuple(table, row);
    this.#close();
  }

  truncate(relation: Relation): void {
    this.#open();
    this.#byte(messageKind.truncate);
    this.#int(1);
    this.#byte(0);
    this.#int(relation.oid);
    this.#close();
  }

  /** Everything that commits before it has been sent. */
  keepalive(position: bigint): void {
    this.#reserve(5 + KEEPALIVE_BYTES);
    this.#out.fill(0, this.#at, this.#at + 5 + KEEPALIVE_BYTES);
    this.#out[this.#at] = frameKind.copyData;
    this.#out.writeUInt32BE(4 + KEEPALIVE_BYTES, this.#at + 1);
    this.#out[this.#at + 5] = frameKind.keepalive;
    this.#out.writeBigUInt64BE(position, this.#at + 6);
    this.#at += 5 + KEEPALIVE_BYTES;
  }

  #open(): void {
    this.#reserve(MESSAGE_AT + 64);
    this.#frame = this.#at;
    const out = this.#out;
    const end = this.#at + MESSAGE_AT;
    // The positions that the frame's own head has are nobody's business here.
    for (let at = this.#at; at < end; at += 1) out[at] = 0;
    out[this.#at] = frameKind.copyData;
    out[this.#at + 5] = frameKind.message;
    this.#at = end;
  }

  #close(): void {
    this.#out.writeUInt32BE(this.#at - this.#frame - 1, this.#frame + 1);
  }

  #tuple(table: EncodedTable, row: Row): void {
    const { toLocal } = table;
    this.#short(toLocal.length);
    for (let at = 0; at < toLocal.length; at += 1) this.#value(table, toLocal[at], row[at]);
  }

  #keyTuple(table: EncodedTable, row: Row): void {
    const { toLocal, keyAt } = table;
    this.#short(toLocal.length);
    for (let at = 0; at < toLocal.length; at += 1) this.#value(table, toLocal[at], keyAt.includes(at) ? row[at] : null);
  }

  /** What is not carried is NULL to whoever looks at the row; nobody takes it from there. */
  #value(table: EncodedTable, toLocal: ConvertText | undefined, value: Value): void {
    if (value === undefined && toLocal !== undefined) throw new RangeError('a row image leaves a column out: binlog_row_image must be FULL');
    const text = value === null || value === undefined || toLocal === undefined ? null : this.#convert(table, toLocal, value);
    if (text === null) {
      this.#byte(valueKind.null);
      return;
    }
    // Three bytes are the most that one unit of a string becomes.
    this.#reserve(5 + text.length * 3);
    const out = this.#out;
    out[this.#at] = valueKind.text;
    const start = this.#at + 5;
    let bytes = text.length <= SHORT_TEXT ? writeAscii(out, start, text) : -1;
    if (bytes < 0) bytes = out.write(text, start, 'utf8');
    out.writeUInt32BE(bytes, this.#at + 1);
    this.#at = start + bytes;
  }

  #convert(table: EncodedTable, toLocal: ConvertText, value: string): string | null {
    try {
      return toLocal(value);
    } catch (error) {
      this.#onRefused(table.relation, error);
      return REFUSED;
    }
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#out[this.#at++] = value;
  }

  #short(value: number): void {
    this.#reserve(2);
    this.#at = this.#out.writeUInt16BE(value, this.#at);
  }

  #int(value: number): void {
    this.#reserve(4);
    this.#at = this.#out.writeUInt32BE(value, this.#at);
  }

  #long(value: bigint): void {
    this.#reserve(8);
    this.#at = this.#out.writeBigInt64BE(BigInt.asIntN(64, value), this.#at);
  }

  /** Microseconds since 2000, in 64 bits. */
  #moment(ms: number): void {
    const micros = Math.round((ms - MS_FROM_1970_TO_2000) * 1000);
    const high = Math.floor(micros / 2 ** 32);
    this.#int(high >>> 0);
    this.#int(micros - high * 2 ** 32);
  }

  #cString(text: string): void {
    const bytes = Buffer.byteLength(text) + 1;
    this.#reserve(bytes);
    this.#out.write(text, this.#at, 'utf8');
    this.#at += bytes;
    this.#out[this.#at - 1] = 0;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#out.length * 2, this.#at + bytes));
    this.#out.copy(grown, 0, 0, this.#at);
    this.#out = grown;
  }
}

/** Bytes written; −1 where a unit is beyond ASCII. */
function writeAscii(out: Buffer, start: number, text: string): number {
  const { length } = text;
  for (let at = 0; at < length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return -1;
    out[start + at] = unit;
  }
  return length;
}
