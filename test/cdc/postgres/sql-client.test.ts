/** A connection that the server ended while nobody used it is not what the next question fails for. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SqlClient } from '../../../cdc/postgres/sql-client.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(async () => server[Symbol.asyncDispose]());

it('asks on a new one, with its settings', async () => {
  const client = new SqlClient({ ...server.address, database: 'postgres' }, 'asker', "SET application_name = 'set up'");
  const [[pid] = []] = await client.rows({ text: 'SELECT pg_backend_pid()::text' });
  await (await server.client()).query('SELECT pg_terminate_backend($1)', [pid]);
  await delay(100);
  const [[other, name] = []] = await client.rows({ text: "SELECT pg_backend_pid()::text, current_setting('application_name')" });
  expect([other === pid, name]).toEqual([false, 'set up']);
  await server.stop('immediate');
  await delay(100);
  await expect(client.rows({ text: 'SELECT 1' })).rejects.toThrow();
  await server.restart();
  expect(await client.rows({ text: 'SELECT 1' })).toEqual([['1']]);
  await client.close();
});
