/**
 * Snappy blocks (https://github.com/google/snappy/blob/main/format_description.txt): the plain length as a varint, then elements whose tag's lower two bits say what they are:
 * literals, or a copy with a distance of 11, 16 or 32 bits.
 */
import { copyLiterals, copyMatch, findMatches, MIN_MATCH } from './block-matches.ts';

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
      copyLiterals(input, at, out, to, literals);
      at += literals;
      to += literals;
    } else if (kind === 1) {
      to = copyMatch(out, to, ((tag >> 5) << 8) | input.readUInt8(at), ((tag >> 2) & 7) + MIN_MATCH, length);
      at += 1;
    } else {
      const bytes = kind === 2 ? 2 : 4;
      to = copyMatch(out, to, bytes === 2 ? input.readUInt16LE(at) : input.readUInt32LE(at), (tag >> 2) + 1, length);
      at += bytes;
    }
  }
  if (to !== length) throw new RangeError(`Snappy: ${to} bytes instead of ${length}`);
  return out;
}

export function snappyCompress(input: Buffer): Buffer {
  const out = Buffer.allocUnsafe(16 + input.length + Math.ceil(input.length / 6));
  let to = 0;
  for (let left = input.length; ; left = Math.floor(left / 128)) {
    out[to++] = left < 128 ? left : (left % 128) | 0x80;
    if (left < 128) break;
  }
  const anchor = findMatches(input, input.length - MIN_MATCH + 1, input.length, (start, at, end, distance) => {
    to = writeLiterals(input, start, at, out, to);
    for (let from = at; from < end; from += MAX_COPY) {
      out[to] = ((Math.min(MAX_COPY, end - from) - 1) << 2) | 2;
      to = out.writeUInt16LE(distance, to + 1);
    }
  });
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
  copyLiterals(input, from, out, next, end - from);
  return next + last + 1;
}
