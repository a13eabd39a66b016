/** Once everything is on the target the source may go for ever: a proxy that is started then serves as the one before did, and drivers go on taking it for the cluster that they know. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { RawClient } from '../../support/cql/raw-client.ts';
import { call, setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import type { CqlProcess } from '../../../src/main/cql-process.ts';

let fixture: Setup | undefined;
afterEach(async () => fixture?.[Symbol.asyncDispose]());

const source = { dataCenter: 'east', releaseVersion: '4.1.9' };
const target = { dataCenter: 'west', releaseVersion: '5.0.6' };

async function told(running: CqlProcess): Promise<readonly string[]> {
  using client = await RawClient.connect(running.port);
  const answer = await client.need('SELECT cluster_name, data_center, release_version FROM system.local');
  return answer.kind === 'rows' ? (answer.rows[0] ?? []).map(String) : [answer.kind];
}

/** Moves everything to the target, and ends the proxy. */
async function migrate({ start, driver }: Setup): Promise<void> {
  const running = await start({ mode: 'DualSync' });
  const client = await driver(running, { localDataCenter: 'east' });
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'before'], { prepare: true });
  for (const mode of ['ShadowSync', 'TargetOnly']) expect(await call(running, 'POST /config/mode', { mode })).toMatchObject({ status: 200, body: { forced: [] } });
  await running[Symbol.asyncDispose]();
}

test('a driver reads, writes, prepares, hears of the schema, and is told the name and data centre that it knows', async () => {
  fixture = await setup({ source, target });
  await migrate(fixture);
  await fixture.source.close();
  for (let round = 0; round < 2; round += 1) {
    const running = await fixture.start();
    expect(await told(running)).toEqual(['old', 'east', '5.0.6']);
    // Would find no node in a data centre of another name.
    const client = await fixture.driver(running, { localDataCenter: 'east' });
    const k = 2 + round;
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, 'after'], { prepare: true });
    expect((await client.execute('SELECT v FROM ks.t WHERE k IN (1, ?)', [k], { prepare: true })).rows.map((row) => row.get('v') as string).sort()).toEqual(['after', 'before']);
    expect((await client.metadata.getTable('ks', 't'))?.columns.map(({ name }) => name).sort()).toEqual(['k', 'v']);
    using hearing = await RawClient.connect(running.port);
    await hearing.register('SCHEMA_CHANGE');
    await client.execute(`CREATE TABLE ks.later${round} (k int PRIMARY KEY)`);
    await expect.poll(() => hearing.events.length).toBeGreaterThan(0);
    expect(await call(running, 'GET /health')).toMatchObject({ status: 200, body: { status: 'healthy', current_mode: 'TargetOnly' } });
    expect((await call(running, 'POST /write', { query: 'INSERT INTO ks.t (k, v) VALUES (?, ?)', values: [100 + round, 'by HTTP'] })).body).toMatchObject({ success: true });
    await running[Symbol.asyncDispose]();
  }
  expect(fixture.logged.filter((line) => line.includes('topology'))).toEqual([]);
});

test('nobody waits long for nodes that do not even refuse a connection', async () => {
  fixture = await setup({ source, target });
  await migrate(fixture);
  fixture.source.pause();
  const running = await fixture.start({ source: { hosts: fixture.source.database.nodes.map(({ address, port }) => `${address}:${port}`), connect_timeout_ms: 60_000 } });
  expect(await told(running)).toEqual(['old', 'east', '5.0.6']);
  fixture.source.resume();
  // It was only slow: from now on it is asked as ever.
  await expect.poll(() => told(running)).toEqual(['old', 'east', '4.1.9']);
});

test('what is kept of it and cannot be read is told, and the target answers for itself', async () => {
  fixture = await setup({ source, target });
  await migrate(fixture);
  await fixture.source.close();
  fs.writeFileSync(path.join(fixture.directory, 'source.json'), '{"clusterName": "o');
  expect(await told(await fixture.start())).toEqual(['new', 'west', '5.0.6']);
  expect(fixture.logged.filter((line) => line.includes('source.json') || line.includes('topology'))).toHaveLength(2);
});

test('the name and password that the source was reached under go on letting applications in', async () => {
  const [one, two] = [{ username: 'app', password: 'one' }, { username: 'proxy', password: 'two' }];
  fixture = await setup({ source: { ...source, users: { app: 'one' } }, target: { ...target, users: { proxy: 'two' } } });
  const hosts = (cluster: Setup['source']): string[] => cluster.database.nodes.map(({ address, port }) => `${address}:${port}`);
  const running = await fixture.start({ mode: 'DualSync', source: { hosts: hosts(fixture.source), ...one }, target: { hosts: hosts(fixture.target), ...two } });
  const write = (k: number) => call(running, 'POST /write', { query: 'INSERT INTO ks.t (k, v) VALUES (?, ?)', values: [k, 'by HTTP'] });
  await (await fixture.driver(running, { localDataCenter: 'east', credentials: one })).execute("INSERT INTO ks.t (k, v) VALUES (1, 'a')");
  for (const mode of ['ShadowSync', 'TargetOnly']) expect((await call(running, 'POST /config/mode', { mode })).status).toBe(200);
  await fixture.source.close();
  expect(await write(3)).toMatchObject({ status: 200 });
  await (await fixture.driver(running, { localDataCenter: 'east', credentials: one })).execute("INSERT INTO ks.t (k, v) VALUES (2, 'b')");
  await expect(RawClient.connect(running.port, '127.0.0.1', { user: 'app', password: 'wrong' })).rejects.toThrow(/MIG003/);
});
