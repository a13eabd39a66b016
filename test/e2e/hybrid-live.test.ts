/**
 * Property: while a table is loaded, cut over, rolled back and cut over again, statements that join it with a table that stays go on without an
 * error; a reader sees every row that was acknowledged before it asked, and every write is there once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const ACCOUNTS = 200;
const sourceSql = `
  CREATE TABLE accounts (id int PRIMARY KEY, name text NOT NULL, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE entries (id bigint PRIMARY KEY, account_id int NOT NULL, amount int NOT NULL);
  CREATE VIEW totals AS SELECT a.id, a.name, count(e.id) AS entries FROM accounts a LEFT JOIN entries e ON e.account_id = a.id GROUP BY a.id;
  INSERT INTO accounts SELECT g, 'account ' || g FROM generate_series(1, ${ACCOUNTS}) g;
  INSERT INTO entries SELECT g, g % ${ACCOUNTS} + 1, 1 FROM generate_series(1, 5000) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, entries TO app; GRANT SELECT ON totals TO app`;
const LOADED = 5000;

let stack: Stack;
const clients: pg.Client[] = [];

beforeAll(async () => {
  stack = await Stack.start({ sourceSql });
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await stack?.[Symbol.asyncDispose]();
});

const errors: string[] = [];
const counts = { written: 0, updated: 0, read: 0 };
let going = true;

async function worker(step: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = await stack.connect('app');
  clients.push(client);
  while (going) {
    try {
      await step(client);
    } catch (error) {
      const { code, message, detail } = error as pg.DatabaseError;
      errors.push(`${code} ${message} ${detail ?? ''}`);
      if (errors.length > 20) return;
    }
  }
}

let next = LOADED;

async function write(client: pg.Client): Promise<void> {
  next += 1;
  const { rowCount } = await client.query('INSERT INTO entries SELECT $1, a.id, 1 FROM accounts a WHERE a.id = $2', [next, (next % ACCOUNTS) + 1]);
  expect(rowCount).toBe(1);
  counts.written += 1;
}

async function update(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('UPDATE accounts SET n = n + 1 FROM (SELECT account_id, count(*) AS c FROM entries WHERE account_id = 7 GROUP BY 1) e WHERE accounts.id = e.account_id AND e.c > 0');
  expect(rowCount).toBe(1);
  counts.updated += 1;
}

const readings = [
  'SELECT count(*)::int AS n FROM entries e JOIN accounts a ON a.id = e.account_id',
  'SELECT sum(entries)::int AS n FROM totals',
  'SELECT count(*)::int AS n FROM entries WHERE account_id IN (SELECT id FROM accounts)',
];

async function read(client: pg.Client): Promise<void> {
  const before = LOADED + counts.written;
  const sql = readings[counts.read % readings.length] ?? '';
  const { rows } = await client.query<{ n: number }>(counts.read % 2 === 0 ? sql : { text: sql, name: sql.slice(0, 40) });
  expect(rows[0]?.n, sql).toBeGreaterThanOrEqual(before);
  expect(rows[0]?.n, sql).toBeLessThanOrEqual(next);
  counts.read += 1;
}

it('joins go on through every change of side', { timeout: 240_000 }, async () => {
  const workers = [worker(write), worker(write), worker(update), worker(read), worker(read), worker(read)];
  const moved = async (): Promise<void> => {
    const before = { ...counts };
    await expect.poll(() => counts.written > before.written + 30 && counts.updated > before.updated + 10 && counts.read > before.read + 30, { timeout: 60_000 }).toBe(true);
  };
  await moved();
  await stack.insist('START MIGRATION FOR TABLE entries FROM legacy OPTIONS (copy_grants TRUE)');
  await stack.makeReady('public');
  await moved();
  for (let round = 0; round < 2; round += 1) {
    await stack.command('CUTOVER TABLE entries');
    await moved();
    await stack.command('ROLLBACK MIGRATION FOR TABLE entries PRESERVE LOCAL DATA');
    await delay(200);
    await stack.makeReady('public');
    await moved();
  }
  await stack.command('CUTOVER TABLE entries');
  await moved();
  going = false;
  await Promise.all(workers);
  expect(errors).toEqual([]);
  const [local, source] = [await stack.direct('local'), await stack.direct('source')];
  const written = await local.query<{ n: number; ids: number }>('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM entries');
  expect(written.rows).toEqual([{ n: LOADED + counts.written, ids: LOADED + counts.written }]);
  expect((await source.query('SELECT n::int AS n FROM accounts WHERE id = 7')).rows).toEqual([{ n: counts.updated }]);
  expect(await stack.metrics()).toMatch(/scratchbird_gateway_hybrid_statements_total\{[^}]*runs_on="(?:source|local)"[^}]*\} [1-9]/);
});
