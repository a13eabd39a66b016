/** Connecting says what is wrong: no server, wrong credentials. */
import { expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { listTables } from '../../../cdc/cassandra/table.ts';
import { freePort } from '../../support/postgres.ts';
import { describeCassandra, startCassandra } from '../../support/cassandra-servers.ts';
import { clusterOptions } from './cassandra-fixture.ts';

test('nobody listens: MIG001', async () => {
  await expect(Cluster.connect('target', { contactPoints: [`127.0.0.1:${await freePort()}`] })).rejects.toThrow(/MIG001: The target cluster at 127\.0\.0\.1:\d+ cannot be used.*ECONNREFUSED/);
});

describeCassandra('a server with users', () => {
  test('lets in who has the password, and says MIG003 to others', async () => {
    await using server = await startCassandra({ settings: { authenticator: 'PasswordAuthenticator' } });
    const options = clusterOptions(server.address);
    await expect.poll(() => Cluster.connect('source', { ...options, username: 'cassandra', password: 'cassandra' }).then((cluster) => cluster[Symbol.asyncDispose]().then(() => 'in'), String), { timeout: 60_000, interval: 200 }).toBe('in');
    await expect(Cluster.connect('source', { ...options, username: 'cassandra', password: 'wrong' })).rejects.toThrow('MIG003');
    await expect(Cluster.connect('source', options)).rejects.toThrow('MIG003');
    await using cluster = await Cluster.connect('source', { contactPoints: options.contactPoints, username: 'cassandra', password: 'cassandra', consistency: 'ONE' });
    expect(await listTables(cluster, 'system_auth')).toContain('roles');
  }, 240_000);
});
