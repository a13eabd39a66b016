/**
 * What the sockets of a proxy read into: one buffer for all of them, out of which each chunk is copied behind the one before it. So a small read costs neither an allocation nor the
 * machinery of streams, and what was read stays as it is for whoever keeps a part of it.
 *
 * Only plain sockets can be told where to read to (docs/decisions/0012); those of TLS hand out chunks of their own.
 */
import type * as net from 'node:net';
import { readInto } from '../wire/read-into.ts';
import type { TurnClock } from './turn-clock.ts';

/** `bytes[start, end)` has come. It is not written to again. */
export type Taken = (bytes: Buffer, start: number, end: number) => void;

const READ_BYTES = 64 * 1024;
/** A request that is long in hand keeps the memory of its neighbours: so no more than needed. */
const SLAB_BYTES = 32 * 1024;
const LONG_BYTES = 8 * 1024;

export class Intake {
  readonly #received = Buffer.allocUnsafeSlow(READ_BYTES);
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #end = 0;
  readonly #clock: TurnClock;

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /** For `net.connect`. */
  options(take: Taken): net.OnReadOpts {
    return { buffer: this.#received, callback: (bytes) => {
      this.#take(bytes, take);
      return true;
    } };
  }

  /** For a socket that a server has accepted. */
  listen(socket: net.Socket, take: Taken): void {
    if (!readInto(socket, this.options(take))) {
      this.listenForChunks(socket, take);
      return;
    }
    const early: unknown = socket.read();
    if (Buffer.isBuffer(early)) {
      this.#clock.renew();
      take(early, 0, early.length);
    }
    socket.resume();
  }

  /** For a socket of TLS. */
  listenForChunks(socket: net.Socket, take: Taken): void {
    socket.on('data', (chunk: Buffer) => {
      this.#clock.renew();
      take(chunk, 0, chunk.length);
    });
  }

  #take(bytes: number, take: Taken): void {
    this.#clock.renew();
    if (bytes >= LONG_BYTES) {
      const own = Buffer.allocUnsafeSlow(bytes);
      this.#received.copy(own, 0, 0, bytes);
      take(own, 0, bytes);
      return;
    }
    if (this.#end + bytes > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#end = 0;
    }
    const slab = this.#slab;
    const start = this.#end;
    this.#received.copy(slab, start, 0, bytes);
    this.#end += bytes;
    take(slab, start, start + bytes);
  }
}
