/**
 * Property: sessions that share connections see what they would see on their own: nothing of each other, and all of what they have set up themselves. What
 * keeps others waiting does so for a bounded time, and errors, cancels and lost connections are their owner's.
 */
import pg from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { dualWrite, onLocal, onSource } from './gateway-fixture.ts';
import { admin, backends, connect, errorOf, fixture, local, opened, raw, run, SIZE, source, start, types, usePools, valueOf } from './pool-fixture.ts';
import { b, c, d, e, firstValue, p, q, RawClient, s } from './raw-client.ts';

usePools();

const failing = 'SELECT 1 / (id - 1) FROM things WHERE id = 1';

describe.each(['transaction', 'pipeline'] as const)('in pool mode %s', (mode) => {
  beforeEach(() => start(mode));

  it('many sessions use few connections, and a block has one to itself', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, connect));
    await Promise.all(clients.map(async (client, n) => {
      for (let turn = 0; turn < 20; turn += 1) {
        expect((await client.query('SELECT $1::int + id AS n FROM things WHERE id = $2', [n, turn + 1])).rows).toEqual([{ n: n + turn + 1 }]);
        await client.query('BEGIN');
        const first = (await client.query('SELECT who()')).rows;
        expect((await client.query('SELECT who()')).rows).toEqual(first);
        await client.query(turn % 2 === 0 ? 'COMMIT' : 'ROLLBACK');
      }
    }));
    expect(await backends()).toBeLessThanOrEqual(SIZE);
  });

  it('clients that have told different things at their start share a pool, not connections, and all are served', async () => {
    await Promise.all(Array.from({ length: 9 }, async (_, n) => {
      const client = await RawClient.connect(fixture.gateway.port, { user: 'postgres', database: 'postgres', application_name: `pooled ${n % 4}` });
      opened.push(client);
      for (let turn = 0; turn < 15; turn += 1) expect(await valueOf(client, `SELECT current_setting('application_name') || who() * 0`)).toBe(`pooled ${n % 4}0`);
    }));
  });

  it('settings are carried from connection to connection, and are nobody else\'s', async () => {
    const [one, two] = [await raw(), await raw()];
    await one.ask(q("SET work_mem = '7MB'"));
    await one.ask(q("SET app.name = 'one -- not a comment'"));
    await two.ask([p('', "SET TIME ZONE 'Asia/Tokyo'"), b('', ''), e(''), s]);
    for (let turn = 0; turn < 5; turn += 1) {
      // Somebody is on a connection in between, so that it is another one each time.
      const blocker = await raw();
      await blocker.ask(q('BEGIN; SELECT 1'));
      expect([await valueOf(one, 'SHOW work_mem'), await valueOf(one, "SELECT current_setting('app.name')"), await valueOf(one, 'SHOW TimeZone')]).toEqual(['7MB', 'one -- not a comment', await valueOf(blocker, 'SHOW TimeZone')]);
      expect([await valueOf(two, 'SHOW work_mem'), await valueOf(two, 'SHOW TimeZone')]).toEqual(['4MB', 'Asia/Tokyo']);
      await blocker.ask(q(turn % 2 === 0 ? 'COMMIT' : 'ROLLBACK'));
    }
    await one.ask(q('RESET work_mem'));
    expect(await valueOf(one, 'SHOW work_mem')).toBe('4MB');
    expect(await valueOf(one, "SELECT current_setting('app.name')")).toBe('one -- not a comment');
    expect(types(await one.ask(q("SET work_mem = 'much'")))).toBe('EZ');
    expect(await valueOf(one, 'SHOW work_mem')).toBe('4MB');
    await one.ask(q('RESET ALL'));
    expect(await valueOf(one, "SELECT current_setting('app.name', true)")).toBe('');
    // The client is told of it once, by itself.
    expect(types(await two.ask(q('SELECT 1')))).toBe('TDCZ');
  });

  it('what cannot be carried ties the session to its connection, until DISCARD ALL', async () => {
    const [one, two] = [await raw(), await raw()];
    const set = ['CREATE TEMP TABLE mine (v text)', "BEGIN; SET work_mem = '9MB'; COMMIT", 'PREPARE asked AS SELECT 41 + $1::int', 'SELECT pg_advisory_lock(7)', 'LISTEN news', "DO $$ BEGIN PERFORM set_config('work_mem', '11MB', false); END $$"];
    for (const sql of set) {
      const pid = await valueOf(one, 'SELECT who()');
      await one.ask(q(sql));
      const tied = await valueOf(one, 'SELECT who()');
      for (let turn = 0; turn < 3; turn += 1) {
        expect(await valueOf(two, 'SELECT who()')).not.toBe(tied);
        expect(await valueOf(one, 'SELECT who()')).toBe(tied);
      }
      expect(pid).toBeDefined();
      await one.ask(q('DISCARD ALL'));
      expect(await valueOf(one, 'SHOW work_mem')).toBe('4MB');
    }
    await one.ask(q('CREATE TEMP TABLE mine (v text)'));
    await one.end();
    await expect.poll(async () => (await admin.query("SELECT FROM pg_class WHERE relname = 'mine'")).rowCount).toBe(0);
    expect(await valueOf(two, "SELECT to_regclass('pg_temp.mine')::text IS NULL")).toBe('t');
    // SET LOCAL ends with its block.
    await two.ask(q("BEGIN; SET LOCAL work_mem = '13MB'; COMMIT"));
    expect(await valueOf(two, 'SHOW work_mem')).toBe('4MB');
  });

  it('prepared statements are their sessions\', whatever connection they are on', async () => {
    const [one, two] = [await raw(), await raw()];
    expect(types(await one.ask([p('st', 'SELECT $1 || side FROM things WHERE id = 1'), d('S', 'st'), s]))).toBe('1tTZ');
    expect(types(await two.ask([p('st', 'SELECT $1::int + 1'), s]))).toBe('1Z');
    for (let turn = 0; turn < 6; turn += 1) {
      const blocker = await raw();
      await blocker.ask(q('BEGIN'));
      await blocker.ask(q('SELECT 1'));
      expect(firstValue(await one.ask(run('st', ['on '])))).toBe('on source');
      expect(firstValue(await two.ask(run('st', [String(turn)])))).toBe(String(turn + 1));
      await blocker.ask(q('COMMIT'));
    }
    expect(errorOf(await two.ask([p('st', 'SELECT 2'), s]))).toMatchObject({ C: '42P05', M: 'prepared statement "st" already exists' });
    expect(types(await two.ask([c('S', 'st'), s]))).toBe('3Z');
    expect(errorOf(await two.ask(run('st', ['1'])))).toMatchObject({ C: '26000' });
    expect(firstValue(await one.ask(run('st', ['still '])))).toBe('still source');
    // The same text as one that others have, behind an error: it was not parsed.
    expect(types(await two.ask([p('', failing), b('', ''), e(''), p('st', 'SELECT $1 || side FROM things WHERE id = 1'), s]))).toBe('12EZ');
    expect(errorOf(await two.ask(run('st', ['1'])))).toMatchObject({ C: '26000' });
    expect(types(await two.ask([p('', failing), b('', ''), e(''), p('new', 'SELECT 77'), s]))).toBe('12EZ');
    expect(firstValue(await two.ask([p('new', 'SELECT 77'), b('', 'new'), e(''), s]))).toBe('77');
    // Without a name, in units of their own.
    await one.ask([p('', 'SELECT 5'), s]);
    await two.ask(q('SELECT 1'));
    expect(firstValue(await one.ask(run('')))).toBe('5');
  });

  it('SQL knows statements of the protocol by the client\'s names', async () => {
    const one = await connect();
    for (const id of [1, 2]) await one.query({ name: 'byName', text: 'SELECT id FROM things WHERE id = $1', values: [id] });
    expect((await one.query('EXECUTE "byName" (7)')).rows).toEqual([{ id: 7 }]);
    expect((await one.query('EXECUTE "byName" (8)')).rows).toEqual([{ id: 8 }]);
    const two = await connect();
    await two.query({ name: 'gone', text: 'SELECT 1' });
    expect((await two.query('DEALLOCATE gone')).command).toBe('DEALLOCATE');
    await expect(two.query('DEALLOCATE gone')).rejects.toMatchObject({ code: '26000' });
    await two.query({ name: 'again', text: 'SELECT 1' });
    await two.query('DEALLOCATE ALL');
    await expect(two.query('EXECUTE again')).rejects.toMatchObject({ code: '26000' });
  });

  it('values of sequences are asked where they were drawn, or not at all', async () => {
    const one = await connect();
    await one.query("INSERT INTO written (v) VALUES ('a')");
    for (const sql of ['SELECT lastval()', "SELECT currval('numbers')", "SELECT currval('written_id_seq')"]) await expect(one.query(sql)).rejects.toMatchObject({ code: '0A000', message: expect.stringMatching(/^MIG089: /), hint: expect.stringContaining('RETURNING') });
    await one.query('BEGIN');
    const { rows: [row] } = await one.query<{ id: number }>("INSERT INTO written (v) VALUES ('b') RETURNING id");
    expect((await one.query('SELECT lastval()::int AS id')).rows).toEqual([row]);
    await one.query('COMMIT');
  });

  it('who waits too long for a connection is told, and goes on', async () => {
    await fixture[Symbol.asyncDispose]();
    await start(mode, 2, { waitMs: 300 });
    const holders = [await raw(), await raw()];
    for (const holder of holders) await holder.ask(q('BEGIN; SELECT 1'));
    const late = await raw();
    expect(errorOf(await late.ask(q('INSERT INTO written (v) VALUES (1)')))).toMatchObject({ C: '53300', S: 'ERROR', M: 'MIG085: no connection of the pool became free', D: expect.stringContaining('has 2 connections in this process (pool.size), all in use; waited 300 ms (pool.wait_ms)') });
    await holders[0]?.ask(q('COMMIT'));
    expect(await valueOf(late, 'SELECT 1')).toBe('1');
  });

  it('a cancel hits its owner\'s statement only, also while that waits', async () => {
    const [one, two, three] = [await connect(), await connect(), await connect()];
    const asleep = one.query('SELECT pg_sleep(20)').then(() => 'slept', (error: unknown) => (error as pg.DatabaseError).code);
    await expect.poll(async () => (await admin.query("SELECT FROM pg_stat_activity WHERE application_name = 'pooled' AND wait_event = 'PgSleep'")).rowCount).toBe(1);
    const others = Promise.all([two, three].map(async (client) => {
      for (let turn = 0; turn < 200; turn += 1) expect((await client.query('SELECT side FROM things WHERE id = $1', [turn + 1])).rows).toEqual([{ side: 'source' }]);
    }));
    await cancel(one);
    expect(await asleep).toBe('57014');
    await others;
    // Nothing of it stays for who is next.
    for (let turn = 0; turn < 10; turn += 1) expect((await one.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
    const blocks = await Promise.all(Array.from({ length: SIZE }, connect));
    for (const block of blocks) await block.query('BEGIN; SELECT 1');
    const waiting = one.query('INSERT INTO written (v) VALUES (1)').then(() => 'written', (error: unknown) => (error as pg.DatabaseError).code);
    await expect.poll(() => fixture.gateway.survey().pools.reduce((sum, pool) => sum + pool.waiting, 0)).toBe(1);
    await cancel(one);
    expect(await waiting).toBe('57014');
    for (const block of blocks) await block.query('ROLLBACK');
  });

  it('idle sessions do not notice that their server was lost; who had something open is told', async () => {
    const [one, two] = [await connect(), await raw()];
    await one.query('SELECT 1');
    await two.ask(q('BEGIN; SELECT 1'));
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pooled'");
    await two.until(() => two.closed);
    expect(errorOf(two.messages)).toMatchObject({ C: '57P01' });
    await expect.poll(() => fixture.gateway.survey().pools.reduce((sum, pool) => sum + pool.open, 0)).toBe(0);
    await expect.poll(() => one.query('SELECT 1 AS n').then(({ rows }) => rows, (error: unknown) => String(error))).toEqual([{ n: 1 }]);
  });

  it('both sides are pooled, with the session\'s settings', async () => {
    fixture.control.publish({ things: onSource, moved: onLocal, written: dualWrite });
    const clients = await Promise.all(Array.from({ length: 8 }, connect));
    await Promise.all(clients.map(async (client, n) => {
      await client.query(`SET work_mem = '${n + 5}MB'`);
      for (let turn = 0; turn < 10; turn += 1) {
        for (const [table, side] of [['things', 'source'], ['moved', 'local']]) {
          expect((await client.query(`SELECT side, current_setting('work_mem') AS mem FROM ${table} WHERE id = $1`, [turn + 1])).rows).toEqual([{ side, mem: `${n + 5}MB` }]);
        }
        await client.query('INSERT INTO written (v) VALUES ($1)', [String(n)]);
        await client.query('BEGIN');
        await client.query("UPDATE moved SET side = 'local' WHERE id = $1", [n + 1]);
        expect((await client.query(`SELECT m.side FROM moved m JOIN things t USING (id) WHERE id = $1`, [turn + 1])).rows).toEqual([{ side: 'local' }]);
        await client.query('ROLLBACK');
      }
    }));
    expect(await backends()).toBeLessThanOrEqual(SIZE);
    const there = await local.client();
    expect(Number((await there.query<{ n: string }>("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'pooled'")).rows[0]?.n)).toBeLessThanOrEqual(SIZE);
    expect((await there.query("SELECT FROM pg_stat_activity WHERE application_name = 'pooled' AND state <> 'idle'")).rowCount).toBe(0);
    await there.end();
  });

  it('a login is answered by the server the first time, and by what it said from then on', async () => {
    const direct = await RawClient.connect(source.address.port, { user: 'postgres', database: 'postgres', application_name: 'pooled' });
    const parametersOf = (client: RawClient): string[] => client.messages.filter(({ type }) => type === 'S').map(({ body }) => body.toString());
    const expected = parametersOf(direct);
    await direct.end();
    for (let turn = 0; turn < 3; turn += 1) expect(parametersOf(await raw())).toEqual(expected);
    const refused = await RawClient.connect(fixture.gateway.port, { user: 'nobody', database: 'postgres' });
    expect(errorOf(refused.messages)).toMatchObject({ S: 'FATAL', C: '28000', M: 'role "nobody" does not exist' });
    const missing = await RawClient.connect(fixture.gateway.port, { user: 'postgres', database: 'nowhere' });
    expect(errorOf(missing.messages)).toMatchObject({ S: 'FATAL', C: '3D000' });
    for (const client of [refused, missing]) await client.end();
  });
});

async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const canceller = await RawClient.connect(fixture.gateway.port, null);
  const request = Buffer.alloc(16);
  [16, 80877102, processID, secretKey].forEach((value, index) => request.writeInt32BE(value, index * 4));
  canceller.socket.write(request);
  await canceller.until(() => canceller.closed);
}
