/** A gateway whose sessions share connections, before two servers with the same tables; what tests of the pool modes ask of it. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import type { PoolMode } from '../../src/session/pool/pools.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, e, fieldsOf, firstValue, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

export const SIZE = 3;
export let source: TestPostgres;
export let local: TestPostgres;
export let admin: pg.Client;
export let fixture: GatewayFixture;
export const opened: { end(): unknown }[] = [];

/** The hooks of a file that uses them. */
export function usePools(): void {
  beforeAll(async () => {
    [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
    admin = await source.client();
    for (const [side, server] of [['source', source], ['local', local]] as const) {
      const client = await server.client();
      await client.query(`CREATE TABLE things (id int PRIMARY KEY, side text, big text); INSERT INTO things SELECT g, '${side}', repeat('x', 1000) FROM generate_series(1, 2000) g; CREATE TABLE moved AS SELECT * FROM things; ANALYZE;
        CREATE TABLE written (id serial PRIMARY KEY, v text); CREATE SEQUENCE numbers;
        CREATE FUNCTION who() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.pg_backend_pid()'`);
    }
  });

  afterAll(async () => {
    await admin?.end();
    await source?.[Symbol.asyncDispose]();
    await local?.[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    for (const client of opened.splice(0)) await client.end();
    await fixture?.[Symbol.asyncDispose]();
  });
}

export async function start(mode: PoolMode, size = SIZE, more: Partial<typeof sessionPooling> = {}): Promise<void> {
  fixture = await startGateway(source.address, local.address, { pools: { ...sessionPooling, modeOf: () => mode, size, ...more } });
}

export async function raw(): Promise<RawClient> {
  const client = await RawClient.connect(fixture.gateway.port, { user: 'postgres', database: 'postgres', application_name: 'pooled' });
  opened.push(client);
  return client;
}

export async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', database: 'postgres', application_name: 'pooled' });
  client.on('error', () => undefined);
  await client.connect();
  opened.push(client);
  return client;
}

export const backends = async (): Promise<number> => Number((await admin.query<{ n: string }>("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'pooled'")).rows[0]?.n);
export const types = (messages: readonly RawMessage[]): string => messages.map(({ type }) => type).join('');
export const run = (statement: string, values: readonly (string | null)[] = []): Buffer => Buffer.concat([b('', statement, values), e(''), s]);
export const valueOf = async (client: RawClient, sql: string): Promise<string | undefined> => firstValue(await client.ask(q(sql)));
export const errorOf = (messages: readonly RawMessage[]): ReadonlyMap<string, string> | Readonly<Record<string, string>> => fieldsOf(messages.find(({ type }) => type === 'E'));

export const errorText = (messages: readonly RawMessage[]): string => JSON.stringify(errorOf(messages));
