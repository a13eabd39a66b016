/**
 * A comparison that trusts the log of keys finds what one finds that reads everything: after random writes of every kind, some of which one cluster has lost without a word, over a SIGKILL and a
 * restart; and it reads everything where the log does not tell.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import type { ComparisonReport } from '../../../cdc/cassandra/compare/comparison-report.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { SqliteScanLedger } from '../../../cdc/cassandra/compare/scan-ledger.ts';
import { TwoWayScanner } from '../../../cdc/cassandra/compare/two-way-scanner.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { runValidate } from '../../../src/main/cql-compare.ts';
import { keysOfDirectory, keysOfProxy, LoggedKeys } from '../../../src/main/cql-recent-keys.ts';
import { testRuntime } from '../../cdc/cassandra/cassandra-fixture.ts';
import { Random } from '../../soak/torture-random.ts';
import type { MockCluster } from '../../support/cql/mock-cluster.ts';
import { RawClient } from '../../support/cql/raw-client.ts';
import { freePort } from '../../support/postgres.ts';
import { operations, pickOperation, schemaOf } from '../random-operations.ts';
import { call, setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';

const main = path.join(import.meta.dirname, '../../../src/main/main.ts');
const tables = ['kv', 'wide', 'QuotedTable', 'expiring', 'composite', 'lists', 'counts', 'lwt'];
const pairs = tables.map((name) => ({ sourceTable: { keyspace: 'ks', name }, targetTable: { keyspace: 'ks', name } }));
// Lists, counters and conditions have each cluster's own times.
const options = { ...comparingDefaults, ranges: 2, recheckPauseMs: 5, retryPauseMs: 10, compareTimestamps: false };

let fixture: Setup | undefined;
let child: ChildProcess | undefined;
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await fixture?.[Symbol.asyncDispose]();
  fixture = undefined;
});

async function prepare(): Promise<Setup> {
  const random = new Random(5);
  fixture = await setup({ target: { random: () => random.next() } });
  return fixture;
}

const addressOf = ({ database }: MockCluster): string => database.nodes.map(({ address, port }) => `${address}:${port}`)[0] ?? '';
const connect = async ({ source, target }: Setup): Promise<{ source: Cluster; target: Cluster }> => ({ source: await Cluster.connect('source', { contactPoints: [addressOf(source)] }), target: await Cluster.connect('target', { contactPoints: [addressOf(target)] }) });
/** What was found, once each. */
const found = ({ tables: compared }: ComparisonReport): readonly string[] => compared.flatMap(({ table, discrepancies }) => discrepancies.map(({ part, key, types }) => `${table} ${part} ${key} ${types.join()}`)).sort();
const unread = (report: ComparisonReport): readonly string[] => report.tables.flatMap(({ table, wholeBecause, error }) => [...(wholeBecause === undefined ? [] : [`${table}: ${wholeBecause}`]), ...(error === undefined ? [] : [error])]);

test('random writes of every kind, some lost on one side, a SIGKILL in between', async () => {
  const own = await prepare();
  const { source, target, directory } = own;
  for (const one of [source, target]) {
    for (const text of schemaOf('ks').slice(1)) one.run(text);
    for (let k = 1000; k < 1100; k += 1) one.run(`INSERT INTO ks.wide (k, c, v) VALUES (${k}, 1, 'nobody writes it') USING TIMESTAMP 5`);
  }
  const [port, httpPort] = [await freePort(), await freePort()];
  const config = path.join(directory, 'cql.yaml');
  fs.writeFileSync(config, stringify({ cql: { listen: { port }, http: { port: httpPort }, mode: 'DualSync', shadow_timeout_ms: 5000, replay: { first_delay_ms: 20, max_delay_ms: 100 }, source: { hosts: [addressOf(source)] }, target: { hosts: [addressOf(target)] } } }));
  const start = async (): Promise<void> => {
    child = spawn(process.execPath, [main, 'cql-proxy', '--config', config, '--state-directory', path.join(directory, 'state')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await expect.poll(() => said, { timeout: 60_000 }).toContain('HTTP API');
  };
  const url = `http://127.0.0.1:${httpPort}`;
  const succeeded = new Set<string>();
  const stream = async (seed: number, count: number, atEnd: () => unknown = () => undefined): Promise<void> => {
    await Promise.all([0, 1, 2, 3].map(async (number) => {
      const random = new Random(seed * 100 + number);
      const version = number === 3 ? 3 as const : 4 as const;
      const client = await RawClient.connect(port, '127.0.0.1', { version });
      if (number === 1) await client.query('USE ks');
      const actor = { random, client, version, keyspace: 'ks', isInKeyspace: number === 1, number, count: 4, prepared: new Map<string, Promise<Buffer>>() };
      // Each of them once by somebody, then as it comes.
      const own = operations.filter((_, index) => index % 4 === number);
      for (let done = 0; done < count; done += 1) {
        const operation = own[done] ?? pickOperation(random);
        const answer = await operation.run(actor).catch(() => undefined);
        if (answer !== undefined && answer.kind !== 'error') succeeded.add(operation.name);
      }
      atEnd();
      client.socket.destroy();
    }));
  };
  const drained = (): Promise<void> => expect.poll(async () => (await (await fetch(`${url}/status`)).json() as { queue: { depth: number } }).queue.depth, { timeout: 30_000 }).toBe(0);

  await start();
  const clusters = await connect(own);
  await using _source = clusters.source;
  await using _target = clusters.target;
  await stream(1, 40);
  await drained();
  using ledger = new SqliteScanLedger(path.join(directory, 'scan.db'));
  const scan = (keys: LoggedKeys): Promise<ComparisonReport> => new TwoWayScanner(testRuntime, clusters, pairs, ledger, { ...options, scanMode: 'Incremental', scanIntervalMs: 1, alertThreshold: 1e6, keys, lateMs: 0 }, { scanned: () => undefined, alert: () => undefined }).scan(testRuntime.signal);
  const ofProxy = new LoggedKeys([keysOfProxy(url)], Date.now);
  expect(unread(await scan(ofProxy))).toEqual([]);

  const lost = target.faults.add({ text: /^(?![^]*\bIF\b)/i, isWrite: true, times: 1e6, chance: 0.15, action: { kind: 'pretend' } });
  const began = new Date();
  await stream(2, 40);
  const killed = new Promise((resolve) => child?.once('close', resolve));
  // Under the hands of those that write.
  await stream(3, 20, () => child?.kill('SIGKILL'));
  await killed;
  await start();
  await fetch(`${url}/config/mode`, { method: 'POST', body: JSON.stringify({ mode: 'DualAsync' }) });
  await stream(4, 30);
  await drained();
  lost[Symbol.dispose]();
  expect(lost.hits).toBeGreaterThan(10);
  expect(operations.filter(({ name, isWrite }) => isWrite && !succeeded.has(name)).map(({ name }) => name)).toEqual([]);

  const whole = await new Validator(testRuntime, clusters, options).validate(pairs, { mode: 'FullScan' }, testRuntime.signal);
  expect(whole.rowsDifferent).toBeGreaterThan(10);
  const again = await scan(ofProxy);
  // A list's or a counter's write whose answer the kill has taken waits for a repair: such tables are read whole.
  expect(unread(again).filter((line) => !/ks\.(?:lists|counts|lwt): .*waits for a repair/.test(line))).toEqual([]);
  expect(found(again)).toEqual(found(whole));
  expect(again.rowsCompared).toBeLessThanOrEqual(whole.rowsCompared - 100);

  // The commands, with the proxy and beside its state.
  const [host = '', sourcePort] = addressOf(source).split(':');
  const [, targetPort] = addressOf(target).split(':');
  const reader = path.join(directory, 'dual-reader.yaml');
  const side = (at: string | undefined): object => ({ driver: 'cassandra', hosts: [host], port: Number(at), keyspace: 'ks' });
  const report = path.join(directory, 'report.json');
  const validate = async (table: string, ...how: readonly string[]): Promise<readonly [code: number, report: ComparisonReport]> => {
    fs.writeFileSync(reader, stringify({ source: side(sourcePort), target: side(targetPort), reader: { tables: [table] } }));
    const code = await runValidate(directory, ['--config', reader, '--mode', 'RecentWrites', '--since', began.toISOString(), '--report', report, '--state-directory', path.join(directory, 'compare'), ...how]);
    return [code, JSON.parse(fs.readFileSync(report, 'utf8')) as ComparisonReport];
  };
  const keysIn = (compared: ComparisonReport, table: string): readonly string[] => compared.tables.flatMap((one) => (one.table === table ? one.discrepancies.map(({ key }) => key) : [])).sort();
  const [code, told] = await validate('kv', '--proxy', url);
  expect({ code, unread: unread(told), keys: keysIn(told, 'ks.kv') }).toEqual({ code: 1, unread: [], keys: keysIn(whole, 'ks.kv') });
  expect(await validate('t', '--key-log', path.join(directory, 'state'))).toMatchObject([0, { passed: true, rowsCompared: 0, mode: 'RecentWrites' }]);
  await expect(validate('t', '--key-log', directory)).rejects.toThrow(/no state directory/);
}, 240_000);

test('TRUNCATE, changes of the schema, and what nobody understands: the table is read whole, and only it', async () => {
  const own = await prepare();
  const { source, target } = own;
  for (const one of [source, target]) one.run('CREATE TABLE ks.u (k int PRIMARY KEY, v text)');
  const running = await own.start({ mode: 'DualSync' });
  const client = await RawClient.connect(running.port);
  const keys = async (table: string, since: number): Promise<Record<string, unknown>> => (await call(running, `GET /keys?${new URLSearchParams({ keyspace: 'ks', table, partition_key: '[["k","int"]]', since: String(since) }).toString()}`)).body;
  const now = async (): Promise<number> => (await keys('t', 0))['now_ms'] as number;
  const write = (table: string): Promise<unknown> => client.need(`INSERT INTO ks.${table} (k, v) VALUES (258, 'x')`);
  let since = await now();
  await write('t');
  expect(await keys('t', since)).toMatchObject({ unknown: null, keys: [[['AAABAg=='], [], 0]], next: null });
  expect(await keys('u', since)).toMatchObject({ unknown: null, keys: [] });
  await expect.poll(() => call(running, 'GET /status').then(({ body }) => body['queue'])).toMatchObject({ depth: 0 });
  await client.need('TRUNCATE ks.u');
  expect(await keys('u', since)).toMatchObject({ unknown: expect.stringContaining('TRUNCATE') as string, keys: [] });
  expect(await keys('t', since)).toMatchObject({ unknown: null });
  await expect.poll(now).toBeGreaterThan(since = await now());
  since = await now();
  await client.need('ALTER TABLE ks.u ADD w int');
  expect(await keys('u', since)).toMatchObject({ unknown: expect.stringContaining('schema') as string });
  expect(await keys('t', since)).toMatchObject({ unknown: null });
  await client.query('WHATEVER THIS IS');
  expect(await keys('t', since)).toMatchObject({ unknown: expect.stringContaining('not understood') as string });
  await expect.poll(now).toBeGreaterThan(since = await now());
  expect(await keys('t', (await now()))).toMatchObject({ unknown: null });
  // The same through the command's own eyes, which then reads everything.
  const clusters = await connect(own);
  await using _source = clusters.source;
  await using _target = clusters.target;
  target.run('DELETE FROM ks.t WHERE k = 258');
  const recent = (table: string, from: number): Promise<ComparisonReport> => new Validator(testRuntime, clusters, options).validate([{ sourceTable: { keyspace: 'ks', name: table }, targetTable: { keyspace: 'ks', name: table } }], { mode: 'RecentWrites', since: BigInt(from) * 1000n, keys: new LoggedKeys([keysOfProxy(`http://127.0.0.1:${running.httpPort}/`), keysOfDirectory(own.directory, Date.now)], Date.now) }, testRuntime.signal);
  expect(await recent('t', await now())).toMatchObject({ rowsCompared: 0, rowsDifferent: 0, passed: true });
  expect(await recent('t', 1000)).toMatchObject({ rowsCompared: 1, rowsDifferent: 1, tables: [{ wholeBecause: expect.stringContaining('its writes are noted since') as string }] });
  // More keys than are worth it.
  for (let k = 0; k < 5; k += 1) await client.need(`INSERT INTO ks.u (k, v) VALUES (${k}, 'x')`);
  const few = new LoggedKeys([keysOfProxy(`http://127.0.0.1:${running.httpPort}`)], Date.now, 3);
  expect(await new Validator(testRuntime, clusters, options).validate([{ sourceTable: { keyspace: 'ks', name: 'u' }, targetTable: { keyspace: 'ks', name: 'u' } }], { mode: 'RecentWrites', since: BigInt(await now() - 1) * 1000n, keys: few }, testRuntime.signal)).toMatchObject({ passed: true });
  for (const query of ['keyspace=ks', 'keyspace=ks&table=t&partition_key=x&since=1', 'keyspace=ks&table=t&partition_key=[["k","int"]]&since=-1', 'keyspace=ks&table=t&partition_key=[["k","int"]]&since=1&after=x', 'keyspace=ks&table=t&partition_key=[["k","int"]]&since=1&b=1']) {
    expect(await call(running, `GET /keys?${query}`)).toMatchObject({ status: 400, body: { code: 'MIG071' } });
  }
  client.socket.destroy();
  await running[Symbol.asyncDispose]();
  await expect(recent('t', Date.now())).resolves.toMatchObject({ passed: false, tables: [{ error: expect.stringContaining('MIG084') as string }] });
}, 60_000);
