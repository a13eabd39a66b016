/** A queue of buffers, bounded in bytes: the producer is told to stop and to go on, it is never refused. */
export class BoundedQueue {
  readonly #limitBytes: number;
  readonly #onFull: () => void;
  readonly #onSpace: () => void;
  #items: (Buffer | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #isFull = false;

  constructor(limitBytes: number, onFull: () => void, onSpace: () => void) {
    this.#limitBytes = limitBytes;
    this.#onFull = onFull;
    this.#onSpace = onSpace;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#first === this.#items.length;
  }

  push(item: Buffer): void {
    this.#items.push(item);
    this.#bytes += item.length;
    if (this.#isFull || this.#bytes < this.#limitBytes) return;
    this.#isFull = true;
    this.#onFull();
  }

  shift(): Buffer | undefined {
    const item = this.#items[this.#first];
    if (!item) return undefined;
    // What has been taken is not held on to until its place is needed.
    this.#items[this.#first] = undefined;
    this.#first += 1;
    if (this.#first > 1024) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    this.#bytes -= item.length;
    if (this.#isFull && this.#bytes < this.#limitBytes / 2) {
      this.#isFull = false;
      this.#onSpace();
    }
    return item;
  }
}
