/**
 * Property: many clients on few connections go on without an error while their table is loaded, cut over, rolled back and cut over again: no transfer is lost or
 * done twice, no reader sees half of one, and no more connections are open than the pools have.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const ACCOUNTS = 40;
const SUM = ACCOUNTS * 1_000;
const SIZE = 6;
const sourceSql = `
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
  CREATE TABLE transfer (id bigint PRIMARY KEY, amount int NOT NULL);
  CREATE TABLE stays (id int PRIMARY KEY, v text);
  INSERT INTO account SELECT g, 1000 FROM generate_series(1, ${ACCOUNTS}) g;
  INSERT INTO stays SELECT g, 'v' || g FROM generate_series(1, 100) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON account, transfer, stays TO app`;
const userAs = (name: string, role: string, more: object): object => ({ name, trust_from: ['127.0.0.1/32'], source: { user: role }, local: { user: role }, ...more });

let stack: Stack;
const clients: pg.Client[] = [];
const errors: string[] = [];
const counts = { moved: 0, read: 0 };
let going = true;

beforeAll(async () => {
  stack = await Stack.start({
    sourceSql,
    settings: { pool: { size: SIZE, lanes: 2 }, users: [userAs('operator', 'postgres', { operator: true }), userAs('writer', 'app', { pool_mode: 'transaction' }), userAs('reader', 'app', { pool_mode: 'pipeline' })] },
  });
}, 120_000);

afterAll(async () => {
  going = false;
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await stack?.[Symbol.asyncDispose]();
});

async function worker(user: string, step: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = await stack.connect(user);
  clients.push(client);
  await client.query("SET statement_timeout = '50s'");
  while (going) {
    try {
      await step(client);
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      const { code, message, detail } = error as pg.DatabaseError;
      // A block that was in the way of a change of side, or of another block, is run again by its client.
      if (code !== '40001' && code !== '40P01') errors.push(`${user}: ${code} ${message} ${detail ?? ''}`);
      if (errors.length > 20) return;
    }
  }
}

let next = 0;

async function move(client: pg.Client): Promise<void> {
  const id = (next += 1);
  const [from, to] = [(id % ACCOUNTS) + 1, ((id * 7) % ACCOUNTS) + 1].toSorted((a, b) => a - b);
  await client.query('BEGIN');
  await client.query({ name: 'take', text: 'UPDATE account SET balance = balance - 1 WHERE id = $1', values: [from] });
  await client.query({ name: 'give', text: 'UPDATE account SET balance = balance + 1 WHERE id = $1', values: [to] });
  await client.query('INSERT INTO transfer VALUES ($1, 1)', [id]);
  await client.query('COMMIT');
  counts.moved += 1;
}

async function read(client: pg.Client): Promise<void> {
  counts.read += 1;
  switch (counts.read % 4) {
    case 0:
      expect((await client.query({ name: 'sum', text: 'SELECT sum(balance)::int AS sum FROM account' })).rows).toEqual([{ sum: SUM }]);
      break;
    case 1:
      expect((await client.query('SELECT sum(balance)::int AS sum FROM account')).rows).toEqual([{ sum: SUM }]);
      break;
    case 2:
      expect((await client.query('SELECT v FROM stays WHERE id = $1', [7])).rows).toEqual([{ v: 'v7' }]);
      break;
    default:
      expect((await client.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '50s' }]);
  }
}

it('goes on through every change of side', { timeout: 240_000 }, async () => {
  const workers = [...Array.from({ length: 10 }, () => worker('writer', move)), ...Array.from({ length: 16 }, () => worker('reader', read))];
  const more = async (): Promise<void> => {
    const before = { ...counts };
    await expect.poll(() => errors.length > 0 || (counts.moved > before.moved + 60 && counts.read > before.read + 200), { timeout: 60_000 }).toBe(true);
    expect(errors).toEqual([]);
    for (const side of ['source', 'local'] as const) {
      const admin = await stack.direct(side);
      // For each user and gateway process its part of the pool.
      const { rows: [row] } = await admin.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app'");
      expect(row?.n, side).toBeLessThanOrEqual(2 * SIZE);
      await admin.end();
    }
  };
  await more();
  await stack.migrate('public');
  await more();
  for (let round = 0; round < 2; round += 1) {
    for (const table of ['account', 'transfer']) await stack.command(`CUTOVER TABLE ${table}`);
    await more();
    for (const table of ['account', 'transfer']) await stack.command(`ROLLBACK MIGRATION FOR TABLE ${table} PRESERVE LOCAL DATA`);
    await delay(200);
    await stack.makeReady('public');
    await more();
  }
  const pools = await stack.command<{ user: string; cl_active: string; pool_mode: string; sv_lanes: string; cl_tied: string }>('SHOW POOLS');
  expect(pools.filter(({ user }) => user !== 'operator').map(({ user, cl_active, pool_mode, cl_tied }) => [user, cl_active, pool_mode, cl_tied])).toEqual([['reader', '16', 'pipeline', '0'], ['writer', '10', 'transaction', '0']]);
  expect(Number(pools.find(({ user }) => user === 'reader')?.sv_lanes)).toBeGreaterThan(0);
  expect(await stack.metrics()).toMatch(/scratchbird_gateway_pool_connections\{[^}]*side="source"[^}]*\} \d/);
  going = false;
  await Promise.all(workers);
  expect(errors).toEqual([]);
  const source = await stack.direct('source');
  expect((await source.query('SELECT sum(balance)::int AS sum FROM account')).rows).toEqual([{ sum: SUM }]);
  expect((await source.query('SELECT count(*)::int AS n FROM transfer')).rows).toEqual([{ n: counts.moved }]);
  await source.end();
});
