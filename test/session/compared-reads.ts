/** Two servers with the same rows, a gateway that compares reads of them, and a client: for tests of shadow reads. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Runtime } from '../../config/runtime.ts';
import type { ShadowReadCounts, ShadowResult } from '../../src/session/shadow/shadow-port.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

export let source: TestPostgres;
export let local: TestPostgres;
export let fixture: GatewayFixture;
export let client: pg.Client;

export const counted: string[] = [];
const metrics: Runtime['metrics'] = { count: (name, labels) => void (name.includes('shadow') && counted.push(`${name} ${Object.values(labels).join()}`)), gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined };
export const compared = { state: 'DUAL_WRITE', reads: 'source', writes: 'source', waitVisible: true, compare: 100 } as const;

export async function on<T extends pg.QueryResultRow>(server: TestPostgres, sql: string): Promise<T[]> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  try {
    return (await admin.query<T>(sql)).rows;
  } finally {
    await admin.end();
  }
}

export async function onBoth(sql: string): Promise<void> {
  await Promise.all([on(source, sql), on(local, sql)]);
}

const tables = `DROP TABLE IF EXISTS orders, items, plain CASCADE; DROP TYPE IF EXISTS mood CASCADE; CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE orders (id int PRIMARY KEY, name text, price numeric(10,2), at timestamptz, feeling mood, tags text[]);
  INSERT INTO orders SELECT n, 'name ' || n, n * 1.10, '2026-01-01 00:00+00'::timestamptz + n * interval '1 hour', 'ok', ARRAY['a', 'b' || n] FROM generate_series(1, 50) n;
  CREATE TABLE items (id int PRIMARY KEY, order_id int, n int); INSERT INTO items SELECT n, 1 + n % 50, n FROM generate_series(1, 200) n;`;

export async function open(options: Parameters<typeof startGateway>[2] = {}): Promise<void> {
  fixture = await startGateway(source.address, local.address, { ...options, limits: { visibilityWaitMs: 1_000, shadowTimeoutMs: 2_000, ...options.limits } }, metrics);
  fixture.control.publish({ orders: compared, items: compared });
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  await client.connect();
}

export const totals = (reads = fixture.gateway.shadowReads()): Partial<Record<ShadowResult, number>> => {
  const sum: Partial<Record<ShadowResult, number>> = {};
  for (const { results } of reads) for (const [result, count] of Object.entries(results) as [ShadowResult, number][]) if (count > 0) sum[result] = (sum[result] ?? 0) + count;
  return sum;
};

/** Waits until so many reads have come to their end. */
export async function done(count: number, timeoutMs = 12_000): Promise<Partial<Record<ShadowResult, number>>> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const now = totals();
    if (Object.values(now).reduce((sum, each) => sum + each, 0) >= count) return now;
    if (performance.now() > untilMs) throw new Error(`${count} expected, so far ${JSON.stringify(fixture.gateway.shadowReads())}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function only(): Promise<ShadowReadCounts> {
  await done(1);
  const [read, ...more] = fixture.gateway.shadowReads();
  if (!read || more.length > 0) throw new Error(JSON.stringify(fixture.gateway.shadowReads()));
  return read;
}

/** For the file that calls it. */
export function withComparedReads(): void {
  beforeAll(async () => {
    source = await startTestPostgres();
    local = await startTestPostgres();
  });

  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
    await local?.[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    counted.length = 0;
    await onBoth(tables);
    await open();
  });

  afterEach(async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
  });
}
