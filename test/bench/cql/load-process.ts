/**
 * The load of `bench cql`: connections that each keep so many prepared statements in hand, for some time. A message in is a `LoadOrder`, one out its `LoadResult`.
 * Nothing is allocated per request: frames are made once, reads share one buffer, and what one read brings is answered by one write.
 */
import * as net from 'node:net';
import { BodyReader } from '../../../src/wire/cql/body-reader.ts';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { readError } from '../../../src/wire/cql/error-body.ts';
import { FrameSplitter, HEADER_BYTES, makeFrame, opcodes } from '../../../src/wire/cql/frame.ts';
import { executeFrame, insertText, selectText, VERSION } from './workload.ts';
import type { ExecuteFrame, Workload } from './workload.ts';

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  /** Requests in hand on each. */
  readonly depth: number;
  readonly workload: Workload;
  readonly clientTimestamps: boolean;
  readonly warmUpMs: number;
  readonly runMs: number;
}

export interface LoadResult {
  /** Answered in the time that counts. */
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answered over all, the time of warming up among them. */
  readonly writes: number;
  readonly reads: number;
  /** Processor time of the load's own, per request. */
  readonly cpuUsPerRequest: number;
  readonly failure?: string;
}

const HANDSHAKE_LIMIT_MS = 20_000;
const END_LIMIT_MS = 10_000;
const BLOCK_BYTES = 64 * 1024;
const MOST_US = 1 << 20;

const received = Buffer.allocUnsafeSlow(BLOCK_BYTES);

interface State {
  phase: 'warm' | 'counted' | 'ending';
  requests: number;
  writes: number;
  reads: number;
  inHand: number;
  key: number;
  failure: string | undefined;
  /** By microseconds. */
  readonly times: Uint32Array;
}

class Connection {
  readonly #order: LoadOrder;
  readonly #state: State;
  readonly #socket: net.Socket;
  readonly #sentAt: Float64Array;
  readonly #isWrite: Uint8Array;
  /** The last frame, while only its beginning is there. */
  #tail: Buffer | undefined;
  #write: ExecuteFrame | undefined;
  #read: ExecuteFrame | undefined;
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #blockEnd = 0;
  #turn = 0;
  #take: (frame: Buffer) => void = () => undefined;
  #isRunning = false;

  constructor(order: LoadOrder, state: State) {
    this.#order = order;
    this.#state = state;
    this.#sentAt = new Float64Array(order.depth);
    this.#isWrite = new Uint8Array(order.depth);
    const splitter = new FrameSplitter({ frame: (buffer, start, end) => this.#take(Buffer.from(buffer.subarray(start, end))), violation: (reason) => this.#fail(reason) });
    this.#socket = net.connect({
      host: '127.0.0.1', port: order.port, noDelay: true,
      onread: { buffer: received, callback: (bytes) => {
        if (this.#isRunning) this.#answered(bytes);
        else splitter.push(Buffer.from(received.subarray(0, bytes)));
        return true;
      } },
    });
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#socket.on('close', () => this.#fail('the connection was closed'));
  }

  async open(): Promise<void> {
    const { workload, clientTimestamps } = this.#order;
    await this.#ask(opcodes.startup, new BodyWriter().stringMap(new Map([['CQL_VERSION', '3.0.0']])).done());
    const timestamp = clientTimestamps ? BigInt(Date.now()) * 1000n : undefined;
    if (workload !== 'read') this.#write = executeFrame(await this.#prepare(insertText), true, timestamp);
    if (workload !== 'write') this.#read = executeFrame(await this.#prepare(selectText), false, undefined);
  }

  async #prepare(text: string): Promise<Buffer> {
    const frame = await this.#ask(opcodes.prepare, new BodyWriter().longString(text).done());
    const reader = new BodyReader(frame, HEADER_BYTES);
    reader.int();
    return Buffer.from(reader.shortBytes());
  }

  async #ask(opcode: number, body: Buffer): Promise<Buffer> {
    const frame = await new Promise<Buffer>((resolve) => {
      this.#take = resolve;
      this.#socket.write(makeFrame({ version: VERSION, stream: 0, opcode }, body));
    });
    if (frame[4] === opcodes.error) throw new Error(readError(frame, HEADER_BYTES, frame.length).message);
    return frame;
  }

  start(): void {
    this.#isRunning = true;
    for (let stream = 0; stream < this.#order.depth; stream += 1) this.#next(stream, performance.now());
    this.#flush();
  }

  close(): void {
    this.#isRunning = false;
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #next(stream: number, now: number): void {
    this.#turn += 1;
    const isWrite = this.#write !== undefined && (this.#read === undefined || (this.#turn & 1) === 0);
    const frame = isWrite ? this.#write : this.#read;
    if (!frame) return;
    const { bytes, keyAt } = frame;
    if (this.#block.length - this.#blockEnd < bytes.length) this.#flush(true);
    const at = this.#blockEnd;
    bytes.copy(this.#block, at);
    this.#block[at + 2] = stream >> 8;
    this.#block[at + 3] = stream & 0xff;
    const key = this.#state.key += 1;
    this.#block[at + keyAt + 1] = key >> 16;
    this.#block[at + keyAt + 2] = key >> 8;
    this.#block[at + keyAt + 3] = key;
    this.#blockEnd = at + bytes.length;
    this.#sentAt[stream] = now;
    this.#isWrite[stream] = isWrite ? 1 : 0;
    this.#state.inHand += 1;
  }

  #from = 0;

  #flush(isFull = false): void {
    if (this.#from < this.#blockEnd) this.#socket.write(this.#block.subarray(this.#from, this.#blockEnd));
    this.#from = this.#blockEnd;
    if (!isFull) return;
    // What was written may still be under way.
    this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#from = 0;
    this.#blockEnd = 0;
  }

  #answered(count: number): void {
    const state = this.#state;
    const now = performance.now();
    const bytes = this.#tail ? Buffer.concat([this.#tail, received.subarray(0, count)]) : received.subarray(0, count);
    this.#tail = undefined;
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 5);
      if (end > bytes.length) break;
      const stream = bytes.readInt16BE(at + 2);
      if (bytes[at + 4] !== opcodes.result) {
        this.#fail(bytes[at + 4] === opcodes.error ? readError(bytes, at + HEADER_BYTES, end).message : `opcode ${bytes[at + 4]}`);
        return;
      }
      if (this.#isWrite[stream] === 1) state.writes += 1;
      else state.reads += 1;
      state.inHand -= 1;
      if (state.phase === 'counted') {
        state.requests += 1;
        const us = Math.min(MOST_US - 1, Math.max(0, Math.round((now - (this.#sentAt[stream] ?? 0)) * 1000)));
        state.times[us] = (state.times[us] ?? 0) + 1;
      }
      if (state.phase !== 'ending') this.#next(stream, now);
      at = end;
    }
    if (at < bytes.length) this.#tail = Buffer.from(bytes.subarray(at));
    this.#flush();
  }

  #fail(reason: string): void {
    this.#state.failure ??= reason;
  }
}

function timeAt(times: Uint32Array, part: number, requests: number): number {
  let left = requests * part;
  for (let us = 0; us < times.length; us += 1) {
    left -= times[us] ?? 0;
    if (left <= 0) return us;
  }
  return times.length;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function run(order: LoadOrder): Promise<LoadResult> {
  const state: State = { phase: 'warm', requests: 0, writes: 0, reads: 0, inHand: 0, key: 0, failure: undefined, times: new Uint32Array(MOST_US) };
  const connections = Array.from({ length: order.connections }, () => new Connection(order, state));
  try {
    await Promise.race([Promise.all(connections.map((connection) => connection.open())), failsAfter(HANDSHAKE_LIMIT_MS, 'the connections were not open')]);
    for (const connection of connections) connection.start();
    await pause(order.warmUpMs);
    const cpu = process.cpuUsage();
    const started = performance.now();
    state.phase = 'counted';
    await pause(order.runMs);
    state.phase = 'ending';
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const limit = performance.now() + END_LIMIT_MS;
    while (state.inHand > 0 && state.failure === undefined && performance.now() < limit) await pause(5);
    if (state.inHand > 0) state.failure ??= `${state.inHand} requests were not answered`;
    if (state.requests === 0) state.failure ??= 'nothing was answered';
    return {
      requests: state.requests, seconds, p50Us: timeAt(state.times, 0.5, state.requests), p99Us: timeAt(state.times, 0.99, state.requests), writes: state.writes, reads: state.reads,
      cpuUsPerRequest: (user + system) / Math.max(1, state.requests), ...(state.failure === undefined ? {} : { failure: state.failure }),
    };
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function failsAfter(ms: number, what: string): Promise<never> {
  await pause(ms);
  throw new Error(`${what} after ${ms} ms`);
}

process.on('message', (order: LoadOrder) => {
  run(order).then((result) => process.send?.(result), (error: unknown) => process.send?.({
    requests: 0, seconds: 0, p50Us: 0, p99Us: 0, writes: 0, reads: 0, cpuUsPerRequest: 0, failure: error instanceof Error ? error.message : String(error),
  } satisfies LoadResult));
});
process.once('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
process.send?.('ready');
