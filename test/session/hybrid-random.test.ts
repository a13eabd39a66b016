/**
 * Property: whatever sides its tables are on, a statement gives what one server with all of them gives: the same rows (a multiset, unless they
 * are wholly ordered), the same count, the same tables after it. CAUSEWAY_HYBRID_STATEMENTS sets how many are tried.
 */
import * as fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { randomSeed } from '../support/random-seed.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { createTables, createViews, randomStatement, tableNames, viewTables } from './random-statements.ts';
import type { RandomStatement, RandomTable } from './random-statements.ts';

const statements = Number(process.env['CAUSEWAY_HYBRID_STATEMENTS'] ?? 800);
const perMix = 80;

let source: TestPostgres;
let local: TestPostgres;
let whole: TestPostgres;
let fixtures: readonly GatewayFixture[];
let throughs: readonly pg.Client[];
let truth: pg.Client;
let admins: { readonly source: pg.Client; readonly local: pg.Client };

async function connect(address: TestPostgres['address']): Promise<pg.Client> {
  const client = new pg.Client(address);
  await client.connect();
  return client;
}

beforeAll(async () => {
  [source, local, whole] = await Promise.all([startTestPostgres(), startTestPostgres(), startTestPostgres()]);
  // As it is; and one that has a table for every row, and asks for the keys of all.
  fixtures = [await startGateway(source.address, local.address), await startGateway(source.address, local.address, { limits: { maxInlineBytes: 0, linkFromRows: 0 } })];
  truth = await connect(whole.address);
  admins = { source: await connect(source.address), local: await connect(local.address) };
  for (const server of [truth, admins.source, admins.local]) await server.query(`${createTables}; ${tableNames.filter((_, index) => index % 2 === 0).map((table) => `ALTER TABLE ${table} DROP COLUMN dropped`).join(';')}`);
  for (const server of [truth, admins.source]) await server.query(createViews);
  throughs = await Promise.all(fixtures.map((fixture) => connect({ ...source.address, port: fixture.gateway.port })));
  for (const client of [truth, ...throughs]) await client.query("SET statement_timeout = '20s'");
});

afterAll(async () => {
  for (const client of [...(throughs ?? []), truth, admins?.source, admins?.local]) await client?.end();
  for (const fixture of fixtures ?? []) await fixture[Symbol.asyncDispose]();
  for (const server of [source, local, whole]) await server?.[Symbol.asyncDispose]();
});

const states = ['not migrated', 'loading', 'dual write', 'local'] as const;
type State = (typeof states)[number];
const routes: Readonly<Record<State, Partial<TableRoute> | undefined>> = { 'not migrated': undefined, loading: onSource, 'dual write': dualWrite, local: onLocal };

const value = fc.option(fc.integer({ min: 0, max: 6 }), { nil: null, freq: 4 });
const row = fc.record({ a: value, b: value, s: fc.constantFrom('x', 'y', '', null, 'x\'"\\', 'tab\tline\nend', '1'), d: fc.option(fc.integer({ min: 0, max: 5 }), { nil: null }) });
const data = fc.array(fc.array(row, { maxLength: 14 }), { minLength: tableNames.length, maxLength: tableNames.length });

async function fill(client: pg.Client, table: RandomTable, rows: readonly { readonly a: number | null; readonly b: number | null; readonly s: string | null; readonly d: number | null }[]): Promise<void> {
  await client.query(`TRUNCATE ${table}`);
  for (const [k, { a, b, s, d }] of rows.entries()) await client.query(`INSERT INTO ${table} (k, a, b, s, d) VALUES ($1, $2, $3, $4, date '2026-01-01' + $5::int)`, [k, a, b, s, d]);
}

/** The side that nobody asks has something else. */
async function place(mix: readonly State[], rows: readonly (readonly { readonly a: number | null; readonly b: number | null; readonly s: string | null; readonly d: number | null }[])[]): Promise<void> {
  const decoy = [{ a: 3, b: 3, s: 'decoy', d: 1 }, { a: 1, b: null, s: 'decoy', d: 2 }];
  for (const [index, table] of tableNames.entries()) {
    const own = rows[index] ?? [];
    const state = mix[index] ?? 'local';
    await fill(truth, table, own);
    await fill(admins.source, table, state === 'local' ? decoy : own);
    await fill(admins.local, table, state === 'local' || state === 'dual write' ? own : decoy);
  }
  for (const { control } of fixtures) {
    control.publish(Object.fromEntries(tableNames.flatMap((table, index) => {
      const route = routes[mix[index] ?? 'local'];
      return route ? [[table, route]] : [];
    })), { views: Object.fromEntries(Object.entries(viewTables).map(([view, of]) => [`public.${view}`, of.map((name) => `public.${name}`)])), missingOnLocal: Object.keys(viewTables).map((view) => `public.${view}`) });
  }
}

interface Outcome {
  readonly rows?: readonly string[];
  readonly tag?: string;
  /** Rows of the statements before and behind it. */
  readonly around?: readonly unknown[];
  readonly error?: string;
}

/** `prepared`: by SQL's own PREPARE; `several`: between others in one text. */
const manners = ['simple', 'extended', 'prepared', 'several'] as const;
type Manner = (typeof manners)[number];

async function ask(client: pg.Client, { sql, type }: RandomStatement, manner: Manner): Promise<Outcome> {
  try {
    if (manner === 'prepared') await client.query(`PREPARE r AS ${sql}`);
    const text = manner === 'prepared' ? 'EXECUTE r' : manner === 'several' ? `SELECT a FROM t0 ORDER BY k; ${sql}; SELECT b FROM t4 ORDER BY k` : sql;
    const answer: unknown = await client.query<unknown[]>({ text, rowMode: 'array', ...(manner === 'extended' ? { values: [], queryMode: 'extended' } : {}) });
    const [before, result, after] = (Array.isArray(answer) ? answer : [undefined, answer, undefined]) as [pg.QueryArrayResult | undefined, pg.QueryArrayResult, pg.QueryArrayResult | undefined];
    const rows = result.rows.map((line) => JSON.stringify(line));
    return { rows: type === 'ordered' ? rows : rows.sort(), tag: `${result.command} ${result.rowCount}`, around: [before?.rows, after?.rows] };
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    return { error: `${code} ${code === '0A000' ? message : ''}` };
  }
}

const counts = { ran: 0, failed: 0, refused: 0, hybrid: 0 };

async function expectSame(statement: RandomStatement, manner: Manner, mix: readonly State[], round: number): Promise<void> {
  const at = round % fixtures.length;
  const [fixture, through] = [fixtures[at], throughs[at]] as [GatewayFixture, pg.Client];
  const inBlock = statement.type === 'dml';
  const clients = [through, truth] as const;
  if (inBlock) for (const client of clients) await client.query('BEGIN');
  try {
    const [seen, expected] = [await ask(through, statement, manner), await ask(truth, statement, manner)];
    if (fixture.control.routes.splice(0).some((route) => route.endsWith('HYBRID'))) counts.hybrid += 1;
    // The only thing that may be refused: what writes is not on the side of what it deletes by WITH.
    if (seen.error?.includes('MIG080')) counts.refused += 1;
    else {
      expect(seen, `${mix.join(', ')}\n${manner}: ${statement.sql}`).toEqual(expected);
      if (seen.error === undefined) counts.ran += 1;
      else counts.failed += 1;
    }
    if (!inBlock || seen.error !== undefined) return;
    const after: RandomStatement = { sql: `SELECT * FROM ${statement.target ?? ''}`, type: 'query', target: undefined };
    expect(await ask(through, after, 'simple'), `after ${manner}: ${statement.sql}`).toEqual(await ask(truth, after, 'simple'));
  } finally {
    if (inBlock) for (const client of clients) await client.query('ROLLBACK');
    if (manner === 'prepared') for (const client of clients) await client.query('DEALLOCATE ALL');
  }
}

it(`${statements} random statements over random states`, { timeout: 3_600_000 }, async () => {
  const seed = randomSeed('CAUSEWAY_HYBRID_SEED');
  for (let done = 0, round = 0; done < statements; done += perMix, round += 1) {
    const [sample] = fc.sample(fc.tuple(fc.array(fc.constantFrom(...states), { minLength: tableNames.length, maxLength: tableNames.length }), data), { seed: seed + round, numRuns: 1 });
    if (!sample) continue;
    const [mix, rows] = sample;
    await place(mix, rows);
    await fc.assert(fc.asyncProperty(randomStatement, fc.constantFrom(...manners), (statement, manner) => expectSame(statement, manner, mix, round)), { numRuns: Math.min(perMix, statements - done), seed: seed + round, endOnFailure: false });
  }
  console.log(`seed ${seed}: ${JSON.stringify(counts)}`);
  expect(counts.refused).toBe(0);
  expect(counts.ran).toBeGreaterThan(statements * 0.7);
  expect(counts.hybrid).toBeGreaterThan(statements * 0.2);
});
