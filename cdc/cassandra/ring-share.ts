/** How much of the ring ranges are: keys are spread evenly over it, so it is also about how much of the rows. */
import { wholeRing } from '../../grammar/cql/token-range.ts';
import type { TokenRange } from '../../grammar/cql/token-range.ts';

/** 0 to 1. */
export function shareOfRing(ranges: Iterable<TokenRange>): number {
  let sum = 0n;
  for (const range of ranges) sum += widthOf(range);
  return Number((sum * 1_000_000n) / widthOf(wholeRing)) / 1_000_000;
}

export function widthOf({ after, upTo }: TokenRange): bigint {
  return upTo - after;
}

export function compareTokens(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
