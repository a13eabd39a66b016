/**
 * `npm run soak -- torture [seconds]`: the torture run against a gateway in a process of its own, whose memory must not grow. Its seed is printed;
 * CAUSEWAY_TORTURE_SEED gives it, CAUSEWAY_TORTURE_ONLY names moves (comma between them), CAUSEWAY_TORTURE_CLIENTS says how many clients (default 12).
 */
import { fork } from 'node:child_process';
import * as path from 'node:path';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Sample, TortureGateway } from './torture-gateway.ts';
import { torture } from './torture-run.ts';
import type { TortureOptions } from './torture-run.ts';

const DEFAULT_SECONDS = 300;
/** Rounds that fill caches, of which memory is not asked. */
const WARM_UP_ROUNDS = 4;
/** What is resident goes up and down with what the allocator keeps of 10 MB rows. */
const MOST_GROWTH = { heapBytes: 3 << 20, externalBytes: 3 << 20, rssBytes: 64 << 20 };
const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);

/** Exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const env = process.env;
  const options: TortureOptions = {
    seed: Number(env['CAUSEWAY_TORTURE_SEED'] ?? Date.now() % 1_000_000), seconds: Number(args[0] ?? DEFAULT_SECONDS), clients: Number(env['CAUSEWAY_TORTURE_CLIENTS'] ?? 12), roundSeconds: 10,
    ...(env['CAUSEWAY_TORTURE_ONLY'] === undefined ? {} : { only: env['CAUSEWAY_TORTURE_ONLY'].split(',') }),
    onRound: (round, sample, done) => console.log(`round ${round}: ${done} moves so far, ${sample.sessions} sessions, ${sample.localLegs} on local; heap ${mebibytes(sample.heapBytes)}, external ${mebibytes(sample.externalBytes)}, rss ${mebibytes(sample.rssBytes)} MiB`),
  };
  console.log(`torture: seed ${options.seed}, ${options.seconds} s, ${options.clients} clients`);
  await using source = await startTestPostgres();
  await using local = await startTestPostgres();
  const gateway = await startWorker(source, local);
  try {
    const { moves, samples, failures } = await torture(source, local, gateway, options);
    const wrong = [...failures, ...gateway.ended(), ...grown(samples)];
    console.log(Object.entries(moves).toSorted(([left], [right]) => left.localeCompare(right)).map(([name, count]) => `${name} ${count}`).join(', '));
    for (const what of wrong) console.log(`FAILED (seed ${options.seed}): ${what}`);
    console.log(`\n${Object.values(moves).reduce((sum, count) => sum + count, 0)} moves, ${wrong.length} failures`);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    await gateway.stop();
  }
}

/** The lowest of the second half of the rounds against the lowest of the first: what a round leaves behind adds up, what it needs for a while does not. */
function grown(samples: readonly Sample[]): string[] {
  const counted = samples.slice(WARM_UP_ROUNDS);
  if (counted.length < 4) return [];
  const lowest = (of: readonly Sample[], what: keyof typeof MOST_GROWTH): number => Math.min(...of.map((sample) => sample[what]));
  const half = counted.length >> 1;
  return (['heapBytes', 'externalBytes', 'rssBytes'] as const).flatMap((what) => {
    const [first, second] = [lowest(counted.slice(0, half), what), lowest(counted.slice(half), what)];
    console.log(`${what}: at least ${mebibytes(first)} MiB in the first half, ${mebibytes(second)} MiB in the second`);
    return second - first > MOST_GROWTH[what] ? [`${what} has grown from ${mebibytes(first)} to ${mebibytes(second)} MiB`] : [];
  });
}

async function startWorker(source: TestPostgres, local: TestPostgres): Promise<TortureGateway & { ended(): string[] }> {
  const child = fork(path.join(import.meta.dirname, 'torture-worker.ts'), [String(source.address.port), String(local.address.port)], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  const waiting = new Map<number, (value: unknown) => void>();
  let number = 0;
  let stopping = false;
  let end: string | undefined;
  child.on('exit', (code, signal) => {
    if (!stopping) end = `the gateway's process has ended (${code ?? signal ?? ''})`;
    for (const answer of waiting.values()) answer(undefined);
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (ready: { readonly port: number }) => resolve(ready.port));
    child.once('exit', () => reject(new Error('the gateway did not start')));
  });
  child.on('message', (answer: { readonly number: number; readonly value: unknown }) => {
    waiting.get(answer.number)?.(answer.value);
    waiting.delete(answer.number);
  });
  const ask = <T>(what: object): Promise<T> => new Promise((resolve, reject) => {
    number += 1;
    waiting.set(number, (value) => (value === undefined ? reject(new Error('the gateway has gone')) : resolve(value as T)));
    if (child.connected) child.send({ ...what, number });
    else reject(new Error('the gateway has gone'));
  });
  return {
    port,
    sample: () => ask<Sample>({ type: 'sample' }),
    describe: (pid) => ask<string>({ type: 'describe', pid }),
    ended: () => (end === undefined ? [] : [end]),
    stop: () => {
      stopping = true;
      child.disconnect();
      return Promise.resolve();
    },
  };
}
