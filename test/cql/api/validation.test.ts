/**
 * What a validation or a scan has found is heard by the proxy: a failed one stands against a switch, also after a restart, until a whole and good one that began later; and writes that waited
 * for a repair leave the list when their tables were found equal by one that began after they were noted, and no sooner.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { call, setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import type { CqlProcess } from '../../../src/main/cql-process.ts';

let fixture: Setup | undefined;
afterEach(async () => fixture?.[Symbol.asyncDispose]());

async function prepare(): Promise<Setup> {
  fixture = await setup();
  return fixture;
}

interface Told {
  readonly table?: string;
  readonly whole?: boolean;
}

/** The proxy's own time, as a command asks for it before it reads the first row. */
const begin = async (running: CqlProcess): Promise<number> => (await call(running, 'GET /repairs')).body['now_ms'] as number;
const tell = (running: CqlProcess, began: number, passed: boolean, { table = 'ks.t', whole = true }: Told = {}) => call(running, 'POST /validation', { mode: 'FullScan', began_ms: began, tables: [{ table, passed, whole, rows: 10, different: passed ? 0 : 2, summary: passed ? 'equal' : '2 rows differ' }] });
const switchTo = (running: CqlProcess, mode: string, more: object = {}) => call(running, 'POST /config/mode', { mode, ...more });

describe('a failed validation', () => {
  test('stands against a switch until a whole one that began later is good', async () => {
    const running = await (await prepare()).start({ mode: 'DualSync' });
    const early = await begin(running);
    expect(await tell(running, early, false)).toMatchObject({ status: 200, body: { blocking: ['ks.t'] } });
    expect(await switchTo(running, 'ShadowPrimary')).toMatchObject({ status: 409, body: { code: 'MIG050', detail: expect.stringContaining('ks.t: 2 rows differ') as string } });
    // It read its rows before the differences were told: it may have passed them before they came about.
    expect((await tell(running, early - 1, true)).body).toMatchObject({ blocking: ['ks.t'] });
    // A sample proves nothing of the rows that it has not drawn.
    expect((await tell(running, await begin(running), true, { whole: false })).body).toMatchObject({ blocking: ['ks.t'] });
    expect((await tell(running, await begin(running), true, { table: 'ks.other' })).body).toMatchObject({ blocking: ['ks.t'] });
    expect((await switchTo(running, 'ShadowPrimary')).status).toBe(409);
    expect((await tell(running, await begin(running), true)).body).toMatchObject({ blocking: [] });
    expect((await switchTo(running, 'ShadowPrimary')).status).toBe(200);
  });

  test('is not forgotten over a restart, and concerns its own table only', async () => {
    const { start } = await prepare();
    const running = await start({ mode: 'DualSync' });
    await tell(running, await begin(running), false);
    await running[Symbol.asyncDispose]();
    const again = await start({ mode: 'DualSync' });
    expect((await call(again, 'GET /status')).body).toMatchObject({ validation: { blocking: ['ks.t'], tables: { 'ks.t': { passed: false, rows: 10, different: 2 } } } });
    await expect.poll(async () => (await call(again, 'GET /health')).body).toMatchObject({ target_connected: true });
    expect((await switchTo(again, 'ShadowPrimary', { keyspace: 'ks', table: 'other' })).status).toBe(200);
    expect((await switchTo(again, 'ShadowPrimary', { keyspace: 'ks', table: 't' })).status).toBe(409);
    expect((await switchTo(again, 'ShadowPrimary', { keyspace: 'ks' })).status).toBe(409);
    expect((await switchTo(again, 'ShadowPrimary', { force: true })).status).toBe(200);
  });

  test.each([
    [{}, /mode/], [{ mode: 'FullScan', tables: [] }, /began_ms/], [{ mode: 'FullScan', began_ms: 1, tables: [{ table: 'ks.t' }] }, /passed/], [{ mode: 'FullScan', began_ms: 1, tables: [{ table: 't', passed: true, whole: true, rows: 1, different: 0, summary: '' }] }, /table/],
  ])('is not read out of %j', async (body, message) => {
    const running = await (await prepare()).start();
    const answer = await call(running, 'POST /validation', body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'MIG071' } });
    expect(answer.body['error']).toMatch(message);
  });
});

describe('writes that wait for a repair', () => {
  test('leave the list when their table was found equal by one that began after them, and only then', async () => {
    const { target, start, driver } = await prepare();
    const running = await start({ mode: 'DualAsync', replay: { first_delay_ms: 10, max_delay_ms: 20, max_refusals: 1 } });
    const early = await begin(running);
    target.run('DROP TABLE ks.t');
    const client = await driver(running);
    await client.execute("INSERT INTO ks.t (k, v) VALUES (1, 'a')");
    const repairs = async (): Promise<unknown> => (await call(running, 'GET /repairs')).body;
    await expect.poll(repairs).toMatchObject({ total: 1, whole: true, entries: [{ reason: 'refused', owes: ['target'], tables: ['ks.t'] }] });
    target.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
    expect((await tell(running, early, true)).body).toMatchObject({ repairs_removed: 0 });
    expect((await tell(running, (await begin(running)) + 1, true, { table: 'ks.other' })).body).toMatchObject({ repairs_removed: 0 });
    expect((await tell(running, (await begin(running)) + 1, false)).body).toMatchObject({ repairs_removed: 0 });
    expect(await repairs()).toMatchObject({ total: 1 });
    // Of another millisecond than the note.
    await expect.poll(async () => (await tell(running, await begin(running), true)).body).toMatchObject({ repairs_removed: 1 });
    expect(await repairs()).toMatchObject({ total: 0, entries: [] });
    expect((await call(running, 'GET /stats')).body).toMatchObject({ repair_entries: 0 });
  });
});

describe('a scan that repairs by the source', () => {
  test('holds its tables back from the target, and is not begun when they are there', async () => {
    const running = await (await prepare()).start({ mode: 'DualSync' });
    await expect.poll(async () => (await call(running, 'GET /health')).body).toMatchObject({ target_connected: true });
    const hold = (forMs: number) => call(running, 'POST /scan/hold', { tables: ['ks.t'], for_ms: forMs });
    expect((await hold(60_000)).status).toBe(200);
    expect(await switchTo(running, 'ShadowPrimary')).toMatchObject({ status: 409, body: { detail: expect.stringContaining('a scan repairs ks.t by the source') as string } });
    expect((await switchTo(running, 'ShadowPrimary', { keyspace: 'ks' })).status).toBe(409);
    expect((await switchTo(running, 'ShadowPrimary', { keyspace: 'ks', table: 'other' })).status).toBe(200);
    expect((await switchTo(running, 'DualAsync')).status).toBe(200);
    await switchTo(running, 'DualSync');
    await hold(0);
    expect((await switchTo(running, 'ShadowPrimary')).status).toBe(200);
    expect(await hold(60_000)).toMatchObject({ status: 409, body: { code: 'MIG074' } });
    expect((await switchTo(running, 'DualSync')).status).toBe(200);
    // One that has gone without giving them up.
    expect((await hold(1)).status).toBe(200);
    await expect.poll(async () => (await switchTo(running, 'ShadowPrimary')).status).toBe(200);
  });
});

describe('the dashboard', () => {
  test('shows what loader and validator have told, and so do the metrics', async () => {
    const running = await (await prepare()).start({ mode: 'DualAsync' });
    expect((await call(running, 'GET /dashboard')).body).toMatchObject({ dual_writer: { mode: 'DualAsync', failure_rate: 0 }, loader: null, validator: { consistency_score: null }, alerts: [], health: { healthy: true, issues: [] } });
    const load = { share: 0.5, rows: 100, rows_per_second: 10, remaining_ms: 5000, tables_completed: 1, tables: 2, ended: false };
    expect((await call(running, 'POST /loader/progress', load)).status).toBe(200);
    expect((await call(running, 'POST /loader/progress', { ...load, share: 2 })).body).toMatchObject({ code: 'MIG071' });
    await tell(running, await begin(running), false);
    expect((await call(running, 'GET /dashboard')).body).toMatchObject({ loader: { progress_percent: 50, rows_migrated: 100, rows_per_second: 10 }, validator: { consistency_score: 80, discrepancy_count: 2, coverage: 1 } });
    const metrics = await (await fetch(`http://127.0.0.1:${running.httpPort}/metrics`)).text();
    for (const line of ['loader_rows_migrated 100', 'loader_migration_rate 10', 'validator_rows_validated{table="ks.t"} 10', 'validator_discrepancies_found{table="ks.t"} 2', 'validator_consistency_score 80']) expect(metrics).toContain(`\n${line}\n`);
  });
});
