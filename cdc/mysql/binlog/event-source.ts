/**
 * Events one by one, checked: those of the socket, and those inside a compressed transaction. Follows files, offsets and heartbeats; bounded in bytes.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { BinlogPlace } from './binlog-place.ts';
import { ARTIFICIAL, CHECKSUM_BYTES, eventType, flagsOf, hasGoodChecksum, HEADER_BYTES, nextOffset, typeOf } from './event.ts';
import type { EventQueue } from './event-queue.ts';
import type { CheckedEvent } from './event.ts';
import { readFormatDescription, readRotate } from './header-events.ts';
import { openPayload } from './payload-events.ts';
import type { PayloadEvents } from './payload-events.ts';

export class EventSource {
  readonly #queue: EventQueue;
  readonly #place: BinlogPlace;
  #hasChecksums: boolean;
  readonly #onMore: () => void;
  /** Events of the compressed transaction that is being read. */
  #inner: PayloadEvents | undefined;
  /** A server that is asked by GTID begins with the start of some file: the place of the saved position stands until something new comes. */
  #isBegun = false;

  /** `onMore`: events may have come of themselves, out of a compressed transaction. */
  constructor(queue: EventQueue, place: BinlogPlace, hasChecksums: boolean, onMore: () => void) {
    this.#queue = queue;
    this.#place = place;
    this.#hasChecksums = hasChecksums;
    this.#onMore = onMore;
  }

  /** More will come of itself, even when the connection has ended. */
  get isBusy(): boolean {
    return this.#inner !== undefined;
  }

  /** Undefined when nothing has come. It is valid until the next one is asked for. `isInGroup`: a heartbeat inside a transaction says nothing of what is done. */
  next(isInGroup: boolean): CheckedEvent | undefined {
    for (;;) {
      const inner = this.#inner?.next();
      if (inner) return inner;
      if (this.#inner?.isDone === false) return undefined;
      this.#inner = undefined;
      const event = this.#queue.shift();
      if (!event) return undefined;
      const checked = this.#check(event);
      if (!this.#follow(checked, isInGroup)) return checked;
    }
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
        this.#finish(isInGroup);
        // A file that begins inside a transaction: the server died before it had logged the end.
        return !isInGroup;
      // Of the file alone: what the server sends of it is decrypted.
      case eventType.startEncryption:
      case eventType.previousGtids:
      case eventType.mariadbGtidList:
      case eventType.binlogCheckpoint:
      case eventType.stop:
        this.#finish(isInGroup);
        return true;
      case eventType.transactionPayload:
        this.#inner = openPayload(body, this.#onMore);
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
