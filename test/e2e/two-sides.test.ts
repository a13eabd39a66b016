/**
 * Transactions that write on both sides, while gateways and servers are killed at every step of their commit and at random: afterwards, within ten
 * seconds, none is left prepared, none is on one side only, and none that was acknowledged is missing (RULES 23).
 *
 * TRANSFER_CLIENTS and TRANSFER_ROUNDS make it longer (default 20 and 5).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitPoints } from './crash-points.ts';
import { Stack } from './support/stack.ts';
import type { Victim } from './support/stack.ts';
import { findTransferFaults, movedTables, preparedLeft, Transfers, transfersSql } from './support/transfers.ts';

const CLIENTS = Number(process.env['TRANSFER_CLIENTS'] ?? 20);
const ROUNDS = Number(process.env['TRANSFER_ROUNDS'] ?? 5);
const RECOVERY_LIMIT_MS = 10_000;

let stack: Stack;

beforeAll(async () => {
  // One worker: the one that stands at the point is the one that is killed.
  stack = await Stack.start({ sourceSql: transfersSql, faultPoints: commitPoints, workers: 1 });
  for (const table of movedTables) await stack.insist(`START MIGRATION FOR TABLE ${table} FROM legacy OPTIONS (copy_grants TRUE)`);
  await stack.makeReady('public');
  for (const table of movedTables) await stack.command(`CUTOVER TABLE ${table}`);
}, 120_000);
afterAll(async () => stack[Symbol.asyncDispose]());

async function expectWhole(transfers: Transfers): Promise<void> {
  const [source, local] = [await stack.direct('source'), await stack.direct('local')];
  await expect.poll(() => preparedLeft(source, local), { timeout: RECOVERY_LIMIT_MS, message: 'left prepared' }).toBe(0);
  expect(await findTransferFaults(source, local, transfers.acknowledged)).toEqual([]);
}

async function acknowledgeMore(transfers: Transfers, count: number): Promise<void> {
  const before = transfers.acknowledged.size;
  await expect.poll(() => transfers.acknowledged.size, { timeout: 30_000, interval: 20 }).toBeGreaterThan(before + count);
}

describe.each(commitPoints)('at %s', (point) => {
  it.each<Victim>(['worker', 'source', 'local', 'control'])('kill %s', { timeout: 90_000 }, async (victim) => {
    const transfers = new Transfers(stack.gateway);
    transfers.start(4);
    await acknowledgeMore(transfers, 5);
    stack.faults.arm(point);
    await stack.faults.reached(point, 20_000);
    await stack.kill(victim);
    stack.faults.release(point);
    await acknowledgeMore(transfers, 5);
    await transfers.stop();
    await expectWhole(transfers);
  });
});

it('a deadlock whose halves are on different sides ends with 40P01 for the younger, and the other goes on (RULES 22)', { timeout: 60_000 }, async () => {
  const [older, younger] = [await stack.connect('app'), await stack.connect('app')];
  await older.query('BEGIN');
  await older.query('UPDATE moved SET balance = balance WHERE id = 1');
  await older.query('SELECT balance FROM stayed WHERE id = 2 FOR UPDATE');
  await younger.query('BEGIN');
  await younger.query('UPDATE stayed SET balance = balance WHERE id = 1');
  await younger.query('SELECT balance FROM moved WHERE id = 2 FOR UPDATE');
  const begun = performance.now();
  const waits = older.query('UPDATE stayed SET balance = balance WHERE id = 1');
  const gaveWay = younger.query('UPDATE moved SET balance = balance WHERE id = 1').then(() => undefined, (error: { code?: string }) => error.code);
  expect(await gaveWay).toBe('40P01');
  expect(performance.now() - begun).toBeLessThan(10_000);
  await younger.query('ROLLBACK');
  await waits;
  expect((await older.query('COMMIT')).command).toBe('COMMIT');
  expect((await younger.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await Promise.all([older.end(), younger.end()]);
});

it(`${CLIENTS} clients, ${ROUNDS} rounds of kills`, { timeout: 90_000 + ROUNDS * 30_000 }, async () => {
  const transfers = new Transfers(stack.gateway);
  transfers.start(CLIENTS);
  const turns: readonly (readonly Victim[])[] = [['worker'], ['source'], ['local'], ['source', 'local'], ['control', 'worker']];
  for (let round = 0; round < ROUNDS; round += 1) {
    await acknowledgeMore(transfers, CLIENTS);
    await delay(Math.random() * 300);
    await Promise.all((turns[round % turns.length] ?? []).map((victim) => stack.kill(victim)));
  }
  await acknowledgeMore(transfers, CLIENTS);
  await transfers.stop();
  await expectWhole(transfers);
  const unexpected = [...transfers.errors.keys()].filter((code) => !/^(connection|08|57P|25P02)/.test(code));
  expect(unexpected).toEqual([]);
  console.log(JSON.stringify({ acknowledged: transfers.acknowledged.size, unknown: transfers.unknown, errors: Object.fromEntries(transfers.errors) }));
});
