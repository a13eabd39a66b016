/** Property: what fences and guards of PostgreSQL have left on tables that are in no migration any more goes by itself, whatever process made it; nobody who uses the tables feels it, and what stands or may be needed again stays. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { dropIdleFences } from '../../cdc/postgres/drop-fences.ts';
import { installFence, installFenceSupport, installGuard, readIdleFences, removeFence, removeGuard } from '../../cdc/postgres/fence.ts';
import { PostgresSourceSide } from '../../cdc/postgres/source-side.ts';
import { FlowUpkeep } from '../../src/migrate/flow-upkeep.ts';
import type { SourceFlow } from '../../src/migrate/source-flow.ts';
import { testRuntime } from '../cdc/snapshot/loader-fixture.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

const [plain, parted, kept] = ['plain', 'parted', 'kept'].map((name) => ({ schema: 'public', name })) as [TableName, TableName, TableName];
type TableName = { readonly schema: string; readonly name: string };

let server: TestPostgres;
let client: pg.Client;
let side: PostgresSourceSide;
let admin: AdminConnection;
let migrating: readonly Partial<TableRecord>[];

beforeAll(async () => {
  server = await startTestPostgres();
  client = await server.client();
  await installFenceSupport(client);
  side = new PostgresSourceSide(testRuntime(), server.address);
  admin = new AdminConnection(server.address, 'test');
});
afterAll(async () => {
  await Promise.all([side.close(), admin.close()]);
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  migrating = [];
  await client.query(`DROP TABLE IF EXISTS plain, parted, kept; DELETE FROM causeway.fence; CREATE TABLE plain (id int); CREATE TABLE kept (id int);
    CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE parted_1 PARTITION OF parted DEFAULT PARTITION BY LIST (id); CREATE TABLE parted_1d PARTITION OF parted_1 DEFAULT`);
});

/** A control process that knows nothing of an earlier one. */
async function sweep(): Promise<void> {
  const catalog = { tables: async () => Promise.resolve(migrating as readonly TableRecord[]) } as unknown as Catalog;
  const flow = {
    serverName: 'legacy', sourceSide: side, streams: { endUnused: async () => Promise.resolve() }, rights: { look: async () => Promise.resolve() },
    idleGuards: () => admin.use((local) => readIdleFences(local, 'guard')), dropGuards: (tables: readonly TableName[], timeoutMs: number) => dropIdleFences(testRuntime(), admin, 'guard', tables, timeoutMs),
  } as unknown as SourceFlow;
  await new FlowUpkeep(testRuntime(), catalog).keep(flow);
}

const triggers = async (): Promise<readonly string[]> => (await client.query<{ t: string }>("SELECT DISTINCT tgrelid::regclass::text AS t FROM pg_trigger WHERE tgname LIKE '!causeway%' ORDER BY 1")).rows.map(({ t }) => t);
const made = { epoch: 7, token: 'earlier' };

it.each([['fence', installFence, removeFence], ['guard', installGuard, removeGuard]] as const)('a %s that was taken down', async (_, install, remove) => {
  await client.query('BEGIN');
  await install(client, [plain, parted, kept], made);
  await client.query('COMMIT');
  await remove(client, [plain, parted]);
  await sweep();
  // It stands on this one.
  expect(await triggers()).toEqual(['kept']);
  await remove(client, [kept]);
  migrating = [{ tableId: 'k', sourceServer: 'legacy', source: kept, target: kept, state: 'DUAL_WRITE' }];
  await sweep();
  expect(await triggers()).toEqual(['kept']);
  migrating = [{ tableId: 'k', sourceServer: 'legacy', source: kept, target: kept, state: 'LOCAL_ONLY', completedAt: '2026-01-01T00:00:00Z' }];
  await sweep();
  expect(await triggers()).toEqual([]);
});

it('a table that is read all the time keeps it until it is not, and its other readers hardly wait', async () => {
  await client.query('BEGIN');
  await installFence(client, [plain], made);
  await client.query('COMMIT');
  await removeFence(client, [plain]);
  const reader = await server.client();
  await reader.query('BEGIN; SELECT * FROM plain');
  const sweeping = side.dropFences([plain], { timeoutMs: 3_000 });
  let longestMs = 0;
  let done = false;
  void sweeping.finally(() => (done = true));
  while (!done) {
    const begun = performance.now();
    await client.query('SELECT * FROM plain');
    longestMs = Math.max(longestMs, performance.now() - begun);
  }
  expect(await sweeping).toEqual([plain]);
  // An attempt is a tenth of a second; the lock that it waits for is never asked for longer.
  expect(longestMs).toBeLessThan(2_500);
  expect(await side.idleFences()).toEqual([plain]);
  await reader.query('COMMIT');
  await sweep();
  expect(await triggers()).toEqual([]);
});
