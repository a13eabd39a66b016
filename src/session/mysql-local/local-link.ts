/**
 * A MySQL client's connection to local: requests go out as messages, several at once, and each is answered by one call.
 *
 * States: (without a connection → waiting for one →) open → over, when the server has gone, refused or it was ended; a new one is made then.
 */
import { Segment } from '../../execute/segment.ts';
import type { ImageTaker, InternalReply } from '../../execute/segment.ts';
import type { TransactionStatus } from '../../wire/backend-messages.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { query } from '../../wire/frontend-messages.ts';
import type { BackendLender, Borrowing } from '../leg-connection.ts';
import { Leg } from '../leg.ts';
import type { LegOwner } from '../leg-owner.ts';

export type LocalReply =
  | { readonly type: 'done'; readonly rows: InternalReply['rows']; readonly tag: string; readonly notices: InternalReply['notices'] }
  /** Fields by their letters. */
  | { readonly type: 'error'; readonly fields: ReadonlyMap<string, string> }
  /** Nothing has been sent. */
  | { readonly type: 'refused'; readonly fields: ErrorFields }
  /** Nobody knows what became of it. */
  | { readonly type: 'lost' };

const noSettings: Borrowing = { settings: '', isTied: false, sql: () => 'RESET ALL' };

export class LocalLink implements LegOwner {
  readonly borrowing = noSettings;
  /** What came has been read into other memory. */
  readonly clientBehind = false;
  readonly #leg: Leg;
  readonly #now: () => number;
  /** It stays with the session until the end. */
  readonly #isOwn: boolean;
  readonly #onOver: () => void;
  readonly #waiting = new Set<(reply: LocalReply) => void>();
  /** Cancels that may still meet something, and what is sent behind them. */
  #cancels = 0;
  #later: (() => void)[] = [];
  #isOver = false;

  /** `onOver`: it has gone by itself. */
  constructor(from: BackendLender, isOwn: boolean, now: () => number, onOver: () => void) {
    this.#now = now;
    this.#isOwn = isOwn;
    this.#onOver = onOver;
    this.#leg = new Leg('local', from, this);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** As of the last answer. */
  get status(): TransactionStatus {
    return this.#leg.status;
  }

  /** 0 without a connection. */
  get pid(): number {
    return this.#leg.pid;
  }

  /** Messages that end in one Sync. `rows` gets the rows as they come; without it they are in the reply. */
  send(messages: Buffer, done: (reply: LocalReply) => void, rows?: ImageTaker): void {
    if (this.#isOver) return done({ type: 'lost' });
    this.#waiting.add(done);
    const go = (): void => this.#send(messages, done, rows);
    if (this.#cancels > 0) this.#later.push(go);
    else go();
  }

  #send(messages: Buffer, done: (reply: LocalReply) => void, rows: ImageTaker | undefined): void {
    const segment = new Segment(this.#now(), ({ rows: found, tag, error, notices }) => {
      if (!this.#waiting.delete(done)) return;
      done(error ? { type: 'error', fields: readErrorFields(error, 0, error.length) } : { type: 'done', rows: found, tag, notices });
    });
    segment.closed = true;
    segment.images = rows;
    this.#leg.expect(segment);
    this.#leg.write(messages);
  }

  /** A text of one or several statements. */
  query(sql: string, done: (reply: LocalReply) => void): void {
    this.send(query(sql), done);
  }

  /** The client reads slower than local writes. */
  backpressure(full: boolean): void {
    this.#leg.clientBackpressure(full);
  }

  /** What it runs is to end; the answer says so. What comes next is not to be met by it. */
  cancel(): void {
    if (!this.isBusy) return;
    this.#cancels += 1;
    this.#leg.cancel(() => {
      this.#cancels -= 1;
      if (this.#cancels > 0 || this.#isOver) return;
      for (const go of this.#later.splice(0)) go();
    });
  }

  /** Nothing is left running, unless it is to come to its end. */
  end(leavesRunning = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting.clear();
    this.#later = [];
    if (leavesRunning) this.#leg.end();
    else this.#leg.abandon();
  }

  #fail(reply: LocalReply): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#later = [];
    this.#onOver();
    for (const done of waiting) done(reply);
  }

  // LegOwner

  now(): number {
    return this.#now();
  }

  legClosed(): void {
    this.#fail({ type: 'lost' });
  }

  /** What was sent would go to the next connection. */
  legRefused(_leg: unknown, fields: ErrorFields): void {
    this.#fail({ type: 'refused', fields });
    this.#leg.end();
  }

  keepsConnection(): boolean {
    return this.#isOwn;
  }

  segmentEnded(): Verdict {
    return CUT;
  }

  /** Nothing that local says unasked is for a MySQL client. */
  toClient(): void {}
  measured(): void {}
  legBackpressure(): void {}
  copyInStarted(): void {}
  parameterChanged(): void {}
  unnamedGone(): void {}
  notified(): void {}
  legReady(): void {}
}
