// Who waits is called once local shows it; after a reset, what had been told before counts for nothing.
import { expect, test } from 'vitest';
import { createVisibleProgress } from '../../src/main/visible-progress.ts';

const calls = (progress: ReturnType<typeof createVisibleProgress>) => {
  const seen: string[] = [];
  progress.whenPositionVisible(10n, () => seen.push('position'));
  progress.whenTransactionVisible(7, () => seen.push('transaction'));
  return seen;
};

test('by position and by transaction, at once when it is there already', () => {
  const progress = createVisibleProgress(() => 0);
  const early = calls(progress);
  expect(early).toEqual([]);
  progress.advance(10n, [7]);
  expect(early.toSorted()).toEqual(['position', 'transaction']);
  expect(calls(progress)).toEqual(['position', 'transaction']);
});

test('a reset forgets; what is told again is there again', () => {
  const progress = createVisibleProgress(() => 0);
  progress.advance(10n, [7]);
  progress.reset();
  const seen = calls(progress);
  expect([seen, progress.visibleLsn]).toEqual([[], 0n]);
  progress.advance(9n, []);
  expect(seen).toEqual([]);
  progress.advance(10n, [7]);
  expect(seen.toSorted()).toEqual(['position', 'transaction']);
});

test('a transaction that was there before a reset, and is not told again, is waited for by position', () => {
  let now = 0;
  const progress = createVisibleProgress(() => now);
  progress.advance(10n, [7]);
  progress.reset();
  const seen = calls(progress);
  now = 1_000;
  progress.sweep(now, (callback) => callback(12n));
  progress.advance(12n, []);
  expect(seen.toSorted()).toEqual(['position', 'transaction']);
});
