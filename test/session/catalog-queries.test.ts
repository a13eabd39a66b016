/**
 * Property: what a client asks the catalogs about one table is answered by the side whose definition of it counts, to the letter as that side answers it, whether it
 * asks by name, by pattern, by regclass, in a parameter, or by the number that it was given; every other question goes to the source.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { findTool } from '../support/tools.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

const psql = findTool('psql') ?? 'psql';
let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  const admins = { source: await source.client(), local: await local.client() };
  const orders = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE orders (id int PRIMARY KEY, m mood, note text DEFAULT 'x'); CREATE SCHEMA app; CREATE TABLE app.twice (a int); CREATE TABLE twice (a int);`;
  await admins.source.query(`${orders} CREATE TABLE legacy (id int PRIMARY KEY, o int REFERENCES orders); CREATE TABLE followed (id int)`);
  await admins.local.query(`CREATE TABLE filler (a int); CREATE TYPE fill AS ENUM ('a'); ${orders} CREATE TABLE followed (id int, surplus int); CREATE TABLE parted (k int, v text) PARTITION BY LIST (k); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    ALTER TABLE orders ADD COLUMN added numeric(10,2) NOT NULL DEFAULT 1, DROP COLUMN note, ADD CHECK (added > 0), ADD COLUMN parent int REFERENCES orders; CREATE INDEX added_first ON orders (added DESC) WHERE id > 3;
    COMMENT ON TABLE orders IS 'moved'; COMMENT ON COLUMN orders.added IS 'new'; ALTER TABLE app.twice ADD COLUMN b text; CREATE STATISTICS st ON id, added FROM orders; CREATE POLICY seen ON orders USING (id > 0)`);
  fixture = await startGateway(source.address, local.address, { askSide: async (side, sql) => (await admins[side].query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

/** `orders` is local's for good, `followed` not yet; `parted` is what the source has dropped since. */
beforeEach(() => fixture.control.publish({
  orders: onLocal, followed: { ...onLocal, ddlBlocked: true }, parted: onLocal, parted_1: onLocal,
}, { shadows: [] }));

const ask = async (port: number, ...commands: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await promisify(execFile)(psql, ['-XP', 'pager=off', ...commands.flatMap((command) => ['-c', command]), `host=127.0.0.1 port=${port} user=postgres dbname=postgres`]);
  return stdout + stderr;
};

describe('psql', () => {
  it.each(['\\d orders', '\\d+ orders', '\\d public.orders', '\\d "orders"', '\\d+ parted', '\\d+ parted_1', '\\d added_first', '\\dt orders', '\\dt+ public.orders', '\\dp orders', '\\dd orders', '\\d orders_pkey'])('%s', async (command) => {
    const names = /added_first|orders_pkey/.test(command) ? source : local;
    const expected = await ask(names.address.port, command).catch((error: unknown) => String(error).replace(/port=\d+/, ''));
    expect(await ask(fixture.gateway.port, command).catch((error: unknown) => String(error).replace(/port=\d+/, ''))).toBe(expected);
  });

  it.each(['\\d legacy', '\\d+ followed', '\\d', '\\dt', '\\dt o*', '\\dn', '\\dT', '\\df', '\\l', '\\d twice', '\\d nothing'])('%s is the source\'s', async (command) => {
    const how = async (port: number): Promise<string> => ask(port, command).catch((error: unknown) => String(error).replace(/port=\d+/, ''));
    expect(await how(fixture.gateway.port)).toBe(await how(source.address.port));
  });

  it('after a change of the definition in the same session, and inside a block', async () => {
    const commands = ['BEGIN', 'ALTER TABLE orders ADD COLUMN fresh int', '\\d orders', 'ROLLBACK'];
    const out = await ask(fixture.gateway.port, ...commands);
    expect(out).toContain('fresh');
    expect(out).toBe(await ask(local.address.port, ...commands));
  });

  it('of a schema that is named', async () => {
    fixture.control.publish({ orders: onLocal }, { tables: { 'app.twice': { ...(fixture.control.snapshot.tables['public.orders'] ?? missing()), source: { schema: 'app', name: 'twice' }, local: { schema: 'app', name: 'twice' } } } });
    expect(await ask(fixture.gateway.port, '\\d app.twice')).toBe(await ask(local.address.port, '\\d app.twice'));
    expect(await ask(fixture.gateway.port, '\\d public.twice')).toBe(await ask(source.address.port, '\\d public.twice'));
  });
});

it('a table with another name on local: by regclass, and by the name that it has there', async () => {
  fixture.control.publish({ orders: { ...onLocal, local: { schema: 'app', name: 'twice' } } });
  const columns = (which: string): string => `SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = ${which} AND attnum > 0`;
  expect(await ask(fixture.gateway.port, columns("'orders'::regclass"))).toContain('a,b');
  expect(await ask(fixture.gateway.port, columns("'app.twice'::regclass"))).toContain('a,b');
  expect(await ask(fixture.gateway.port, '\\d app.twice')).toBe(await ask(local.address.port, '\\d app.twice'));
  expect(await ask(fixture.gateway.port, '\\d orders')).toBe(await ask(source.address.port, '\\d orders'));
});

function missing(): never {
  throw new Error('not published');
}

describe('drivers and ORMs', () => {
  const connect = async (port: number): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
    await client.connect();
    return client;
  };
  const rowsOf = async (port: number, text: string, values: readonly unknown[] = []): Promise<unknown[]> => {
    const client = await connect(port);
    try {
      return (await client.query({ text, values: [...values], rowMode: 'array' })).rows;
    } finally {
      await client.end();
    }
  };

  const columns = 'SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_catalog.pg_attribute a';
  it.each<[string, string, readonly unknown[]]>([
    ['information_schema', "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders' ORDER BY ordinal_position", []],
    ['information_schema by parameters', 'SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = $1 AND table_schema = $2 ORDER BY ordinal_position', ['orders', 'public']],
    ['information_schema by a list', 'SELECT column_name FROM information_schema.columns WHERE table_name = ANY ($1) ORDER BY 1', [['orders', 'parted']]],
    ['regclass', `${columns} WHERE a.attrelid = '"orders"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, []],
    ['regclass in a parameter', `${columns} WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, ['public.orders']],
    ['LIKE', `${columns} JOIN pg_catalog.pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'public' AND c.relname LIKE 'orders' AND a.attname LIKE '%' AND a.attnum > 0 ORDER BY a.attnum`, []],
    ['IN', "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('orders', 'parted') ORDER BY 1", []],
    ['constraints', "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass('orders') ORDER BY 1", []],
  ])('%s', async (_, text, values) => {
    const expected = await rowsOf(local.address.port, text, values);
    expect(expected.length).toBeGreaterThan(0);
    expect(await rowsOf(fixture.gateway.port, text, values)).toEqual(expected);
  });

  it.each<[string, string, readonly unknown[]]>([
    ['another table among them', "SELECT table_name, column_name FROM information_schema.columns WHERE table_name IN ('orders', 'legacy') ORDER BY 1, 2", []],
    ['another table, by parameter', 'SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY 1', ['legacy']],
    ['all tables', "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", []],
    ['types', "SELECT typname FROM pg_type WHERE typname = 'orders'", []],
  ])('%s: the source\'s', async (_, text, values) => {
    expect(await rowsOf(fixture.gateway.port, text, values)).toEqual(await rowsOf(source.address.port, text, values));
  });

  it('numbers that were given lead back to where they are from, in text and as parameters; types are told in the source\'s', async () => {
    const client = await connect(fixture.gateway.port);
    const { rows } = await client.query<{ oid: number; relname: string }>("SELECT oid, relname FROM pg_class WHERE relname = 'orders'");
    const oid = rows[0]?.oid ?? 0;
    expect(oid).toBeGreaterThan(2 ** 31);
    const wanted = (await rowsOf(local.address.port, "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")).flat();
    const names = async (text: string, values: unknown[] = []): Promise<unknown[]> => (await client.query({ text: `SELECT attname FROM pg_attribute WHERE ${text} AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, values, rowMode: 'array' })).rows.flat();
    expect(await names(`attrelid = '${oid}'`)).toEqual(wanted);
    expect(await names(`attrelid = ${oid}`)).toEqual(wanted);
    expect(await names(`attrelid IN ('${oid}'::pg_catalog.oid)`)).toEqual(wanted);
    expect(await names('attrelid = $1', [oid])).toEqual(wanted);
    expect(await names('attrelid = ANY ($1)', [[oid]])).toEqual(wanted);
    const types = await client.query<{ attrelid: number; atttypid: number }>("SELECT attrelid, atttypid FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'm'");
    expect(types.rows).toEqual([{ attrelid: oid, atttypid: (await rowsOf(source.address.port, "SELECT 'mood'::regtype::oid")).flat()[0] }]);
    const ofSource = await client.query<{ oid: number }>("SELECT oid FROM pg_class WHERE relname = 'legacy'");
    expect(ofSource.rows).toEqual([{ oid: (await rowsOf(source.address.port, "SELECT oid FROM pg_class WHERE relname = 'legacy'")).flat()[0] }]);
    await client.end();
  });
});
