/**
 * Parts of the token ring, exact at both ends. A range is `(after, upTo]` and never wraps: the whole ring is `(−2^63, 2^63 − 1]`,
 * which no key falls out of, since none has the token −2^63. For the servers `token(k) <= −2^63` means everything, so that number
 * is never written as an upper end.
 */
import { maxToken, minToken } from './murmur3.ts';
import { cqlName } from './type.ts';

export interface TokenRange {
  readonly after: bigint;
  readonly upTo: bigint;
}

export const wholeRing: TokenRange = { after: minToken, upTo: maxToken };

/** Ranges that begin and end where the nodes' tokens are, in the ring's order, and together are the whole ring. */
export function rangesOfNodes(tokens: readonly bigint[]): TokenRange[] {
  const ends = [...new Set([...tokens.filter((token) => token > minToken && token <= maxToken), maxToken])].sort(byValue);
  return ends.map((upTo, index) => ({ after: ends[index - 1] ?? minToken, upTo }));
}

/** As many parts as asked, or one for each token where there are fewer; their sizes differ by one at most. */
export function splitRange(range: TokenRange, parts: number): TokenRange[] {
  if (!Number.isInteger(parts) || parts < 1) throw new RangeError(`a range cannot be split into ${parts} parts`);
  const size = range.upTo - range.after;
  const count = size < BigInt(parts) ? size : BigInt(parts);
  const found: TokenRange[] = [];
  for (let part = 0n; part < count; part += 1n) found.push({ after: range.after + (size * part) / count, upTo: range.after + (size * (part + 1n)) / count });
  return found;
}

/** At least that many parts of similar size, each within one node's range, so that one replica set has all of a part. */
export function splitRing(tokens: readonly bigint[], parts: number): TokenRange[] {
  const size = maxToken - minToken;
  return rangesOfNodes(tokens).flatMap((range) => {
    const share = ((range.upTo - range.after) * BigInt(parts) + size - 1n) / size;
    return splitRange(range, Math.max(1, Number(share)));
  });
}

/** What is left of a range when others are taken out: that is how work that was cut otherwise is found again. */
export function without(range: TokenRange, taken: readonly TokenRange[]): TokenRange[] {
  let left: TokenRange[] = [range];
  for (const { after, upTo } of taken) {
    left = left.flatMap((part) => {
      if (upTo <= part.after || after >= part.upTo) return [part];
      const before = { after: part.after, upTo: after };
      const behind = { after: upTo, upTo: part.upTo };
      return [before, behind].filter(({ after: low, upTo: high }) => low < high);
    });
  }
  return left;
}

export function contains(range: TokenRange, token: bigint): boolean {
  return token > range.after && token <= range.upTo;
}

/** The condition for WHERE; both ends as decimal numbers, since a JavaScript number would lose bits of them. */
export function tokenCondition(range: TokenRange, partitionKey: readonly string[]): string {
  if (range.after < minToken || range.upTo > maxToken || range.after >= range.upTo) throw new RangeError(`(${range.after}, ${range.upTo}] is no range of the ring`);
  const token = `token(${partitionKey.map(cqlName).join(', ')})`;
  return `${token} > ${range.after} AND ${token} <= ${range.upTo}`;
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
