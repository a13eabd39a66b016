/**
 * The second part: the same statements, spread evenly over eight tables, through the product
 *   unrouted     nothing is migrated: every text is forwarded without a look at its tables
 *   looked-up    other tables are migrated, these are not: each statement is routed, all go to the source
 *   routed       half of the tables are LOCAL_ONLY on a second server, their migration completed
 *   routed-back  the same with the way back kept: the reverse stream carries every write to the source, on the same processors
 * Each variant but looked-up, which is another load on routed's, has two servers and a product of its own; those that are not measured are idle.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { Stack } from '../../e2e/support/stack.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { Sample } from './figures.ts';
import { WARM_UP_SECONDS } from './matrix.ts';
import type { ProxyOptions, Workload } from './options.ts';
import { runLoad } from './pgbench.ts';
import { meter } from './process-time.ts';
import type { Rounds, Cell, Contender } from './rounds.ts';

const ROWS = 10_000;
const SETTLE_LIMIT_MS = 60_000;
/** Of the tables of a load: the first half is in a schema of its own, which is what is migrated. */
const moved = ['mix_1', 'mix_2', 'mix_3', 'mix_4'].map((name) => `moving.${name}`);
const staying = ['mix_5', 'mix_6', 'mix_7', 'mix_8'].map((name) => `public.${name}`);
const others = ['mix_1', 'mix_2', 'mix_3', 'mix_4'].map((name) => `public.${name}`);
/** A table and its key's name differ by variant in length only, so that all texts cost the same to send and to parse. */
const table = (name: string): string => `CREATE TABLE ${name} (id int PRIMARY KEY, value bigint NOT NULL, filler text NOT NULL);
INSERT INTO ${name} SELECT g, 0, repeat('f', 80) FROM generate_series(1, ${ROWS}) g;
GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO app;`;
const sourceSql = `CREATE SCHEMA moving; GRANT USAGE ON SCHEMA moving TO app; ${[...moved, ...staying, ...others].map(table).join('\n')}`;

interface Variant {
  readonly name: string;
  readonly stack: Stack;
  readonly tables: readonly string[];
  /** Of these, those whose truth is local. */
  readonly onLocal: readonly string[];
  readonly hasWayBack: boolean;
}

export const mixWorkloads: readonly Workload[] = ['mix-read', 'mix-write'];

export function mixCells(options: ProxyOptions): readonly Cell[] {
  return mixWorkloads.filter((workload) => options.workloads.includes(workload))
    .flatMap((workload) => options.modes.flatMap((mode) => options.mixClients.map((clients) => ({ workload, mode, clients }))));
}

export async function measureMix(options: ProxyOptions, folder: string, rounds: Rounds, signal: AbortSignal): Promise<void> {
  process.stderr.write('starting three products and their servers, and migrating half of the tables of two\n');
  await using stacks = new AsyncDisposableStack();
  const start = async (cutover?: string): Promise<Stack> => {
    signal.throwIfAborted();
    const stack = stacks.use(await startMixStack(options));
    signal.throwIfAborted();
    if (cutover !== undefined) {
      await stack.migrate('moving');
      await stack.command(cutover);
      await stack.waitState(['LOCAL_ONLY']);
    }
    for (const side of ['source', 'local'] as const) await (await stack.direct(side)).query('VACUUM ANALYZE');
    return stack;
  };
  const unrouted = await start();
  const routed = await start('CUTOVER SCHEMA moving NO ROLLBACK');
  const kept = await start('CUTOVER SCHEMA moving');
  const half = [...moved, ...staying];
  const variants: readonly Variant[] = [
    { name: 'unrouted', stack: unrouted, tables: half, onLocal: [], hasWayBack: false },
    { name: 'looked-up', stack: routed, tables: [...others, ...staying], onLocal: [], hasWayBack: false },
    { name: 'routed', stack: routed, tables: half, onLocal: moved, hasWayBack: false },
    { name: 'routed-back', stack: kept, tables: half, onLocal: moved, hasWayBack: true },
  ];
  for (const variant of variants) {
    for (const mode of options.modes) await runLoad({ ...load(variant, { workload: 'mix-read', mode, clients: 8 }), seconds: WARM_UP_SECONDS }, signal);
  }
  await rounds.run(mixCells(options), variants.map(contenderOf), options.rounds, signal);

  function load(variant: Variant, { workload, mode, clients }: Cell): Parameters<typeof runLoad>[0] {
    return {
      target: { port: variant.stack.gateway.port, user: 'app', database: variant.stack.gateway.database }, mode, clients, threads: options.threads, seconds: options.seconds, sampling: 0.2, folder,
      what: variant.tables.flatMap((name) => ['-f', scriptOf(folder, workload, name)]),
    };
  }

  function contenderOf(variant: Variant): Contender {
    return {
      name: variant.name,
      notPossible: () => undefined,
      measure: async (cell, round): Promise<Sample> => {
        const seen = await countAll(variant, cell.workload);
        const count = meter([variant.stack.product.pid ?? 0], variant.stack.product.pids('worker'));
        const figures = await runLoad(load(variant, cell), signal);
        const used = count(figures.transactions);
        await checkShares(variant, cell.workload, seen, figures.transactions, signal);
        if (variant.hasWayBack && cell.workload === 'mix-write') await settle(variant, signal);
        return { round, ...figures, ...used };
      },
    };
  }
}

function startMixStack(options: ProxyOptions): Promise<Stack> {
  const settings = { shared_buffers: '128MB', max_connections: 500, max_wal_size: '4GB', checkpoint_timeout: '30min', autovacuum: 'off' };
  return Stack.start({ sourceSql, workers: options.processes, startServer: () => startTestPostgres({ settings }), settings: { lease_ms: 3_000, log: { level: 'warn' } } });
}

/** A script per table; pgbench chooses one of them for each transaction, all equally often. */
function scriptOf(folder: string, workload: string, name: string): string {
  const file = path.join(folder, `${workload}.${name}.sql`);
  const statement = workload === 'mix-read' ? `SELECT value FROM ${name} WHERE id = :id;` : `UPDATE ${name} SET value = value + 1 WHERE id = :id;`;
  if (!fs.existsSync(file)) fs.writeFileSync(file, `\\set id random(1, ${ROWS})\n${statement}\n`);
  return file;
}

interface Counts {
  readonly source: number;
  readonly local: number;
}

/** What has been done so far where the truth is: writes by what they leave in the rows, reads by the look-ups in the primary keys. */
async function countAll(variant: Variant, workload: string): Promise<Counts> {
  const onSource = variant.tables.filter((name) => !variant.onLocal.includes(name));
  const count = workload === 'mix-write' ? countWrites : countReads;
  return { source: await count(await clientOf(variant.stack, 'source'), onSource), local: variant.onLocal.length === 0 ? 0 : await count(await clientOf(variant.stack, 'local'), variant.onLocal) };
}

const clients = new WeakMap<Stack, Map<string, Promise<pg.Client>>>();

function clientOf(stack: Stack, side: 'source' | 'local'): Promise<pg.Client> {
  const known = clients.get(stack) ?? new Map<string, Promise<pg.Client>>();
  clients.set(stack, known);
  const client = known.get(side) ?? stack.direct(side);
  known.set(side, client);
  return client;
}

async function countWrites(client: pg.Client, tables: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ sum: string }>(`SELECT sum(value) AS sum FROM (${tables.map((name) => `SELECT value FROM ${name}`).join(' UNION ALL ')}) t`);
  return Number(rows[0]?.sum);
}

async function countReads(client: pg.Client, tables: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ sum: string }>("SELECT sum(idx_scan) AS sum FROM pg_stat_user_tables WHERE schemaname || '.' || relname = ANY ($1)", [tables]);
  return Number(rows[0]?.sum);
}

/**
 * Every statement has been carried out where it belongs, and half of them on each side. Servers count reads when a connection ends,
 * which takes a moment; the product's own look-ups may come on top of those.
 */
async function checkShares(variant: Variant, workload: string, before: Counts, transactions: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    const now = await countAll(variant, workload);
    const problem = shareProblem({ source: now.source - before.source, local: now.local - before.local }, transactions, variant.onLocal.length / variant.tables.length, workload === 'mix-write');
    if (problem === undefined) return;
    if (performance.now() > deadline) throw new Error(problem);
    await delay(50, undefined, { signal });
  }
}

/** `isExact`: the sum has to be the transactions to the last one; else it may be over by a hundredth. */
export function shareProblem(done: Counts, transactions: number, localPart: number, isExact: boolean): string | undefined {
  const sum = done.source + done.local;
  const said = `${done.source} statements on the source and ${done.local} on local, of ${transactions}`;
  if (isExact ? sum !== transactions : sum < transactions || sum > transactions * 1.01 + 100) return `${said}: not each once`;
  // Five standard deviations of as many throws of a coin.
  if (Math.abs(done.local - transactions * localPart) > (localPart === 0 ? 0 : 2.5 * Math.sqrt(transactions) + 100)) return `${said}: not ${localPart * 100} % on local`;
  return undefined;
}

/** The reverse stream's backlog would be worked off in the next run, at its cost. */
async function settle(variant: Variant, signal: AbortSignal): Promise<void> {
  const [source, local] = [await clientOf(variant.stack, 'source'), await clientOf(variant.stack, 'local')];
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while ((await countWrites(source, variant.onLocal)) !== (await countWrites(local, variant.onLocal))) {
    if (performance.now() > deadline) throw new Error(`the reverse stream has not caught up after ${SETTLE_LIMIT_MS} ms`);
    await delay(100, undefined, { signal });
  }
}
