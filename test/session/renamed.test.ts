/** Property: a client that knows a table by its name on the source does not notice that local has it under another, in either protocol and whatever the route. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, firstValue, p, q, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;

const renamed = { local: { schema: 'app', name: 'The Orders' } };
const moved = { local: { schema: 'app', name: 'items' } };

beforeAll(async () => {
  source = await startTestPostgres();
  local = await startTestPostgres();
  fixture = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 400 } });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

async function onServer<T extends pg.QueryResultRow>(server: TestPostgres, sql: string): Promise<T[]> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  const result = await admin.query<T>(sql);
  await admin.end();
  return result.rows;
}

beforeEach(async () => {
  const table = (name: string, side: string): string => `CREATE TABLE ${name} (id serial PRIMARY KEY, side text); INSERT INTO ${name} (side) VALUES ('${side}');`;
  await onServer(source, `DROP TABLE IF EXISTS orders, items; ${table('orders', 'source')} ${table('items', 'source')}`);
  await onServer(local, `DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app; ${table('app."The Orders"', 'local')} ALTER SEQUENCE app."The Orders_id_seq" RENAME TO orders_id_seq; ${table('app.items', 'local')}`);
  fixture.control.publish({});
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  await client.connect();
});

afterEach(() => client.end());

function route(side: typeof onLocal): void {
  fixture.control.publish({ orders: { ...side, ...renamed }, items: { ...side, ...moved } }, { sequences: { 'public.orders_id_seq': 'public.orders', 'public.items_id_seq': 'public.items' } });
}

const sideOf = async (sql: string, values: unknown[] = []): Promise<unknown> => (await client.query<{ side: string }>(sql, values)).rows[0]?.side;

it('reads and writes, simple and extended, follow every change of route', async () => {
  const named = { name: 'one', text: 'SELECT orders.side FROM public.orders WHERE orders.id = $1', values: [1] };
  for (const [state, side] of [[onSource, 'source'], [onLocal, 'local'], [dualWrite, 'local'], [onSource, 'source'], [onLocal, 'local']] as const) {
    route(state);
    expect(await sideOf('SELECT side FROM orders')).toBe(side);
    expect(await sideOf('SELECT orders.side FROM orders JOIN items ON items.id = orders.id WHERE orders.id = $1', [1])).toBe(side);
    expect((await client.query<{ side: string }>(named)).rows).toEqual([{ side }]);
  }
  expect((await client.query("INSERT INTO orders (side) VALUES ('new') RETURNING orders.id, side")).rows).toEqual([{ id: 2, side: 'new' }]);
  expect((await client.query('UPDATE orders SET side = $1 WHERE orders.id = $2', ['changed', 2])).rowCount).toBe(1);
  expect(await onServer(local, 'SELECT side FROM app."The Orders" WHERE id = 2')).toEqual([{ side: 'changed' }]);
  expect(await onServer(source, 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 1 }]);
});

it('transactions, cursors, SQL PREPARE, sequences and COPY', async () => {
  await client.query('PREPARE two AS SELECT side FROM orders WHERE id = 1');
  route(onLocal);
  expect(await sideOf('EXECUTE two')).toBe('local');
  await client.query('BEGIN');
  await client.query('SAVEPOINT here');
  await client.query("INSERT INTO items (side) VALUES ('in a transaction')");
  await client.query('DECLARE c CURSOR FOR SELECT side FROM items ORDER BY items.id DESC');
  expect(await sideOf('FETCH c')).toBe('in a transaction');
  await client.query('ROLLBACK TO here');
  await client.query('COMMIT');
  expect((await client.query("SELECT nextval('orders_id_seq')::int AS n, currval('public.orders_id_seq'::regclass)::int AS c")).rows).toEqual([{ n: 2, c: 2 }]);
  expect((await client.query('SELECT * FROM items')).rowCount).toBe(1);
  await client.query('LOCK TABLE orders IN SHARE MODE; TRUNCATE items; ANALYZE items');
  expect(await onServer(local, 'SELECT count(*)::int AS n FROM app.items')).toEqual([{ n: 0 }]);
  const raw = await RawClient.connect(fixture.gateway.port);
  const copied = await raw.ask(q('COPY orders (side) TO STDOUT'));
  expect(copied.map(({ type }) => type).join('')).toBe('HdcCZ');
  await raw.end();
});

it('errors tell places in the text that the client sent', async () => {
  route(onLocal);
  const plain = await client.query('SELECT ä FROM orders, orders AS o WHERE orders.wrong = 1').catch((error: pg.DatabaseError) => error);
  expect(plain).toMatchObject({ code: '42703', position: '8' });
  const behind = await client.query("SELECT 'ä' FROM orders WHERE orders.wrong = $1", [1]).catch((error: pg.DatabaseError) => error);
  expect(behind).toMatchObject({ code: '42703', position: String("SELECT 'ä' FROM orders WHERE ".length + 1) });
  const constraint = await client.query('INSERT INTO orders (id) VALUES (1)').catch((error: pg.DatabaseError) => error);
  expect(constraint).toMatchObject({ code: '23505', position: undefined });
  expect(await sideOf('SELECT side FROM orders')).toBe('local');
});

it('a statement prepared on the source is parsed anew where it goes, in a pipeline too', async () => {
  const raw = await RawClient.connect(fixture.gateway.port);
  expect((await raw.ask([p('x', 'SELECT side FROM orders'), s])).map(({ type }) => type).join('')).toBe('1Z');
  route(onLocal);
  const answer = await raw.ask([b('', 'x'), e(''), p('', 'SELECT side FROM items WHERE items.id = 1'), b('', ''), e(''), s]);
  expect(answer.map(({ type }) => type).join('')).toBe('2DC12DCZ');
  expect(firstValue(answer)).toBe('local');
  // A simple query in the middle of a pipeline ends it, on the leg where it is.
  const mixed = await raw.ask([b('', 'x'), e(''), q('SELECT side FROM orders')]);
  expect(mixed.map(({ type }) => type).join('')).toMatch(/2DCT?DCZ/);
  await raw.end();
});

it('texts too large to be read at once', async () => {
  route(onLocal);
  const rows = Array.from({ length: 3000 }, (_, index) => `('row ${index} ${'x'.repeat(10)}')`).join(', ');
  expect((await client.query(`INSERT INTO orders (side) VALUES ${rows}`)).rowCount).toBe(3000);
  expect((await client.query(`INSERT INTO orders (side) SELECT $1 || v FROM (VALUES ${rows}) AS x(v) RETURNING orders.id`, ['a'])).rowCount).toBe(3000);
  expect(await onServer(local, 'SELECT count(*)::int AS n FROM app."The Orders"')).toEqual([{ n: 6001 }]);
});

it('definitions are refused with the name to use; a temporary table hides the migrated one', async () => {
  route(onLocal);
  await expect(client.query('CREATE VIEW w AS SELECT * FROM orders')).rejects.toMatchObject({ message: expect.stringMatching(/^MIG082/) as string, hint: expect.stringContaining('app."The Orders"') as string });
  await client.query('CREATE TEMP TABLE orders (side text)');
  await client.query("INSERT INTO orders VALUES ('temporary')");
  expect(await sideOf('SELECT side FROM orders')).toBe('temporary');
  expect(await sideOf('SELECT side FROM public.orders')).toBe('local');
  await client.query('SET search_path = nowhere');
  await expect(client.query('SELECT * FROM items')).rejects.toMatchObject({ code: '42P01' });
});
