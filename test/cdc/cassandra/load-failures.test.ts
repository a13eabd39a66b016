/** What a load makes of servers that fail: lost answers change nothing, an absent target is waited for, an unreadable range is cut down to what cannot be read. */
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import type { BoundStatement } from '../../../cdc/cassandra/cluster.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import type { LoaderOptions } from '../../../cdc/cassandra/load/loader.ts';
import type { LoadProgress } from '../../../cdc/cassandra/load/load-progress.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { readBigint } from '../../../cdc/cassandra/raw-values.ts';
import { processClock } from '../../../config/process-runtime.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { describeCassandra, startCassandra } from '../../support/cassandra-servers.ts';
import { clusterOptions, dumpTable, startTwoClusters, withoutTtl } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

describeCassandra('a load goes on', () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  /** A cluster of which some methods are others. */
  const faulty = (cluster: Cluster, methods: Partial<Pick<Cluster, 'read' | 'write'>>): Cluster => new Proxy(cluster, {
    get: (real, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(real, name);
      return typeof value === 'function' ? value.bind(real) as unknown : value;
    },
  });
  const loadWith = async (table: string, clusters: { source: Cluster; target: Cluster }, options: Partial<LoaderOptions> = {}, runtime: Runtime = two.runtime): Promise<LoadProgress> => {
    using ledger = new SqliteLoadLedger(path.join(two.folder, `${table}.db`));
    await using failed = await openFailedRows(two.failedFile, processClock.now);
    const name = { keyspace: two.keyspace, name: table };
    return await new Loader(runtime, clusters, ledger, failed, [{ sourceTable: name, targetTable: name }], { ...loaderDefaults, ranges: 8, retryPauseMs: 5, ...options }).run(runtime.signal);
  };
  const fill = async (table: string, rows: number): Promise<void> => {
    const client = await two.source.client();
    await Promise.all(Array.from({ length: rows }, (_, k) => client.execute(`INSERT INTO ${two.keyspace}.${table} (k, v) VALUES (?, ?) USING TIMESTAMP 1000`, [k, `v${k}`], { prepare: true })));
    await client.shutdown();
  };
  const expectSame = async (table: string): Promise<void> => {
    const source = await two.dump('source', table);
    expect(source.length).toBeGreaterThan(0);
    expect(withoutTtl(await two.dump('target', table))).toEqual(withoutTtl(source));
  };
  const timeout = (): Error => new cassandra.errors.OperationTimedOutError('no answer', 'somewhere');

  test('after writes whose answers were lost: counters are not added twice, lists not doubled', async () => {
    await two.both('CREATE TABLE ks.n (k int PRIMARY KEY, n counter)', 'CREATE TABLE ks.lists (k int PRIMARY KEY, l list<int>, v int)');
    for (let k = 0; k < 10; k += 1) await two.on('source', `UPDATE ks.n SET n = n + ${k + 1} WHERE k = ${k}`, `INSERT INTO ks.lists (k, l, v) VALUES (${k}, [1, 2, 1], 1) USING TIMESTAMP 1000`);
    const lost = new Set<string>();
    const target = faulty(two.clusters.target, {
      write: async (statements: readonly BoundStatement[]) => {
        await two.clusters.target.write(statements);
        const name = statements.map(({ text, values }) => `${text}${values.map((value) => (Buffer.isBuffer(value) ? value.toString('hex') : '')).join()}`).join();
        if (lost.has(name)) return;
        lost.add(name);
        throw timeout();
      },
    });
    expect(await loadWith('n', { ...two.clusters, target })).toMatchObject({ tables: [{ state: 'done', rows: 10 }] });
    expect(await loadWith('lists', { ...two.clusters, target })).toMatchObject({ tables: [{ state: 'done', rows: 10 }] });
    expect(lost.size).toBeGreaterThanOrEqual(30);
    await expectSame('n');
    await expectSame('lists');
  }, 120_000);

  test('around a token that cannot be read, which is named, and with it once it can', async () => {
    await two.both('CREATE TABLE ks.poison (k int PRIMARY KEY, v text)');
    await fill('poison', 300);
    const poisoned = BigInt(String((await two.source.cql(`SELECT token(k) AS t FROM ${two.keyspace}.poison WHERE k = 7`))[0]?.['t']));
    const source = faulty(two.clusters.source, {
      read: async (statement, page) => {
        const [after, upTo] = statement.values;
        if (Buffer.isBuffer(after) && Buffer.isBuffer(upTo) && readBigint(after) < poisoned && readBigint(upTo) >= poisoned) throw timeout();
        return two.clusters.source.read(statement, page);
      },
    });
    const first = await loadWith('poison', { ...two.clusters, source }, { maxRetries: 0 });
    expect(first.tables[0]).toMatchObject({ state: 'incomplete', rows: 299, error: expect.stringContaining(`(${poisoned - 1n}, ${poisoned}]`) as unknown });
    expect(await loadWith('poison', two.clusters)).toMatchObject({ tables: [{ state: 'done', rows: 300 }] });
    await expectSame('poison');
  }, 120_000);

  test('where it was stopped', async () => {
    await two.both('CREATE TABLE ks.stopped (k int PRIMARY KEY, v text)');
    await fill('stopped', 400);
    const stop = new AbortController();
    let pages = 0;
    const faults = { armed: true, hit: async (): Promise<void> => { if ((pages += 1) === 3) stop.abort(new Error('Ctrl-C')); } };
    await expect(loadWith('stopped', two.clusters, { parallelRanges: 1 }, { ...two.runtime, faults, signal: stop.signal })).rejects.toThrow('Ctrl-C');
    let again = 0;
    expect(await loadWith('stopped', two.clusters, {}, { ...two.runtime, faults: { armed: true, hit: async () => { again += 1; } } })).toMatchObject({ tables: [{ state: 'done', rows: 400 }] });
    // Two ranges were finished before.
    expect(again).toBe(6);
    await expectSame('stopped');
  }, 60_000);

  test('with the target after it was killed and started again', async () => {
    await using lone = await startCassandra();
    await lone.cql(`CREATE KEYSPACE ${two.keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    await lone.cql(`CREATE TABLE ${two.keyspace}.away (k int PRIMARY KEY, v text)`);
    await two.on('source', 'CREATE TABLE ks.away (k int PRIMARY KEY, v text)');
    await fill('away', 400);
    await using target = await Cluster.connect('target', clusterOptions(lone.address));
    let pages = 0;
    let back: Promise<void> | undefined;
    const faults = { armed: true, hit: async (): Promise<void> => {
      if ((pages += 1) !== 2) return;
      await lone.kill();
      back = lone.restart();
    } };
    const progress = await loadWith('away', { ...two.clusters, target }, { maxRetries: 60, retryPauseMs: 200, parallelRanges: 2 }, { ...two.runtime, faults });
    await back;
    expect(progress).toMatchObject({ tables: [{ state: 'done', rows: 400 }] });
    expect(withoutTtl(await dumpTable(target, two.keyspace, 'away'))).toEqual(withoutTtl(await two.dump('source', 'away')));
  }, 240_000);

  test('as a loader that is told of an overload waits', async () => {
    await two.both('CREATE TABLE ks.busy (k int PRIMARY KEY, v text)');
    await fill('busy', 50);
    let refusals = 0;
    const target = faulty(two.clusters.target, {
      write: async (statements) => {
        if ((refusals += 1) <= 5) throw new cassandra.errors.ResponseError(cassandra.types.responseErrorCodes.overloaded, 'too much');
        await two.clusters.target.write(statements);
      },
    });
    const begun = performance.now();
    expect(await loadWith('busy', { ...two.clusters, target })).toMatchObject({ tables: [{ state: 'done', rows: 50 }] });
    expect(performance.now() - begun).toBeGreaterThan(200);
    await expectSame('busy');
  }, 60_000);
});
