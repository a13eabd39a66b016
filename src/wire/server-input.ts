/**
 * What a server sends, read into memory that is used again: a small answer costs no allocation and passes no stream machinery.
 *
 * Only a plain socket can be told where to read to; over TLS chunks come as `data` events. Memory: one buffer for a connection, which grows while
 * answers fill it and shrinks again; what is still needed after it was taken is left with whoever took it, and another buffer is read into.
 */
import type * as net from 'node:net';

export interface InputReader {
  /** True while what comes next would be kept for long, because nobody takes it off: then it comes as a copy of its own size. */
  keeps(): boolean;
  /** True when nothing of the chunk is needed any more. */
  take(chunk: Buffer): boolean;
}

const SMALL_BYTES = 8 * 1024;
const LARGE_BYTES = 64 * 1024;
/** So many small chunks in a row, and a grown buffer is given back. */
const SHRINK_AFTER = 64;

export class ServerInput {
  #reader: InputReader | undefined;
  #size = SMALL_BYTES;
  #buffer: Buffer | undefined;
  #smallInARow = 0;

  /** Options of `net.connect` that make the socket read into this. */
  readonly options: { readonly onread: net.OnReadOpts } = {
    onread: {
      buffer: () => (this.#buffer ??= Buffer.allocUnsafeSlow(this.#size)),
      callback: (bytes) => {
        this.#received(bytes);
        return true;
      },
    },
  };

  /** For a socket that was made without `options`. */
  listen(socket: net.Socket): void {
    socket.on('data', (chunk: Buffer) => this.#reader?.take(chunk));
  }

  /** From now on everything goes to this reader. */
  attach(reader: InputReader | undefined): void {
    this.#reader = reader;
  }

  #received(bytes: number): void {
    const buffer = this.#buffer;
    const reader = this.#reader;
    if (!buffer || !reader) return;
    const chunk = buffer.subarray(0, bytes);
    if (bytes < LARGE_BYTES / 2 && reader.keeps()) reader.take(Buffer.from(chunk));
    else if (!reader.take(chunk)) this.#buffer = undefined;
    this.#resize(bytes);
  }

  #resize(bytes: number): void {
    if (bytes === this.#size && this.#size < LARGE_BYTES) {
      this.#size = LARGE_BYTES;
      this.#buffer = undefined;
    }
    if (this.#size === SMALL_BYTES) return;
    this.#smallInARow = bytes < SMALL_BYTES ? this.#smallInARow + 1 : 0;
    if (this.#smallInARow < SHRINK_AFTER) return;
    this.#smallInARow = 0;
    this.#size = SMALL_BYTES;
    this.#buffer = undefined;
  }
}
