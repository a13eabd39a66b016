/**
 * Property: when the connection of a cancel request ends, the server has been told, as with a server itself. A client that waits for that end (libpq's PQcancel,
 * asyncpg, pgjdbc) may then send its next statement without fear that the cancel hits that one.
 */
import * as net from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeCancelRequest } from '../../src/wire/startup-packet.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, q } from './raw-client.ts';

const CANCEL_BYTES = 16;
const DELAY_MS = 400;
let server: TestPostgres;
let fixture: GatewayFixture;
let slow: net.Server;
let toldAtMs = 0;

beforeAll(async () => {
  server = await startTestPostgres();
  // Between gateway and server: cancel requests take their time.
  slow = net.createServer((client) => {
    const upstream = net.connect(server.address.port, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    upstream.pipe(client);
    client.once('data', (first: Buffer) => void (async () => {
      if (first.length === CANCEL_BYTES) await delay(DELAY_MS);
      if (first.length === CANCEL_BYTES) toldAtMs = performance.now();
      upstream.write(first);
      client.pipe(upstream);
    })());
  });
  slow.listen(0, '127.0.0.1');
  await once(slow, 'listening');
  const address = { ...server.address, port: (slow.address() as net.AddressInfo).port };
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
