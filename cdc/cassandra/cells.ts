/** What a row consists of, taken apart from the bytes of an answer: its cells, each with value, write time and time to live. */
import { readBigint } from './raw-values.ts';
import type { CassandraColumn } from './table.ts';

/** A live cell. Of a collection or a UDT that is not frozen there is one per element or field; a list is one, with the time of its newest element. */
export interface Cell {
  readonly column: CassandraColumn;
  /** Key of a map's entry, element of a set, number of a UDT's field. */
  readonly path: Buffer | number | undefined;
  /** Of a set's element: empty. */
  readonly value: Buffer;
  /** Microseconds; undefined where the cluster does not tell. */
  readonly writetime: bigint | undefined;
  /** Seconds left when it was read; undefined = for ever (or not told). */
  readonly ttl: number | undefined;
}

const empty = Buffer.alloc(0);

/** Throws RangeError when the bytes are not what the column's type says. */
export function readCells(column: CassandraColumn, value: Buffer | null, writetime: Buffer | null, ttl: Buffer | null, into: Cell[]): void {
  if (value === null) return;
  switch (column.shape) {
    case 'plain': case 'counter':
      into.push({ column, path: undefined, value, writetime: writetime === null ? undefined : readBigint(writetime), ttl: ttl === null ? undefined : ttl.readInt32BE(0) });
      return;
    case 'list': {
      const times = elementsOf(writetime).flatMap((time) => (time === null ? [] : [readBigint(time)]));
      const ttls = elementsOf(ttl).map((left) => (left === null ? undefined : left.readInt32BE(0)));
      // Elements of one list with different times to live cannot be written to other places; the longest loses nothing.
      const longest = ttls.length === 0 || ttls.includes(undefined) ? undefined : Math.max(...ttls.map((left) => left ?? 0));
      into.push({ column, path: undefined, value, writetime: times.length === 0 ? undefined : times.reduce((a, b) => (a > b ? a : b)), ttl: longest });
      return;
    }
    case 'set': case 'map': {
      const elements = elementsOf(value);
      const step = column.shape === 'map' ? 2 : 1;
      const times = elementsOf(writetime);
      const ttls = elementsOf(ttl);
      for (let index = 0; index < elements.length; index += step) {
        const time = times[index / step] ?? null;
        const left = ttls[index / step] ?? null;
        into.push({ column, path: elements[index] ?? empty, value: step === 2 ? elements[index + 1] ?? empty : empty, writetime: time === null ? undefined : readBigint(time), ttl: left === null ? undefined : left.readInt32BE(0) });
      }
      return;
    }
    case 'udt': {
      const times = elementsOf(writetime);
      const ttls = elementsOf(ttl);
      fieldsOf(value).forEach((field, index) => {
        if (field === null) return;
        const time = times[index] ?? null;
        const left = ttls[index] ?? null;
        into.push({ column, path: index, value: field, writetime: time === null ? undefined : readBigint(time), ttl: left === null ? undefined : left.readInt32BE(0) });
      });
      return;
    }
    default:
      column.shape satisfies never;
  }
}

/** Elements of a collection; of a map keys and values in turn. Behind their number. */
function elementsOf(bytes: Buffer | null): readonly (Buffer | null)[] {
  return bytes === null || bytes.length === 0 ? [] : sizedParts(bytes, 4);
}

/** A UDT may have fewer fields than its type: those that were added later are null. */
function fieldsOf(bytes: Buffer): readonly (Buffer | null)[] {
  return sizedParts(bytes, 0);
}

/** Parts with their lengths before them, negative for null. Throws RangeError for one that is not whole. */
function sizedParts(bytes: Buffer, from: number): readonly (Buffer | null)[] {
  const parts: (Buffer | null)[] = [];
  for (let at = from; at < bytes.length;) {
    const length = bytes.readInt32BE(at);
    at += 4;
    parts.push(length < 0 ? null : bytes.subarray(at, at + length));
    at += Math.max(0, length);
    if (at > bytes.length) throw new RangeError(`a part of ${length} bytes ends beyond its value`);
  }
  return parts;
}

/** The bytes of a set, or of a map whose keys and values come in turn. */
export function joinElements(elements: readonly Buffer[], count: number): Buffer {
  const bytes = Buffer.allocUnsafe(4 + elements.reduce((sum, element) => sum + 4 + element.length, 0));
  let at = bytes.writeInt32BE(count, 0);
  for (const element of elements) {
    at = bytes.writeInt32BE(element.length, at);
    at += element.copy(bytes, at);
  }
  return bytes;
}
