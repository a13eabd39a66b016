/** The same by migration SQL on real servers, which tell the times of elements: a keyspace goes from one Cassandra to another, and both are equal in every cell that the validator sees. */
import cassandra from 'cassandra-driver';
import { expect, it } from 'vitest';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { freePort } from '../support/postgres.ts';
import { Stack } from './support/stack.ts';

const ROWS = 500;

describeCassandra('migration SQL between Cassandra clusters', () => {
  it('moves a keyspace', async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    const keyspace = await source.createKeyspace('by_sql');
    await target.cql(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    for (const side of [source, target]) {
      await side.cql(`CREATE TABLE ${keyspace}.item (shelf int, id int, name text, tags set<text>, label text static, PRIMARY KEY (shelf, id)) WITH CLUSTERING ORDER BY (id DESC)`);
      await side.cql(`CREATE TABLE ${keyspace}.note (id uuid PRIMARY KEY, body text)`);
    }
    const client = await source.client();
    for (let at = 0; at < ROWS; at += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, n) => client.execute(`INSERT INTO ${keyspace}.item (shelf, id, name, tags, label) VALUES (?, ?, ?, ?, ?)${n % 3 === 0 ? ' USING TTL 86400' : ''}`, [n % 5, at + n, `item ${at + n}`, ['a', `t${n}`], `shelf ${n % 5}`], { prepare: true })));
    }
    await source.cql(`INSERT INTO ${keyspace}.note (id, body) VALUES (uuid(), 'one')`);
    const [port, httpPort] = [await freePort(), await freePort()];
    const cluster = ({ address: { host, port: at } }: TestCassandraClients): object => ({ hosts: [`${host}:${at}`] });
    await using stack = await Stack.start({ sourceSql: 'SELECT 1', workers: 1, settings: { cql: { listen: { port }, http: { port: httpPort }, source_name: 'old_cluster', source: cluster(source), target: cluster(target) } } });
    const application = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: source.address.datacenter });
    try {
      await application.connect();
      const write = (id: number): Promise<unknown> => application.execute(`UPDATE ${keyspace}.item SET name = ?, tags = tags + ? WHERE shelf = ? AND id = ?`, [`changed ${id}`, ['new'], id % 5, id], { prepare: true });
      const states = async (): Promise<readonly string[]> => (await stack.status()).map(({ State }) => State);
      await stack.command(`START MIGRATION FOR SCHEMA ${keyspace} FROM old_cluster`);
      await write(1);
      await expect.poll(states, { timeout: 120_000 }).toEqual(['DUAL_WRITE', 'DUAL_WRITE']);
      await write(2);
      expect(await stack.command(`VALIDATE MIGRATION FOR SCHEMA ${keyspace} FULL`)).toMatchObject([{ Result: 'PASS', 'Source Rows': String(ROWS + 5) }, { Result: 'PASS', 'Source Rows': '1' }]);
      await stack.command(`CUTOVER SCHEMA ${keyspace}`);
      await write(3);
      const names = async (side: TestCassandraClients): Promise<readonly unknown[]> => (await side.cql(`SELECT name, tags FROM ${keyspace}.item WHERE shelf = 3 AND id = 3`)).map((row) => [row['name'], row['tags']]);
      for (const side of [target, source]) await expect.poll(() => names(side), { timeout: 30_000 }).toEqual([['changed 3', ['a', 'new', 't3']]]);
      expect(await stack.command(`VALIDATE MIGRATION FOR TABLE ${keyspace}.item FULL`)).toMatchObject([{ Result: 'PASS', State: 'LOCAL_ONLY' }]);
      await stack.command(`COMPLETE MIGRATION FOR TABLE ${keyspace}.item`);
      expect(await stack.command('SHOW MIGRATION STATUS')).toMatchObject([{ Table: `${keyspace}.item`, Next: 'nothing: complete', Source: 'old_cluster' }, { Table: `${keyspace}.note`, State: 'LOCAL_ONLY' }]);
    } finally {
      await application.shutdown();
      for (const side of [source, target]) await side.cql(`DROP KEYSPACE ${keyspace}`);
    }
  }, 240_000);
});
