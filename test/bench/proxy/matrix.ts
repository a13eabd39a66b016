/** The first part: pgbench's own scripts on the source, straight and through each peer. */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { Stack } from '../../e2e/support/stack.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { Sample } from './figures.ts';
import type { ProxyOptions, Workload } from './options.ts';
import { startPeers, userOf } from './peers.ts';
import type { Absent, Peer } from './peers.ts';
import { runLoad, runPgbench } from './pgbench.ts';
import { meter } from './process-time.ts';
import { Rounds } from './rounds.ts';
import type { Cell, Contender } from './rounds.ts';

/** Through each peer before the first run that counts: a Node.js process compiles what it meets often. */
export const WARM_UP_SECONDS = 3;

/** Of the built-in scripts; tpcb-like sends BEGIN, three UPDATEs, a SELECT, an INSERT and END. */
const statements: Readonly<Record<string, number>> = { select: 1, tpcb: 7 };

export interface MatrixNotes {
  readonly absent: readonly Absent[];
  readonly failed: readonly Absent[];
  readonly versions: Readonly<Record<string, string>>;
}

export const matrixWorkloads: readonly Workload[] = ['select', 'tpcb'];

export function matrixCells(options: ProxyOptions): readonly Cell[] {
  return matrixWorkloads.filter((workload) => options.workloads.includes(workload))
    .flatMap((workload) => options.modes.flatMap((mode) => options.clients.map((clients) => ({ workload, mode, clients }))));
}

/** `note` is told what is missing before the first run. */
export async function measureMatrix(options: ProxyOptions, folder: string, rounds: Rounds, note: (notes: MatrixNotes) => void, signal: AbortSignal): Promise<void> {
  const scale = options.scale === 0 ? Math.max(10, ...options.clients) : options.scale;
  await using stack = await startMatrixStack(options, scale);
  signal.throwIfAborted();
  const source = { port: stack.source.address.port, user: 'app', database: stack.gateway.database };
  process.stderr.write(`filling pgbench's tables, scale ${scale}\n`);
  await runPgbench(['-i', '-q', '-s', String(scale)], source, signal);
  const admin = await stack.direct('source');
  await admin.query('CHECKPOINT');
  await using started = await startPeers(stack, options);
  note({ absent: started.absent, failed: started.failed, versions: { ...started.versions, postgres: await versionOf(admin) } });
  for (const peer of started.peers) await runLoad({ ...load(peer.target, { workload: 'select', mode: 'simple', clients: 8 }), seconds: WARM_UP_SECONDS }, signal);
  await rounds.run(matrixCells(options), started.peers.map((peer) => contenderOf(peer)), options.rounds, signal);

  function load(target: Peer['target'], { workload, mode, clients }: Cell): Parameters<typeof runLoad>[0] {
    const isShort = workload === 'select';
    return { target, what: isShort ? ['-S'] : ['-b', 'tpcb-like'], mode, clients, threads: options.threads, seconds: options.seconds, sampling: isShort ? 0.2 : 1, folder };
  }

  function contenderOf(peer: Peer): Contender {
    return {
      name: peer.name,
      notPossible: (cell) => peer.notPossible(cell),
      measure: async (cell, round): Promise<Sample> => {
        if (cell.workload === 'tpcb') await tidy(admin);
        const workers = peer.name.startsWith('gateway') ? stack.product.pids('worker') : [];
        const count = meter(peer.pids, workers);
        const figures = await runLoad(load(peer.target, cell), signal);
        const used = count(figures.transactions * (statements[cell.workload] ?? 1));
        if (cell.workload === 'tpcb') await checkHistory(admin, figures.transactions);
        if (used.cpuUsPerStatement === 0 && figures.transactions > 2_000) throw new Error('used no processor time: the load went elsewhere');
        return { round, ...figures, ...used };
      },
    };
  }
}

async function startMatrixStack(options: ProxyOptions, scale: number): Promise<Stack> {
  // All of pgbench's tables fit, so that what is measured is the way there; idle connections of the pools count as well as the clients'.
  const settings = { shared_buffers: `${128 + 18 * scale}MB`, max_connections: 1_000, max_wal_size: '8GB', checkpoint_timeout: '30min', autovacuum: 'off' };
  const userAs = (name: string, role: string, more: object = {}): object => ({ name, trust_from: ['127.0.0.1/32'], source: { user: role }, local: { user: role }, ...more });
  const users = [userAs('operator', 'postgres', { operator: true }), userAs('app', 'app'), ...(['transaction', 'pipeline'] as const).map((mode) => userAs(userOf(mode), 'app', { pool_mode: mode }))];
  const before = process.env['NODE_OPTIONS'];
  if (options.profile !== '') process.env['NODE_OPTIONS'] = `--cpu-prof --cpu-prof-dir=${options.profile}`;
  try {
    return await Stack.start({ sourceSql: 'SELECT', workers: options.processes, startServer: (side) => startTestPostgres(side === 'source' ? { settings } : {}), settings: { lease_ms: 3_000, log: { level: 'warn' }, users } });
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
}

/** What pgbench does itself before a run, but over a connection of its own, so that every peer begins with the same tables. */
async function tidy(admin: pg.Client): Promise<void> {
  await admin.query('VACUUM pgbench_branches');
  await admin.query('VACUUM pgbench_tellers');
  await admin.query('TRUNCATE pgbench_history');
}

/** Each transaction that pgbench counts has left a row; a connection that is just closing may still have to commit. */
async function checkHistory(admin: pg.Client, transactions: number): Promise<void> {
  let rows = 0;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    rows = Number((await admin.query<{ rows: string }>('SELECT count(*) AS rows FROM pgbench_history')).rows[0]?.rows);
    if (rows === transactions) return;
    await delay(50);
  }
  throw new Error(`pgbench counted ${transactions} transactions, the source has ${rows} of them`);
}

async function versionOf(client: pg.Client): Promise<string> {
  return (await client.query<{ server_version: string }>('SHOW server_version')).rows[0]?.server_version ?? '';
}
