/** Writes the notations of a CQL body (native_protocol_v4.spec, §3) into memory that grows. For messages of the proxy's own; what passes is copied as it is. */
export class BodyWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(expectedBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(expectedBytes);
  }

  get length(): number {
    return this.#at;
  }

  /** What was written; a view. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  byte(value: number): this {
    const at = this.#room(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  short(value: number): this {
    const at = this.#room(2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  int(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  long(value: bigint): this {
    const at = this.#room(8);
    this.#buffer.writeBigInt64BE(value, at);
    return this;
  }

  raw(bytes: Buffer): this {
    const at = this.#room(bytes.length);
    bytes.copy(this.#buffer, at);
    return this;
  }

  string(text: string): this {
    const length = Buffer.byteLength(text);
    if (length > 0xffff) throw new RangeError(`a [string] of ${length} bytes`);
    this.short(length);
    const at = this.#room(length);
    this.#buffer.write(text, at, 'utf8');
    return this;
  }

  longString(text: string): this {
    const length = Buffer.byteLength(text);
    this.int(length);
    const at = this.#room(length);
    this.#buffer.write(text, at, 'utf8');
    return this;
  }

  shortBytes(bytes: Buffer): this {
    return this.short(bytes.length).raw(bytes);
  }

  /** undefined is null. */
  bytes(bytes: Buffer | undefined): this {
    return bytes ? this.int(bytes.length).raw(bytes) : this.int(-1);
  }

  stringList(list: readonly string[]): this {
    this.short(list.length);
    for (const text of list) this.string(text);
    return this;
  }

  stringMap(map: ReadonlyMap<string, string>): this {
    this.short(map.size);
    for (const [key, value] of map) this.string(key).string(value);
    return this;
  }

  stringMultimap(map: ReadonlyMap<string, readonly string[]>): this {
    this.short(map.size);
    for (const [key, list] of map) this.string(key).stringList(list);
    return this;
  }

  /** The place of so many bytes at the end. The buffer may be another one afterwards. */
  #room(bytes: number): number {
    const at = this.#at;
    this.#at = at + bytes;
    if (this.#at > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#at, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}
