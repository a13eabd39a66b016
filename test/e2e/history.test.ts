/**
 * Through START → CUTOVER → ROLLBACK → CUTOVER under concurrent clients: every acknowledged append is there once and in order, the
 * sum is the same in every statement and every snapshot, each session reads its own writes and never goes back in time, and
 * no client gets an error.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BankHistory, bankSql, checkLists, OPENING_TOTAL, readLists, readTotal } from './support/bank.ts';
import { openBank } from './support/bank-client.ts';
import { Stack } from './support/stack.ts';

const CLIENTS = 8;
const PHASE_MS = 2000;
let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({ sourceSql: bankSql });
});
afterAll(async () => stack[Symbol.asyncDispose]());

it('keeps its promises from START to the second CUTOVER', { timeout: 240_000 }, async () => {
  const history = new BankHistory();
  const bank = openBank(stack.gateway, history, CLIENTS);
  const marks: Record<string, number> = {};
  const phase = async (name: string): Promise<void> => {
    history.phase = name;
    const before = Object.values(marks).at(-1) ?? 0;
    await delay(PHASE_MS);
    await expect.poll(() => history.acknowledged, { timeout: 60_000, message: `writes go on: ${name}` }).toBeGreaterThan(before + 20);
    marks[name] = history.acknowledged;
    history.phase = `after ${name}`;
  };
  try {
    await phase('before');
    await stack.migrate('public', 'copy_grants TRUE, batch_size 300');
    await phase('dual write');
    await stack.command('CUTOVER GROUP OF checking');
    await stack.waitState(['LOCAL_ONLY']);
    await phase('local only');
    await stack.command('ROLLBACK MIGRATION FOR GROUP OF checking PRESERVE LOCAL DATA');
    await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY']);
    await phase('rolled back');
    await stack.makeReady('public');
    await stack.command('CUTOVER GROUP OF checking');
    await stack.waitState(['LOCAL_ONLY']);
    await phase('local only again');
  } finally {
    await bank.stop();
  }
  const counts = { acknowledged: history.acknowledged, transfers: history.transfers, sums: history.sums, snapshots: history.snapshots, reads: history.reads, gaveWay: history.gaveWay, unknown: history.unknown, longestUnitMs: Math.round(history.longestUnitMs), marks };
  console.log(JSON.stringify(counts));

  expect(history.violations).toEqual([]);
  expect(history.errorsByCode()).toEqual({});
  expect([history.unknown, history.reconnects]).toEqual([0, 0]);
  const local = await stack.direct('local');
  const lists = await readLists(local);
  expect(checkLists(history, lists)).toEqual([]);
  expect(await readTotal(local)).toBe(OPENING_TOTAL);
  expect(await readLists(await stack.connect('app'))).toEqual(lists);
  // The way back holds the same, a moment later.
  const source = await stack.direct('source');
  await expect.poll(() => readLists(source), { timeout: 15_000, interval: 200 }).toEqual(lists);
  expect(await readTotal(source)).toBe(OPENING_TOTAL);
});
