/** The notations of the native protocol, written and read: [int], [string], [bytes] and the like. */
export class Writer {
  #parts: Buffer[] = [];
  #length = 0;

  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  u8(value: number): this {
    return this.raw(Buffer.of(value));
  }

  u16(value: number): this {
    return this.raw(Buffer.of(value >> 8, value & 255));
  }

  i32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(value);
    return this.raw(bytes);
  }

  string(value: string): this {
    const bytes = Buffer.from(value);
    return this.u16(bytes.length).raw(bytes);
  }

  shortBytes(value: Buffer): this {
    return this.u16(value.length).raw(value);
  }

  bytes(value: Buffer | null): this {
    return value === null ? this.i32(-1) : this.i32(value.length).raw(value);
  }

  stringList(values: readonly string[]): this {
    this.u16(values.length);
    for (const value of values) this.string(value);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }
}

export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length) throw new RangeError(`the body ends at ${this.#bytes.length}, ${length} bytes are wanted at ${this.#at}`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  i32(): number {
    return this.take(4).readInt32BE();
  }

  i64(): bigint {
    return this.take(8).readBigInt64BE();
  }

  string(): string {
    return this.take(this.u16()).toString();
  }

  longString(): string {
    return this.take(this.i32()).toString();
  }

  shortBytes(): Buffer {
    return this.take(this.u16());
  }

  bytes(): Buffer | null {
    const length = this.i32();
    return length < 0 ? null : this.take(length);
  }

  /** [value]: null for −1, undefined for −2, which is "not set". */
  value(): Buffer | null | undefined {
    const length = this.i32();
    return length === -2 ? undefined : length < 0 ? null : this.take(length);
  }
}
