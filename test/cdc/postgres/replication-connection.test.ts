/** Property: a replication connection that is lost is told, at whatever moment it is lost. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ReplicationConnection } from '../../../cdc/postgres/replication-connection.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startTestPostgres({ settings: { wal_level: 'logical' } });
});
afterAll(async () => server?.[Symbol.asyncDispose]());

it('lost between its last query and the start of the stream', async () => {
  const connection = await ReplicationConnection.open(server.address);
  await connection.identify();
  const admin = await server.client();
  await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'");
  await expect.poll(async () => (await admin.query("SELECT FROM pg_stat_activity WHERE backend_type = 'walsender'")).rowCount).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const ended: Error[] = [];
  const started = connection.start({ slotName: 'none', publicationName: 'none', from: 0n }, { onBlock: () => undefined, onReplyRequested: () => undefined, onEnd: (error) => void ended.push(error) });
  await expect(started).rejects.toThrow('closed the replication connection');
  connection.close();
});
