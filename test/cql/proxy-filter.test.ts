/** Writes that a filter or a table's mode keeps from the shadow do not reach it, in no form; those beside them do. */
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { everywhere } from '../../src/cql/modes.ts';
import type { FilterSnapshot } from '../../src/cql/proxy-options.ts';
import { rowsOn, startFixture } from './proxy-fixture.ts';

const prepared = { prepare: true };

/** Keeps the table `ks.private`, and rows of `ks.shared` whose first bound value is 13. */
const snapshot: FilterSnapshot = {
  isEmpty: false,
  rule: (keyspace, facts, columns) => {
    if (`${keyspace}.${facts.table ?? ''}` === 'ks.private') return 'skip';
    if (facts.table !== 'shared' || columns.length === 0) return 'pass';
    return { goesToShadow: (frame, valuesAt, valueCount) => valueCount === 0 || frame.readInt32BE(valuesAt + 4) !== 13 };
  },
};

const ints = (...values: readonly number[]): string[] => values.map((value) => value.toString(16).padStart(8, '0'));

test.each(['DualSync', 'DualAsync'] as const)('in %s', async (mode) => {
  await using fixture = await startFixture({ mode, filter: { snapshot } });
  // What is kept from the target need not exist there.
  fixture.source.run('CREATE TABLE ks.private (k int PRIMARY KEY, v text)');
  fixture.both('CREATE TABLE ks.shared (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  const [secret, shared] = ['INSERT INTO ks.private (k, v) VALUES (?, ?)', 'INSERT INTO ks.shared (k, v) VALUES (?, ?)'];
  await client.execute(secret, [1, 'a'], prepared);
  await client.execute("INSERT INTO ks.private (k, v) VALUES (2, 'a')");
  for (const k of [12, 13, 14]) await client.execute(shared, [k, 'a'], prepared);
  await client.batch([{ query: secret, params: [3, 'a'] }, { query: shared, params: [13, 'b'] }, { query: shared, params: [15, 'b'] }], prepared);
  await client.batch([{ query: secret, params: [4, 'a'] }, { query: shared, params: [13, 'c'] }], prepared);
  await expect.poll(() => fixture.intents.state().depth).toBe(0);
  expect(rowsOn(fixture.source, 'SELECT k FROM ks.private')).toEqual(ints(1, 2, 3, 4));
  expect(rowsOn(fixture.source, 'SELECT k FROM ks.shared')).toEqual(ints(12, 13, 14, 15));
  expect(rowsOn(fixture.target, 'SELECT k FROM ks.shared')).toEqual(ints(12, 14, 15));
});

test('a batch over a table of the source alone, which the target does not have', async () => {
  await using fixture = await startFixture();
  fixture.source.run('CREATE TABLE ks.old (k int PRIMARY KEY, v text)');
  fixture.both('CREATE TABLE ks.both (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  for (const mode of ['DualSync', 'DualAsync'] as const) {
    fixture.proxy.setModes({ ...everywhere('SourceOnly'), tables: new Map([['ks.both', mode]]) });
    await client.batch([{ query: 'INSERT INTO ks.old (k, v) VALUES (?, ?)', params: [1, mode] }, { query: 'INSERT INTO ks.both (k, v) VALUES (?, ?)', params: [1, mode] }], prepared);
    await expect.poll(() => fixture.intents.state().depth).toBe(0);
    expect(rowsOn(fixture.target, 'SELECT v FROM ks.both')).toEqual([Buffer.from(mode).toString('hex')]);
  }
});

test('what is replayed after a lost answer has the kept children no more than what was sent', async () => {
  await using fixture = await startFixture({ mode: 'DualAsync', filter: { snapshot } });
  fixture.both('CREATE TABLE ks.private (k int PRIMARY KEY, v text)');
  fixture.both('CREATE TABLE ks.shared (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  fixture.target.faults.add({ isWrite: true, action: { kind: 'error', code: cassandra.types.responseErrorCodes.overloaded } });
  await client.batch([{ query: 'INSERT INTO ks.private (k, v) VALUES (?, ?)', params: [1, 'a'] }, { query: 'INSERT INTO ks.shared (k, v) VALUES (?, ?)', params: [1, 'a'] }], prepared);
  await expect.poll(() => fixture.intents.released.size).toBe(1);
  const [intent] = fixture.intents.released.values();
  expect(intent && await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve))).toBe('ok');
  expect(rowsOn(fixture.target, 'SELECT k FROM ks.private')).toEqual([]);
  expect(rowsOn(fixture.target, 'SELECT k FROM ks.shared')).toEqual(ints(1));
});
