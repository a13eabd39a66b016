/**
 * The checksum of an intent: MurmurHash3 (its 32-bit form, seed 0) of `bytes[from, end)`.
 *
 * A change within one word always shows, any other with all but one in 2³², as with a CRC-32. It is computed where the record stands: for a record of a hundred bytes that is a fifth of
 * what a call out of the engine costs, and each write pays it.
 */
export function mixedCheck(bytes: DataView, from: number, end: number): number {
  let hash = 0;
  let at = from;
  for (const last = end - 4; at <= last; at += 4) {
    hash ^= scrambled(bytes.getInt32(at, true));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let shift = 0; at < end; at += 1, shift += 8) rest |= bytes.getUint8(at) << shift;
  hash ^= scrambled(rest) ^ (end - from);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scrambled(word: number): number {
  const turned = Math.imul(word, 0xcc9e2d51);
  return Math.imul((turned << 15) | (turned >>> 17), 0x1b873593);
}
