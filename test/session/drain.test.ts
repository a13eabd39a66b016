/**
 * Property: a gateway that is to stop lets transactions finish, and ends every session with 57P01 as soon as nothing is open in it. A client
 * that has sent COMMIT keeps its transaction, whatever becomes of the answer.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installDecisions } from '../../cdc/postgres/decisions.ts';
import { PrometheusMetrics } from '../../src/ops/prometheus.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, fieldsOf, p, q, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let metrics: PrometheusMetrics;
const never = new AbortController().signal;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  for (const server of [source, local]) {
    const admin = await server.client();
    await admin.query(slowCommit);
    await installDecisions(admin);
  }
});

/** A row in `slow` makes its COMMIT take as many seconds as its key is. */
const slowCommit = `
  CREATE TABLE a(k int PRIMARY KEY); CREATE TABLE b(k int PRIMARY KEY); CREATE TABLE slow(seconds float8);
  CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER take_time AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_time();`;

afterAll(async () => {
  await Promise.all([source?.[Symbol.asyncDispose](), local?.[Symbol.asyncDispose]()]);
});

beforeEach(async () => {
  metrics = new PrometheusMetrics();
  fixture = await startGateway(source.address, local.address, {}, metrics);
  for (const server of [source, local]) await (await server.client()).query('TRUNCATE a, b, slow');
});

afterEach(async () => fixture[Symbol.asyncDispose]());

const connect = (): Promise<RawClient> => RawClient.connect(fixture.gateway.port);
const errorOf = (client: RawClient): string | undefined => fieldsOf(client.messages.find(({ type }) => type === 'E'))['C'];
const rows = async (server: TestPostgres, table: string): Promise<number> => Number((await (await server.client()).query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n);
const ended = async (reason: string): Promise<string | undefined> => (await metrics.text()).split('\n').find((line) => line.startsWith(`scratchbird_gateway_sessions_ended_total{reason="${reason}"}`))?.split(' ')[1];

describe('a session', () => {
  it('that is idle is told at once; nobody new gets in', async () => {
    const idle = await Promise.all([connect(), connect(), connect()]);
    const { port } = fixture.gateway;
    await fixture.gateway.drain(10_000, never);
    for (const client of idle) {
      await client.until(() => client.closed);
      expect(fieldsOf(client.messages.find(({ type }) => type === 'E'))).toMatchObject({ S: 'FATAL', C: '57P01', M: 'terminating connection due to administrator command' });
    }
    await expect(RawClient.connect(port)).rejects.toThrow('ECONNREFUSED');
    expect(await ended('drained')).toBe('3');
  });

  it('with a block open goes on until its COMMIT has been answered, and no further', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    const drained = fixture.gateway.drain(10_000, never);
    for (let n = 1; n <= 3; n += 1) {
      await delay(50);
      expect((await client.ask(q(`INSERT INTO a VALUES (${n})`))).map(({ type }) => type).join('')).toBe('CZ');
    }
    await client.ask(q('COMMIT'));
    await client.until(() => client.closed);
    expect(client.types()).toBe('CZE');
    expect(errorOf(client)).toBe('57P01');
    await drained;
    expect(await rows(source, 'a')).toBe(3);
  });

  it('whose message is on its way gets its answer first', async () => {
    const client = await connect();
    client.messages.length = 0;
    const message = q("INSERT INTO a VALUES (1)");
    client.socket.write(message.subarray(0, 10));
    await delay(50);
    const drained = fixture.gateway.drain(10_000, never);
    await delay(100);
    client.socket.write(message.subarray(10));
    await client.until(() => client.closed);
    expect(client.types()).toBe('CZE');
    await drained;
    expect(await rows(source, 'a')).toBe(1);
  });

  it('in the middle of a statement, a pipeline and a COPY gets its answer first', async () => {
    const [query, pipeline, copy] = await Promise.all([connect(), connect(), connect()]);
    for (const client of [query, pipeline, copy]) client.messages.length = 0;
    query.socket.write(q('SELECT 1 FROM pg_sleep(0.4)'));
    pipeline.socket.write(Buffer.concat([p('', 'INSERT INTO a VALUES (1)'), b('', ''), e('')]));
    copy.socket.write(q('COPY b FROM STDIN'));
    await copy.until(() => copy.types() === 'G');
    const drained = fixture.gateway.drain(10_000, never);
    await delay(100);
    pipeline.socket.write(s);
    copy.socket.write(Buffer.concat([Buffer.from([0x64, 0, 0, 0, 6, 0x31, 0x0a]), Buffer.from([0x63, 0, 0, 0, 4])]));
    await drained;
    await Promise.all([query, pipeline, copy].map((client) => client.until(() => client.closed)));
    expect([query, pipeline, copy].map((client) => client.types())).toEqual(['TDCZE', '12CZE', 'GCZE']);
    expect([await rows(source, 'a'), await rows(source, 'b')]).toEqual([1, 1]);
  });

  it('that asks without a pause is ended between two of its transactions', async () => {
    const client = await connect();
    let acknowledged = 0;
    const work = (async () => {
      for (let n = 1; !client.closed; n += 1) {
        const answer = await client.ask(Buffer.concat([q('BEGIN'), q(`INSERT INTO a VALUES (${n})`), q('COMMIT')]), 3).catch(() => []);
        if (answer.map(({ type }) => type).join('').startsWith('CZCZCZ')) acknowledged += 1;
      }
    })();
    await expect.poll(() => acknowledged, { interval: 10 }).toBeGreaterThan(5);
    const began = performance.now();
    await fixture.gateway.drain(10_000, never);
    expect(performance.now() - began).toBeLessThan(8_000);
    await work;
    expect(await rows(source, 'a')).toBe(acknowledged);
  });

  it('whose whole transaction has reached the gateway, but was not read yet, is not idle', async () => {
    const client = await connect();
    client.messages.length = 0;
    client.socket.write(Buffer.concat([q('BEGIN'), q('INSERT INTO a VALUES (1)'), q('COMMIT')]));
    // The bytes are in the socket's buffer; nothing has been read in between.
    const blocked = performance.now() + 50;
    while (performance.now() < blocked);
    await fixture.gateway.drain(10_000, never);
    await client.until(() => client.closed);
    expect(client.types()).toBe('CZCZCZE');
    expect(await rows(source, 'a')).toBe(1);
  });
});

describe('at the limit', () => {
  it('a block that is open is rolled back on both sides, a running statement is cancelled', async () => {
    fixture.control.publish({ a: onSource, b: onLocal });
    const [block, statement] = await Promise.all([connect(), connect()]);
    await block.ask(q('BEGIN'));
    await block.ask(q('SELECT k FROM b'));
    await block.ask(q('INSERT INTO a VALUES (1)'));
    statement.socket.write(q('SELECT pg_sleep(60)'));
    await delay(100);
    const began = performance.now();
    await fixture.gateway.drain(500, never);
    expect(performance.now() - began).toBeGreaterThan(490);
    expect(performance.now() - began).toBeLessThan(20_000);
    await Promise.all([block, statement].map((client) => client.until(() => client.closed)));
    expect([errorOf(block), errorOf(statement)]).toEqual(['57P01', '57P01']);
    const admin = await source.client();
    await expect.poll(async () => (await admin.query(`SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'`)).rowCount).toBe(0);
    expect(await rows(source, 'a')).toBe(0);
    expect(await ended('drain_timeout')).toBe('2');
  });

  it('a COMMIT on its way is waited for a little longer, and answered', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('INSERT INTO slow VALUES (1)'));
    client.messages.length = 0;
    client.socket.write(q('COMMIT'));
    await delay(50);
    await fixture.gateway.drain(200, never);
    await client.until(() => client.closed);
    expect(client.types()).toBe('CZE');
    expect(await rows(source, 'slow')).toBe(1);
  });

  it('a COMMIT over both sides is waited for as well', async () => {
    fixture.control.publish({ slow: onSource, b: onLocal }, { twoPhase: { sides: ['source', 'local'], mark: 'causeway_drain_' } });
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('INSERT INTO slow VALUES (1)'));
    await client.ask(q('INSERT INTO b VALUES (1)'));
    client.messages.length = 0;
    client.socket.write(q('COMMIT'));
    await delay(50);
    await fixture.gateway.drain(200, never);
    await client.until(() => client.closed);
    expect(client.types()).toBe('CZE');
    expect([await rows(source, 'slow'), await rows(local, 'b')]).toEqual([1, 1]);
    expect(await rows(source, 'pg_prepared_xacts') + await rows(local, 'pg_prepared_xacts')).toBe(0);
  });

  it('a COMMIT that takes longer than that is not cancelled: the client does not know, the rows are there', async () => {
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('INSERT INTO slow VALUES (10)'));
    client.messages.length = 0;
    client.socket.write(q('COMMIT'));
    await delay(50);
    const began = performance.now();
    await fixture.gateway.drain(100, never);
    await fixture.gateway.close();
    expect(performance.now() - began).toBeLessThan(8_000);
    await client.until(() => client.closed);
    expect(client.types()).toBe('E');
    await expect.poll(() => rows(source, 'slow'), { timeout: 30_000 }).toBe(1);
  });

  it('a commit that waits for local only is answered with a WARNING', async () => {
    fixture.control.publish({ a: dualWrite });
    fixture.control.autoVisible = false;
    const client = await connect();
    await client.ask(q('BEGIN'));
    await client.ask(q('INSERT INTO a VALUES (1)'));
    client.messages.length = 0;
    client.socket.write(q('COMMIT'));
    await delay(100);
    await fixture.gateway.drain(300, never);
    await client.until(() => client.closed);
    expect(client.types()).toBe('NCZE');
    expect(await rows(source, 'a')).toBe(1);
  });
});

it('a client that is gone behind its COMMIT has committed', async () => {
  const client = await connect();
  await client.ask(q('BEGIN'));
  await client.ask(q('INSERT INTO slow VALUES (0.5)'));
  client.socket.write(q('COMMIT'));
  await delay(100);
  client.socket.resetAndDestroy();
  await expect.poll(() => fixture.gateway.sessions).toBe(0);
  await expect.poll(() => rows(source, 'slow'), { timeout: 30_000 }).toBe(1);
});

it('a second word ends everything at once, but for a COMMIT', async () => {
  const [block, commit] = await Promise.all([connect(), connect()]);
  await block.ask(q('BEGIN'));
  await commit.ask(q('BEGIN'));
  await commit.ask(q('INSERT INTO slow VALUES (4)'));
  commit.socket.write(q('COMMIT'));
  await delay(50);
  const hurry = new AbortController();
  const drained = fixture.gateway.drain(30_000, hurry.signal);
  await delay(100);
  const began = performance.now();
  hurry.abort();
  await drained;
  await fixture.gateway.close();
  expect(performance.now() - began).toBeLessThan(3_000);
  await Promise.all([block, commit].map((client) => client.until(() => client.closed)));
  expect([errorOf(block), errorOf(commit)]).toEqual(['57P01', '57P01']);
  await expect.poll(() => rows(source, 'slow'), { timeout: 30_000 }).toBe(1);
});
