/**
 * A session's connection to one side, after its login: requests go out as bytes, answers come back as ranges of the
 * received chunks, filtered by the segment that asked for them.
 *
 * States: flowing → held (the head segment's end waits for something; the rest of the answers stays unread) → flowing; closed.
 */
import type * as net from 'node:net';
import type { Side } from '../../catalog/routing-snapshot.ts';
import { Segment } from '../execute/segment.ts';
import type { ImageTaker, InternalReply } from '../execute/segment.ts';
import { isOnlyColumn, readDataRow, readParameterStatus } from '../wire/backend-messages.ts';
import type { TransactionStatus } from '../wire/backend-messages.ts';
import { sendCancel } from '../wire/connect-server.ts';
import { readErrorFields } from '../wire/error-fields.ts';
import { CUT, FrameScanner, PASS, STOP } from '../wire/framing.ts';
import type { FrameHandler, Verdict } from '../wire/framing.ts';
import { query, terminate } from '../wire/frontend-messages.ts';
import type { InputReader, ServerInput } from '../wire/server-input.ts';
import { writeCancelRequest } from '../wire/startup-packet.ts';
import { errorBefore } from './renamed-error.ts';
import { InternalAnswer } from './internal-answer.ts';
import type { ObjectNumbers } from './object-numbers.ts';
import type { LegTarget } from './services.ts';
import { XidStatements } from './xid-statements.ts';

/** What a leg tells its session. */
export interface LegOwner {
  toClient(bytes: Buffer): void;
  /** Something that went to the client is still in memory. */
  readonly clientBehind: boolean;
  now(): number;
  /** What `measure` asked for: milliseconds spent on the unit's bytes. */
  measured(leg: Leg, ms: number): void;
  /** The leg's output buffer is full, or has drained. */
  legBackpressure(full: boolean): void;
  /** The segment's ReadyForQuery has come; `ending` holds the bytes that were held back, ReadyForQuery included, and is empty for a segment that passes. */
  segmentEnded(leg: Leg, segment: Segment, ending: Buffer): Verdict;
  copyInStarted(leg: Leg, segment: Segment): void;
  parameterChanged(leg: Leg, name: string, value: string): void;
  /** A query of the gateway's own has been sent: the server forgets the unnamed statement. */
  unnamedGone(leg: Leg): void;
  /** A notification, in between the answers. */
  notified(leg: Leg): void;
  /** `fatalSeen`: the server has said why. */
  legClosed(leg: Leg, fatalSeen: boolean): void;
}

const T = { ready: 90, error: 69, notice: 78, notification: 65, parameter: 83, row: 68, copyData: 100, rowDescription: 84, complete: 67, parse: 49, bind: 50, copyIn: 71, copyOut: 72, copyBoth: 87, parameters: 116 } as const;
const MAX_HELD_MESSAGE_BYTES = 1 << 30;
const CANCEL_TIMEOUT_MS = 5_000;
const CANCEL_AGAIN_MS = [200, 900];
const none = Buffer.alloc(0);

export class Leg implements FrameHandler, InputReader {
  readonly side: Side;
  readonly target: LegTarget;
  readonly pid: number;
  readonly key: Buffer;
  /** Major version of the server; 0 when it does not tell. */
  readonly serverMajor: number;
  readonly openedAtMs: number;
  /** As of the last ReadyForQuery. */
  status: TransactionStatus = 'I';
  /** Client segments whose answers are not complete. */
  clientSegments = 0;
  readonly xid = new XidStatements();
  closed = false;

  /** Of the other side's types and tables, for what is said of them to the client. */
  readonly #numbers: ObjectNumbers | undefined;
  readonly #socket: net.Socket;
  readonly #owner: LegOwner;
  readonly #scanner: FrameScanner;
  readonly #segments: Segment[] = [];
  #held: Buffer = none;
  readonly #answer = new InternalAnswer();
  #fatalSeen = false;
  #clientFull = false;
  #measuredMs = -1;

  constructor(side: Side, target: LegTarget, connection: { readonly socket: net.Socket; readonly input: ServerInput; readonly pid: number; readonly key: Buffer; readonly parameters: ReadonlyMap<string, string> }, owner: LegOwner, numbers?: ObjectNumbers) {
    this.#numbers = numbers;
    this.side = side;
    this.target = target;
    this.pid = connection.pid;
    this.key = connection.key;
    this.serverMajor = Number.parseInt(connection.parameters.get('server_version') ?? '0', 10) || 0;
    this.#socket = connection.socket;
    this.#owner = owner;
    this.openedAtMs = owner.now();
    this.#scanner = new FrameScanner(this, { maxMessageBytes: MAX_HELD_MESSAGE_BYTES, streamed: 'Dd' });
    connection.input.attach(this);
    this.#socket.on('drain', () => owner.legBackpressure(false));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#closed());
  }

  get idle(): boolean {
    return this.#segments.length === 0;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  write(bytes: Buffer): void {
    if (!this.#socket.write(bytes)) this.#owner.legBackpressure(true);
  }

  get writeBlocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  expect(segment: Segment): void {
    if (!segment.internal) this.clientSegments += 1;
    this.#segments.push(segment);
  }

  /** Runs a text of the gateway's own; may hold several statements. The callback comes in the order of the segments. */
  ask(sql: string, nowMs: number, callback: (reply: InternalReply) => void, images?: ImageTaker): void {
    const segment = new Segment(nowMs, callback);
    segment.images = images;
    segment.closed = true;
    this.expect(segment);
    this.#query(sql);
  }

  #query(sql: string): void {
    this.#owner.unnamedGone(this);
    this.write(query(sql));
  }

  /** As `ask`, for a text with a COPY. `copyOut` gets the CopyData messages, which another server takes as they are; `copyIn` is called when the server waits for them. */
  askCopy(sql: string, nowMs: number, { copyOut, copyIn }: { readonly copyOut?: (messages: Buffer) => void; readonly copyIn?: () => void }, callback: (reply: InternalReply) => void): void {
    const segment = new Segment(nowMs, callback);
    segment.closed = true;
    segment.copyOut = copyOut;
    segment.copyIn = copyIn;
    this.expect(segment);
    this.#query(sql);
  }

  /** Calls once when what was written has left. */
  whenWritable(callback: () => void): void {
    if (this.writeBlocked) this.#socket.once('drain', callback);
    else callback();
  }

  /** Messages of the gateway's own that end in a Sync, whose answer matters to nobody. */
  askRaw(messages: Buffer, nowMs: number): void {
    const segment = new Segment(nowMs, () => undefined);
    segment.closed = true;
    this.expect(segment);
    this.write(messages);
  }

  cancel(done?: () => void): void {
    sendCancel(this.target, writeCancelRequest(this.pid, this.key), CANCEL_TIMEOUT_MS, done);
  }

  /** The client reads slower than the server writes. */
  clientBackpressure(full: boolean): void {
    this.#clientFull = full;
    this.#flow();
  }

  /** Bytes that have passed so far go to the client now. */
  flushPassed(): void {
    this.#scanner.flush();
  }

  release(): void {
    this.#scanner.resume();
    this.#flow();
  }

  hold(): void {
    this.#scanner.pause();
    this.#flow();
  }

  #flow(): void {
    if (this.closed) return;
    if (this.#clientFull || this.#scanner.paused) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  /** Says goodbye and closes; answers still on their way are dropped. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.#scanner.stop();
    this.#socket.end(terminate);
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }

  /** For a client that has vanished in the middle of something: nothing is left running on the server. */
  abandon(): void {
    if (this.closed) return;
    const busy = this.#segments.length > 0;
    this.end();
    if (!busy) return;
    this.cancel();
    // A cancel that comes before the backend has read the statement meets nothing: until the server has closed, it is said again.
    for (const afterMs of CANCEL_AGAIN_MS) setTimeout(() => this.#socket.closed || this.cancel(), afterMs).unref();
  }

  // InputReader

  keeps(): boolean {
    return this.#owner.clientBehind || this.#scanner.buffered > 0;
  }

  take(chunk: Buffer): boolean {
    if (this.closed) return true;
    if (this.#measuredMs < 0) this.#scanner.push(chunk);
    else this.#takeMeasured(chunk);
    return !this.keeps();
  }

  /** Adds the time that the answer under way takes here to `spentMs`. */
  measure(spentMs: number): void {
    this.#measuredMs = spentMs;
  }

  #takeMeasured(chunk: Buffer): void {
    const from = this.#owner.now();
    this.#scanner.push(chunk);
    this.#measuredMs += this.#owner.now() - from;
    if (this.clientSegments > 0) return;
    this.#owner.measured(this, this.#measuredMs);
    this.#measuredMs = -1;
  }

  #closed(): void {
    if (this.closed) return;
    this.closed = true;
    this.#owner.legClosed(this, this.#fatalSeen);
  }

  // FrameHandler

  pass(bytes: Buffer): void {
    const head = this.#segments[0];
    if (head?.copying) return head.copyOut?.(bytes);
    this.#owner.toClient(bytes);
    head?.tap?.see(bytes);
  }

  violation(): void {
    this.#socket.destroy();
  }

  message(type: number, buffer: Buffer, start: number, length: number): Verdict {
    const segment = this.#segments[0];
    if (this.#numbers && (type === T.rowDescription || type === T.parameters) && !segment?.internal && !this.#inNumbersOfSource(type, buffer, start, length)) return STOP;
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
        return this.side === 'source' && !segment?.copyOut ? PASS : CUT;
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
    if (segment.images && (type === T.row || type === T.rowDescription)) return this.#toImages(segment.images, type, buffer, start, length);
    return segment.internal ? this.#collect(segment, type, buffer, start, length) : this.#filter(segment, type, buffer, start, length);
  }

  /** False: the message is offered again once its numbers are known. */
  #inNumbersOfSource(type: number, buffer: Buffer, start: number, length: number): boolean {
    const isKnown = type === T.rowDescription ? this.#numbers?.rowForClient(buffer, start, length) : this.#numbers?.parametersForClient(buffer, start);
    if (isKnown !== false) return true;
    this.hold();
    this.#numbers?.learn(() => this.release());
    return false;
  }

  #toImages(images: ImageTaker, type: number, buffer: Buffer, start: number, length: number): Verdict {
    // What has passed comes before what this writes.
    this.#scanner.flush();
    if (type === T.row) return images.row(buffer, start, length);
    images.described(buffer, start);
    return CUT;
  }

  #collect(segment: Segment, type: number, buffer: Buffer, start: number, length: number): Verdict {
    if (type === T.copyData && segment.copying) return PASS;
    if (type === T.copyOut && segment.copyOut) {
      this.#scanner.flush();
      segment.copying = true;
    }
    this.#answer.add(type, buffer, start, length);
    return CUT;
  }

  #filter(segment: Segment, type: number, buffer: Buffer, start: number, length: number): Verdict {
    if (segment.cutting) return this.#cut(segment, type, buffer, start);
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
    this.#scanner.flush();
    const held = this.#held;
    this.#held = none;
    this.#owner.toClient(held);
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
    this.#scanner.flush();
    this.#owner.toClient(instead);
    segment.replaceError = undefined;
    return CUT;
  }

  #ready(segment: Segment, buffer: Buffer, start: number): Verdict {
    this.status = buffer[start + 5] === 0x49 ? 'I' : buffer[start + 5] === 0x54 ? 'T' : 'E';
    segment.tap?.ended(this);
    this.#segments.shift();
    if (segment.internal) {
      const reply = this.#answer.take();
      this.#scanner.flush();
      segment.internal(reply);
      return CUT;
    }
    this.clientSegments -= 1;
    this.xid.confirmed(segment.xidStatementParsed);
    if (segment.plain) return this.#owner.segmentEnded(this, segment, none);
    const ending = segment.holds ? Buffer.concat([this.#held, buffer.subarray(start, start + 6)]) : none;
    this.#held = none;
    return this.#owner.segmentEnded(this, segment, ending);
  }
}
