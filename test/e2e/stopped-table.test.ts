/** A table that stops with an error stops alone: the others of its stream stay ready for their cutover, others become ready, and go. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  const table = (name: string): string => `CREATE TABLE ${name} (id int PRIMARY KEY, v int NOT NULL); INSERT INTO ${name} SELECT g, g FROM generate_series(1, 50) g; GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO app;`;
  stack = await Stack.start({ sourceSql: ['refused', 'gone', 'sound', 'late'].map(table).join(' ') });
  for (const name of ['refused', 'gone', 'sound']) await stack.insist(`START MIGRATION FOR TABLE ${name} FROM legacy OPTIONS (copy_grants TRUE)`);
  await stack.makeReady('public');
});
afterAll(async () => stack[Symbol.asyncDispose]());

async function states(): Promise<Record<string, string>> {
  return Object.fromEntries((await stack.status()).map(({ Table, State }) => [Table.replace('public.', ''), State]));
}

it.each([
  ['refused', 'ALTER TABLE refused ADD CONSTRAINT small CHECK (v < 100)'],
  ['gone', 'DROP TABLE gone'],
])('%s: %s', { timeout: 120_000 }, async (name, sql) => {
  const [local, holder, app] = [await stack.direct('local'), await stack.direct('local'), await stack.connect('app')];
  await local.query(sql);
  // Taking the table out of the shared ones waits for this, so long that every table's driver has looked at the stream meanwhile.
  await holder.query('BEGIN; SELECT 1 FROM causeway.table_applied FOR UPDATE');
  const written = app.query(`INSERT INTO ${name} VALUES (1000, 1000)`).catch(() => undefined);
  await expect.poll(async () => (await local.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%causeway.table_applied%'")).rowCount).toBe(1);
  await delay(1_500);
  await holder.query('ROLLBACK');
  await expect.poll(states, { timeout: 30_000 }).toMatchObject({ [name]: 'ERROR', sound: 'CUTOVER_READY' });
  await written;
  const left = await stack.command<Record<string, string>>("SELECT * FROM SYS$MIGRATION_HISTORY WHERE new_state = 'SYNCHRONIZING' AND old_state <> 'BULK_LOADING'");
  expect(left).toEqual([]);
});

it('while both are stopped another one is loaded, becomes ready, and both sound ones go', { timeout: 120_000 }, async () => {
  const app = await stack.connect('app');
  await app.query('INSERT INTO sound VALUES (1000, 1000)');
  await stack.command('START MIGRATION FOR TABLE late FROM legacy OPTIONS (copy_grants TRUE)');
  await expect.poll(states, { timeout: 60_000 }).toMatchObject({ late: 'DUAL_WRITE' });
  await stack.command('VALIDATE MIGRATION FOR TABLE late FULL');
  await expect.poll(states, { timeout: 30_000 }).toEqual({ refused: 'ERROR', gone: 'ERROR', sound: 'CUTOVER_READY', late: 'CUTOVER_READY' });
  for (const name of ['sound', 'late']) await stack.command(`CUTOVER TABLE ${name}`);
  expect(await states()).toEqual({ refused: 'ERROR', gone: 'ERROR', sound: 'LOCAL_ONLY', late: 'LOCAL_ONLY' });
  expect((await (await stack.direct('local')).query('SELECT v FROM sound WHERE id = 1000')).rows).toEqual([{ v: 1000 }]);
});
