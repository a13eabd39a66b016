/** What blocks of LZ4 and of Snappy have in common: bytes that stand for a copy of earlier ones. */

/** The shortest worth a copy. */
export const MIN_MATCH = 4;
const MAX_DISTANCE = 0xffff;
const HASH_BITS = 13;
/** Hash of four bytes → where they stood last. */
const table = new Int32Array(1 << HASH_BITS);

/**
 * Matches as they come, each as long as it is: `found(anchor, at, end, distance)` hears of the literals before it, from `anchor`, and of the match from `at` to `end`. None begins at `lastStart` or
 * later or goes beyond `lastEnd`. Returns where the literals behind the last one begin.
 */
export function findMatches(input: Buffer, lastStart: number, lastEnd: number, found: (anchor: number, at: number, end: number, distance: number) => void): number {
  table.fill(-1);
  let anchor = 0;
  for (let at = 0; at < lastStart;) {
    const group = input.readInt32LE(at);
    const hash = Math.imul(group, -1640531535) >>> (32 - HASH_BITS);
    const earlier = table[hash] ?? -1;
    table[hash] = at;
    if (earlier < 0 || at - earlier > MAX_DISTANCE || input.readInt32LE(earlier) !== group) {
      at += 1;
      continue;
    }
    let end = at + MIN_MATCH;
    while (end < lastEnd && input[end] === input[end - at + earlier]) end += 1;
    found(anchor, at, end, at - earlier);
    at = end;
    anchor = end;
  }
  return anchor;
}

/** A call costs more than so many bytes one by one. */
const WORTH_A_CALL = 48;

/** Copies what lies `distance` before, which may overlap what is written. The place behind it. */
export function copyMatch(out: Buffer, to: number, distance: number, count: number, length: number): number {
  if (distance === 0 || distance > to || to + count > length) throw new RangeError('a match outside the body');
  const end = to + count;
  if (distance >= count && count > WORTH_A_CALL) out.copyWithin(to, to - distance, to - distance + count);
  else for (let at = to; at < end; at += 1) out[at] = out[at - distance] as number;
  return end;
}

/** Copies bytes that stand for themselves; the caller has looked that they are there, and have room. */
export function copyLiterals(input: Buffer, at: number, out: Buffer, to: number, count: number): void {
  if (count > WORTH_A_CALL) input.copy(out, to, at, at + count);
  else for (let index = 0; index < count; index += 1) out[to + index] = input[at + index] as number;
}
