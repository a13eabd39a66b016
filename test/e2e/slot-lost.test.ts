/**
 * The slot of the source is gone (dropped, invalidated, lost in a failover): every table that it carried says so and serves from the source, none
 * goes on over the gap, RESYNC brings each back, and a table that local is the authority for has lost nothing and can still return.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const BEFORE_CAPTURE = 'load.after_create_table';
let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({
    faultPoints: [BEFORE_CAPTURE],
    sourceSql: ['note', 'other', 'moved'].map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, line text NOT NULL); INSERT INTO ${name} SELECT g, 'line ' || g FROM generate_series(1, 50) g;`).join(' ')
      + ' GRANT SELECT, INSERT, UPDATE, DELETE ON note, other, moved TO app',
  });
});
afterAll(async () => stack[Symbol.asyncDispose]());

async function dropSlot(): Promise<void> {
  const source = await stack.direct('source');
  for (let attempt = 0; attempt < 500; attempt += 1) {
    await source.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
    const dropped = await source.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots').then(() => true, () => false);
    if (dropped) return;
    await delay(5);
  }
  throw new Error('the slot could not be dropped');
}

const states = async (): Promise<Record<string, string>> => Object.fromEntries((await stack.status()).map(({ Table, State }) => [Table, State]));

it('that could not be made is tried again by RESUME, once its cause is gone', { timeout: 90_000 }, async () => {
  const source = await stack.direct('source');
  // Free when START looks, taken when the slot is made.
  stack.faults.arm(BEFORE_CAPTURE);
  await stack.command('START MIGRATION FOR TABLE note FROM legacy OPTIONS (copy_grants TRUE)');
  await stack.faults.reached(BEFORE_CAPTURE, 30_000);
  await source.query("SELECT pg_create_physical_replication_slot('in_the_way_' || g) FROM generate_series(1, current_setting('max_replication_slots')::int) g");
  stack.faults.release(BEFORE_CAPTURE);
  await expect.poll(states, { timeout: 30_000 }).toEqual({ 'public.note': 'ERROR' });
  expect(JSON.stringify(await stack.command('SHOW MIGRATION ERRORS'))).toContain('MIG005');
  await source.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'in_the_way_%'");
  await stack.command('RESUME MIGRATION FOR TABLE note');
  await stack.waitState(['DUAL_WRITE']);
});

it('is an error of its tables until they are resynced', { timeout: 150_000 }, async () => {
  const app = await stack.connect('app');
  for (const name of ['other', 'moved']) await stack.insist(`START MIGRATION FOR TABLE ${name} FROM legacy OPTIONS (copy_grants TRUE)`);
  await stack.makeReady('public');
  await stack.command('CUTOVER TABLE moved');
  await dropSlot();
  await app.query("INSERT INTO note VALUES (1000, 'in the gap')");
  await app.query("INSERT INTO moved VALUES (1000, 'on local')");
  await expect.poll(states, { timeout: 30_000 }).toEqual({ 'public.note': 'ERROR', 'public.other': 'ERROR', 'public.moved': 'LOCAL_ONLY' });
  expect(JSON.stringify(await stack.command('SHOW MIGRATION ERRORS'))).toMatch(/public\.note.*MIG020|MIG020.*public\.note/);
  expect((await app.query('SELECT count(*)::int AS n FROM note')).rows).toEqual([{ n: 51 }]);
  await expect(stack.command('RESUME MIGRATION FOR TABLE other')).rejects.toThrow(/^MIG021: public\.other has lost changes of the source/);
  await stack.command('RESYNC MIGRATION FOR TABLE note');
  await app.query("INSERT INTO other VALUES (1000, 'while the other one is loaded')");
  await expect(stack.command('RESUME MIGRATION FOR TABLE other')).rejects.toThrow(/^MIG021/);
  await stack.command('RESYNC MIGRATION FOR TABLE other');
  await expect.poll(async () => Object.values(await states()).toSorted(), { timeout: 60_000 }).toEqual(['DUAL_WRITE', 'DUAL_WRITE', 'LOCAL_ONLY']);
  await stack.command('ROLLBACK MIGRATION FOR TABLE moved PRESERVE LOCAL DATA');
  await app.query("INSERT INTO moved VALUES (1001, 'on the source again')");
  await stack.makeReady('public');
  const [source, local] = [await stack.direct('source'), await stack.direct('local')];
  for (const name of ['note', 'other', 'moved']) {
    const read = `SELECT id, line FROM ${name} ORDER BY id`;
    const { rows } = await source.query(read);
    expect(rows.length).toBe(name === 'moved' ? 52 : 51);
    expect((await local.query(read)).rows).toEqual(rows);
  }
  for (const name of ['note', 'other', 'moved']) await stack.command(`CUTOVER TABLE ${name}`);
  await app.end();
});
