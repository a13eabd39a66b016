// A target that has lost what it had shown is noticed before anyone acts on it.
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installBookkeeping } from '../../../cdc/postgres/bookkeeping.ts';
import { assertSaved } from '../../../cdc/stream/saved-positions.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;
let client: Client;
beforeAll(async () => {
  server = await startTestPostgres();
  client = await server.client();
  await installBookkeeping(client);
  await client.query("INSERT INTO causeway.applied (stream, lsn, token) VALUES ('f', '0/200', 1)");
  await client.query("INSERT INTO causeway.table_applied (stream, table_id, mode, lsn, token) VALUES ('f', 'own', 'private', '0/300', 1), ('f', 'joined', 'shared', '0/100', 1)");
});
afterAll(async () => server[Symbol.asyncDispose]());

const saved = (shared: bigint, tables: readonly (readonly [string, bigint])[] = []) => ({ stream: 'f', shared, tables: tables.map(([tableId, lsn]) => ({ tableId, lsn })) });

test('what is there passes, and so does more than that', async () => {
  await assertSaved(client, saved(0x200n, [['own', 0x300n], ['joined', 0x150n]]));
  await assertSaved(client, saved(0x100n, [['own', 0x2ffn]]));
});

test.each([
  ['the shared position is behind', saved(0x201n)],
  ['a table of its own is behind', saved(0x200n, [['own', 0x301n]])],
  ['a table is not known', saved(0x200n, [['gone', 0n]])],
  ['the stream is not known', { ...saved(0n), stream: 'other' }],
])('%s', async (_, positions) => {
  await expect(assertSaved(client, positions)).rejects.toMatchObject({ code: 'MIG002', retryable: true });
});
