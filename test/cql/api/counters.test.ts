/**
 * Counters have no times, so a load adds what the target lacks. While applications count through two proxies that is exact only where both clusters are read with no increment under way: at the end both have counted the
 * same, and what the applications were told of, also when the load is ended in its middle and begun again.
 */
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { processClock } from '../../../config/process-runtime.ts';
import { QuietReads } from '../../../src/migrate/clusters/quiet-reads.ts';
import type { MockCluster } from '../../support/cql/mock-cluster.ts';
import { testRuntime } from '../../cdc/cassandra/cassandra-fixture.ts';
import { rowsOn } from '../proxy-fixture.ts';
import { groupOf } from './group-fixture.ts';

const ROWS = 200;
const table = 'ks.counts';
const pair = { sourceTable: { keyspace: 'ks', name: 'counts' }, targetTable: { keyspace: 'ks', name: 'counts' } };

test('counters that are counted at two proxies while they are loaded are equal on both clusters', async () => {
  // An increment whose answer is late is noted for a repair: not what is looked at here.
  await using group = await groupOf(2, { shadow_timeout_ms: 20_000, request_timeout_ms: 20_000 });
  const { source, target } = group.fixture;
  for (const cluster of [source, target]) cluster.run('CREATE TABLE ks.counts (k int PRIMARY KEY, n counter)');
  for (let k = 0; k < ROWS; k += 1) source.run(`UPDATE ks.counts SET n = n + ${k + 1} WHERE k = ${k}`);
  const clients = await Promise.all((await group.startAll()).map((one) => group.fixture.driver(one)));
  const control = group.control();
  await control.switchTable({ table, mode: 'DualAsync', holds: true });
  // On its way to the target an increment is counted on the source alone for a while.
  for (const cluster of [source, target]) cluster.faults.add({ isWrite: true, times: Infinity, chance: 0.5, action: { kind: 'delay', ms: 15 } });
  const counted = new Map<number, number>();
  const errors: string[] = [];
  let isOver = false;
  let done = 0;
  // Whatever fails, they end before their proxies do.
  using _writing = { [Symbol.dispose]: () => void (isOver = true) };
  const writers = Array.from({ length: 8 }, async (_, number) => {
    for (let n = 0; !isOver; n += 1) {
      const k = (n * 7 + number) % ROWS;
      await clients[number % 2]?.execute('UPDATE ks.counts SET n = n + 1 WHERE k = ?', [k], { prepare: true }).then(() => void counted.set(k, (counted.get(k) ?? 0) + 1), (error: unknown) => errors.push(String(error)));
      done += 1;
    }
  });
  const connect = (name: 'source' | 'target', cluster: MockCluster): Promise<Cluster> => Cluster.connect(name, { contactPoints: cluster.database.nodes.map(({ address, port }) => `${address}:${port}`), requestTimeoutMs: 12_000 });
  await using from = await connect('source', source);
  await using to = await connect('target', target);
  const stop = new AbortController();
  const quietly = new QuietReads({ clock: processClock, signal: stop.signal }, control, table).quietly;
  const ledgerFile = path.join(group.fixture.directory, 'load.db');
  const load = async (signal: AbortSignal): Promise<unknown> => {
    using ledger = new SqliteLoadLedger(ledgerFile);
    await using failed = await openFailedRows(path.join(group.fixture.directory, 'failed.jsonl'), Date.now);
    return (await new Loader(testRuntime, { source: from, target: to }, ledger, failed, [pair], { ...loaderDefaults, ranges: 16, retryPauseMs: 10, quietly }).run(signal)).tables[0]?.state;
  };
  const ended = load(stop.signal).catch(() => 'ended');
  await expect.poll(() => rowsOn(target, 'SELECT k FROM ks.counts').length, { timeout: 30_000, interval: 5 }).toBeGreaterThan(ROWS / 8);
  stop.abort(new Error('killed'));
  expect(await ended).toBe('ended');
  const again = new QuietReads({ clock: processClock, signal: testRuntime.signal }, control, table).quietly;
  using ledger = new SqliteLoadLedger(ledgerFile);
  await using failed = await openFailedRows(path.join(group.fixture.directory, 'failed.jsonl'), Date.now);
  const progress = await new Loader(testRuntime, { source: from, target: to }, ledger, failed, [pair], { ...loaderDefaults, ranges: 16, retryPauseMs: 10, quietly: again }).run(testRuntime.signal);
  expect(progress.tables[0]).toMatchObject({ state: 'done' });
  const before = done;
  await expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(before + 50);
  // It is proven while they count, too.
  const report = await new Validator(testRuntime, { source: from, target: to }, { ...comparingDefaults, recheckPauseMs: 10, quietly: again }).validate([pair], { mode: 'FullScan' }, testRuntime.signal);
  expect(report.tables[0]).toMatchObject({ rowsSource: ROWS, rowsTarget: ROWS, rowsDifferent: 0, unsettled: 0 });
  isOver = true;
  await Promise.all(writers);
  expect(errors).toEqual([]);
  await expect.poll(async () => (await control.table(table)).depth, { timeout: 20_000 }).toBe(0);
  const values = (cluster: MockCluster): string[] => rowsOn(cluster, 'SELECT k, n FROM ks.counts');
  const expected = Array.from({ length: ROWS }, (_, k) => `${k.toString(16).padStart(8, '0')}|${(k + 1 + (counted.get(k) ?? 0)).toString(16).padStart(16, '0')}`).sort();
  expect(values(source)).toEqual(expected);
  expect(values(target)).toEqual(expected);
}, 120_000);
