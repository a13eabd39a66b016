/**
 * SIGKILL of the proxy's process under load, in DualAsync and DualSync by turns: after its restart every acknowledged write is on both clusters, and both are the same in every cell;
 * between two mock clusters, and between two of Cassandra. The log of keys names every row that a cluster has. `CAUSEWAY_CQL_CRASHES` is the number of rounds of each (3).
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { keysOfDirectory } from '../../../src/main/cql-recent-keys.ts';
import { clusterOptions, dumpTable } from '../../cdc/cassandra/cassandra-fixture.ts';
import { describeCassandra, sharedCassandra } from '../../support/cassandra-servers.ts';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { freePort } from '../../support/postgres.ts';
import { TcpForwarder } from '../../support/tcp-forwarder.ts';
import { differencesOf } from '../cassandra-stream.ts';
import { rowsOn } from '../proxy-fixture.ts';
import { setup } from './process-fixture.ts';

const rounds = Number(process.env['CAUSEWAY_CQL_CRASHES'] ?? 3);
const main = path.join(import.meta.dirname, '../../../src/main/main.ts');

interface Between {
  readonly directory: string;
  readonly dataCenter: string;
  /** `host:port` of each. */
  readonly hosts: readonly [string, string];
  /** A table of k int and v text. */
  readonly table: string;
  /** The target takes nothing, until it is resumed. */
  pauseTarget(): void;
  /** It loses some writes, until it is resumed. */
  loseSome?(): void;
  resumeTarget(): void;
}

interface Survived {
  /** Keys of the acknowledged writes. */
  readonly acknowledged: ReadonlySet<number>;
  /** Keys that the log of keys names. */
  readonly logged: ReadonlySet<number>;
}

/** At the end nothing is owed any more. */
async function crashAgainAndAgain({ directory, dataCenter, hosts: [source, target], table, pauseTarget, loseSome, resumeTarget }: Between): Promise<Survived> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const config = path.join(directory, 'cql.yaml');
  const useMode = (mode: string): void => fs.writeFileSync(config, `cql:\n  listen: {port: ${port}}\n  http: {port: ${httpPort}}\n  mode: ${mode}\n  shadow_timeout_ms: 200\n  replay: {first_delay_ms: 20, max_delay_ms: 200}\n  source: {hosts: ["${source}"]}\n  target: {hosts: ["${target}"]}\n`);
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [main, 'cql-proxy', '--config', config, '--state-directory', path.join(directory, 'state')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await expect.poll(() => said, { timeout: 30_000 }).toContain('HTTP API');
    return child;
  };
  const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('close', () => resolve()));
  const acknowledged = new Set<number>();
  let next = 0;
  useMode('DualSync');
  let child = await start();
  const sinceMs = Date.now();
  for (let round = 0; round < rounds; round += 1) {
    const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: dataCenter, socketOptions: { readTimeout: 5000 }, policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy() } });
    await client.connect();
    let isOver = false;
    // A driver without hosts refuses at once: without a turn of the loop in between nobody would hear of the process's end.
    const writer = async (): Promise<void> => {
      while (!isOver) {
        const k = next++;
        await client.execute(`INSERT INTO ${table} (k, v) VALUES (?, ?)`, [k, `value ${k}`], { prepare: true }).then(() => acknowledged.add(k), () => new Promise((resolve) => setImmediate(resolve)));
      }
    };
    const before = acknowledged.size;
    // In DualAsync the shadow takes nothing: all of it is owed when the process dies. In DualSync it may lose some, whose clients still wait then: nobody has been told, and the source has them.
    if (round % 2 === 1) pauseTarget();
    else loseSome?.();
    const writers = Array.from({ length: 16 }, writer);
    await expect.poll(() => acknowledged.size, { timeout: 30_000, interval: 1 }).toBeGreaterThan(before + 300 + round * 37);
    const dead = ended(child);
    child.kill('SIGKILL');
    await dead;
    isOver = true;
    await Promise.all(writers);
    await client.shutdown();
    resumeTarget();
    useMode(round % 2 === 0 ? 'DualAsync' : 'DualSync');
    child = await start();
  }
  const stats = async (): Promise<unknown> => ((await (await fetch(`http://127.0.0.1:${httpPort}/stats`)).json()) as { queued_writes: number }).queued_writes;
  await expect.poll(stats, { timeout: 60_000 }).toBe(0);
  const over = ended(child);
  child.kill('SIGTERM');
  await over;
  expect(child.exitCode).toBe(0);
  return { acknowledged, logged: await keysInLog(path.join(directory, 'state'), table, sinceMs) };
}

async function keysInLog(state: string, table: string, sinceMs: number): Promise<ReadonlySet<number>> {
  const [keyspace = '', name = ''] = table.split('.');
  const log = keysOfDirectory(state, Date.now);
  const logged = new Set<number>();
  for (let after: string | undefined; ; ) {
    const { unknown, keys, next } = await log.page({ keyspace, table: name, partitionKey: [{ name: 'k', type: 'int' }], clustering: [] }, sinceMs, after, new AbortController().signal);
    expect(unknown).toBeUndefined();
    for (const { partitionKey: [key] } of keys) logged.add(key?.readInt32BE() ?? NaN);
    if (next === undefined) return logged;
    after = next;
  }
}

test(`${rounds} times between mock clusters`, { timeout: 60_000 + rounds * 20_000 }, async () => {
  await using fixture = await setup();
  const { source, target, directory } = fixture;
  const hosts = ({ address, port }: typeof source): string => `${address}:${port}`;
  const { acknowledged, logged } = await crashAgainAndAgain({
    directory, dataCenter: 'dc1', hosts: [hosts(source), hosts(target)], table: 'ks.t', pauseTarget: () => target.pause(),
    loseSome: () => target.faults.add({ isWrite: true, times: 8, chance: 0.05, action: { kind: 'drop' } }),
    resumeTarget: () => {
      target.resume();
      target.faults.clear();
    },
  });
  const onTarget = new Set(rowsOn(target, 'SELECT k FROM ks.t').map((row) => Number.parseInt(row, 16)));
  expect([...acknowledged].filter((k) => !onTarget.has(k))).toEqual([]);
  expect([...onTarget].filter((k) => !logged.has(k))).toEqual([]);
  expect(compareStores(source.database, target.database).differences).toEqual([]);
});

describeCassandra('between Cassandra clusters', () => {
  test(`${rounds} times`, { timeout: 240_000 + rounds * 30_000 }, async () => {
    await using source = await sharedCassandra('source');
    await using target = await sharedCassandra('target');
    await using forwarder = await TcpForwarder.start(target.address);
    const keyspace = await source.createKeyspace('crash');
    await target.cql(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    for (const side of [source, target]) await side.cql(`CREATE TABLE ${keyspace}.t (k int PRIMARY KEY, v text)`);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-crash-'));
    try {
      const { acknowledged, logged } = await crashAgainAndAgain({
        directory, dataCenter: source.address.datacenter, hosts: [`${source.address.host}:${source.address.port}`, `127.0.0.1:${forwarder.port}`], table: `${keyspace}.t`,
        pauseTarget: () => forwarder.pause(), resumeTarget: () => forwarder.resume(),
      });
      const onTarget = new Set((await target.cql(`SELECT k FROM ${keyspace}.t`)).map((row) => row['k'] as number));
      expect([...acknowledged].filter((k) => !onTarget.has(k))).toEqual([]);
      expect([...onTarget].filter((k) => !logged.has(k))).toEqual([]);
      await using ours = await Cluster.connect('source', clusterOptions(source.address));
      await using theirs = await Cluster.connect('target', clusterOptions(target.address));
      expect(differencesOf(await dumpTable(ours, keyspace, 't'), await dumpTable(theirs, keyspace, 't'), 0)).toEqual([]);
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
      for (const side of [source, target]) await side.cql(`DROP KEYSPACE ${keyspace}`);
    }
  });
});
