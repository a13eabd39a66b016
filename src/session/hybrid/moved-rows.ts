/**
 * Brings rows from one leg to the other. Up to a limit they are collected, to be written into the statement; beyond it they go into a temporary
 * table: the CopyData messages of one server are what the other takes, so they pass as they come, and the slower side sets the pace.
 *
 * States: collecting → (over the limit: waiting for the table → passing) → done, when both sides have ended, and a cancel that was sent can meet nothing any more.
 */
import type { InternalReply } from '../../execute/segment.ts';
import { copyDone, copyFail } from '../../wire/frontend-messages.ts';
import type { Leg } from '../leg.ts';
import type { SessionCore } from '../session-core.ts';

/** What gives rows out as a COPY does. `canceled`: what is asked for from then on cannot be met by the cancel. */
export type RowSource = Pick<Leg, 'askCopy' | 'hold' | 'release'> & { cancel(canceled: () => void): void };

export interface MoveRequest {
  readonly from: RowSource;
  readonly to: Leg;
  /** Text with one COPY … TO STDOUT. */
  readonly copyOut: string;
  /** Text with one COPY … FROM STDIN behind what makes its table; undefined when there can be none. */
  readonly copyIn: string | undefined;
  /** Bytes that are collected at most. */
  readonly inlineBytes: number;
  /** Bytes that are moved at most. */
  readonly maxBytes: number;
}

export type MoveOutcome =
  | { readonly type: 'collected'; readonly messages: Buffer; readonly bytes: number }
  | { readonly type: 'in_table'; readonly bytes: number }
  | { readonly type: 'too_large' }
  | { readonly type: 'failed'; readonly error: Buffer };

export function moveRows(core: SessionCore, request: MoveRequest, done: (outcome: MoveOutcome) => void): void {
  new Move(core, request, done).start();
}

class Move {
  readonly #core: SessionCore;
  readonly #request: MoveRequest;
  readonly #done: (outcome: MoveOutcome) => void;
  #state: 'collecting' | 'waiting' | 'passing' = 'collecting';
  #collected: Buffer[] = [];
  #bytes = 0;
  #tooLarge = false;
  /** The first error that came. */
  #failure: Buffer | undefined;
  #fromEnds = false;
  /** Cancels under way: the rows may come to their end before, and the session's next statement must not be met. */
  #cancels = 0;
  /** Undefined: no table was asked for. */
  #toEnds: boolean | undefined;

  constructor(core: SessionCore, request: MoveRequest, done: (outcome: MoveOutcome) => void) {
    this.#core = core;
    this.#request = request;
    this.#done = done;
  }

  start(): void {
    const { from, copyOut } = this.#request;
    from.askCopy(copyOut, this.#core.now(), { copyOut: (messages) => this.#received(messages) }, (reply) => this.#fromEnded(reply));
  }

  /** `messages` are a view that is written over once this returns. It may end within a message, so what has begun to pass passes to the end. */
  #received(messages: Buffer): void {
    this.#bytes += messages.length;
    if (!this.#tooLarge && this.#bytes > this.#request.maxBytes) this.#giveUp();
    if (this.#state === 'passing') this.#pass(Buffer.from(messages));
    else if (!this.#tooLarge && this.#toEnds !== true) this.#collected.push(Buffer.from(messages));
    if (this.#state === 'collecting' && !this.#tooLarge && this.#bytes > this.#request.inlineBytes) this.#openTable();
  }

  #openTable(): void {
    const { from, to, copyIn } = this.#request;
    if (copyIn === undefined) {
      this.#giveUp();
      return;
    }
    this.#state = 'waiting';
    this.#toEnds = false;
    from.hold();
    to.askCopy(copyIn, this.#core.now(), { copyIn: () => this.#tableReady() }, (reply) => this.#toEnded(reply));
  }

  #tableReady(): void {
    const { from } = this.#request;
    this.#state = 'passing';
    const collected = Buffer.concat(this.#collected);
    this.#collected = [];
    this.#pass(collected);
    if (!this.#request.to.writeBlocked) from.release();
  }

  #pass(messages: Buffer): void {
    const { from, to } = this.#request;
    to.write(messages);
    if (!to.writeBlocked) return;
    from.hold();
    to.whenWritable(() => from.release());
  }

  #giveUp(): void {
    this.#tooLarge = true;
    this.#collected = [];
    if (!this.#fromEnds) this.#cancel();
  }

  #cancel(): void {
    this.#cancels += 1;
    this.#request.from.cancel(() => {
      this.#cancels -= 1;
      this.#finish();
    });
  }

  #fromEnded({ error }: InternalReply): void {
    this.#fromEnds = true;
    this.#failure ??= error;
    if (this.#state === 'passing' && this.#toEnds === false) this.#request.to.write(error || this.#tooLarge ? copyFail('the rows are not complete') : copyDone);
    this.#finish();
  }

  /** Before its time when it has failed: it drops what it still gets. */
  #toEnded({ error }: InternalReply): void {
    this.#toEnds = true;
    this.#failure ??= error;
    if (!this.#fromEnds) {
      this.#cancel();
      this.#request.from.release();
    }
    this.#finish();
  }

  #finish(): void {
    if (!this.#fromEnds || this.#toEnds === false || this.#cancels > 0) return;
    if (this.#tooLarge) this.#done({ type: 'too_large' });
    else if (this.#failure) this.#done({ type: 'failed', error: this.#failure });
    else if (this.#toEnds) this.#done({ type: 'in_table', bytes: this.#bytes });
    else this.#done({ type: 'collected', messages: Buffer.concat(this.#collected), bytes: this.#bytes });
  }
}
