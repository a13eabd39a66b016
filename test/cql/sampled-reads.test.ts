/** Sampled reads find rows that are other on one cluster than on the other, cry no wolf over what is on its way or filtered, and take nothing from clients. */
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { sampleOutcomes } from '../../src/cql/proxy-stats.ts';
import type { SampleOutcome } from '../../src/cql/proxy-stats.ts';
import { startFixture } from './proxy-fixture.ts';
import type { Fixture, FixtureOptions } from './proxy-fixture.ts';

const every = { share: 1, random: () => 0, pausesMs: [20, 20, 20] };
/** Of a write that takes its time. */
const patient = { ...every, pausesMs: Array.from({ length: 100 }, () => 100) };
const patience = { timeout: 30_000 };
const counted = ({ proxy }: Fixture): Record<SampleOutcome, number> => Object.fromEntries(sampleOutcomes.map((outcome, index) => [outcome, proxy.stats().counts.sampledReads[index] ?? 0])) as Record<SampleOutcome, number>;

async function prepare(options: FixtureOptions = {}): Promise<{ readonly fixture: Fixture; readonly client: cassandra.Client } & AsyncDisposable> {
  const fixture = await startFixture({ mode: 'DualAsync', sampling: every, ...options });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  fixture.both('CREATE TABLE ks.u (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  for (let k = 0; k < 4; k += 1) await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `v${k}`], { prepare: true });
  return { fixture, client, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

test('rows that are the same, by statements of every kind, also while one of them has not come yet', async () => {
  await using prepared = await prepare({ sampling: patient });
  const { fixture, client } = prepared;
  await client.execute('SELECT * FROM ks.t WHERE k = ?', [1], { prepare: true });
  await client.execute('SELECT k, v FROM ks.t WHERE k = 2');
  await client.execute('SELECT count(*) FROM ks.t');
  // Its second page belongs to the first.
  expect((await client.execute('SELECT * FROM ks.t', [], { prepare: true, fetchSize: 2, autoPage: false })).rows).toHaveLength(2);
  await expect.poll(() => counted(fixture), patience).toMatchObject({ same: 4, different: 0, failed: 0 });
  using _late = fixture.target.faults.add({ isWrite: true, action: { kind: 'delay', ms: 300 } });
  await client.execute("UPDATE ks.t SET v = 'new' WHERE k = 1");
  expect((await client.execute('SELECT v FROM ks.t WHERE k = 1')).first().get('v')).toBe('new');
  await expect.poll(() => counted(fixture), patience).toMatchObject({ same: 5, different: 0, unsettled: 0 });
});

test('rows that stay different are told, once for each table; what the log owes is not settled', async () => {
  await using prepared = await prepare();
  const { fixture, client } = prepared;
  fixture.target.run("UPDATE ks.t SET v = 'spoilt' WHERE k = 3");
  const read = () => client.execute('SELECT v FROM ks.t WHERE k = ?', [3], { prepare: true });
  expect((await read()).first().get('v')).toBe('v3');
  await read();
  // The table is not on the shadow, which a client does not notice.
  fixture.source.run('CREATE TABLE ks.alone (k int PRIMARY KEY)');
  await client.execute('SELECT * FROM ks.alone');
  await expect.poll(() => counted(fixture), patience).toEqual({ same: 0, different: 2, unsettled: 0, failed: 1, left_out: 0 });
  expect(fixture.logged.filter(({ message }) => message.includes('sampled read'))).toMatchObject([{ level: 'warn', fields: { table: 'ks.t' } }]);
  using _lost = fixture.target.faults.add({ isWrite: true, times: 100, action: { kind: 'drop' } });
  await client.execute("INSERT INTO ks.u (k, v) VALUES (1, 'owed')");
  await client.execute('SELECT * FROM ks.u WHERE k = 1');
  await expect.poll(() => counted(fixture), patience).toMatchObject({ different: 2, unsettled: 1 });
});

test('nothing is drawn with one cluster, of functions and of the clusters\' own tables, and while filter rules keep rows from the shadow', async () => {
  await using prepared = await prepare({ filter: { snapshot: { isEmpty: false, rule: () => 'pass' } } });
  const { fixture, client } = prepared;
  const asked = fixture.target.counts['QUERY'] ?? 0;
  await client.execute('SELECT writetime(v) FROM ks.t WHERE k = 1');
  await client.execute('SELECT * FROM system_schema.keyspaces');
  await client.execute('SELECT * FROM ks.t WHERE k = 1');
  expect(counted(fixture)).toEqual({ same: 0, different: 0, unsettled: 0, failed: 0, left_out: 1 });
  fixture.setMode('SourceOnly');
  await client.execute('SELECT * FROM ks.t WHERE k = 1');
  expect([counted(fixture).left_out, fixture.target.counts['QUERY'] ?? 0]).toEqual([1, asked]);
});
