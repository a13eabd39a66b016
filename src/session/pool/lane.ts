/**
 * A connection that carries reads of many sessions, one behind the other. What the sessions have sent in one turn of the event loop leaves in one write, and the server
 * answers in the same order.
 *
 * An entry: queued → head (the server works on it) → over; or dropped: its answer is read and thrown away, because its session has gone or has asked elsewhere.
 * States of a lane: open → private (only the head is wanted any more: it is slow, is to be cancelled, or its client does not read) → empty, then given back or closed.
 */
import { readErrorFields } from '../../wire/error-fields.ts';
import { CUT, PASS, STOP } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { query } from '../../wire/frontend-messages.ts';
import type { Backend, BackendUser } from '../backend.ts';
import type { Borrowing } from '../leg-connection.ts';
import type { ObjectNumbers } from '../object-numbers.ts';
import type { SharedRead } from './shared-read.ts';

const T = { ready: 90, error: 69, notice: 78, notification: 65, parameter: 83, rowDescription: 84, parse: 49 } as const;

/** Bytes that wait for a client that reads slowly, before its read gets the connection to itself. */
const MOST_WAITING = 256 * 1024;

interface Entry {
  /** Undefined once nobody wants the answer; from the start for the lane's own. */
  read: SharedRead | undefined;
  /** It gives the connection its settings. */
  readonly isPreparation: boolean;
  /** Name of the statement that is parsed in front of it, until the server has said so. */
  parses: string | undefined;
}

export interface LaneHost {
  readonly numbers: ObjectNumbers | undefined;
  now(): number;
  /** It has become empty, or shorter. */
  laneMoved(lane: Lane): void;
  /** These have to be asked elsewhere. */
  again(reads: readonly SharedRead[]): void;
  /** The connection has gone while these were on it; `head` had been begun. */
  laneLost(lane: Lane, reads: readonly SharedRead[]): void;
}

export class Lane implements BackendUser {
  readonly backend: Backend;
  readonly #host: LaneHost;
  readonly #queue: Entry[] = [];
  #unsent: Buffer[] = [];
  #isFlushing = false;
  /** Whose bytes have passed and not left yet. */
  #passing: SharedRead | undefined;
  #isPrivate = false;
  #isBlocked = false;
  /** Bytes of the chunk that came last are still on their way to a client. */
  #isKept = false;
  /** Since when its head has been the head. */
  headSinceMs = 0;
  /** How often it was looked at since then. */
  looks = 0;
  /** To go back to the pool when it is empty: others wait for a connection. */
  retires = false;
  /** To be closed when it is empty: a cancel may still be on its way to it. */
  mustClose = false;

  constructor(backend: Backend, borrowing: Borrowing, host: LaneHost) {
    this.backend = backend;
    this.#host = host;
    backend.use(this);
    if (backend.settings === borrowing.settings) return;
    backend.settings = borrowing.settings;
    this.#queue.push({ read: undefined, isPreparation: true, parses: undefined });
    backend.write(query(borrowing.sql()));
  }

  get length(): number {
    return this.#queue.length;
  }

  get isOpen(): boolean {
    return !this.#isPrivate && !this.retires && !this.backend.closed;
  }

  get head(): SharedRead | undefined {
    return this.#queue[0]?.read;
  }

  add(read: SharedRead): void {
    const { backend } = this;
    const { prepared } = read;
    let parses: string | undefined;
    if (prepared && !backend.prepared.has(prepared.name)) {
      backend.prepared.add(prepared.name);
      parses = prepared.name;
      this.#unsent.push(prepared.message);
    }
    this.#unsent.push(read.bytes);
    if (this.#queue.length === 0) this.#newHead();
    this.#queue.push({ read, isPreparation: false, parses });
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushing = false;
    const unsent = this.#unsent;
    if (unsent.length === 0 || this.backend.closed) return;
    this.#unsent = [];
    this.backend.write(unsent.length === 1 && unsent[0] ? unsent[0] : Buffer.concat(unsent));
  }

  /** Its session does not want the answer any more. */
  drop(read: SharedRead): void {
    const entry = this.#queue.find((each) => each.read === read);
    if (entry) entry.read = undefined;
    if (this.#passing === read) this.#passing = undefined;
    if (this.#isBlocked) this.unblock();
  }

  has(read: SharedRead): boolean {
    return this.#queue.some((each) => each.read === read);
  }

  /** From now on it is the head's alone; those behind it are asked again elsewhere. */
  makePrivate(): void {
    if (this.#isPrivate) return;
    this.#isPrivate = true;
    const behind: SharedRead[] = [];
    for (const entry of this.#queue.slice(1)) {
      if (entry.read) behind.push(entry.read);
      entry.read = undefined;
    }
    if (behind.length > 0) this.#host.again(behind);
  }

  unblock(): void {
    this.#isBlocked = false;
    this.backend.flow(false);
  }

  #newHead(): void {
    this.headSinceMs = this.#host.now();
    this.looks = 0;
  }

  // BackendUser

  get idle(): boolean {
    return this.#queue.length === 0;
  }

  get isBehind(): boolean {
    return this.#isKept;
  }

  received(chunk: Buffer, scan: (chunk: Buffer) => void): void {
    this.#isKept = false;
    scan(chunk);
    if (this.#queue.length === 0) this.#isPrivate = this.mustClose;
    this.#host.laneMoved(this);
  }

  pass(bytes: Buffer): void {
    const read = this.#passing;
    if (!read) return;
    read.isBegun = true;
    const waiting = read.reader.answer(bytes);
    this.#isKept ||= waiting > 0;
    if (read.isOver) {
      this.#passing = undefined;
      read.reader.answered();
    } else if (waiting > MOST_WAITING) {
      this.#isBlocked = true;
      this.makePrivate();
      this.backend.flow(true);
    }
  }

  message(type: number, buffer: Buffer, start: number, length: number): Verdict {
    const entry = this.#queue[0];
    if (!entry) return CUT;
    const { read } = entry;
    if (read !== this.#passing) {
      this.backend.flush();
      this.#passing = read;
    }
    switch (type) {
      case T.ready:
        this.#queue.shift();
        if (this.#queue.length > 0) this.#newHead();
        if (read) read.isOver = true;
        break;
      case T.parse:
        if (entry.parses === undefined) break;
        entry.parses = undefined;
        return CUT;
      case T.error:
        if (this.#error(entry, buffer, start, length)) return CUT;
        break;
      case T.rowDescription:
        if (read && this.#host.numbers?.rowForClient(buffer, start, length) === false) return this.#learn(this.#host.numbers);
        break;
      case T.parameter:
      case T.notification:
        return CUT;
      default:
    }
    return read ? PASS : CUT;
  }

  #learn(numbers: ObjectNumbers): Verdict {
    this.backend.pauseReading();
    numbers.learn(() => {
      this.backend.resumeReading();
      if (this.#queue.length === 0) this.#isPrivate = this.mustClose;
      this.#host.laneMoved(this);
    });
    return STOP;
  }

  /** True when nobody is to see it: the connection ends, and what was on it is asked again. */
  #error(entry: Entry, buffer: Buffer, start: number, length: number): boolean {
    if (entry.parses !== undefined) this.backend.prepared.delete(entry.parses);
    entry.parses = undefined;
    // Nothing may run without them.
    if (entry.isPreparation) this.backend.drop();
    const severity = readErrorFields(buffer, start, length).get('V');
    if (severity !== 'FATAL' && severity !== 'PANIC') return false;
    // The server ended in the middle of it: what is still here of the answer has not begun it.
    if (entry.read?.isBegun === false) this.#passing = undefined;
    return true;
  }

  drained(): void {
    // Units are small, and their number is limited: nobody waits for this.
  }

  lost(): void {
    this.#isPrivate = true;
    const reads = this.#queue.splice(0).flatMap(({ read }) => (read ? [read] : []));
    this.#host.laneLost(this, reads);
  }
}
