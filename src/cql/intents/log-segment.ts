/**
 * One segment of the intent log: what state each of its tickets is in, and where its record stands.
 *
 * Five bytes of memory per ticket, in typed arrays, and nothing else: the bodies stay on disk. The segment may be removed when all its tickets have
 * ended, whatever the segments before it hold, because the ends stand in a file beside it.
 */
import * as fs from 'node:fs';
import { PlacedFile } from './placed-file.ts';
import { END_BYTES, EndKind, nameIntent, readIntent, readRecord, HEAD_BYTES, RecordKind, writeEnd } from './log-records.ts';
import type { EndRecord } from './log-records.ts';
import type { Intent, IntentOrigin, IntentStatement } from './intent-log.ts';

const OWES = 3;
const RELEASED = 4;
const PRESENT = 8;

export class LogSegment {
  readonly firstTicket: number;
  /** Path without the ending. */
  readonly base: string;
  nextTicket: number;
  /** Bytes of records, written or waiting. */
  size = 0;
  present = 0;
  released = 0;
  /** The highest `atMs` of its writes. */
  newestMs = 0;
  /** Nothing is appended any more, and all of it is on disk. */
  isSealed = false;
  isDamaged = false;
  readonly origins: IntentOrigin[] = [];
  readonly statements: IntentStatement[] = [];
  readonly log: PlacedFile;
  readonly ends: PlacedFile;
  readonly #originNumbers = new Map<IntentOrigin, number>();
  readonly #statementNumbers = new Map<IntentStatement, number>();
  /** Those asked for last: most writes are of the same few. */
  #lastOrigin: IntentOrigin | undefined;
  #lastOriginNumber = -1;
  #lastStatement: IntentStatement | undefined;
  #lastStatementNumber = -1;
  #state = new Uint8Array(1024);
  #offset = new Uint32Array(1024);
  #firstPresent = 0;
  #fd: number | undefined;
  #endsBuffer = Buffer.alloc(0);
  #endsBytes = 0;
  /** Bytes of the file of ends that are on disk. */
  endsWritten = 0;

  constructor(base: string, firstTicket: number) {
    this.base = base;
    this.firstTicket = firstTicket;
    this.nextTicket = firstTicket;
    this.log = new PlacedFile(this.file);
    this.ends = new PlacedFile(this.endsFile);
  }

  get file(): string {
    return `${this.base}.intents`;
  }

  get endsFile(): string {
    return `${this.base}.ends`;
  }

  holds(ticket: number): boolean {
    return ticket >= this.firstTicket && ticket < this.nextTicket;
  }

  /** Takes the next ticket, or one behind it: those between are lost. */
  add(ticket: number, offset: number, owes: number): void {
    const index = ticket - this.firstTicket;
    while (index >= this.#state.length) this.#grow();
    this.#state[index] = PRESENT | (owes & OWES);
    this.#offset[index] = offset;
    this.nextTicket = ticket + 1;
    this.present += 1;
  }

  #grow(): void {
    const state = new Uint8Array(this.#state.length * 2);
    state.set(this.#state);
    this.#state = state;
    const offset = new Uint32Array(this.#offset.length * 2);
    offset.set(this.#offset);
    this.#offset = offset;
  }

  isPresent(ticket: number): boolean {
    return this.holds(ticket) && this.#state[ticket - this.firstTicket] !== 0;
  }

  owes(ticket: number): number {
    return this.holds(ticket) ? (this.#state[ticket - this.firstTicket] ?? 0) & OWES : 0;
  }

  isReleased(ticket: number): boolean {
    return this.holds(ticket) && ((this.#state[ticket - this.firstTicket] ?? 0) & RELEASED) !== 0;
  }

  /** The number under which the segment knows the origin; -1 when it has to be written first (`nameOrigin`). */
  originNumber(origin: IntentOrigin): number {
    if (origin === this.#lastOrigin) return this.#lastOriginNumber;
    const number = this.#originNumbers.get(origin) ?? -1;
    if (number >= 0) [this.#lastOrigin, this.#lastOriginNumber] = [origin, number];
    return number;
  }

  nameOrigin(origin: IntentOrigin): number {
    this.#originNumbers.set(origin, this.origins.length);
    return this.origins.push(origin) - 1;
  }

  statementNumber(statement: IntentStatement): number {
    if (statement === this.#lastStatement) return this.#lastStatementNumber;
    const number = this.#statementNumbers.get(statement) ?? -1;
    if (number >= 0) [this.#lastStatement, this.#lastStatementNumber] = [statement, number];
    return number;
  }

  nameStatement(statement: IntentStatement): number {
    this.#statementNumbers.set(statement, this.statements.length);
    return this.statements.push(statement) - 1;
  }

  /** Nothing is appended any more: the numbers are needed for reading only, and those stand in the lists. */
  forgetNumbers(): void {
    this.#originNumbers.clear();
    this.#statementNumbers.clear();
    this.#lastOrigin = undefined;
    this.#lastStatement = undefined;
  }

  /** True when the ticket had not ended before. */
  end(ticket: number, what: number): boolean {
    const index = ticket - this.firstTicket;
    const state = this.#state[index] ?? 0;
    if (!this.holds(ticket) || state === 0) return false;
    if ((state & RELEASED) !== 0) this.released -= 1;
    this.#state[index] = 0;
    this.present -= 1;
    this.#noteEnd(index, what, 0);
    return true;
  }

  /** True when the ticket had not been released before. */
  release(ticket: number, owes: number): boolean {
    const index = ticket - this.firstTicket;
    const state = this.#state[index] ?? 0;
    if (!this.holds(ticket) || state === 0) return false;
    if ((state & OWES) !== owes) this.#noteEnd(index, EndKind.owes, owes);
    this.#state[index] = PRESENT | RELEASED | owes;
    if ((state & RELEASED) !== 0) return false;
    this.released += 1;
    return true;
  }

  /** What the file of ends says, when the segment is read again. */
  applyEnd({ index, what, owes }: EndRecord): void {
    const state = this.#state[index] ?? 0;
    if (state === 0 || index >= this.nextTicket - this.firstTicket) return;
    if (what === EndKind.owes) {
      this.#state[index] = PRESENT | (owes & OWES);
      return;
    }
    this.#state[index] = 0;
    this.present -= 1;
  }

  releaseAll(): void {
    for (let index = 0; index < this.nextTicket - this.firstTicket; index += 1) {
      const state = this.#state[index] ?? 0;
      if (state === 0) continue;
      this.#state[index] = state | RELEASED;
      this.released += 1;
    }
  }

  /** The lowest released ticket in from..to, or -1. */
  nextReleased(from: number, to: number): number {
    if (this.released === 0 || this.firstPresent() > to) return -1;
    const last = Math.min(to, this.nextTicket - 1) - this.firstTicket;
    for (let index = Math.max(from - this.firstTicket, this.#firstPresent, 0); index <= last; index += 1) {
      if (((this.#state[index] ?? 0) & RELEASED) !== 0) return this.firstTicket + index;
    }
    return -1;
  }

  /** The lowest ticket that has not ended, or -1. */
  firstPresent(): number {
    if (this.present === 0) return -1;
    while (this.#state[this.#firstPresent] === 0) this.#firstPresent += 1;
    return this.firstTicket + this.#firstPresent;
  }

  #noteEnd(index: number, what: number, owes: number): void {
    if (this.#endsBytes + END_BYTES > this.#endsBuffer.length) {
      const larger = Buffer.alloc(Math.max(4096, this.#endsBuffer.length * 2));
      this.#endsBuffer.copy(larger, 0, 0, this.#endsBytes);
      this.#endsBuffer = larger;
    }
    writeEnd(this.#endsBuffer, this.#endsBytes, index, what, owes);
    this.#endsBytes += END_BYTES;
  }

  get endsWaiting(): number {
    return this.#endsBytes;
  }

  /** The ends that wait, to be written at `endsWritten`; they wait until `endsAreWritten`. */
  waitingEnds(): Buffer {
    return Buffer.from(this.#endsBuffer.subarray(0, this.#endsBytes));
  }

  endsAreWritten(bytes: number): void {
    this.endsWritten += bytes;
    this.#endsBuffer.copy(this.#endsBuffer, 0, bytes, this.#endsBytes);
    this.#endsBytes -= bytes;
    if (this.#endsBytes === 0 && this.#endsBuffer.length > 64 * 1024) this.#endsBuffer = Buffer.alloc(0);
  }

  /** Throws when the disk does not give back what was written. */
  read(ticket: number): Intent | undefined {
    if (!this.isPresent(ticket)) return undefined;
    const offset = this.#offset[ticket - this.firstTicket] ?? 0;
    this.#fd ??= fs.openSync(this.file, 'r');
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    const hasHead = fs.readSync(this.#fd, head, 0, HEAD_BYTES, offset) === HEAD_BYTES;
    const length = hasHead ? Math.min(head.readUInt32BE(8), Math.max(0, this.size - offset - HEAD_BYTES)) : 0;
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + length);
    const got = fs.readSync(this.#fd, bytes, 0, bytes.length, offset);
    const record = readRecord(bytes.subarray(0, got), 0);
    const intent = typeof record === 'object' && record.kind === RecordKind.intent && record.ticket === ticket ? nameIntent(record, readIntent(record), this.owes(ticket), this) : undefined;
    if (!intent) throw new Error(`${this.file} cannot be read at ${offset}: intent ${ticket} is not what was written`);
    return intent;
  }

  close(): void {
    this.log.close();
    this.ends.close();
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }
}
