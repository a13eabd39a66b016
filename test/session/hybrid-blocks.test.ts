/** Property: a statement over both sides keeps the client's transaction, its cancels and its session as they are, and leaves nothing behind, whatever fails under it. */
import * as net from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installDecisions } from '../../cdc/postgres/decisions.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import { readDataRow } from '../../src/wire/backend-messages.ts';
import { writeCancelRequest } from '../../src/wire/startup-packet.ts';
import { b, c, d, e, fieldsOf, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let small: GatewayFixture;
let admins: { readonly source: pg.Client; readonly local: pg.Client };
let client: pg.Client;

const bigRows = 40_000;
const join = 'SELECT count(*)::int AS n, sum(here.v)::int AS sum FROM here JOIN there ON there.k = here.k';

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
  small = await startGateway(source.address, local.address, { limits: { maxInlineBytes: 0, maxMovedBytes: 100_000 } });
  admins = { source: await source.client(), local: await local.client() };
  for (const admin of Object.values(admins)) await installDecisions(admin);
});

afterAll(async () => {
  for (const gateway of [fixture, small]) await gateway?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

/** `here` and `big` are on local, `there` and `wide` on the source, `both` on both. */
beforeEach(async () => {
  for (const [side, admin] of Object.entries(admins)) {
    const own = (has: string, rows: string): string => (side === has ? rows : 'SELECT -1, -1');
    await admin.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC; CREATE TABLE here (k int PRIMARY KEY, v int); CREATE TABLE there (k int PRIMARY KEY, v int); CREATE TABLE big (k int PRIMARY KEY, v int); CREATE TABLE wide (k int PRIMARY KEY, v int); CREATE TABLE both_sides (k int PRIMARY KEY, v int);
      INSERT INTO here ${own('local', 'SELECT g, g FROM generate_series(1, 10) g')}; INSERT INTO there ${own('source', 'SELECT g, g * 10 FROM generate_series(1, 8) g')};
      INSERT INTO big ${own('local', `SELECT g, g % 100 FROM generate_series(1, ${bigRows}) g`)}; INSERT INTO wide ${own('source', `SELECT g, g % 7 FROM generate_series(1, ${bigRows}) g`)}; INSERT INTO both_sides VALUES (1, 1); ANALYZE`);
  }
  for (const { control } of [fixture, small]) control.publish({ here: onLocal, big: onLocal, both_sides: dualWrite }, { twoPhase: { sides: ['source', 'local'], mark: 'causeway_test_' } });
  client = await connect(fixture);
});

afterEach(() => client.end());

async function connect({ gateway }: GatewayFixture): Promise<pg.Client> {
  const connected = new pg.Client({ ...source.address, port: gateway.port });
  await connected.connect();
  return connected;
}

const typesOf = (messages: readonly RawMessage[]): string => messages.map(({ type }) => type).join('');
const errorOf = (messages: readonly RawMessage[]): string | undefined => fieldsOf(messages.find(({ type }) => type === 'E'))['C'];
const rowsOf = (messages: readonly RawMessage[]): unknown[] => messages.filter(({ type }) => type === 'D').map(({ body }) => readDataRow(Buffer.concat([Buffer.alloc(5), body]), 0));

/** Sends a CancelRequest with the key that the gateway gave at login. */
async function cancel(loggedIn: readonly RawMessage[]): Promise<void> {
  const key = loggedIn.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
  const socket = net.connect(fixture.gateway.port, '127.0.0.1');
  socket.end(writeCancelRequest(key.readInt32BE(0), key.subarray(4)));
  await new Promise((resolve) => socket.once('close', resolve).resume());
}

async function one(sql: string, values?: unknown[]): Promise<unknown> {
  return (await client.query<Record<string, unknown>>(sql, values)).rows[0];
}

/** No temporary tables of the gateway's, no statements of its own on the session's legs, nobody waiting. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(async () => {
    const left = await Promise.all(Object.values(admins).map(async (admin) => (await admin.query("SELECT relname FROM pg_class WHERE relname LIKE 'causeway\\_%' AND relpersistence = 't' UNION ALL SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'")).rows.length));
    return left;
  }).toEqual([0, 0]);
}

describe('in a block', () => {
  it('it sees what the block has written on either side, and nothing of it stays after a rollback', async () => {
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
    await client.query('BEGIN');
    await client.query('INSERT INTO there VALUES (9, 90)');
    expect(await one(join)).toEqual({ n: 9, sum: 45 });
    await client.query('UPDATE here SET v = v + 1');
    expect(await one(join)).toEqual({ n: 9, sum: 54 });
    await client.query('SAVEPOINT a');
    await client.query('DELETE FROM there WHERE k < 5');
    expect(await one(join, [])).toEqual({ n: 5, sum: 40 });
    await client.query('ROLLBACK TO a');
    expect(await one(join)).toEqual({ n: 9, sum: 54 });
    await client.query('ROLLBACK');
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
  });

  it('it commits on both sides, with rows in tables too', async () => {
    const tables = await connect(small);
    for (const session of [client, tables]) {
      await session.query('BEGIN');
      await session.query('UPDATE here SET v = here.v + t.v FROM there t WHERE t.k = here.k');
      await session.query('UPDATE there SET v = h.v FROM here h WHERE h.k = there.k AND there.k = 3');
      expect((await session.query(join)).rows).toEqual([{ n: 8, sum: session === client ? 396 : 759 }]);
      await session.query('COMMIT');
    }
    expect((await admins.source.query('SELECT v FROM there WHERE k = 3')).rows).toEqual([{ v: 66 }]);
    expect((await admins.local.query('SELECT v FROM here WHERE k = 3')).rows).toEqual([{ v: 66 }]);
    await tables.end();
    await expectNothingLeft();
  });

  it('REPEATABLE READ sees one moment of each side; SERIALIZABLE is refused', async () => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
    await admins.source.query('DELETE FROM there');
    await admins.local.query('DELETE FROM here');
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
    await client.query('COMMIT');
    expect(await one(join)).toEqual({ n: 0, sum: null });
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await expect(client.query(join)).rejects.toMatchObject({ code: '0A000', message: expect.stringMatching(/^MIG080/) as string });
    await client.query('ROLLBACK');
  });

  it('READ ONLY: rows stand in the statement; too many are refused with the way out', async () => {
    await client.query('BEGIN READ ONLY');
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
    expect(await one('SELECT here.k, here.v, count(*)::int AS n FROM here, there GROUP BY here.k, here.v ORDER BY 1 LIMIT 1')).toEqual({ k: 1, v: 1, n: 8 });
    expect(await one('SELECT count(*)::int AS n FROM big JOIN wide ON wide.k = big.v')).toEqual({ n: bigRows - bigRows / 100 });
    await expect(client.query('SELECT here.k FROM ONLY here, ONLY there')).rejects.toMatchObject({ code: '0A000', hint: expect.stringContaining('READ WRITE') as string });
    await client.query('ROLLBACK');
    await client.query('SET default_transaction_read_only = on');
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
    await client.query('RESET default_transaction_read_only');
    await expectNothingLeft();
  });

  it('an error in it fails the block on both sides, and ROLLBACK TO makes both whole', async () => {
    for (const sql of ['SELECT 1 / (here.v - here.v) FROM here JOIN there USING (k)', 'SELECT wrong FROM here JOIN there USING (k)', "SELECT here.k FROM here JOIN there USING (k) WHERE there.v = 'no number'", 'SELECT * FROM here JOIN nowhere USING (k)']) {
      for (const values of [undefined, []]) {
        await client.query('BEGIN');
        await client.query('UPDATE here SET v = 0 WHERE k = 1');
        await client.query('SAVEPOINT a');
        await client.query('UPDATE there SET v = 0 WHERE k = 1');
        await expect(client.query({ text: sql, ...(values ? { values, queryMode: 'extended' } : {}) }), sql).rejects.toMatchObject({ code: expect.not.stringMatching(/^(0A000|XX000)$/) as string });
        await expect(client.query('SELECT v FROM there')).rejects.toMatchObject({ code: '25P02' });
        await client.query('ROLLBACK TO a');
        expect(await one('SELECT here.v AS h, there.v AS t FROM here, there WHERE here.k = 1 AND there.k = 1')).toEqual({ h: 0, t: 10 });
        await client.query('ROLLBACK');
      }
    }
    expect(await one(join)).toEqual({ n: 8, sum: 36 });
  });

  it('cursors and portals keep their rows until they end', async () => {
    const tables = await connect(small);
    for (const session of [client, tables]) {
      await session.query('BEGIN');
      await session.query('DECLARE k CURSOR FOR SELECT here.k FROM here JOIN there USING (k) ORDER BY k');
      expect((await session.query('FETCH 2 FROM k')).rows).toEqual([{ k: 1 }, { k: 2 }]);
      expect((await session.query(join)).rows).toEqual([{ n: 8, sum: 36 }]);
      expect((await session.query('FETCH 1 FROM k')).rows).toEqual([{ k: 3 }]);
      await session.query('DECLARE held CURSOR WITH HOLD FOR SELECT there.v FROM here JOIN there USING (k) ORDER BY 1');
      await session.query('COMMIT');
      expect((await session.query('FETCH 1 FROM held')).rows).toEqual([{ v: 10 }]);
      await session.query('CLOSE held');
    }
    await tables.end();
    await expectNothingLeft();
  });
});

describe('the extended protocol', () => {
  const sql = 'SELECT here.k, there.v FROM here JOIN there USING (k) WHERE here.k <= $1 ORDER BY 1';

  it('Describe, portals with row limits, and more of the same unit', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    const described = await raw.ask([p('one', sql), d('S', 'one'), s]);
    expect(typesOf(described)).toBe('1tTZ');
    expect(described[1]?.body.readInt32BE(2)).toBe(23);
    const rows = await raw.ask([b('x', 'one', ['5']), d('P', 'x'), e('x', 2), e('x', 2), e('x'), p('', 'SELECT 7'), b('', ''), e(''), s]);
    expect(typesOf(rows)).toBe('2TDDsDDsDC12DCZ');
    expect(rowsOf(rows).slice(0, 2)).toEqual([['1', '10'], ['2', '20']]);
    expect(typesOf(await raw.ask([b('', 'one', ['2']), e(''), s]))).toBe('2DDCZ');
    expect(typesOf(await raw.ask([c('S', 'one'), s]))).toBe('3Z');
    expect(errorOf(await raw.ask([b('', 'one', ['2']), e(''), s]))).toBe('26000');
    expect(rowsOf(await raw.ask(q('SELECT count(*) FROM pg_prepared_statements')))).toEqual([['0']]);
    raw.end();
    await expectNothingLeft();
  });

  it('in a pipeline: inside a block several; outside one they are one transaction', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    const block = await raw.ask([p('', 'BEGIN'), b('', ''), e(''), p('', sql), b('', '', ['1']), e(''), p('', 'SELECT v FROM there WHERE k = 2'), b('', ''), e(''), p('', sql), b('', '', ['1']), e(''), p('', 'COMMIT'), b('', ''), e(''), s]);
    expect(typesOf(block)).toBe('12C12DC12DC12DC12CZ');
    const together = await raw.ask([p('', 'INSERT INTO there VALUES (50, 1)'), b('', ''), e(''), p('', sql), b('', '', ['1']), e(''), s]);
    expect(typesOf(together)).toBe('12C12DCZ');
    const undone = await raw.ask([p('', 'INSERT INTO there VALUES (51, 1)'), b('', ''), e(''), p('', sql), b('', '', ['x']), e(''), s]);
    expect(errorOf(undone)).toBe('22P02');
    expect(rowsOf(await raw.ask(q('SELECT k FROM there WHERE k >= 50')))).toEqual([['50']]);
    const behind = await raw.ask([p('', sql), b('', '', ['1']), e(''), s, p('', 'SELECT 1'), b('', ''), e(''), s], 2);
    expect(typesOf(behind)).toBe('12DCZ12DCZ');
    raw.end();
  });

  it('the unnamed statement of the client stays its own; a change of route is followed', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    await raw.ask([p('mixed', sql), p('', 'SELECT 5'), s]);
    expect(rowsOf(await raw.ask([b('', 'mixed', ['1']), e(''), s]))).toEqual([['1', '10']]);
    expect(rowsOf(await raw.ask([b('', ''), e(''), s]))).toEqual([['5']]);
    fixture.control.publish({ here: onLocal, there: onLocal });
    expect(rowsOf(await raw.ask([b('', 'mixed', ['100']), e(''), s]))).toEqual([]);
    fixture.control.publish({ here: onLocal });
    expect(rowsOf(await raw.ask([b('', 'mixed', ['1']), e(''), s]))).toEqual([['1', '10']]);
    fixture.control.publish({});
    expect(rowsOf(await raw.ask([b('', 'mixed', ['1']), e(''), s]))).toEqual([]);
    raw.end();
  });

  it('binary parameters narrow what is brought', async () => {
    const narrow = await connect(small);
    // All rows of `wide` would be more than the limit.
    await expect(narrow.query('UPDATE here SET v = wide.k FROM wide WHERE wide.v = here.k')).rejects.toMatchObject({ code: '0A000', detail: expect.stringContaining('100000 bytes') as string });
    expect((await narrow.query('UPDATE here SET v = wide.k FROM wide WHERE wide.v = here.k AND wide.k = $1 RETURNING wide.k', [17])).rows).toEqual([{ k: 17 }]);
    const raw = await RawClient.connect(small.gateway.port);
    const bytes = Buffer.from([0, 0, 0, 17]);
    const parse = message('P', cstring(''), cstring('UPDATE here SET v = wide.k FROM wide WHERE wide.v = here.k AND wide.k = $1 RETURNING wide.k'), int16(1), int32(23));
    const bind = message('B', cstring(''), cstring(''), int16(1), int16(1), int16(1), int32(4), bytes, int16(0));
    expect(rowsOf(await raw.ask([parse, bind, e(''), s]))).toEqual([['17']]);
    raw.end();
    await narrow.end();
    await expectNothingLeft();
  });
});

describe('many rows', () => {
  it('go through a table, exactly, and the smaller side is the one that moves', async () => {
    expect(await one('SELECT count(*)::int AS n, sum(big.v)::int AS sum FROM big JOIN wide ON wide.k = big.k')).toEqual({ n: bigRows, sum: bigRows * 49.5 });
    await expectNothingLeft();
    const plan = await client.query<{ 'QUERY PLAN': string }>('EXPLAIN SELECT * FROM big JOIN there ON there.k = big.k');
    expect(plan.rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Scan .*on big/);
    const other = await client.query<{ 'QUERY PLAN': string }>('EXPLAIN SELECT * FROM here JOIN wide ON wide.k = here.k');
    expect(other.rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Scan .*on wide/);
  });

  it('of a side that must be moved, only rows with a partner are', async () => {
    const narrow = await connect(small);
    expect((await narrow.query('UPDATE here SET v = wide.v FROM wide WHERE wide.k = here.k AND here.k = 6')).rowCount).toBe(1);
    expect((await admins.local.query('SELECT v FROM here WHERE k = 6')).rows).toEqual([{ v: 6 }]);
    await narrow.end();
  });

  it('more than the limit are refused, in a block and out of it, and the session goes on', async () => {
    const narrow = await connect(small);
    await expect(narrow.query('SELECT count(*) FROM big JOIN wide ON wide.k = big.k')).rejects.toMatchObject({ code: '0A000', hint: expect.stringContaining('moved_bytes') as string });
    expect((await narrow.query(join)).rows).toEqual([{ n: 8, sum: 36 }]);
    await narrow.query('BEGIN');
    await expect(narrow.query('SELECT count(*) FROM big JOIN wide ON wide.k = big.k')).rejects.toMatchObject({ code: '0A000' });
    await narrow.query('ROLLBACK');
    expect((await narrow.query(join)).rows).toEqual([{ n: 8, sum: 36 }]);
    await narrow.end();
    await expectNothingLeft();
  });
});

describe('what goes wrong meanwhile', () => {
  beforeEach(async () => {
    await admins.source.query('CREATE VIEW slow_view AS SELECT k, pg_sleep(0.05)::text AS waited FROM wide');
  });

  it('a cancel ends the fetch; the session and its block go on as after any other', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    const loggedIn = raw.messages.slice();
    const started = raw.ask(q('INSERT INTO here SELECT k, length(waited) FROM slow_view'));
    await expect.poll(async () => (await admins.source.query("SELECT FROM pg_stat_activity WHERE query LIKE '%COPY%slow_view%' AND state = 'active' AND pid <> pg_backend_pid()")).rowCount).toBe(1);
    await cancel(loggedIn);
    const answer = await started;
    expect(fieldsOf(answer[0])).toMatchObject({ C: '57014' });
    expect(rowsOf(await raw.ask(q(join)))).toEqual([['8', '36']]);
    raw.end();
    await expectNothingLeft();
  });

  it('a client that vanishes leaves nothing running', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    void raw.ask(q('INSERT INTO here SELECT k, length(waited) FROM slow_view')).catch(() => undefined);
    await expect.poll(async () => (await admins.source.query("SELECT FROM pg_stat_activity WHERE query LIKE '%COPY%slow_view%' AND state = 'active' AND pid <> pg_backend_pid()")).rowCount).toBe(1);
    raw.socket.destroy();
    await expectNothingLeft();
  });

  it('a type that the other side lacks is told; a table that changes sides is followed', async () => {
    await admins.source.query("CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE moods (k int, m mood); INSERT INTO moods VALUES (1, 'ok')");
    await expect(client.query('INSERT INTO here SELECT k + 500, length(m::text) FROM moods')).rejects.toMatchObject({ code: '42704', message: expect.stringContaining('mood') as string });
    expect(await one('SELECT m FROM moods JOIN here USING (k)')).toEqual({ m: 'ok' });
    // A column of another table that has the name is none of its own.
    expect((await client.query('INSERT INTO here SELECT moods.k + 600 FROM moods JOIN (SELECT 1 AS m) x ON x.m = moods.k')).rowCount).toBe(1);
    fixture.control.publish({ here: onLocal, there: { ...onLocal, quiescing: true } });
    const parked = client.query(join);
    await new Promise((resolve) => setTimeout(resolve, 100));
    fixture.control.publish({ here: onLocal, there: onLocal });
    expect((await parked).rows).toEqual([{ n: 0, sum: null }]);
  });

  it('system columns, samples and money are refused by name', async () => {
    for (const [sql, words] of [['SELECT here.ctid FROM here JOIN there USING (k)', 'ctid'], ['SELECT 1 FROM here TABLESAMPLE BERNOULLI (50), there TABLESAMPLE BERNOULLI (50)', 'other side']] as const) {
      await expect(client.query(sql)).rejects.toMatchObject({ code: '0A000', detail: expect.stringContaining(words) as string });
    }
    for (const admin of Object.values(admins)) await admin.query('CREATE TABLE prices (k int, price money)');
    await expect(client.query('INSERT INTO here SELECT k, price::numeric::int FROM prices')).rejects.toMatchObject({ code: '0A000', message: expect.stringContaining('money') as string });
  });

  it('a view over both sides shows what its definition does to the client; row security of its owner is not guessed', async () => {
    await admins.source.query(`DROP ROLE IF EXISTS reader; DROP ROLE IF EXISTS keeper; CREATE ROLE reader LOGIN; CREATE ROLE keeper; GRANT SELECT ON there TO reader; CREATE VIEW pairs AS SELECT here.k, there.v FROM here JOIN there USING (k); GRANT SELECT ON pairs TO reader`);
    await admins.local.query('DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN');
    fixture.control.publish({ here: onLocal }, { views: { 'public.pairs': ['public.here', 'public.there'] } });
    expect((await client.query('SELECT * FROM pairs WHERE k = 3')).rows).toEqual([{ k: 3, v: 30 }]);
    const reader = new pg.Client({ ...source.address, user: 'reader', port: fixture.gateway.port });
    await reader.connect();
    await expect(reader.query('SELECT * FROM pairs')).rejects.toMatchObject({ code: '42501' });
    await admins.local.query('GRANT SELECT ON here TO reader');
    expect((await reader.query('SELECT * FROM pairs WHERE k = $1', [3])).rows).toEqual([{ k: 3, v: 30 }]);
    await admins.source.query('ALTER TABLE there ENABLE ROW LEVEL SECURITY');
    await expect(reader.query('SELECT * FROM pairs')).rejects.toMatchObject({ code: '0A000', message: expect.stringContaining('row security') as string });
    expect((await client.query('SELECT count(*)::int AS n FROM pairs')).rows).toEqual([{ n: 8 }]);
    await reader.end();
  });

  it('settings that change how values are written do not change them', async () => {
    for (const admin of Object.values(admins)) await admin.query("CREATE TABLE values_of (k int PRIMARY KEY, t timestamptz, d date, i interval, f float8, r float4, y bytea, a text[])");
    await admins.source.query(`INSERT INTO values_of VALUES (1, '2026-03-29 01:30:00.123456+01', '0044-03-15 BC', '-1 year 2 mons -3 days 04:05:06.7', 0.1 + 0.2, 1 / 3.0, '\\x00ff5c', ARRAY['\\', NULL, 'NULL', '{"a,b"}'])`);
    const compare = 'SELECT v.t, v.d, v.i, v.f, v.r, v.y, v.a FROM values_of v JOIN here USING (k)';
    for (const setting of ["DateStyle = 'SQL, DMY'", "DateStyle = 'German'", "IntervalStyle = 'sql_standard'", 'extra_float_digits = -15', 'bytea_output = escape', "TimeZone = 'Asia/Kolkata'", 'standard_conforming_strings = off']) {
      await client.query(`SET ${setting}`);
      const seen = await client.query({ text: `SELECT md5(row(x.*)::text) AS same FROM (${compare}) x`, rowMode: 'array' });
      const expected = await client.query({ text: 'SELECT md5(row(x.*)::text) FROM (SELECT v.t, v.d, v.i, v.f, v.r, v.y, v.a FROM values_of v) x', rowMode: 'array' });
      expect(seen.rows, setting).toEqual(expected.rows);
      await client.query(`RESET ${setting.split(' ')[0] ?? ''}`);
    }
    expect((await client.query('SHOW DateStyle')).rows).toEqual([{ DateStyle: 'ISO, MDY' }]);
  });
});
