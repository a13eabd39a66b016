/** Property: whoever may log in can, whoever may not is told so as a server would, and nothing that a client does before it is in leaves anything behind. */
import { execFile, execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeScramVerifier } from '../../src/wire/scram.ts';
import { writeStartup } from '../../src/wire/startup-packet.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, fieldsOf, q } from './raw-client.ts';

let server: TestPostgres;
let fixture: GatewayFixture;
let directory: string;

beforeAll(async () => {
  server = await startTestPostgres();
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-tls-'));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', path.join(directory, 'key.pem'), '-out', path.join(directory, 'cert.pem'), '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
  fixture = await startGateway(server.address, server.address, {
    users: [{ name: 'postgres', verifier: makeScramVerifier('right') }, { name: 'trusted', trustFrom: ['127.0.0.0/8'] }, { name: 'elsewhere', trustFrom: ['10.0.0.0/8'] }],
    legs: { target: (_side, login) => ({ ...server.address, user: 'postgres', database: login.database }) },
    tls: { cert: path.join(directory, 'cert.pem'), key: path.join(directory, 'key.pem') },
    limits: { startupTimeoutMs: 400, maxConnections: 50 },
  });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  fs.rmSync(directory, { recursive: true, force: true });
});

const client = (options: pg.ClientConfig): pg.Client => {
  const made = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', password: 'right', database: 'postgres', ...options });
  made.on('error', () => undefined);
  return made;
};

/** Sends bytes and gives the fields of the error that comes back, if any, once the gateway has closed. */
async function answerTo(bytes: Buffer): Promise<Record<string, string>> {
  const raw = await RawClient.connect(fixture.gateway.port, null);
  raw.socket.write(bytes);
  await raw.until(() => raw.closed);
  return fieldsOf(raw.messages[0]);
}

describe('authentication', () => {
  it('by SCRAM: the right password, a wrong one, an unknown user', async () => {
    const good = client({});
    await good.connect();
    expect((await good.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await good.end();
    await expect(client({ password: 'wrong' }).connect()).rejects.toMatchObject({ code: '28P01', message: 'password authentication failed for user "postgres"' });
    await expect(client({ user: 'nobody' }).connect()).rejects.toMatchObject({ code: '28P01', message: 'password authentication failed for user "nobody"' });
    await expect(client({ user: 'elsewhere' }).connect()).rejects.toMatchObject({ code: '28P01' });
  });

  it('by trust of an address', async () => {
    const trusted = client({ user: 'trusted', password: '' });
    await trusted.connect();
    await trusted.end();
  });

  it('over TLS, and psql too', async () => {
    const secure = client({ ssl: { rejectUnauthorized: false } });
    await secure.connect();
    expect((await secure.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    await secure.end();
    const out = await promisify(execFile)('/usr/lib/postgresql/15/bin/psql', ['-XAtc', 'SELECT 3', '-c', '\\conninfo', `host=127.0.0.1 port=${fixture.gateway.port} user=postgres dbname=postgres sslmode=require`], { env: { ...process.env, PGPASSWORD: 'right' } });
    expect(out.stdout).toMatch(/^3\n[^]*TLS/);
  });

  it('passes the server\'s own refusal, and says when it is not there', async () => {
    await expect(client({ database: 'missing' }).connect()).rejects.toMatchObject({ code: '3D000', message: 'database "missing" does not exist' });
    await using apart = await startGateway({ ...server.address, port: 1 }, server.address);
    await expect(client({ port: apart.gateway.port }).connect()).rejects.toMatchObject({ code: '08001', message: expect.stringMatching(/^MIG001/) });
  });
});

describe('clients that misbehave', () => {
  it('get the right FATAL', async () => {
    // A Terminate before anything else is no reason for a message, as at a server.
    expect(await answerTo(Buffer.from([0x58, 0, 0, 0, 4]))).toEqual({});
    expect(await answerTo(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toMatchObject({ S: 'FATAL', C: '08P01', M: 'invalid length of startup packet' });
    expect(await answerTo(Buffer.concat([Buffer.from([0, 1, 0, 0]), Buffer.alloc(70_000, 120)]))).toMatchObject({ C: '08P01' });
    expect(await answerTo(Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]))).toMatchObject({ C: '0A000' });
    expect(await answerTo(writeStartup([['database', 'x']]))).toMatchObject({ C: '28000' });
    expect(await answerTo(Buffer.from([0, 0, 0, 30]))).toMatchObject({ C: '57014' });
  });

  it('in a session: garbage ends it, the process lives', async () => {
    const raw = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    raw.messages.length = 0;
    raw.socket.write(Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]));
    await raw.until(() => raw.closed);
    expect(fieldsOf(raw.messages[0])).toMatchObject({ S: 'FATAL', C: '08P01' });
    const other = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    other.socket.write(Buffer.from('zzzzzzzzzzzzzzzzzzzzzzz'));
    await other.until(() => other.closed);
    await expect.poll(() => fixture.gateway.sessions).toBe(0);
  });

  it('too many of them are refused with 53300', async () => {
    await using small = await startGateway(server.address, server.address, { limits: { maxConnections: 2 } });
    const open = [await RawClient.connect(small.gateway.port), await RawClient.connect(small.gateway.port)];
    expect(open.map((one) => one.types().endsWith('Z'))).toEqual([true, true]);
    const third = await RawClient.connect(small.gateway.port);
    expect(fieldsOf(third.messages[0])).toMatchObject({ C: '53300' });
    for (const one of open) one.end();
    await expect.poll(() => small.gateway.sessions).toBe(0);
    const again = await RawClient.connect(small.gateway.port);
    expect(again.types().endsWith('Z')).toBe(true);
    again.end();
  });

  it('10,000 opened and dropped connections leave nothing behind', async () => {
    const handles = (): number => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length;
    const backends = async (): Promise<number> => Number((await (await server.client()).query<{ n: string }>('SELECT count(*) AS n FROM pg_stat_activity')).rows[0]?.n);
    const before = handles();
    const half = writeStartup([['user', 'postgres']]);
    const whole = writeStartup([['user', 'trusted'], ['database', 'postgres']]);
    for (let batch = 0; batch < 100; batch += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => new Promise<void>((resolve) => {
        const socket = net.connect({ host: '127.0.0.1', port: fixture.gateway.port });
        socket.on('error', () => undefined);
        socket.once('close', () => resolve());
        socket.once('connect', () => {
          if (index % 10 === 1) socket.write(half.subarray(0, 12));
          if (index % 10 === 2) socket.write(half);
          if (index % 50 === 3) socket.write(whole);
          if (index % 2 === 0) socket.destroy();
          else socket.resetAndDestroy();
        });
      })));
    }
    await expect.poll(() => fixture.gateway.sessions, { timeout: 10_000 }).toBe(0);
    await expect.poll(handles, { timeout: 10_000 }).toBeLessThan(before + 10);
    await expect.poll(backends, { timeout: 10_000 }).toBeLessThan(40);
    const still = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    expect((await still.ask(q('SELECT 1'))).map(({ type }) => type).join('')).toBe('TDCZ');
    still.end();
  }, 120_000);

  it('a client that vanishes in the middle of a query leaves no backend running', async () => {
    const raw = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    raw.socket.write(q('SELECT pg_sleep(60)'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    raw.socket.resetAndDestroy();
    const admin = await server.client();
    await expect.poll(async () => (await admin.query(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'`)).rowCount, { timeout: 5_000 }).toBe(0);
  });

  it('a client that does not read keeps nobody else waiting, and the memory bounded', async () => {
    const raw = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    raw.socket.pause();
    const before = process.memoryUsage().rss;
    raw.socket.write(q(`SELECT repeat('x', 10000) FROM generate_series(1, 30000)`));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(process.memoryUsage().rss - before).toBeLessThan(60 << 20);
    const other = await RawClient.connect(fixture.gateway.port, { user: 'trusted', database: 'postgres' });
    expect((await other.ask(q('SELECT 1'))).map(({ type }) => type).join('')).toBe('TDCZ');
    other.end();
    raw.end();
  });
});
