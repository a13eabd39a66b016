/**
 * Events that have come and are not read yet, bounded in bytes: the producer is told to stop and to go on, it is never refused.
 *
 * They are copied into memory that is used again: as buffers of their own they would wait for longer than a collector leaves things where they are, and of each transaction
 * some objects, and all that a socket has read, would stay until it collects everything.
 */
const SLAB_BYTES = 128 * 1024;
const HEAD_BYTES = 4;
/** Below this, copying byte by byte beats a call into the runtime. */
const SHORT_COPY_BYTES = 160;

interface Slab {
  readonly bytes: Buffer;
  /** Written up to here. */
  end: number;
}

export class EventQueue {
  readonly #limitBytes: number;
  readonly #onFull: () => void;
  readonly #onSpace: () => void;
  /** In order; the first one is read from, the last one is written to. */
  readonly #slabs: Slab[] = [];
  readonly #spare: Buffer[] = [];
  /** In the first slab. */
  #at = 0;
  #bytes = 0;
  #isFull = false;

  constructor(limitBytes: number, onFull: () => void, onSpace: () => void) {
    this.#limitBytes = limitBytes;
    this.#onFull = onFull;
    this.#onSpace = onSpace;
  }

  /** Of events that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** That are held, used or not. */
  get heldBytes(): number {
    return this.#slabs.reduce((sum, { bytes }) => sum + bytes.length, this.#spare.length * SLAB_BYTES);
  }

  /** The event is the rest of `from` behind `at`; it is copied. */
  push(from: Buffer, at = 0): void {
    const length = from.length - at;
    const slab = this.#slabFor(HEAD_BYTES + length);
    slab.bytes.writeUInt32LE(length, slab.end);
    const { bytes } = slab;
    let to = slab.end + HEAD_BYTES;
    if (length > SHORT_COPY_BYTES) from.copy(bytes, to, at);
    else for (let byte = at; byte < from.length; byte += 1) bytes[to++] = from[byte] as number;
    slab.end += HEAD_BYTES + length;
    this.#bytes += length;
    if (this.#isFull || this.#bytes < this.#limitBytes) return;
    this.#isFull = true;
    this.#onFull();
  }

  /** Valid until the next one is taken. */
  shift(): Buffer | undefined {
    let slab = this.#slabs[0];
    if (!slab) return undefined;
    if (this.#at === slab.end) {
      this.#at = 0;
      if (this.#slabs.length === 1 && slab.bytes.length === SLAB_BYTES) {
        slab.end = 0;
        return undefined;
      }
      this.#giveBack(slab.bytes);
      this.#slabs.shift();
      slab = this.#slabs[0];
      if (!slab) return undefined;
    }
    const start = this.#at + HEAD_BYTES;
    const end = start + slab.bytes.readUInt32LE(this.#at);
    this.#at = end;
    this.#bytes -= end - start;
    if (this.#isFull && this.#bytes < this.#limitBytes / 2) {
      this.#isFull = false;
      this.#onSpace();
    }
    return slab.bytes.subarray(start, end);
  }

  #slabFor(bytes: number): Slab {
    const last = this.#slabs.at(-1);
    if (last && last.end + bytes <= last.bytes.length) return last;
    // A larger event has room for itself alone, and only as long as it is here.
    const slab = { bytes: bytes > SLAB_BYTES ? Buffer.allocUnsafeSlow(bytes) : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)), end: 0 };
    this.#slabs.push(slab);
    return slab;
  }

  #giveBack(bytes: Buffer): void {
    if (bytes.length === SLAB_BYTES && (this.#slabs.length + this.#spare.length) * SLAB_BYTES <= this.#limitBytes) this.#spare.push(bytes);
  }
}
