/** Property: a block is tied to a side by tables that are there, and by nothing else. Without a way to commit on both sides, which is where it shows. */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, e, fieldsOf, firstValue, p, q, RawClient, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let admins: { readonly source: pg.Client; readonly local: pg.Client };
let client: RawClient;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
  admins = { source: await source.client(), local: await local.client() };
  for (const [side, admin] of Object.entries(admins)) await admin.query(`CREATE TABLE here (k int, v text DEFAULT '${side}'); CREATE TABLE there (k int, v text DEFAULT '${side}'); INSERT INTO here (k) VALUES (1); INSERT INTO there (k) VALUES (1)`);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  fixture.control.publish({ here: onLocal });
  client = await RawClient.connect(fixture.gateway.port);
});

afterEach(() => client.end());

async function errorOf(sql: string): Promise<string> {
  const { C, P } = fieldsOf((await client.ask(q(sql))).find(({ type }) => type === 'E'));
  return `${C} at ${P ?? '-'}`;
}

async function extendedErrorOf(sql: string): Promise<string> {
  const { C, P } = fieldsOf((await client.ask([p('', sql), b('', ''), e(''), s])).find(({ type }) => type === 'E'));
  return `${C} at ${P ?? '-'}`;
}

const ask = async (sql: string): Promise<string | undefined> => firstValue(await client.ask(q(sql)));

it('a table that is nowhere is that, in a block that has written on local, too', async () => {
  for (const error of [errorOf, extendedErrorOf]) {
    for (const [sql, place] of [['INSERT INTO missing VALUES (1)', 13], ['UPDATE here SET k = 2 FROM missing WHERE true', 28], ['DELETE FROM public.missing', 13], ['INSERT INTO missing SELECT k FROM here', 13]] as const) {
      await client.ask(q('BEGIN; INSERT INTO here (k) VALUES (2)'));
      expect(await error(sql), sql).toBe(`42P01 at ${place}`);
      expect(await error('SELECT 1')).toBe('25P02 at -');
      await client.ask(q('ROLLBACK'));
    }
    await client.ask(q('BEGIN; INSERT INTO here (k) VALUES (2)'));
    expect(await error('INSERT INTO there (k) VALUES (2)')).toBe('0A000 at -');
    await client.ask(q('ROLLBACK'));
  }
  expect((await admins.local.query('SELECT FROM here WHERE k = 2')).rowCount).toBe(0);
});

it('a savepoint makes such a block whole again, and it commits', async () => {
  await client.ask(q('BEGIN; INSERT INTO here (k) VALUES (3)'));
  await client.ask(q('SAVEPOINT a'));
  expect(await errorOf('INSERT INTO missing VALUES (1)')).toBe('42P01 at 13');
  await client.ask(q('ROLLBACK TO a'));
  await client.ask(q('COMMIT'));
  expect((await admins.local.query('SELECT FROM here WHERE k = 3')).rowCount).toBe(1);
});

it('a SERIALIZABLE block is tied by a table, not by what any side answers', async () => {
  for (const first of ['SHOW transaction_isolation', 'SELECT 1', "SET LOCAL application_name = 'x'", 'SELECT count(*) FROM pg_class', 'SAVEPOINT a', 'SELECT current_setting(\'work_mem\')']) {
    await client.ask(q('BEGIN ISOLATION LEVEL SERIALIZABLE'));
    await client.ask(q(first));
    expect(await ask('SELECT v FROM here WHERE k = 1'), first).toBe('local');
    expect(await ask('SHOW transaction_isolation')).toBe('serializable');
    expect(await errorOf('SELECT v FROM there'), first).toBe('0A000 at -');
    await client.ask(q('ROLLBACK'));
    await client.ask(q('BEGIN ISOLATION LEVEL SERIALIZABLE'));
    await client.ask(q(first));
    expect(await ask('SELECT v FROM there'), first).toBe('source');
    expect(await errorOf('SELECT v FROM here'), first).toBe('0A000 at -');
    await client.ask(q('ROLLBACK'));
  }
  await client.ask(q('SET default_transaction_isolation = serializable'));
  expect((await client.ask([p('', 'SHOW work_mem'), b('', ''), e(''), p('', 'SELECT v FROM here WHERE k = 1'), b('', ''), e(''), s])).map(({ type }) => type).join('')).toBe('12DC12DCZ');
  expect(await ask('SHOW work_mem; SELECT v FROM here WHERE k = 1')).toBeDefined();
});

it('a block that began while nothing was migrated stays where it has read', async () => {
  fixture.control.publish({});
  await client.ask(q('BEGIN ISOLATION LEVEL SERIALIZABLE'));
  expect(await ask('SELECT v FROM there')).toBe('source');
  fixture.control.publish({ here: onLocal });
  expect(await ask('SELECT v FROM here WHERE k = 1')).toBe('source');
});
