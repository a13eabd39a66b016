/**
 * Property (`dual_write_mode 'two_phase'`): what a client has written through the gateway is on both sides when its COMMIT is answered, and the client sees what it
 * would see of one server; whatever cannot be written so waits for the stream, and nothing of it is on local before.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installBookkeeping } from '../../cdc/postgres/bookkeeping.ts';
import { installFenceSupport, installGuard } from '../../cdc/postgres/fence.ts';
import { beginMarking, installMarks } from '../../cdc/postgres/marks.ts';
import type { MarkableTable, TableRoute } from '../../catalog/routing-snapshot.ts';
import { createMarkedRows } from '../../src/main/marked-rows.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import type { MarkedRowsPort } from '../../src/session/two-phase/marked-rows-port.ts';
import { cstring, int16, message } from '../../src/wire/message.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, startGateway, testRuntime } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, d, e, fieldsOf, p, q, RawClient, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let markedRows: ReturnType<typeof createMarkedRows>;
let watched: MarkedRowsPort;
let admins: { readonly source: pg.Client; readonly local: pg.Client };
let client: pg.Client;
let afterWritten: () => Promise<unknown>;

const markable = (name: string): MarkableTable => ({
  local: { schema: 'public', name }, key: ['k'],
  columns: [{ name: 'k', type: 'integer' }, { name: 'n', type: 'integer' }, { name: 't', type: 'text' }, { name: 'f', type: 'double precision' }, { name: 'at', type: 'timestamp with time zone' }],
});

beforeAll(async () => {
  source = await startTestPostgres();
  local = await startTestPostgres();
  markedRows = createMarkedRows(testRuntime(), local.address);
  watched = { write: (rows, done) => markedRows.write(rows, (written) => void afterWritten().then(() => done(written))) };
  fixture = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 300 }, markedRows: watched });
  admins = { source: await source.client(), local: await local.client() };
  for (const admin of Object.values(admins)) {
    await installBookkeeping(admin);
    await admin.query('CREATE ROLE writer LOGIN; GRANT CREATE ON SCHEMA public TO writer');
  }
  await installFenceSupport(admins.local);
  await installMarks(admins.local);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await markedRows?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const admin of Object.values(admins)) {
    await admin.query(`DROP TABLE IF EXISTS a, b, plain CASCADE; CREATE TABLE a (k int PRIMARY KEY, n int DEFAULT 7, t text, f float8, at timestamptz DEFAULT now()); CREATE TABLE b (LIKE a INCLUDING ALL);
      CREATE TABLE plain (k int); GRANT ALL ON a, b, plain TO writer; TRUNCATE causeway.mark, causeway.marking`);
  }
  await admins.local.query('TRUNCATE causeway.fence; BEGIN');
  await installGuard(admins.local, ['a', 'b'].map((name) => ({ schema: 'public', name })), { epoch: 1, token: '5' });
  await admins.local.query('COMMIT');
  for (const name of ['a', 'b']) await beginMarking(admins.local, name, { schema: 'public', name });
  afterWritten = () => Promise.resolve();
  fixture.control.autoVisible = false;
  fixture.control.waits.length = 0;
  publish();
  client = await connect();
});

afterEach(async () => {
  await client.end();
  await expect.poll(openOnLocal).toBe(0);
});

function publish(a: Partial<TableRoute> = {}, { control } = fixture): void {
  control.publish({ a: { ...dualWrite, markable: markable('a'), ...a }, b: { ...dualWrite, markable: markable('b') } });
}

async function connect({ gateway } = fixture): Promise<pg.Client> {
  const made = new pg.Client({ ...source.address, user: 'writer', port: gateway.port });
  made.on('error', () => undefined);
  await made.connect();
  return made;
}

async function contents(side: 'source' | 'local', table = 'a'): Promise<string[]> {
  return (await admins[side].query<{ row: string }>(`SELECT x::text AS row FROM ${table} x ORDER BY 1`)).rows.map(({ row }) => row);
}

async function same(...tables: string[]): Promise<void> {
  for (const table of tables.length > 0 ? tables : ['a']) expect(await contents('local', table)).toEqual(await contents('source', table));
}

/** Transactions of the gateway process's own. */
async function openOnLocal(): Promise<number> {
  return (await admins.local.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'causeway marked rows' AND state <> 'idle'")).rowCount ?? 0;
}

async function marks(): Promise<string[]> {
  return (await admins.local.query<{ mark: string }>("SELECT table_id || ' ' || key_json AS mark FROM causeway.mark ORDER BY 1")).rows.map(({ mark }) => mark);
}

it('statements by themselves, in both protocols: both sides have the row, and nobody has waited for the stream', async () => {
  expect(await client.query("INSERT INTO a (k, t, f) VALUES (1, 'it''s', 0.1), (2, 'two', 1e-300);")).toMatchObject({ command: 'INSERT', rowCount: 2, rows: [], fields: [] });
  expect(await client.query('INSERT INTO public.a AS x (k, t) VALUES ($1, $2) -- and a comment', [3, 'three'])).toMatchObject({ rowCount: 1, rows: [], fields: [] });
  expect(await client.query({ name: 'u', text: 'UPDATE a SET n = n + $1 WHERE k <= 2', values: [1] })).toMatchObject({ command: 'UPDATE', rowCount: 2, rows: [] });
  expect(await client.query({ name: 'u', text: 'UPDATE a SET n = n + $1 WHERE k <= 2', values: [1] })).toMatchObject({ command: 'UPDATE', rowCount: 2, rows: [] });
  expect(await client.query('DELETE FROM a x USING (VALUES (2), (9)) v(k) WHERE v.k = x.k')).toMatchObject({ command: 'DELETE', rowCount: 1, rows: [] });
  expect(await client.query('INSERT INTO a (k, n) VALUES (1, 0) ON CONFLICT (k) DO UPDATE SET n = 100')).toMatchObject({ rowCount: 1 });
  await same();
  expect(await contents('source')).toHaveLength(2);
  expect(await marks()).toEqual(['a ["1"]', 'a ["2"]', 'a ["3"]']);
});

it('a block commits as one, the last image of a row counts, and the next read of it does not wait', async () => {
  await client.query('SELECT 1 FROM b');
  const before = fixture.fetches;
  await client.query('BEGIN');
  await client.query("INSERT INTO a (k, t) VALUES (1, 'one'), (2, 'two')");
  await client.query("UPDATE a SET t = 'changed' WHERE k = $1", [1]);
  await client.query('DELETE FROM a WHERE k = 2');
  await client.query("INSERT INTO b (k, t) VALUES (5, 'five')");
  expect(await contents('local')).toEqual([]);
  expect((await client.query('COMMIT')).command).toBe('COMMIT');
  await same('a', 'b');
  expect((await client.query('SELECT t FROM a')).rows).toEqual([{ t: 'changed' }]);
  expect(fixture.fetches).toBe(before);
});

it('rows that the client has asked for are its own, in both protocols', async () => {
  expect(await client.query("INSERT INTO a (k, t) VALUES (1, 'one'), (2, NULL) RETURNING k * 10 AS ten, t, xmin::text <> '' AS f;")).toMatchObject({
    command: 'INSERT', rowCount: 2, fields: [{ name: 'ten' }, { name: 't' }, { name: 'f' }], rows: [{ ten: 10, t: 'one', f: true }, { ten: 20, t: null, f: true }],
  });
  expect(await client.query('UPDATE a x SET n = $1 WHERE k = $2 RETURNING *', [5, 1])).toMatchObject({ rowCount: 1, rows: [{ k: 1, n: 5, t: 'one' }] });
  expect(await client.query({ name: 'd', text: 'DELETE FROM a WHERE k = $1 RETURNING k', values: [2] })).toMatchObject({ rowCount: 1, rows: [{ k: 2 }] });
  expect(await client.query({ name: 'd', text: 'DELETE FROM a WHERE k = $1 RETURNING k', values: [2] })).toMatchObject({ rowCount: 0, rows: [], fields: [{ name: 'k' }] });
  await expect(client.query('UPDATE a SET n = 1 WHERE k = 1 RETURNING nothing')).rejects.toMatchObject({ code: '42703', position: '42' });
  await same();
  expect(await contents('local')).toHaveLength(1);
  fixture.control.autoVisible = true;
  // More than is kept still comes to the client.
  expect((await client.query('INSERT INTO a (k, t) SELECT g, repeat($1, 2000) FROM generate_series(10, 2000) g RETURNING k, t', ['y'])).rows).toHaveLength(1991);
  expect((await client.query("INSERT INTO a (k, t) VALUES (9, repeat('x', 3000000)) RETURNING t")).rows[0]).toEqual({ t: 'x'.repeat(3_000_000) });
  expect(await contents('local')).toHaveLength(1);
});

it('a rolled back block, an error and a failed COMMIT leave nothing on either side', async () => {
  await client.query('BEGIN');
  await client.query('INSERT INTO a (k) VALUES (1)');
  await client.query('ROLLBACK');
  await expect(client.query('INSERT INTO a (k) VALUES (1), (1)')).rejects.toMatchObject({ code: '23505' });
  await expect(client.query('INSERT INTO a (k, n) VALUES ($1, $2)', [1, 'x'])).rejects.toMatchObject({ code: '22P02' });
  await expect(client.query("INSERT INTO a (k, nothing) VALUES (1, 'x')")).rejects.toMatchObject({ code: '42703', position: '19' });
  await admins.source.query('CREATE TABLE parent (k int PRIMARY KEY); ALTER TABLE a ADD FOREIGN KEY (n) REFERENCES parent DEFERRABLE INITIALLY DEFERRED');
  publish();
  await expect(client.query('INSERT INTO a (k) VALUES (1)')).rejects.toMatchObject({ code: '23503' });
  await expect(client.query('INSERT INTO a (k) VALUES ($1)', [1])).rejects.toMatchObject({ code: '23503' });
  await admins.source.query('DROP TABLE parent CASCADE');
  expect([...(await contents('source')), ...(await contents('local')), ...(await marks())]).toEqual([]);
  await client.query('INSERT INTO a (k) VALUES (1)');
  await same();
});

describe('what is not written so waits for the stream', () => {
  it.each([
    ['a key that is changed', 'UPDATE a SET k = 8 WHERE k = 9'],
    ['a write in a CTE', 'WITH gone AS (DELETE FROM a WHERE k = 9 RETURNING k) INSERT INTO a (k) SELECT 1 FROM gone'],
    ['several statements in a text', 'INSERT INTO a (k) VALUES (1); INSERT INTO a (k) VALUES (2)'],
    ['TRUNCATE', 'TRUNCATE a'],
    ['a statement whose end cannot be seen', "INSERT INTO a (k) VALUES (1); -- the end"],
    ['too many rows', "INSERT INTO a (k) SELECT generate_series(100, 2000)"],
    ['too large a row', "INSERT INTO a (k, t) VALUES (1, repeat('x', 2000000))"],
    ['a savepoint that was taken back', "BEGIN|INSERT INTO a (k) VALUES (1)|SAVEPOINT s|INSERT INTO a (k) VALUES (2)|ROLLBACK TO s|COMMIT"],
    ['one of several statements', 'BEGIN|INSERT INTO a (k) VALUES (1)|UPDATE a SET k = 2 WHERE k = 9|COMMIT'],
    ['other styles of values', "SET DateStyle = 'SQL, DMY'|INSERT INTO a (k) VALUES (1)"],
    ['a setting that is changed on the way', "INSERT INTO a (k, t) VALUES (1, set_config('causeway.t', 'x', false))"],
    ['fewer digits', 'SET extra_float_digits = 0|INSERT INTO a (k, f) VALUES (1, 0.1::float8 + 0.2)'],
  ])('%s', async (_, texts) => {
    await admins.source.query('INSERT INTO a (k) VALUES (9)');
    const before = await contents('source');
    const notices: string[] = [];
    client.on('notice', (notice) => notices.push(notice.message ?? ''));
    for (const sql of texts.split('|')) await client.query(sql);
    // The stream stands still: the wait was given up.
    expect(notices).toEqual([expect.stringContaining('local does not show it yet')]);
    expect(await contents('source')).not.toEqual(before);
    expect(await contents('local')).toEqual([]);
    expect(await marks()).toEqual([]);
  });

  it('what the role may not see, and what triggers may change', async () => {
    fixture.control.autoVisible = true;
    await admins.source.query('REVOKE SELECT ON a FROM writer');
    expect(await client.query('INSERT INTO a (k) VALUES (1)')).toMatchObject({ rowCount: 1 });
    await admins.source.query(`GRANT SELECT ON a TO writer; CREATE OR REPLACE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k := NEW.k + 100; RETURN NEW; END $$;
      CREATE TRIGGER moved BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION moved()`);
    publish();
    expect(await client.query('INSERT INTO a (k) VALUES (1)')).toMatchObject({ rowCount: 1 });
    expect(await contents('local')).toEqual([]);
    await admins.source.query('DROP TRIGGER moved ON a');
    publish();
    expect(await client.query('INSERT INTO a (k) VALUES (2)')).toMatchObject({ rowCount: 1 });
    expect(await contents('local')).toHaveLength(1);
  });

  it('a table whose rows are not marked at present, a lock on local, local that is away', async () => {
    fixture.control.autoVisible = true;
    await admins.local.query('TRUNCATE causeway.marking');
    await client.query('INSERT INTO a (k) VALUES (1)');
    expect(await contents('local')).toEqual([]);
    await beginMarking(admins.local, 'a', { schema: 'public', name: 'a' });
    const blocker = await local.client();
    await blocker.query('BEGIN; LOCK TABLE a IN SHARE MODE');
    await client.query('INSERT INTO a (k) VALUES (2)');
    await blocker.query('COMMIT');
    expect(await contents('local')).toEqual([]);
    expect(await contents('source')).toHaveLength(2);
    await client.query('INSERT INTO a (k) VALUES (3)');
    expect(await contents('local')).toHaveLength(1);
  });
});

it('local that loses the rows behind the source’s commit, and a client that leaves: what local lacks is the stream’s to bring', async () => {
  const killed = (): Promise<unknown> => admins.local.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway marked rows'");
  const notices: string[] = [];
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  afterWritten = killed;
  expect(await client.query('INSERT INTO a (k) VALUES (1)')).toMatchObject({ command: 'INSERT', rowCount: 1 });
  expect(notices).toEqual([expect.stringContaining('local does not show it yet')]);
  expect([await contents('local'), (await contents('source')).length, await marks()]).toEqual([[], 1, []]);
  const leaving = await RawClient.connect(fixture.gateway.port, { user: 'writer', database: 'postgres' });
  afterWritten = () => Promise.resolve(leaving.end());
  leaving.socket.write(q('INSERT INTO a (k) VALUES (2)'));
  await leaving.until(() => leaving.closed);
  await expect.poll(openOnLocal).toBe(0);
  const [onSource, onLocal] = [await contents('source'), await contents('local')];
  expect(onSource).toEqual(expect.arrayContaining(onLocal));
  afterWritten = () => Promise.resolve();
  await client.query('INSERT INTO a (k) VALUES (3)');
  expect(await marks()).toContain('a ["3"]');
});

it('a pipeline is one transaction; a limit on rows does not suspend it; what is described gives no rows, and others’ rows come', async () => {
  const raw = await RawClient.connect(fixture.gateway.port, { user: 'writer', database: 'postgres' });
  const inBinary = message('B', cstring(''), cstring('i'), int16(0), int16(0), int16(1), int16(1));
  const failed = await raw.ask(Buffer.concat([
    p('i', "INSERT INTO a (k, t) VALUES (1, 'x'), (2, 'y')"), d('S', 'i'), inBinary, d('P', ''), e('', 1),
    p('s', 'SELECT k FROM a ORDER BY k'), d('S', 's'), b('', 's'), e(''), inBinary, e(''), s,
  ]));
  expect(failed.map(({ type }) => type).join('')).toBe('1tn2nC1tT2DDC2EZ');
  expect(fieldsOf(failed.at(-2))['C']).toBe('23505');
  expect(await contents('source')).toEqual([]);
  expect((await raw.ask(Buffer.concat([inBinary, d('P', ''), e('', 1), s]))).map(({ type }) => type).join('')).toBe('2nCZ');
  await same();
  expect(await contents('local')).toHaveLength(2);
  const asked = Buffer.concat([p('r', "UPDATE a SET t = 'r' WHERE k < 9 RETURNING k"), d('S', 'r'), b('', 'r'), d('P', ''), e('', 1), e('', 1), e('', 1), s]);
  fixture.control.autoVisible = true;
  expect((await raw.ask(asked)).map(({ type }) => type).join('')).toBe('1tT2TDsDsCZ');
  // Results in binary, or fetched in parts, are not for local.
  expect((await raw.ask(Buffer.concat([message('B', cstring(''), cstring('r'), int16(0), int16(0), int16(1), int16(1)), e(''), s]))).map(({ type }) => type).join('')).toBe('2DDCZ');
  expect((await contents('local')).join()).not.toContain(',r,');
  fixture.control.autoVisible = false;
  expect((await raw.ask(Buffer.concat([b('', 'r'), d('P', ''), e(''), s]))).map(({ type }) => type).join('')).toBe('2TDDCZ');
  await same();
  // Bound in one unit of a block, run in another.
  await raw.ask(q('BEGIN'));
  expect((await raw.ask(Buffer.concat([p('', 'DELETE FROM a WHERE k = 1'), b('', ''), s]))).map(({ type }) => type).join('')).toBe('12Z');
  expect((await raw.ask(Buffer.concat([d('P', ''), e(''), p('', 'SELECT 1'), b('', ''), e(''), s]))).map(({ type }) => type).join('')).toBe('nC12DCZ');
  expect((await raw.ask(q('COMMIT'))).map(({ type }) => type).join('')).toBe('CZ');
  await same();
  raw.end();
});

it('sessions that share one connection: it stays with a commit until that is over, and settings are those of the session that writes', async () => {
  await using shared = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 300 }, markedRows: watched, pools: { ...sessionPooling, modeOf: () => 'transaction', size: 1 } });
  shared.control.autoVisible = false;
  publish({}, shared);
  const waiting = (): number => shared.gateway.survey().pools.reduce((sum, pool) => sum + pool.waiting, 0);
  const [one, other] = [await connect(shared), await connect(shared)];
  const notices: string[] = [];
  one.on('notice', (notice) => notices.push(notice.message ?? ''));
  // What has to be known of the table first waits for the connection, too.
  await other.query('BEGIN');
  await other.query('INSERT INTO plain VALUES (1)');
  const first = one.query('INSERT INTO a (k, f) VALUES (1, 0.1)');
  await expect.poll(waiting).toBe(1);
  await other.query('ROLLBACK');
  await first;
  await same();
  let behind: Promise<pg.QueryResult> | undefined;
  afterWritten = async () => {
    behind ??= other.query('INSERT INTO plain VALUES (2) RETURNING k');
    await expect.poll(waiting).toBe(1);
  };
  await one.query('UPDATE a SET n = $1', [8]);
  afterWritten = () => Promise.resolve();
  expect((await behind)?.rows).toHaveLength(1);
  await same();
  expect(notices).toEqual([]);
  await one.query('SET extra_float_digits = 0');
  await one.query('UPDATE a SET f = 0.1::float8 + 0.2');
  expect(notices).toEqual([expect.stringContaining('local does not show it yet')]);
  await other.query('UPDATE a SET n = 9');
  await same();
  for (const session of [one, other]) await session.end();
});
