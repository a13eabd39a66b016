/**
 * Property: no user and no database has more sessions than its limit; who has to wait is let in in order, as soon as there is a place; who leaves the
 * queue, in whichever way, leaves nothing in it; and an operator gets in whatever the others do.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import { SlotQueue } from '../../src/migrate/slot-queue.ts';
import { PrometheusMetrics } from '../../src/ops/prometheus.ts';
import type { SlotPort } from '../../src/session/admission.ts';
import type { GatewayLimits } from '../../src/session/services.ts';
import { makeScramVerifier } from '../../src/wire/scram.ts';
import { writeCancelRequest, writeStartup } from '../../src/wire/startup-packet.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, fieldsOf, q, x } from './raw-client.ts';

let server: TestPostgres;
const running: GatewayFixture[] = [];
const clients: RawClient[] = [];

beforeAll(async () => {
  server = await startTestPostgres();
  await server.createDatabase('other');
  await (await server.client()).query('CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE cleo LOGIN; CREATE ROLE op LOGIN');
});

afterAll(async () => server?.[Symbol.asyncDispose]());

afterEach(async () => {
  for (const client of clients.splice(0)) client.end();
  for (const fixture of running.splice(0)) await fixture[Symbol.asyncDispose]();
});

/** Users: ann, bob, cleo by trust, bob also has a password from elsewhere; op is an operator. */
async function gateway(limits: { readonly user?: number; readonly database?: number; readonly waiting?: number; readonly ann?: number }, gatewayLimits: Partial<GatewayLimits> = {}) {
  const of: ConnectionLimits = {
    ofUser: (name) => (name === 'ann' ? (limits.ann ?? limits.user ?? 0) : (limits.user ?? 0)), ofDatabase: () => limits.database ?? 0,
    maxWaiting: limits.waiting ?? 100, isExempt: (name) => name === 'op',
  };
  const metrics = new PrometheusMetrics();
  const fixture = await startGateway(server.address, server.address, { connections: { limits: of, slots: slotsOf(of) }, limits: gatewayLimits }, metrics);
  running.push(fixture);
  const metric = async (name: string): Promise<number | undefined> => {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`scratchbird_gateway_${name} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };
  return { fixture, metric, waiting: () => metric('connections_waiting') };
}

function slotsOf(limits: ConnectionLimits): SlotPort {
  const queue = new SlotQueue(limits);
  return {
    request: (pool, answered) => {
      const request = { ...pool, granted: () => answered(true) };
      if (!queue.ask(request)) answered(false);
      return () => queue.leave(request);
    },
  };
}

/** Sends the start-up packet and does not wait for the answer. */
async function knock(fixture: GatewayFixture, user: string, database = 'postgres'): Promise<RawClient> {
  const client = await RawClient.connect(fixture.gateway.port, null);
  clients.push(client);
  client.socket.write(writeStartup([['user', user], ['database', database]]));
  return client;
}

const isIn = (client: RawClient): boolean => client.types().endsWith('Z');
const getsIn = async (client: RawClient): Promise<void> => client.until(() => isIn(client));
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

async function comeIn(fixture: GatewayFixture, user: string, database?: string): Promise<RawClient> {
  const client = await knock(fixture, user, database);
  await getsIn(client);
  return client;
}

describe('the limits', () => {
  it('of three users: each has his own, and the database one for all', async () => {
    const { fixture, waiting } = await gateway({ user: 2, database: 5 });
    const first = [];
    for (const user of ['ann', 'ann', 'bob', 'bob', 'cleo']) first.push(await comeIn(fixture, user));
    const [ann, bob, cleo] = [await knock(fixture, 'ann'), await knock(fixture, 'bob'), await knock(fixture, 'cleo')];
    await expect.poll(waiting).toBe(3);
    expect(fixture.gateway.sessions).toBe(5);
    // Another database is not full: only the user's limit counts there.
    await comeIn(fixture, 'cleo', 'other');
    // Cleo has two now, so the place that she gives back in the first database is one for nobody but her.
    first[4]?.end();
    await getsIn(cleo);
    expect([isIn(ann), isIn(bob)]).toEqual([false, false]);
    first[2]?.end();
    await getsIn(bob);
    first[0]?.end();
    await getsIn(ann);
    expect(await waiting()).toBe(0);
    expect(fixture.gateway.sessions).toBe(6);
  });

  it('of one user by name', async () => {
    const { fixture, waiting } = await gateway({ user: 3, ann: 1 });
    const ann = await comeIn(fixture, 'ann');
    for (let n = 0; n < 3; n += 1) await comeIn(fixture, 'bob');
    const next = await knock(fixture, 'ann');
    await expect.poll(waiting).toBe(1);
    ann.end();
    await getsIn(next);
  });

  it('in order, as places become free', async () => {
    const { fixture, waiting } = await gateway({ user: 1 });
    let holder = await comeIn(fixture, 'ann');
    const queue: RawClient[] = [];
    for (let n = 0; n < 5; n += 1) {
      queue.push(await knock(fixture, 'ann'));
      await expect.poll(waiting).toBe(n + 1);
    }
    for (let n = 0; n < 5; n += 1) {
      // The second way of leaving: a goodbye.
      if (n % 2 === 0) holder.end();
      else holder.socket.write(x);
      await expect.poll(() => queue.map(isIn)).toEqual(queue.map((_, index) => index <= n));
      holder = queue[n] as RawClient;
    }
    expect((await holder.ask(q('SELECT 1'))).map(({ type }) => type).join('')).toBe('TDCZ');
  });

  it('of all places: the last ones are for operators', async () => {
    const { fixture } = await gateway({ user: 1 }, { maxConnections: 4, reservedConnections: 2 });
    await comeIn(fixture, 'ann');
    await comeIn(fixture, 'bob');
    const refused = await knock(fixture, 'cleo');
    await refused.until(() => refused.closed);
    expect(fieldsOf(refused.messages[0])).toMatchObject({ S: 'FATAL', C: '53300', M: 'MIG085: too many connections', D: 'A gateway process has 4 places (limits.max_connections), 2 of them for operators only (limits.reserved_connections).' });
    // His user's limit would be one.
    await comeIn(fixture, 'op');
    await comeIn(fixture, 'op');
    const last = await knock(fixture, 'op');
    await last.until(() => last.closed);
    expect(fieldsOf(last.messages[0])).toMatchObject({ C: '53300' });
  });
});

describe('who waits', () => {
  it('too long gets 53300 with the cause and what to do', async () => {
    const { fixture, metric } = await gateway({ user: 1, database: 7 }, { connectionWaitMs: 1_200 });
    const holder = await comeIn(fixture, 'ann');
    const began = performance.now();
    const late = await knock(fixture, 'ann');
    await late.until(() => late.closed);
    expect(performance.now() - began).toBeGreaterThan(1_150);
    expect(fieldsOf(late.messages[0])).toMatchObject({
      S: 'FATAL', C: '53300', M: 'MIG085: no place for user "ann" of database "postgres" became free in 1200 ms',
      D: 'The limit of its user (max_user_connections) is 1, that of its database (max_db_connections) is 7. The wait is timeouts.connection_wait_ms.', H: expect.stringContaining('SHOW POOLS'),
    });
    expect(await metric('connections_refused_total{reason="queue_timeout"}')).toBe(1);
    expect(await metric('connection_wait_seconds_count')).toBe(1);
    // It has left nothing behind: the place goes to the next one, and only to one.
    holder.end();
    await comeIn(fixture, 'ann');
  });

  it('behind too many others is refused at once', async () => {
    const { fixture, metric, waiting } = await gateway({ user: 1, waiting: 1 });
    await comeIn(fixture, 'ann');
    const next = await knock(fixture, 'ann');
    await expect.poll(waiting).toBe(1);
    const refused = await knock(fixture, 'ann');
    await refused.until(() => refused.closed);
    expect(fieldsOf(refused.messages[0])).toMatchObject({ C: '53300', M: 'MIG085: too many connections for user "ann" of database "postgres"', D: expect.stringContaining('1 clients wait already (limits.max_waiting_clients)') });
    expect(await metric('connections_refused_total{reason="queue_full"}')).toBe(1);
    expect(isIn(next) || next.closed).toBe(false);
  });

  it.each([
    ['is reset', (client: RawClient) => client.socket.resetAndDestroy()],
    ['is closed', (client: RawClient) => client.socket.end()],
    ['says goodbye, and keeps the connection', (client: RawClient) => client.socket.write(x)],
  ])('leaves the queue at once when his connection %s', async (_, leave) => {
    const { fixture, waiting } = await gateway({ user: 1 });
    const holder = await comeIn(fixture, 'ann');
    const [first, second] = [await knock(fixture, 'ann'), await knock(fixture, 'ann')];
    await expect.poll(waiting).toBe(2);
    leave(first);
    await expect.poll(waiting, { timeout: 5_000 }).toBe(1);
    expect(isIn(second)).toBe(false);
    holder.end();
    await getsIn(second);
    await expect.poll(() => fixture.gateway.sessions).toBe(1);
  });

  it('is not let in, nor thrown out, by a cancel of somebody else', async () => {
    const { fixture, waiting } = await gateway({ user: 1 });
    const holder = await comeIn(fixture, 'ann');
    const key = holder.messages.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
    const next = await knock(fixture, 'ann');
    await expect.poll(waiting).toBe(1);
    for (const [pid, secret] of [[0, Buffer.alloc(4)], [key.readInt32BE(0), key.subarray(4)]] as const) {
      const cancel = await RawClient.connect(fixture.gateway.port, null);
      cancel.socket.write(writeCancelRequest(pid, secret));
      await cancel.until(() => cancel.closed);
    }
    await settled();
    expect(await waiting()).toBe(1);
    expect([isIn(next), next.closed, holder.closed]).toEqual([false, false, false]);
  });

  it('does not fall under the time for logging in, and his place is given back when the source then refuses him', async () => {
    const { fixture, waiting } = await gateway({ user: 1 }, { startupTimeoutMs: 1_500 });
    const holder = await comeIn(fixture, 'ann');
    const nowhere = await knock(fixture, 'ann', 'missing');
    await expect.poll(waiting).toBe(1);
    const next = await knock(fixture, 'ann');
    await expect.poll(waiting).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 1_800));
    holder.end();
    await nowhere.until(() => nowhere.closed);
    expect(fieldsOf(nowhere.messages.at(-1))).toMatchObject({ C: '3D000' });
    await getsIn(next);
  });

  it('is told when the gateway shuts down', async () => {
    const { fixture, metric, waiting } = await gateway({ user: 1 });
    await comeIn(fixture, 'ann');
    const next = await knock(fixture, 'ann');
    await expect.poll(waiting).toBe(1);
    await fixture.gateway.close();
    await next.until(() => next.closed);
    expect(fieldsOf(next.messages[0])).toMatchObject({ S: 'FATAL', C: '57P03' });
    expect(await metric('connections_refused_total{reason="shutdown"}')).toBe(1);
    expect(await waiting()).toBe(0);
  });

  it('a thousand that come and go leave as many places as there were', async () => {
    const { fixture, metric, waiting } = await gateway({ user: 3, database: 5, waiting: 40 }, { connectionWaitMs: 60_000 });
    const users = ['ann', 'bob', 'cleo'];
    let most = 0;
    for (let round = 0; round < 20; round += 1) {
      const batch = await Promise.all(Array.from({ length: 50 }, (_, n) => knock(fixture, users[(n + round) % 3] ?? 'ann')));
      await Promise.all(batch.map(async (client, n) => {
        // Some give up early, some after a while; the others stay until they are in.
        if (n % 2 === 0) await new Promise((resolve) => setTimeout(resolve, (n * 7) % 60));
        else await client.until(() => isIn(client) || client.closed, n % 6 === 1 ? 250 : 20_000).catch(() => undefined);
        most = Math.max(most, fixture.gateway.sessions);
        if (n % 3 === 0) client.socket.resetAndDestroy();
        else client.end();
      }));
    }
    expect(most).toBeLessThanOrEqual(5);
    await expect.poll(() => fixture.gateway.sessions).toBe(0);
    await expect.poll(waiting).toBe(0);
    expect(await metric('connection_wait_seconds_count')).toBeGreaterThan(100);
    for (const user of ['ann', 'ann', 'ann', 'bob', 'bob']) await comeIn(fixture, user);
  }, 120_000);
});

it('a password is asked for before the queue: who may not log in does not wait', async () => {
  const limits: ConnectionLimits = { ofUser: () => 1, ofDatabase: () => 0, maxWaiting: 10, isExempt: () => false };
  const fixture = await startGateway(server.address, server.address, { users: [{ name: 'ann', verifier: makeScramVerifier('right') }], connections: { limits, slots: slotsOf(limits) } });
  running.push(fixture);
  const client = await knock(fixture, 'ann');
  await client.until(() => client.messages.length > 0);
  expect(client.types()).toBe('R');
  expect(client.messages[0]?.body.readInt32BE(0)).toBe(10);
});
