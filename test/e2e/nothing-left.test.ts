/**
 * When the last migration of a server has ended, given up or completed, nothing is left on either side that keeps WAL, fires at DDL or refuses
 * a write; and the next migration begins as the first one did.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const sourceSql = `
  CREATE TABLE note (id serial PRIMARY KEY, line text NOT NULL);
  INSERT INTO note (line) SELECT 'line ' || g FROM generate_series(1, 100) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON note TO app; GRANT USAGE ON SEQUENCE note_id_seq TO app`;

let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({ sourceSql });
});
afterAll(async () => stack[Symbol.asyncDispose]());

async function left(): Promise<string[]> {
  const found: string[] = [];
  for (const side of ['source', 'local'] as const) {
    const client = await stack.direct(side);
    const { rows } = await client.query<{ what: string }>(`
      SELECT 'slot ' || slot_name AS what FROM pg_replication_slots WHERE slot_name LIKE 'causeway%'
      UNION ALL SELECT 'publication ' || pubname FROM pg_publication
      UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
      UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass('note') AND NOT tgisinternal`);
    found.push(...rows.map(({ what }) => `${side}: ${what}`));
  }
  return found.sort();
}

const nothing = { timeout: 20_000, interval: 100 };

it('after ABORT', { timeout: 90_000 }, async () => {
  expect(await left()).toEqual([]);
  await stack.migrate('public');
  expect((await left()).map((each) => each.replace(/causeway_forward_\w+/, 'forward'))).toEqual(expect.arrayContaining(['source: event trigger causeway_ddl_log', 'source: publication forward', 'source: slot forward']));
  await stack.command('ABORT MIGRATION ALL');
  await expect.poll(left, nothing).toEqual([]);
  // A stream that is not wanted is not disconnected: nobody is to be woken for it.
  const connected = async (): Promise<number> => (await stack.metrics()).split('\n').filter((line) => line.startsWith('scratchbird_gateway_stream_connected{')).length;
  await expect.poll(connected, nothing).toBe(0);
});

it('after COMPLETE, local being the truth', { timeout: 90_000 }, async () => {
  const app = await stack.connect('app');
  await stack.migrate('public', "copy_grants TRUE, dual_write_mode 'two_phase'");
  await app.query("INSERT INTO note (line) VALUES ('in step')");
  await stack.command('CUTOVER TABLE note');
  await app.query("INSERT INTO note (line) VALUES ('on local')");
  expect((await left()).some((each) => each.startsWith('local: slot'))).toBe(true);
  await stack.command('COMPLETE MIGRATION FOR TABLE note');
  await expect.poll(left, nothing).toEqual([]);
  await app.query("INSERT INTO note (line) VALUES ('afterwards')");
  await app.end();
  expect((await (await stack.direct('local')).query('SELECT FROM causeway.marking UNION ALL SELECT FROM causeway.mark')).rowCount).toBe(0);
  const { rows } = await (await stack.direct('local')).query('SELECT line FROM note ORDER BY id DESC LIMIT 3');
  expect(rows.map(({ line }) => line as string)).toEqual(['afterwards', 'on local', 'in step']);
});
