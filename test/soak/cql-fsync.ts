/**
 * What `intents.fsync: group` costs: the CQL proxy's process in DualAsync between two mock clusters, with and without it, in turns of one run. Rate, and CPU per operation of the
 * proxy's process alone; load and mock clusters are this process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processTimeUs } from '../bench/proxy/process-time.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { int32, RawClient } from '../support/cql/raw-client.ts';
import { freePort } from '../support/postgres.ts';

const main = path.resolve(import.meta.dirname, '../../src/main/main.ts');
const CLIENTS = 16;
const SECONDS = 5;
const ROUNDS = 3;

interface Measured { readonly perSecond: number; readonly cpuMicros: number }

/** Prints a line for each setting. */
export async function measureFsync(): Promise<void> {
  const source = await MockCluster.start({ clusterName: 'old' });
  const target = await MockCluster.start({ clusterName: 'new' });
  for (const one of [source, target]) {
    one.run("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    one.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  }
  const measured = { none: [] as Measured[], group: [] as Measured[] };
  try {
    for (let round = 0; round < ROUNDS; round += 1) for (const fsync of ['none', 'group'] as const) measured[fsync].push(await measure(source, target, fsync));
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
  for (const [fsync, rounds] of Object.entries(measured)) {
    const middle = (of: (one: Measured) => number): number => rounds.map(of).sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
    console.log(`intents.fsync: ${fsync}: ${middle(({ perSecond }) => perSecond).toFixed(0)} writes/s, ${middle(({ cpuMicros }) => cpuMicros).toFixed(1)} µs of the proxy's CPU each (medians of ${ROUNDS}, ${CLIENTS} clients, one write in hand each)`);
  }
}

async function measure(source: MockCluster, target: MockCluster, fsync: 'none' | 'group'): Promise<Measured> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-fsync-'));
  const port = await freePort();
  const hosts = ({ address, port: nodePort }: MockCluster): string => `["${address}:${nodePort}"]`;
  const config = path.join(directory, 'cql.yaml');
  fs.writeFileSync(config, `cql:\n  listen: {port: ${port}}\n  http: {port: ${await freePort()}}\n  mode: DualAsync\n  intents: {fsync: ${fsync}}\n  source: {hosts: ${hosts(source)}}\n  target: {hosts: ${hosts(target)}}\n`);
  const child = spawn(process.execPath, [main, 'cql-proxy', '--config', config, '--state-directory', path.join(directory, 'state')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    while (!said.includes('HTTP API')) {
      if (child.exitCode !== null) throw new Error('the proxy has ended');
      await delay(20);
    }
    let writes = 0;
    let isOver = false;
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(port)));
    const run = async (client: RawClient, number: number): Promise<void> => {
      const id = await client.prepare('INSERT INTO ks.t (k, v) VALUES (?, ?)');
      for (let k = 0; !isOver; k += 1) {
        const answer = await client.execute(id, { values: [int32(number * 1000 + (k % 1000)), Buffer.from('a value of some length')] });
        if (answer.kind === 'error') throw new Error(answer.message);
        writes += 1;
      }
    };
    const load = Promise.all(clients.map(run));
    // The first second warms the code up.
    await delay(1000);
    const { pid = 0 } = child;
    const before = { writes, cpu: processTimeUs([pid]), at: performance.now() };
    await Promise.race([delay(SECONDS * 1000), load]);
    const [done, cpu, seconds] = [writes - before.writes, processTimeUs([pid]) - before.cpu, (performance.now() - before.at) / 1000];
    isOver = true;
    await load;
    for (const client of clients) client.close();
    return { perSecond: done / seconds, cpuMicros: cpu / done };
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
