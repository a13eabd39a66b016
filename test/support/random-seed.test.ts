// Random tests draw the same in every run, unless they are told to begin elsewhere.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomSeed } from './random-seed.ts';

const drawn = (): readonly number[] => fc.sample(fc.integer(), 20);

describe('properties of fast-check', () => {
  test('begin at the seed of all tests', () => {
    expect(fc.readConfigureGlobal().seed).toBe(randomSeed());
    expect(drawn()).toEqual(fc.sample(fc.integer(), { numRuns: 20, seed: randomSeed() }));
    expect(drawn()).toEqual(drawn());
    const checked: number[] = [];
    fc.assert(fc.property(fc.integer(), (value) => void checked.push(value)), { numRuns: 20 });
    const again: number[] = [];
    fc.assert(fc.property(fc.integer(), (value) => void again.push(value)), { numRuns: 20 });
    expect(again).toEqual(checked);
  });
});

describe('a seed', () => {
  test('is fixed', () => expect(randomSeed('SEED', {})).toBe(randomSeed(undefined, {})));
  test('is what the variable of all tests says', () => expect(randomSeed('SEED', { CAUSEWAY_RANDOM_SEED: '7' })).toBe(7));
  test('is what the variable of the test says', () => expect(randomSeed('SEED', { CAUSEWAY_RANDOM_SEED: 'day', SEED: '8' })).toBe(8));
  test('is another one each day, when it is told so', () => {
    const [before, seed, after] = [Date.now(), randomSeed(undefined, { CAUSEWAY_RANDOM_SEED: 'day' }), Date.now()];
    expect(seed * 86_400_000).toBeLessThanOrEqual(after);
    expect((seed + 1) * 86_400_000).toBeGreaterThan(before);
  });
  test('is a number', () => {
    for (const given of ['', 'today', '1.5']) expect(() => randomSeed(undefined, { CAUSEWAY_RANDOM_SEED: given })).toThrow('a random seed is a whole number, or day');
  });
});
