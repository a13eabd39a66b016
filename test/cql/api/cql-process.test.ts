/**
 * The process of the CQL proxy as a whole, between a driver and two mock clusters: what the HTTP API of the documents says and does, modes that hold over a restart, writes that are owed after one,
 * and switches that are refused while they would lose something.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type cassandra from 'cassandra-driver';
import { afterEach, describe, expect, test } from 'vitest';
import { cqlMetricList } from '../../../config/cql/metric-list.ts';
import type { CqlProcess } from '../../../src/main/cql-process.ts';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { rowsOn } from '../proxy-fixture.ts';
import { call, setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import type { MockCluster } from '../../support/cql/mock-cluster.ts';

let fixture: Setup | undefined;
afterEach(async () => fixture?.[Symbol.asyncDispose]());

async function prepare(): Promise<Setup> {
  fixture = await setup();
  return fixture;
}

async function driver(running: CqlProcess): Promise<cassandra.Client> {
  if (!fixture) throw new Error('not prepared');
  return fixture.driver(running);
}

const queue = async (running: CqlProcess): Promise<number> => (await call(running, 'GET /stats')).body['queued_writes'] as number;
const switchTo = (running: CqlProcess, mode: string, more: object = {}) => call(running, 'POST /config/mode', { mode, ...more });

describe('the API', () => {
  test('says how it is', async () => {
    const running = await (await prepare()).start();
    await expect.poll(async () => (await call(running, 'GET /health')).body).toMatchObject({ status: 'healthy', current_mode: 'SourceOnly', source_connected: true, target_connected: true, cassandra_connected: true, scylla_connected: true });
    expect((await call(running, 'GET /status')).body).toMatchObject({ mode: 'SourceOnly', queue: { depth: 0, refusing: null } });
    expect((await call(running, 'GET /nothing')).status).toBe(404);
    expect((await call(running, 'POST /status')).status).toBe(405);
    expect((await call(running, 'POST /config/mode', '{')).body).toMatchObject({ code: 'MIG071' });
  });

  test('shows no secret', async () => {
    const running = await (await prepare()).start({ source: { hosts: ['127.0.0.1:1'], username: 'u', password: 'geheim' }, target: { hosts: ['127.0.0.1:1'] } });
    const { body } = await call(running, 'GET /config');
    expect(body).toMatchObject({ mode: 'SourceOnly', source: { username: 'u', hasPassword: true } });
    expect(JSON.stringify(body)).not.toContain('geheim');
  });

  test('writes through the proxy, with the columns\' own types and the timestamp that it answers', async () => {
    const { source, target, start } = await prepare();
    const running = await start({ mode: 'DualSync' });
    for (const one of [source, target]) one.run('CREATE TABLE ks.all (id uuid PRIMARY KEY, n bigint, d timestamp, s text, b boolean, f double)');
    const id = '550e8400-e29b-41d4-a716-446655440000';
    const body = `{"keyspace":"ks","table":"all","query":"INSERT INTO ks.all (id, n, d, s, b, f) VALUES (?, ?, ?, ?, ?, ?)","values":["${id}", 9007199254740993, "2026-01-02T03:04:05.678Z", "ü", true, 1.5],"request_id":"r1","consistency":"LocalQuorum","timestamp":null}`;
    const answer = await call(running, 'POST /write', body);
    expect(answer).toMatchObject({ status: 200, body: { success: true, request_id: 'r1', error: null } });
    const stamp = (answer.body['write_timestamp'] as number).toString(16).padStart(16, '0');
    for (const one of [source, target]) {
      expect(rowsOn(one, 'SELECT n, d, s, b, f, WRITETIME(s) FROM ks.all')).toEqual([['0020000000000001', BigInt(Date.parse('2026-01-02T03:04:05.678Z')).toString(16).padStart(16, '0'), Buffer.from('ü').toString('hex'), '01', '3ff8000000000000', stamp].join('|')]);
    }
    expect((await call(running, 'GET /stats')).body).toMatchObject({ total_writes: 1, successful_writes: 1, failed_writes: 0, http_writes: { total: 1, successful: 1 } });
  });

  test.each([
    [{ query: 'SELECT * FROM ks.t', values: [] }, 400, /expected INSERT/], [{ query: 'INSERT INTO ks.t (k) VALUES (?)', values: ['x'] }, 400, /./], [{ query: 'INSERT INTO ks.nowhere (k) VALUES (1)', values: [] }, 400, /nowhere/],
    [{ keyspace: 'ks', table: 'other', query: 'INSERT INTO ks.t (k) VALUES (1)', values: [] }, 400, /writes t, not other/], [{ query: 'INSERT INTO ks.t (k) VALUES (1)', consistency: 'Most' }, 400, /no consistency/], [{ query: 'INSERT INTO ks.t (k) VALUES (1)', timestamp: -1 }, 400, /microseconds/],
  ])('refuses %j', async (request, status, message) => {
    const { source, start } = await prepare();
    const answer = await call(await start(), 'POST /write', request);
    expect(answer).toMatchObject({ status, body: { success: false } });
    expect(answer.body['error']).toMatch(message);
    expect(rowsOn(source, 'SELECT k FROM ks.t')).toEqual([]);
  });

  test('has every metric of the list, in Prometheus\' format', async () => {
    const { start } = await prepare();
    const running = await start({ mode: 'DualSync', sampled_reads: 1 });
    const client = await driver(running);
    await client.execute('INSERT INTO ks.t (k, v) VALUES (1, \'a\')');
    await client.execute('SELECT v FROM ks.t WHERE k = 1');
    await expect.poll(async () => (await fetch(`http://127.0.0.1:${running.httpPort}/metrics`)).text()).toContain('scratchbird_cql_sampled_reads_total{outcome="same"} 1\n');
    expect((await call(running, 'GET /health')).body).toMatchObject({ validation_rate: 1 });
    const text = await (await fetch(`http://127.0.0.1:${running.httpPort}/metrics`)).text();
    for (const [name, { type }] of Object.entries(cqlMetricList)) expect(text).toContain(`# TYPE ${name} ${type}\n`);
    expect(text).toContain('proxy_writes_total{database="source",status="ok"} 1\n');
    expect(text).toContain('proxy_writes_total{database="target",status="ok"} 1\n');
    expect(text).toContain('proxy_write_latency_seconds_count{database="target",status="answered"} 1\n');
    expect(text).toContain('scratchbird_cql_mode{mode="DualSync"} 1\n');
    expect(text).toContain('scratchbird_cql_queue_writes 0\n');
  });
});

describe('a mode', () => {
  test('is switched under its names in the documents, holds over a restart, and anything else is refused', async () => {
    const { source, target, start, logged } = await prepare();
    const running = await start();
    expect(await switchTo(running, 'DualWriteAsync')).toMatchObject({ status: 200, body: { success: true, previous_mode: 'SourceOnly', mode: 'DualAsync' } });
    expect((await switchTo(running, 'Both')).body).toMatchObject({ code: 'MIG071' });
    expect((await call(running, 'POST /config', { write_mode: 'DualWriteSync' })).body).toMatchObject({ mode: 'DualSync' });
    expect((await call(running, 'POST /config', { writer: { mode: 'DualAsync', shadow_timeout_ms: 5 } })).body).toMatchObject({ code: 'MIG071', error: expect.stringContaining('writer.shadow_timeout_ms') as string });
    // What is so already may be said: a whole configuration as the document's client keeps it, and what was shown here.
    const hosts = ({ database }: MockCluster): readonly string[] => database.nodes.map(({ address, port }) => `${address}:${port}`);
    const whole = { cassandra_hosts: hosts(source), scylla_hosts: hosts(target), write_mode: 'DualWriteSync', validation_percentage: 0, shadow_write_timeout_ms: 300, primary_write_timeout_ms: 10_000 };
    expect(await call(running, 'POST /config', whole)).toMatchObject({ status: 200, body: { mode: 'DualSync' } });
    expect(await call(running, 'POST /config', (await call(running, 'GET /config')).body)).toMatchObject({ status: 200 });
    expect((await call(running, 'POST /config', { ...whole, scylla_hosts: ['elsewhere'], primary_write_timeout_ms: 1 })).body['error']).toMatch(/: scylla_hosts, primary_write_timeout_ms cannot be changed/);
    expect(await switchTo(running, 'SourceOnly', { keyspace: 'ks', table: 'old' })).toMatchObject({ body: { previous_mode: 'DualSync' } });
    expect(logged.filter((line) => line.startsWith('the mode was switched'))).toHaveLength(5);
    await running[Symbol.asyncDispose]();
    const again = await start();
    expect((await call(again, 'GET /status')).body).toMatchObject({ mode: 'DualSync', tables: { 'ks.old': 'SourceOnly' } });
  });

  test('that cannot be read at the start starts nothing', async () => {
    const { start, directory } = await prepare();
    fs.writeFileSync(path.join(directory, 'modes.json'), '{"global": "Dual');
    await expect(start()).rejects.toThrow(/MIG091/);
  });

  test('that would read a cluster which lacks writes is refused, and taken with force', async () => {
    const { target, start } = await prepare();
    const running = await start();
    expect((await switchTo(running, 'TargetOnly')).body['detail']).toMatch(/in mode SourceOnly the target cluster is not written/);
    await switchTo(running, 'DualAsync');
    const client = await driver(running);
    target.pause();
    await client.execute('INSERT INTO ks.t (k, v) VALUES (1, \'a\')');
    expect(await queue(running)).toBe(1);
    const refused = await switchTo(running, 'TargetOnly');
    expect(refused).toMatchObject({ status: 409, body: { code: 'MIG050' } });
    expect(refused.body['detail']).toMatch(/1 writes are queued/);
    expect((await call(running, 'GET /status')).body).toMatchObject({ mode: 'DualAsync' });
    // The way back is never barred.
    expect((await switchTo(running, 'SourceOnly')).status).toBe(200);
    await switchTo(running, 'DualAsync');
    expect(await switchTo(running, 'TargetOnly', { force: true })).toMatchObject({ status: 200, body: { forced: expect.arrayContaining([expect.stringMatching(/queued/)]) as string[] } });
    target.resume();
    await expect.poll(() => queue(running)).toBe(0);
  });

  test('is left under load: what its client waits for in DualSync is not queued', async () => {
    const { source, target, start } = await prepare();
    const running = await start({ mode: 'DualSync' });
    const client = await driver(running);
    await client.execute("INSERT INTO ks.t (k, v) VALUES (1, 'a')");
    target.pause();
    const write = client.execute("INSERT INTO ks.t (k, v) VALUES (2, 'b')");
    await expect.poll(() => rowsOn(source, 'SELECT k FROM ks.t')).toHaveLength(2);
    expect(await queue(running)).toBe(0);
    const switched = switchTo(running, 'ShadowPrimary');
    await expect.poll(async () => (await call(running, 'GET /status')).body).toMatchObject({ mode: 'ShadowPrimary' });
    target.resume();
    await write;
    expect(await switched).toMatchObject({ status: 200, body: { forced: [] } });
  });
});

describe('writes that the shadow did not take', () => {
  test('reach it when it is back, with their timestamps, and the application notices nothing', async () => {
    const { source, target, start } = await prepare();
    const running = await start({ mode: 'DualAsync' });
    const client = await driver(running);
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [0, 'first'], { prepare: true });
    await expect.poll(() => queue(running)).toBe(0);
    target.pause();
    for (let k = 1; k <= 50; k += 1) await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `v${k}`], { prepare: true });
    expect(await queue(running)).toBe(50);
    target.resume();
    await expect.poll(() => queue(running)).toBe(0);
    expect(compareStores(source.database, target.database).differences).toEqual([]);
    expect(rowsOn(target, 'SELECT k FROM ks.t')).toHaveLength(51);
  });

  test('reach it after a restart', async () => {
    const { source, target, start } = await prepare();
    const first = await start({ mode: 'DualAsync', drain_ms: 100 });
    const client = await driver(first);
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [0, 'first'], { prepare: true });
    target.pause();
    for (let k = 1; k <= 20; k += 1) await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `v${k}`], { prepare: true });
    await first.drain?.(new AbortController().signal);
    target.resume();
    const second = await start();
    await expect.poll(() => queue(second)).toBe(0);
    expect(compareStores(source.database, target.database).differences).toEqual([]);
    expect((await call(second, 'GET /stats')).body['replayed_writes']).toBeGreaterThanOrEqual(20);
  });

  test('of a filtered table never do', async () => {
    const { source, target, start, directory } = await prepare();
    for (const one of [source, target]) one.run('CREATE TABLE ks.secret (k int PRIMARY KEY, tenant_id int)');
    fs.writeFileSync(path.join(directory, 'filter-rules.yaml'), 'filters: {tenant_blacklist: [7], table_blacklist: [ks.t]}');
    const running = await start({ mode: 'DualSync', filter_rules: 'filter-rules.yaml' });
    const client = await driver(running);
    await client.execute('INSERT INTO ks.t (k, v) VALUES (1, \'a\')');
    for (const tenant of [7, 8]) await client.execute('INSERT INTO ks.secret (k, tenant_id) VALUES (?, ?)', [tenant, tenant], { prepare: true });
    expect([rowsOn(source, 'SELECT k FROM ks.t'), rowsOn(target, 'SELECT k FROM ks.t')]).toEqual([['00000001'], []]);
    expect([rowsOn(source, 'SELECT k FROM ks.secret'), rowsOn(target, 'SELECT k FROM ks.secret')]).toEqual([['00000007', '00000008'], ['00000008']]);
    expect((await call(running, 'GET /stats')).body).toMatchObject({ filtered_writes: 2, successful_writes: 3 });
    fs.writeFileSync(path.join(directory, 'filter-rules.yaml'), 'filters: {}');
    expect((await call(running, 'POST /config/filters/reload')).body).toMatchObject({ reloaded: true });
    await client.execute('INSERT INTO ks.t (k, v) VALUES (2, \'b\')');
    expect(rowsOn(target, 'SELECT k FROM ks.t')).toEqual(['00000002']);
  });
});
