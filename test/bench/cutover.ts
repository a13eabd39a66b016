/**
 * Cutover of a group under load: how long each parked unit waited. Two tables tied by a foreign key, writers in short
 * transactions through the gateway, the group cut over and rolled back several times; a unit counts as parked when its
 * own time overlaps the pause that the product reports.
 *
 * The last part holds a writer open past TIMEOUT: the cutover has to undo itself and name the session.
 */
import pg from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { Stack } from '../e2e/support/stack.ts';

const CLIENTS = Number(process.env['BENCH_CLIENTS'] ?? 12);
const TARGET_TPS = Number(process.env['BENCH_TPS'] ?? 1_100);
const CYCLES = Number(process.env['BENCH_CYCLES'] ?? 4);
const ROWS = 20_000;

const sourceSql = `
CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE movement (id bigserial PRIMARY KEY, account_id integer NOT NULL REFERENCES account, amount integer NOT NULL, at timestamptz NOT NULL DEFAULT now());
INSERT INTO account SELECT g, 1000 FROM generate_series(1, ${ROWS}) g;
GRANT SELECT, INSERT, UPDATE, DELETE ON account, movement TO app; GRANT USAGE ON SEQUENCE movement_id_seq TO app;`;

interface Unit {
  readonly from: number;
  readonly to: number;
}

interface SwitchFigures {
  readonly command: string;
  readonly reportedPauseMs: number;
  readonly parked: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly tpsBefore: number;
}

export async function run(): Promise<void> {
  await using stack = await Stack.start({ sourceSql });
  await stack.migrate('public');
  const stop = new AbortController();
  const units: Unit[] = [];
  const errors: string[] = [];
  const writers = Array.from({ length: CLIENTS }, (_, index) => write(stack, index, units, errors, stop.signal));
  await delay(3_000);
  const figures: SwitchFigures[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    figures.push(await measure(stack, 'CUTOVER GROUP OF account', units));
    await delay(1_500);
    figures.push(await measure(stack, 'ROLLBACK MIGRATION FOR GROUP OF account PRESERVE LOCAL DATA', units));
    await delay(1_500);
    await stack.makeReady('public');
  }
  stop.abort();
  await Promise.all(writers);
  const overdue = await holdPastTimeout(stack);
  print(figures, errors, overdue);
}

async function write(stack: Stack, index: number, units: Unit[], errors: string[], signal: AbortSignal): Promise<void> {
  const client = await stack.connect('app');
  const everyMs = (CLIENTS * 1000) / TARGET_TPS;
  let next = performance.now() + (everyMs * index) / CLIENTS;
  while (!signal.aborted) {
    const wait = next - performance.now();
    if (wait > 1) await delay(wait);
    next = Math.max(next + everyMs, performance.now() - 1_000);
    const account = 1 + Math.floor(Math.random() * ROWS);
    const from = performance.now();
    try {
      await transaction(client, account);
      units.push({ from, to: performance.now() });
    } catch (error) {
      errors.push(error instanceof Error ? error.message : String(error));
      await client.query('ROLLBACK').catch(() => undefined);
    }
  }
  await client.end();
}

/** One write transaction: two statements that touch both tables. */
async function transaction(client: pg.Client, account: number): Promise<void> {
  await client.query('BEGIN');
  await client.query({ name: 'move', text: 'INSERT INTO movement (account_id, amount) VALUES ($1, 1)', values: [account] });
  await client.query({ name: 'add', text: 'UPDATE account SET balance = balance + 1 WHERE id = $1', values: [account] });
  await client.query('COMMIT');
}

async function measure(stack: Stack, command: string, units: Unit[]): Promise<SwitchFigures> {
  const before = performance.now();
  const tpsBefore = units.filter((unit) => unit.to > before - 1_000).length;
  const [row] = await stack.command<Record<string, string>>(command);
  const end = performance.now();
  await delay(500);
  const pause = Number(row?.['Pause (ms)'] ?? 0);
  // The pause ends shortly before the answer; units that overlap its span were parked, or began or ended at its edge.
  const overlapping = units.filter((unit) => unit.to > end - pause - 50 && unit.from < end).map((unit) => unit.to - unit.from).filter((ms) => ms > pause / 4);
  const sorted = overlapping.sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { command: command.split(' ')[0] ?? '', reportedPauseMs: pause, parked: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), tpsBefore };
}

interface Overdue {
  readonly error: string;
  readonly namesSession: boolean;
  readonly undone: boolean;
}

async function holdPastTimeout(stack: Stack): Promise<Overdue> {
  const holder = await stack.connect('app');
  await holder.query('BEGIN');
  await holder.query('UPDATE account SET balance = balance WHERE id = 1');
  let failure: pg.DatabaseError | undefined;
  try {
    await stack.command('CUTOVER GROUP OF account TIMEOUT 2');
  } catch (error) {
    if (error instanceof pg.DatabaseError) failure = error;
  }
  await holder.query('COMMIT');
  await holder.end();
  const states = new Set((await stack.status()).map((row) => row.State));
  return { error: failure?.message ?? 'none', namesSession: /Session of app at .*UPDATE account/.test(failure?.detail ?? ''), undone: states.size === 1 && states.has('CUTOVER_READY') };
}

function print(figures: readonly SwitchFigures[], errors: readonly string[], overdue: Overdue): void {
  console.log('command    tps before   reported pause   parked     p50      p99      max  (ms)');
  for (const each of figures) {
    console.log(`${each.command.padEnd(10)} ${String(each.tpsBefore).padStart(10)} ${each.reportedPauseMs.toFixed(1).padStart(16)} ${String(each.parked).padStart(8)} ${each.p50Ms.toFixed(1).padStart(7)} ${each.p99Ms.toFixed(1).padStart(8)} ${each.maxMs.toFixed(1).padStart(8)}`);
  }
  console.log(`client errors: ${errors.length}${errors.length === 0 ? '' : ` (${errors[0]})`}`);
  console.log(`over TIMEOUT: ${overdue.error}; names the session: ${overdue.namesSession}; undone: ${overdue.undone}`);
  const cutovers = figures.filter((each) => each.command === 'CUTOVER');
  const worst = (pick: (each: SwitchFigures) => number): number => Math.max(...cutovers.map(pick));
  console.log(JSON.stringify({
    bench: 'cutover', clients: CLIENTS, targetTps: TARGET_TPS, tps: Math.min(...cutovers.map((each) => each.tpsBefore)), cutovers: cutovers.length,
    p99Ms: worst((each) => each.p99Ms), maxMs: worst((each) => each.maxMs), pauseMs: worst((each) => each.reportedPauseMs), p99Ratio: worst((each) => each.p99Ms) / 250,
    clientErrors: errors.length, overTimeoutNamesSession: overdue.namesSession, overTimeoutUndone: overdue.undone, switches: figures,
  }));
}
