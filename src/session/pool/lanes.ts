/**
 * The lanes of sessions that have told their server the same: a few connections that carry the reads of all of them. RULES 28.
 *
 * A read goes to the lane with the fewest before it. One that keeps those behind it waiting for longer than `slowMs` gets its lane to itself: the others are asked again
 * on another one, and what the statement does is remembered for a while, so that it does not come here again.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { Backend } from '../backend.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { BackendLender, Borrower, Borrowing } from '../leg-connection.ts';
import type { ObjectNumbers } from '../object-numbers.ts';
import { Lane } from './lane.ts';
import type { LaneHost } from './lane.ts';
import type { SharedRead } from './shared-read.ts';

export interface LaneOptions {
  /** Connections that carry reads, for each set of start-up parameters and settings. */
  readonly lanes: number;
  /** Longest wait behind another session's read. */
  readonly slowMs: number;
  /** One that has more prepared statements takes no more reads, and is closed. */
  readonly preparedStatements: number;
}

/** So many reads on one lane; more wait in front of them. */
const MOST_ON_A_LANE = 32;
/** A lane that so many wait on is helped by another one. */
const MANY_ON_A_LANE = 4;
const LOOK_EVERY_MS = 5;
/** In between, what has come in the meantime was read. */
const LEAST_LOOKS = 2;
/** A lane that carries nothing for so long goes back to the pool. */
const IDLE_MS = 5_000;
const MOST_LOSSES = 2;
const MAKE_ROOM_MS = 50;

export interface LanesContext {
  readonly lender: BackendLender;
  readonly settings: Borrowing;
  readonly options: LaneOptions;
  readonly numbers: ObjectNumbers | undefined;
  now(): number;
  /** Of whoever waits for a connection of the pool. */
  longestWaitMs(): number;
}

export class Lanes implements LaneHost, Borrower {
  readonly #context: LanesContext;
  readonly #lanes = new Set<Lane>();
  readonly #waiting: SharedRead[] = [];
  #isBorrowing = false;
  #timer: NodeJS.Timeout | undefined;
  #busyMs: number;

  constructor(context: LanesContext) {
    this.#context = context;
    this.#busyMs = context.now();
  }

  get settings(): string {
    return this.#context.settings.settings;
  }

  get numbers(): ObjectNumbers | undefined {
    return this.#context.numbers;
  }

  get count(): number {
    return this.#lanes.size;
  }

  get isIdle(): boolean {
    return this.#lanes.size === 0 && this.#waiting.length === 0 && !this.#isBorrowing;
  }

  now(): number {
    return this.#context.now();
  }

  add(read: SharedRead): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    const lane = this.#waiting.length === 0 ? this.#shortest() : undefined;
    if (lane) lane.add(read);
    else this.#waiting.push(read);
    if (!lane || lane.length > MANY_ON_A_LANE) this.#borrow();
  }

  /** Nobody wants its answer any more: what runs for nobody is ended. */
  drop(read: SharedRead): void {
    const at = this.#waiting.indexOf(read);
    if (at >= 0) this.#waiting.splice(at, 1);
    for (const lane of this.#lanes) {
      if (lane.head !== read) lane.drop(read);
      else {
        lane.makePrivate();
        this.#lanes.delete(lane);
        lane.backend.use(undefined);
        lane.backend.end();
        lane.backend.cancelUntilClosed();
        this.#fill();
      }
    }
  }

  /** True when its server is asked to end it; false when it had not begun: then it is over now. */
  cancel(read: SharedRead, done: () => void): boolean {
    for (const lane of this.#lanes) {
      if (lane.head !== read) continue;
      lane.mustClose = true;
      lane.makePrivate();
      lane.backend.cancel(done);
      return true;
    }
    this.drop(read);
    done();
    return false;
  }

  /** Its client reads again. */
  unblock(read: SharedRead): void {
    for (const lane of this.#lanes) if (lane.head === read) lane.unblock();
  }

  // Connections

  #shortest(): Lane | undefined {
    let found: Lane | undefined;
    for (const lane of this.#lanes) if (lane.isOpen && lane.length < (found?.length ?? MOST_ON_A_LANE)) found = lane;
    return found;
  }

  #borrow(): void {
    let open = 0;
    for (const lane of this.#lanes) if (lane.isOpen) open += 1;
    if (this.#isBorrowing || open >= this.#context.options.lanes) return;
    const backend = this.#context.lender.take(this);
    if (backend) this.#open(backend);
    else this.#isBorrowing = true;
  }

  lent(backend: Backend): void {
    this.#isBorrowing = false;
    this.#open(backend);
  }

  refused(fields: ErrorFields): void {
    this.#isBorrowing = false;
    if (this.#shortest()) return;
    for (const read of this.#waiting.splice(0)) read.reader.unanswered(fields, false);
  }

  #open(backend: Backend): void {
    this.#lanes.add(new Lane(backend, this.#context.settings, this));
    this.#fill();
  }

  #fill(): void {
    while (this.#waiting.length > 0) {
      const lane = this.#shortest();
      if (!lane) return this.#borrow();
      const read = this.#waiting.shift();
      if (read) lane.add(read);
    }
  }

  // LaneHost

  laneMoved(lane: Lane): void {
    if (lane.length > 0) {
      if (this.#waiting.length > 0) this.#fill();
      return;
    }
    this.#busyMs = this.now();
    if (lane.mustClose) {
      this.#lanes.delete(lane);
      lane.backend.end();
    } else if (lane.retires) this.#giveBack(lane);
    this.#fill();
  }

  again(reads: readonly SharedRead[]): void {
    this.#waiting.unshift(...reads);
    this.#fill();
  }

  laneLost(lane: Lane, reads: readonly SharedRead[]): void {
    this.#lanes.delete(lane);
    const [head] = reads;
    head?.lost(lane.backend.openedAtMs, this.now());
    const isGone = head !== undefined && (head.isBegun || head.losses > MOST_LOSSES);
    if (isGone) head.reader.unanswered(errorFieldsOf(new MigrationError('MIG002', 'the connection to the server was lost', { hint: 'Run the statement again.' }), head.isBegun ? 'FATAL' : 'ERROR'), head.isBegun);
    this.again(isGone ? reads.slice(1) : reads);
  }

  #look(): void {
    const nowMs = this.now();
    const { options } = this.#context;
    for (const lane of this.#lanes) {
      lane.looks += 1;
      if (lane.backend.prepared.size > options.preparedStatements) lane.retires = true;
      const { head } = lane;
      if (!head || lane.looks < LEAST_LOOKS || nowMs - lane.headSinceMs < options.slowMs) continue;
      head.habits.wasSlow(nowMs);
      lane.makePrivate();
    }
    if (this.#waiting.length > 0) this.#borrow();
    this.#makeRoom();
    if (nowMs - this.#busyMs < IDLE_MS || this.#waiting.length > 0) return;
    for (const lane of [...this.#lanes]) if (lane.length === 0) this.#giveBack(lane);
    if (this.#lanes.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Somebody waits for a connection, and not only for a moment. */
  #makeRoom(): void {
    if (this.#context.longestWaitMs() < MAKE_ROOM_MS || [...this.#lanes].some(({ retires }) => retires)) return;
    const lane = this.#shortest();
    if (!lane) return;
    lane.retires = true;
    if (lane.length === 0) this.#giveBack(lane);
  }

  #giveBack(lane: Lane): void {
    this.#lanes.delete(lane);
    lane.backend.use(undefined);
    this.#context.lender.give(lane.backend);
  }
}
