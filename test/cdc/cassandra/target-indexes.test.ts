/** Indexes are gone during a load and the same afterwards, also when dropping or building was broken off; the source keeps its own. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readIndexes, sameIndex } from '../../../cdc/cassandra/indexes/index-definition.ts';
import { IndexList } from '../../../cdc/cassandra/indexes/index-list.ts';
import { TargetIndexes } from '../../../cdc/cassandra/indexes/target-indexes.ts';
import { describeCassandra } from '../../support/cassandra-servers.ts';
import { startTwoClusters } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

describeCassandra('secondary indexes of the target', () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  const make = async (table: string): Promise<void> => {
    await two.both(`CREATE TABLE ks.${table} (k int, c int, v text, "Odd Name" int, m map<text, int>, f frozen<set<int>>, l list<int>, PRIMARY KEY (k, c))`);
    await two.both(
      `CREATE INDEX ${table}_v ON ks.${table} (v)`, `CREATE INDEX "${table}_Odd" ON ks.${table} ("Odd Name")`, `CREATE INDEX ${table}_keys ON ks.${table} (keys(m))`, `CREATE INDEX ${table}_entries ON ks.${table} (entries(m))`,
      `CREATE INDEX ${table}_full ON ks.${table} (full(f))`, `CREATE INDEX ${table}_l ON ks.${table} (l)`, `CREATE CUSTOM INDEX ${table}_sai ON ks.${table} (c) USING 'StorageAttachedIndex'`,
    );
    await two.on('target', `INSERT INTO ks.${table} (k, c, v) VALUES (1, 1, 'x')`);
  };
  const namesOf = async (side: 'source' | 'target', table: string): Promise<readonly string[]> => (await readIndexes(two.clusters[side], two.keyspace, table)).map(({ name }) => name).sort();

  test('are dropped, built again exactly as they were, and usable', async () => {
    await make('a');
    const file = path.join(two.folder, 'a.json');
    const indexes = new TargetIndexes(two.runtime, two.clusters.source, two.clusters.target, new IndexList(file));
    const before = await readIndexes(two.clusters.target, two.keyspace, 'a');
    expect(before).toHaveLength(7);
    const table = { keyspace: two.keyspace, name: 'a' };
    expect(await indexes.drop([table])).toHaveLength(7);
    expect(await namesOf('target', 'a')).toEqual([]);
    expect(await namesOf('source', 'a')).toHaveLength(7);
    expect((await indexes.verify()).map(({ state }) => state)).toEqual(Array(7).fill('missing'));
    // A second drop forgets nothing of the first.
    expect(await indexes.drop([table])).toEqual([]);
    await indexes.rebuild();
    const after = await readIndexes(two.clusters.target, two.keyspace, 'a');
    expect(before.filter((index) => !after.some((other) => sameIndex(index, other)))).toEqual([]);
    expect(fs.existsSync(file)).toBe(false);
    expect((await two.target.cql(`SELECT k FROM ${two.keyspace}.a WHERE v = 'x'`)).map((row) => row['k'] as number)).toEqual([1]);
  }, 120_000);

  test('a drop that is broken off has written down all of them first', async () => {
    await make('b');
    const file = path.join(two.folder, 'b.json');
    let drops = 0;
    const faults = { armed: true, hit: (): Promise<void> => ((drops += 1) === 3 ? Promise.reject(new Error('broken off')) : Promise.resolve()) };
    const table = { keyspace: two.keyspace, name: 'b' };
    await expect(new TargetIndexes({ ...two.runtime, faults }, two.clusters.source, two.clusters.target, new IndexList(file)).drop([table])).rejects.toThrow('broken off');
    expect(await namesOf('target', 'b')).toHaveLength(5);
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toHaveLength(7);
    // A new process goes on, and may be broken off while it builds.
    const indexes = new TargetIndexes(two.runtime, two.clusters.source, two.clusters.target, new IndexList(file));
    await indexes.drop([table]);
    expect(await namesOf('target', 'b')).toEqual([]);
    await indexes.rebuild();
    expect(await namesOf('target', 'b')).toEqual(await namesOf('source', 'b'));
  }, 120_000);

  test('of indexes.yaml are chosen, and made as the source has them where the target does not', async () => {
    await make('d');
    await two.on('target', `DROP INDEX ks.d_entries`);
    const indexes = new TargetIndexes(two.runtime, two.clusters.source, two.clusters.target, new IndexList(path.join(two.folder, 'd.json')));
    const wanted = ['d_v', 'd_entries', 'd_new'].map((indexName) => ({ keyspace: two.keyspace, table: 'd', indexName, columnName: indexName === 'd_entries' ? 'm' : indexName === 'd_new' ? 'values(m)' : 'v', indexType: 'secondary' as const }));
    expect((await indexes.drop([{ keyspace: two.keyspace, name: 'd' }], wanted)).map(({ name }) => name)).toEqual(['d_v']);
    await indexes.rebuild();
    expect(await namesOf('target', 'd')).toEqual([...await namesOf('source', 'd'), 'd_new'].sort());
    expect((await indexes.verify(wanted)).map(({ state }) => state)).toEqual(['built', 'built', 'built']);
    expect((await readIndexes(two.clusters.target, two.keyspace, 'd')).find(({ name }) => name === 'd_entries')?.options['target']).toBe('entries(m)');
  }, 120_000);

  test('of the source are never touched', () => {
    expect(() => new TargetIndexes(two.runtime, two.clusters.source, two.clusters.source, new IndexList(path.join(two.folder, 'e.json')))).toThrow('only changed on the target');
  });

  test('a list that cannot be read is said and not taken for an empty one', async () => {
    const file = path.join(two.folder, 'f.json');
    fs.writeFileSync(file, '[{"keyspace":');
    const indexes = new TargetIndexes(two.runtime, two.clusters.source, two.clusters.target, new IndexList(file));
    await expect(indexes.drop([])).rejects.toThrow('MIG091');
    await expect(indexes.rebuild()).rejects.toThrow('MIG091');
  });
});
