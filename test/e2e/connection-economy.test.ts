/**
 * Limits of connections hold for all gateway processes together, also while the control or a worker is gone; an operator sees who has the places
 * even when all are taken; and SIGTERM ends the product without taking a transaction from anybody.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';
import { connectElsewhere, workerOf } from './support/worker-of.ts';

const sourceSql = `
  CREATE TABLE note (id int PRIMARY KEY, line text);
  GRANT ALL ON note TO app;
  CREATE TABLE slow (seconds float8);
  CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER take_time AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_time();
  GRANT ALL ON slow TO app`;

const LIMIT = 4;
const WAIT_MS = 8_000;
/** The lease is longer than a control takes to come back: until it is over nobody goes by his share. */
const settings = { lease_ms: 20_000, limits: { max_connections: 40, max_user_connections: LIMIT, max_waiting_clients: 20 }, timeouts: { connection_wait_ms: WAIT_MS, shutdown_ms: 4_000, idle_transaction_ms: 20_000 } };

let stack: Stack;
const start = async (): Promise<void> => {
  stack = await Stack.start({ sourceSql, settings });
};

interface Knocking {
  readonly client: pg.Client;
  state: 'waiting' | 'in' | 'refused' | 'gone';
  code: string | undefined;
  /** Until it was refused. */
  waitedMs: number | undefined;
}

/** Connects, and says later how that went. */
function knock(): Knocking {
  const client = new pg.Client({ ...stack.gateway, user: 'app', application_name: 'knocking' });
  client.on('error', () => undefined);
  const since = performance.now();
  const knocking: Knocking = { client, state: 'waiting', code: undefined, waitedMs: undefined };
  client.on('end', () => {
    if (knocking.state === 'in') knocking.state = 'gone';
  });
  client.connect().then(() => (knocking.state = 'in'), (error: unknown) => {
    knocking.state = 'refused';
    knocking.waitedMs = performance.now() - since;
    knocking.code = error instanceof pg.DatabaseError ? error.code : undefined;
  });
  return knocking;
}

async function show<Row extends pg.QueryResultRow>(what: string): Promise<Row[]> {
  const operator = await stack.connect('operator');
  try {
    return (await operator.query<Row>(`SHOW ${what}`)).rows;
  } finally {
    await operator.end();
  }
}

/** Workers tell theirs once a second. */
async function metric(name: string): Promise<string | undefined> {
  return (await stack.metrics()).split('\n').find((line) => line.startsWith(`scratchbird_gateway_${name} `))?.split(' ')[1];
}

const pool = async (): Promise<Record<string, unknown> | undefined> => (await show('POOLS')).find(({ user }) => user === 'app');
const appBackends = async (): Promise<number> => Number((await (await stack.direct('source')).query<{ n: string }>(`SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'app'`)).rows[0]?.n);
/** Who has lost his connection while connecting does not come to an end by himself. */
const end = async (knocking: Iterable<Knocking>): Promise<void> => {
  for (const { client, state } of knocking) if (state === 'in' || state === 'waiting') await Promise.race([client.end().catch(() => undefined), delay(1_000)]);
};

describe('a limit over two gateway processes', () => {
  beforeAll(start, 120_000);
  afterAll(async () => stack?.[Symbol.asyncDispose]());

  it('is kept by both together, and seen by an operator while all places are taken', { timeout: 60_000 }, async () => {
    const all = Array.from({ length: LIMIT + 3 }, knock);
    await expect.poll(() => all.filter(({ state }) => state === 'in').length, { timeout: 5_000 }).toBe(LIMIT);
    await delay(300);
    expect(all.filter(({ state }) => state === 'waiting')).toHaveLength(3);
    expect(await appBackends()).toBe(LIMIT);
    expect(await pool()).toMatchObject({ database: 'bank', user: 'app', cl_active: String(LIMIT), cl_waiting: '3', sv_active: String(LIMIT), sv_local: '0', pool_mode: 'session', max_user_connections: String(LIMIT), max_db_connections: '0' });
    const clients = await show<{ user: string; state: string; worker: string; application_name: string; wait_us: string; connect_time: Date; source_pid: string; link: string }>('CLIENTS');
    expect(clients.filter(({ user }) => user === 'app').map(({ state }) => state).toSorted()).toEqual([...Array.from({ length: LIMIT }, () => 'idle'), 'waiting', 'waiting', 'waiting']);
    // Both processes have some.
    expect(new Set(clients.map(({ worker }) => worker)).size).toBe(2);
    const one = clients.find(({ user, state }) => user === 'app' && state === 'idle');
    expect(Math.abs((one?.connect_time.getTime() ?? 0) - Date.now())).toBeLessThan(20_000);
    const servers = await show<{ link: string; ptr: string; remote_pid: string; side: string; user: string }>('SERVERS');
    expect(servers.find(({ ptr }) => ptr === one?.link)).toMatchObject({ remote_pid: one?.source_pid, side: 'source', user: 'app' });
    expect(await show('DATABASES')).toMatchObject([{ name: 'bank', side: 'source', port: String(stack.source.address.port), max_connections: '0' }, { name: 'bank', side: 'local', current_connections: '0' }]);
    const lists = new Map((await show<{ list: string; items: string }>('LISTS')).map(({ list, items }) => [list, Number(items)]));
    expect(Object.fromEntries(lists)).toMatchObject({ databases: 2, users: 2, used_clients: LIMIT + 1, waiting_clients: 3, workers: 2, workers_silent: 0 });
    const config = await show<{ key: string; value: string; default: string | null }>('CONFIG');
    expect(config).toContainEqual({ key: 'limits.max_user_connections', value: String(LIMIT), default: '0', changeable: 'no' });
    // Who waits first is in first.
    await end(all.filter(({ state }) => state === 'in').slice(0, 2));
    await expect.poll(() => all.filter(({ state }) => state === 'waiting').length).toBe(1);
    await end(all);
    await expect.poll(appBackends).toBe(0);
    await expect.poll(() => metric('connections_waiting')).toBe('0');
  });

  it('a wait that is too long ends with 53300', { timeout: 60_000 }, async () => {
    const all = Array.from({ length: LIMIT + 1 }, knock);
    await expect.poll(() => all.filter(({ state }) => state === 'refused').length, { timeout: WAIT_MS + 4_000 }).toBe(1);
    expect(all.find(({ state }) => state === 'refused')?.code).toBe('53300');
    await end(all);
    await expect.poll(() => metric('connections_refused_total{reason="queue_timeout"}')).toBe('1');
  });

  it('others than operators see nothing of it; SHOW of a setting is the server\'s', async () => {
    const app = await stack.connect('app');
    for (const what of ['POOLS', 'clients;', 'CONFIG']) await expect(app.query(`SHOW ${what}`)).rejects.toMatchObject({ code: '42501', message: expect.stringMatching(/^MIG075: SHOW \w+ needs an operator/) });
    expect((await app.query('SHOW max_connections')).rows).toEqual([{ max_connections: expect.any(String) }]);
    await expect(app.query('SHOW "pools"')).rejects.toMatchObject({ code: '42704' });
    await app.query("SELECT set_config('app.pools', '7', false)");
    expect((await app.query('SHOW app.pools')).rows).toEqual([{ 'app.pools': '7' }]);
    await app.end();
  });

  it('SHOW STATS counts what has been done', async () => {
    const totals = async (): Promise<Record<string, number>> => Object.fromEntries(Object.entries((await show('STATS'))[0] ?? {}).map(([name, value]) => [name, Number(value)]));
    const before = await totals();
    const app = await stack.connect('app');
    for (let n = 0; n < 3; n += 1) await app.query('SELECT 1');
    await app.query('BEGIN');
    await app.query('SELECT pg_sleep(0.2)');
    await app.query('COMMIT');
    await app.end();
    const after = await totals();
    const grown = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0);
    // The operator's own SHOW is the gateway's answer, no query of a database.
    expect([grown('total_xact_count'), grown('total_query_count')]).toEqual([4, 6]);
    expect(grown('total_xact_time')).toBeGreaterThan(200_000);
    expect(grown('total_query_time')).toBeGreaterThan(200_000);
    expect(grown('total_received')).toBeGreaterThan(100);
    expect(grown('total_sent')).toBeGreaterThan(100);
  });

  it('is kept when the control comes back, and nobody in the queue is forgotten', { timeout: 60_000 }, async () => {
    const all = Array.from({ length: LIMIT + 2 }, knock);
    await expect.poll(() => all.filter(({ state }) => state === 'in').length).toBe(LIMIT);
    await stack.product.kill('control');
    const late = knock();
    await delay(200);
    expect(late.state).toBe('waiting');
    await stack.insist('SHOW LISTS');
    await delay(300);
    expect([...all, late].filter(({ state }) => state === 'in')).toHaveLength(LIMIT);
    await end(all.filter(({ state }) => state === 'in').slice(0, 3));
    await expect.poll(() => [...all, late].filter(({ state }) => state === 'waiting').length).toBe(0);
    await end([...all, late]);
    // On a busy machine a control may take longer to come back than they wait.
    expect([...all, late].flatMap(({ state, code, waitedMs }) => (state === 'refused' && !(code === '53300' && (waitedMs ?? 0) >= WAIT_MS) ? [{ code, waitedMs }] : []))).toEqual([]);
  });

  it('what a dead worker held is free again', { timeout: 60_000 }, async () => {
    const held = Array.from({ length: LIMIT }, knock);
    await expect.poll(() => held.filter(({ state }) => state === 'in').length).toBe(LIMIT);
    const [first] = held;
    if (!first) throw new Error('nobody is in');
    const { worker } = await workerOf(stack, first.client);
    const operator = await connectElsewhere(stack, 'operator', [worker]);
    const next = Array.from({ length: 4 }, knock);
    process.kill(worker, 'SIGKILL');
    // Those that waited in the dead worker have lost their connection; the others get what it had, as far as it goes.
    const isFull = (): boolean => [...held, ...next].filter(({ state }) => state === 'in').length === LIMIT;
    await expect.poll(() => held.some(({ state }) => state === 'gone')).toBe(true);
    await expect.poll(() => isFull() || next.every(({ state }) => state !== 'waiting'), { timeout: 10_000 }).toBe(true);
    expect(next.some(({ state }) => state === 'in')).toBe(true);
    await operator.end();
    await end([...held, ...next]);
    await expect.poll(appBackends, { timeout: 10_000 }).toBe(0);
    const again = Array.from({ length: LIMIT }, knock);
    await expect.poll(() => again.filter(({ state }) => state === 'in').length, { timeout: 10_000 }).toBe(LIMIT);
    await end(again);
  });
});

describe('a worker that ends', () => {
  beforeAll(start, 120_000);
  afterAll(async () => stack?.[Symbol.asyncDispose]());

  it('leaves no client without an answer that was about to be its own', { timeout: 60_000 }, async () => {
    const [worker] = stack.product.pids('worker');
    if (worker === undefined) throw new Error('no worker');
    // Who is handed to it now is not answered; its end is not known yet.
    process.kill(worker, 'SIGSTOP');
    const knocking = Array.from({ length: LIMIT }, knock);
    await expect.poll(() => knocking.filter(({ state }) => state === 'in').length).toBeGreaterThan(0);
    process.kill(worker, 'SIGKILL');
    await expect.poll(() => knocking.map(({ state }) => state), { timeout: 8_000 }).toEqual(knocking.map(() => 'in'));
    await end(knocking);
  });
});

describe('SIGTERM', () => {
  beforeAll(start, 120_000);
  afterAll(async () => stack?.[Symbol.asyncDispose]());

  it('lets a block and a COMMIT end, tells the idle at once, and stops', { timeout: 60_000 }, async () => {
    const [idle, block, commit] = [await stack.connect('app'), await stack.connect('app'), await stack.connect('app')];
    const codes = new Map<string, string | undefined>();
    for (const [name, client] of Object.entries({ idle, block, commit })) client.on('error', (error) => codes.set(name, codes.get(name) ?? (error as pg.DatabaseError).code));
    await block.query('BEGIN');
    await commit.query('BEGIN');
    await commit.query('INSERT INTO slow VALUES (1.5)');
    const committed = commit.query('COMMIT');
    await delay(100);
    const began = performance.now();
    const stopped = stack.product.stop();
    await expect.poll(() => codes.get('idle'), { timeout: 3_500 }).toBe('57P01');
    expect(codes.get('block')).toBeUndefined();
    await expect(stack.connect('app')).rejects.toThrow();
    expect(await stack.ready()).toMatchObject({ status: 503, text: expect.stringContaining('the gateway is stopping') });
    await block.query("INSERT INTO note VALUES (1, 'while it stops')");
    await delay(500);
    await block.query('COMMIT');
    expect((await committed).command).toBe('COMMIT');
    await stopped;
    expect(performance.now() - began).toBeLessThan(6_000);
    expect([codes.get('block'), codes.get('commit')]).toEqual(['57P01', '57P01']);
    const source = await stack.direct('source');
    expect((await source.query('SELECT (SELECT count(*)::int FROM note) AS note, (SELECT count(*)::int FROM slow) AS slow')).rows).toEqual([{ note: 1, slow: 1 }]);
  });

  it('ends a block that stays open at the limit; a second one does not wait for it', { timeout: 60_000 }, async () => {
    for (const twice of [false, true]) {
      await stack.product.start();
      const block = await stack.connect('app');
      let code: string | undefined;
      block.on('error', (error) => (code ??= (error as pg.DatabaseError).code));
      await block.query('BEGIN');
      await block.query('INSERT INTO note VALUES (2)');
      const began = performance.now();
      const stopped = stack.product.stop();
      if (twice) {
        await delay(300);
        stack.product.signal('SIGTERM');
      }
      await stopped;
      const ms = performance.now() - began;
      expect(code).toBe('57P01');
      if (twice) expect(ms).toBeLessThan(3_500);
      else expect(ms).toBeGreaterThan(3_900);
    }
    const source = await stack.direct('source');
    await expect.poll(async () => (await source.query('SELECT count(*)::int AS n FROM note WHERE id = 2')).rows).toEqual([{ n: 0 }]);
  });
});
