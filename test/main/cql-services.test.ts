/** Loader and validator as services between two mock clusters: they wait, begin, are stopped and go on, and answer by the document's routes. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { rowsOn } from '../cql/proxy-fixture.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { freePort } from '../support/postgres.ts';

const main = path.resolve(import.meta.dirname, '../../src/main/main.ts');
const ROWS = 600;

let source: MockCluster;
let target: MockCluster;
let folder: string;
let loader: Service;
let reader: Service;
let metricsPort: number;

interface Service {
  readonly port: number;
  readonly child: ChildProcess;
  /** What it has printed. */
  readonly output: () => string;
}

/** Serves when it resolves. */
async function startService(...args: readonly string[]): Promise<Service> {
  const port = await freePort();
  let output = '';
  const child = spawn(process.execPath, [main, 'cql-proxy', ...args, '--http-port', String(port)], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  while (!output.includes('HTTP API of')) {
    if (child.exitCode !== null) throw new Error(output);
    await delay(20);
  }
  return { port, child, output: () => output };
}

beforeAll(async () => {
  [source, target] = [await MockCluster.start({ clusterName: 'old' }), await MockCluster.start({ clusterName: 'new' })];
  for (const one of [source, target]) {
    one.run("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    for (const table of ['a', 'b']) one.run(`CREATE TABLE ks.${table} (k int PRIMARY KEY, v text)`);
  }
  const client = new cassandra.Client({ contactPoints: [`${source.address}:${source.port}`], localDataCenter: 'dc1' });
  await client.connect();
  for (let k = 0; k < ROWS; k += 1) await client.execute(`INSERT INTO ks.${k % 2 === 0 ? 'a' : 'b'} (k, v) VALUES (?, ?)`, [k, `v${k}`], { prepare: true });
  await client.shutdown();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-load-service-'));
  metricsPort = await freePort();
  const cluster = (one: MockCluster): object => ({ hosts: [one.address], port: one.port, keyspace: 'ks' });
  fs.writeFileSync(path.join(folder, 'sstable-loader.yaml'), stringify({ source: cluster(source), target: cluster(target), loader: { tables: ['a', 'b'], batch_size: 50, prefetch_rows: 10_000 }, observability: { metrics_port: metricsPort, log_level: 'info', jaeger_endpoint: 'http://jaeger:14268' } }));
  fs.writeFileSync(path.join(folder, 'dual-reader.yaml'), stringify({ source: cluster(source), target: cluster(target), reader: { tables: ['a', 'b'], validation_interval_secs: 60 } }));
  [loader, reader] = await Promise.all([
    startService('load', '--config', path.join(folder, 'sstable-loader.yaml'), '--state-directory', path.join(folder, 'load')),
    startService('scan', '--config', path.join(folder, 'dual-reader.yaml'), '--state-directory', path.join(folder, 'scan'), '--mode', 'Continuous', '--reconcile', 'source-wins'),
  ]);
});

afterAll(async () => {
  await Promise.all([loader, reader].map(async (service) => {
    if (service?.child.exitCode !== null) return;
    service.child.kill('SIGTERM');
    await once(service.child, 'exit');
  }));
  await Promise.all([source?.close(), target?.close()]);
  if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
});

async function ask(service: Service, route: string, body?: unknown): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const [method = 'GET', where = '/'] = route.split(' ');
  const response = await fetch(`http://127.0.0.1:${service.port}${where}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const metricsOf = async ({ port }: Service): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
const call = (route: string) => ask(loader, route);
const state = async (): Promise<unknown> => (await call('GET /status')).body['state'];

test('the loader waits, and says what it is and what there is', async () => {
  expect((await call('GET /health')).body).toEqual({ status: 'healthy', service: 'sstable-loader', index_manager_enabled: false, index_count: 0, error: null });
  expect((await call('GET /status')).body).toMatchObject({ state: 'idle', progress: null });
  expect((await call('GET /discover/ks')).body).toEqual({ keyspace: 'ks', tables: ['a', 'b'] });
  expect(await call('POST /migrate/ks/nowhere')).toMatchObject({ status: 404, body: { code: 'MIG010' } });
  expect(await call('POST /indexes/drop')).toMatchObject({ status: 400, body: { code: 'MIG071' } });
  expect((await call('GET /indexes/verify')).body).toEqual({ verified: true, indexes: [] });
  expect((await call('POST /stop')).body).toMatchObject({ stopped: false, state: 'idle' });
  expect((await call('GET /start')).status).toBe(405);
  expect(rowsOn(target, 'SELECT k FROM ks.a')).toEqual([]);
});

test('its file tells a port of the metrics alone and what is logged, and the keys that do nothing are named', async () => {
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  expect([answer.status, await answer.text()]).toEqual([200, await metricsOf(loader)]);
  expect((await fetch(`http://127.0.0.1:${metricsPort}/start`, { method: 'POST' })).status).toBe(404);
  const warned = loader.output().split('\n').filter((line) => line.includes('has no effect')).map((line) => (JSON.parse(line) as { readonly key: string }).key);
  expect(warned).toEqual(['loader.prefetch_rows', 'observability.jaeger_endpoint']);
  expect(reader.output()).not.toContain('has no effect');
});

test('the loader loads one table, is stopped in the middle of the rest, refuses a second job, and goes on', async () => {
  expect(await call('POST /migrate/ks/a')).toMatchObject({ status: 202, body: { started: true, job: 'load' } });
  await expect.poll(state, { timeout: 30_000 }).toBe('idle');
  expect((await call('GET /status')).body).toMatchObject({ error: null, progress: { tables: [{ table: 'ks.a', state: 'done', rows: ROWS / 2 }] } });
  expect(rowsOn(target, 'SELECT k FROM ks.b')).toEqual([]);
  target.pause();
  expect((await call('POST /start')).status).toBe(202);
  expect(await call('POST /migrate/ks/b')).toMatchObject({ status: 409, body: { code: 'MIG074' } });
  expect(await state()).toBe('load');
  target.resume();
  expect((await call('POST /stop')).body).toMatchObject({ state: 'idle', error: null });
  expect((await call('POST /start')).status).toBe(202);
  await expect.poll(state, { timeout: 30_000 }).toBe('idle');
  expect((await call('GET /status')).body).toMatchObject({ error: null, progress: { rows: ROWS } });
  expect([rowsOn(target, 'SELECT k FROM ks.a').length, rowsOn(target, 'SELECT k FROM ks.b').length]).toEqual([ROWS / 2, ROWS / 2]);
  const metrics = await metricsOf(loader);
  for (const line of [`loader_rows_migrated ${ROWS}`, 'loader_tables_completed 2', 'loader_progress_ratio 1', 'loader_migration_rate 0']) expect(metrics).toContain(`\n${line}\n`);
});

test('the validator finds what is different, and the scanner repairs it', async () => {
  const told = (route: string, body?: unknown) => ask(reader, route, body);
  const idle = async (): Promise<unknown> => (await told('GET /status')).body;
  expect((await told('GET /health')).body).toEqual({ status: 'healthy', service: 'dual-reader', error: null });
  expect((await told('GET /report')).status).toBe(404);
  for (const body of [{ mode: 'Most' }, { mode: 'CriticalTables' }, { mode: 'FullScan', what: 1 }]) expect(await told('POST /validate', body)).toMatchObject({ status: 400, body: { code: 'MIG071' } });
  target.run("UPDATE ks.a SET v = 'spoilt' WHERE k = 2");
  expect(await told('POST /validate', { mode: 'CriticalTables', tables: ['ks.a'] })).toMatchObject({ status: 202, body: { job: 'validating' } });
  expect(await told('POST /start')).toMatchObject({ status: 409, body: { code: 'MIG074' } });
  await expect.poll(idle, { timeout: 60_000 }).toMatchObject({ state: 'idle', error: null, last: { mode: 'CriticalTables', passed: false, rowsDifferent: 1 } });
  expect((await told('GET /discrepancies')).body).toMatchObject({ discrepancies: [{ table: 'ks.a', key: 'k = 2', types: ['ValueMismatch'] }] });
  expect(await metricsOf(reader)).toContain('\nvalidator_discrepancies_found{table="ks.a"} 1\n');
  await told('POST /start');
  await expect.poll(async () => (await told('GET /status')).body, { timeout: 60_000 }).toMatchObject({ state: 'scanning', last: { mode: 'Continuous', passed: true, repaired: 1 } });
  // It would go round for ever.
  expect((await told('POST /stop')).body).toMatchObject({ stopped: true, state: 'idle', error: null });
  expect((await told('GET /report')).body).toMatchObject({ tables: [{ table: 'ks.a', repaired: 1 }, { table: 'ks.b', rowsDifferent: 0 }] });
  expect(await metricsOf(reader)).toContain('\nvalidator_discrepancies_found{table="ks.a"} 0\n');
}, 180_000);
