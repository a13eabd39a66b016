/** Property: a replication client cannot tell the gateway from the source. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ReplicationConnection } from '../../cdc/postgres/replication-connection.ts';
import { makeScramVerifier } from '../../src/wire/scram.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

let server: TestPostgres;
let fixture: GatewayFixture;
let admin: pg.Client;

beforeAll(async () => {
  server = await startTestPostgres();
  fixture = await startGateway(server.address, server.address, {
    users: [{ name: 'postgres', trustFrom: ['127.0.0.1'] }, { name: 'app', verifier: makeScramVerifier('right') }], limits: { maxConnections: 3 },
  });
  admin = await server.client();
  await admin.query("CREATE ROLE app LOGIN; CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t");
  await admin.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
});
afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const config = (over: object): pg.ClientConfig => ({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', database: 'postgres', ...over });

async function connect(over: object): Promise<pg.Client> {
  const client = new pg.Client(config(over));
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

it.each(['database', 'true'])('replication=%s: commands are answered by the source', async (replication) => {
  const [through, direct] = [await connect({ replication }), await connect({ replication, port: server.address.port })];
  const identity = async (client: pg.Client): Promise<unknown> => {
    const { rows: [row] } = await client.query<{ systemid: string; dbname: string | null }>('IDENTIFY_SYSTEM');
    return [row?.systemid, row?.dbname];
  };
  expect(await identity(through)).toEqual(await identity(direct));
  await through.end();
  await direct.end();
});

it('a change stream of many megabytes comes through whole, and feedback goes back', { timeout: 60_000 }, async () => {
  const connection = await ReplicationConnection.open({ ...server.address, port: fixture.gateway.port });
  let bytes = 0;
  let ended: Error | undefined;
  const { rows: [slot] } = await admin.query<{ lsn: string }>("SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = 's'");
  const [high = '0', low = '0'] = (slot?.lsn ?? '0/0').split('/');
  const from = (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
  await connection.start({ slotName: 's', publicationName: 'p', from }, { onBlock: (block) => (bytes += block.length), onReplyRequested: () => undefined, onEnd: (error) => (ended = error) });
  connection.pause();
  await admin.query("INSERT INTO t SELECT g, repeat(md5(g::text), 100) FROM generate_series(1, 10000) g");
  await new Promise((resolve) => setTimeout(resolve, 500));
  connection.resume();
  await expect.poll(() => bytes, { timeout: 20_000 }).toBeGreaterThan(32_000_000);
  const { rows: [now] } = await admin.query<{ lsn: string }>("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS lsn");
  connection.sendFeedback(BigInt(now?.lsn ?? 0), BigInt(now?.lsn ?? 0), Date.now(), false);
  await expect.poll(async () => (await admin.query("SELECT confirmed_flush_lsn >= $1::pg_lsn + 1 AS moved FROM pg_replication_slots WHERE slot_name = 's'", [slot?.lsn])).rows, { timeout: 10_000 }).toEqual([{ moved: true }]);
  expect(ended).toBeUndefined();
  // The source ends it: so does the gateway.
  await admin.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 's'");
  await expect.poll(() => ended, { timeout: 10_000 }).toBeDefined();
  connection.close();
});

it('passwords and the limit of connections hold, the server\'s own refusal is passed on, and a client that leaves takes its walsender along', async () => {
  await expect(connect({ replication: 'database', user: 'app', password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
  await expect(connect({ replication: 'database', user: 'app', password: 'right' })).rejects.toMatchObject({ code: '42501' });
  const open = [await connect({ replication: 'database' }), await connect({ replication: 'database' }), await connect({})];
  await expect(connect({})).rejects.toMatchObject({ code: '53300' });
  for (const client of open) await client.end();
  const senders = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'walsender'";
  await expect.poll(async () => (await admin.query(senders)).rows, { timeout: 10_000 }).toEqual([{ n: 0 }]);
});
