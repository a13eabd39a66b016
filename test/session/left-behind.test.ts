/** Property: a connection that never becomes a session, or asks for a cancel only, leaves no socket behind, whatever its client sends with it and however long it stays. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { collect } from '../soak/torture-gateway.ts';
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

/** A client, and the session that the gateway made for it. */
async function connect(): Promise<{ readonly client: RawClient; readonly session: ClientSession }> {
  const { start } = ClientSession.prototype;
  const started: ClientSession[] = [];
  ClientSession.prototype.start = function (early): void {
    started.push(this);
    start.call(this, early);
  };
  const client = await RawClient.connect(fixture.gateway.port);
  ClientSession.prototype.start = start;
  const [session] = started;
  if (!session) throw new Error('no session has started');
  return { client, session };
}

it('portals and cursors that have ended, however many names they had', async () => {
  const { client, session } = await connect();
  const kept = (): number[] => [session.portals.size, session.cursors.size];
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

it('a session that has become idle keeps no snapshot of an epoch that has passed', async () => {
  fixture.control.publish({ moved: onLocal });
  const { client } = await connect();
  await client.ask(q('SELECT 1 FROM pg_class LIMIT 1'));
  const passed = new WeakRef(fixture.control.snapshot);
  fixture.control.publish({ other: onLocal });
  // Whatever the process itself keeps of the last snapshot is that of the new one from here on.
  const { client: other } = await connect();
  await other.ask(q('SELECT 1 FROM pg_class LIMIT 1'));
  await collect();
  fixture.control.publish({});
  expect(passed.deref()).toBe(undefined);
  client.end();
  other.end();
});

it('nor the large bytes in which its last statement came', async () => {
  fixture.control.publish({ moved: onLocal });
  const { client, session } = await connect();
  const value = 'x'.repeat(1_000_000);
  expect(session.cancelKey.key.buffer.byteLength).toBeLessThan(100);
  const bytesKept = (): number[] => {
    const origin = session.statements.get('')?.origin;
    return [session.lastStatement.length, origin?.type === 'parse' ? origin.message.buffer.byteLength : 0];
  };
  await client.ask(q(`SELECT length('${value}')`));
  expect(Math.max(...bytesKept())).toBeLessThan(100_000);
  await client.ask([p('', 'SELECT length($1)'), b('', '', [value]), e(''), s]);
  expect(Math.max(...bytesKept())).toBeLessThan(20_000);
  fixture.control.publish({});
  client.end();
});
