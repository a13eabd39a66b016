/**
 * Servers and processes are killed at every step of a commit while sessions share their connections, in `pool_mode transaction` and in `pipeline`: commits on
 * both sides, commits that wait for the stream, commits that take their rows to local. What was acknowledged is there, nothing is left prepared or marked, and
 * no session ever gets a connection on which another's transaction is open.
 *
 * `npm test` has every point once, `CAUSEWAY_CRASH=all` (`npm run soak`) kills everything at every point.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commitPoints, markedCommitPoints, waitPoints } from './crash-points.ts';
import { DATABASE, Stack } from './support/stack.ts';
import type { Victim } from './support/stack.ts';
import { findTransferFaults, movedTables, preparedLeft, Transfers, transfersSql } from './support/transfers.ts';
import { twoPhaseSql, twoPhaseTables, TwoPhaseWriters } from './support/two-phase-writers.ts';

const POOL_SIZE = 4;
const CLIENTS = 5;
const victims: readonly Victim[] = ['worker', 'source', 'local', 'control'];
const points = [...commitPoints, ...waitPoints, ...markedCommitPoints];
const isWhole = process.env['CAUSEWAY_CRASH'] === 'all';
/** Who is killed at each point when there is no time for all: after local and the control everything takes seconds to be in step again. */
const sample: readonly Victim[] = ['worker', 'source', 'local', 'control', 'worker', 'source', 'worker', 'source'];
const cases = points.flatMap((point, index) => (isWhole ? victims : victims.filter((victim) => victim === sample[index % sample.length])).map((victim) => ({ point, victim })));
const modes = { pooled: 'transaction', shared: 'pipeline' } as const;
const users = Object.keys(modes);
const waitedTables = ['stayed', 'stayed_journal'] as const;

let stack: Stack;
let transfers: readonly Transfers[];
let writers: readonly TwoPhaseWriters[];

beforeAll(async () => {
  const userAs = (name: string, role: string, more: object): object => ({ name, trust_from: ['127.0.0.1/32'], source: { user: role }, local: { user: role }, ...more });
  stack = await Stack.start({
    sourceSql: transfersSql + twoPhaseSql, faultPoints: points,
    // One worker: the one that stands at the point is the one that is killed.
    workers: 1,
    settings: { pool: { size: POOL_SIZE, lanes: 2 }, users: [userAs('operator', 'postgres', { operator: true }), ...Object.entries(modes).map(([name, pool_mode]) => userAs(name, 'app', { pool_mode }))] },
  });
  for (const table of [...movedTables, ...waitedTables]) await stack.insist(`START MIGRATION FOR TABLE ${table} FROM legacy OPTIONS (copy_grants TRUE)`);
  for (const table of twoPhaseTables) await stack.insist(`START MIGRATION FOR TABLE ${table} FROM legacy OPTIONS (copy_grants TRUE, dual_write_mode 'two_phase')`);
  await stack.makeReady('public');
  for (const table of movedTables) await stack.command(`CUTOVER TABLE ${table}`);
  const { host, port, user } = stack.source.address;
  transfers = users.map((name) => new Transfers(stack.gateway, name));
  writers = users.map((name) => new TwoPhaseWriters(stack.gateway, { host, port, user, database: DATABASE }, name));
  for (const each of transfers) each.start(CLIENTS);
  for (const [index, each] of writers.entries()) each.start(CLIENTS, 0, index * CLIENTS);
}, 120_000);

afterAll(async () => {
  await Promise.all([...(transfers ?? []), ...(writers ?? [])].map((each) => each.stop()));
  await stack?.[Symbol.asyncDispose]();
}, 60_000);

/** All that has not moved is dual-written. */
async function inStep(): Promise<void> {
  await expect.poll(async () => {
    const rows = await stack.status();
    return rows.filter(({ State }) => State !== 'LOCAL_ONLY' && State !== 'DUAL_WRITE' && State !== 'CUTOVER_READY').map(({ Table, State }) => `${Table} ${State}`);
  }, { timeout: 60_000, interval: 100 }).toEqual([]);
}

/** In each mode, transfers and visits are acknowledged. */
async function acknowledgeMore(): Promise<void> {
  const counts = (): number[] => [...transfers, ...writers].map(({ acknowledged }) => acknowledged.size);
  const before = counts();
  await expect.poll(() => counts().filter((count, index) => count <= (before[index] ?? 0) + 2), { timeout: 40_000, interval: 20, message: JSON.stringify(transfers.map(({ errors }) => [...errors])) }).toEqual([]);
}

it.each(cases)('kill $victim at $point', { timeout: 90_000 }, async ({ point, victim }) => {
  await inStep();
  await acknowledgeMore();
  stack.faults.arm(point);
  try {
    await stack.faults.reached(point, 20_000);
    await stack.kill(victim);
  } finally {
    stack.faults.release(point);
  }
  await acknowledgeMore();
  expect(transfers.flatMap(({ strays }) => strays)).toEqual([]);
});

it('and then both sides are whole', { timeout: 120_000 }, async () => {
  await delay(100);
  await Promise.all([...transfers, ...writers].map((each) => each.stop()));
  const [source, local] = [await stack.direct('source'), await stack.direct('local')];
  await expect.poll(() => preparedLeft(source, local), { timeout: 10_000, message: 'left prepared' }).toBe(0);
  for (const side of [source, local]) {
    const open = async (): Promise<unknown[]> => (await side.query("SELECT state, query FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'")).rows;
    await expect.poll(open, { timeout: 10_000 }).toEqual([]);
  }
  expect(await findTransferFaults(source, local, new Set(transfers.flatMap(({ acknowledged }) => [...acknowledged])))).toEqual([]);
  await inStep();
  await expect.poll(async () => (await local.query('SELECT FROM causeway.mark')).rowCount, { timeout: 20_000, message: 'marks left' }).toBe(0);
  for (const table of [...waitedTables, ...twoPhaseTables]) {
    const digest = `SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) AS digest FROM ${table} t`;
    const { rows } = await source.query(digest);
    await expect.poll(async () => (await local.query(digest)).rows, { message: table, timeout: 20_000 }).toEqual(rows);
  }
  const { rows } = await source.query<{ id: string }>('SELECT id FROM visit');
  const visits = new Set(rows.map(({ id }) => id));
  expect(writers.flatMap(({ acknowledged }) => [...acknowledged]).filter((id) => !visits.has(id))).toEqual([]);
  const unexpected = transfers.flatMap(({ errors }) => [...errors]).filter(([code]) => !/^(connection|08|57P|25P02|40)/.test(code));
  expect(unexpected).toEqual([]);
  console.log(JSON.stringify(transfers.map(({ acknowledged, unknown, errors }, index) => ({ mode: users[index], acknowledged: acknowledged.size, unknown, errors: Object.fromEntries(errors) }))));
});
