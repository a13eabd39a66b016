/**
 * A table is moved by migration SQL through two proxies, of which one stands alone as on another machine, while applications write at both. Whichever is killed while they change together which cluster is read, both read the
 * same one afterwards, every acknowledged write is on both clusters, and the clusters are equal in every cell.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { freePort } from '../support/postgres.ts';
import { groupPoints } from './crash-points.ts';
import { LoneCqlProxy } from './support/cql-proxy.ts';
import { Stack } from './support/stack.ts';
import type { StatusRow } from './support/stack.ts';

/** CAUSEWAY_SOAK=1: each of both proxies is killed at every point, on the way there and back. */
const isWhole = process.env['CAUSEWAY_SOAK'] === '1';
let clusters: readonly [MockCluster, MockCluster];
let stack: Stack;
let other: LoneCqlProxy;
let folder: string;
let ports: readonly [number, number];
let http: readonly [number, number];
const clients: cassandra.Client[] = [];
const acknowledged = new Map<number, string>();
const errors: string[] = [];
let isOver = false;
const writers: Promise<void>[] = [];

beforeAll(async () => {
  clusters = [await MockCluster.start({ clusterName: 'old' }), await MockCluster.start({ clusterName: 'new', isScylla: true })];
  for (const one of clusters) {
    one.run("CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    one.run('CREATE TABLE shop.item (id int PRIMARY KEY, name text)');
  }
  for (let id = 0; id < 300; id += 1) clusters[0].run(`INSERT INTO shop.item (id, name) VALUES (${id}, 'item ${id}')`, BigInt(1_700_000_000_000_000 + id));
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-group-'));
  ports = [await freePort(), await freePort()];
  http = [await freePort(), await freePort()];
  const links = [await freePort(), await freePort()];
  const hosts = ({ database }: MockCluster): string[] => database.nodes.map(({ address, port }) => `${address}:${port}`);
  const settings = (index: 0 | 1): object => ({
    listen: { port: ports[index] }, http: { port: http[index] }, shadow_timeout_ms: 500, replay: { first_delay_ms: 20, max_delay_ms: 200 }, source: { hosts: hosts(clusters[0]) }, target: { hosts: hosts(clusters[1]) },
    topology: { index }, group: { members: links.map((port) => `127.0.0.1:${port}`), secret: 'of both proxies, and long enough' },
  });
  other = new LoneCqlProxy(path.join(folder, 'other'), settings(1), groupPoints);
  other.spawn();
  stack = await Stack.start({ sourceSql: 'CREATE TABLE accounts (id int PRIMARY KEY)', workers: 1, faultPoints: groupPoints, settings: { state_directory: path.join(folder, 'first'), cql: settings(0) } });
  await other.serving();
  for (const port of ports) {
    const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: 'dc1', policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy(), reconnection: new cassandra.policies.reconnection.ConstantReconnectionPolicy(100) } });
    await client.connect();
    clients.push(client);
  }
}, 240_000);

afterAll(async () => {
  isOver = true;
  await Promise.all(writers);
  await Promise.all(clients.map((client) => client.shutdown()));
  await stack?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await Promise.all((clusters ?? []).map((cluster) => cluster.close()));
  if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
});

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

/** Writes its own rows at one proxy, reads what was acknowledged at the other, and remembers it. */
async function write(number: number): Promise<void> {
  const [client, reader] = number % 2 === 0 ? [clients[0], clients[1]] : [clients[1], clients[0]];
  for (let n = 0; !isOver; n += 1) {
    const id = 1000 * (number + 1) + (n % 20);
    await client?.execute('INSERT INTO shop.item (id, name) VALUES (?, ?)', [id, `value ${n}`], { prepare: true }).then(async () => {
      acknowledged.set(id, `value ${n}`);
      const seen = await reader?.execute('SELECT name FROM shop.item WHERE id = ?', [id], { prepare: true }).then((result) => String(result.first()?.['name']), () => undefined);
      if (seen !== undefined && seen !== `value ${n}`) errors.push(`row ${id}: wrote ${n}, read ${seen}`);
    }, (error: unknown) => {
      // One that is killed loses its clients' connections; where a decision is waited for they are told to wait.
      if (!isWhole && number % 2 === 0 && !/MIG082/.test(String(error))) errors.push(String(error));
    });
    await pause();
  }
}

const stateOf = async (): Promise<string> => (await stack.insist<StatusRow & { [column: string]: unknown }>('SHOW MIGRATION STATUS')).find((row) => row.Table === 'shop.item')?.State ?? 'NOT_STARTED';
const untilState = (wanted: string): Promise<void> => expect.poll(stateOf, { timeout: 60_000 }).toBe(wanted);
const modes = (): Promise<unknown[]> => Promise.all(http.map(async (port) => {
  const status = (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as { readonly mode: string; readonly tables: Readonly<Record<string, string>> };
  return status.tables['shop.item'] ?? status.mode;
}));

async function moreWrites(): Promise<void> {
  const before = new Map(acknowledged);
  await expect.poll(() => [...acknowledged].filter(([id, name]) => before.get(id) !== name).length, { timeout: 60_000 }).toBeGreaterThan(60);
}

/** The other proxy is killed there, and started again when the command has been answered. */
async function killsOther(point: string, command: string): Promise<void> {
  other.faults.arm(point);
  const answer = stack.command(command).then(() => 'done', String);
  await other.faults.reached(point, 30_000);
  await other.end('SIGKILL');
  other.faults.release(point);
  expect(await answer).toMatch(/MIG084/);
  other.spawn();
  await other.serving();
}

async function killsControl(point: string, command: string): Promise<void> {
  stack.faults.arm(point);
  const answer = stack.command(command).catch(() => undefined);
  await stack.faults.reached(point, 30_000);
  await stack.kill('control');
  stack.faults.release(point);
  await answer;
}

async function killsOwn(point: string, command: string): Promise<void> {
  stack.faults.arm(point);
  const answer = stack.command(command).catch(() => undefined);
  await stack.faults.reached(point, 30_000);
  process.kill(Number(fs.readFileSync(path.join(folder, 'first', 'cql', 'cql.pid'), 'utf8')), 'SIGKILL');
  stack.faults.release(point);
  await answer;
}

it('is loaded, proven, cut over and brought back at all of them or at none, whoever is killed', async () => {
  for (let number = 0; number < 6; number += 1) writers.push(write(number));
  await stack.command('START MIGRATION FOR TABLE shop.item FROM cassandra_source OPTIONS (batch_size 100)');
  await untilState('DUAL_WRITE');
  expect(await modes()).toEqual(['DualAsync', 'DualAsync']);
  const prove = async (): Promise<void> => {
    await untilState('DUAL_WRITE');
    await expect.poll(async () => (await stack.insist<{ Result: string }>('VALIDATE MIGRATION FOR TABLE shop.item FULL'))[0]?.Result, { timeout: 60_000 }).toBe('PASS');
    await untilState('CUTOVER_READY');
  };
  await prove();
  await moreWrites();
  // It had agreed, and nobody heard it: nothing was changed, also not by it.
  await killsOther('cql.group.prepared', 'CUTOVER TABLE shop.item');
  await expect.poll(modes, { timeout: 60_000 }).toEqual(['DualAsync', 'DualAsync']);
  expect(await stateOf()).toBe('CUTOVER_READY');
  await moreWrites();
  await killsControl('cql.group.decided', 'CUTOVER TABLE shop.item');
  await untilState('LOCAL_ONLY');
  expect(await modes()).toEqual(['ShadowPrimary', 'ShadowPrimary']);
  await moreWrites();
  // It has done what was decided, and nobody heard it.
  await killsOther('cql.group.committed', 'ROLLBACK MIGRATION FOR TABLE shop.item PRESERVE LOCAL DATA');
  await prove();
  expect(await modes()).toEqual(['DualAsync', 'DualAsync']);
  await moreWrites();
  if (isWhole) {
    await killsOwn('cql.group.prepared', 'CUTOVER TABLE shop.item');
    await expect.poll(() => modes().catch(() => []), { timeout: 60_000 }).toEqual(['DualAsync', 'DualAsync']);
    await untilState('CUTOVER_READY');
    await killsOwn('cql.group.committed', 'CUTOVER TABLE shop.item');
    await untilState('LOCAL_ONLY');
    await killsOther('cql.group.prepared', 'ROLLBACK MIGRATION FOR TABLE shop.item PRESERVE LOCAL DATA');
    await expect.poll(modes, { timeout: 60_000 }).toEqual(['ShadowPrimary', 'ShadowPrimary']);
    await killsControl('cql.group.decided', 'ROLLBACK MIGRATION FOR TABLE shop.item PRESERVE LOCAL DATA');
    await prove();
  }
  await stack.insist('CUTOVER TABLE shop.item');
  expect(await modes()).toEqual(['ShadowPrimary', 'ShadowPrimary']);
  await moreWrites();
  isOver = true;
  await Promise.all(writers);
  expect(errors.slice(0, 5)).toEqual([]);
  await expect.poll(() => compareStores(clusters[0].database, clusters[1].database).differences, { timeout: 60_000 }).toEqual([]);
  await stack.command('COMPLETE MIGRATION FOR TABLE shop.item');
  expect(await modes()).toEqual(['TargetOnly', 'TargetOnly']);
  for (const [id, name] of acknowledged) expect([id, String((await clients[0]?.execute('SELECT name FROM shop.item WHERE id = ?', [id], { prepare: true }))?.first()?.['name'])]).toEqual([id, name]);
}, 240_000);
