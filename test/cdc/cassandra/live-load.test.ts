/** A load under way while applications write to both clusters loses nothing of theirs; and what a cluster that tells less gives is carried over as well as it can be. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { processClock } from '../../../config/process-runtime.ts';
import { describeCassandra } from '../../support/cassandra-servers.ts';
import { startTwoClusters } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

describeCassandra('a load', () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  test('beside writes of every kind to both sides ends with the same on both', async () => {
    await two.both('CREATE TYPE ks.pair (a int, b int)', 'CREATE TABLE ks.live (p int, c int, s text static, v text, w int, m map<int, text>, z set<int>, u pair, PRIMARY KEY (p, c))');
    const clients = [await two.source.client(), await two.target.client()];
    const [onSource] = clients;
    const run = (client: typeof onSource, text: string, values: readonly unknown[]): Promise<unknown> => client?.execute(text.replaceAll('ks.', `${two.keyspace}.`), [...values], { prepare: true }) ?? Promise.resolve();
    const before = BigInt(Date.now()) * 1000n - 1_000_000_000n;
    for (let c = 0; c < 1200; c += 40) {
      await Promise.all(Array.from({ length: 40 }, (_, offset) => run(onSource, 'INSERT INTO ks.live (p, c, v, w, m, z, u) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?', [(c + offset) % 40, c + offset, 'before', c, { 1: 'x', 2: 'y' }, [1, 2], { a: 1, b: 2 }, String(before + BigInt(c))])));
      await run(onSource, 'INSERT INTO ks.live (p, c) VALUES (?, ?) USING TIMESTAMP ?', [c % 40, 5000 + c, String(before)]);
      await run(onSource, 'UPDATE ks.live USING TIMESTAMP ? SET s = ? WHERE p = ?', [String(before), 'before', c % 40]);
    }
    let last = 0n;
    let writes = 0;
    let isOver = false;
    const pick = (count: number): number => Math.floor(Math.random() * count);
    const application = async (): Promise<void> => {
      while (!isOver) {
        const time = (last = last + 1n > BigInt(Date.now()) * 1000n ? last + 1n : BigInt(Date.now()) * 1000n);
        const c = pick(10) === 0 ? 5000 + pick(30) * 40 : pick(1300);
        const key = [c % 40, c];
        const stamp = String(time);
        const choices: readonly (readonly [text: string, values: readonly unknown[]])[] = [
          ['INSERT INTO ks.live (p, c, v, w) VALUES (?, ?, ?, ?) USING TIMESTAMP ?', [...key, 'live', pick(100), stamp]],
          ['DELETE FROM ks.live USING TIMESTAMP ? WHERE p = ? AND c = ?', [stamp, ...key]],
          ['DELETE v, z FROM ks.live USING TIMESTAMP ? WHERE p = ? AND c = ?', [stamp, ...key]],
          ['DELETE m[1] FROM ks.live USING TIMESTAMP ? WHERE p = ? AND c = ?', [stamp, ...key]],
          ['INSERT INTO ks.live (p, c, m, u) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL 40000', [...key, { 3: 'live' }, { a: 9 }, stamp]],
          ['INSERT INTO ks.live (p, s) VALUES (?, ?) USING TIMESTAMP ?', [c % 40, 'live', stamp]],
        ];
        const [text, values] = choices[pick(choices.length)] ?? ['', []];
        await Promise.all(clients.map((client) => run(client, text, values)));
        writes += 1;
      }
    };
    const applications = Promise.all([application(), application(), application()]);
    try {
      const progress = await two.load(['live'], { ranges: 24, parallelRanges: 2, pageRows: 20, concurrency: 4, targetLimits: { rowsPerSecond: 400, bytesPerSecond: 0 } });
      expect(progress.tables).toMatchObject([{ state: 'done' }]);
    } finally {
      isOver = true;
      await applications;
    }
    expect(writes).toBeGreaterThan(100);
    const table = { keyspace: two.keyspace, name: 'live' };
    const report = await new Validator(two.runtime, two.clusters, { ...comparingDefaults, ranges: 8, recheckPauseMs: 20 }).validate([{ sourceTable: table, targetTable: table }], { mode: 'FullScan' }, two.runtime.signal);
    expect(report.tables[0]?.discrepancies).toEqual([]);
    expect(report.passed).toBe(true);
  }, 180_000);

  test('from a cluster that does not tell the times of elements carries their values, and does not double them when it is run again', async () => {
    await two.both('CREATE TABLE ks.silent (k int PRIMARY KEY, v text, m map<int, text>, z set<int>, l list<int>)');
    for (let k = 0; k < 10; k += 1) await two.on('source', `INSERT INTO ks.silent (k, v, m, z, l) VALUES (${k}, 'v', {1: 'a'}, {1, 2}, [1, 1]) USING TIMESTAMP 1000`);
    // A write of the application to both, after the begin of the load.
    await two.both(`UPDATE ks.silent SET m[1] = 'live', l = [7] WHERE k = 3`);
    const silent = (cluster: Cluster): Cluster => new Proxy(cluster, {
      get: (real, name) => {
        if (name === 'tellsElementTimes') return false;
        const value: unknown = Reflect.get(real, name);
        return typeof value === 'function' ? value.bind(real) as unknown : value;
      },
    });
    const clusters = { source: silent(two.clusters.source), target: silent(two.clusters.target) };
    const name = { keyspace: two.keyspace, name: 'silent' };
    const pair = { sourceTable: name, targetTable: name };
    for (let round = 0; round < 2; round += 1) {
      using ledger = new SqliteLoadLedger(`${two.folder}/silent-${round}.db`);
      await using failed = await openFailedRows(two.failedFile, processClock.now);
      expect(await new Loader(two.runtime, clusters, ledger, failed, [pair], { ...loaderDefaults, ranges: 4, assumedTime: 2000n }).run(two.runtime.signal)).toMatchObject({ tables: [{ state: 'done', rows: 10 }] });
    }
    expect(await new Validator(two.runtime, clusters, { ...comparingDefaults, ranges: 4, recheckPauseMs: 20 }).validate([pair], { mode: 'FullScan' }, two.runtime.signal)).toMatchObject({ passed: true, rowsCompared: 10 });
    const rows = await two.target.cql(`SELECT k, m, l, WRITETIME(v) AS w FROM ${two.keyspace}.silent WHERE k IN (2, 3)`);
    expect(rows.map((row) => ({ k: row['k'] as number, m: row['m'] as unknown, l: row['l'] as unknown, w: String(row['w']) }))).toEqual([{ k: 2, m: { 1: 'a' }, l: [1, 1], w: '1000' }, { k: 3, m: { 1: 'live' }, l: [7], w: '1000' }]);
  }, 60_000);
});
