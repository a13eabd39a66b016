/** A MySQL client that sends bytes as a test wants them, and reads answers whole. */
import { once } from 'node:events';
import type * as net from 'node:net';
import { AnswerTracker } from '../../../src/wire/mysql/answer-tracker.ts';
import type { AnswerShape } from '../../../src/wire/mysql/answer-tracker.ts';
import { Capability, passable } from '../../../src/wire/mysql/capabilities.ts';
import type { Capabilities } from '../../../src/wire/mysql/capabilities.ts';
import { connectMysql } from '../../../src/wire/mysql/connect-mysql.ts';
import type { MysqlTarget } from '../../../src/wire/mysql/connect-mysql.ts';
import { ERROR, readMysqlError } from '../../../src/wire/mysql/error-packet.ts';
import { readPayload, writePackets } from '../../../src/wire/mysql/packets.ts';

export class RawMysql implements Disposable {
  readonly socket: net.Socket;
  readonly capabilities: Capabilities;
  readonly connectionId: number;
  #bytes: Buffer = Buffer.alloc(0);
  #isClosed = false;
  readonly #woken = new Set<() => void>();

  private constructor(socket: net.Socket, capabilities: Capabilities, connectionId: number) {
    this.socket = socket;
    this.capabilities = capabilities;
    this.connectionId = connectionId;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      for (const wake of this.#woken) wake();
    });
    socket.on('close', () => {
      this.#isClosed = true;
      for (const wake of this.#woken) wake();
    });
  }

  /** `without`: capabilities that it does not want. */
  static async connect(target: MysqlTarget, database?: string, without = 0): Promise<RawMysql> {
    const capabilities = { ...passable, flags: passable.flags & ~without };
    return await new Promise((resolve, reject) => {
      connectMysql(target, { capabilities, maxPacketBytes: 1 << 30, collation: 45, database, attributes: undefined }, 10_000, (login) => {
        if (login.ok) resolve(new RawMysql(login.socket, login.capabilities, login.greeting.connectionId));
        else reject(new Error(login.reason));
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get received(): number {
    return this.#bytes.length;
  }

  command(code: number, rest: Buffer | string = ''): Buffer {
    return writePackets(Buffer.concat([Buffer.of(code), Buffer.from(rest)]), 0);
  }

  async query(text: string): Promise<readonly Buffer[]> {
    this.socket.write(this.command(0x03, text));
    return await this.answer('result');
  }

  /** Payloads of the next answer. */
  async answer(shape: AnswerShape): Promise<readonly Buffer[]> {
    for (;;) {
      const tracker = new AnswerTracker(this.capabilities);
      tracker.expect(shape);
      const payloads: Buffer[] = [];
      for (let at = 0; at < this.#bytes.length;) {
        const read = readPayload(this.#bytes.subarray(at), 2 ** 30);
        if (read.type !== 'payload') break;
        tracker.push(this.#bytes.subarray(at, at + read.length));
        payloads.push(Buffer.from(read.payload));
        at += read.length;
        if (tracker.isComplete || tracker.wantsFile) {
          this.#bytes = Buffer.from(this.#bytes.subarray(at));
          return payloads;
        }
      }
      await this.#more();
    }
  }

  /** How often a byte comes in the next answer, which is not kept; it must be the only one on its way. */
  async countInAnswer(shape: AnswerShape, byte: number): Promise<number> {
    const tracker = new AnswerTracker(this.capabilities);
    tracker.expect(shape);
    for (let count = 0; ;) {
      tracker.push(this.#bytes);
      for (const each of this.#bytes) if (each === byte) count += 1;
      this.#bytes = Buffer.alloc(0);
      if (tracker.isComplete) return count;
      this.socket.resume();
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (this.#isClosed) throw new Error('the connection is closed');
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#woken.delete(wake);
        resolve();
      };
      this.#woken.add(wake);
    });
  }

  async closed(): Promise<void> {
    if (!this.#isClosed) await once(this.socket, 'close');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** What the error says; throws when the answer is none. */
export function errorIn(payloads: readonly Buffer[]): string {
  const last = payloads.at(-1);
  if (last?.[0] !== ERROR) throw new Error('the answer is no error');
  const { code, message } = readMysqlError(last);
  return `${code} ${message}`;
}

/** The cells of the rows between the definitions and the end, of one column. */
export function firstColumn(payloads: readonly Buffer[], { flags }: Capabilities): string[] {
  if (payloads[0]?.[0] === ERROR) throw new Error(errorIn(payloads));
  const isNew = (flags & Capability.deprecateEof) !== 0;
  return payloads.slice(isNew ? 2 : 3, -1).map((row) => row.toString('utf8', 1));
}
