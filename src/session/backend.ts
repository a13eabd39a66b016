/**
 * A logged-in connection to one side. What comes on it is read by its user, a leg; without one (idle in a pool) nothing is expected and
 * nothing is passed on.
 *
 * States: idle ⇄ in use → closed.
 */
import type * as net from 'node:net';
import type { LoginOutcome } from '../wire/connect-server.ts';
import { sendCancel } from '../wire/connect-server.ts';
import { CUT, FrameScanner } from '../wire/framing.ts';
import type { FrameHandler, Verdict } from '../wire/framing.ts';
import { terminate } from '../wire/frontend-messages.ts';
import type { InputReader } from '../wire/socket-input.ts';
import { writeCancelRequest } from '../wire/startup-packet.ts';
import type { LegTarget } from './leg-target.ts';
import { XidStatements } from './xid-statements.ts';

export interface BackendUser {
  /** As of `FrameHandler`. */
  message(type: number, buffer: Buffer, start: number, length: number): Verdict;
  pass(bytes: Buffer): void;
  /** A chunk has come: `scan` reads it. */
  received(chunk: Buffer, scan: (chunk: Buffer) => void): void;
  /** True while what comes would be kept, because nobody takes it off. */
  readonly isBehind: boolean;
  readonly idle: boolean;
  /** What was written has left. */
  drained(): void;
  /** The connection has gone, or speaks nonsense. */
  lost(): void;
}

const MAX_HELD_MESSAGE_BYTES = 1 << 30;
const CANCEL_TIMEOUT_MS = 5_000;
const CANCEL_AGAIN_MS = [200, 900];
const ROW = 0x44;

export class Backend implements FrameHandler, InputReader {
  readonly target: LegTarget;
  readonly pid: number;
  readonly key: Buffer;
  /** Major version of the server; 0 when it does not tell. */
  readonly serverMajor: number;
  readonly openedAtMs: number;
  readonly xid = new XidStatements();
  /** Of pooled ones: settings that were made on it, as the session that made them calls them; prepared statements of sessions, and what is prepared without a name. */
  settings = '';
  readonly prepared = new Set<string>();
  unnamed: object | undefined;

  readonly #socket: net.Socket;
  readonly #scanner: FrameScanner;
  readonly #scan = (chunk: Buffer): void => this.#scanner.push(chunk);
  #user: BackendUser | undefined;
  #onLost: (() => void) | undefined;
  #closed = false;
  #wasCancelled = false;

  constructor(target: LegTarget, connection: Omit<Extract<LoginOutcome, { ok: true }>, 'ok' | 'answer'>, nowMs: number) {
    this.target = target;
    this.pid = connection.pid;
    this.key = connection.key;
    this.serverMajor = Number.parseInt(connection.parameters.get('server_version') ?? '0', 10) || 0;
    this.openedAtMs = nowMs;
    this.#socket = connection.socket;
    this.#scanner = new FrameScanner(this, { maxMessageBytes: MAX_HELD_MESSAGE_BYTES, streamed: 'Dd' });
    connection.input.attach(this);
    this.#socket.on('drain', () => this.#user?.drained());
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#lost());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** From now on it is this one's; undefined: nobody's. `onLost`: for whoever keeps it while it is idle. */
  use(user: BackendUser | undefined, onLost?: () => void): void {
    this.#user = user;
    if (onLost) this.#onLost = onLost;
  }

  // Towards the server

  /** False when the bytes wait in memory: `drained` says when they have left. */
  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  get hasUnwritten(): boolean {
    return this.#socket.writableLength > 0;
  }

  get writeBlocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Calls once when what was written has left. */
  whenWritable(callback: () => void): void {
    if (this.writeBlocked) this.#socket.once('drain', callback);
    else callback();
  }

  /** A cancel was sent, and may meet what it runs later: then nobody else is to have it. */
  get wasCancelled(): boolean {
    return this.#wasCancelled;
  }

  cancel(done?: () => void): void {
    this.#wasCancelled = true;
    sendCancel(this.target, writeCancelRequest(this.pid, this.key), CANCEL_TIMEOUT_MS, done);
  }

  /** Says goodbye and closes; answers still on their way are dropped. */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scanner.stop();
    this.#socket.end(terminate);
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
    this.#onLost?.();
  }

  /** A cancel that comes before the server has read the statement meets nothing: until it has closed the connection, it is said again. */
  cancelUntilClosed(): void {
    this.cancel();
    for (const afterMs of CANCEL_AGAIN_MS) setTimeout(() => this.#socket.closed || this.cancel(), afterMs).unref();
  }

  /** Ends it as if the server had gone. */
  drop(): void {
    this.#socket.destroy();
  }

  // What comes

  get idle(): boolean {
    return this.#user?.idle ?? true;
  }

  get paused(): boolean {
    return this.#scanner.paused;
  }

  /** Lets what has passed so far go to the user now. */
  flush(): void {
    this.#scanner.flush();
  }

  /** Rows are offered when they are there as a whole. */
  wholeRows(whole: boolean): void {
    this.#scanner.setStreamed(ROW, !whole);
  }

  pauseReading(): void {
    this.#scanner.pause();
  }

  resumeReading(): void {
    this.#scanner.resume();
  }

  /** `full`: whoever gets the answers takes no more for now. */
  flow(full: boolean): void {
    if (this.#closed) return;
    if (full || this.#scanner.paused) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  keeps(): boolean {
    return (this.#user?.isBehind ?? false) || this.#scanner.buffered > 0;
  }

  take(chunk: Buffer): boolean {
    if (this.#closed) return true;
    if (this.#user) this.#user.received(chunk, this.#scan);
    else this.#scanner.push(chunk);
    return !this.keeps();
  }

  message(type: number, buffer: Buffer, start: number, length: number): Verdict {
    return this.#user ? this.#user.message(type, buffer, start, length) : CUT;
  }

  pass(bytes: Buffer): void {
    this.#user?.pass(bytes);
  }

  violation(): void {
    this.drop();
  }

  #lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onLost?.();
    this.#user?.lost();
  }
}
