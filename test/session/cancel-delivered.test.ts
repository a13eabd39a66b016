/**
 * Property: when the connection of a cancel request ends, the server has been told, as with a server itself. A client that waits for that end (libpq's PQcancel,
 * asyncpg, pgjdbc) may then send its next statement without fear that the cancel hits that one.
 */
import * as net from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeCancelRequest } from '../../src/wire/startup-packet.ts';
import { LocalLink } from '../../src/session/mysql-local/local-link.ts';
import type { LocalReply } from '../../src/session/mysql-local/local-link.ts';
import { OwnConnection } from '../../src/session/mysql-local/own-connection.ts';
import { LargeBuffers } from '../../src/wire/socket-input.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { fieldsOf, RawClient, q } from './raw-client.ts';

const CANCEL_BYTES = 16;
const DELAY_MS = 400;
let server: TestPostgres;
let fixture: GatewayFixture;
let slow: net.Server;
let toldAtMs = 0;
/** While it is there cancel requests wait for it. */
let gate: Promise<void> | undefined;
let address: TestPostgres['address'];

beforeAll(async () => {
  server = await startTestPostgres();
  // Between gateway and server: cancel requests take their time.
  slow = net.createServer((client) => {
    const upstream = net.connect(server.address.port, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    upstream.pipe(client);
    client.once('data', (first: Buffer) => void (async () => {
      if (first.length === CANCEL_BYTES) await (gate ?? delay(DELAY_MS));
      if (first.length === CANCEL_BYTES) toldAtMs = performance.now();
      upstream.write(first);
      client.pipe(upstream);
    })());
  });
  slow.listen(0, '127.0.0.1');
  await once(slow, 'listening');
  address = { ...server.address, port: (slow.address() as net.AddressInfo).port };
  fixture = await startGateway(address, address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  slow?.close();
  await server?.[Symbol.asyncDispose]();
});

it('the end of a cancel request comes after the server has been told', async () => {
  const session = await RawClient.connect(fixture.gateway.port);
  const key = session.messages.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
  const answered = session.ask(q('SELECT pg_sleep(20)'));
  await delay(100);
  const cancel = net.connect(fixture.gateway.port, '127.0.0.1');
  cancel.resume();
  cancel.write(writeCancelRequest(key.readInt32BE(0), key.subarray(4)));
  await once(cancel, 'close');
  const endedAtMs = performance.now();
  expect((await answered).map(({ type }) => type).join('')).toContain('E');
  session.end();
  expect(endedAtMs).toBeGreaterThanOrEqual(toldAtMs);
});

it.each(['transaction', 'pipeline'] as const)('in pool mode %s one that comes too late does not meet the session that has the connection next', async (mode) => {
  await using pooled = await startGateway(address, address, { pools: { ...sessionPooling, modeOf: () => mode, size: 1, waitMs: 5_000 } });
  const [one, next] = [await RawClient.connect(pooled.gateway.port), await RawClient.connect(pooled.gateway.port)];
  const key = one.messages.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
  const first = one.ask(q('SELECT pg_sleep(0.2)'));
  const second = next.ask(q('SELECT pg_sleep(0.8)'));
  const cancel = net.connect(pooled.gateway.port, '127.0.0.1');
  cancel.resume();
  toldAtMs = 0;
  await delay(50);
  cancel.write(writeCancelRequest(key.readInt32BE(0), key.subarray(4)));
  expect((await first).map(({ type }) => type).join('')).toBe('TDCZ');
  expect(toldAtMs).toBe(0);
  expect(fieldsOf((await second).find(({ type }) => type === 'E'))).toEqual({});
  expect(toldAtMs).toBeGreaterThan(0);
  one.end();
  next.end();
});

it('the cancel that ends a deadlock over both sides, and comes too late for it, does not meet the next statement of the session', async () => {
  const admin = await server.client();
  await admin.query('CREATE TABLE moved (n int); CREATE TABLE stayed (n int); INSERT INTO stayed VALUES (1)');
  fixture.control.publish({ moved: onLocal }, { twoPhase: { sides: ['source', 'local'], mark: 'causeway_test_' } });
  const session = await RawClient.connect(fixture.gateway.port);
  for (const sql of ['BEGIN', 'INSERT INTO moved VALUES (1)', 'UPDATE stayed SET n = 2']) await session.ask(q(sql));
  const [block] = fixture.gateway.crossingUnits();
  await admin.query('SELECT pg_advisory_lock(7)');
  const first = session.ask(q('UPDATE stayed SET n = n + 1 WHERE pg_advisory_xact_lock(7) IS NOT NULL'));
  const states = async (wanted: string): Promise<number> => (await admin.query(`SELECT 1 FROM pg_stat_activity WHERE ${wanted} AND query LIKE 'UPDATE stayed%pg_advisory%'`)).rowCount ?? 0;
  await expect.poll(() => states("wait_event_type = 'Lock'"), { timeout: 20_000 }).toBe(1);
  const open = Promise.withResolvers<void>();
  gate = open.promise;
  expect(fixture.gateway.breakDeadlock([block?.sessionId ?? ''])).toBe(1);
  await admin.query('SELECT pg_advisory_unlock(7)');
  const second = first.then(() => session.ask(q('UPDATE stayed SET n = n + 1 WHERE pg_sleep(0.8) IS NOT NULL')));
  await expect.poll(() => states("state = 'idle in transaction'"), { timeout: 20_000 }).toBe(1);
  // Time for a session that does not wait to send its next one.
  await delay(300);
  open.resolve();
  gate = undefined;
  expect((await first).map(({ type }) => type).join('')).toBe('CZ');
  expect(fieldsOf((await second).find(({ type }) => type === 'E'))).toEqual({});
  await session.ask(q('ROLLBACK'));
  session.end();
  fixture.control.publish({});
});

it('KILL QUERY of a MySQL client\'s statement on local, that comes too late for it, does not meet the next one', async () => {
  const connection = new OwnConnection({ target: { ...address }, startup: new Map([['user', address.user], ['database', 'postgres']]), timeoutMs: 5_000, nowMs: () => performance.now(), readBuffers: new LargeBuffers(true) });
  const link = new LocalLink(connection, true, () => performance.now(), () => undefined);
  const ask = (sql: string): Promise<LocalReply> => new Promise((resolve) => link.query(sql, resolve));
  await ask('SELECT 1');
  const open = Promise.withResolvers<void>();
  gate = open.promise;
  const first = ask('SELECT pg_sleep(0.1)');
  link.cancel();
  expect((await first).type).toBe('done');
  const second = ask('SELECT pg_sleep(0.8)');
  await delay(300);
  open.resolve();
  gate = undefined;
  expect((await second).type).toBe('done');
  link.end();
});
