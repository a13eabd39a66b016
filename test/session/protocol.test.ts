/** Property: an ordinary client notices no difference between the gateway and the server behind it. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { poolMode, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, c, copyData, copyDone, copyFail, d, e, fieldsOf, firstValue, h, p, q, s } from './raw-client.ts';

const run = promisify(execFile);
const tools = '/usr/lib/postgresql/15/bin';
let server: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  server = await startTestPostgres();
  fixture = await startGateway(server.address, server.address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

describe('node-postgres', () => {
  it('runs simple and extended queries, errors and transactions', async () => {
    const client = await connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect((await client.query('SELECT $1::int + 1 AS two', [1])).rows).toEqual([{ two: 2 }]);
    expect((await client.query({ name: 'named', text: 'SELECT $1::text AS t', values: ['x'] })).rows).toEqual([{ t: 'x' }]);
    expect((await client.query({ name: 'named', text: 'SELECT $1::text AS t', values: ['y'] })).rows).toEqual([{ t: 'y' }]);
    await expect(client.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('SELECT $1::int/0', [1])).rejects.toMatchObject({ code: '22012' });
    await client.query('BEGIN');
    await client.query('CREATE TEMP TABLE t(a int)');
    await client.query('INSERT INTO t VALUES ($1)', [7]);
    await client.query('COMMIT');
    expect((await client.query('SELECT a FROM t')).rows).toEqual([{ a: 7 }]);
    await client.end();
  });

  it('carries notices and notifications', async () => {
    const client = await connect();
    const seen: string[] = [];
    client.on('notice', (notice) => seen.push(notice.message ?? ''));
    client.on('notification', (notification) => seen.push(`${notification.channel}:${notification.payload ?? ''}`));
    await client.query(`DO $$ BEGIN RAISE NOTICE 'hello'; END $$`);
    await client.query('LISTEN ch');
    await client.query(`NOTIFY ch, 'payload'`);
    const other = await connect();
    await other.query(`NOTIFY ch, 'other'`);
    await expect.poll(() => seen).toEqual(['hello', 'ch:payload', 'ch:other']);
    await client.end();
    await other.end();
  });

  it('cancels', async () => {
    const client = await connect();
    const running = client.query('SELECT pg_sleep(30)');
    const outcome = expect(running).rejects.toMatchObject({ code: '57014' });
    const canceller = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port });
    setTimeout(() => (canceller as unknown as { cancel(target: unknown, query: unknown): void }).cancel(client, (client as unknown as { activeQuery: unknown }).activeQuery ?? (client as unknown as { _activeQuery: unknown })._activeQuery), 200);
    await outcome;
    await client.end();
  });
});

describe('psql and pgbench', () => {
  const environment = (): NodeJS.ProcessEnv => ({ ...process.env, PGHOST: '127.0.0.1', PGPORT: String(fixture.gateway.port), PGUSER: 'postgres', PGDATABASE: 'postgres', PGSSLMODE: 'prefer' });

  it('psql runs a script with COPY both ways', async () => {
    const { stdout } = await run(`${tools}/psql`, ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', 'CREATE TABLE p(a int, b text)', '-c', `INSERT INTO p SELECT i, 'x' FROM generate_series(1, 3) i`, '-c', 'COPY p TO STDOUT', '-c', '\\d p', '-c', 'DROP TABLE p'], { env: environment() });
    expect(stdout).toContain('1\tx\n2\tx\n3\tx\n');
    expect(stdout).toContain('a|integer');
  });

  for (const mode of ['simple', 'extended', 'prepared']) {
    it(`pgbench -M ${mode}`, async () => {
      await run(`${tools}/pgbench`, ['-i', '-s', '1', '-q'], { env: environment() });
      const { stdout } = await run(`${tools}/pgbench`, ['-M', mode, '-c', '4', '-t', '50', '-n'], { env: environment() });
      expect(stdout).toMatch(/number of transactions actually processed: 200\/200/);
    });
  }
});

describe('raw protocol', () => {
  it('pipelines units, and goes on after an error in one of them', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    const answer = await client.ask([p('', 'SELECT 1'), b('', ''), e(''), s, p('', 'SELECT 1/0'), b('', ''), e(''), p('', 'SELECT 3'), b('', ''), e(''), s, p('', 'SELECT 2'), b('', ''), d('P', ''), e(''), s], 3);
    expect(answer.map(({ type }) => type).join('')).toBe('12DCZ' + '1EZ' + '12TDCZ');
    client.end();
  });

  it('answers at Flush', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    client.messages.length = 0;
    client.socket.write(Buffer.concat([p('st', 'SELECT $1::int'), d('S', 'st'), h]));
    await client.until(() => client.types() === '1tT');
    expect((await client.ask([b('', 'st', ['5']), e(''), s])).map(({ type }) => type).join('')).toBe('2DCZ');
    expect((await client.ask([c('S', 'st'), s])).map(({ type }) => type).join('')).toBe('3Z');
    expect(fieldsOf((await client.ask([b('', 'st', ['5']), e(''), s]))[0])['C']).toBe('26000');
    client.end();
  });

  it('suspends portals', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    await client.ask(q('BEGIN'));
    const first = await client.ask([p('', 'SELECT generate_series(1, 5)'), b('pt', ''), e('pt', 2), s]);
    expect(first.map(({ type }) => type).join('')).toBe('12DDsZ');
    expect((await client.ask([e('pt', 2), s])).map(({ type }) => type).join('')).toBe('DDsZ');
    expect((await client.ask([e('pt', 2), s])).map(({ type }) => type).join('')).toBe('DCZ');
    await client.ask(q('COMMIT'));
    client.end();
  });

  it('copies in over both protocols, with a Sync sent early, and fails rightly', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    await client.ask(q('CREATE TEMP TABLE ci(a int)'));
    client.messages.length = 0;
    client.socket.write(q('COPY ci FROM STDIN'));
    await client.until(() => client.types() === 'G');
    expect((await client.ask([copyData('1\n'), copyData('2\n'), copyDone])).map(({ type }) => type).join('')).toBe('CZ');
    client.messages.length = 0;
    client.socket.write(Buffer.concat([p('', 'COPY ci FROM STDIN'), b('', ''), e(''), s]));
    await client.until(() => client.types() === '12G');
    expect((await client.ask([copyData('3\n'), copyDone, s])).map(({ type }) => type).join('')).toBe('CZ');
    expect(firstValue(await client.ask(q('SELECT count(*) FROM ci')))).toBe('3');
    client.socket.write(q('COPY ci FROM STDIN'));
    expect(fieldsOf((await client.ask([copyData('x\n'), copyFail('no'), q('SELECT 1')], 2)).find(({ type }) => type === 'E'))['C']).toBe('22P02');
    expect(firstValue(await client.ask(q('SELECT count(*) FROM ci')))).toBe('3');
    client.end();
  });

  it('carries large messages', async () => {
    const client = await connect();
    const text = 'x'.repeat(5_000_000);
    expect((await client.query(`SELECT length('${text}') AS n`)).rows).toEqual([{ n: 5_000_000 }]);
    expect((await client.query('SELECT length($1) AS n, $1::text AS back', [text])).rows).toEqual([{ n: 5_000_000, back: text }]);
    const columns = Array.from({ length: 1600 }, (_, index) => `c${index} int`).join(',');
    await client.query(`CREATE TEMP TABLE wide(${columns})`);
    await client.query('INSERT INTO wide(c0) VALUES (1)');
    expect((await client.query('SELECT * FROM wide')).fields.length).toBe(1600);
    await client.end();
  });

  it('streams 100 MB of COPY both ways in bounded memory', async () => {
    const before = process.memoryUsage().rss;
    const environment = { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(fixture.gateway.port), PGUSER: 'postgres', PGDATABASE: 'postgres' };
    const out = await run('/bin/bash', ['-c', `set -o pipefail
      ${tools}/psql -XAtqc "CREATE UNLOGGED TABLE big(a text)"
      ${tools}/psql -XAtqc "COPY (SELECT repeat('x', 999) FROM generate_series(1, 100000)) TO STDOUT" | ${tools}/psql -XAtqc "COPY big FROM STDIN"
      ${tools}/psql -XAtqc "SELECT count(*), sum(length(a)) FROM big" -c "DROP TABLE big"`], { env: environment });
    expect(out.stdout.trim()).toBe('100000|99900000');
    expect(process.memoryUsage().rss - before).toBeLessThan(250 << 20);
  });

  // The connection that has told its number is not the one that the next read of many has.
  it.skipIf(poolMode === 'pipeline')('passes the server\'s own FATAL and closes when the backend is killed', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    const pid = firstValue(await client.ask(q('SELECT pg_backend_pid()')));
    client.messages.length = 0;
    client.socket.write(q('SELECT pg_sleep(30)'));
    const admin = await server.client();
    await admin.query('SELECT pg_terminate_backend($1)', [Number(pid)]);
    await client.until(() => client.closed);
    expect(fieldsOf(client.messages.find(({ type }) => type === 'E'))).toMatchObject({ S: 'FATAL', C: '57P01' });
    await expect.poll(() => fixture.gateway.sessions).toBe(0);
  });
});

describe('while no table migrates', () => {
  it('a text that is too long or too deep to be read is the server\'s to judge, in both protocols; with a table in migration it is refused', async () => {
    const client = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    const length = 17 * 1024 * 1024;
    const long = `SELECT length('${'x'.repeat(length)}') AS n`;
    expect((await client.query(long)).rows).toEqual([{ n: length }]);
    expect((await client.query(`${long} WHERE $1 = 1`, [1])).rows).toEqual([{ n: length }]);
    // What it did is not known, so where names lead is asked again.
    await client.query(`SET search_path = pg_catalog; ${long}`);
    const deep = `SELECT ${'1+'.repeat(3_000_000)}1`;
    await expect(client.query(deep)).rejects.toMatchObject({ code: '54001', message: 'stack depth limit exceeded' });
    fixture.control.publish({ raw_elsewhere: {} });
    expect((await client.query(long)).rows).toEqual([{ n: length }]);
    expect((await client.query(`${long} WHERE $1 = 1`, [1])).rows).toEqual([{ n: length }]);
    await expect(client.query(deep)).rejects.toMatchObject({ code: '54000', message: expect.stringMatching(/^MIG088/) as string });
    fixture.control.publish({});
    await client.end();
  });

  it('no plain statement is routed, in neither protocol', async () => {
    const direct = await server.client();
    await using counted = await startGateway(server.address, server.address, {
      routes: { decide: () => expect.fail('a route was asked for'), catalogRoute: () => expect.fail('a route was asked for'), localName: () => expect.fail('a name was asked for'), placed: () => expect.fail('a name was asked for'), searchPath: () => expect.fail('a search path was asked for') },
    });
    const client = new pg.Client({ host: '127.0.0.1', port: counted.gateway.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    await direct.query('CREATE TABLE raw (id int PRIMARY KEY)');
    await client.query('INSERT INTO raw VALUES ($1), ($2)', [1, 2]);
    for (const id of [1, 2]) expect((await client.query({ name: 'one', text: 'SELECT id FROM raw WHERE id = $1', values: [id] })).rows).toEqual([{ id }]);
    await client.query('DELETE FROM raw WHERE id = 1');
    expect((await client.query('SELECT count(*)::int AS n FROM raw')).rows).toEqual([{ n: 1 }]);
    await client.end();
  });

  it('answers of every size come whole, to a client that reads slowly too', async () => {
    const client = await connect();
    for (const length of [1, 100, 8_150, 8_192, 65_536, 70_000, 3_000_000, 10]) {
      const { rows: [row] } = await client.query<{ t: string }>("SELECT repeat('äb', $1::int / 2) AS t", [length]);
      expect(row?.t).toBe('äb'.repeat(Math.floor(length / 2)));
    }
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    const sum = (rows: readonly { md5: string }[]): string => createHash('md5').update(rows.map(({ md5 }) => md5).join('')).digest('hex');
    for (let round = 0; round < 5; round += 1) {
      const asked = client.query<{ md5: string }>('SELECT md5((g + $1::int)::text) FROM generate_series(1, 40000) g', [round]);
      stream.pause();
      await delay(100);
      stream.resume();
      const { rows } = await asked;
      const { rows: [expected] } = await client.query<{ sum: string }>("SELECT md5(string_agg(md5((g + $1::int)::text), '' ORDER BY g)) AS sum FROM generate_series(1, 40000) g", [round]);
      expect(sum(rows)).toBe(expected?.sum);
    }
    await client.end();
  });
});
