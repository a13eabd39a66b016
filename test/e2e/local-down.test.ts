/**
 * Local is down for longer than a moment: applications go on at the source without an error, the source is not made to keep WAL for it, and
 * when local is back the tables come back by themselves with nothing missing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({
    sourceSql: `CREATE TABLE note (id int PRIMARY KEY, line text NOT NULL); INSERT INTO note SELECT g, 'line ' || g FROM generate_series(1, 500) g;
      GRANT SELECT, INSERT, UPDATE, DELETE ON note TO app`,
  });
});
afterAll(async () => stack[Symbol.asyncDispose]());

it('keeps neither the application nor the WAL of the source waiting', { timeout: 150_000 }, async () => {
  await stack.migrate('public');
  const source = await stack.direct('source');
  const app = await stack.connect('app');
  await stack.local.stop('immediate');
  let written = 0;
  const write = async (): Promise<void> => {
    written += 1;
    await app.query('INSERT INTO note VALUES ($1, $2)', [1000 + written, `while local is down ${written}`]);
    await app.query('UPDATE note SET line = line || $1 WHERE id = $2', ['!', 1 + (written % 500)]);
  };
  await write();
  const { rows: [after] } = await source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  const isForgotten = async (): Promise<boolean> => {
    await write();
    return (await source.query("SELECT 1 FROM pg_replication_slots WHERE slot_name LIKE 'causeway_forward_%' AND confirmed_flush_lsn >= $1::pg_lsn", [after?.lsn])).rowCount === 1;
  };
  await expect.poll(isForgotten, { timeout: 60_000, interval: 250 }).toBe(true);
  expect((await stack.status()).map(({ State }) => State)).toEqual(['SYNCHRONIZING']);
  await stack.local.restart();
  for (let round = 0; round < 20; round += 1) {
    await write();
    await delay(50);
  }
  await stack.makeReady('public', 90_000);
  await write();
  const read = 'SELECT count(*)::int AS n, md5(string_agg(id || line, \',\' ORDER BY id)) AS digest FROM note';
  const local = await stack.direct('local');
  expect((await local.query(read)).rows).toEqual((await source.query(read)).rows);
  expect((await app.query('SELECT count(*)::int AS n FROM note')).rows).toEqual([{ n: 500 + written }]);
  await app.end();
});
