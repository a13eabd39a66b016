/** A client that says exactly what it is told to: frames with or without a timestamp, values not set, any stream, many at once. */
import { once } from 'node:events';
import * as net from 'node:net';
import { Reader, Writer } from './bytes.ts';
import { compress, decompress } from './compression.ts';
import type { Compression } from './compression.ts';
import { flags, FrameReader, frameBytes, opcodes } from './frames.ts';
import type { Frame } from './frames.ts';

export interface RawOptions { readonly version?: 3 | 4; readonly compression?: Compression; readonly user?: string; readonly password?: string; readonly keyspace?: string }

export interface RequestOptions {
  readonly values?: readonly (Buffer | null | undefined)[];
  /** Of the values, which then need not be in the markers' order. */
  readonly names?: readonly string[];
  readonly consistency?: number;
  readonly timestamp?: bigint;
  readonly pageSize?: number;
  readonly pagingState?: Buffer;
  readonly skipMetadata?: boolean;
  readonly isTraced?: boolean;
}

export type RawAnswer =
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly flags: number; readonly body: Buffer }
  | { readonly kind: 'rows'; readonly columns: readonly string[]; readonly rows: readonly (readonly (Buffer | null)[])[]; readonly pagingState: Buffer | undefined; readonly flags: number; readonly warnings: readonly string[] }
  | { readonly kind: 'prepared'; readonly id: Buffer; readonly flags: number }
  | { readonly kind: 'void' | 'schema'; readonly flags: number; readonly warnings: readonly string[] }
  | { readonly kind: 'keyspace'; readonly keyspace: string; readonly flags: number }
  | { readonly kind: 'other'; readonly opcode: number; readonly flags: number; readonly body: Buffer };

export interface BatchChild { readonly text?: string; readonly id?: Buffer; readonly values?: readonly (Buffer | null | undefined)[] }

export class RawClient {
  readonly events: Frame[] = [];
  readonly socket: net.Socket;
  readonly #version: number;
  readonly #reader = new FrameReader();
  readonly #pending = new Map<number, { readonly resolve: (answer: RawAnswer) => void; readonly reject: (error: Error) => void }>();
  readonly #free: number[] = [];
  #streams = 0;
  #compression: Compression | undefined;
  #closed: Error | undefined;

  private constructor(socket: net.Socket, version: number) {
    this.socket = socket;
    this.#version = version;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      for (const frame of this.#reader.push(bytes)) this.#receive(frame);
    });
    const end = (error: Error): void => {
      this.#closed ??= error;
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    };
    socket.on('error', end);
    socket.on('close', () => end(new Error('the connection is closed')));
  }

  static async connect(port: number, host = '127.0.0.1', options: RawOptions = {}): Promise<RawClient> {
    const socket = net.connect(port, host);
    const client = new RawClient(socket, options.version ?? 4);
    await once(socket, 'connect');
    const pairs: [string, string][] = [['CQL_VERSION', '3.0.0'], ...(options.compression ? [['COMPRESSION', options.compression] as [string, string]] : [])];
    const startup = new Writer().u16(pairs.length);
    for (const [key, value] of pairs) startup.string(key).string(value);
    let answer = await client.send(opcodes.STARTUP, startup.done());
    if (answer.kind === 'other' && answer.opcode === opcodes.AUTHENTICATE) answer = await client.send(opcodes.AUTH_RESPONSE, new Writer().bytes(Buffer.from(`\0${options.user ?? ''}\0${options.password ?? ''}`)).done());
    if (answer.kind === 'error') {
      client.close();
      throw Object.assign(new Error(answer.message), { code: answer.code });
    }
    client.#compression = options.compression;
    if (options.keyspace !== undefined) await client.need(`USE "${options.keyspace}"`);
    return client;
  }

  get pending(): number {
    return this.#pending.size;
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  send(opcode: number, body: Buffer, flagBits = 0, stream = this.#free.pop() ?? this.#streams++): Promise<RawAnswer> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#pending.set(stream, { resolve, reject });
      const isCompressed = this.#compression !== undefined && body.length > 0;
      const sent = this.#compression && isCompressed ? compress(this.#compression, body) : body;
      this.socket.write(frameBytes({ version: this.#version, flags: flagBits | (isCompressed ? flags.compressed : 0), stream, opcode, body: sent }));
    });
  }

  query(text: string, options: RequestOptions = {}): Promise<RawAnswer> {
    const bytes = Buffer.from(text);
    return this.send(opcodes.QUERY, parameters(new Writer().i32(bytes.length).raw(bytes), options).done(), options.isTraced ? flags.tracing : 0);
  }

  /** Throws what is an error. */
  async need(text: string, options: RequestOptions = {}): Promise<RawAnswer> {
    const answer = await this.query(text, options);
    if (answer.kind === 'error') throw Object.assign(new Error(`${answer.message} (${text})`), { code: answer.code });
    return answer;
  }

  async prepare(text: string): Promise<Buffer> {
    const bytes = Buffer.from(text);
    const answer = await this.send(opcodes.PREPARE, new Writer().i32(bytes.length).raw(bytes).done());
    if (answer.kind !== 'prepared') throw new Error(answer.kind === 'error' ? `${answer.message} (${text})` : answer.kind);
    return answer.id;
  }

  execute(id: Buffer, options: RequestOptions = {}): Promise<RawAnswer> {
    return this.send(opcodes.EXECUTE, parameters(new Writer().shortBytes(id), options).done(), options.isTraced ? flags.tracing : 0);
  }

  batch(type: 'logged' | 'unlogged' | 'counter', children: readonly BatchChild[], options: RequestOptions = {}): Promise<RawAnswer> {
    const out = new Writer().u8(['logged', 'unlogged', 'counter'].indexOf(type)).u16(children.length);
    for (const { text, id, values = [] } of children) {
      if (id) out.u8(1).shortBytes(id);
      else out.u8(0).i32(Buffer.byteLength(text ?? '')).raw(Buffer.from(text ?? ''));
      out.u16(values.length);
      for (const value of values) writeValue(out, value);
    }
    out.u16(options.consistency ?? 1).u8(options.timestamp === undefined ? 0 : 0x20);
    if (options.timestamp !== undefined) out.raw(int64(options.timestamp));
    return this.send(opcodes.BATCH, out.done());
  }

  register(...kinds: readonly string[]): Promise<RawAnswer> {
    return this.send(opcodes.REGISTER, new Writer().stringList(kinds).done());
  }

  #receive(frame: Frame): void {
    const body = frame.flags & flags.compressed && this.#compression ? decompress(this.#compression, frame.body) : frame.body;
    if (frame.stream === -1) {
      this.events.push({ ...frame, body });
      return;
    }
    const pending = this.#pending.get(frame.stream);
    if (!pending) {
      this.socket.destroy(new Error(`an answer for stream ${frame.stream}, which waits for none`));
      return;
    }
    this.#pending.delete(frame.stream);
    this.#free.push(frame.stream);
    pending.resolve(readAnswer(frame, body));
  }
}

function parameters(out: Writer, { values, names, consistency = 1, timestamp, pageSize, pagingState, skipMetadata }: RequestOptions): Writer {
  out.u16(consistency).u8((values ? 1 : 0) | (skipMetadata ? 2 : 0) | (pageSize === undefined ? 0 : 4) | (pagingState ? 8 : 0) | (timestamp === undefined ? 0 : 0x20) | (names ? 0x40 : 0));
  if (values) {
    out.u16(values.length);
    values.forEach((value, index) => {
      if (names) out.string(names[index] ?? '');
      writeValue(out, value);
    });
  }
  if (pageSize !== undefined) out.i32(pageSize);
  if (pagingState) out.bytes(pagingState);
  if (timestamp !== undefined) out.raw(int64(timestamp));
  return out;
}

function writeValue(out: Writer, value: Buffer | null | undefined): void {
  if (value === undefined) out.i32(-2);
  else out.bytes(value);
}

function readAnswer(frame: Frame, body: Buffer): RawAnswer {
  const reader = new Reader(body);
  const warnings: string[] = [];
  if (frame.flags & flags.tracing) reader.take(16);
  if (frame.flags & flags.warning) for (let left = reader.u16(); left > 0; left -= 1) warnings.push(reader.string());
  if (frame.flags & flags.payload) for (let left = reader.u16(); left > 0; left -= 1) {
    reader.string();
    reader.bytes();
  }
  const traits = { flags: frame.flags, warnings };
  if (frame.opcode === opcodes.ERROR) return { kind: 'error', code: reader.i32(), message: reader.string(), body, ...traits };
  if (frame.opcode !== opcodes.RESULT) return { kind: 'other', opcode: frame.opcode, body, ...traits };
  switch (reader.i32()) {
    case 2: return { ...readRows(reader), ...traits };
    case 3: return { kind: 'keyspace', keyspace: reader.string(), ...traits };
    case 4: return { kind: 'prepared', id: Buffer.from(reader.shortBytes()), ...traits };
    case 5: return { kind: 'schema', ...traits };
    default: return { kind: 'void', ...traits };
  }
}

function readRows(reader: Reader): { readonly kind: 'rows'; readonly columns: readonly string[]; readonly rows: readonly (readonly (Buffer | null)[])[]; readonly pagingState: Buffer | undefined } {
  const bits = reader.i32();
  const count = reader.i32();
  const pagingState = bits & 2 ? Buffer.from(reader.bytes() ?? []) : undefined;
  const columns: string[] = [];
  if (!(bits & 4)) {
    if (bits & 1) {
      reader.string();
      reader.string();
    }
    for (let index = 0; index < count; index += 1) {
      if (!(bits & 1)) {
        reader.string();
        reader.string();
      }
      columns.push(reader.string());
      skipType(reader);
    }
  }
  const rows: (Buffer | null)[][] = [];
  for (let left = reader.i32(); left > 0; left -= 1) rows.push(Array.from({ length: count }, () => reader.bytes()));
  return { kind: 'rows', columns, rows, pagingState };
}

function skipType(reader: Reader): void {
  switch (reader.u16()) {
    case 0: reader.string(); return;
    case 0x20: case 0x22: skipType(reader); return;
    case 0x21: skipType(reader); skipType(reader); return;
    case 0x30: {
      reader.string();
      reader.string();
      for (let left = reader.u16(); left > 0; left -= 1) {
        reader.string();
        skipType(reader);
      }
      return;
    }
    case 0x31: for (let left = reader.u16(); left > 0; left -= 1) skipType(reader); return;
    default: return;
  }
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
