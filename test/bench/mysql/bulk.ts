/** Part `bulk`: one table from MariaDB to PostgreSQL with its primary key, by the loader and by pgloader, each in a process of its own from its start to its end. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type pg from 'pg';
import type { MysqlLoadJob } from '../../cdc/mysql/load-child.ts';
import { makeMysqlPair } from '../../cdc/mysql/mysql-pair.ts';
import type { MysqlPair } from '../../cdc/mysql/mysql-pair.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { findTool } from '../../support/tools.ts';
import { spreadOf } from '../proxy/figures.ts';
import { numbersUpTo, serverSettings } from './item-table.ts';
import { runMeasured } from './measured-process.ts';
import type { ProcessFigures } from './measured-process.ts';

export interface BulkRound {
  readonly round: number;
  readonly workers: number;
  readonly loader: ProcessFigures;
  /** Undefined where pgloader is not installed. */
  readonly pgloader: ProcessFigures | undefined;
}

const loadChild = path.join(import.meta.dirname, '../../cdc/mysql/load-child.ts');
const table = `CREATE TABLE bulk (id bigint NOT NULL PRIMARY KEY, customer int unsigned NOT NULL, placed datetime NOT NULL, changed timestamp NULL, amount decimal(12,2) NOT NULL, rate double, code char(36) NOT NULL,
  status enum('new', 'paid', 'shipped', 'returned') NOT NULL, note text, picture varbinary(64), born date, paid tinyint(1) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`;

const fill = (rows: number): string => `SET time_zone = '+00:00'; INSERT INTO bulk SELECT n, n % 50000, '2024-01-01' + INTERVAL n SECOND, IF(n % 5 = 0, NULL, '2024-01-01' + INTERVAL n * 7 SECOND), (n % 100000) / 7.0, n / 3.0,
  INSERT(INSERT(INSERT(INSERT(MD5(n), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-'), ELT(1 + n % 4, 'new', 'paid', 'shipped', 'returned'), IF(n % 3 = 0, NULL, CONCAT('Größe und \\\\ note ', MD5(n * 7))), UNHEX(MD5(n)),
  '1970-01-01' + INTERVAL n % 20000 DAY, n % 2 FROM (${numbersUpTo(rows)}) AS numbers ORDER BY n`;

export async function measureBulk(rows: number, rounds: number): Promise<readonly BulkRound[]> {
  const pgloader = findTool('pgloader');
  await using server = await startMysql('mariadb-10.11', { settings: serverSettings('mariadb-10.11') });
  await using local = await startTestPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
  await using pair = await makeMysqlPair(server, local, 'bulk');
  await server.sql(`${table}; ${fill(rows)}`, pair.database);
  const measured: BulkRound[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const workers of [1, 2]) {
      const sides = { loader: () => runLoader(pair, rows, workers), pgloader: () => (pgloader === undefined ? Promise.resolve(undefined) : runPgloader(pgloader, server, pair, local, rows, workers)) };
      // Who goes first alternates, so that neither always finds the warmer server.
      if (round % 2 === 0) {
        const peer = await sides.pgloader();
        measured.push({ round, workers, loader: await sides.loader(), pgloader: peer });
      } else measured.push({ round, workers, loader: await sides.loader(), pgloader: await sides.pgloader() });
    }
  }
  return measured;
}

async function runLoader(pair: MysqlPair, rows: number, workers: number): Promise<ProcessFigures> {
  await pair.client.query('DROP SCHEMA IF EXISTS causeway CASCADE; DROP TABLE IF EXISTS bulk; CHECKPOINT');
  const job: MysqlLoadJob = { source: pair.source, target: pair.target, plan: await pair.migrate('bulk'), typeMap: '* ON nul_character REJECT', options: { parallelWorkers: workers, batchSize: 100_000 } };
  const figures = await runMeasured(process.execPath, [loadChild, JSON.stringify(job)]);
  await check(pair.client, rows);
  return figures;
}

/** Its own table, made by its own rules, with several readers of one table where it is to have two. */
async function runPgloader(program: string, server: TestMysql, pair: MysqlPair, local: TestPostgres, rows: number, workers: number): Promise<ProcessFigures> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bench-'));
  const database = await local.createDatabase(`pgloader_${Date.now()}`);
  try {
    const { host, port, user } = local.address;
    const several = workers === 1 ? 'concurrency = 1' : `concurrency = ${workers}, multiple readers per thread, rows per range = 100000`;
    fs.writeFileSync(path.join(folder, 'bulk.load'), `LOAD DATABASE FROM mysql://${server.user}:${server.password}@${server.host}:${server.port}/${pair.database}
INTO postgresql://${user}@${host}:${port}/${database}
WITH include drop, create tables, create indexes, reset no sequences, workers = 4, ${several};
`);
    await pair.client.query('CHECKPOINT');
    const figures = await runMeasured(program, ['--root-dir', folder, path.join(folder, 'bulk.load')]);
    const client = await local.client(database);
    try {
      await client.query(`SET search_path = ${pair.database}`);
      await check(client, rows);
    } finally {
      await client.end();
      await pair.client.query(`DROP DATABASE "${database}" WITH (FORCE)`);
    }
    return figures;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function check(client: pg.Client, rows: number): Promise<void> {
  const result = await client.query<{ rows: string; keys: string; amounts: string }>("SELECT count(*)::text AS rows, sum(amount)::text AS amounts, (SELECT count(*) FROM pg_index WHERE indrelid = 'bulk'::regclass AND indisprimary)::text AS keys FROM bulk");
  if (Number(result.rows[0]?.rows) !== rows || result.rows[0]?.keys !== '1') throw new Error(`bench mysql: ${JSON.stringify(result.rows[0])} arrived`);
}

export function printBulk(rows: number, rounds: readonly BulkRound[]): string {
  const lines = ['workers   loader rows/s   pgloader rows/s   ratio (min–max)   loader MB   pgloader MB   loader cpu s   pgloader cpu s'];
  const middle = (values: readonly number[]): number | undefined => spreadOf(values)?.median;
  for (const workers of [1, 2]) {
    const mine = rounds.filter((each) => each.workers === workers);
    const peers = mine.flatMap(({ pgloader }) => pgloader ?? []);
    const ratio = spreadOf(mine.flatMap(({ loader, pgloader }) => (pgloader ? pgloader.seconds / loader.seconds : [])));
    const show = (value: number | undefined, width: number, digits = 0): string => (value === undefined ? '–' : value.toFixed(digits)).padStart(width);
    const rate = (of: readonly ProcessFigures[]): number | undefined => middle(of.map(({ seconds }) => rows / seconds));
    lines.push(`${String(workers).padStart(7)}${show(rate(mine.map(({ loader }) => loader)), 16)}${show(rate(peers), 18)}${(ratio ? `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})` : '–').padStart(18)}${show(middle(mine.map(({ loader }) => loader.maxRssMb)), 12)}${show(middle(peers.map(({ maxRssMb }) => maxRssMb)), 14)}${show(middle(mine.map(({ loader }) => loader.processorSeconds)), 15, 1)}${show(middle(peers.map(({ processorSeconds }) => processorSeconds)), 17, 1)}`);
  }
  if (rounds.every(({ pgloader }) => pgloader === undefined)) lines.push('pgloader: not installed (Debian package pgloader)');
  return lines.join('\n');
}
