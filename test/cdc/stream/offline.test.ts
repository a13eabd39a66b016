/**
 * While the target is down its changes go to the spool, and the source forgets them; when it is back everything is applied, once, and the tables
 * are shared again, whatever ended in between.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createChangeStream } from '../../../cdc/postgres/change-stream.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { PostgresStreamOptions } from '../../../cdc/postgres/change-stream.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { contents, planOf, streamOptions, testRuntime, until } from './fixture.ts';

let sourceServer: TestPostgres;
let targetServer: TestPostgres;
let source: Client;
let options: PostgresStreamOptions;
let stream: OpenedStream;
let abort: AbortController;
let running: Promise<void>;
let plans: readonly TablePlan[];
let number = 0;
const conflicts: unknown[] = [];

beforeAll(async () => {
  [sourceServer, targetServer] = await Promise.all([startTestPostgres(), startTestPostgres({ durable: true })]);
});
afterAll(async () => {
  await Promise.all([sourceServer, targetServer].map((server) => server[Symbol.asyncDispose]()));
});

beforeEach(async () => {
  number += 1;
  conflicts.length = 0;
  await sourceServer.createDatabase(`o${number}`);
  await targetServer.createDatabase(`o${number}`);
  source = await sourceServer.client(`o${number}`);
  const tables = 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, v text)';
  await source.query(tables);
  await (await targetServer.client(`o${number}`)).query(tables);
  options = streamOptions({
    source: { ...sourceServer.address, database: `o${number}` }, target: { ...targetServer.address, database: `o${number}` },
    spoolDirectory: fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-')), slotName: `offline${number}`, offlineAfterMs: 200, onConflict: (conflict) => conflicts.push(conflict),
  });
  plans = await Promise.all(['a', 'b', 'c'].map((name) => planOf(source, name)));
  start();
  for (const plan of plans) await stream.addTable(plan);
  // a and b are shared, c is being loaded.
  for (const plan of plans.slice(0, 2)) await stream.startDraining(plan.tableId);
  await until('shared', () => modes().slice(0, 2).every((mode) => mode === 'shared'));
});
afterEach(async () => {
  await stop();
  fs.rmSync(options.spoolDirectory, { recursive: true, force: true });
});

const modes = (): (string | undefined)[] => plans.map(({ tableId }) => stream.status(tableId)?.mode);

function start(restored: readonly TablePlan[] = []): void {
  abort = new AbortController();
  const { signal } = abort;
  const current = createChangeStream(testRuntime(signal), options);
  stream = current;
  current.restore(restored.map((plan, index) => ({ plan, mode: index < 2 ? 'draining' : 'spooling', intervals: [] })));
  running = (async () => {
    while (!signal.aborted) {
      await current.run(signal).catch(() => undefined);
      await delay(50);
    }
  })();
}
async function stop(): Promise<void> {
  abort.abort();
  await running;
  await stream.close();
}

/** Writes to all tables, and resolves once the source has been told that it may forget that. */
async function writeAndForget(round: number): Promise<void> {
  for (const name of ['a', 'b', 'c']) {
    await source.query(`INSERT INTO ${name} SELECT g, 'round ${round}' FROM generate_series($1::int, $1::int + 99) g`, [round * 100]);
    await source.query(`UPDATE ${name} SET v = v || ' and ${round}' WHERE id % 7 = 0; DELETE FROM ${name} WHERE id % 31 = ${round}`);
  }
  const { rows: [end] } = await source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  const isForgotten = async (): Promise<boolean> => (await source.query("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn", [options.slotName, end?.lsn])).rowCount === 1;
  await until(`round ${round} is confirmed`, isForgotten);
}

async function expectSame(): Promise<void> {
  await stream.startDraining('id-c');
  await until('all are shared', () => modes().every((mode) => mode === 'shared'), 30_000);
  await stream.waitForMarker(await stream.writeMarker(), plans.map(({ tableId }) => tableId), 20_000);
  const target = await targetServer.client(`o${number}`);
  for (const name of ['a', 'b', 'c']) expect(await contents(target, name)).toEqual(await contents(source, name));
  expect(conflicts).toEqual([]);
}

test('the source does not wait for a target that is down', { timeout: 60_000 }, async () => {
  await writeAndForget(1);
  await targetServer.stop('immediate');
  await writeAndForget(2);
  const marker = await stream.writeMarker();
  await writeAndForget(3);
  expect(stream.health().connected).toBe(false);
  expect(stream.health().spoolBytes).toBeGreaterThan(10_000);
  await targetServer.restart();
  await until('connected again', () => stream.health().connected, 30_000);
  // It was read while nobody could apply what came before it, and is not sent again.
  await stream.waitForMarker(marker, plans.slice(0, 2).map(({ tableId }) => tableId), 20_000);
  await source.query("INSERT INTO a VALUES (0, 'later')");
  await expectSame();
  expect(JSON.parse(fs.readFileSync(path.join(options.spoolDirectory, 'spool.json'), 'utf8'))).not.toHaveProperty('offlineFrom');
});

test('nor does it matter who else ends meanwhile: the process, the target once more', { timeout: 90_000 }, async () => {
  await writeAndForget(1);
  await targetServer.stop('immediate');
  await writeAndForget(2);
  await stop();
  await targetServer.restart();
  start(plans);
  await until('connected again', () => stream.health().connected, 30_000);
  await targetServer.stop('immediate');
  await writeAndForget(3);
  // The process ends while the target is down, and the next one has never seen it up.
  await stop();
  start(plans);
  await source.query("INSERT INTO b VALUES (0, 'nobody reads this yet')");
  await delay(500);
  await targetServer.restart();
  await until('connected again', () => stream.health().connected, 30_000);
  await expectSame();
});
