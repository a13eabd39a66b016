/** Few rows need no table: they stand in the statement itself, as a sub-select over arrays of text. Pure. */
import { quoteName } from '../../../grammar/names.ts';
import type { Fetch } from './fetch-plan.ts';

const backslash = 0x5c;
const newline = 0x0a;
const tab = 0x09;
const doubleQuote = 0x22;
/** What COPY writes behind a backslash for characters that would end a field or a row. */
const escaped: Readonly<Record<string, number>> = { b: 8, f: 12, n: newline, r: 13, t: tab, v: 11 };

/** `messages` are CopyData messages in text format, whole; with a number in front of each row when there are several fetches. */
export function inlineRows(messages: Buffer, fetches: readonly Fetch[]): readonly Buffer[] {
  const arrays = fetches.map(({ columns }) => columns.map(() => new ArrayText()));
  for (let at = 0; at + 5 <= messages.length; at += 1 + messages.readUInt32BE(at + 1)) {
    const end = at + 1 + messages.readUInt32BE(at + 1);
    let field = at + 5;
    let index = 0;
    if (fetches.length > 1) {
      const stop = messages.indexOf(tab, field);
      index = Number(messages.toString('latin1', field, stop));
      field = stop + 1;
    }
    for (const array of arrays[index] ?? []) field = array.add(messages, field, end);
  }
  return fetches.map((fetch, index) => subselect(fetch, (arrays[index] ?? []).map((array) => array.bytes())));
}

function subselect({ columns }: Fetch, arrays: readonly Buffer[]): Buffer {
  const select = columns.map(({ name, type, collation }, at) => `u.c${at + 1}::${type}${collation === undefined ? '' : ` COLLATE ${collation}`} AS ${quoteName(name)}`).join(', ');
  const tag = freeTag(arrays);
  const open = `${tag}{`;
  const parts: Buffer[] = [Buffer.from(`(SELECT ${select} FROM ROWS FROM (`)];
  for (const [at, array] of arrays.entries()) parts.push(Buffer.from(`${at === 0 ? '' : ', '}pg_catalog.unnest(${open}`), array, Buffer.from(`}${tag}::pg_catalog.text[])`));
  parts.push(Buffer.from(`) AS u(${arrays.map((_, at) => `c${at + 1}`).join(', ')}))`));
  return Buffer.concat(parts);
}

/** A dollar quote that none of these holds. */
function freeTag(arrays: readonly Buffer[]): string {
  for (let number = 0; ; number += 1) {
    const tag = `$c${number}$`;
    if (!arrays.some((array) => array.includes(tag))) return tag;
  }
}

/** The elements of an array literal, out of fields as COPY writes them. */
class ArrayText {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Adds the field that starts at `start`; returns where the next one starts. */
  add(row: Buffer, start: number, end: number): number {
    let at = start;
    this.#reserve((end - start) * 2 + 8);
    if (this.#length > 0) this.#put(0x2c);
    if (row[at] === backslash && row[at + 1] === 0x4e) {
      this.#length += this.#bytes.write('NULL', this.#length, 'latin1');
      return at + 3;
    }
    this.#put(doubleQuote);
    for (; at < end; at += 1) {
      let byte = row[at] ?? 0;
      if (byte === tab || byte === newline) break;
      if (byte === backslash) {
        at += 1;
        byte = escaped[String.fromCharCode(row[at] ?? 0)] ?? row[at] ?? 0;
      }
      if (byte === doubleQuote || byte === backslash) this.#put(backslash);
      this.#put(byte);
    }
    this.#put(doubleQuote);
    return at + 1;
  }

  #put(byte: number): void {
    this.#bytes[this.#length++] = byte;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
