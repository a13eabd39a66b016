/**
 * Sets of MySQL's transaction ids: `uuid:1-5:8,uuid:tag:1-3`. https://dev.mysql.com/doc/refman/9.0/en/replication-gtids-concepts.html
 * Sets are ordered only in part: of two servers each may have what the other lacks.
 */
import type { Cursor } from './cursor.ts';

/** Both ends belong to it. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const UUID_BYTES = 16;
const TAGGED = 1;

export class GtidSet {
  /** `uuid` or `uuid:tag` → intervals, in order and not touching. */
  readonly #intervals = new Map<string, Interval[]>();

  static parse(text: string): GtidSet {
    const set = new GtidSet();
    for (const part of text.toLowerCase().split(',').map((one) => one.trim()).filter((one) => one !== '')) {
      const [uuid = '', ...rest] = part.split(':').map((one) => one.trim());
      if (!UUID.test(uuid) || rest.length === 0) throw new RangeError(`not a set of GTIDs: ${text}`);
      let source = uuid;
      for (const word of rest) {
        const [, first, last] = /^([1-9]\d*)(?:-([1-9]\d*))?$/.exec(word) ?? [];
        if (first !== undefined) set.add(source, BigInt(first), BigInt(last ?? first));
        else if (TAG.test(word)) source = `${uuid}:${word}`;
        else throw new RangeError(`not a set of GTIDs: ${text}`);
      }
    }
    return set;
  }

  /** What PREVIOUS_GTIDS holds and COM_BINLOG_DUMP_GTID sends; with tags in another form than without. */
  static decode(cursor: Cursor): GtidSet {
    const set = new GtidSet();
    const head = cursor.bytes(8);
    const isTagged = head[7] === TAGGED;
    let left = isTagged ? head.readUIntLE(1, 6) : head.readUIntLE(0, 6);
    for (; left > 0; left -= 1) {
      const uuid = formatUuid(cursor.bytes(UUID_BYTES));
      const tag = isTagged ? cursor.text(cursor.uint8() >> 1) : '';
      for (let intervals = cursor.uint64(); intervals > 0n; intervals -= 1n) {
        const first = cursor.uint64();
        set.add(sourceOf(uuid, tag), first, cursor.uint64() - 1n);
      }
    }
    return set;
  }

  encode(): Buffer {
    const sources = [...this.#intervals];
    const isTagged = sources.some(([source]) => source.includes(':'));
    const head = Buffer.alloc(8);
    head.writeUIntLE(sources.length, isTagged ? 1 : 0, 6);
    if (isTagged) head[0] = head[7] = TAGGED;
    const parts = [head];
    for (const [source, intervals] of sources) {
      const [uuid = '', tag = ''] = source.split(':');
      parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
      if (isTagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag));
      const body = Buffer.alloc(8 + intervals.length * 16);
      body.writeBigUInt64LE(BigInt(intervals.length), 0);
      intervals.forEach(({ first, last }, index) => {
        body.writeBigUInt64LE(first, 8 + index * 16);
        body.writeBigUInt64LE(last + 1n, 16 + index * 16);
      });
      parts.push(body);
    }
    return Buffer.concat(parts);
  }

  get isEmpty(): boolean {
    return this.#intervals.size === 0;
  }

  copy(): GtidSet {
    const set = new GtidSet();
    for (const [source, intervals] of this.#intervals) set.#intervals.set(source, [...intervals]);
    return set;
  }

  /** `source` is `uuid` or `uuid:tag`. */
  add(source: string, first: bigint, last = first): void {
    if (last < first) throw new RangeError(`not an interval of GTIDs: ${source}:${first}-${last}`);
    const intervals = this.#intervals.get(source);
    if (!intervals) {
      this.#intervals.set(source, [{ first, last }]);
      return;
    }
    // Nearly always the next number of the same server.
    const end = intervals[intervals.length - 1];
    if (end && first === end.last + 1n) intervals[intervals.length - 1] = { first: end.first, last };
    else this.#intervals.set(source, joined([...intervals, { first, last }]));
  }

  has(source: string, number: bigint): boolean {
    return this.#intervals.get(source)?.some(({ first, last }) => first <= number && number <= last) ?? false;
  }

  union(other: GtidSet): GtidSet {
    const set = this.copy();
    for (const [source, intervals] of other.#intervals) set.#intervals.set(source, joined([...(set.#intervals.get(source) ?? []), ...intervals]));
    return set;
  }

  meet(other: GtidSet): GtidSet {
    return this.minus(this.minus(other));
  }

  minus(other: GtidSet): GtidSet {
    const set = new GtidSet();
    for (const [source, intervals] of this.#intervals) {
      let left: readonly Interval[] = intervals;
      for (const taken of other.#intervals.get(source) ?? []) left = left.flatMap((interval) => without(interval, taken));
      if (left.length > 0) set.#intervals.set(source, [...left]);
    }
    return set;
  }

  contains(other: GtidSet): boolean {
    return other.minus(this).isEmpty;
  }

  /** As the server prints it: sources in order, the tags of one behind its uuid. */
  toString(): string {
    const byUuid = new Map<string, string[]>();
    for (const source of [...this.#intervals.keys()].sort()) {
      const [uuid = '', tag] = source.split(':');
      const numbers = (this.#intervals.get(source) ?? []).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
      byUuid.set(uuid, [...(byUuid.get(uuid) ?? [uuid]), ...(tag === undefined ? [] : [tag]), ...numbers]);
    }
    return [...byUuid.values()].map((parts) => parts.join(':')).join(',');
  }
}

export function sourceOf(uuid: string, tag: string): string {
  return tag === '' ? uuid : `${uuid}:${tag}`;
}

export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The text of UUIDs that are nearly always that of the one before. */
export class UuidText {
  readonly #bytes = Buffer.alloc(UUID_BYTES);
  #text = formatUuid(this.#bytes);

  of(from: Buffer, at: number): string {
    const known = this.#bytes;
    for (let byte = 0; byte < UUID_BYTES; byte += 1) if (from[at + byte] !== known[byte]) return this.#anew(from, at);
    return this.#text;
  }

  #anew(from: Buffer, at: number): string {
    if (at + UUID_BYTES > from.length) throw new RangeError('an event ends within a UUID');
    from.copy(this.#bytes, 0, at, at + UUID_BYTES);
    return (this.#text = formatUuid(this.#bytes));
  }
}

function joined(intervals: Interval[]): Interval[] {
  intervals.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Interval[] = [];
  for (const { first, last } of intervals) {
    const end = result.at(-1);
    if (end && first <= end.last + 1n) result[result.length - 1] = { first: end.first, last: last > end.last ? last : end.last };
    else result.push({ first, last });
  }
  return result;
}

function without({ first, last }: Interval, taken: Interval): readonly Interval[] {
  if (taken.last < first || last < taken.first) return [{ first, last }];
  return [...(first < taken.first ? [{ first, last: taken.first - 1n }] : []), ...(taken.last < last ? [{ first: taken.last + 1n, last }] : [])];
}
