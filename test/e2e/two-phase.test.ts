/**
 * `dual_write_mode 'two_phase'` in the whole product: a committed write is on local although the stream stands; and whatever else writes the same rows on the
 * source, and whoever is killed at whatever point, nothing acknowledged is missing, nothing is left marked, and both sides end the same.
 *
 * TWO_PHASE_ROUNDS makes it longer (default 4).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markedCommitPoints } from './crash-points.ts';
import { DATABASE, Stack } from './support/stack.ts';
import type { Victim } from './support/stack.ts';
import { twoPhaseSql, twoPhaseTables, TwoPhaseWriters } from './support/two-phase-writers.ts';

const ROUNDS = Number(process.env['TWO_PHASE_ROUNDS'] ?? 4);
const STREAM_STANDS = 'stream.after_decode';

let stack: Stack;

beforeAll(async () => {
  // One worker: the one that stands at the point is the one that is killed.
  stack = await Stack.start({ sourceSql: twoPhaseSql, faultPoints: [...markedCommitPoints, STREAM_STANDS], workers: 1 });
  await stack.migrate('public', "copy_grants TRUE, dual_write_mode 'two_phase'");
}, 120_000);
afterAll(async () => stack?.[Symbol.asyncDispose]());

function writers(): TwoPhaseWriters {
  const { host, port, user } = stack.source.address;
  return new TwoPhaseWriters(stack.gateway, { host, port, user, database: DATABASE });
}

async function contents(side: 'source' | 'local'): Promise<Record<string, string[]>> {
  const client = await stack.direct(side);
  const found: Record<string, string[]> = {};
  for (const table of twoPhaseTables) found[table] = (await client.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`)).rows.map(({ row }) => row);
  return found;
}

async function count(side: 'source' | 'local', sql: string): Promise<number> {
  return Number((await (await stack.direct(side)).query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`)).rows[0]?.n);
}

/** Commits that went to local with the source's, as the workers have counted them so far. */
async function committed(): Promise<number> {
  return Number(/^scratchbird_gateway_two_phase_commits_total\{[^}]*outcome="committed"[^}]*\} (\d+)/m.exec(await stack.metrics())?.[1] ?? 0);
}

async function expectWhole(done: TwoPhaseWriters): Promise<void> {
  await stack.makeReady('public', 90_000);
  await expect.poll(() => count('local', 'causeway.mark'), { timeout: 20_000, message: 'marks left' }).toBe(0);
  // What was written past the gateway is waited for by nobody.
  await expect.poll(async () => JSON.stringify(await contents('local')) === JSON.stringify(await contents('source')), { timeout: 20_000 }).toBe(true);
  const validated = await stack.insist<{ Result: string; Mismatches: string }>('VALIDATE MIGRATION FOR SCHEMA public FULL');
  expect(validated.map(({ Result, Mismatches }) => `${Result} ${Mismatches}`)).toEqual(twoPhaseTables.map(() => 'PASS 0'));
  const source = await contents('source');
  const visits = new Set(source['visit']?.map((row) => row.slice(1, row.indexOf(','))));
  expect([...done.acknowledged].filter((id) => !visits.has(id))).toEqual([]);
  expect(await stack.insist('SHOW MIGRATION CONFLICTS')).toEqual([]);
}

it('a committed write is on both sides while the stream stands', { timeout: 60_000 }, async () => {
  const [app, source, local] = [await stack.connect('app'), await stack.direct('source'), await stack.direct('local')];
  await expect.poll(async () => {
    await app.query("UPDATE note SET line = 'before' WHERE id = 1");
    return committed();
  }, { timeout: 20_000 }).toBeGreaterThan(0);
  stack.faults.arm(STREAM_STANDS);
  await source.query("UPDATE note SET line = 'past the gateway' WHERE id IN (2, 3)");
  await stack.faults.reached(STREAM_STANDS, 20_000);
  const notices: string[] = [];
  app.on('notice', ({ message }) => notices.push(message ?? ''));
  await app.query('BEGIN');
  await app.query("UPDATE note SET line = 'with the commit' WHERE id = 2");
  await app.query('INSERT INTO note (id, line) VALUES ($1, $2)', [1000, 'new']);
  await app.query('DELETE FROM note WHERE id = 3');
  await app.query('COMMIT');
  const shown = async (on: typeof local): Promise<string[]> => (await on.query<{ row: string }>("SELECT id || ' ' || line AS row FROM note WHERE id IN (2, 3, 1000) ORDER BY id")).rows.map(({ row }) => row);
  expect(await shown(local)).toEqual(['2 with the commit', '1000 new']);
  expect(await shown(source)).toEqual(['2 with the commit', '1000 new']);
  expect(await count('local', 'causeway.mark')).toBeGreaterThanOrEqual(3);
  expect(notices).toEqual([]);
  stack.faults.release(STREAM_STANDS);
  await expectWhole(writers());
  await app.end();
});

describe.each(markedCommitPoints)('at %s', (point) => {
  it.each<Victim>(['worker', 'source', 'local', 'control'])('kill %s', { timeout: 150_000 }, async (victim) => {
    const running = writers();
    running.start(4, 2);
    stack.faults.arm(point);
    await stack.faults.reached(point, 30_000);
    await stack.kill(victim);
    stack.faults.release(point);
    await delay(1_500);
    await running.stop();
    await expectWhole(running);
  });
});

it(`random writers, ${ROUNDS} rounds of kills`, { timeout: 120_000 + ROUNDS * 60_000 }, async () => {
  const running = writers();
  running.start(8, 3);
  const before = await committed();
  const turns: readonly (readonly Victim[])[] = [['local'], ['worker'], ['control', 'local'], ['source'], ['control', 'worker']];
  for (let round = 0; round < ROUNDS; round += 1) {
    await delay(2_000);
    for (const victim of turns[round % turns.length] ?? []) await stack.kill(victim);
  }
  await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], 90_000);
  await expect.poll(committed, { timeout: 60_000 }).toBeGreaterThan(before);
  await running.stop();
  await expectWhole(running);
});

it('a cutover while rows are marked, and the way back', { timeout: 180_000 }, async () => {
  const running = writers();
  running.start(4, 0);
  await delay(500);
  await stack.insist('CUTOVER GROUP OF pet');
  await delay(500);
  await running.stop();
  const moved = await contents('local');
  expect([...running.acknowledged].filter((id) => !moved['visit']?.some((row) => row.startsWith(`(${id},`)))).toEqual([]);
  expect(await count('local', "causeway.mark m JOIN causeway.marking g USING (table_id) WHERE g.table_name IN ('owner', 'pet', 'visit')")).toBe(0);
  await stack.insist('ROLLBACK MIGRATION FOR GROUP OF pet PRESERVE LOCAL DATA');
  await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], 60_000);
  const app = await stack.connect('app');
  const before = await committed();
  await expect.poll(async () => {
    await app.query('UPDATE pet SET visits = 0 WHERE id = (SELECT min(id) FROM pet)');
    return committed();
  }, { timeout: 20_000 }).toBeGreaterThan(before);
  await app.end();
  await expectWhole(running);
});
