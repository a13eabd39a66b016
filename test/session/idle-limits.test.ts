/**
 * Property: a session from which nothing comes is ended when its limit is over, and not before; its transaction is rolled back on both sides. What is
 * not idle (a running statement, a COPY, a client that goes on asking) is left alone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PrometheusMetrics } from '../../src/ops/prometheus.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, fieldsOf, firstValue, h, p, q } from './raw-client.ts';

const CLIENT_IDLE_MS = 1_200;
const IDLE_TRANSACTION_MS = 700;

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
const metrics = new PrometheusMetrics();

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  for (const server of [source, local]) await (await server.client()).query('CREATE TABLE a(k int PRIMARY KEY); CREATE TABLE b(k int PRIMARY KEY)');
  fixture = await startGateway(source.address, local.address, { limits: { clientIdleMs: CLIENT_IDLE_MS, idleTransactionMs: IDLE_TRANSACTION_MS } }, metrics);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await Promise.all([source?.[Symbol.asyncDispose](), local?.[Symbol.asyncDispose]()]);
});

beforeEach(() => fixture.control.publish({}));

const connect = (): Promise<RawClient> => RawClient.connect(fixture.gateway.port);

/** Milliseconds until the gateway has ended the session, and what it said. */
async function endOf(client: RawClient): Promise<{ readonly afterMs: number; readonly fields: Record<string, string> }> {
  const from = performance.now();
  client.messages.length = 0;
  await client.until(() => client.closed);
  return { afterMs: performance.now() - from, fields: fieldsOf(client.messages.find(({ type }) => type === 'E')) };
}

const rows = async (server: TestPostgres, table: string): Promise<number> => Number((await (await server.client()).query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n);
const openBlocks = async (server: TestPostgres): Promise<number> => Number((await (await server.client()).query<{ n: string }>(`SELECT count(*) AS n FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`)).rows[0]?.n);

describe('a transaction', () => {
  it('from which nothing comes ends with 25P03', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('INSERT INTO a VALUES (1)'));
    const { afterMs, fields } = await endOf(client);
    expect(fields).toMatchObject({ S: 'FATAL', C: '25P03', M: 'terminating connection due to idle-in-transaction timeout' });
    expect(afterMs).toBeGreaterThan(IDLE_TRANSACTION_MS - 20);
    expect(afterMs).toBeLessThan(IDLE_TRANSACTION_MS + 8_000);
    await expect.poll(() => openBlocks(source)).toBe(0);
    expect(await rows(source, 'a')).toBe(0);
    expect(await metrics.text()).toContain('scratchbird_gateway_sessions_ended_total{reason="idle_transaction"} 1');
  });

  it('that is on both sides is rolled back on both', async () => {
    fixture.control.publish({ a: onSource, b: onLocal });
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('SELECT k FROM b'));
    await client.ask(q('INSERT INTO a VALUES (2)'));
    expect([await openBlocks(source), await openBlocks(local)]).toEqual([1, 1]);
    expect((await endOf(client)).fields).toMatchObject({ C: '25P03' });
    await expect.poll(async () => [await openBlocks(source), await openBlocks(local)]).toEqual([0, 0]);
    expect([await rows(source, 'a'), await rows(local, 'b')]).toEqual([0, 0]);
    await expect.poll(() => fixture.gateway.legs).toEqual({ source: 0, local: 0 });
  });

  it('that has failed, and one that is on no leg yet', async () => {
    const failed = await connect();
    await failed.ask(q('BEGIN'));
    await failed.ask(q('SELECT 1/0'));
    expect((await endOf(failed)).fields).toMatchObject({ C: '25P03' });
    fixture.control.publish({ b: onLocal });
    const announced = await connect();
    await announced.ask(q('BEGIN'));
    expect((await endOf(announced)).fields).toMatchObject({ C: '25P03' });
  });

  it('lives on as long as something comes, and while a statement runs', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    for (let n = 0; n < 6; n += 1) {
      await delay(IDLE_TRANSACTION_MS / 4);
      expect(firstValue(await client.ask(q(`SELECT ${n}`)))).toBe(String(n));
    }
    expect(firstValue(await client.ask(q(`SELECT 'slept' FROM pg_sleep(1.2)`)))).toBe('slept');
    expect((await client.ask(q('COMMIT'))).at(-1)?.body.toString()).toBe('I');
    client.end();
  });

  it('is not kept alive by half a message', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    client.socket.write(q('SELECT 1').subarray(0, 8));
    expect((await endOf(client)).fields).toMatchObject({ C: '25P03' });
  });

  it('ends earlier where the client has asked its server for that', async () => {
    const client = await connect();
    await client.ask(q('SET idle_in_transaction_session_timeout = 120'));
    await client.ask(q('BEGIN'));
    const { afterMs, fields } = await endOf(client);
    expect(fields).toMatchObject({ C: '25P03', R: 'ProcessInterrupts' });
    expect(afterMs).toBeLessThan(IDLE_TRANSACTION_MS);
  });
});

describe('a session', () => {
  it('in which nothing is open ends with 57P05', async () => {
    const client = await connect();
    await client.ask(q('SELECT 1'));
    const { afterMs, fields } = await endOf(client);
    expect(fields).toMatchObject({ S: 'FATAL', C: '57P05', M: 'terminating connection due to idle-session timeout' });
    expect(afterMs).toBeGreaterThan(CLIENT_IDLE_MS - 20);
    expect(afterMs).toBeLessThan(CLIENT_IDLE_MS + 8_000);
  });

  it('lives on while it asks, while a statement runs, in the middle of a COPY and of a pipeline', async () => {
    const [asking, running, copying, piping] = await Promise.all([connect(), connect(), connect(), connect()]);
    const slept = running.ask(q('SELECT pg_sleep(2)'));
    copying.socket.write(q('COPY a FROM STDIN'));
    piping.socket.write(Buffer.concat([p('', 'SELECT 7'), b('', ''), e(''), h]));
    for (let n = 0; n < 7; n += 1) {
      await delay(300);
      await asking.ask(q('SELECT 1'));
    }
    await slept;
    expect([asking.closed, running.closed, copying.closed, piping.closed]).toEqual([false, false, false, false]);
    for (const client of [asking, running, copying, piping]) client.end();
  });
});

it('without a limit nothing is ended', async () => {
  await using free = await startGateway(source.address, local.address);
  const client = await RawClient.connect(free.gateway.port);
  await client.ask(q('BEGIN'));
  await delay(2_000);
  expect((await client.ask(q('SELECT 1'))).map(({ type }) => type).join('')).toBe('TDCZ');
  client.end();
});
