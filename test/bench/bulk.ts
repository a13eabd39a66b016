/**
 * `bench bulk`: the loader against `psql -c 'COPY … TO STDOUT' | psql -c 'COPY … FROM STDIN'` of the same table between the same two
 * servers, the primary key built on both sides, with one stream and with two (the peer's two streams are two block ranges).
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const columns = 'id bigint NOT NULL, customer int NOT NULL, placed timestamptz NOT NULL, amount numeric(12,2) NOT NULL, rate float8, code uuid NOT NULL, status text NOT NULL, note text, tags text[], extra jsonb, paid boolean NOT NULL';
const fill = `SELECT g, g % 50000, timestamptz '2024-01-01' + g * interval '7 seconds', (g % 100000) / 7.0, g / 3.0, md5(g::text)::uuid,
  (ARRAY['new','paid','shipped','returned'])[1 + g % 4], CASE WHEN g % 3 = 0 THEN NULL ELSE 'note ' || md5((g * 7)::text) END,
  ARRAY['t' || g % 10, 'u' || g % 7], jsonb_build_object('k', g % 1000, 'v', md5((g % 97)::text)), g % 2 = 0 FROM generate_series(1, ${ROWS}) g`;

interface Measured {
  readonly streams: number;
  readonly peerSeconds: number;
  readonly loaderSeconds: number;
  readonly loaderRssMb: number;
}

export async function run(): Promise<void> {
  await using source = await startTestPostgres({ durable: true, settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
  await using target = await startTestPostgres({ durable: true, settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
  const client = await source.client();
  const targetClient = await target.client();
  await client.query(`CREATE TABLE bulk (${columns}, PRIMARY KEY (id)); INSERT INTO bulk ${fill}`);
  await client.query('VACUUM ANALYZE bulk');
  await client.query('CHECKPOINT');
  const rounds: Measured[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const streams of [1, 2]) rounds.push(await measureRound(source, target, client, targetClient, streams, round));
  }
  print(rounds);
}

/** Who goes first alternates, so that neither side always finds the warmer server. */
async function measureRound(source: TestPostgres, target: TestPostgres, client: pg.Client, targetClient: pg.Client, streams: number, round: number): Promise<Measured> {
  const fresh = async (): Promise<void> => {
    await targetClient.query(`DROP TABLE IF EXISTS bulk; CREATE TABLE bulk (${columns})`);
    await targetClient.query('DROP SCHEMA IF EXISTS causeway CASCADE');
    await targetClient.query('CHECKPOINT');
  };
  let peerSeconds = 0;
  let loader = { seconds: 0, rssMb: 0 };
  const peer = async (): Promise<void> => {
    await fresh();
    peerSeconds = await runPeer(source, target, client, targetClient, streams);
    await check(targetClient);
  };
  const ours = async (): Promise<void> => {
    await fresh();
    loader = await runLoader(source, target, streams);
    await check(targetClient);
  };
  for (const side of round % 2 === 0 ? [peer, ours] : [ours, peer]) await side();
  return { streams, peerSeconds, loaderSeconds: loader.seconds, loaderRssMb: loader.rssMb };
}

async function check(client: pg.Client): Promise<void> {
  const result = await client.query<{ rows: string; keys: string }>("SELECT (SELECT count(*) FROM bulk)::text AS rows, (SELECT count(*) FROM pg_index WHERE indrelid = 'bulk'::regclass AND indisprimary)::text AS keys");
  if (Number(result.rows[0]?.rows) !== ROWS || Number(result.rows[0]?.keys) !== 1) throw new Error(`bench bulk: ${JSON.stringify(result.rows[0])} arrived`);
}

async function runPeer(source: TestPostgres, target: TestPostgres, client: pg.Client, targetClient: pg.Client, streams: number): Promise<number> {
  const size = await client.query<{ blocks: string }>("SELECT pg_relation_size('bulk') / 8192 AS blocks");
  const blocks = Number(size.rows[0]?.blocks);
  const started = performance.now();
  await Promise.all(Array.from({ length: streams }, (_, index) => {
    const from = Math.floor((blocks * index) / streams);
    const to = Math.floor((blocks * (index + 1)) / streams) + 1;
    const what = streams === 1 ? 'bulk' : `(SELECT * FROM bulk WHERE ctid >= '(${from},0)' AND ctid < '(${index + 1 === streams ? to : to - 1},0)')`;
    return pipe(psql(source, `COPY ${what} TO STDOUT`), psql(target, 'COPY bulk FROM STDIN'));
  }));
  await targetClient.query('ALTER TABLE bulk ADD PRIMARY KEY (id)');
  return (performance.now() - started) / 1000;
}

function psql(server: TestPostgres, command: string): string {
  const program = fs.existsSync('/usr/lib/postgresql/15/bin/psql') ? '/usr/lib/postgresql/15/bin/psql' : 'psql';
  return `${program} -X -q -h ${server.address.host} -p ${server.address.port} -U ${server.address.user} -d ${server.address.database} -c "${command}"`;
}

function pipe(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', `set -o pipefail; ${from} | ${to}`], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`psql pipe ended with ${code}`))));
  });
}

/** In a process of its own, so that its memory is the loader's alone; its start is not counted, connections are. */
function runLoader(source: TestPostgres, target: TestPostgres, streams: number): Promise<{ seconds: number; rssMb: number }> {
  const program = path.join(path.dirname(fileURLToPath(import.meta.url)), '../cdc/snapshot/load-process.ts');
  const job = JSON.stringify({ source: source.address, target: target.address, table: 'bulk', options: { parallelWorkers: streams, batchSize: Number(process.env['BENCH_BATCH'] ?? 100_000) } });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, job], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) return reject(new Error(`loader ended with ${code}`));
      const last = JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as { elapsedMs: number; maxRssMb: number };
      resolve({ seconds: last.elapsedMs / 1000, rssMb: last.maxRssMb });
    });
  });
}

function print(rounds: readonly Measured[]): void {
  const figures: Record<string, number> = { rows: ROWS, rounds: ROUNDS };
  console.log('streams  psql|psql rows/s  loader rows/s  ratio  loader RSS');
  for (const streams of [1, 2]) {
    const mine = rounds.filter((each) => each.streams === streams);
    const peer = ROWS / median(mine.map((each) => each.peerSeconds));
    const loader = ROWS / median(mine.map((each) => each.loaderSeconds));
    const ratio = median(mine.map((each) => each.peerSeconds / each.loaderSeconds));
    const rss = Math.max(...mine.map((each) => each.loaderRssMb));
    console.log(`${String(streams).padStart(7)}  ${Math.round(peer).toLocaleString('en').padStart(16)}  ${Math.round(loader).toLocaleString('en').padStart(13)}  ${ratio.toFixed(2).padStart(5)}  ${rss.toFixed(0).padStart(7)} MB`);
    Object.assign(figures, { [`peer_rows_per_s_${streams}`]: Math.round(peer), [`loader_rows_per_s_${streams}`]: Math.round(loader), [`ratio_${streams}`]: Number(ratio.toFixed(3)), [`loader_rss_mb_${streams}`]: Math.round(rss) });
  }
  console.log(JSON.stringify({ bench: 'bulk', ...figures }));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
