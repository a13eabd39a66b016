// However often and wherever the process that runs the stream is killed, the target ends with exactly the source's rows.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { contents, planOf, until } from './fixture.ts';
import { randomTransaction, seeded, workloadDdl, workloadTables } from './random-workload.ts';
import type { ChildConfiguration } from './stream-child.ts';

const seed = randomSeed('SEED');
const points = ['after_decode', 'before_commit', 'after_commit', 'before_spool_fsync', 'after_spool_fsync', 'before_confirm', 'join_shared', 'reread'];

let server: TestPostgres;
let source: Client;
let target: Client;
let configuration: ChildConfiguration;
const spoolDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-'));

beforeAll(async () => {
  server = await startTestPostgres();
  await server.createDatabase('crash_source');
  await server.createDatabase('crash_target');
  source = await server.client('crash_source');
  target = await server.client('crash_target');
  await source.query(workloadDdl);
  await target.query(workloadDdl);
  // These rows come to the target by being read again: every change of them leaves `big` out.
  await source.query("INSERT INTO w_reread SELECT g, 0, repeat(chr(65 + g % 26), 5000) FROM generate_series(1, 60) g");
  const plans: TablePlan[] = [];
  for (const name of workloadTables) plans.push(await planOf(source, name));
  configuration = {
    source: { ...server.address, database: 'crash_source' }, target: { ...server.address, database: 'crash_target' }, spoolDirectory,
    slotName: 'crash', plans, isRestless: true, token: '1', name: 'fwd', direction: 'forward', batchChanges: 50,
  };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  fs.rmSync(spoolDirectory, { recursive: true, force: true });
});

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<void>;
}

function startChild(fault: string | undefined, token: number): Child {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'stream-child.ts'), JSON.stringify({ ...configuration, token: String(token) })], {
    env: { ...process.env, ...(fault === undefined ? {} : { CAUSEWAY_FAULT: fault }) }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter((line) => line !== '')));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return { process: child, lines, ended };
}

async function differences(): Promise<string[]> {
  const found: string[] = [];
  for (const name of workloadTables) {
    const [want, have] = [await contents(source, name), await contents(target, name)];
    const wanted = new Set(want);
    const had = new Set(have);
    const clip = (row: string): string => row.slice(0, 80);
    found.push(...want.filter((row) => !had.has(row)).map((row) => `${name} lacks ${clip(row)}`), ...have.filter((row) => !wanted.has(row)).map((row) => `${name} has ${clip(row)}`));
  }
  return found;
}

test(`killed at every fault point and at random times (SEED=${seed})`, { timeout: 240_000 }, async () => {
  const random = seeded(seed);
  const said: string[] = [];
  let child = startChild(undefined, 1);
  await until('ready', () => child.lines.includes('ready'), 30_000);
  let isWriting = true;
  const writers = [1, 2].map(async (number) => {
    const client = await server.client('crash_source');
    const own = seeded(seed + number);
    while (isWriting) {
      await randomTransaction(client, own);
      await new Promise((resolve) => setTimeout(resolve, own() * 10));
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  child.process.kill('SIGKILL');
  await child.ended;
  said.push(...child.lines);
  const reached = new Set<string>();
  for (const [index, point] of [...points, ...points].entries()) {
    const fault = `stream.${point}:crash@${1 + Math.floor(random() * (point === 'after_decode' ? 60 : point.endsWith('commit') ? 30 : 2))}`;
    const running = startChild(fault, index + 2);
    child = running;
    // However long a process takes to start: from here on it is at work.
    await until('ready, or killed', () => running.lines.includes('ready') || running.process.exitCode !== null || running.process.signalCode !== null, 60_000);
    let isImpatient = false;
    const patience = setTimeout(() => {
      isImpatient = true;
      child.process.kill('SIGKILL');
    }, 1500 + random() * 1500);
    await child.ended;
    clearTimeout(patience);
    if (!isImpatient) reached.add(point);
    said.push(...child.lines);
  }
  isWriting = false;
  await Promise.all(writers);
  await source.query('UPDATE w_reread SET v = v + 1');
  child = startChild(undefined, 100);
  await until('ready', () => child.lines.includes('ready'), 30_000);
  child.process.stdin?.write('settle\n');
  await until('settled', () => child.lines.includes('settled'), 150_000).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${child.lines.slice(-12).join(' | ')}`);
  });
  said.push(...child.lines);
  child.process.kill('SIGKILL');
  await child.ended;
  expect(await differences()).toEqual([]);
  expect(said.filter((line) => !['ready', 'settled'].includes(line))).toEqual([]);
  // Most must have been met, or this test proves nothing.
  expect(reached.size, [...reached].join()).toBeGreaterThanOrEqual(5);
  const sizes = await Promise.all(workloadTables.map(async (name) => (await contents(source, name)).length));
  expect(sizes.filter((size) => size > 0).length).toBeGreaterThan(workloadTables.length / 2);
});
