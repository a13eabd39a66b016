/**
 * SIGKILL of the proxy's process under load, in DualAsync and DualSync by turns: after its restart every acknowledged write is on both clusters, and both are the same in every cell.
 * `CAUSEWAY_CQL_CRASHES` is the number of rounds.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { rowsOn } from '../proxy-fixture.ts';
import { setup } from './process-fixture.ts';

const rounds = Number(process.env['CAUSEWAY_CQL_CRASHES'] ?? 3);
const main = path.join(import.meta.dirname, '../../../src/main/main.ts');

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test(`${rounds} times`, { timeout: 60_000 + rounds * 20_000 }, async () => {
  await using fixture = await setup();
  const { source, target, directory } = fixture;
  const [port, httpPort] = [await freePort(), await freePort()];
  const hosts = (cluster: typeof source): string => JSON.stringify(cluster.database.nodes.map(({ address, port: nodePort }) => `${address}:${nodePort}`));
  const config = path.join(directory, 'cql.yaml');
  const useMode = (mode: string): void => fs.writeFileSync(config, `cql:\n  listen: {port: ${port}}\n  http: {port: ${httpPort}}\n  mode: ${mode}\n  shadow_timeout_ms: 200\n  replay: {first_delay_ms: 20, max_delay_ms: 200}\n  source: {hosts: ${hosts(source)}}\n  target: {hosts: ${hosts(target)}}\n`);
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [main, 'cql-proxy', '--config', config, '--state-directory', path.join(directory, 'state')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await expect.poll(() => said, { timeout: 20_000 }).toContain('HTTP API');
    return child;
  };
  const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('close', () => resolve()));
  const acknowledged = new Set<number>();
  let next = 0;
  useMode('DualSync');
  let child = await start();
  for (let round = 0; round < rounds; round += 1) {
    const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: 'dc1', socketOptions: { readTimeout: 5000 }, policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy() } });
    await client.connect();
    let isOver = false;
    // A driver without hosts refuses at once: without a turn of the loop in between nobody would hear of the process's end.
    const writer = async (): Promise<void> => {
      while (!isOver) {
        const k = next++;
        await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `value ${k}`], { prepare: true }).then(() => acknowledged.add(k), () => new Promise((resolve) => setImmediate(resolve)));
      }
    };
    const before = acknowledged.size;
    // In DualAsync the shadow takes nothing: all of it is owed when the process dies. In DualSync it loses some, whose clients still wait then: nobody has been told, and the source has them.
    if (round % 2 === 1) target.pause();
    else target.faults.add({ isWrite: true, times: 8, chance: 0.05, action: { kind: 'drop' } });
    const writers = Array.from({ length: 16 }, writer);
    await expect.poll(() => acknowledged.size, { timeout: 20_000, interval: 1 }).toBeGreaterThan(before + 300 + round * 37);
    const dead = ended(child);
    child.kill('SIGKILL');
    await dead;
    isOver = true;
    await Promise.all(writers);
    await client.shutdown();
    target.resume();
    target.faults.clear();
    useMode(round % 2 === 0 ? 'DualAsync' : 'DualSync');
    child = await start();
  }
  const stats = async (): Promise<unknown> => ((await (await fetch(`http://127.0.0.1:${httpPort}/stats`)).json()) as { queued_writes: number }).queued_writes;
  await expect.poll(stats, { timeout: 30_000 }).toBe(0);
  const onTarget = new Set(rowsOn(target, 'SELECT k FROM ks.t').map((row) => Number.parseInt(row, 16)));
  expect([...acknowledged].filter((k) => !onTarget.has(k))).toEqual([]);
  expect(compareStores(source.database, target.database).differences).toEqual([]);
  const over = ended(child);
  child.kill('SIGTERM');
  await over;
  expect(child.exitCode).toBe(0);
});
