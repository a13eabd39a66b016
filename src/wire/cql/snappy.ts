/**
 * Snappy blocks (https://github.com/google/snappy/blob/main/format_description.txt): the plain length as a varint, then elements whose tag's lower two bits say what they are:
 * literals, or a copy with a distance of 11, 16 or 32 bits.
 */
import { copyMatch } from './lz4.ts';

const HASH_BITS = 13;
const MIN_MATCH = 4;
const MAX_DISTANCE = 0xffff;
const MAX_COPY = 64;

/** A RangeError for bytes that are no such block, or that would be longer than `maxBytes`. */
export function snappyDecompress(input: Buffer, maxBytes: number): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = input.readUInt8(at++);
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
    if (shift >= 28) throw new RangeError('Snappy: the length has no end');
  }
  if (length > maxBytes) throw new RangeError(`a body of ${length} bytes`);
  const out = Buffer.allocUnsafe(length);
  let to = 0;
  while (at < input.length) {
    const tag = input.readUInt8(at++);
    const kind = tag & 3;
    if (kind === 0) {
      let literals = (tag >> 2) + 1;
      if (literals > 60) {
        const bytes = literals - 60;
        literals = input.readUIntLE(at, bytes) + 1;
        at += bytes;
      }
      if (at + literals > input.length || to + literals > length) throw new RangeError('Snappy: literals behind the end');
      input.copy(out, to, at, at + literals);
      at += literals;
      to += literals;
    } else if (kind === 1) {
      to = copyMatch(out, to, ((tag >> 5) << 8) | input.readUInt8(at), ((tag >> 2) & 7) + MIN_MATCH, length);
      at += 1;
    } else {
      const bytes = kind === 2 ? 2 : 4;
      to = copyMatch(out, to, input.readUIntLE(at, bytes), (tag >> 2) + 1, length);
      at += bytes;
    }
  }
  if (to !== length) throw new RangeError(`Snappy: ${to} bytes instead of ${length}`);
  return out;
}

const table = new Int32Array(1 << HASH_BITS);

export function snappyCompress(input: Buffer): Buffer {
  const out = Buffer.allocUnsafe(16 + input.length + Math.ceil(input.length / 6));
  let to = 0;
  for (let left = input.length; ; left = Math.floor(left / 128)) {
    out[to++] = left < 128 ? left : (left % 128) | 0x80;
    if (left < 128) break;
  }
  table.fill(-1);
  let anchor = 0;
  for (let at = 0; at + MIN_MATCH <= input.length;) {
    const group = input.readInt32LE(at);
    const hash = Math.imul(group, -1640531535) >>> (32 - HASH_BITS);
    const found = table[hash] ?? -1;
    table[hash] = at;
    if (found < 0 || at - found > MAX_DISTANCE || input.readInt32LE(found) !== group) {
      at += 1;
      continue;
    }
    let end = at + MIN_MATCH;
    while (end < input.length && input[end] === input[end - at + found]) end += 1;
    to = writeLiterals(input, anchor, at, out, to);
    for (let from = at; from < end; from += MAX_COPY) {
      out[to] = ((Math.min(MAX_COPY, end - from) - 1) << 2) | 2;
      out.writeUInt16LE(at - found, to + 1);
      to += 3;
    }
    at = end;
    anchor = end;
  }
  return out.subarray(0, writeLiterals(input, anchor, input.length, out, to));
}

function writeLiterals(input: Buffer, from: number, end: number, out: Buffer, at: number): number {
  const last = end - from - 1;
  if (last < 0) return at;
  let next = at + 1;
  if (last < 60) out[at] = last << 2;
  else {
    const bytes = last < 0x100 ? 1 : last < 0x10000 ? 2 : last < 0x1000000 ? 3 : 4;
    out[at] = (59 + bytes) << 2;
    out.writeUIntLE(last, next, bytes);
    next += bytes;
  }
  input.copy(out, next, from, end);
  return next + last + 1;
}
