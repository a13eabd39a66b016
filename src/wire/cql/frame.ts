/**
 * Frames of the CQL native protocol, versions 3 and 4 (Apache Cassandra's `native_protocol_v4.spec`, §2).
 *
 * A frame is version (1 byte, the top bit set in answers), flags (1), stream id (2, signed), opcode (1), length of the body (4), body.
 */
import { ownCopy } from '../own-copy.ts';

export const HEADER_BYTES = 9;
/** The largest body that the protocol allows. */
export const MAX_BODY_BYTES = 256 * 1024 * 1024;
export const ANSWER_BIT = 0x80;
export const EVENT_STREAM = -1;

export const opcodes = {
  error: 0x00, startup: 0x01, ready: 0x02, authenticate: 0x03, options: 0x05, supported: 0x06, query: 0x07, result: 0x08,
  prepare: 0x09, execute: 0x0a, register: 0x0b, event: 0x0c, batch: 0x0d, authChallenge: 0x0e, authResponse: 0x0f, authSuccess: 0x10,
} as const;

export const headerFlags = { compressed: 0x01, tracing: 0x02, payload: 0x04, warning: 0x08 } as const;

export interface FrameHandler {
  /** `buffer[start, end)` is a frame with its header; a view that stays as it is until the handler itself writes into it. */
  frame(buffer: Buffer, start: number, end: number): void;
  /** The stream cannot be read on. Nothing more is offered. */
  violation(reason: string, version: number, stream: number): void;
}

const empty = Buffer.alloc(0);

/** Cuts a byte stream into frames. A frame that lies whole in a chunk is not copied; one that chunks have cut is put together once, when its last byte is there. */
export class FrameSplitter {
  readonly #handler: FrameHandler;
  readonly #maxBodyBytes: number;
  /** Chunks that have come and hold no whole frame. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Bytes that must be there before it is worth looking again. */
  #needed = HEADER_BYTES;
  #stopped = false;

  constructor(handler: FrameHandler, maxBodyBytes = MAX_BODY_BYTES) {
    this.#handler = handler;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Bytes of a frame that is not whole yet. */
  get buffered(): number {
    return this.#partBytes;
  }

  stop(): void {
    this.#stopped = true;
    this.#parts = [];
    this.#partBytes = 0;
  }

  /** `chunk[start, end)` has come. */
  push(chunk: Buffer, start = 0, end = chunk.length): void {
    if (this.#stopped) return;
    if (this.#partBytes === 0) {
      this.#keep(chunk, this.#cut(chunk, start, end), end);
      return;
    }
    this.#keep(chunk, start, end);
    if (this.#partBytes < this.#needed) return;
    const buffer = Buffer.concat(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    this.#keep(buffer, this.#cut(buffer, 0, buffer.length), buffer.length);
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    if (start >= end || this.#stopped) return;
    const part = buffer.subarray(start, end);
    // The rest may come late, and what lies beside this part in memory is not to wait for it.
    this.#parts.push(part.length * 2 < part.buffer.byteLength ? ownCopy(part) : part);
    this.#partBytes += part.length;
  }

  /** First byte of the frame that is not whole. */
  #cut(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= HEADER_BYTES) {
      const version = buffer.readUInt8(at) & 0x7f;
      const length = buffer.readUInt32BE(at + 5);
      // Before version 3 a header has eight bytes; nothing behind it can be read.
      if (version < 3 || length > this.#maxBodyBytes) {
        this.stop();
        this.#handler.violation(version < 3 ? `protocol version ${version}` : `a frame of ${length} bytes, the limit is ${this.#maxBodyBytes}`, version, version < 3 ? 0 : buffer.readInt16BE(at + 2));
        return end;
      }
      const next = at + HEADER_BYTES + length;
      if (next > end) {
        this.#needed = HEADER_BYTES + length;
        return at;
      }
      this.#handler.frame(buffer, at, next);
      if (this.#stopped) return end;
      at = next;
    }
    this.#needed = HEADER_BYTES;
    return at;
  }
}

export function writeHeader(out: Buffer, at: number, version: number, flags: number, stream: number, opcode: number, length: number): void {
  out[at] = version;
  out[at + 1] = flags;
  out[at + 2] = (stream >> 8) & 0xff;
  out[at + 3] = stream & 0xff;
  out[at + 4] = opcode;
  out.writeUInt32BE(length, at + 5);
}

export interface FrameHead {
  /** With `ANSWER_BIT` for an answer. */
  readonly version: number;
  readonly flags?: number;
  readonly stream: number;
  readonly opcode: number;
}

/** A whole frame in memory of its own. */
export function makeFrame({ version, flags = 0, stream, opcode }: FrameHead, body: Buffer = empty): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  writeHeader(out, 0, version, flags, stream, opcode, body.length);
  body.copy(out, HEADER_BYTES);
  return out;
}

/**
 * Where the message itself begins: an answer may have a tracing id, warnings and a payload before it, a request a payload
 * (native_protocol_v4.spec, §2.2). Throws a RangeError when the frame ends before that.
 */
export function messageStart(buffer: Buffer, start: number, end: number): number {
  const flags = buffer.readUInt8(start + 1);
  let at = start + HEADER_BYTES;
  const isAnswer = (buffer.readUInt8(start) & ANSWER_BIT) !== 0;
  if (isAnswer && (flags & headerFlags.tracing) !== 0) at += 16;
  if (isAnswer && (flags & headerFlags.warning) !== 0) {
    const count = buffer.readUInt16BE(at);
    at += 2;
    for (let index = 0; index < count; index += 1) at += 2 + buffer.readUInt16BE(at);
  }
  if ((flags & headerFlags.payload) !== 0) {
    const count = buffer.readUInt16BE(at);
    at += 2;
    for (let index = 0; index < count; index += 1) {
      at += 2 + buffer.readUInt16BE(at);
      at += 4 + Math.max(0, buffer.readInt32BE(at));
    }
  }
  if (at > end) throw new RangeError('the frame ends in what stands before its message');
  return at;
}
