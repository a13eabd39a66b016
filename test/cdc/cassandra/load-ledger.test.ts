/** The ledger: what is finished is found again, by one process at a time, and only for the table that it was written for. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { splitRange, splitRing } from '../../../grammar/cql/token-range.ts';
import { shareOfRing } from '../../../cdc/cassandra/ring-share.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-ledger-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const table = { keyspace: 'ks', name: 't' };
const load = { fingerprint: 'one', assumedTime: 1_700_000_000_000_001n, ranges: splitRing([5n], 4) };

test('keeps finished and cut ranges, and the time that the load began with', async () => {
  const file = path.join(folder, 'a.db');
  const [first, second] = load.ranges;
  if (first === undefined || second === undefined) throw new Error('no ranges');
  {
    using ledger = new SqliteLoadLedger(file);
    await ledger.begin(table, load);
    await ledger.finish(table, first, { rows: 3, bytes: 9, refused: 0 });
    await ledger.split(table, second, splitRange(second, 2));
    await ledger.finish(table, splitRange(second, 2)[1] ?? second, { rows: 4, bytes: 9, refused: 1 });
  }
  using ledger = new SqliteLoadLedger(file);
  const record = await ledger.begin(table, { ...load, assumedTime: 5n, ranges: splitRing([], 99) });
  expect(record.assumedTime).toBe(load.assumedTime);
  expect(record.ranges.map(({ state }) => state)).toEqual(['done', 'pending', 'partial', ...load.ranges.slice(2).map(() => 'pending')]);
  expect(shareOfRing(record.ranges)).toBe(1);
  await expect(ledger.begin(table, { ...load, fingerprint: 'another' })).rejects.toThrow('MIG074');
  await expect(ledger.finish(table, second, { rows: 0, bytes: 0, refused: 0 })).rejects.toThrow('MIG091');
  await ledger.forget(table);
  expect((await ledger.begin(table, { ...load, fingerprint: 'another' })).ranges.every(({ state }) => state === 'pending')).toBe(true);
});

test('is one process\'s, and free again when that has ended', () => {
  const file = path.join(folder, 'b.db');
  {
    using _first = new SqliteLoadLedger(file);
    expect(() => new SqliteLoadLedger(file)).toThrow('MIG074');
  }
  using _second = new SqliteLoadLedger(file);
});
