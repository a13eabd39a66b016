/** Ranges of the ring hold every token once, whatever the nodes' tokens and the number asked for. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_TOKEN, MIN_TOKEN, shareOfRing, splitRange, splitRing, wholeRing, widthOf } from '../../../cdc/cassandra/token-ranges.ts';

const tokens = fc.oneof(fc.bigInt({ min: MIN_TOKEN, max: MAX_TOKEN }), fc.constantFrom(MIN_TOKEN, MIN_TOKEN + 1n, -1n, 0n, MAX_TOKEN - 1n, MAX_TOKEN));

test('begin at one end, follow one another without a gap, and finish at the other', () => {
  fc.assert(fc.property(fc.array(tokens, { maxLength: 20 }), fc.integer({ min: 1, max: 300 }), (nodes, count) => {
    const ranges = splitRing(nodes, count);
    expect(ranges.length).toBeGreaterThanOrEqual(count);
    expect(ranges[0]?.after).toBe(MIN_TOKEN);
    expect(ranges.at(-1)?.upTo).toBe(MAX_TOKEN);
    ranges.forEach((range, index) => {
      expect(widthOf(range)).toBeGreaterThan(0n);
      if (index > 0) expect(range.after).toBe(ranges[index - 1]?.upTo);
    });
    // Where a node's range ends, one of ours does.
    const ends = new Set(ranges.map(({ upTo }) => upTo));
    for (const token of nodes) if (token > MIN_TOKEN) expect(ends.has(token)).toBe(true);
  }));
});

test('are about equally wide', () => {
  const widths = splitRing([], 256).map(widthOf);
  expect(Number(widths.reduce((a, b) => (a > b ? a : b)) - widths.reduce((a, b) => (a < b ? a : b)))).toBeLessThanOrEqual(1);
});

test('of few tokens are as many as there are tokens', () => {
  expect(splitRange({ after: 5n, upTo: 7n }, 4)).toEqual([{ after: 5n, upTo: 6n }, { after: 6n, upTo: 7n }]);
  expect(splitRange(wholeRing, 1)).toEqual([wholeRing]);
  expect(shareOfRing(splitRing([], 8).slice(0, 4))).toBeCloseTo(0.5, 5);
});
