/** A place in a buffer that reading moves on. One is made per stream and pointed at each event, so that reading a value allocates nothing but it. */
export class Cursor {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  end = 0;

  point(buffer: Buffer, at: number, end: number): this {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
    return this;
  }

  uint8(): number {
    this.#check(1);
    return this.buffer[this.at++] as number;
  }

  /** Of 1 to 6 bytes. */
  uint(bytes: number): number {
    const value = this.buffer.readUIntLE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  int(bytes: number): number {
    const value = this.buffer.readIntLE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  uintBigEndian(bytes: number): number {
    const value = this.buffer.readUIntBE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  uint64(): bigint {
    const value = this.buffer.readBigUInt64LE(this.at);
    this.at += 8;
    return value;
  }

  int64(): bigint {
    const value = this.buffer.readBigInt64LE(this.at);
    this.at += 8;
    return value;
  }

  /** Length-encoded integer. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html */
  packed(): number {
    const first = this.uint8();
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.uint(2);
    if (first === 0xfd) return this.uint(3);
    if (first === 0xfe) return Number(this.uint64());
    throw new RangeError('a length-encoded integer cannot be NULL here');
  }

  /** The start of `bytes` bytes, which are passed. */
  skip(bytes: number): number {
    this.#check(bytes);
    const start = this.at;
    this.at += bytes;
    return start;
  }

  text(bytes: number): string {
    const start = this.skip(bytes);
    return this.buffer.toString('utf8', start, this.at);
  }

  bytes(bytes: number): Buffer {
    const start = this.skip(bytes);
    return this.buffer.subarray(start, this.at);
  }

  get left(): number {
    return this.end - this.at;
  }

  #check(bytes: number): void {
    if (this.at + bytes > this.end) throw new RangeError(`an event ends ${this.at + bytes - this.end} bytes too early`);
  }
}
