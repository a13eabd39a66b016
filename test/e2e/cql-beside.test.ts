/** With a section `cql` the supervisor runs the CQL proxy beside the gateway, starts it again when it is killed, and ends it with everything else; what it owed is sent by the next one. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { freePort } from '../support/postgres.ts';
import { Stack } from './support/stack.ts';

const hosts = (cluster: MockCluster): string[] => cluster.database.nodes.map(({ address, port }) => `${address}:${port}`);

test('the CQL proxy beside the gateway', async () => {
  const source = await MockCluster.start({ clusterName: 'old' });
  const target = await MockCluster.start({ clusterName: 'new' });
  for (const one of [source, target]) {
    one.run("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    one.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  }
  const [port, httpPort] = [await freePort(), await freePort()];
  const state = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-e2e-'));
  const pid = (): number => Number(fs.readFileSync(path.join(state, 'cql', 'cql.pid'), 'utf8'));
  try {
    await using stack = await Stack.start({
      sourceSql: 'CREATE TABLE accounts (id int PRIMARY KEY)', workers: 1,
      settings: { state_directory: state, cql: { listen: { port }, http: { port: httpPort }, mode: 'DualAsync', shadow_timeout_ms: 200, replay: { first_delay_ms: 20, max_delay_ms: 200 }, source: { hosts: hosts(source) }, target: { hosts: hosts(target) } } },
    });
    const health = async (): Promise<unknown> => fetch(`http://127.0.0.1:${httpPort}/health`).then(async (response) => ((await response.json()) as { status: string }).status, () => 'away');
    const write = async (k: number): Promise<void> => {
      const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: 'dc1' });
      await client.connect();
      await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, 'a'], { prepare: true });
      await client.shutdown();
    };
    await expect.poll(health).toBe('healthy');
    await write(1);
    target.pause();
    await write(2);
    const first = pid();
    process.kill(first, 'SIGKILL');
    target.resume();
    await expect.poll(health).not.toBe('away');
    await expect.poll(pid).not.toBe(first);
    await expect.poll(() => compareStores(source.database, target.database).differences).toEqual([]);
    // The gateway has not noticed.
    const client = await stack.connect('app');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
  expect(fs.existsSync(path.join(state, 'cql', 'cql.pid'))).toBe(false);
  fs.rmSync(state, { recursive: true });
});
