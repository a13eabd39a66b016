/** A load between clusters of another kind: servers that tell no times of elements, as Cassandra before 5.0 and ScyllaDB. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { openFailedRows } from '../../../cdc/cassandra/load/failed-rows.ts';
import { Loader, loaderDefaults } from '../../../cdc/cassandra/load/loader.ts';
import { SqliteLoadLedger } from '../../../cdc/cassandra/load/sqlite-load-ledger.ts';
import { processClock } from '../../../config/process-runtime.ts';
import { MockCluster } from '../../support/cql/mock-cluster.ts';
import { testRuntime } from './cassandra-fixture.ts';

test('from three nodes of an old Cassandra to a ScyllaDB-like cluster', async () => {
  await using from = await MockCluster.start({ addresses: ['127.0.0.41', '127.0.0.42', '127.0.0.43'], releaseVersion: '3.11.19' });
  await using to = await MockCluster.start({ isScylla: true, releaseVersion: '3.0.8' });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mock-load-'));
  const points = { source: [`127.0.0.41:${from.port}`], target: [`127.0.0.1:${to.port}`] };
  const clients = await Promise.all(Object.values(points).map(async (contactPoints) => {
    const client = new cassandra.Client({ contactPoints, localDataCenter: 'dc1' });
    await client.connect();
    for (const text of ["CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", 'CREATE TABLE ks.t (a int, b text, c int, s text static, v text, n int, m map<int, text>, PRIMARY KEY ((a, b), c))']) await client.execute(text);
    return client;
  }));
  for (let k = 0; k < 300; k += 1) {
    await clients[0]?.execute('INSERT INTO ks.t (a, b, c, v, m) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?', [k % 30, 'b', k, `v${k}`, { 1: 'x' }, 1_000_000 + k], { prepare: true });
    if (k % 3 === 0) await clients[0]?.execute('UPDATE ks.t USING TIMESTAMP ? AND TTL ? SET n = ? WHERE a = ? AND b = ? AND c = ?', [2_000_000 + k, 5000, k, k % 30, 'b', k], { prepare: true });
    if (k % 30 === k) await clients[0]?.execute('INSERT INTO ks.t (a, b, s) VALUES (?, ?, ?) USING TIMESTAMP ?', [k + 20, 'b', `s${k}`, 5], { prepare: true });
  }
  await using source = await Cluster.connect('source', { contactPoints: points.source });
  await using target = await Cluster.connect('target', { contactPoints: points.target });
  using ledger = new SqliteLoadLedger(path.join(folder, 'ledger.db'));
  await using failed = await openFailedRows(path.join(folder, 'failed'), processClock.now);
  const name = { keyspace: 'ks', name: 't' };
  const pair = { sourceTable: name, targetTable: name };
  const progress = await new Loader(testRuntime, { source, target }, ledger, failed, [pair], { ...loaderDefaults, ranges: 16, retryPauseMs: 10 }).run(testRuntime.signal);
  expect(progress.tables).toMatchObject([{ state: 'done', rows: 300, error: undefined }]);
  expect([source.tokens.length, new Set(source.tokens).size]).toEqual([3, 3]);
  expect(progress.tables[0]?.rangesTotal).toBeGreaterThanOrEqual(18);
  const report = await new Validator(testRuntime, { source, target }, { ...comparingDefaults, ranges: 8, recheckPauseMs: 10 }).validate([pair], { mode: 'FullScan' }, testRuntime.signal);
  expect(report.tables[0]?.discrepancies).toEqual([]);
  expect(report).toMatchObject({ passed: true, rowsCompared: 330 });
  await Promise.all(clients.map((client) => client.shutdown()));
  fs.rmSync(folder, { recursive: true, force: true });
}, 60_000);
