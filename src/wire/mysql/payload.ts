/**
 * The parts of which payloads are made: numbers, texts and values with their length before them.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html
 */

/** The other side does not keep to the protocol. */
export class ProtocolFault extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'ProtocolFault';
  }
}

/** Reads a payload from its beginning. Whatever is missing is a `ProtocolFault`. */
export class PayloadReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, from = 0) {
    this.#bytes = bytes;
    this.#at = from;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Little-endian, up to six bytes. */
  integer(length: number): number {
    const at = this.#skip(length);
    return length === 0 ? 0 : this.#bytes.readUIntLE(at, length);
  }

  bytes(length: number): Buffer {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  /** Up to a zero byte, which is passed over. */
  untilZero(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new ProtocolFault('a text has no end');
    const found = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return found;
  }

  /** Up to a zero byte or the end: some clients leave the last one out. */
  untilZeroOrEnd(): Buffer {
    return this.#bytes.indexOf(0, this.#at) < 0 ? this.rest() : this.untilZero();
  }

  /** Undefined for NULL, which rows write in place of a length. */
  lengthEncoded(): number | undefined {
    const first = this.integer(1);
    if (first < 0xfb) return first;
    if (first === 0xfb) return undefined;
    if (first === 0xfc) return this.integer(2);
    if (first === 0xfd) return this.integer(3);
    if (first === 0xff) throw new ProtocolFault('0xff is no length');
    const value = this.#bytes.readBigUInt64LE(this.#skip(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolFault('a length is too large');
    return Number(value);
  }

  /** With its length before it; undefined for NULL. */
  text(): Buffer | undefined {
    const length = this.lengthEncoded();
    return length === undefined ? undefined : this.bytes(length);
  }

  #skip(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new ProtocolFault('a packet is too short');
    this.#at += length;
    return at;
  }
}

export function integer(value: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  out.writeUIntLE(value, 0, length);
  return out;
}

export function lengthEncoded(value: number | bigint): Buffer {
  if (value < 0xfb) return Buffer.of(Number(value));
  if (value <= 0xffff) return Buffer.concat([Buffer.of(0xfc), integer(Number(value), 2)]);
  if (value <= 0xffffff) return Buffer.concat([Buffer.of(0xfd), integer(Number(value), 3)]);
  const out = Buffer.allocUnsafe(9);
  out[0] = 0xfe;
  out.writeBigUInt64LE(BigInt(value), 1);
  return out;
}

export function lengthEncodedText(value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([lengthEncoded(bytes.length), bytes]);
}

export function zeroTerminated(value: Buffer | string): Buffer {
  return Buffer.concat([typeof value === 'string' ? Buffer.from(value, 'utf8') : value, Buffer.of(0)]);
}
