/** A session's connection to the MySQL source: bytes pass, and only the heads of packets are read. */
import type * as net from 'node:net';
import { AnswerTracker } from '../../wire/mysql/answer-tracker.ts';
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Command } from '../../wire/mysql/commands.ts';
import type { MysqlLogin } from '../../wire/mysql/connect-mysql.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { readHead, readResultColumns, readResultRows } from '../../wire/mysql/result-set.ts';
import type { ReadColumn } from '../../wire/mysql/result-set.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import { ClientInput } from '../client-input.ts';
import type { InputSession } from '../client-input.ts';

/** ER_NEED_REPREPARE: the server has tried three times itself. */
const NEEDS_PREPARING = 1615;
const MOST_ATTEMPTS = 20;

/** `errorCode`: the server's number of the error that is there in place of rows. `head`: the first packet of the answer, which is all of an error or of an OK. */
export type AskedRows = (rows: readonly (readonly (string | null)[])[] | undefined, columns?: readonly ReadColumn[], errorCode?: number, head?: Buffer) => void;

export interface AnswerHold {
  /** Bytes of an answer have come, which the tracker has seen. True: they are for the client once `start` says so. */
  holdsBack(tracker: AnswerTracker): boolean;
  /** Calls back later, or never. */
  start(release: () => void): void;
}

export interface MysqlLegOwner {
  readonly hold: AnswerHold;
  /** False: wait for `resume`. */
  toClient(bytes: Buffer): boolean;
  /** What was handed over is still to leave. */
  readonly clientHolds: boolean;
  answered(): void;
  wantsFile(): void;
  /** The server takes more again. */
  serverDrained(): void;
  close(): void;
}

export class MysqlLeg implements InputSession {
  readonly threadId: number;
  readonly tracker: AnswerTracker;
  readonly #socket: net.Socket;
  readonly #capabilities: Capabilities;
  readonly #owner: MysqlLegOwner;
  #isWaiting = false;
  #askedForFile = false;
  /** What the gateway itself has asked: its answer goes to nobody else. */
  #own: (() => void) | undefined;
  /** Of that answer, where it is wanted. */
  #collected: Buffer[] | undefined;
  /** Of an answer that waits for local; the server's connection may have ended behind it. */
  #held: Buffer | undefined;
  #again: { readonly shape: AnswerShape; readonly bytes: Buffer; left: number } | undefined;
  #isOver = false;

  constructor(login: Extract<MysqlLogin, { ok: true }>, owner: MysqlLegOwner, readBuffers: LargeBuffers) {
    this.threadId = login.greeting.connectionId;
    this.tracker = new AnswerTracker(login.capabilities);
    this.#socket = login.socket;
    this.#capabilities = login.capabilities;
    this.#owner = owner;
    this.#socket.on('drain', () => owner.serverDrained());
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#ended());
    this.#socket.on('end', () => this.#socket.end());
    // As a client is read: the connection is made without knowing of the memory.
    new ClientInput(this).read(this.#socket, readBuffers);
  }

  /** An answer is awaited, or on its way. */
  get isBusy(): boolean {
    return this.#isWaiting;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * What is sent from now on, in one piece or several, has one answer. `again`: the same, to be sent once more when the server says that it has not run
   * because a definition changes just now: of a table's triggers, as a cutover makes and removes them.
   */
  expect(shape: AnswerShape, again?: Buffer): void {
    this.tracker.expect(shape);
    this.#again = again && { shape, bytes: again, left: MOST_ATTEMPTS };
    this.#isWaiting = true;
    this.#askedForFile = false;
  }

  /** False: wait until it has drained. */
  send(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  /** Asks for rows of text, few enough to be kept; undefined for an error. As `ask`. */
  askRows(text: string, done: AskedRows): void {
    const collected: Buffer[] = [];
    this.ask(Buffer.from(`\x03${text}`, 'utf8'), 'result', () => {
      this.#collected = undefined;
      const packets = Buffer.concat(collected);
      if (this.tracker.errorCode !== 0) return done(undefined, undefined, this.tracker.errorCode, readHead(packets));
      done(readResultRows(packets, this.#capabilities), readResultColumns(packets, this.#capabilities), undefined, readHead(packets));
    });
    this.#collected = collected;
  }

  /** Asks for the gateway; `done` when the answer has come, and the tracker knows what it says. Only while nothing else is awaited. */
  ask(payload: Buffer, shape: AnswerShape, done: () => void): void {
    this.expect(shape);
    this.#own = done;
    this.send(writePackets(payload, 0));
  }

  fileSent(): void {
    this.tracker.fileSent();
    this.#askedForFile = false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#held) this.#socket.resume();
  }

  /** In good order. */
  quit(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.end(writePackets(Buffer.of(Command.quit), 0));
    this.#held = undefined;
    this.#socket.resume();
  }

  destroy(): void {
    this.#isOver = true;
    this.#held = undefined;
    this.#socket.destroy();
  }

  /** Of its answers, at the client. */
  get holdsInput(): boolean {
    return this.#owner.clientHolds;
  }

  get drained(): boolean {
    return !this.#isWaiting;
  }

  get hasUnwritten(): boolean {
    return this.#socket.writableLength > 0;
  }

  receive(chunk: Buffer): void {
    if (this.#isOver) return;
    const { tracker } = this;
    tracker.push(chunk);
    if (this.#own) {
      // The memory is used again.
      this.#collected?.push(Buffer.from(chunk));
      this.#ownAnswer(this.#own);
      return;
    }
    if (this.#again) {
      if (this.#runsAgain(this.#again)) return;
      this.#again = undefined;
    }
    const { hold } = this.#owner;
    if (!this.#isWaiting || !hold.holdsBack(tracker)) return this.#pass(chunk);
    // The memory is used again. Nothing more is read before.
    this.#held = Buffer.from(chunk);
    this.#socket.pause();
    hold.start(() => this.#release());
  }

  #release(): void {
    const chunk = this.#held;
    this.#held = undefined;
    if (!chunk) return;
    if (!this.#isOver) this.#socket.resume();
    this.#pass(chunk);
    if (this.#isOver) this.#owner.close();
  }

  #pass(chunk: Buffer): void {
    const { tracker } = this;
    if (!this.#owner.toClient(chunk)) this.#socket.pause();
    if (!this.#isWaiting) return;
    if (tracker.isComplete) {
      this.#isWaiting = false;
      this.#owner.answered();
    } else if (tracker.wantsFile && !this.#askedForFile) {
      this.#askedForFile = true;
      this.#owner.wantsFile();
    }
  }

  /** Nothing of the answer has been passed on yet. */
  #runsAgain(again: { readonly shape: AnswerShape; readonly bytes: Buffer; left: number }): boolean {
    if (!this.tracker.isComplete || this.tracker.errorCode !== NEEDS_PREPARING || again.left === 0) return false;
    again.left -= 1;
    this.tracker.expect(again.shape);
    this.#socket.write(again.bytes);
    return true;
  }

  #ownAnswer(done: () => void): void {
    if (!this.tracker.isComplete) return;
    this.#own = undefined;
    this.#isWaiting = false;
    done();
  }

  #ended(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!this.#held) this.#owner.close();
  }
}
