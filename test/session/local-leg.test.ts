/**
 * Property: a session's state is brought to local whole or not at all. A cancel that meets the asking for it, or the setting up, is the cancel of the statement that
 * waits for it (57014), which has not run; and the next one has the session's role, settings and temporary tables.
 */
import * as net from 'node:net';
import { once } from 'node:events';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeCancelRequest } from '../../src/wire/startup-packet.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { fieldsOf, firstValue, q, RawClient } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  for (const server of [source, local]) await (await server.client()).query('CREATE ROLE reader; CREATE ROLE other; CREATE TABLE moved (k int); GRANT SELECT ON moved TO reader, other');
  fixture = await startGateway(source.address, local.address);
  fixture.control.publish({ moved: onLocal });
});
afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

/** While `holder` has the catalog to itself the statement waits for what it says of the session; there the cancel meets it. */
async function cancelled(client: RawClient, holder: pg.Client, catalog: string, sql: string): Promise<Record<string, string>> {
  const key = client.messages.find(({ type }) => type === 'K')?.body;
  await holder.query(`BEGIN; LOCK TABLE pg_catalog.${catalog} IN ACCESS EXCLUSIVE MODE`);
  try {
    const answered = client.ask(q(sql), 1, 30_000);
    await expect.poll(async () => (await holder.query('SELECT 1 FROM pg_catalog.pg_locks WHERE NOT granted')).rowCount, { timeout: 20_000 }).toBeGreaterThan(0);
    const cancel = net.connect(fixture.gateway.port, '127.0.0.1');
    cancel.resume();
    cancel.write(writeCancelRequest(key?.readInt32BE(0) ?? 0, key?.subarray(4) ?? Buffer.alloc(4)));
    await once(cancel, 'close');
    return fieldsOf((await answered).find(({ type }) => type === 'E'));
  } finally {
    await holder.query('ROLLBACK');
  }
}

async function open(): Promise<{ readonly client: RawClient; readonly run: (sql: string) => Promise<string | undefined> }> {
  const client = await RawClient.connect(fixture.gateway.port);
  const login = client.messages.slice();
  const run = async (sql: string): Promise<string | undefined> => {
    const found = await client.ask(q(sql));
    const error = found.find(({ type }) => type === 'E');
    if (error) throw new Error(Object.values(fieldsOf(error)).join(' '));
    // What it logged in with stays in reach.
    client.messages.unshift(...login);
    return firstValue(found);
  };
  return { client, run };
}

const who = "SELECT current_user || ' ' || current_setting('work_mem') FROM (SELECT count(*) FROM moved) AS counted";

it('while the source is asked for the state', async () => {
  const { client, run } = await open();
  await run('SET ROLE reader');
  await run("SET work_mem = '7MB'");
  expect(await cancelled(client, await source.client(), 'pg_settings', who)).toMatchObject({ C: '57014', S: 'ERROR' });
  expect(await run(who)).toBe('reader 7MB');
  client.end();
});

it('while local is brought to it', async () => {
  const { client, run } = await open();
  const holder = await local.client();
  await run(who);
  await run("SET work_mem = '9MB'");
  // A role that local has not looked up yet.
  await run('SET ROLE other');
  expect(await cancelled(client, holder, 'pg_authid', who)).toMatchObject({ C: '57014', S: 'ERROR' });
  expect(await run(who)).toBe('other 9MB');
  client.end();
});

it('while the source is asked for its temporary tables: their names are not taken for tables that have moved', async () => {
  const { client, run } = await open();
  const holder = await source.client();
  await holder.query('SELECT 1 FROM pg_catalog.pg_locks WHERE NOT granted');
  await run('CREATE TEMP TABLE moved AS SELECT 42 AS k');
  expect(await cancelled(client, holder, 'pg_class', 'SELECT k FROM moved')).toMatchObject({ C: '57014', S: 'ERROR' });
  expect(await run('SELECT k FROM moved')).toBe('42');
  client.end();
});
