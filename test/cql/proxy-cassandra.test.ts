/** The proxy between the driver and two real Cassandra clusters: what the mock clusters take on trust. */
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import type { CqlClusterOptions } from '../../src/cql/proxy-options.ts';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { attack } from './hostile-frames.ts';
import { proxyBetween } from './proxy-fixture.ts';

const { types } = cassandra;
const prepared = { prepare: true };

function options(server: TestCassandraClients): CqlClusterOptions {
  return { hosts: [{ host: server.address.host, port: server.address.port }], connectionsPerHost: 1, connectTimeoutMs: 30_000, maxStreams: 1024, compression: 'lz4' };
}

let keyspaces = 0;

describeCassandra('the proxy between two Cassandra clusters', () => {
  test('statements of all kinds are answered as by the cluster itself, and both clusters have the same cells', async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    await using between = await proxyBetween([options(source), options(target)], { mode: 'DualSync', localDataCenter: source.address.datacenter, requestTimeoutMs: 60_000 });
    const client = await between.client({ socketOptions: { readTimeout: 60_000, connectTimeout: 30_000 } });
    const ks = `proxied_${process.pid}_${(keyspaces += 1)}`;
    await client.execute(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    await client.execute(`USE ${ks}`);
    await client.execute('CREATE TYPE address (street text, zip int)');
    await client.execute('CREATE TABLE t (k int, c timeuuid, v text, n bigint, d decimal, b blob, s set<text>, m map<text, int>, l list<int>, f frozen<list<int>>, u address, st text static, PRIMARY KEY (k, c))');
    await client.execute('CREATE TABLE counts (k int PRIMARY KEY, n counter)');
    await client.execute('CREATE TABLE plain (k int PRIMARY KEY, v text, w text)');
    const uuid = (): cassandra.types.TimeUuid => types.TimeUuid.now();
    for (let k = 0; k < 5; k += 1) {
      await client.execute(`INSERT INTO ${ks}.t (k, c, v, n, d, b, s, m, l, f, u, st) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?`,
        [k, uuid(), 'tëxt', types.Long.fromString('9223372036854775807'), types.BigDecimal.fromString('1.50'), Buffer.from([1, 2]), ['a', 'b'], { x: 1 }, [1, 2], [3, 4], { street: 'str', zip: 5 }, 'static', k === 0 ? 3600 : null], prepared);
    }
    await client.execute(`UPDATE ${ks}.counts SET n = n + ? WHERE k = ?`, [3, 1], prepared);
    await client.batch([{ query: `INSERT INTO ${ks}.plain (k, v) VALUES (?, ?)`, params: [1, 'a'] }, { query: `UPDATE ${ks}.plain SET w = ? WHERE k = ?`, params: ['w', 1] }], prepared);
    await client.batch([`INSERT INTO ${ks}.plain (k, v) VALUES (2, 'b')`, `INSERT INTO ${ks}.plain (k, v) VALUES (3, 'c')`], {});
    await client.execute(`BEGIN BATCH INSERT INTO ${ks}.plain (k, v) VALUES (4, 'd'); DELETE FROM ${ks}.plain WHERE k = 3; APPLY BATCH`);
    const raw = await RawClient.connect(between.port, '127.0.0.1', { keyspace: ks });
    for (const text of ["INSERT INTO plain (k, v) VALUES (5, 'without a timestamp')", "UPDATE plain SET w = 'x' WHERE k = 5", 'DELETE w FROM plain WHERE k = 1']) expect((await raw.query(text)).kind).toBe('void');
    raw.close();
    expect((await client.execute(`INSERT INTO ${ks}.plain (k, v) VALUES (?, ?) IF NOT EXISTS`, [9, 'x'], prepared)).wasApplied()).toBe(true);
    expect((await client.execute(`INSERT INTO ${ks}.plain (k, v) VALUES (?, ?) IF NOT EXISTS`, [9, 'y'], prepared)).wasApplied()).toBe(false);
    expect((await client.execute(`UPDATE ${ks}.plain SET v = 'z' WHERE k = 9 IF v = 'x'`)).wasApplied()).toBe(true);
    // Both, cell by cell; of conditional writes the clusters' own clocks say when.
    for (const text of [`SELECT k, c, v, WRITETIME(v), n, WRITETIME(n), d, b, s, m, l, f, WRITETIME(f), u, st, WRITETIME(st) FROM ${ks}.t`, `SELECT k, v, WRITETIME(v), w, WRITETIME(w) FROM ${ks}.plain WHERE k IN (1, 2, 3, 4, 5)`, `SELECT k, v, w FROM ${ks}.plain`, `SELECT k, n FROM ${ks}.counts`]) {
      const [ours, theirs] = [await source.cql(text), await target.cql(text)];
      expect(ours.length).toBeGreaterThan(0);
      expect(JSON.stringify(theirs)).toBe(JSON.stringify(ours));
    }
    const first = (await source.cql(`SELECT TTL(v) AS ttl FROM ${ks}.t WHERE k = 0`))[0]?.['ttl'] as unknown;
    const second = (await target.cql(`SELECT TTL(v) AS ttl FROM ${ks}.t WHERE k = 0`))[0]?.['ttl'] as unknown;
    expect(Math.abs(Number(first) - Number(second))).toBeLessThan(5);
    // Prepared ids are forgotten by the servers when their table changes; rows of another shape are described anew.
    const select = `SELECT * FROM ${ks}.plain WHERE k = ?`;
    expect(Object.keys((await client.execute(select, [1], prepared)).first() ?? {})).toEqual(['k', 'v', 'w']);
    await client.execute(`ALTER TABLE ${ks}.plain ADD x int`);
    await client.execute(`INSERT INTO ${ks}.plain (k, v) VALUES (?, ?)`, [20, 'after'], prepared);
    expect((await source.cql(`SELECT v, x FROM ${ks}.plain WHERE k = 20`))[0]).toMatchObject({ v: 'after', x: null });
    // What the servers would each give otherwise is given by the proxy, in a prepared statement and in a batch.
    await client.execute(`CREATE TABLE ${ks}.u (k int PRIMARY KEY, a timeuuid, b uuid, c timestamp, d date, e time, f uuid)`);
    const unstable = `INSERT INTO ${ks}.u (k, a, b, c, d, e, f) VALUES (?, now(), uuid(), toTimestamp(now()), currentDate(), currentTime(), now())`;
    const day = (): string => new Date().toISOString().slice(0, 10);
    const before = day();
    await client.execute(unstable, [1], prepared);
    const days = [before, day()];
    await client.batch([{ query: unstable, params: [2] }, { query: `INSERT INTO ${ks}.u (k, b) VALUES (?, ?)`, params: [3, types.Uuid.random()] }], prepared);
    await client.execute(`UPDATE ${ks}.u SET a = now(), c = currentTimestamp() WHERE k = ?`, [4], prepared);
    await client.execute(`INSERT INTO ${ks}.u (k, a) VALUES (5, now())`, [], prepared);
    const unstableRows = JSON.stringify(await source.cql(`SELECT k, a, WRITETIME(a), b, c, d, e, f FROM ${ks}.u`));
    expect(JSON.parse(unstableRows)).toHaveLength(5);
    expect(JSON.stringify(await target.cql(`SELECT k, a, WRITETIME(a), b, c, d, e, f FROM ${ks}.u`))).toBe(unstableRows);
    expect(days).toContain(String((await source.cql(`SELECT d FROM ${ks}.u WHERE k = 1`))[0]?.['d']));
    // Pages and traces.
    for (let k = 100; k < 160; k += 1) await client.execute(`INSERT INTO ${ks}.plain (k, v) VALUES (?, ?)`, [k, 'page'], prepared);
    const seen = new Set<number>();
    for await (const row of client.stream(`SELECT k FROM ${ks}.plain`, [], { prepare: true, autoPage: true, fetchSize: 7 }) as unknown as AsyncIterable<unknown>) seen.add((row as cassandra.types.Row)['k'] as number);
    expect(seen.size).toBe((await source.cql(`SELECT k FROM ${ks}.plain`)).length);
    const traced = await client.execute(select, [1], { prepare: true, traceQuery: true });
    expect(String(traced.info.traceId)).toMatch(/^[0-9a-f-]{36}$/);
    await expect(client.execute('SELECT nothing FROM nowhere')).rejects.toMatchObject({ code: types.responseErrorCodes.invalid });
    expect(between.intents.released.size).toBe(0);
    expect(between.logged.filter(({ level }) => level === 'error')).toEqual([]);
    expect((await client.metadata.getTable(ks, 'plain'))?.columns.length).toBe(4);
  }, 300_000);

  test('no damaged frame of one client costs the others a connection', async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    const ks = await source.createKeyspace('hostile');
    await target.cql(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    for (const server of [source, target]) await server.cql(`CREATE TABLE ${ks}.t (k int PRIMARY KEY, v text)`);
    await using between = await proxyBetween([options(source), options(target)], { mode: 'DualSync', localDataCenter: source.address.datacenter, requestTimeoutMs: 60_000 });
    const client = await between.client({ socketOptions: { readTimeout: 60_000, connectTimeout: 30_000 } });
    await client.execute(`INSERT INTO ${ks}.t (k, v) VALUES (?, ?)`, [0, 'first'], prepared);
    const connections = between.proxy.stats().counts.clusters.map((counts) => counts.connections);
    await attack(between.port, client, `${ks}.t`, 200);
    await expect.poll(() => between.proxy.stats().counts.inHand).toBe(0);
    expect(between.proxy.stats().counts.clusters.map((counts) => counts.connections)).toEqual(connections);
    expect(between.logged.filter(({ message }) => message.includes('connection'))).toEqual([]);
  }, 300_000);

  test('in DualAsync, with the shadow\'s copy left to the replay, nothing is missing in the end', async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    const ks = await source.createKeyspace('async');
    await target.cql(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    await source.cql(`CREATE TABLE ${ks}.t (k int PRIMARY KEY, v text)`);
    await using between = await proxyBetween([options(source), options(target)], { mode: 'DualAsync', localDataCenter: source.address.datacenter, requestTimeoutMs: 60_000, shadowTimeoutMs: 60_000 });
    const client = await between.client({ socketOptions: { readTimeout: 60_000, connectTimeout: 30_000 } });
    // The table is missing on the target: it refuses every write, and the client does not notice.
    for (let k = 0; k < 20; k += 1) await client.execute(`INSERT INTO ${ks}.t (k, v) VALUES (?, ?)`, [k, `v${k}`], prepared);
    await expect.poll(() => between.intents.released.size).toBe(20);
    await target.cql(`CREATE TABLE ${ks}.t (k int PRIMARY KEY, v text)`);
    for (const intent of [...between.intents.released.values()]) expect(await new Promise<string>((resolve) => between.proxy.replay.send(1, intent, resolve))).toBe('ok');
    const text = `SELECT k, v, WRITETIME(v) AS w FROM ${ks}.t`;
    expect(JSON.stringify(await target.cql(text))).toBe(JSON.stringify(await source.cql(text)));
  }, 300_000);
});
