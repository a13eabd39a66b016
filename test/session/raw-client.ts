/** A client that speaks the protocol by hand and keeps every message as it came. */
import * as net from 'node:net';
import { message, cstring, int16, int32 } from '../../src/wire/message.ts';
import { writeStartup } from '../../src/wire/startup-packet.ts';

export interface RawMessage {
  readonly type: string;
  readonly body: Buffer;
}

export class RawClient {
  readonly socket: net.Socket;
  readonly messages: RawMessage[] = [];
  closed = false;
  #buffer: Buffer = Buffer.alloc(0);
  readonly #waiters: { readonly test: () => boolean; readonly resolve: () => void }[] = [];

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async connect(port: number, startup: Readonly<Record<string, string>> | null = { user: 'postgres', database: 'postgres' }): Promise<RawClient> {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const client = new RawClient(socket);
    if (startup) {
      socket.write(writeStartup(Object.entries(startup)));
      await client.until(() => client.messages.some(({ type }) => type === 'Z' || type === 'E') || client.closed);
    }
    return client;
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 5) {
      const total = this.#buffer.readInt32BE(1) + 1;
      if (this.#buffer.length < total) break;
      this.messages.push({ type: String.fromCharCode(this.#buffer[0] ?? 0), body: Buffer.from(this.#buffer.subarray(5, total)) });
      this.#buffer = this.#buffer.subarray(total);
    }
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters.slice()) {
      if (!waiter.test()) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve();
    }
  }

  until(test: () => boolean, timeoutMs = 10_000): Promise<void> {
    if (test()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`timed out; so far: ${this.types()}`)), timeoutMs);
      this.#waiters.push({ test, resolve: () => {
        clearTimeout(timer);
        resolve();
      } });
    });
  }

  types(): string {
    return this.messages.map(({ type }) => type).join('');
  }

  /** Sends, and waits for so many ReadyForQuery (or the end); gives the messages that came. */
  async ask(bytes: Buffer | readonly Buffer[], readies = 1, timeoutMs = 10_000): Promise<RawMessage[]> {
    this.messages.length = 0;
    this.socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.concat([...bytes]));
    await this.until(() => this.closed || this.messages.filter(({ type }) => type === 'Z').length >= readies, timeoutMs);
    return this.messages.slice();
  }

  end(): void {
    this.socket.destroy();
  }
}

export const q = (sql: string): Buffer => message('Q', cstring(sql));
export const p = (name: string, sql: string): Buffer => message('P', cstring(name), cstring(sql), int16(0));
export const b = (portal: string, statement: string, values: readonly (string | null)[] = []): Buffer => message('B', cstring(portal), cstring(statement), int16(0), int16(values.length),
  ...values.flatMap((value) => (value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), Buffer.from(value)])), int16(0));
export const d = (kind: 'S' | 'P', name: string): Buffer => message('D', Buffer.from(kind), cstring(name));
export const e = (portal: string, rows = 0): Buffer => message('E', cstring(portal), int32(rows));
export const c = (kind: 'S' | 'P', name: string): Buffer => message('C', Buffer.from(kind), cstring(name));
export const s = message('S');
export const h = message('H');
export const x = message('X');
export const copyData = (text: string): Buffer => message('d', Buffer.from(text));
export const copyDone = message('c');
export const copyFail = (reason: string): Buffer => message('f', cstring(reason));

/** Fields of an ErrorResponse or NoticeResponse. */
export function fieldsOf(found: RawMessage | undefined): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const part of found?.body.toString('utf8').split('\0') ?? []) if (part !== '') fields[part.slice(0, 1)] = part.slice(1);
  return fields;
}

export function firstValue(messages: readonly RawMessage[]): string | undefined {
  const row = messages.find(({ type }) => type === 'D');
  return row?.body.subarray(6, 6 + row.body.readInt32BE(2)).toString('utf8');
}

/** `type:content` of each message, for comparing streams. */
export function transcript(messages: readonly RawMessage[]): string[] {
  return messages.map(({ type, body }) => `${type}:${body.toString('latin1')}`);
}
