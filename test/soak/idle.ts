/**
 * `npm run soak -- idle [count]`: what a connection that does nothing costs the gateway (default 5,000 of them), and what they cost the clients that do something.
 *
 * The idle ones log in at a process that only answers as a server would: as many real backends would need more memory than what is measured. The active ones are on a real server.
 * Memory is that of the gateway's process after garbage collection, once all have logged in, once each has run a statement in both protocols, once it has sent and got 100 kB, and once each has a leg to local as well;
 * beside it that of a bare byte pipe with the same connections, which is what the sockets themselves take in Node. What is resident also has what the allocator keeps of what was needed for
 * a moment; what a connection costs for as long as it is there is its part of heap and external memory, and that is what the goal is about.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RawClient, b, d, e, p, q, s } from '../session/raw-client.ts';
import { startTestPostgres } from '../support/postgres.ts';

const ACTIVE_CLIENTS = 4;
const ACTIVE_SECONDS = 5;
const AT_ONCE = 100;
const GOAL_BYTES = 30_000;
/** Its third socket is more than a pipe has. */
const LAST_STAGE = 'with a leg to local';

interface Worker {
  readonly child: ChildProcess;
  readonly port: number;
}

interface Memory {
  readonly rss: number;
  /** Heap and what it holds outside. */
  readonly held: number;
}

/** Exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const count = Number(args[0] ?? 5_000);
  await using server = await startTestPostgres();
  const backend = await startWorker('backend');
  const workers = { pipe: await startWorker('pipe', server.address.port, backend.port), gateway: await startWorker('gateway', server.address.port, backend.port) };
  try {
    const { port } = workers.gateway;
    await inBatches(50, () => RawClient.connect(port, { user: 'idle', database: 'idle' }).then((client) => use(client)).then((client) => client.end()));
    // The first round warms the code up.
    await latencies(port);
    const alone = await latencies(port);
    const pipe = await idleCost(workers.pipe, count, false);
    const gateway = await idleCost(workers.gateway, count, true, async () => {
      const crowded = await latencies(port);
      for (const [name, { p50, p99, perSecond }] of Object.entries({ 'without idle connections': alone, [`with ${count} idle ones`]: crowded })) console.log(`active clients ${name}: p50 ${p50.toFixed(0)} µs, p99 ${p99.toFixed(0)} µs, ${perSecond.toFixed(0)} statements/s`);
    });
    const failed: string[] = [];
    for (const [stage, cost] of Object.entries(gateway)) {
      const sockets = pipe[stage] ?? pipe['used'] ?? { rss: 0, held: 0 };
      if (stage !== LAST_STAGE && cost.held - sockets.held > GOAL_BYTES) failed.push(stage);
      console.log(`${stage}: ${kilobytes(cost.rss)} resident, ${kilobytes(cost.held)} heap and external; a pipe ${kilobytes(sockets.rss)} and ${kilobytes(sockets.held)}; beyond the sockets ${kilobytes(cost.rss - sockets.rss)} and ${kilobytes(cost.held - sockets.held)}`);
    }
    console.log(failed.length === 0 ? `holds: at most ${kilobytes(GOAL_BYTES)} of heap and external for each connection beyond its sockets` : `FAILED: more than ${kilobytes(GOAL_BYTES)} beyond the sockets when ${failed.join(' and ')}`);
    return failed.length === 0 ? 0 : 1;
  } finally {
    for (const { child } of [backend, ...Object.values(workers)]) child.disconnect();
  }
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} kB`;

/** Bytes for each connection, stage by stage. */
async function idleCost(worker: Worker, count: number, usesLocal: boolean, whileIdle?: () => Promise<void>): Promise<Record<string, Memory>> {
  const before = await memoryOf(worker);
  const since = async (): Promise<Memory> => {
    await delay(500);
    const now = await memoryOf(worker);
    return { rss: (now.rss - before.rss) / count, held: (now.held - before.held) / count };
  };
  const clients = await inBatches(count, () => RawClient.connect(worker.port, { user: 'idle', database: 'idle' }));
  const stages: Record<string, Memory> = { 'logged in': await since() };
  await inBatches(count, (index) => use(clients[index]));
  stages['used'] = await since();
  await inBatches(count, (index) => useLargely(clients[index]));
  stages['after a large answer and a large value'] = await since();
  await whileIdle?.();
  if (usesLocal) {
    await inBatches(count, async (index) => clients[index]?.ask(q('SELECT * FROM moved'), 1, 60_000));
    stages[LAST_STAGE] = await since();
  }
  for (const client of clients) client.end();
  await delay(6_000);
  const after = await since();
  console.log(`after the last of ${count} has gone, of what each took is left: ${kilobytes(after.rss)} resident, ${kilobytes(after.held)} heap and external`);
  return stages;
}

/** What an application's pool does with a fresh connection: a statement or two. */
async function use(client: RawClient | undefined): Promise<RawClient> {
  if (!client) throw new Error('no such client');
  await client.ask(q('SELECT 1'), 1, 60_000);
  await client.ask([p('named', 'SELECT id, name FROM customers WHERE id = $1'), d('S', 'named'), s], 1, 60_000);
  await client.ask([b('', 'named', ['1']), e(''), s], 1, 60_000);
  return client;
}

const largeValue = 'x'.repeat(100_000);

/** The statement and the value in one piece, as drivers send them. */
async function useLargely(client: RawClient | undefined): Promise<void> {
  await client?.ask([p('', 'SELECT large FROM customers WHERE name = $1'), b('', '', [largeValue]), e(''), s], 1, 60_000);
  await client?.ask(q('SELECT large'), 1, 60_000);
}

async function inBatches<T>(count: number, run: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let at = 0; at < count; at += AT_ONCE) results.push(...await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, index) => run(at + index))));
  return results;
}

/** Of clients that ask again as soon as they are answered, in microseconds. */
async function latencies(port: number): Promise<{ readonly p50: number; readonly p99: number; readonly perSecond: number }> {
  const until = performance.now() + ACTIVE_SECONDS * 1_000;
  const took: number[] = [];
  await Promise.all(Array.from({ length: ACTIVE_CLIENTS }, async () => {
    const client = await RawClient.connect(port);
    await client.ask([p('one', 'SELECT $1::int'), s]);
    while (performance.now() < until) {
      const from = performance.now();
      await client.ask([b('', 'one', ['1']), e(''), s]);
      took.push((performance.now() - from) * 1_000);
    }
    client.end();
  }));
  const sorted = Float64Array.from(took).toSorted();
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), perSecond: sorted.length / ACTIVE_SECONDS };
}

function startWorker(kind: string, ...ports: readonly number[]): Promise<Worker> {
  const child = fork(path.join(import.meta.dirname, 'idle-worker.ts'), [kind, ...ports.map(String)], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  return new Promise((resolve, reject) => {
    child.once('message', (port) => resolve({ child, port: Number(port) }));
    child.once('exit', () => reject(new Error(`${kind} did not start`)));
  });
}

function memoryOf({ child }: Worker): Promise<Memory> {
  return new Promise((resolve) => {
    child.once('message', (usage) => {
      const { rss, heapUsed, external } = usage as NodeJS.MemoryUsage;
      resolve({ rss, held: heapUsed + external });
    });
    child.send('memory');
  });
}
