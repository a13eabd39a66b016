/**
 * Property: whatever the statement, it is `different` exactly when the two databases give other rows, and never when they hold the same rows in another
 * physical order. CAUSEWAY_SHADOW_STATEMENTS sets how many are tried.
 */
import * as fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ShadowReadCounts } from '../../src/session/shadow/shadow-port.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { createTables, createViews, randomStatement, tableNames, viewTables } from './random-statements.ts';

const statements = Number(process.env['CAUSEWAY_SHADOW_STATEMENTS'] ?? 150);
const compared = { state: 'DUAL_WRITE', reads: 'source', writes: 'source', waitVisible: true, compare: 100 } as const;

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let through: pg.Client;
let admins: Readonly<Record<'source' | 'local', pg.Client>>;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address, { limits: { shadowStatements: 100_000, shadowTimeoutMs: 20_000 } });
  fixture.control.publish(Object.fromEntries(tableNames.map((table) => [table, compared])), { views: Object.fromEntries(Object.entries(viewTables).map(([view, of]) => [`public.${view}`, of.map((name) => `public.${name}`)])) });
  admins = { source: await connect(source.address), local: await connect(local.address) };
  for (const server of [admins.source, admins.local]) await server.query(`${createTables}; ${tableNames.filter((_, index) => index % 2 === 0).map((table) => `ALTER TABLE ${table} DROP COLUMN dropped`).join(';')}; ${createViews}`);
  const rows = (name: string, order: string): string => `INSERT INTO ${name} (k, a, b, s, d) SELECT k, nullif((k * 7 + ${name.slice(1)}) % 9, 8), nullif(k * 5 % 7, 6), (ARRAY['x', 'y', '', NULL, '1'])[1 + k % 5], date '2026-01-01' + k % 4 FROM generate_series(0, 13) k ORDER BY k ${order}`;
  for (const name of tableNames) await Promise.all([admins.source.query(rows(name, 'ASC')), admins.local.query(rows(name, 'DESC'))]);
  // One table has other rows.
  await admins.local.query("UPDATE t4 SET a = 5 WHERE k = 3; DELETE FROM t4 WHERE k = 9; UPDATE t4 SET s = 'z' WHERE k = 1");
  through = await connect({ ...source.address, port: fixture.gateway.port });
});

afterAll(async () => {
  for (const client of [through, admins?.source, admins?.local]) await client?.end();
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

async function connect(address: TestPostgres['address']): Promise<pg.Client> {
  const client = new pg.Client(address);
  await client.connect();
  await client.query("SET statement_timeout = '20s'");
  return client;
}

async function multiset(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  return JSON.stringify(rows.map((row) => JSON.stringify(row)).sort());
}

const total = (): number => fixture.gateway.shadowReads().reduce((sum, { results }) => sum + Object.values(results).reduce((a, b) => a + b), 0);

async function outcome(run: () => Promise<unknown>): Promise<string> {
  const before = new Map(fixture.gateway.shadowReads().map((read) => [key(read), read.results]));
  const count = total();
  await run();
  await expect.poll(total, { timeout: 10_000, interval: 5 }).toBe(count + 1);
  for (const read of fixture.gateway.shadowReads()) {
    const last = before.get(key(read));
    const grown = Object.entries(read.results).find(([result, value]) => value > (last?.[result as keyof typeof last] ?? 0));
    if (grown) return grown[0] === 'skipped' ? `skipped: ${read.note ?? ''}` : grown[0];
  }
  return 'nothing';
}

const key = ({ tables, statement }: ShadowReadCounts): string => JSON.stringify([statement, ...tables]);

it('is different exactly when the databases differ', { timeout: 600_000 }, async () => {
  const seen: Record<string, number> = {};
  const query = randomStatement.filter(({ type }) => type !== 'dml');
  await fc.assert(fc.asyncProperty(query, fc.boolean(), async ({ sql, type }, extended) => {
    const truth = await multiset(admins.source, sql).catch((error: unknown) => error as Error);
    // Some are refused by every server.
    if (truth instanceof Error) {
      await expect(through.query(sql)).rejects.toThrow(truth.message);
      return;
    }
    const differ = truth !== (await multiset(admins.local, sql));
    const found = await outcome(() => (extended ? through.query({ text: sql, values: [], queryMode: 'extended' } as pg.QueryConfig) : through.query(sql)));
    seen[found] = (seen[found] ?? 0) + 1;
    // Cross joins of five tables.
    if (found === 'too_large') return;
    if (found.startsWith('skipped')) expect(found).toMatch(/depends on the moment/);
    else if (differ) expect(found).toMatch(/^(?:different|order_differs)$/);
    else expect(found).toMatch(type === 'ordered' ? /^(?:equal|order_differs)$/ : /^equal$/);
  }), { numRuns: statements });
  expect(Object.keys(seen)).toEqual(expect.arrayContaining(['equal', 'different']));
});
