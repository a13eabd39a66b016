/**
 * Asks a MySQL server in the text protocol, one statement after the other: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
 *
 * States: idle → (a statement is sent) first packet → (column definitions → rows) → idle; over, when the connection has ended.
 */
import type * as net from 'node:net';
import { Capability } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { Collation } from './column-definition.ts';
import { Command } from './commands.ts';
import type { MysqlLogin, MysqlLoginOptions } from './connect-mysql.ts';
import { ERROR, readMysqlError } from './error-packet.ts';
import type { MysqlError } from './error-packet.ts';
import { EOF, OK, readOk, readStatus } from './ok-packet.ts';
import { HEADER_BYTES, MAX_PACKET_BYTES, readPayload, writePackets } from './packets.ts';
import { PayloadReader, ProtocolFault } from './payload.ts';

/** Rows are text, with an EOF behind the columns and one behind the rows; affected rows are those that were changed. */
export const textClientOptions: MysqlLoginOptions = {
  capabilities: { flags: Capability.mysql | Capability.longFlag | Capability.protocol41 | Capability.transactions | Capability.secureConnection | Capability.pluginAuth, mariadb: 0 },
  maxPacketBytes: 1 << 30, collation: Collation.utf8mb4, database: undefined, attributes: undefined,
};

/** Largest payload that is taken: what a server can hold at most. */
const MAX_PAYLOAD_BYTES = 1 << 30;

/** Gets each row's payload as it comes: a view that is not to be kept. */
export type TakeRow = (payload: Buffer) => void;

export type TextOutcome =
  | { readonly ok: true; readonly affectedRows: number; readonly lastInsertId: number; readonly info: string; readonly rows: number; readonly warnings: number; /** A transaction is open behind it. */ readonly inTransaction: boolean }
  | { readonly ok: false; readonly error: MysqlError };

interface Asked {
  readonly takeRow: TakeRow;
  readonly done: (outcome: TextOutcome) => void;
}

export class MysqlTextClient {
  readonly threadId: number;
  /** As the server says it: `10.11.6-MariaDB`. */
  readonly version: string;
  readonly #socket: net.Socket;
  readonly #capabilities: Capabilities;
  readonly #closed: () => void;
  #asked: Asked | undefined;
  #state: 'first' | 'columns' | 'columns_end' | 'rows' = 'first';
  #columns = 0;
  #rows = 0;
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes without which no payload can be complete. */
  #needed = HEADER_BYTES;
  #isOver = false;
  #isPaused = false;

  /** `closed`: the connection has ended by itself, with a statement under way or without. */
  constructor(login: Extract<MysqlLogin, { ok: true }>, closed: () => void) {
    this.threadId = login.greeting.connectionId;
    this.version = login.greeting.version;
    this.#socket = login.socket;
    this.#capabilities = login.capabilities;
    this.#closed = closed;
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#ended());
  }

  get isBusy(): boolean {
    return this.#asked !== undefined;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Only when nothing else is under way. `done` is not called when the connection ends first: `closed` is. */
  query(sql: string, takeRow: TakeRow, done: (outcome: TextOutcome) => void): void {
    if (this.#asked) throw new Error('a statement is under way');
    this.#asked = { takeRow, done };
    this.#state = 'first';
    this.#rows = 0;
    this.#socket.write(writePackets(Buffer.concat([Buffer.of(Command.query), Buffer.from(sql, 'utf8')]), 0));
  }

  /** No row comes until `resume`, but for those that have been read. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
    // What had been read when it was paused comes in a turn of its own: the caller may be in the middle of a row's work.
    if (this.#held > 0) queueMicrotask(() => this.#take());
  }

  quit(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.end(writePackets(Buffer.of(Command.quit), 0));
    this.#socket.resume();
  }

  destroy(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    if (this.#held >= this.#needed) this.#take();
  }

  /** Every payload that is complete, until it is paused. */
  #take(): void {
    if (this.#isOver || this.#held < this.#needed) return;
    let bytes = this.#parts.length === 1 ? this.#parts[0] ?? Buffer.alloc(0) : Buffer.concat(this.#parts, this.#held);
    this.#needed = HEADER_BYTES;
    try {
      while (!this.#isPaused && bytes.length >= HEADER_BYTES) {
        const read = readPayload(bytes, MAX_PAYLOAD_BYTES);
        if (read.type === 'too_large') throw new ProtocolFault('a packet is too large');
        if (read.type === 'incomplete') {
          this.#needed = bytesOfPackets(bytes);
          break;
        }
        bytes = bytes.subarray(read.length);
        this.#payload(read.payload);
        if (this.#isOver) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error;
      this.#socket.destroy();
      return;
    }
    this.#parts = bytes.length > 0 ? [bytes] : [];
    this.#held = bytes.length;
  }

  #payload(payload: Buffer): void {
    const first = payload[0];
    // What a server says unasked is that it ends the connection.
    if (!this.#asked) return;
    switch (this.#state) {
      case 'first':
        if (first === ERROR) return this.#finish({ ok: false, error: readMysqlError(payload) });
        if (first === OK) return this.#finishOk(payload);
        this.#columns = new PayloadReader(payload).lengthEncoded() ?? 0;
        this.#state = 'columns';
        return;
      case 'columns':
        this.#columns -= 1;
        if (this.#columns === 0) this.#state = 'columns_end';
        return;
      case 'columns_end':
        this.#state = 'rows';
        return;
      case 'rows':
        if (first === ERROR) return this.#finish({ ok: false, error: readMysqlError(payload) });
        if (first === EOF && payload.length < 9) return this.#finish({ ok: true, affectedRows: 0, lastInsertId: 0, info: '', rows: this.#rows, warnings: payload.length >= 3 ? payload.readUInt16LE(1) : 0, inTransaction: (readStatus(payload, 0, payload.length, true) & 1) !== 0 });
        this.#rows += 1;
        this.#asked.takeRow(payload);
        return;
      default:
        this.#state satisfies never;
    }
  }

  #finishOk(payload: Buffer): void {
    const { affectedRows, lastInsertId, info, status, warnings } = readOk(payload, this.#capabilities);
    this.#finish({ ok: true, affectedRows, lastInsertId, info, rows: 0, warnings, inTransaction: (status & 1) !== 0 });
  }

  #finish(outcome: TextOutcome): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.done(outcome);
  }

  #ended(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#asked = undefined;
    this.#closed();
  }
}

/** So many at least have to be there before the payload that begins them can be whole. */
function bytesOfPackets(bytes: Buffer): number {
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES) {
    const length = bytes.readUIntLE(at, 3);
    at += HEADER_BYTES + length;
    if (at > bytes.length || length < MAX_PACKET_BYTES) return at;
  }
  return at + HEADER_BYTES;
}
