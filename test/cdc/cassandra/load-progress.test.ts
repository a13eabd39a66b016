/** What a load tells of itself: rows that count once, a rate of late, and what is left by the share of the ring. */
import { expect, test } from 'vitest';
import { LoadTally } from '../../../cdc/cassandra/load/load-progress.ts';
import { splitRing } from '../../../grammar/cql/token-range.ts';

const clockAt = (time: { ms: number }): ConstructorParameters<typeof LoadTally>[0] => ({ now: () => time.ms, monotonicMs: () => time.ms, sleep: () => Promise.resolve() });

test('rate, share and time that is left', () => {
  const time = { ms: 0 };
  const tally = new LoadTally(clockAt(time), [{ keyspace: 'ks', name: 't' }]);
  const [table] = tally.tables;
  const ranges = splitRing([], 4);
  table?.restore(ranges.map((range, index) => ({ ...range, state: index === 0 ? 'done' as const : 'pending' as const, rows: index === 0 ? 1000 : 0, bytes: 0, refused: 0 })));
  expect(tally.progress()).toMatchObject({ rows: 1000, rowsPerSecond: 0, remainingMs: undefined });
  expect(tally.progress().share).toBeCloseTo(0.25, 4);
  time.ms = 5000;
  const [, second, third] = ranges;
  if (second === undefined || third === undefined || table === undefined) throw new Error('no ranges');
  table.page(second, { rows: 300, bytes: 10, refused: 0 });
  expect(tally.progress()).toMatchObject({ rows: 1300, rowsPerSecond: 60, remainingMs: undefined });
  // The same rows, not once more.
  table.finish(second, { rows: 500, bytes: 20, refused: 0 });
  const half = tally.progress();
  expect(half).toMatchObject({ rows: 1500, rowsPerSecond: 100 });
  // What an earlier process has done is no measure of this one's pace: a quarter in 5 s, two quarters are left.
  expect(half.remainingMs).toBeCloseTo(10_000, -1);
  time.ms = 60_000;
  tally.progress();
  time.ms = 75_000;
  expect(tally.progress().rowsPerSecond).toBe(0);
  table.page(third, { rows: 7, bytes: 1, refused: 0 });
  table.drop(third, 2);
  expect(tally.progress().tables[0]).toMatchObject({ rows: 1500, rangesDone: 2, rangesTotal: 5 });
  table.state = 'done';
  expect(tally.progress()).toMatchObject({ share: 1, remainingMs: 0 });
});
