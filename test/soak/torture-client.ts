/**
 * A client of the torture run: sends as badly as it is told to, reads when it is told to, and keeps what came as short lines that can be compared with what had
 * to come: `1`, `D:first column`, `C:tag`, `E:sqlstate`, `Z:status` … Notices, notifications and parameters are kept apart, as they may come anywhere.
 */
import { createHash } from 'node:crypto';
import * as net from 'node:net';
import { CUT, FrameScanner } from '../../src/wire/framing.ts';
import { readErrorFields } from '../../src/wire/error-fields.ts';
import { writeCancelRequest, writeStartup } from '../../src/wire/startup-packet.ts';
import type { Random } from './torture-random.ts';

/** An answer for which this client has waited longer is one that will not come. */
const STUCK_MS = 20_000;
/** Further rows of one answer are only counted. */
const KEPT_ROWS = 50;
const LONG_VALUE = 200;

/** A request without an answer: what the session waits for is asked of the gateway. */
export class Stuck extends Error {}
export class Closed extends Error {}
export class WrongAnswer extends Error {}

export type SendMode = 'whole' | 'split' | 'bytes';

export class TortureClient {
  readonly socket: net.Socket;
  readonly name: string;
  pid = 0;
  key: Buffer = Buffer.alloc(4);
  closed = false;
  notices: string[] = [];
  notifications: string[] = [];
  /** Texts of the errors behind the `E` lines. */
  errors: string[] = [];
  #lines: string[] = [];
  #readies = 0;
  #rows = 0;
  #copied = { messages: 0, hash: createHash('md5') };
  #waiter: (() => void) | undefined;

  private constructor(socket: net.Socket, name: string) {
    this.socket = socket;
    this.name = name;
    const scanner = new FrameScanner({
      message: (type, buffer, start, length) => {
        this.#message(String.fromCharCode(type), buffer.subarray(start + 5, start + length), buffer, start, length);
        return CUT;
      },
      pass: () => undefined,
      violation: (reason) => this.#lines.push(`violation: ${reason}`),
    }, { maxMessageBytes: 1 << 30, streamed: '' });
    socket.on('data', (chunk: Buffer) => {
      scanner.push(chunk);
      this.#waiter?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#waiter?.();
    });
  }

  /** A socket that has sent nothing. */
  static async plain(port: number, name: string): Promise<TortureClient> {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    const client = new TortureClient(socket, name);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  static async open(port: number, name: string): Promise<TortureClient> {
    const client = await TortureClient.plain(port, name);
    client.socket.write(writeStartup([['user', 'postgres'], ['database', 'postgres'], ['application_name', 'torture']]));
    expectLines(client, await client.until(1), ['R', 'K', 'Z:I']);
    return client;
  }

  /** Cancels what the client runs, with its real key; resolves when the gateway has taken the request. */
  async cancel(port: number): Promise<void> {
    const other = await TortureClient.plain(port, `${this.name} cancel`);
    other.socket.write(writeCancelRequest(this.pid, this.key));
    await other.gone();
  }

  /** Sends, and gives the lines up to so many ReadyForQuery. */
  ask(bytes: Buffer | readonly Buffer[], readies = 1): Promise<string[]> {
    this.write(bytes);
    return this.until(readies);
  }

  write(bytes: Buffer | readonly Buffer[]): void {
    this.socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes));
  }

  /** In one piece, in random pieces, or byte by byte, each a packet of its own as far as the kernel lets it. */
  async send(bytes: Buffer, mode: SendMode, random: Random): Promise<void> {
    if (mode === 'whole') this.write(bytes);
    else {
      for (let at = 0; at < bytes.length && !this.closed;) {
        const to = mode === 'bytes' ? at + 1 : Math.min(bytes.length, at + 1 + random.below(Math.max(1, bytes.length >> 2)));
        this.socket.write(bytes.subarray(at, to));
        at = to;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** What has come, up to so many ReadyForQuery. */
  until(readies: number): Promise<string[]> {
    return this.#wait(() => this.#readies >= readies);
  }

  /** What has come, up to a message of this type. */
  untilType(type: string): Promise<string[]> {
    return this.#wait(() => this.#lines.some((line) => line.startsWith(type)));
  }

  notified(text: string): Promise<string[]> {
    return this.#wait(() => this.notifications.includes(text));
  }

  async gone(): Promise<void> {
    await this.#wait(() => this.closed, true);
  }

  #wait(test: () => boolean, mayClose = false): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiter = undefined;
        reject(new Stuck(`${this.name}: nothing for ${STUCK_MS} ms; so far ${this.#lines.slice(-40).join(' ')}`));
      }, STUCK_MS);
      const look = (): void => {
        if (!test() && !this.closed) return;
        this.#waiter = undefined;
        clearTimeout(timer);
        if (test() || mayClose) resolve(this.#take());
        else reject(new Closed(`${this.name}: the connection was closed; so far ${this.#lines.slice(-40).join(' ')} ${this.errors.join('; ')}`));
      };
      this.#waiter = look;
      look();
    });
  }

  #take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    this.#readies = 0;
    return lines;
  }

  #message(type: string, body: Buffer, buffer: Buffer, start: number, length: number): void {
    if (type === 'd') {
      this.#copied.messages += 1;
      this.#copied.hash.update(body);
      return;
    }
    if (this.#copied.messages > 0) {
      this.#lines.push(`d×${this.#copied.messages}:${this.#copied.hash.digest('hex')}`);
      this.#copied = { messages: 0, hash: createHash('md5') };
    }
    const line = this.#line(type, body, buffer, start, length);
    if (line !== undefined) this.#lines.push(line);
    if (type === 'Z') this.#readies += 1;
  }

  #line(type: string, body: Buffer, buffer: Buffer, start: number, length: number): string | undefined {
    switch (type) {
      case 'D':
        this.#rows += 1;
        return this.#rows > KEPT_ROWS ? undefined : `D:${shortened(body)}`;
      case 'C': {
        this.#rows = 0;
        return `C:${body.toString('utf8', 0, body.length - 1)}`;
      }
      case 'E': {
        this.#rows = 0;
        const fields = readErrorFields(buffer, start, length);
        this.errors = [...this.errors.slice(-5), `${fields.get('M') ?? ''} ${fields.get('D') ?? ''}`];
        return `E:${fields.get('C') ?? ''}`;
      }
      case 'Z':
        return `Z:${body.toString('latin1')}`;
      case 's':
        this.#rows = 0;
        return 's';
      case 'N':
        this.notices = [...this.notices.slice(-20), readErrorFields(buffer, start, length).get('M') ?? ''];
        return undefined;
      case 'A': {
        const [channel = '', payload = ''] = body.toString('utf8', 4).split('\0');
        this.notifications.push(`${channel}:${payload}`);
        return undefined;
      }
      case 'S':
        return undefined;
      case 'K':
        this.pid = body.readInt32BE(0);
        this.key = Buffer.from(body.subarray(4));
        return 'K';
      default:
        return type;
    }
  }
}

/** The first column of a DataRow; of a long one its ends and its length. */
function shortened(body: Buffer): string {
  const length = body.length < 6 ? -1 : body.readInt32BE(2);
  if (length < 0) return 'null';
  if (length <= LONG_VALUE) return body.toString('utf8', 6, 6 + length);
  return longValue(body.toString('utf8', 6, 16), length, body.toString('utf8', 6 + length - 30, 6 + length));
}

export function longValue(first: string, length: number, last: string): string {
  return `${first}…${length}…${last}`;
}

/** Compares line by line; an expectation is the line itself, or an expression that it has to match. */
export function expectLines(client: TortureClient, lines: readonly string[], expected: readonly (string | RegExp)[]): void {
  const wrong = expected.findIndex((line, index) => (typeof line === 'string' ? line !== lines[index] : !line.test(lines[index] ?? '')));
  if (wrong < 0 && lines.length === expected.length) return;
  const at = wrong < 0 ? Math.min(lines.length, expected.length) : wrong;
  throw new WrongAnswer(`${client.name} (backend ${client.pid}): line ${at} of ${lines.length} is ${lines[at] ?? 'missing'}, not ${String(expected[at] ?? 'there')}\n  came: ${lines.slice(Math.max(0, at - 10), at + 10).join(' | ')}\n  expected: ${expected.slice(Math.max(0, at - 10), at + 10).join(' | ')}\n  errors: ${client.errors.join('; ')}\n  notices: ${client.notices.join('; ')}`);
}
