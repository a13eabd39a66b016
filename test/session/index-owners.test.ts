/** Property: a statement about an index, or extended statistics, of a table that local owns changes it on local, and none on the source, in every way to say it; others stay the source's. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import pg from 'pg';
import { freePort, startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  const begin = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other;';
  const both = 'CREATE TABLE moved(a int, b int); CREATE INDEX moved_a ON moved(a); CREATE TABLE dual(a int); CREATE INDEX dual_a ON dual(a); CREATE TABLE other.inside(a int); CREATE INDEX inside_a ON other.inside(a);';
  for (const [server, own] of [[source, 'CREATE TABLE plain(a int); CREATE INDEX plain_a ON plain(a); CREATE TABLE old_name(a int); CREATE INDEX named_a ON old_name(a)'], [local, 'CREATE INDEX only_local ON moved(b); CREATE TABLE new_name(a int); CREATE INDEX named_a ON new_name(a)']] as const) {
    await (await server.client()).query(`${begin} ${both} ${own}`);
  }
  fixture.control.publish({ moved: onLocal, dual: dualWrite, old_name: { ...onLocal, local: { schema: 'public', name: 'new_name' } }, inside: { ...onLocal, source: { schema: 'other', name: 'inside' }, local: { schema: 'other', name: 'inside' } } });
  const { tables } = fixture.control.snapshot;
  fixture.control.publish({}, { tables: Object.fromEntries(Object.entries(tables).map(([key, route]) => [key === 'public.inside' ? 'other.inside' : key, route])) });
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  await client.connect();
  return () => client.end();
});

async function indexes(server: TestPostgres): Promise<string[]> {
  const { rows } = await (await server.client()).query<{ name: string }>("SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'i' AND nspname IN ('public', 'other') ORDER BY 1");
  return rows.map(({ name }) => name);
}

const all = { source: ['dual_a', 'inside_a', 'moved_a', 'named_a', 'plain_a'], local: ['dual_a', 'inside_a', 'moved_a', 'named_a', 'only_local'] };
const without = (list: readonly string[], ...names: readonly string[]): string[] => list.filter((name) => !names.includes(name));

it.each<[string, 'source' | 'local', string[]]>([
  ['DROP INDEX moved_a', 'local', without(all.local, 'moved_a')],
  ['DROP INDEX IF EXISTS public.moved_a, only_local CASCADE', 'local', without(all.local, 'moved_a', 'only_local')],
  ['DROP INDEX CONCURRENTLY only_local', 'local', without(all.local, 'only_local')],
  ['ALTER INDEX only_local RENAME TO renamed', 'local', [...without(all.local, 'only_local'), 'renamed']],
  ['DROP INDEX named_a', 'local', without(all.local, 'named_a')],
  ['DROP INDEX other.inside_a', 'local', without(all.local, 'inside_a')],
  ['DROP INDEX plain_a', 'source', without(all.source, 'plain_a')],
  ['DROP INDEX dual_a', 'source', without(all.source, 'dual_a')],
])('%s: on the %s alone', async (sql, side, left) => {
  if (!sql.includes('CONCURRENTLY')) {
    await client.query('BEGIN');
    await client.query({ name: 'by the extended protocol', text: sql });
    await client.query('ROLLBACK');
    expect({ source: await indexes(source), local: await indexes(local) }).toEqual(all);
  }
  await client.query(sql);
  expect({ source: await indexes(source), local: await indexes(local) }).toEqual({ ...all, [side]: [...left].sort() });
});

async function comments(server: TestPostgres): Promise<string[]> {
  const { rows } = await (await server.client()).query<{ description: string }>("SELECT description FROM pg_description WHERE description ~ '^said ' ORDER BY 1");
  return rows.map(({ description }) => description);
}

async function statistics(server: TestPostgres): Promise<string[]> {
  const { rows } = await (await server.client()).query<{ name: string }>('SELECT stxname AS name FROM pg_statistic_ext ORDER BY 1');
  return rows.map(({ name }) => name);
}

it('comments are kept where what they are about is', async () => {
  for (const server of [source, local]) await (await server.client()).query('ALTER TABLE moved ADD CONSTRAINT positive CHECK (a > 0); CREATE STATISTICS st ON a, b FROM moved; CREATE STATISTICS other.st_b ON a, b FROM moved');
  await (await source.client()).query('CREATE TABLE pairs(a int, b int); CREATE STATISTICS dual ON a, b FROM pairs');
  for (const object of ['INDEX moved_a', 'INDEX only_local', 'STATISTICS st', 'STATISTICS other.st_b', 'CONSTRAINT positive ON moved', 'INDEX plain_a', 'STATISTICS dual']) await client.query(`COMMENT ON ${object} IS 'said of ${object}'`);
  expect({ source: await comments(source), local: await comments(local) }).toEqual({
    source: ['said of INDEX plain_a', 'said of STATISTICS dual'],
    local: ['said of CONSTRAINT positive ON moved', 'said of INDEX moved_a', 'said of INDEX only_local', 'said of STATISTICS other.st_b', 'said of STATISTICS st'],
  });
});

it('statistics are changed where their table is', async () => {
  for (const server of [source, local]) await (await server.client()).query('CREATE STATISTICS st ON a, b FROM moved; CREATE STATISTICS st_b ON a, b FROM moved; CREATE STATISTICS st_c ON a, b FROM moved');
  await client.query('ALTER STATISTICS st RENAME TO renamed');
  await client.query('ALTER STATISTICS st_b SET STATISTICS 7');
  await client.query('DROP STATISTICS st_c');
  await client.query('CREATE TABLE pairs(a int, b int); CREATE STATISTICS dual ON a, b FROM pairs');
  await client.query('ALTER STATISTICS dual RENAME TO of_source');
  await expect(client.query('DROP STATISTICS nowhere')).rejects.toMatchObject({ code: '42704' });
  expect({ source: await statistics(source), local: await statistics(local) }).toEqual({ source: ['of_source', 'st', 'st_b', 'st_c'], local: ['renamed', 'st_b'] });
});

it('finds a name by the session\'s search path', async () => {
  await client.query('SET search_path TO other, public');
  await client.query('DROP INDEX inside_a');
  await client.query('DROP INDEX moved_a');
  expect({ source: await indexes(source), local: await indexes(local) }).toEqual({ source: all.source, local: without(all.local, 'inside_a', 'moved_a') });
});

it('sees what the block itself has made', async () => {
  await client.query('BEGIN');
  await client.query('CREATE INDEX fresh ON moved(a, b)');
  await client.query('ALTER INDEX fresh RENAME TO fresher');
  await client.query('DROP INDEX fresher');
  await client.query('COMMIT');
  await client.query('REINDEX INDEX only_local');
  expect({ source: await indexes(source), local: await indexes(local) }).toEqual(all);
});

it('refuses what is on both sides, and leaves to the source what nobody has', async () => {
  await expect(client.query('DROP INDEX only_local, plain_a')).rejects.toMatchObject({ code: '0A000' });
  await expect(client.query('DROP INDEX nowhere')).rejects.toMatchObject({ code: '42704' });
  await client.query('DROP INDEX IF EXISTS nowhere');
  expect({ source: await indexes(source), local: await indexes(local) }).toEqual(all);
});

it('refuses while local cannot be asked, rather than to drop the source\'s', async () => {
  await using alone = await startGateway(source.address, { ...local.address, port: await freePort() });
  alone.control.publish({ moved: onLocal });
  const other = new pg.Client({ ...source.address, port: alone.gateway.port });
  await other.connect();
  await expect(other.query('DROP INDEX moved_a')).rejects.toMatchObject({ code: '08001' });
  expect(await indexes(source)).toEqual(all.source);
  await other.end();
});
