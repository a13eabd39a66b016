/** The Cassandra clusters that other suites rely on: they start by themselves, keep what was written through a kill, and share nothing with one another. */
import { expect, test } from 'vitest';
import { CASSANDRA_VERSION } from './cassandra-folder.ts';
import { describeCassandra, sharedCassandra, startCassandra } from '../support/cassandra-servers.ts';

describeCassandra('Cassandra', () => {
  test('one of its own comes back after a kill with what was written', async () => {
    await using server = await startCassandra({ clusterName: 'alone' });
    expect((await server.cql('SELECT release_version, cluster_name FROM system.local'))[0]).toMatchObject({ release_version: CASSANDRA_VERSION, cluster_name: 'alone' });
    const keyspace = await server.createKeyspace();
    await server.cql(`CREATE TABLE ${keyspace}.t (k int PRIMARY KEY, v text)`);
    await server.cql(`INSERT INTO ${keyspace}.t (k, v) VALUES (?, ?)`, [1, 'a']);
    await server.kill();
    await server.restart();
    await server.cql(`INSERT INTO ${keyspace}.t (k, v) VALUES (?, ?)`, [2, 'ç']);
    expect((await server.cql(`SELECT k, v FROM ${keyspace}.t WHERE k IN (1, 2)`)).map(({ k, v }) => ({ k, v }))).toEqual([{ k: 1, v: 'a' }, { k: 2, v: 'ç' }]);
  }, 240_000);

  test('the two of a run are two clusters, and who asks again gets the same', async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    await using again = await sharedCassandra('source');
    expect(again.address).toEqual(source.address);
    expect(target.address.port).not.toBe(source.address.port);
    const keyspace = await source.createKeyspace();
    await source.cql(`CREATE TABLE ${keyspace}.c (k int PRIMARY KEY, n counter)`);
    await source.cql(`UPDATE ${keyspace}.c SET n = n + 5 WHERE k = 1`);
    expect(String((await again.cql(`SELECT n FROM ${keyspace}.c`))[0]?.['n'])).toBe('5');
    expect(await target.cql('SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?', [keyspace])).toEqual([]);
    // As real drivers see it: the token of an int key of 1.
    expect(String((await source.cql(`SELECT token(k) AS t FROM ${keyspace}.c`))[0]?.['t'])).toBe('-4069959284402364209');
  }, 240_000);
});
