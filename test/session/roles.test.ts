/** Property: a statement on local runs as the role that the session has taken, or not at all; never as the user that the leg logged in as instead. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import pg from 'pg';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, e, fieldsOf, p, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  const tables = 'CREATE TABLE open(k int); GRANT ALL ON open TO reader; CREATE TABLE closed(k int); CREATE TABLE plain(k int); GRANT ALL ON plain TO PUBLIC';
  for (const server of [source, local]) await (await server.client()).query(`CREATE ROLE reader; ${tables}`);
  await (await source.client()).query('CREATE ROLE stranger; GRANT ALL ON open, closed TO stranger');
  fixture = await startGateway(source.address, local.address);
  fixture.control.publish({ open: onLocal, closed: onLocal });
});

beforeEach(async () => {
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  await client.connect();
  return () => client.end();
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

/** SQLSTATE of the refusal, or the first value. */
async function outcome(sql: string): Promise<unknown> {
  return client.query<Record<string, unknown>>(sql).then(({ rows }) => Object.values(rows[0] ?? {})[0], (error: unknown) => (error instanceof pg.DatabaseError ? error.code : String(error)));
}

const whoOnLocal = 'SELECT session_user || $$ $$ || current_user FROM (SELECT count(*) FROM open) AS counted';

describe.each(['SET ROLE reader', 'SET SESSION AUTHORIZATION reader', "SELECT set_config('session_authorization', 'reader', false)", "SELECT set_config('role', 'reader', false)"])('%s', (taken) => {
  const sessionUser = /session/i.test(taken) ? 'reader' : 'postgres';

  it.each(['before local is used', 'after'])('holds on local: %s', async (when) => {
    if (when === 'after') expect(await outcome(whoOnLocal)).toBe('postgres postgres');
    await client.query(taken);
    expect(await outcome(whoOnLocal)).toBe(`${sessionUser} reader`);
    expect(await outcome('SELECT * FROM closed')).toBe('42501');
    await client.query('RESET SESSION AUTHORIZATION; RESET ROLE');
    expect(await outcome(whoOnLocal)).toBe('postgres postgres');
    expect(await outcome('SELECT count(*) FROM closed')).toBe('0');
  });
});

describe.each(['SET ROLE stranger', 'SET SESSION AUTHORIZATION stranger'])('%s, whom local does not know', (taken) => {
  it('is refused what is on local, and has what is on the source', async () => {
    await client.query(taken);
    await expect(client.query('SELECT * FROM closed')).rejects.toMatchObject({ code: '42501', message: expect.stringMatching(/^MIG004: .*local/), detail: expect.stringContaining('"stranger" does not exist') });
    expect(await outcome('SELECT count(*) FROM plain')).toBe('0');
    await expect(client.query({ text: 'SELECT k FROM closed WHERE k = $1', values: [1] })).rejects.toMatchObject({ code: '42501' });
    await client.query('RESET SESSION AUTHORIZATION; RESET ROLE');
    expect(await outcome(whoOnLocal)).toBe('postgres postgres');
  });

  it('fails a block, which ends as any other', async () => {
    await client.query('BEGIN');
    await client.query('INSERT INTO plain VALUES (1)');
    await client.query(taken.replace('SET', 'SET LOCAL'));
    expect(await outcome('SELECT count(*) FROM closed')).toBe('42501');
    expect(await outcome('SELECT 1')).toBe('25P02');
    await client.query('ROLLBACK');
    expect(await outcome(whoOnLocal)).toBe('postgres postgres');
    expect(await outcome('SELECT count(*) FROM plain')).toBe('0');
  });

  it('fails a block that local is part of', async () => {
    await client.query('BEGIN');
    await client.query('INSERT INTO open VALUES (1)');
    await client.query(taken);
    expect(await outcome('SELECT count(*) FROM closed')).toBe('42501');
    await client.query('ROLLBACK');
    expect(await outcome('SELECT count(*) FROM open')).toBe('0');
  });
});

it('a pipeline that takes the role itself', async () => {
  const raw = await RawClient.connect(fixture.gateway.port);
  const statement = (sql: string): Buffer[] => [p('', sql), b('', ''), e('')];
  const answer = await raw.ask([...statement('SET ROLE stranger'), ...statement('SELECT count(*) FROM closed'), s]);
  // Taking a role changes parameters, which the server reports.
  expect(answer.map(({ type }) => type).filter((type) => type !== 'S').join('')).toBe('12CEZ');
  expect(fieldsOf(answer.find(({ type }) => type === 'E'))['C']).toBe('42501');
  raw.end();
});

it('a role that local gets meanwhile is taken at the next statement', async () => {
  await (await source.client()).query('CREATE ROLE newcomer');
  await client.query('SET ROLE newcomer');
  expect(await outcome('SELECT * FROM open')).toBe('42501');
  await (await local.client()).query('CREATE ROLE newcomer; GRANT SELECT ON open TO newcomer');
  expect(await outcome('SELECT count(*) FROM open')).toBe('0');
});
