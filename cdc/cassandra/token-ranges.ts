/** The ring of Murmur3 tokens as ranges to read: exact at both ends, in 64-bit integers that JavaScript's numbers cannot hold. */

/** (after, upTo] in signed 64-bit tokens. */
export interface TokenRange {
  readonly after: bigint;
  readonly upTo: bigint;
}

/** No key has this token: the partitioner turns it into the largest, so a range may begin after it and lose nothing. */
export const MIN_TOKEN = -(2n ** 63n);
export const MAX_TOKEN = 2n ** 63n - 1n;
const RING = MAX_TOKEN - MIN_TOKEN;

export const wholeRing: TokenRange = { after: MIN_TOKEN, upTo: MAX_TOKEN };

/**
 * At least `count` ranges that hold every token once, in order. They end where nodes' ranges end, so that one range is one node's to answer, and are about equally wide.
 * The range that wraps around the ring is its two ends: to ask for tokens up to the smallest would be to ask for all of them.
 */
export function splitRing(nodeTokens: Iterable<bigint>, count: number): readonly TokenRange[] {
  const ends = [...new Set([...nodeTokens].filter((token) => token > MIN_TOKEN && token < MAX_TOKEN)), MAX_TOKEN].sort(compareTokens);
  const width = RING / BigInt(Math.max(1, Math.floor(count)));
  const ranges: TokenRange[] = [];
  let after = MIN_TOKEN;
  for (const end of ends) {
    ranges.push(...splitRange({ after, upTo: end }, Number((end - after + width - 1n) / (width === 0n ? 1n : width))));
    after = end;
  }
  return ranges;
}

/** `count` parts, fewer where there are fewer tokens. */
export function splitRange({ after, upTo }: TokenRange, count: number): readonly TokenRange[] {
  const size = upTo - after;
  const parts = size < BigInt(count) ? size : BigInt(Math.max(1, count));
  const ranges: TokenRange[] = [];
  // The end of each part is reckoned from the whole: what dividing cuts off does not add up.
  for (let part = 0n; part < parts; part += 1n) ranges.push({ after: after + (size * part) / parts, upTo: after + (size * (part + 1n)) / parts });
  return ranges;
}

export function widthOf({ after, upTo }: TokenRange): bigint {
  return upTo - after;
}

/** 0 to 1: how much of the ring these are. */
export function shareOfRing(ranges: Iterable<TokenRange>): number {
  let sum = 0n;
  for (const range of ranges) sum += widthOf(range);
  return Number((sum * 1_000_000n) / RING) / 1_000_000;
}

export function compareTokens(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
