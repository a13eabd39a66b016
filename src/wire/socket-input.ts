/**
 * What a server or a client sends, read into memory that is used again: a small message costs no allocation and passes no stream machinery.
 *
 * Only a plain socket can be told where to read to; over TLS chunks come as `data` events. Memory: one buffer for a connection, small at first; an answer that fills it
 * is read on into a large one. Idle connections are many: only a few of them keep a large one. What is still needed after it was taken is left with whoever took it, and another
 * buffer is read into.
 */
import type * as net from 'node:net';

export interface InputReader {
  /** True while what comes next would be kept for long, because nobody takes it off: then it comes as a copy of its own size. */
  keeps(): boolean;
  /** True when nothing of the chunk is needed any more. */
  take(chunk: Buffer): boolean;
  /** True while no answer is awaited. */
  readonly idle?: boolean;
}

/** A login's answer, and those of most statements. */
const FIRST_BYTES = 2 * 1024;
const SMALL_BYTES = 8 * 1024;
const LARGE_BYTES = 64 * 1024;
/** So many small chunks in a row, and the large buffer is given back although answers are awaited. */
const SHRINK_AFTER = 64;
const MOST_KEPT = 32;
const MOST_SPARE = 32;

/** The large buffers of a process. As long as few connections have one they keep it; else who has read what there was, or waits for no answer, gives its own back. */
export class LargeBuffers {
  /** What is read into again is erased first: a part that was kept against the rule shows at once. For tests. */
  readonly erases: boolean;
  readonly #spare: Buffer[] = [];
  #users = 0;

  constructor(erases = false) {
    this.erases = erases;
  }

  get areShort(): boolean {
    return this.#users > MOST_KEPT;
  }

  entered(): void {
    this.#users += 1;
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** `buffer` is undefined when somebody still needs it. */
  left(buffer: Buffer | undefined): void {
    this.#users -= 1;
    if (buffer && this.#spare.length < MOST_SPARE) this.#spare.push(buffer);
  }
}

export class SocketInput {
  readonly #large: LargeBuffers;
  #reader: InputReader | undefined;
  #size = FIRST_BYTES;
  #buffer: Buffer | undefined;
  /** The small one, while a large one is in use. */
  #small: Buffer | undefined;
  #smallInARow = 0;

  /** Options of `net.connect` that make the socket read into this. */
  readonly options: { readonly onread: net.OnReadOpts } = {
    onread: {
      buffer: () => (this.#buffer ??= this.#size === LARGE_BYTES ? this.#large.take() : Buffer.allocUnsafeSlow(this.#size)),
      callback: (bytes) => {
        this.#received(bytes);
        return true;
      },
    },
  };

  constructor(large = new LargeBuffers()) {
    this.#large = large;
  }

  /** For a socket that was made without `options`. */
  listen(socket: net.Socket): void {
    socket.on('data', (chunk: Buffer) => this.#reader?.take(chunk));
  }

  /** From now on everything goes to this reader. */
  attach(reader: InputReader | undefined): void {
    this.#reader = reader;
  }

  /** The socket has closed. */
  close(): void {
    if (this.#size === LARGE_BYTES) this.#shrink();
  }

  #received(bytes: number): void {
    const buffer = this.#buffer;
    const reader = this.#reader;
    if (!buffer || !reader) return;
    const chunk = buffer.subarray(0, bytes);
    if (bytes < LARGE_BYTES / 2 && reader.keeps()) reader.take(Buffer.from(chunk));
    else if (!reader.take(chunk)) this.#buffer = undefined;
    else if (this.#large.erases) chunk.fill(0xee);
    this.#resize(bytes);
  }

  #resize(bytes: number): void {
    if (this.#size < LARGE_BYTES) {
      if (bytes === this.#size) this.#grow();
      return;
    }
    this.#smallInARow = bytes < SMALL_BYTES ? this.#smallInARow + 1 : 0;
    if (this.#smallInARow >= SHRINK_AFTER || (this.#large.areShort && (bytes < LARGE_BYTES || this.#reader?.idle === true))) this.#shrink();
  }

  #shrink(): void {
    this.#large.left(this.#buffer);
    this.#size = SMALL_BYTES;
    this.#buffer = this.#small;
    this.#small = undefined;
  }

  #grow(): void {
    const isFirst = this.#size === FIRST_BYTES;
    this.#size = isFirst ? SMALL_BYTES : LARGE_BYTES;
    this.#small = isFirst ? undefined : this.#buffer;
    this.#buffer = undefined;
    if (!isFirst) this.#large.entered();
    this.#smallInARow = 0;
  }
}
