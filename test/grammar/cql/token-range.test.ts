/** However the ring is cut, every token is in exactly one part, those at its ends too. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maxToken, minToken } from '../../../grammar/cql/murmur3.ts';
import { contains, rangesOfNodes, splitRange, splitRing, tokenCondition, wholeRing, without } from '../../../grammar/cql/token-range.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';

const token = fc.oneof(fc.bigInt({ min: minToken, max: maxToken }), fc.constantFrom(minToken, minToken + 1n, -1n, 0n, 1n, maxToken - 1n, maxToken));
const range = fc.tuple(token, token).filter(([a, b]) => a !== b).map(([a, b]): TokenRange => (a < b ? { after: a, upTo: b } : { after: b, upTo: a }));

/** The parts follow one another without a gap from one end to the other. */
function expectExact(parts: readonly TokenRange[], whole: TokenRange): void {
  expect(parts.at(0)?.after).toBe(whole.after);
  expect(parts.at(-1)?.upTo).toBe(whole.upTo);
  parts.forEach(({ after, upTo }, index) => {
    expect(after < upTo).toBe(true);
    if (index > 0) expect(after).toBe(parts[index - 1]?.upTo);
  });
}

describe('parts are exact', () => {
  test('of a range', () => {
    fc.assert(fc.property(range, fc.integer({ min: 1, max: 300 }), (whole, count) => {
      const parts = splitRange(whole, count);
      expectExact(parts, whole);
      expect(BigInt(parts.length)).toBe(whole.upTo - whole.after < BigInt(count) ? whole.upTo - whole.after : BigInt(count));
      const sizes = parts.map(({ after, upTo }) => upTo - after);
      expect(sizes.reduce((a, b) => (a > b ? a : b)) - sizes.reduce((a, b) => (a < b ? a : b))).toBeLessThanOrEqual(1n);
    }));
  });

  test('of the ring, at the nodes\' tokens', () => {
    fc.assert(fc.property(fc.array(token, { maxLength: 20 }), (tokens) => {
      const parts = rangesOfNodes(tokens);
      expectExact(parts, wholeRing);
      for (const one of tokens) if (one !== minToken) expect(parts.some(({ upTo }) => upTo === one)).toBe(true);
    }));
  });

  test('of the ring, finer than the nodes', () => {
    fc.assert(fc.property(fc.array(token, { maxLength: 20 }), fc.integer({ min: 1, max: 400 }), (tokens, count) => {
      const parts = splitRing(tokens, count);
      expectExact(parts, wholeRing);
      expect(parts.length).toBeGreaterThanOrEqual(count);
      expect(parts.length).toBeLessThanOrEqual(count + tokens.length + 1);
      for (const one of tokens) if (one !== minToken) expect(parts.some(({ upTo }) => upTo === one)).toBe(true);
    }));
  });
});

test('what is left when parts are taken out is what they do not contain', () => {
  fc.assert(fc.property(range, fc.array(range, { maxLength: 8 }), fc.array(token, { minLength: 1, maxLength: 30 }), (whole, taken, tokens) => {
    const left = without(whole, taken);
    for (const one of [...tokens, ...taken.flatMap(({ after, upTo }) => [after, upTo]), whole.after, whole.upTo]) {
      const isLeft = contains(whole, one) && !taken.some((part) => contains(part, one));
      expect(left.filter((part) => contains(part, one))).toHaveLength(isLeft ? 1 : 0);
    }
  }));
});

test('conditions have whole numbers and never the least one as upper end', () => {
  expect(tokenCondition(wholeRing, ['k'])).toBe('token(k) > -9223372036854775808 AND token(k) <= 9223372036854775807');
  expect(tokenCondition({ after: 5n, upTo: 6n }, ['a', 'B', 'select'])).toBe('token(a, "B", "select") > 5 AND token(a, "B", "select") <= 6');
  for (const bad of [{ after: minToken, upTo: minToken }, { after: 5n, upTo: 5n }, { after: maxToken, upTo: maxToken + 1n }]) expect(() => tokenCondition(bad, ['k'])).toThrow(RangeError);
  expect(() => splitRange(wholeRing, 0)).toThrow(RangeError);
});
