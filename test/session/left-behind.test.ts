/** Property: a connection that never becomes a session, or asks for a cancel only, leaves no socket behind, whatever its client sends with it and however long it stays. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { writeCancelRequest, writeSslRequest } from '../../src/wire/startup-packet.ts';
import { ClientSession } from '../../src/session/client-session.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, p, q, s } from './raw-client.ts';

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

it('portals and cursors that have ended, however many names they had', async () => {
  const { start } = ClientSession.prototype;
  let session: ClientSession | undefined;
  ClientSession.prototype.start = function (early): void {
    session = this;
    start.call(this, early);
  };
  const client = await RawClient.connect(fixture.gateway.port);
  ClientSession.prototype.start = start;
  const kept = (): number[] => [session?.portals.size ?? -1, session?.cursors.size ?? -1];
  for (let unit = 0; unit < 20; unit += 1) await client.ask([p('', 'SELECT 1'), b(`p${unit}`, ''), e(`p${unit}`), s]);
  expect(kept()).toEqual([1, 0]);
  fixture.control.publish({ moved: onLocal });
  for (let block = 0; block < 20; block += 1) {
    await client.ask([q('BEGIN'), q(`DECLARE c${block} CURSOR FOR SELECT 1`), p('', 'SELECT 1'), b(`p${block}`, ''), s, q(block % 2 === 0 ? 'COMMIT' : 'SELECT 1/0; COMMIT')], 4);
    if (block % 2 === 1) await client.ask(q('ROLLBACK'));
    await client.ask([q(`DECLARE h${block} CURSOR WITH HOLD FOR SELECT 1`), q(`DECLARE w${block} CURSOR FOR SELECT 1`), q(`CLOSE h${block}`)], 3);
  }
  expect(kept()).toEqual([0, 0]);
  fixture.control.publish({});
  client.end();
});
