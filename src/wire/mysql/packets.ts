/**
 * Packet framing: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 *
 * A packet is a length of three bytes, a sequence id, and so many bytes. A payload of 16 MiB − 1 bytes or more goes on in the next packet;
 * it ends with the first packet that is shorter, which may be empty.
 */
export const HEADER_BYTES = 4;
export const MAX_PACKET_BYTES = 0xffffff;

/** A payload as packets that begin with this sequence id. */
export function writePackets(payload: Buffer, sequence: number): Buffer {
  const count = Math.floor(payload.length / MAX_PACKET_BYTES) + 1;
  const out = Buffer.allocUnsafe(payload.length + count * HEADER_BYTES);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const part = payload.subarray(index * MAX_PACKET_BYTES, (index + 1) * MAX_PACKET_BYTES);
    out.writeUIntLE(part.length, at, 3);
    out[at + 3] = (sequence + index) & 0xff;
    part.copy(out, at + HEADER_BYTES);
    at += HEADER_BYTES + part.length;
  }
  return out;
}

/** Sequence id behind those packets. */
export function nextSequence(payload: Buffer, sequence: number): number {
  return (sequence + Math.floor(payload.length / MAX_PACKET_BYTES) + 1) & 0xff;
}

export type ReadPayload =
  | { readonly type: 'payload'; readonly payload: Buffer; /** Bytes of all its packets. */ readonly length: number; /** Of its last packet. */ readonly sequence: number }
  | { readonly type: 'incomplete' }
  | { readonly type: 'too_large' };

const incomplete = { type: 'incomplete' } as const;

/** The first payload of the bytes; a view of them, unless it took several packets. */
export function readPayload(bytes: Buffer, maxBytes: number): ReadPayload {
  let at = 0;
  let total = 0;
  const parts: Buffer[] = [];
  for (;;) {
    if (bytes.length - at < HEADER_BYTES) return incomplete;
    const length = bytes.readUIntLE(at, 3);
    total += length;
    if (total > maxBytes) return { type: 'too_large' };
    const end = at + HEADER_BYTES + length;
    if (bytes.length < end) return incomplete;
    parts.push(bytes.subarray(at + HEADER_BYTES, end));
    if (length < MAX_PACKET_BYTES) {
      const [only] = parts;
      return { type: 'payload', payload: parts.length === 1 && only ? only : Buffer.concat(parts), length: end, sequence: bytes[at + 3] ?? 0 };
    }
    at = end;
  }
}

export interface PacketSink {
  /** The first `PEEK_BYTES` of a payload, or all of it where it has less; a view that is not to be kept. `length`: of its first packet. */
  head(bytes: Buffer, start: number, end: number, length: number): void;
}

/** Enough of every packet that says how an answer goes on: two numbers of nine bytes, and four bytes of flags. */
export const PEEK_BYTES = 24;

/** Reads the headers of a stream that passes, and the first bytes of each payload. Copies nothing but heads that a chunk has cut. */
export class PacketScanner {
  readonly #sink: PacketSink;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #head = Buffer.alloc(PEEK_BYTES);
  #headerBytes = 0;
  #length = 0;
  /** Of the packet at hand, not yet seen. */
  #left = 0;
  #headBytes = 0;
  #headWanted = 0;
  /** The packet at hand goes on with the payload of the one before. */
  #continues = false;
  /** Of the last packet that has begun. */
  sequence = 0;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /** Between two packets, at the end of a payload. */
  get isBetween(): boolean {
    return this.#headerBytes === 0 && this.#left === 0 && !this.#continues;
  }

  push(chunk: Buffer): void {
    let at = 0;
    const end = chunk.length;
    for (;;) {
      if (this.#headWanted > 0) at = this.#collectHead(chunk, at);
      if (this.#left > 0) {
        const passed = Math.min(this.#left, end - at);
        this.#left -= passed;
        at += passed;
        if (this.#left > 0) return;
      }
      if (at >= end) return;
      at = this.#readHeader(chunk, at);
    }
  }

  #readHeader(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#begin((chunk[at] ?? 0) | ((chunk[at + 1] ?? 0) << 8) | ((chunk[at + 2] ?? 0) << 16), chunk[at + 3] ?? 0);
      at += HEADER_BYTES;
    } else {
      while (this.#headerBytes < HEADER_BYTES && at < chunk.length) this.#header[this.#headerBytes++] = chunk[at++] ?? 0;
      if (this.#headerBytes < HEADER_BYTES) return at;
      this.#begin(this.#header.readUIntLE(0, 3), this.#header[3] ?? 0);
    }
    const wanted = this.#headWanted;
    if (wanted < 0) return at;
    if (chunk.length - at >= wanted) {
      this.#headWanted = 0;
      this.#sink.head(chunk, at, at + wanted, this.#length);
    }
    return at;
  }

  #begin(length: number, sequence: number): void {
    this.#headerBytes = 0;
    this.#length = length;
    this.#left = length;
    this.sequence = sequence;
    this.#headBytes = 0;
    this.#headWanted = this.#continues ? -1 : Math.min(length, PEEK_BYTES);
    this.#continues = length === MAX_PACKET_BYTES;
  }

  /** The part of a head that the chunk before did not have. */
  #collectHead(chunk: Buffer, from: number): number {
    const part = Math.min(this.#headWanted - this.#headBytes, chunk.length - from);
    chunk.copy(this.#head, this.#headBytes, from, from + part);
    this.#headBytes += part;
    this.#left -= part;
    if (this.#headBytes < this.#headWanted) return from + part;
    const wanted = this.#headWanted;
    this.#headWanted = 0;
    this.#sink.head(this.#head, 0, wanted, this.#length);
    return from + part;
  }
}
