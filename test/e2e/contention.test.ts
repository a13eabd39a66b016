/**
 * RULES 13, 16, 21 and 22, "contention": transactions that stand in the way of a cutover, of each other, and of the applier. Nothing hangs past its
 * bound, no client gets an error but 40001 and 40P01, what is refused is refused with names, and a budget that runs out is undone and explained.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const sourceSql = `
  CREATE SCHEMA beside;
  CREATE TABLE beside.notes (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE parent (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE child (id int PRIMARY KEY, parent_id int NOT NULL REFERENCES parent, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE logs (id int PRIMARY KEY, line text NOT NULL);
  INSERT INTO beside.notes SELECT g FROM generate_series(1, 5) g;
  INSERT INTO parent SELECT g FROM generate_series(1, 20) g;
  INSERT INTO child SELECT g, g FROM generate_series(1, 20) g;
  INSERT INTO logs SELECT g, 'line ' || g FROM generate_series(1, 200) g;
  GRANT USAGE ON SCHEMA beside TO app;
  GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON beside.notes, parent, child, logs TO app`;

/** A writer that ends at once is not waited for longer than this, the slowest machine included. */
const BOUND_MS = 15_000;
const POINT = 'cutover.reverse_ready';
/** What a client may be told: the transaction was given way, and can be run again. */
const gaveWay: readonly (string | undefined)[] = ['40001', '40P01'];

let stack: Stack;
let operator: pg.Client;
const clients: pg.Client[] = [];

beforeAll(async () => {
  stack = await Stack.start({ sourceSql, faultPoints: [POINT] });
  await stack.migrate('public', 'copy_grants TRUE');
  operator = await stack.connect('operator');
});
afterEach(async () => {
  stack.faults.release(POINT);
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});
afterAll(async () => stack[Symbol.asyncDispose]());

async function app(): Promise<pg.Client> {
  const client = await stack.connect('app');
  clients.push(client);
  return client;
}

type Settled = { readonly ok: true; readonly ms: number } | { readonly ok: false; readonly error: pg.DatabaseError; readonly ms: number };

/** How a statement ended, and after how long. An error that is not the server's or the gateway's ends the test. */
async function settle(statement: Promise<unknown>): Promise<Settled> {
  const begunMs = performance.now();
  try {
    await statement;
    return { ok: true, ms: performance.now() - begunMs };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return { ok: false, error, ms: performance.now() - begunMs };
  }
}

function expectDone(settled: Settled, what: string): void {
  expect(settled.ok ? 'done' : `${settled.error.code ?? ''} ${settled.error.message}\n${settled.error.detail ?? ''}`, what).toBe('done');
  expect(settled.ms, what).toBeLessThan(BOUND_MS);
}

/** Sets a cutover off and holds it where its barrier is not up yet. */
async function beforeBarrier(statement: string): Promise<{ readonly cutover: Promise<Settled> }> {
  stack.faults.arm(POINT);
  const cutover = settle(operator.query(statement));
  await Promise.race([stack.faults.reached(POINT, BOUND_MS), cutover.then((early) => expect.fail(`answered before the barrier: ${JSON.stringify(early)}`))]);
  return { cutover };
}

/** Lets it go on, until new units that touch the table wait. */
async function raiseBarrier(table: string): Promise<void> {
  stack.faults.release(POINT);
  await expect.poll(async () => JSON.stringify(await stack.command(`EXPLAIN ROUTE UPDATE ${table} SET n = n WHERE id = 1`)), { timeout: BOUND_MS, interval: 10 }).toMatch(/waits for the change of routing/);
}

async function state(table: string): Promise<string | undefined> {
  return (await stack.status()).find((row) => row.Table.endsWith(table))?.State;
}

async function groupBack(): Promise<void> {
  await stack.command('ROLLBACK MIGRATION FOR GROUP OF parent PRESERVE LOCAL DATA');
  await stack.makeReady('public');
}

async function valueOf(side: 'source' | 'local', table: string, id: number): Promise<number> {
  const reader = await stack.direct(side);
  const { rows } = await reader.query<{ n: string }>(`SELECT n FROM ${table} WHERE id = $1`, [id]);
  await reader.end();
  return Number(rows[0]?.n);
}

it('a child alone is refused with the names of its ties', { timeout: 60_000 }, async () => {
  const refused = await settle(operator.query('CUTOVER TABLE child'));
  if (refused.ok) return expect.fail('a tied table was moved by itself');
  expect(refused.error.message).toMatch(/^MIG050: public\.child: public\.parent is tied to it/);
  expect(refused.error.hint).toMatch(/CUTOVER GROUP OF public\.child.*SPLIT/);
  expect([await state('child'), await state('parent')]).toEqual(['CUTOVER_READY', 'CUTOVER_READY']);
});

it('SPLIT moves a child alone, and back', { timeout: 60_000 }, async () => {
  const warnings: string[] = [];
  operator.on('notice', (notice) => void warnings.push(notice.message ?? ''));
  expectDone(await settle(operator.query('CUTOVER TABLE child SPLIT')), 'SPLIT');
  expect(warnings.join('\n')).toMatch(/SPLIT: .*public\.child and public\.parent is no longer enforced/);
  expect([await state('child'), await state('parent')]).toEqual(['LOCAL_ONLY', 'CUTOVER_READY']);
  const client = await app();
  await client.query('UPDATE child SET n = n + 1 WHERE id = 20');
  await client.query('UPDATE parent SET n = n + 1 WHERE id = 20');
  expect([await valueOf('local', 'child', 20), await valueOf('source', 'parent', 20)]).toEqual([1, 1]);
  await stack.command('ROLLBACK MIGRATION FOR TABLE child PRESERVE LOCAL DATA');
  await stack.makeReady('public');
  expect(await valueOf('source', 'child', 20)).toBe(1);
});

it('opposite lock orders get through; a real deadlock costs one of two', { timeout: 60_000 }, async () => {
  const [down, up, crossed, waiting] = [await app(), await app(), await app(), await app()];
  await Promise.all([down, up, crossed].map((client) => client.query('BEGIN')));
  const { cutover } = await beforeBarrier('CUTOVER GROUP OF parent');
  await down.query('UPDATE parent SET n = n + 1 WHERE id = 1');
  await up.query('UPDATE child SET n = n + 1 WHERE id = 1');
  await crossed.query('UPDATE child SET n = n + 1 WHERE id = 2');
  await raiseBarrier('parent');
  const parked = settle(waiting.query('UPDATE parent SET n = n + 1 WHERE id = 3'));
  // `down` and `up` want each other's row, `crossed` a row of the other table that nobody has.
  const seconds = await Promise.all([
    settle(down.query('UPDATE child SET n = n + 1 WHERE id = 1')), settle(up.query('UPDATE parent SET n = n + 1 WHERE id = 1')), settle(crossed.query('UPDATE parent SET n = n + 1 WHERE id = 2')),
  ]);
  const failed = seconds.filter((each) => !each.ok);
  expect(failed.map((each) => each.error.code)).toEqual(['40P01']);
  expectDone(seconds[2], 'the transaction that nobody stands in the way of');
  await Promise.all([down, up, crossed].map((client) => client.query('COMMIT')));
  expectDone(await cutover, 'the cutover');
  expectDone(await parked, 'the unit that waited');
  expect([await valueOf('local', 'parent', 1), await valueOf('local', 'child', 1), await valueOf('local', 'parent', 2), await valueOf('local', 'child', 2), await valueOf('local', 'parent', 3)]).toEqual([1, 1, 1, 1, 1]);
  await groupBack();
});

it('a transaction that has read one table of the group writes another while the barrier is up', { timeout: 60_000 }, async () => {
  const [reader, writer] = [await app(), await app()];
  await reader.query('BEGIN');
  await writer.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const { cutover } = await beforeBarrier('CUTOVER GROUP OF parent');
  await reader.query('SELECT n FROM parent WHERE id = 4');
  await writer.query('SELECT n FROM child WHERE id = 5');
  await raiseBarrier('child');
  const written = [await settle(reader.query('UPDATE child SET n = n + 1 WHERE id = 4')), await settle(writer.query('UPDATE parent SET n = n + 1 WHERE id = 5'))];
  const ended = [await settle(reader.query('COMMIT')), await settle(writer.query('COMMIT'))];
  for (const each of [...written, ...ended]) if (!each.ok) expect(gaveWay, each.error.message).toContain(each.error.code);
  expectDone(await cutover, 'the cutover');
  expect([await valueOf('local', 'child', 4), await valueOf('local', 'parent', 5)]).toEqual(written.map((each) => (each.ok ? 1 : 0)));
  await groupBack();
});

it('a writer that is idle in a transaction on another table holds nothing up', { timeout: 60_000 }, async () => {
  const [idle, busy] = [await app(), await app()];
  await idle.query('BEGIN');
  await idle.query('UPDATE beside.notes SET n = n + 1 WHERE id = 1');
  expectDone(await settle(operator.query('CUTOVER GROUP OF parent TIMEOUT 10')), 'the cutover');
  expectDone(await settle(busy.query('UPDATE parent SET n = n + 1 WHERE id = 6')), 'a client');
  await idle.query('UPDATE beside.notes SET n = n + 1 WHERE id = 2');
  await idle.query('COMMIT');
  expect([await valueOf('source', 'beside.notes', 1), await valueOf('local', 'parent', 6)]).toEqual([1, 1]);
  await groupBack();
});

it('over TIMEOUT with an open writer it is undone, and says who: session, user, address, backend and statement', { timeout: 60_000 }, async () => {
  const [open, waiting] = [await app(), await app()];
  const { rows } = await open.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await open.query('BEGIN');
  await open.query('UPDATE parent SET n = n + 1 WHERE id = 7');
  const cutover = settle(operator.query('CUTOVER GROUP OF parent TIMEOUT 1.5'));
  await raiseBarrier('child');
  const parked = settle(waiting.query('UPDATE child SET n = n + 1 WHERE id = 7'));
  const undone = await cutover;
  if (undone.ok) return expect.fail('the cutover went through under an open writer');
  expect(undone.error.message).toMatch(/^MIG05[12]/);
  expect(undone.error.detail).toMatch(new RegExp(`Session \\S*.*of app at 127\\.0\\.0\\.1 \\(backend ${rows[0]?.pid ?? '?'}\\) has been open for [\\d.]+ s: UPDATE parent`));
  expect(undone.ms).toBeLessThan(BOUND_MS);
  expectDone(await parked, 'the unit that waited');
  expect(await state('parent')).toBe('CUTOVER_READY');
  expectDone(await settle(open.query('UPDATE child SET n = n + 1 WHERE id = 8')), 'the open writer goes on');
  await open.query('COMMIT');
  expect([await valueOf('source', 'parent', 7), await valueOf('source', 'child', 7), await valueOf('source', 'child', 8)]).toEqual([1, 1, 1]);
  expectDone(await settle(operator.query('CUTOVER GROUP OF parent')), 'afterwards it goes through');
  await groupBack();
});

it('a reader in a long transaction and a TRUNCATE: the applier does not wait for it, and nobody waits for the applier', { timeout: 60_000 }, async () => {
  const [reader, truncating, other] = [await app(), await app(), await app()];
  await reader.query('BEGIN');
  expect((await reader.query('SELECT count(*)::int AS n FROM logs')).rows).toEqual([{ n: 200 }]);
  const local = await stack.direct('local');
  const holders = await local.query("SELECT FROM pg_locks WHERE relation = 'logs'::regclass AND mode = 'AccessShareLock' AND granted");
  expect(holders.rowCount, 'the reader reads local').toBeGreaterThan(0);
  const truncated = settle(truncating.query('TRUNCATE logs'));
  const beside = settle(other.query('UPDATE parent SET n = n + 1 WHERE id = 9'));
  expectDone(await truncated, 'TRUNCATE');
  expectDone(await beside, 'a write of another table');
  expect((await truncating.query('SELECT count(*)::int AS n FROM logs')).rows, 'the session reads its own TRUNCATE').toEqual([{ n: 0 }]);
  expectDone(await settle(truncating.query("INSERT INTO logs VALUES (1, 'anew')")), 'a write behind it');
  const undone = await settle(operator.query('CUTOVER TABLE logs TIMEOUT 1'));
  if (!undone.ok) expect(undone.error.detail).toMatch(/Session .*of app at 127\.0\.0\.1 .*SELECT count/);
  await reader.query('COMMIT');
  if (!undone.ok) expectDone(await settle(operator.query('CUTOVER TABLE logs')), 'when the reader has ended');
  expect((await local.query('SELECT id, line FROM logs')).rows).toEqual([{ id: 1, line: 'anew' }]);
});
