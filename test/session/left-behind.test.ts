/** Property: a connection that never becomes a session, or asks for a cancel only, leaves no socket behind, whatever its client sends with it and however long it stays. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { writeCancelRequest, writeSslRequest } from '../../src/wire/startup-packet.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient } from './raw-client.ts';

let server: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  server = await startTestPostgres();
  fixture = await startGateway(server.address, server.address, { limits: { startupTimeoutMs: 500 } });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
const noise = Buffer.alloc(100_000, 'x');

it.each([
  ['a cancel request with more behind it', Buffer.concat([writeCancelRequest(1, Buffer.alloc(4)), noise])],
  ['a request for TLS with nothing behind it', writeSslRequest()],
  ['no packet at all', noise],
  ['nothing', Buffer.alloc(0)],
])('%s', async (_name, bytes) => {
  const before = sockets();
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(fixture.gateway.port, null)));
  for (const client of clients) client.socket.write(bytes);
  await delay(100);
  for (const client of clients) client.end();
  await expect.poll(sockets, { timeout: 5_000 }).toBe(before);
});

it('a cancel request whose client stays', async () => {
  const before = sockets();
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(fixture.gateway.port, null)));
  for (const client of clients) {
    // Its own side stays open when the gateway has closed.
    client.socket.allowHalfOpen = true;
    client.socket.write(writeCancelRequest(1, Buffer.alloc(4)));
  }
  await expect.poll(sockets, { timeout: 5_000 }).toBe(before + clients.length);
  for (const client of clients) client.end();
});
