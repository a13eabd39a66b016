/**
 * What goes out on a socket, gathered during one turn of the loop and written in one call at its end: with many small frames the system calls are the cost.
 *
 * Small frames are copied into a block; a long one leaves as it is. A block is written to only in front of what has left, so nothing is copied twice; one whose bytes the kernel has
 * taken all is filled again from its start, so that what goes out stays in the same few lines of the processor's cache.
 */
import type * as net from 'node:net';

const FIRST_BYTES = 4 * 1024;
const BLOCK_BYTES = 64 * 1024;
/** From here on a frame is passed by reference. */
export const LONG_BYTES = 16 * 1024;

/** The outboxes of a process that have something to write at the end of the turn. */
export class Flusher {
  #dirty: Outbox[] = [];
  #scheduled = false;
  /** Counts the turns in which something left. */
  turn = 0;
  /** Called before anything leaves in a turn. */
  before: () => void = () => undefined;
  readonly #run = (): void => {
    this.#scheduled = false;
    this.turn += 1;
    this.before();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const outbox of dirty) outbox.flush();
  };

  add(outbox: Outbox): void {
    this.#dirty.push(outbox);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }
}

export class Outbox {
  readonly #socket: net.Socket;
  readonly #flusher: Flusher;
  #block = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #from = 0;
  #to = 0;
  /** What leaves before the block. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #isDirty = false;
  /** What the socket still held when it was looked at last. It comes to hold more only in `flush`. */
  #unsent = 0;

  constructor(socket: net.Socket, flusher: Flusher) {
    this.#socket = socket;
    this.#flusher = flusher;
  }

  /** Bytes that the other end has not taken. */
  get backlog(): number {
    if (this.#unsent > 0) this.#unsent = this.#socket.writableLength;
    return this.#partBytes + this.#to - this.#from + this.#unsent;
  }

  /** Where `reserve` gave room. Valid until the next call of any method. */
  get block(): Buffer {
    return this.#block;
  }

  /** Room for so many bytes in `block`, which the caller fills at once; the place of the first. */
  reserve(bytes: number): number {
    if (this.#to + bytes > this.#block.length) this.#nextBlock(bytes);
    const at = this.#to;
    this.#to += bytes;
    this.#touch();
    return at;
  }

  copy(bytes: Buffer, start = 0, end = bytes.length): void {
    if (start >= end) return;
    const at = this.reserve(end - start);
    bytes.copy(this.#block, at, start, end);
  }

  /** Leaves as it is; the caller does not change it any more. */
  pass(bytes: Buffer): void {
    if (bytes.length < LONG_BYTES) {
      this.copy(bytes);
      return;
    }
    this.#cut();
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    this.#touch();
  }

  flush(): void {
    this.#isDirty = false;
    const rest = this.#from < this.#to ? this.#block.subarray(this.#from, this.#to) : undefined;
    this.#from = this.#to;
    const parts = this.#parts;
    if (parts.length > 0) {
      this.#parts = [];
      this.#partBytes = 0;
    }
    const socket = this.#socket;
    if (socket.destroyed || !socket.writable) return;
    if (parts.length === 0) {
      if (rest) socket.write(rest);
    } else {
      socket.cork();
      for (const part of parts) socket.write(part);
      if (rest) socket.write(rest);
      socket.uncork();
    }
    this.#unsent = socket.writableLength;
    if (this.#unsent > 0) return;
    this.#from = 0;
    this.#to = 0;
  }

  #touch(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#flusher.add(this);
  }

  #cut(): void {
    if (this.#from === this.#to) return;
    this.#parts.push(this.#block.subarray(this.#from, this.#to));
    this.#partBytes += this.#to - this.#from;
    this.#from = this.#to;
  }

  #nextBlock(bytes: number): void {
    // A connection that had little to say in this turn keeps a small block.
    const isBusy = this.#from < this.#to || this.#parts.length > 0;
    this.#cut();
    const size = isBusy ? Math.min(BLOCK_BYTES, this.#block.length * 4) : this.#block.length;
    this.#block = Buffer.allocUnsafeSlow(Math.max(size, bytes));
    this.#from = 0;
    this.#to = 0;
  }
}
