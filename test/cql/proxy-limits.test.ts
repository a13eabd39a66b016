/** What is bounded stays bounded and says so; what is compressed or encrypted is the same underneath; logins hold over a switch of the mode. */
import cassandra from 'cassandra-driver';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../src/cql/proxy-options.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { compareStores } from '../support/cql/compare-stores.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { rowsOn, startFixture } from './proxy-fixture.ts';

const { responseErrorCodes } = cassandra.types;
const insert = 'INSERT INTO ks.t (k, v) VALUES (?, ?)';
const prepared = { prepare: true };
const table = 'CREATE TABLE ks.t (k int PRIMARY KEY, v text)';

describe('compression', () => {
  test.each(['lz4', 'snappy'] as const)('%s, of the client and of the clusters', async (compression) => {
    await using fixture = await startFixture({ mode: 'DualSync', source: { compressions: ['lz4', 'snappy'] }, target: { compressions: ['lz4', 'snappy'] }, cluster: () => ({ compression }) });
    fixture.both(table);
    const raw = await RawClient.connect(fixture.port, '127.0.0.1', { compression });
    const long = 'compress me '.repeat(1000);
    for (let k = 0; k < 5; k += 1) await raw.query(`INSERT INTO ks.t (k, v) VALUES (${k}, '${long}')`);
    const answer = await raw.query('SELECT v FROM ks.t');
    expect(answer.kind === 'rows' && answer.rows.map(([cell]) => String(cell))).toEqual(Array.from({ length: 5 }, () => long));
    expect(answer.flags & 1).toBe(1);
    expect(compareStores(fixture.source.database, fixture.target.database).differences).toEqual([]);
    raw.close();
  });

  test('that is not known is refused', async () => {
    await using fixture = await startFixture();
    await expect(RawClient.connect(fixture.port, '127.0.0.1', { compression: 'zstd' as 'lz4' })).rejects.toMatchObject({ code: responseErrorCodes.protocolError });
  });
});

test('TLS of the client and of the clusters', async () => {
  using authority = createTestAuthority();
  const pair = authority.issue('localhost');
  const [key, cert, ca] = [pair.key, pair.cert, authority.ca].map((file) => fs.readFileSync(file, 'utf8')) as [string, string, string];
  await using fixture = await startFixture({ mode: 'DualSync', tls: { key, cert }, source: { tls: { key, cert } }, target: { tls: { key, cert } }, cluster: () => ({ tls: { ca: [ca], checkServerIdentity: () => undefined } }) });
  fixture.both(table);
  const client = await fixture.client({ sslOptions: { ca: [ca], checkServerIdentity: () => undefined } });
  await client.execute(insert, [1, 'a'], prepared);
  expect(rowsOn(fixture.target, 'SELECT k FROM ks.t')).toEqual(['00000001']);
  await expect(fixture.client({ socketOptions: { connectTimeout: 1000 } })).rejects.toThrow();
});

describe('limits', () => {
  test('no free stream is OVERLOADED, and no request is lost or mixed up', async () => {
    await using fixture = await startFixture({ cluster: () => ({ maxStreams: 8 }) });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    fixture.source.pause();
    const writes = Array.from({ length: 20 }, (_, k) => client.execute(insert, [k, 'a'], prepared).then(() => 'ok', (error: { code?: number }) => error.code));
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(8);
    fixture.source.resume();
    const ended = await Promise.all(writes);
    expect(ended.filter((one) => one === 'ok')).toHaveLength(8);
    expect(ended.filter((one) => one === responseErrorCodes.overloaded)).toHaveLength(12);
    await client.execute(insert, [100, 'a'], prepared);
    expect(fixture.proxy.stats().clusters[0].streamsInUse).toBe(0);
  });

  test('a shadow without a free stream costs the client nothing', async () => {
    await using fixture = await startFixture({ mode: 'DualAsync', shadowTimeoutMs: 60_000, cluster: (name) => (name === 'target' ? { maxStreams: 8 } : {}) });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await expect.poll(() => fixture.intents.state().depth).toBe(0);
    fixture.target.pause();
    for (let k = 1; k <= 30; k += 1) await client.execute(insert, [k, 'a'], prepared);
    await expect.poll(() => fixture.intents.released.size).toBe(22);
    fixture.target.resume();
    await expect.poll(() => fixture.intents.open.size).toBe(0);
  });

  test('bytes in hand', async () => {
    await using fixture = await startFixture({ limits: { ...defaultLimits, requestBytes: 100_000 } });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    fixture.source.pause();
    const writes = Array.from({ length: 4 }, (_, k) => client.execute(insert, [k, 'x'.repeat(40_000)], prepared).then(() => 'ok', (error: { code?: number }) => error.code));
    await expect.poll(() => fixture.proxy.stats().counts.shed).toBe(2);
    fixture.source.resume();
    expect((await Promise.all(writes)).sort()).toEqual([responseErrorCodes.overloaded, responseErrorCodes.overloaded, 'ok', 'ok']);
  });

  test('a client with too many requests in hand is read no further, and all are answered in the end', async () => {
    await using fixture = await startFixture({ limits: { ...defaultLimits, requestsPerClient: 4 } });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    const long = 'y'.repeat(200_000);
    fixture.source.pause();
    const writes = Array.from({ length: 40 }, (_, k) => client.execute(insert, [k, long], prepared));
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBeGreaterThanOrEqual(4);
    // What one read brought may be in hand, and no more than that.
    expect(fixture.proxy.stats().counts.inHand).toBeLessThan(10);
    fixture.source.resume();
    await Promise.all(writes);
    expect(rowsOn(fixture.source, 'SELECT k FROM ks.t')).toHaveLength(40);
  });

  test('a client that does not take its answers is left, and the others are served', async () => {
    await using fixture = await startFixture({ limits: { ...defaultLimits, clientBacklogBytes: 64 * 1024 } });
    fixture.both(table);
    for (let k = 0; k < 40; k += 1) fixture.source.run(`INSERT INTO ks.t (k, v) VALUES (${k}, '${'z'.repeat(10_000)}')`);
    const raw = await RawClient.connect(fixture.port);
    const client = await fixture.client();
    const closed = once(raw.socket, 'close');
    raw.socket.pause();
    const answers = Array.from({ length: 30 }, () => raw.query('SELECT v FROM ks.t').then(() => 'answered', () => 'left'));
    await expect.poll(() => fixture.proxy.stats().counts.clients).toBeLessThanOrEqual(2);
    expect((await client.execute('SELECT k FROM ks.t WHERE k = 1')).rows).toHaveLength(1);
    raw.socket.resume();
    await closed;
    expect(await Promise.all(answers)).toContain('left');
  });

  test('so many clients and no more', async () => {
    await using fixture = await startFixture({ limits: { ...defaultLimits, clients: 1 } });
    const raw = await RawClient.connect(fixture.port);
    const second = net.connect(fixture.port, '127.0.0.1');
    await once(second, 'close');
    expect(fixture.proxy.stats().counts.clientsRefused).toBe(1);
    raw.close();
  });

  test('a frame that is too long, and bytes that are no frames', async () => {
    await using fixture = await startFixture({ limits: { ...defaultLimits, frameBytes: 10_000 } });
    const raw = await RawClient.connect(fixture.port);
    expect(await raw.query(`SELECT '${'x'.repeat(20_000)}'`)).toMatchObject({ kind: 'error', code: responseErrorCodes.protocolError });
    const other = net.connect(fixture.port, '127.0.0.1');
    other.write('GET / HTTP/1.1\r\n\r\n');
    await once(other, 'data');
    other.destroy();
    raw.close();
  });
});

describe('nodes and ends', () => {
  test('a node that has stopped answering is left, and connected to anew', async () => {
    await using fixture = await startFixture({ requestTimeoutMs: 200, cluster: () => ({ maxStreams: 8 }) });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    const before = fixture.source.connections.size;
    fixture.source.faults.add({ isWrite: true, times: 6, action: { kind: 'drop' } });
    const ended = await Promise.all(Array.from({ length: 6 }, (_, k) => client.execute(insert, [k, 'a'], prepared).then(() => 'ok', (error: { code?: number }) => error.code)));
    expect(ended).toEqual(Array.from({ length: 6 }, () => responseErrorCodes.writeTimeout));
    await expect.poll(() => client.execute(insert, [9, 'a'], prepared).then(() => 'ok', String)).toBe('ok');
    expect(fixture.source.connections.size).toBe(before);
    expect(fixture.proxy.stats().counts.clusters[0]?.connections).toBe(2);
  });

  test('a proxy that ends answers what it has in hand, and leaves to the log what the shadow has not acknowledged', async () => {
    await using fixture = await startFixture({ mode: 'DualAsync', shadowTimeoutMs: 60_000 });
    fixture.both(table);
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await expect.poll(() => fixture.intents.state().depth).toBe(0);
    fixture.target.pause();
    fixture.source.faults.add({ isWrite: true, action: { kind: 'delay', ms: 300 } });
    const write = client.execute(insert, [1, 'a'], prepared);
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(1);
    await fixture.proxy.close(1000);
    await write;
    expect(fixture.intents.released.size).toBe(1);
    expect(fixture.proxy.stats().counts.inHand).toBe(0);
    await expect(fixture.client()).rejects.toThrow();
  });

  test('a batch of statements that were prepared in different keyspaces is healed in each of them', async () => {
    await using fixture = await startFixture({ mode: 'DualSync' });
    for (const keyspace of ['one', 'two']) {
      fixture.both(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
      fixture.both(`CREATE TABLE ${keyspace}.t (k int PRIMARY KEY, v text)`);
    }
    const raw = await RawClient.connect(fixture.port);
    const ids: Buffer[] = [];
    for (const keyspace of ['one', 'two']) {
      expect((await raw.query(`USE ${keyspace}`)).kind).toBe('keyspace');
      ids.push(await raw.prepare('INSERT INTO t (k, v) VALUES (?, ?)'));
    }
    expect(ids[0]?.equals(ids[1] ?? Buffer.alloc(0))).toBe(false);
    expect((await raw.query('USE ks')).kind).toBe('keyspace');
    for (let round = 0; round < 3; round += 1) {
      fixture.source.forgetPrepared();
      if (round > 0) fixture.target.forgetPrepared();
      const values = [Buffer.from([0, 0, 0, round]), Buffer.from('x')];
      expect((await raw.batch('logged', ids.map((id) => ({ id, values })))).kind).toBe('void');
      const [id = Buffer.alloc(0)] = ids;
      fixture.source.forgetPrepared();
      expect((await raw.execute(id, { values: [Buffer.from([0, 0, 1, round]), Buffer.from('y')] })).kind).toBe('void');
    }
    raw.close();
    expect(rowsOn(fixture.source, 'SELECT k FROM one.t')).toHaveLength(6);
    expect(rowsOn(fixture.source, 'SELECT k FROM two.t')).toHaveLength(3);
    expect(compareStores(fixture.source.database, fixture.target.database).differences).toEqual([]);
  });
});

describe('logins', () => {
  const users = { app: 'one' };
  const provider = (name: string, password: string): cassandra.auth.PlainTextAuthProvider => new cassandra.auth.PlainTextAuthProvider(name, password);

  test('the other cluster is reached under credentials of its own; the application keeps its password when that is the primary', async () => {
    await using fixture = await startFixture({ mode: 'DualSync', source: { users }, target: { users: { proxy: 'two' } }, cluster: (name) => (name === 'target' ? { credentials: { username: 'proxy', password: 'two' } } : {}) });
    fixture.both(table);
    const client = await fixture.client({ authProvider: provider('app', 'one') });
    await client.execute(insert, [1, 'a'], prepared);
    expect(compareStores(fixture.source.database, fixture.target.database).differences).toEqual([]);
    for (const mode of ['ShadowPrimary', 'TargetOnly'] as const) {
      fixture.setMode(mode);
      const later = await fixture.client({ authProvider: provider('app', 'one') });
      await later.execute(insert, [2, mode], prepared);
      await expect(fixture.client({ authProvider: provider('app', 'wrong') })).rejects.toThrow();
    }
    // With the source gone the configured pair still opens the door.
    await fixture.source.close();
    const configured = await fixture.client({ authProvider: provider('proxy', 'two') });
    await configured.execute(insert, [3, 'a'], prepared);
    await expect(fixture.client({ authProvider: provider('proxy', 'wrong') })).rejects.toThrow();
  });

  test('a name that only the primary knows is refused where both are written, and told which cluster it was', async () => {
    await using fixture = await startFixture({ mode: 'DualAsync', source: { users }, target: { users: { other: 'x' } } });
    await expect(RawClient.connect(fixture.port, '127.0.0.1', { user: 'app', password: 'one' })).rejects.toMatchObject({ code: responseErrorCodes.badCredentials, message: expect.stringContaining('target') as string });
  });

  test('a shadow that is away refuses nobody in', async () => {
    await using fixture = await startFixture({ mode: 'DualAsync', source: { users }, target: { users } });
    fixture.both(table);
    await fixture.target.close();
    const client = await fixture.client({ authProvider: provider('app', 'one') });
    await client.execute(insert, [1, 'a'], prepared);
    expect(fixture.intents.released.size).toBe(1);
  });
});
