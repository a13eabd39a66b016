/**
 * Events one by one, checked: those of the socket, and those inside a compressed transaction. Follows files, offsets and heartbeats; bounded in bytes.
 */
import { constants, zstdDecompressSync } from 'node:zlib';
import { MigrationError } from '../../../config/migration-error.ts';
import { BoundedQueue } from '../../flow/bounded-queue.ts';
import type { BinlogPlace } from './binlog-place.ts';
import { Cursor } from './cursor.ts';
import { ARTIFICIAL, CHECKSUM_BYTES, eventType, flagsOf, hasGoodChecksum, HEADER_BYTES, nextOffset, typeOf } from './event.ts';
import { readFormatDescription, readRotate } from './header-events.ts';

export interface CheckedEvent {
  readonly event: Buffer;
  /** Without header and checksum. */
  readonly body: Buffer;
}

const payloadField = { end: 0, size: 1, compression: 2, uncompressedSize: 3 } as const;
const payloadCompression = { zstd: 0, none: 255 } as const;

export class EventSource {
  readonly #queue: BoundedQueue;
  readonly #place: BinlogPlace;
  #hasChecksums: boolean;
  /** Events of the compressed transaction that is being read. */
  #inner: Buffer | undefined;
  #innerAt = 0;
  /** A server that is asked by GTID begins with the start of some file: the place of the saved position stands until something new comes. */
  #isBegun = false;

  constructor(queue: BoundedQueue, place: BinlogPlace, hasChecksums: boolean) {
    this.#queue = queue;
    this.#place = place;
    this.#hasChecksums = hasChecksums;
  }

  /** Undefined when nothing has come. `isInGroup`: a heartbeat inside a transaction says nothing of what is done. */
  next(isInGroup: boolean): CheckedEvent | undefined {
    for (;;) {
      const inner = this.#nextInner();
      if (inner) return inner;
      const event = this.#queue.shift();
      if (!event) return undefined;
      const checked = this.#check(event);
      if (!this.#follow(checked, isInGroup)) return checked;
    }
  }

  #nextInner(): CheckedEvent | undefined {
    const inner = this.#inner;
    if (!inner) return undefined;
    const event = inner.subarray(this.#innerAt, this.#innerAt + inner.readUInt32LE(this.#innerAt + 9));
    this.#innerAt += event.length;
    if (this.#innerAt >= inner.length) this.#inner = undefined;
    return { event, body: event.subarray(HEADER_BYTES) };
  }

  #check(event: Buffer): CheckedEvent {
    if (event.length < HEADER_BYTES || event.readUInt32LE(9) !== event.length) throw this.#broken('an event is shorter than it says');
    if (typeOf(event) === eventType.formatDescription) this.#hasChecksums = readFormatDescription(event).hasChecksums;
    if (!this.#hasChecksums) return { event, body: event.subarray(HEADER_BYTES) };
    if (!hasGoodChecksum(event)) throw this.#broken('an event has another checksum than it says');
    return { event, body: event.subarray(HEADER_BYTES, event.length - CHECKSUM_BYTES) };
  }

  /** True for what only moves the place. */
  #follow({ event, body }: CheckedEvent, isInGroup: boolean): boolean {
    const type = typeOf(event);
    const place = this.#place;
    if (type === eventType.rotate) {
      const { file, offset } = readRotate(body);
      place.rotate(file, offset);
      this.#finish(isInGroup);
      return true;
    }
    const next = nextOffset(event);
    if (next !== 0 && (flagsOf(event) & ARTIFICIAL) === 0) place.advance(next);
    switch (type) {
      case eventType.heartbeat:
        this.#isBegun = true;
        this.#finish(isInGroup);
        return true;
      case eventType.formatDescription:
      case eventType.previousGtids:
      case eventType.mariadbGtidList:
      case eventType.binlogCheckpoint:
      case eventType.stop:
        this.#finish(isInGroup);
        return true;
      case eventType.transactionPayload:
        this.#inner = readPayload(body);
        this.#innerAt = 0;
        return true;
      default:
        this.#isBegun = true;
        return false;
    }
  }

  #finish(isInGroup: boolean): void {
    if (this.#isBegun && !isInGroup) this.#place.finish();
  }

  #broken(what: string): MigrationError {
    return new MigrationError('MIG023', `${what}; it is read again`, { detail: `${this.#place.file}:${this.#place.offset}` });
  }
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html */
function readPayload(body: Buffer): Buffer | undefined {
  const cursor = new Cursor().point(body, 0, body.length);
  let compression: number = payloadCompression.none;
  let size = 0;
  for (let field = cursor.packed(); field !== payloadField.end; field = cursor.packed()) {
    const end = cursor.packed() + cursor.at;
    if (field === payloadField.compression) compression = cursor.packed();
    else if (field === payloadField.uncompressedSize) size = cursor.packed();
    cursor.at = end;
  }
  const data = body.subarray(cursor.at);
  if (compression === payloadCompression.none) return data.length === 0 ? undefined : data;
  if (compression !== payloadCompression.zstd) throw new RangeError(`a transaction is compressed by method ${compression}`);
  const plain = zstdDecompressSync(data, { maxOutputLength: Math.max(size, 1), params: { [constants.ZSTD_d_windowLogMax]: 31 } });
  if (plain.length !== size) throw new RangeError('a compressed transaction has another length than it says');
  return plain.length === 0 ? undefined : plain;
}
