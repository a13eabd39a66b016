/**
 * A session's way to one side: requests go out as bytes, answers come back as ranges of the
 * received chunks, filtered by the segment that asked for them. Its connection is its own, or is lent to it by a pool for as long as it has something open.
 *
 * States: (without a connection → waiting for one →) flowing → held (the head segment's end waits for something; the rest of the answers stays
 * unread) → flowing; closed.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { Segment } from '../execute/segment.ts';
import type { ImageTaker, InternalReply } from '../execute/segment.ts';
import { isOnlyColumn, readDataRow, readParameterStatus } from '../wire/backend-messages.ts';
import type { TransactionStatus } from '../wire/backend-messages.ts';
import { readErrorFields } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { CUT, PASS, WHOLE } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { query } from '../wire/frontend-messages.ts';
import type { Backend } from './backend.ts';
import { LegConnection } from './leg-connection.ts';
import type { BackendLender, Borrowing, ConnectionUser } from './leg-connection.ts';
import type { LegOwner } from './leg-owner.ts';
import { errorBefore } from './renamed-error.ts';
import { InternalAnswer } from './internal-answer.ts';
import { LocalAnswers } from './local-answers.ts';
import type { ObjectNumbers } from './object-numbers.ts';
import type { LegTarget } from './leg-target.ts';

const T = { ready: 90, error: 69, notice: 78, notification: 65, parameter: 83, row: 68, rowDescription: 84, complete: 67, parse: 49, bind: 50, copyIn: 71 } as const;
const none = Buffer.alloc(0);

export class Leg implements ConnectionUser {
  readonly side: Side;
  readonly target: LegTarget;
  /** As of the last ReadyForQuery. */
  status: TransactionStatus = 'I';
  /** Client segments whose answers are not complete. */
  clientSegments = 0;
  closed = false;

  readonly #fromLocal: LocalAnswers | undefined;
  readonly #owner: LegOwner;
  readonly #connection: LegConnection;
  readonly #segments: Segment[] = [];
  readonly #answer = new InternalAnswer();
  #held: Buffer = none;
  #fatalSeen = false;
  #clientFull = false;
  #measuredMs = -1;

  /** With a connection of its own, or with somebody who lends it one; `numbers`: of the other side's types and tables, for what is said of them to the client. */
  constructor(side: Side, from: Backend | BackendLender, owner: LegOwner, numbers?: ObjectNumbers) {
    this.#fromLocal = numbers && new LocalAnswers(numbers, this);
    this.side = side;
    this.target = from.target;
    this.#owner = owner;
    this.#connection = new LegConnection(from, this);
  }

  /** Of the connection; without one 0. */
  get pid(): number {
    return this.backend?.pid ?? 0;
  }

  get serverMajor(): number {
    return this.backend?.serverMajor ?? 0;
  }

  get openedAtMs(): number {
    return this.backend?.openedAtMs ?? this.#owner.now();
  }

  /** Undefined while a pooled leg has none. */
  get backend(): Backend | undefined {
    return this.#connection.backend;
  }

  get isPooled(): boolean {
    return this.#connection.isPooled;
  }

  get idle(): boolean {
    return this.#segments.length === 0;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  // Its connection

  /** True when there is one; else it is on its way, and `legReady` says when it has come. */
  acquire(): boolean {
    return !this.closed && this.#connection.acquire();
  }

  giveBack(): void {
    this.#connection.giveBack();
  }

  get borrowing(): Borrowing {
    return this.#owner.borrowing;
  }

  get mayGiveBack(): boolean {
    return this.#segments.length === 0 && this.status === 'I' && !this.closed && !this.#owner.keepsConnection(this);
  }

  attached(): void {
    this.status = 'I';
    if (this.#clientFull) this.#flow();
  }

  prepares(isFirst: boolean): void {
    const segment = this.#internal(this.#owner.now(), (reply) => {
      if (reply.error) this.backend?.drop();
    });
    segment.isPreparation = true;
    if (isFirst) this.#segments.unshift(segment);
    else this.#segments.push(segment);
  }

  ready(): void {
    this.#owner.legReady(this);
  }

  refused(fields: ErrorFields): void {
    this.#owner.legRefused(this, fields);
  }

  blocked(isBlocked: boolean): void {
    this.#owner.legBackpressure(isBlocked);
  }

  write(bytes: Buffer): void {
    this.#connection.write(bytes);
  }

  get writeBlocked(): boolean {
    return this.#connection.writeBlocked;
  }

  /** Bytes that were given to it have not left. */
  get hasUnwritten(): boolean {
    return this.#connection.hasUnwritten;
  }

  /** Something waits for a connection that cannot be refused by itself. */
  get hasUnsent(): boolean {
    return this.#connection.hasUnsent;
  }

  expect(segment: Segment): void {
    if (!segment.internal) this.clientSegments += 1;
    this.#segments.push(segment);
  }

  /** Runs a text of the gateway's own; may hold several statements. The callback comes in the order of the segments. */
  ask(sql: string, nowMs: number, callback: (reply: InternalReply) => void, images?: ImageTaker): void {
    this.askCopy(sql, nowMs, {}, callback, images);
  }

  /** As `ask`, for a text with a COPY. `copyOut` gets the CopyData messages, which another server takes as they are; `copyIn` is called when the server waits for them. */
  askCopy(sql: string, nowMs: number, { copyOut, copyIn }: { readonly copyOut?: (messages: Buffer) => void; readonly copyIn?: () => void }, callback: (reply: InternalReply) => void, images?: ImageTaker): void {
    const segment = this.#internal(nowMs, callback);
    segment.images = images;
    segment.copyOut = copyOut;
    segment.copyIn = copyIn;
    this.expect(segment);
    this.#owner.unnamedGone(this);
    this.write(query(sql));
  }

  #internal(nowMs: number, callback: (reply: InternalReply) => void): Segment {
    const segment = new Segment(nowMs, callback);
    segment.closed = true;
    return segment;
  }

  /** Calls once when what was written has left. */
  whenWritable(callback: () => void): void {
    if (this.backend) this.backend.whenWritable(callback);
    else callback();
  }

  /** Messages of the gateway's own that end in a Sync, whose answer matters to nobody. */
  askRaw(messages: Buffer, nowMs: number): void {
    this.expect(this.#internal(nowMs, () => undefined));
    this.write(messages);
  }

  cancel(done?: () => void): void {
    if (this.backend) this.backend.cancel(done);
    else done?.();
  }

  /** The client reads slower than the server writes. */
  clientBackpressure(full: boolean): void {
    this.#clientFull = full;
    this.#flow();
  }

  /** Bytes that have passed so far go to the client now. */
  flushPassed(): void {
    this.backend?.flush();
  }

  release(): void {
    this.backend?.resumeReading();
    this.#flow();
    this.giveBack();
  }

  hold(): void {
    this.backend?.pauseReading();
    this.#flow();
  }

  wholeRows(whole: boolean): void {
    this.backend?.wholeRows(whole);
  }

  instead(bytes: Buffer): void {
    this.flushPassed();
    this.#owner.toClient(bytes);
  }

  #flow(): void {
    if (!this.closed) this.backend?.flow(this.#clientFull);
  }

  /** Says goodbye and closes; answers still on their way are dropped. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.#connection.end();
  }

  /** For a client that has vanished in the middle of something: nothing is left running on the server. */
  abandon(): void {
    if (this.closed) return;
    this.end();
    if (this.#segments.length > 0) this.backend?.cancelUntilClosed();
  }

  // BackendUser

  get isBehind(): boolean {
    return this.#owner.clientBehind;
  }

  received(chunk: Buffer, scan: (chunk: Buffer) => void): void {
    if (this.#measuredMs < 0) scan(chunk);
    else this.#scanMeasured(chunk, scan);
    if (this.isPooled) this.giveBack();
  }

  /** Adds the time that the answer under way takes here to `spentMs`. */
  measure(spentMs: number): void {
    this.#measuredMs = spentMs;
  }

  #scanMeasured(chunk: Buffer, scan: (chunk: Buffer) => void): void {
    const from = this.#owner.now();
    scan(chunk);
    this.#measuredMs += this.#owner.now() - from;
    if (this.clientSegments > 0) return;
    this.#owner.measured(this, this.#measuredMs);
    this.#measuredMs = -1;
  }

  drained(): void {
    this.#owner.legBackpressure(false);
  }

  lost(): void {
    if (this.closed) return;
    this.closed = true;
    this.#owner.legClosed(this, this.#fatalSeen);
  }

  pass(bytes: Buffer): void {
    const head = this.#segments[0];
    if (head?.copying) return head.copyOut?.(bytes);
    this.#owner.toClient(bytes);
    head?.tap?.see(bytes);
  }

  message(type: number, buffer: Buffer, start: number, length: number): Verdict {
    const segment = this.#segments[0];
    if (this.#fromLocal && !segment?.internal) {
      const verdict = this.#fromLocal.see(segment?.values, type, buffer, start, length);
      if (verdict !== undefined) return verdict;
    }
    if (type === T.ready) return segment ? this.#ready(segment, buffer, start) : CUT;
    if (segment?.plain && type !== T.error && type !== T.parameter && type !== T.copyIn) {
      segment.passed(type);
      return PASS;
    }
    switch (type) {
      case T.error:
        return this.#errorSeen(segment, buffer, start, length);
      case T.parameter: {
        this.#owner.parameterChanged(this, ...readParameterStatus(buffer, start, length));
        // The client knows one server: the home leg's parameters are its own. What a COPY of the gateway's own sets, it sets back.
        return this.side === 'source' && !segment?.copyOut && !segment?.isPreparation ? PASS : CUT;
      }
      case T.notification:
        this.#owner.notified(this);
        return PASS;
      case T.notice:
        if (!segment?.internal) return PASS;
        this.#answer.notice(Buffer.copyBytesFrom(buffer, start, length));
        return CUT;
      case T.copyIn:
        if (segment?.internal) segment.copyIn?.();
        else if (segment) this.#owner.copyInStarted(this, segment);
        break;
      default:
    }
    if (!segment) return PASS;
    if (segment.images && (type === T.row || type === T.rowDescription)) {
      // What has passed comes before what this writes.
      this.flushPassed();
      return segment.images.take(type, buffer, start, length);
    }
    return segment.internal ? this.#answer.collect(segment, this, type, buffer, start, length) : this.#filter(segment, type, buffer, start, length);
  }

  #filter(segment: Segment, type: number, buffer: Buffer, start: number, length: number): Verdict {
    if (segment.cutting) return type === T.row && start + length > buffer.length ? WHOLE : this.#cut(segment, type, buffer, start);
    if (type === T.parse) {
      this.#letHeldGo();
      return segment.parseCompleted() ? PASS : CUT;
    }
    if (type === T.bind && !segment.bindCompleted()) return CUT;
    if (type === T.rowDescription && segment.nonce && isOnlyColumn(buffer, start, length, segment.nonce)) {
      segment.startCut();
      return CUT;
    }
    this.#letHeldGo();
    if (type !== T.complete || !segment.holds) return PASS;
    this.#held = Buffer.copyBytesFrom(buffer, start, length);
    return CUT;
  }

  #cut(segment: Segment, type: number, buffer: Buffer, start: number): Verdict {
    if (type === T.row) segment.xid = readDataRow(buffer, start)[0] ?? undefined;
    if (type === T.complete) segment.endCut();
    return CUT;
  }

  /** The CommandComplete held back was not the last one. */
  #letHeldGo(): void {
    if (this.#held.length === 0) return;
    this.instead(this.#held);
    this.#held = none;
  }

  #errorSeen(segment: Segment | undefined, buffer: Buffer, start: number, length: number): Verdict {
    const severity = readErrorFields(buffer, start, length).get('V') ?? '';
    if (severity === 'FATAL' || severity === 'PANIC') {
      // Nothing was asked of local: its end is this leg's, and the client's only if a transaction of its own is open there.
      if (this.side === 'local' && !segment) return CUT;
      this.#fatalSeen = true;
      return PASS;
    }
    if (!segment) return PASS;
    segment.failed = true;
    if (segment.internal) {
      this.#answer.failed(Buffer.copyBytesFrom(buffer, start, length));
      return CUT;
    }
    if (segment.commitFailed) this.#held = none;
    this.#letHeldGo();
    segment.endCut();
    const instead = segment.replaceError ?? (segment.named && errorBefore(segment.named, buffer, start, length));
    if (!instead) return PASS;
    this.instead(instead);
    segment.replaceError = undefined;
    return CUT;
  }

  #ready(segment: Segment, buffer: Buffer, start: number): Verdict {
    this.status = buffer[start + 5] === 0x49 ? 'I' : buffer[start + 5] === 0x54 ? 'T' : 'E';
    segment.tap?.ended(this);
    this.#segments.shift();
    if (segment.internal) {
      const reply = this.#answer.take();
      this.flushPassed();
      segment.internal(reply);
      return CUT;
    }
    this.clientSegments -= 1;
    this.backend?.xid.confirmed(segment.xidStatementParsed);
    if (segment.plain) return this.#owner.segmentEnded(this, segment, none);
    const ending = segment.holds ? Buffer.concat([this.#held, buffer.subarray(start, start + 6)]) : none;
    this.#held = none;
    return this.#owner.segmentEnded(this, segment, ending);
  }
}
