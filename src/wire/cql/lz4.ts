/**
 * LZ4 blocks (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) as CQL frames hold them: the length of the plain body as a big-endian int before the block
 * (native_protocol_v4.spec, §5).
 *
 * A sequence is a token (lengths of literals and of the match, four bits each, 15 goes on in bytes of 255), the literals, a distance of two bytes, the rest of the match's length.
 */
import { copyLiterals, copyMatch, findMatches, MIN_MATCH } from './block-matches.ts';

/** The last five bytes are literals, and no match begins in the last twelve. */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;

/** Of a body with its length before it. A RangeError for bytes that are no such thing, or that would be longer than `maxBytes`. */
export function lz4Decompress(input: Buffer, maxBytes: number): Buffer {
  const length = input.readInt32BE(0);
  if (length < 0 || length > maxBytes) throw new RangeError(`a body of ${length} bytes`);
  const out = Buffer.allocUnsafe(length);
  let at = 4;
  let to = 0;
  while (at < input.length) {
    const token = input.readUInt8(at++);
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) literals += more = input.readUInt8(at++);
    }
    if (at + literals > input.length || to + literals > length) throw new RangeError('LZ4: literals behind the end');
    copyLiterals(input, at, out, to, literals);
    at += literals;
    to += literals;
    if (at >= input.length) break;
    const distance = input.readUInt16LE(at);
    at += 2;
    let match = (token & 15) + MIN_MATCH;
    if ((token & 15) === 15) {
      let more = 255;
      while (more === 255) match += more = input.readUInt8(at++);
    }
    to = copyMatch(out, to, distance, match, length);
  }
  if (to !== length) throw new RangeError(`LZ4: ${to} bytes instead of ${length}`);
  return out;
}

/** A body with its length before it. */
export function lz4Compress(input: Buffer): Buffer {
  const out = Buffer.allocUnsafe(4 + 16 + input.length + Math.ceil(input.length / 255));
  let to = out.writeInt32BE(input.length, 0);
  const anchor = findMatches(input, input.length - MATCH_LIMIT, input.length - LAST_LITERALS, (from, at, end, distance) => {
    to = out.writeUInt16LE(distance, writeSequence(input, from, at, out, to, end - at));
    to = writeLength(out, to, end - at - MIN_MATCH);
  });
  return out.subarray(0, writeSequence(input, anchor, input.length, out, to, MIN_MATCH));
}

/** Token and literals. */
function writeSequence(input: Buffer, from: number, end: number, out: Buffer, at: number, match: number): number {
  const literals = end - from;
  out[at] = (Math.min(literals, 15) << 4) | Math.min(match - MIN_MATCH, 15);
  const next = writeLength(out, at + 1, literals);
  copyLiterals(input, from, out, next, literals);
  return next + literals;
}

/** What a length has above the 15 that its token says. */
function writeLength(out: Buffer, at: number, length: number): number {
  let next = at;
  for (let left = length - 15; left >= 0; left -= 255) out[next++] = Math.min(left, 255);
  return next;
}
