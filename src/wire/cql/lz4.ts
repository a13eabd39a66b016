/**
 * LZ4 blocks (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) as CQL frames hold them: the length of the plain body as a big-endian int before the block
 * (native_protocol_v4.spec, §5).
 *
 * A sequence is a token (lengths of literals and of the match, four bits each, 15 goes on in bytes of 255), the literals, a distance of two bytes, the rest of the match's length.
 */
const MIN_MATCH = 4;
/** The last five bytes are literals, and no match begins in the last twelve. */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;
const HASH_BITS = 13;
const MAX_DISTANCE = 0xffff;

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
    input.copy(out, to, at, at + literals);
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

/** Copies what lies `distance` before, which may overlap what is written. The place behind it. */
export function copyMatch(out: Buffer, to: number, distance: number, count: number, length: number): number {
  if (distance === 0 || distance > to || to + count > length) throw new RangeError('a match outside the body');
  if (distance >= count) out.copy(out, to, to - distance, to - distance + count);
  else for (let index = 0; index < count; index += 1) out[to + index] = out[to + index - distance] ?? 0;
  return to + count;
}

const table = new Int32Array(1 << HASH_BITS);

/** A body with its length before it. Matches are looked for as they come, by a table of four-byte groups. */
export function lz4Compress(input: Buffer): Buffer {
  const out = Buffer.allocUnsafe(4 + 16 + input.length + Math.ceil(input.length / 255));
  out.writeInt32BE(input.length, 0);
  table.fill(-1);
  let to = 4;
  let anchor = 0;
  const matchEnd = input.length - LAST_LITERALS;
  for (let at = 0; at < input.length - MATCH_LIMIT;) {
    const group = input.readInt32LE(at);
    const hash = Math.imul(group, -1640531535) >>> (32 - HASH_BITS);
    const found = table[hash] ?? -1;
    table[hash] = at;
    if (found < 0 || at - found > MAX_DISTANCE || input.readInt32LE(found) !== group) {
      at += 1;
      continue;
    }
    let end = at + MIN_MATCH;
    while (end < matchEnd && input[end] === input[end - at + found]) end += 1;
    to = writeSequence(input, anchor, at, out, to, end - at);
    out.writeUInt16LE(at - found, to);
    to = writeLength(out, to + 2, end - at - MIN_MATCH);
    at = end;
    anchor = end;
  }
  to = writeSequence(input, anchor, input.length, out, to, MIN_MATCH);
  return out.subarray(0, to);
}

/** Token and literals. */
function writeSequence(input: Buffer, from: number, end: number, out: Buffer, at: number, match: number): number {
  const literals = end - from;
  out[at] = (Math.min(literals, 15) << 4) | Math.min(match - MIN_MATCH, 15);
  const next = writeLength(out, at + 1, literals);
  input.copy(out, next, from, end);
  return next + literals;
}

/** What a length has above the 15 that its token says. */
function writeLength(out: Buffer, at: number, length: number): number {
  let next = at;
  for (let left = length - 15; left >= 0; left -= 255) out[next++] = Math.min(left, 255);
  return next;
}
