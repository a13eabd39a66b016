/**
 * Cuts a byte stream into protocol messages without copying it.
 *
 * A message is a type byte, a 4-byte length that counts itself but not the type, and a body
 * (https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS). Only these 5-byte headers are
 * read. The handler says for each message whether its bytes pass; neighbouring messages that pass leave as one range of
 * the chunk in which they came. Chunks may be split anywhere.
 *
 * States: running → paused (`pause()`, or a verdict STOP) → running (`resume()`); broken after a violation.
 */
export const PASS = 0;
/** The message is consumed, its bytes do not pass. */
export const CUT = 1;
/** The message is not consumed: the scanner pauses and offers it again after `resume()`. */
export const STOP = 2;
/** Of a streamed message of which only a first part is there: it is offered again once it is whole. */
export const WHOLE = 3;
export type Verdict = typeof PASS | typeof CUT | typeof STOP | typeof WHOLE;

export interface FrameHandler {
  /**
   * `buffer[start, start + length)` is the message with its header. Of a streamed type only a first part may be there
   * (`start + length > buffer.length`); the rest follows the verdict.
   */
  message(type: number, buffer: Buffer, start: number, length: number): Verdict;
  /** Bytes of messages that pass, in order. */
  pass(bytes: Buffer): void;
  /** The stream cannot be read on: bad length, or a message above the limit. */
  violation(reason: string): void;
}

export interface FrameOptions {
  /** Largest message that is held whole, in bytes with its header. Streamed types are not held, hence not limited. */
  readonly maxMessageBytes: number;
  /** Types whose bodies pass as they come. */
  readonly streamed: string;
}

const HEADER_BYTES = 5;
const empty = Buffer.alloc(0);

export class FrameScanner {
  readonly #handler: FrameHandler;
  readonly #limit: number;
  readonly #streamed = new Uint8Array(256);
  #buffer: Buffer = empty;
  /** First byte not yet offered, and first byte of the range that passes but has not left. */
  #at = 0;
  #from = 0;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** Bytes that must be there before scanning goes on. */
  #needed = HEADER_BYTES;
  /** Rest of a streamed message, and whether it passes. */
  #remaining = 0;
  #remainingPasses = false;
  #paused = false;
  #running = false;
  #broken = false;

  constructor(handler: FrameHandler, options: FrameOptions) {
    this.#handler = handler;
    this.#limit = options.maxMessageBytes;
    for (const type of options.streamed) this.#streamed[type.charCodeAt(0)] = 1;
  }

  /** From the next message of this type on. */
  setStreamed(type: number, streamed: boolean): void {
    this.#streamed[type] = streamed ? 1 : 0;
  }

  /** Bytes received and not yet consumed. */
  get buffered(): number {
    return this.#buffer.length - this.#at + this.#queuedBytes;
  }

  get paused(): boolean {
    return this.#paused;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    if (this.#at === this.#buffer.length && this.#queue.length === 0) {
      this.#buffer = chunk;
      this.#at = 0;
      this.#from = 0;
    } else {
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
    }
    this.#run();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#run();
  }

  /** Lets the bytes that have passed so far leave now: called by a handler before it writes something of its own. */
  flush(): void {
    if (this.#from < this.#at) {
      const bytes = this.#from === 0 && this.#at === this.#buffer.length ? this.#buffer : this.#buffer.subarray(this.#from, this.#at);
      this.#from = this.#at;
      this.#handler.pass(bytes);
    }
  }

  #run(): void {
    if (this.#running || this.#broken) return;
    this.#running = true;
    while (!this.#paused && this.#gather()) {
      this.#scan();
      this.flush();
    }
    this.#running = false;
    // Idle connections are many: what the last message came in is not kept until the next one.
    if (this.#at === this.#buffer.length) this.#forget();
  }

  /** Makes `#needed` bytes contiguous; false when they have not come yet. */
  #gather(): boolean {
    const here = this.#buffer.length - this.#at;
    const needed = this.#remaining > 0 ? 1 : this.#needed;
    if (here >= needed) return true;
    if (here + this.#queuedBytes < needed) return false;
    const rest = this.#buffer.subarray(this.#at);
    this.#buffer = rest.length === 0 && this.#queue.length === 1 ? (this.#queue[0] ?? empty) : Buffer.concat([rest, ...this.#queue], here + this.#queuedBytes);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#at = 0;
    this.#from = 0;
    return true;
  }

  #scan(): void {
    const buffer = this.#buffer;
    const end = buffer.length;
    if (this.#remaining > 0) this.#passRemaining(end);
    while (end - this.#at >= HEADER_BYTES) {
      const at = this.#at;
      const length = ((buffer[at + 1] ?? 0) << 24) | ((buffer[at + 2] ?? 0) << 16) | ((buffer[at + 3] ?? 0) << 8) | (buffer[at + 4] ?? 0);
      const type = buffer[at] ?? 0;
      const streamed = this.#streamed[type] === 1;
      if (length < 4 || (length >= this.#limit && !streamed)) {
        this.#break(`message type "${printable(type)}" has length ${length}`);
        return;
      }
      const total = length + 1;
      if (total > end - at && !streamed) {
        this.#needed = total;
        return;
      }
      const verdict = this.#handler.message(type, buffer, at, total);
      if (verdict === STOP) {
        this.#paused = true;
        this.#needed = Math.min(total, end - at);
        return;
      }
      if (verdict === CUT) this.flush();
      else if (verdict === WHOLE) {
        this.#needed = total;
        return;
      }
      this.#at = total > end - at ? end : at + total;
      if (verdict === CUT) this.#from = this.#at;
      this.#remaining = total - (this.#at - at);
      this.#remainingPasses = verdict === PASS;
      if (this.#paused || this.#broken) break;
    }
    this.#needed = HEADER_BYTES;
  }

  #passRemaining(end: number): void {
    const part = Math.min(this.#remaining, end - this.#at);
    this.#remaining -= part;
    this.#at += part;
    if (!this.#remainingPasses) this.#from = this.#at;
  }

  /** Stops for good; nothing more is offered. */
  stop(): void {
    this.#broken = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#forget();
  }

  #forget(): void {
    this.#buffer = empty;
    this.#at = 0;
    this.#from = 0;
  }

  #break(reason: string): void {
    this.flush();
    this.stop();
    this.#handler.violation(reason);
  }
}

function printable(type: number): string {
  return type > 32 && type < 127 ? String.fromCharCode(type) : `\\x${type.toString(16).padStart(2, '0')}`;
}
