/** Reads the notations of a CQL body in order (native_protocol_v4.spec, §3). Everything is bounded by the end it is given: a body that ends early is a RangeError. */
export class BodyReader {
  buffer: Buffer;
  end: number;
  at: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
  }

  /** The same reader for another body: for paths on which nothing is made per request. */
  reset(buffer: Buffer, start: number, end: number): this {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
    return this;
  }

  /** The place of the next `count` bytes, which are then behind. */
  skip(count: number): number {
    const from = this.at;
    if (count < 0 || from + count > this.end) throw new RangeError(`the body ends at ${this.end}, ${count} bytes were to come at ${from}`);
    this.at = from + count;
    return from;
  }

  byte(): number {
    return this.buffer.readUInt8(this.skip(1));
  }

  short(): number {
    return this.buffer.readUInt16BE(this.skip(2));
  }

  int(): number {
    return this.buffer.readInt32BE(this.skip(4));
  }

  long(): bigint {
    return this.buffer.readBigInt64BE(this.skip(8));
  }

  string(): string {
    const length = this.short();
    const from = this.skip(length);
    return this.buffer.toString('utf8', from, from + length);
  }

  longString(): string {
    const length = this.int();
    const from = this.skip(length);
    return this.buffer.toString('utf8', from, from + length);
  }

  /** A view. */
  shortBytes(): Buffer {
    const length = this.short();
    const from = this.skip(length);
    return this.buffer.subarray(from, from + length);
  }

  /** A view; undefined for null (a length below 0). */
  bytes(): Buffer | undefined {
    const length = this.int();
    if (length < 0) return undefined;
    const from = this.skip(length);
    return this.buffer.subarray(from, from + length);
  }

  skipShortBytes(): void {
    this.skip(this.short());
  }

  skipBytes(): void {
    const length = this.int();
    if (length > 0) this.skip(length);
  }

  stringList(): string[] {
    return Array.from({ length: this.short() }, () => this.string());
  }

  stringMap(): Map<string, string> {
    const map = new Map<string, string>();
    for (let left = this.short(); left > 0; left -= 1) {
      const key = this.string();
      map.set(key, this.string());
    }
    return map;
  }

  stringMultimap(): Map<string, string[]> {
    const map = new Map<string, string[]>();
    for (let left = this.short(); left > 0; left -= 1) {
      const key = this.string();
      map.set(key, this.stringList());
    }
    return map;
  }
}
