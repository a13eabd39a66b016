// A test server that was copied is a server like any other, and not the same as the next one.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import { startTestPostgres } from './postgres.ts';

test('the checksum is the one of the standard', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('servers of one run have identifiers of their own, start again after a crash, and the run has one initdb', async () => {
  const run = process.env['CAUSEWAY_TEST_RUN'];
  if (run === undefined) return expect.fail('there is no folder of the run');
  await using first = await startTestPostgres({ durable: true });
  await using second = await startTestPostgres();
  expect(fs.existsSync(path.join(run, 'postgres/PG_VERSION'))).toBe(true);
  const identify = async (server: typeof first): Promise<string> => (await (await server.client()).query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()')).rows[0]?.id ?? '';
  const [one, other] = [await identify(first), await identify(second)];
  expect(one).toMatch(/^[1-9]\d*$/);
  expect(other).not.toBe(one);
  await (await first.client()).query('CREATE TABLE kept AS SELECT 7 AS n');
  await (await first.client()).query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
  await first.stop('immediate');
  await first.restart();
  const client = await first.client();
  expect((await client.query('SELECT n FROM kept')).rows).toEqual([{ n: 7 }]);
  expect((await client.query("SELECT slot_name FROM pg_replication_slots")).rows).toEqual([{ slot_name: 's' }]);
  expect(await identify(first)).toBe(one);
});
