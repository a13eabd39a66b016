/** Two servers whose tables say on which side they are, a gateway between them, and a client: for tests of where statements run. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { fieldsOf, firstValue, q, RawClient } from './raw-client.ts';

export let source: TestPostgres;
export let local: TestPostgres;
export let fixture: GatewayFixture;
export let client: RawClient;

/** Each table holds one row that says on which side it is. */
const setUp = `DROP TABLE IF EXISTS a, b, w; CREATE TABLE a(k int PRIMARY KEY, side text); CREATE TABLE b(k int PRIMARY KEY, side text); CREATE TABLE w(k int PRIMARY KEY, side text);`;

/** For the file that calls it. */
export function withRoutedServers(): void {
  beforeAll(async () => {
    source = await startTestPostgres();
    local = await startTestPostgres();
    fixture = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 400 } });
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
    await source?.[Symbol.asyncDispose]();
    await local?.[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    for (const [server, name] of [[source, 'source'], [local, 'local']] as const) {
      const admin = new pg.Client(server.address);
      await admin.connect();
      await admin.query(setUp);
      for (const table of ['a', 'b', 'w']) await admin.query(`INSERT INTO ${table} VALUES (1, '${name}')`);
      await admin.end();
    }
    fixture.control.autoVisible = true;
    fixture.control.leaseValid = true;
    fixture.control.publish({});
    client = await RawClient.connect(fixture.gateway.port);
  });

  afterEach(() => client.end());
}

export const types = (messages: readonly { type: string }[]): string => messages.map(({ type }) => type).join('');
export const value = async (sql: string): Promise<string | undefined> => firstValue(await client.ask(q(sql)));
export const errorOf = (messages: Parameters<typeof fieldsOf>[0][]): string | undefined => fieldsOf(messages.find((found) => found?.type === 'E'))['C'];

export async function onServer(server: TestPostgres, sql: string): Promise<string> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  const result = await admin.query<Record<string, unknown>>(sql);
  await admin.end();
  return String(Object.values(result.rows[0] ?? {})[0]);
}
