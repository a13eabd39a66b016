/**
 * `npm run demo`: the whole life of a migration, unattended and under traffic: START → LOCAL_ONLY → ROLLBACK → LOCAL_ONLY, with
 * every acknowledged write counted at the end. The product runs as a process of its own; the demo is one more client.
 * Exit code 0 = everything held.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { readCommandLine } from '../../config/command-line.ts';
import { demoReport } from './demo-report.ts';
import type { DemoFindings, DemoSwitch, DemoTable } from './demo-report.ts';
import { runTraffic } from './sample/traffic.ts';
import type { TrafficStats } from './sample/traffic.ts';
import { verifyTraffic } from './sample/verify-traffic.ts';

const CONNECTIONS = 10;
const TARGET_TPS = 360;
const BETWEEN_PHASES_MS = 4_000;
const PHASE_LIMIT_MS = 600_000;

export async function runDemo(main: string, project: string, args: readonly string[]): Promise<number> {
  const { overrides } = readCommandLine(args);
  const state = overrides.stateDirectory ?? path.join(project, '.causeway', 'demo');
  fs.rmSync(state, { recursive: true, force: true });
  const port = overrides.port ?? 7432;
  const product = await startProduct(main, [...args.filter((arg) => arg !== '--'), '--state-directory', state]);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  const operator = new Operator(port);
  try {
    await operator.connect();
    let latest: TrafficStats | undefined;
    const traffic = runTraffic({
      host: '127.0.0.1', port, user: 'app', database: 'shop', connections: CONNECTIONS, targetTps: TARGET_TPS, signal: stop.signal,
      onStats: (stats) => void (latest = stats),
    });
    const progress = setInterval(() => say(trafficLine(latest)), 5_000);
    try {
      const findings = await walk(operator);
      stop.abort();
      const { stats, ledger } = await traffic;
      clearInterval(progress);
      const local = new pg.Client({ host: '127.0.0.1', port, user: 'app', database: 'shop' });
      await local.connect();
      const verdict = await verifyTraffic(ledger, local);
      await local.end();
      const { text, held } = demoReport({ ...findings, stats, verdict });
      say(text);
      return held ? 0 : 1;
    } finally {
      clearInterval(progress);
      stop.abort();
      await traffic.catch(() => undefined);
    }
  } catch (error) {
    const said = error instanceof pg.DatabaseError ? [error.detail, error.hint].filter((line) => line !== undefined).map((line) => `\n${line}`).join('') : '';
    say(`\ndemo failed: ${error instanceof Error ? error.message : String(error)}${said}`);
    return 1;
  } finally {
    await operator.end();
    await stopProduct(product);
  }
}

async function walk(operator: Operator): Promise<DemoFindings> {
  const began = Date.now();
  await delay(BETWEEN_PHASES_MS);
  await operator.say('START MIGRATION FOR SCHEMA public FROM legacy');
  const loaded = await operator.untilAll(['DUAL_WRITE', 'CUTOVER_READY']);
  const tables = await operator.loads();
  await delay(BETWEEN_PHASES_MS);
  const switches: DemoSwitch[] = [];
  let mismatches = await operator.validate();
  switches.push(...(await operator.switchAll('CUTOVER GROUP OF', 'CUTOVER_READY')));
  await delay(BETWEEN_PHASES_MS);
  switches.push(...(await operator.switchAll('ROLLBACK MIGRATION FOR GROUP OF', 'LOCAL_ONLY', ' PRESERVE LOCAL DATA')));
  await operator.untilAll(['DUAL_WRITE', 'CUTOVER_READY']);
  await delay(BETWEEN_PHASES_MS);
  mismatches += await operator.validate();
  switches.push(...(await operator.switchAll('CUTOVER GROUP OF', 'CUTOVER_READY')));
  await delay(BETWEEN_PHASES_MS);
  mismatches += await operator.validate();
  return { tables, switches, mismatches, loadMs: loaded, totalMs: Date.now() - began };
}

/** The operator at psql, as a program. */
class Operator {
  readonly #client: pg.Client;

  constructor(port: number) {
    this.#client = new pg.Client({ host: '127.0.0.1', port, user: 'operator', database: 'shop' });
    this.#client.on('error', () => undefined);
  }

  connect(): Promise<void> {
    return this.#client.connect().then(() => undefined);
  }

  end(): Promise<void> {
    return this.#client.end().catch(() => undefined);
  }

  async rows(sql: string): Promise<readonly Record<string, string | null>[]> {
    return (await this.#client.query<Record<string, string | null>>(sql)).rows;
  }

  async say(sql: string): Promise<readonly Record<string, string | null>[]> {
    say(`\nshop=> ${sql};`);
    const began = Date.now();
    const rows = await this.rows(sql);
    say(`        ${rows.length} rows, ${Date.now() - began} ms`);
    return rows;
  }

  /** Returns how long it took, ms. */
  async untilAll(states: readonly string[]): Promise<number> {
    const began = Date.now();
    let shown = '';
    for (;;) {
      const status = await this.rows('SHOW MIGRATION STATUS');
      const counts = new Map<string, number>();
      for (const row of status) counts.set(row['State'] ?? '', (counts.get(row['State'] ?? '') ?? 0) + 1);
      const line = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
      if (line !== shown) say(`        ${((Date.now() - began) / 1000).toFixed(1)} s: ${line}`);
      shown = line;
      const bad = status.find((row) => row['State'] === 'ERROR');
      if (bad) throw new Error(`${bad['Table']} is in ERROR: ${JSON.stringify(await this.rows(`SHOW MIGRATION WHY FOR TABLE ${bad['Table']}`))}`);
      if (status.length > 0 && status.every((row) => states.includes(row['State'] ?? ''))) return Date.now() - began;
      if (Date.now() - began > PHASE_LIMIT_MS) throw new Error(`not ${states.join(' or ')} within ${PHASE_LIMIT_MS / 1000} s: ${line}`);
      await delay(250);
    }
  }

  async loads(): Promise<readonly DemoTable[]> {
    const tables: DemoTable[] = [];
    for (const { Table: name } of await this.rows('SHOW MIGRATION STATUS')) {
      const details = await this.rows(`SHOW MIGRATION STATUS FOR TABLE ${name}`);
      const item = (wanted: string): string => details.find((row) => row['Section'] === 'Bulk Load' && row['Item'] === wanted)?.['Value'] ?? '-';
      tables.push({ name: name ?? '', rows: item('Total Rows'), rate: item('Rate') });
    }
    return tables;
  }

  /** Returns the rows that differ. */
  async validate(): Promise<number> {
    const rows = await this.say('VALIDATE MIGRATION FOR SCHEMA public FULL');
    const failed = rows.filter((row) => row['Result'] !== 'PASS');
    for (const row of failed) say(`        ${row['Table']}: ${row['Mismatches']} rows differ`);
    return rows.reduce((sum, row) => sum + Number(row['Mismatches'] ?? 0), 0);
  }

  /** Every group that has a table in `state`, one command each. */
  async switchAll(command: string, state: string, words = ''): Promise<readonly DemoSwitch[]> {
    const groups = new Map<string, string>();
    for (const row of await this.rows('SHOW MIGRATION GROUPS')) if (row['State'] === state && !groups.has(row['Group'] ?? '')) groups.set(row['Group'] ?? '', row['Table'] ?? '');
    const switches: DemoSwitch[] = [];
    for (const table of groups.values()) {
      const [row] = await this.say(`${command} ${table}${words}`);
      const made = { command: command.startsWith('CUTOVER') ? 'cutover' : 'rollback', tables: row?.['Tables'] ?? '', pauseMs: Number(row?.['Pause (ms)'] ?? 0), steps: row?.['Steps (ms)'] ?? '' };
      say(`        pause ${made.pauseMs} ms: ${made.steps}`);
      switches.push(made);
    }
    return switches;
  }
}

function trafficLine(stats: TrafficStats | undefined): string {
  if (!stats) return 'traffic: starting';
  const errors = Object.entries(stats.errorMessages).map(([code, message]) => `\n         ${code}: ${message}`).join('');
  return `traffic: ${stats.writesPerSecond} writes/s, ${stats.writes} acknowledged, ${stats.reads} reads, ${stats.errorCount} errors, ${stats.serializationFailures} serialisation failures, write p99 ${stats.writeLatency.p99Ms.toFixed(1)} ms${errors}`;
}

async function startProduct(main: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [main, 'start', ...args], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the gateway ended with code ${code} before it was ready`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      if (text.includes('Causeway is ready')) resolve();
      else process.stdout.write(text);
    });
  });
  return child;
}

async function stopProduct(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await ended;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
