/**
 * Cuts a byte stream of protocol messages (kind byte, 32-bit length that counts itself) into blocks of whole messages.
 * A message that spans many reads is joined once, when its last byte is there.
 */
export class FrameSplitter {
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes that have to be there before the next look can find a whole message. */
  #needed = 5;

  /** The whole messages that `chunk` completes, as one block, or undefined when none is complete yet. */
  push(chunk: Buffer): Buffer | undefined {
    let data = chunk;
    if (this.#held > 0) {
      this.#parts.push(chunk);
      this.#held += chunk.length;
      if (this.#held < this.#needed) return undefined;
      data = Buffer.concat(this.#parts, this.#held);
    }
    let at = 0;
    let needed = 5;
    while (at + 5 <= data.length) {
      const size = 1 + data.readUInt32BE(at + 1);
      if (size < 5) throw new RangeError('protocol message with an impossible length');
      if (at + size > data.length) {
        needed = size;
        break;
      }
      at += size;
    }
    this.#parts = at < data.length ? [data.subarray(at)] : [];
    this.#held = data.length - at;
    this.#needed = needed;
    return at === 0 ? undefined : data.subarray(0, at);
  }
}
