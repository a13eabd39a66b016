/**
 * What a gateway meets that nobody meant to send it: broken clients, a crowd that comes and goes, wrong credentials, missing privileges, tables that can't be
 * carried, words that can't be read, a full disk, a source that goes away. Each ends in its own code or protocol error, changes nothing,
 * loses nothing, and leaves the processes alive.
 *
 * The migration's user on the source is an ordinary role that logs in with a password.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { int32 } from '../../src/wire/message.ts';
import { writeStartup } from '../../src/wire/startup-packet.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { DATABASE, Stack } from './support/stack.ts';

const HOLD = 'load.mid_chunk';
const STARTUP_LIMIT_MS = 1500;
const CROWD = 10_000;
const ABREAST = 100;

const sourceSql = `
  CREATE ROLE mover LOGIN REPLICATION PASSWORD 'right';
  GRANT CREATE ON DATABASE ${DATABASE} TO mover;
  CREATE TABLE goods (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, pad text NOT NULL);
  CREATE TABLE secret (id int PRIMARY KEY);
  CREATE TABLE keyless (line text);
  CREATE TYPE strange;
  CREATE FUNCTION strange_in(cstring) RETURNS strange LANGUAGE internal IMMUTABLE STRICT AS 'textin';
  CREATE FUNCTION strange_out(strange) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
  CREATE TYPE strange (INPUT = strange_in, OUTPUT = strange_out, LIKE = text);
  CREATE TABLE odd (id int PRIMARY KEY, what strange);
  INSERT INTO goods SELECT g, 0, repeat('x', 200) FROM generate_series(1, 3000) g;
  ALTER TABLE goods OWNER TO mover; ALTER TABLE keyless OWNER TO mover; ALTER TABLE odd OWNER TO mover;
  GRANT SELECT, INSERT, UPDATE, DELETE ON goods TO app`;

let stack: Stack;
let servers: TestPostgres[] = [];
let mount: string | undefined;

beforeAll(async () => {
  const source = await startTestPostgres({ durable: true });
  servers = [source, await startTestPostgres({ durable: true })];
  await askForPassword(source);
  const state = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bad-'));
  mount = mountSmallDisk(path.join(state, 'spool'));
  stack = await Stack.start({
    sourceSql, faultPoints: [HOLD],
    startServer: (side) => Promise.resolve(servers[side === 'source' ? 0 : 1] ?? source),
    settings: {
      source: { host: '127.0.0.1', port: source.address.port, database: DATABASE, user: 'mover', password: 'right' },
      state_directory: state, timeouts: { startup_ms: STARTUP_LIMIT_MS }, limits: { max_connections: 2000 },
    },
  });
  // The stream between the two servers, with its slot, is there from the first question on.
  await stack.command('CHECK MIGRATION FOR TABLE goods FROM legacy');
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  if (mount !== undefined) execFileSync('umount', [mount]);
});

/** The migration's user has to log in; everybody else is trusted. */
async function askForPassword(server: TestPostgres): Promise<void> {
  const admin = await server.client();
  const { rows } = await admin.query<{ hba_file: string }>('SHOW hba_file');
  const file = rows[0]?.hba_file ?? '';
  fs.writeFileSync(file, `host all mover 127.0.0.1/32 scram-sha-256\n${fs.readFileSync(file, 'utf8')}`);
  await admin.query('SELECT pg_reload_conf()');
}

/** A disk of 16 MB, where root may make one. */
function mountSmallDisk(directory: string): string | undefined {
  fs.mkdirSync(directory, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=700', 'tmpfs', directory], { stdio: 'ignore' });
    return directory;
  } catch {
    return undefined;
  }
}

async function refusal(sql: string, user: 'operator' | 'app' = 'operator'): Promise<pg.DatabaseError> {
  const client = await stack.connect(user);
  try {
    await client.query(sql);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  } finally {
    await client.end();
  }
  return expect.fail(`was not refused: ${sql}`);
}

/** Everything that a refused statement must leave as it was. */
async function everything(): Promise<string> {
  const [local, source] = [await stack.direct('local'), await stack.direct('source')];
  const relations = "SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' ORDER BY 1, 2";
  const found = [
    await stack.command('SELECT * FROM SYS$MIGRATION_STATE'), await stack.command('SELECT * FROM SYS$MIGRATION_HISTORY'), await stack.command('SHOW MIGRATION SOURCES'),
    (await local.query(relations)).rows, (await source.query(relations)).rows,
    (await source.query('SELECT slot_name FROM pg_replication_slots')).rows, (await source.query('SELECT pubname, tablename FROM pg_publication_tables')).rows,
  ];
  await Promise.all([local.end(), source.end()]);
  return JSON.stringify(found);
}

describe('clients', () => {
  /** What comes back until the gateway hangs up. */
  function send(...parts: Buffer[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(stack.gateway.port, '127.0.0.1', () => void socket.write(Buffer.concat(parts)));
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
      socket.on('error', reject);
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    });
  }
  const startup = writeStartup([['user', 'app'], ['database', DATABASE]]);
  const processes = (): string => JSON.stringify([stack.product.pids('control'), stack.product.pids('worker')]);
  async function backends(): Promise<number> {
    const source = await stack.direct('source');
    const { rows } = await source.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app'");
    await source.end();
    return rows[0]?.n ?? -1;
  }

  it('that send bytes which are no message are told so', { timeout: 30_000 }, async () => {
    const before = processes();
    const random = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 197 + 31) % 256));
    for (const garbage of [random, Buffer.from('GET / HTTP/1.1\r\nHost: gateway\r\n\r\n'), Buffer.concat([int32(0x7fffffff), int32(196608)]), Buffer.concat([int32(4)]), Buffer.concat([int32(8), int32(0)])]) {
      expect(await send(garbage), garbage.toString('latin1').slice(0, 20)).toMatch(/^E[\s\S]*FATAL[\s\S]*C(08P01|0A000)/);
    }
    // Behind a good login: a type that does not exist, a length below its own four bytes, one beyond every limit.
    for (const bad of [Buffer.from('~\0\0\0\x04'), Buffer.from('Q\0\0\0\x02'), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff])]) expect(await send(startup, bad)).toMatch(/FATAL[\s\S]*C(08P01|54000)/);
    expect(processes()).toBe(before);
  });

  it('that stop in the middle of a message, or never begin, are let go', { timeout: 30_000 }, async () => {
    const begunMs = performance.now();
    await Promise.all([send(), send(startup.subarray(0, 6)), send(startup.subarray(0, startup.length - 1))]);
    expect(performance.now() - begunMs).toBeGreaterThan(STARTUP_LIMIT_MS - 100);
    const half = net.connect(stack.gateway.port, '127.0.0.1');
    half.write(Buffer.concat([startup, Buffer.from('Q\0\0\0\x40SELECT')]));
    await expect.poll(backends).toBeGreaterThan(0);
    half.destroy();
    await expect.poll(backends, { timeout: 10_000 }).toBe(0);
  });

  it(`${CROWD} that come and go leave nothing behind`, { timeout: 80_000 }, async () => {
    const before = processes();
    let begun = 0;
    const visit = (kind: number): Promise<void> => new Promise((resolve) => {
      const socket = net.connect(stack.gateway.port, '127.0.0.1', () => {
        // Nothing, half a packet, a login that is not waited for; now and then one that is.
        if (kind === 1) socket.write(startup.subarray(0, 10));
        if (kind >= 2) socket.write(startup);
        if (kind === 3) socket.once('data', () => socket.destroy());
        else setImmediate(() => socket.destroy());
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
    const come = async (): Promise<void> => {
      while (begun < CROWD) {
        const number = (begun += 1);
        // A backend is forked for every login: one in 20 is enough of them.
        await visit(number % 20 === 0 ? 3 : number % 20 === 10 ? 2 : number % 2);
      }
    };
    await Promise.all(Array.from({ length: ABREAST }, come));
    expect(processes()).toBe(before);
    await expect.poll(backends, { timeout: 20_000 }).toBe(0);
    const client = await stack.connect('app');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    // The operator's and this one.
    await expect.poll(async () => gauge(await stack.metrics(), 'scratchbird_gateway_connections'), { timeout: 10_000 }).toBeLessThanOrEqual(2);
    await client.end();
  });
});

function gauge(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);
}

describe('statements', () => {
  it.each([
    ['MIG013', 'START MIGRATION FOR TABLE keyless FROM legacy'],
    ['MIG012', 'START MIGRATION FOR TABLE odd FROM legacy'],
    ['MIG004', 'START MIGRATION FOR TABLE secret FROM legacy'],
    ['MIG010', 'START MIGRATION FOR TABLE missing FROM legacy'],
    ['MIG010', 'START MIGRATION FOR TABLE nowhere.goods FROM legacy'],
    ['MIG072', 'START MIGRATION FOR TABLE goods FROM elsewhere'],
    ['MIG071', 'START MIGRATION FOR TABLE goods FROM legacy OPTIONS (batch_sise 10)'],
    ['MIG071', "START MIGRATION FOR TABLE goods FROM legacy OPTIONS (batch_size 'many')"],
    ['MIG071', "START MIGRATION FOR TABLE goods FROM legacy OPTIONS (dual_write_mode 'three_phase')"],
    ['MIG070', 'START MIGRATION TABLE goods FROM legacy'],
    ['MIG072', 'CUTOVER TABLE goods'],
    ['MIG072', 'PAUSE MIGRATION FOR TABLE goods'],
    ['MIG071', 'CUTOVER TABLE goods TIMEOUT 0'],
  ])('%s: %s', async (code, sql) => {
    const before = await everything();
    const error = await refusal(sql);
    expect(error.message).toMatch(new RegExp(`^${code}: `));
    expect(error.hint, 'a next step').toBeTruthy();
    expect(await everything()).toBe(before);
  });

  it('MIG075: of a user who is no operator', async () => {
    const before = await everything();
    expect((await refusal('START MIGRATION FOR TABLE goods FROM legacy', 'app')).message).toMatch(/^MIG075: /);
    expect(await everything()).toBe(before);
  });

  it('MIG005: of a migration whose user may not replicate', async () => {
    const source = await stack.direct('source');
    await source.query('ALTER ROLE mover NOREPLICATION');
    const before = await everything();
    expect((await refusal('START MIGRATION FOR TABLE goods FROM legacy')).message).toMatch(/^MIG005: /);
    expect(await everything()).toBe(before);
    await source.query('ALTER ROLE mover REPLICATION');
    await source.end();
  });

  it('about a server that the gateway does not have are the source\'s to refuse, in every worker', async () => {
    const ofGateway = "CREATE SERVER passing FOREIGN DATA WRAPPER postgres OPTIONS (host '127.0.0.1', dbname 'x')";
    await stack.command(ofGateway);
    await expect.poll(async () => (await refusal("CREATE USER MAPPING FOR app SERVER passing OPTIONS (user 'x')", 'app')).message).toMatch(/^MIG075/);
    await stack.command('DROP SERVER passing');
    await expect.poll(async () => (await refusal('DROP SERVER passing', 'app')).code).toBe('42704');
    expect(await stack.command('DROP SERVER IF EXISTS passing')).toEqual([]);
  });

  it('MIG003: while the password is wrong', async () => {
    const source = await stack.direct('source');
    await source.query("ALTER ROLE mover PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mover'");
    const before = await everything();
    await expect.poll(async () => (await refusal('START MIGRATION FOR TABLE goods FROM legacy')).message, { timeout: 10_000 }).toMatch(/^MIG003: /);
    const application = await stack.connect('app');
    expect((await application.query('SELECT count(*)::int AS n FROM goods')).rows, 'applications have their own').toEqual([{ n: 3000 }]);
    await application.end();
    expect(await everything()).toBe(before);
    await source.query("ALTER ROLE mover PASSWORD 'right'");
    await source.end();
  });
});

describe('a load', () => {
  const states = async (): Promise<string> => (await stack.status()).map((row) => row.State).join(' ');
  const errors = async (): Promise<string> => JSON.stringify(await stack.insist('SHOW MIGRATION ERRORS'));

  async function expectEqualSides(): Promise<void> {
    const digest = 'SELECT count(*)::int AS n, sum(n)::text AS total, md5(string_agg(g::text, $1 ORDER BY id)) AS digest FROM goods g';
    const [source, local] = [await stack.direct('source'), await stack.direct('local')];
    const [one, other] = [(await source.query(digest, [','])).rows, (await local.query(digest, [','])).rows];
    await Promise.all([source.end(), local.end()]);
    expect(other).toEqual(one);
  }

  it('whose source goes away goes on when it is back', { timeout: 80_000 }, async () => {
    stack.faults.arm(HOLD);
    await stack.command('START MIGRATION FOR TABLE goods FROM legacy OPTIONS (copy_grants TRUE, batch_size 500)');
    await stack.faults.reached(HOLD, 30_000);
    await stack.source.stop('immediate');
    stack.faults.release(HOLD);
    // Nobody can log in while the source is down: the gateway's log says it.
    await expect.poll(() => stack.product.logTail(200), { timeout: 20_000 }).toMatch(/public\.goods: MIG00[12]/);
    await stack.source.restart();
    expect(await errors()).toMatch(/MIG00[12]/);
    expect(await states()).not.toContain('ERROR');
    await stack.makeReady('public');
    await expectEqualSides();
    await stack.command('ABORT MIGRATION ALL');
  });

  it('with a full disk for its spool says so, goes on when there is room, and loses nothing (needs root)', { timeout: 80_000 }, async ({ skip }) => {
    if (mount === undefined) return skip('root only: a small disk has to be mounted');
    const ballast = path.join(mount, 'ballast');
    fs.writeFileSync(ballast, Buffer.alloc(14.5 * 1024 * 1024));
    stack.faults.arm(HOLD);
    await stack.command('START MIGRATION FOR TABLE goods FROM legacy OPTIONS (copy_grants TRUE, batch_size 500)');
    await stack.faults.reached(HOLD, 30_000);
    const application = await stack.connect('app');
    // 9 MB of changes; nobody waits for a spool.
    for (let round = 0; round < 12; round += 1) await application.query("UPDATE goods SET n = n + 1, pad = repeat(chr(97 + $1::int), 200)", [round]);
    const shown = async (): Promise<string> => `${await errors()} ${JSON.stringify(await stack.command('SHOW MIGRATION STATUS FOR TABLE goods'))}`;
    await expect.poll(shown, { timeout: 20_000 }).toMatch(/MIG086/);
    await application.query('UPDATE goods SET n = n + 1 WHERE id <= 10');
    stack.faults.release(HOLD);
    fs.rmSync(ballast);
    await stack.makeReady('public');
    const { rows } = await application.query<{ n: string }>('SELECT sum(n)::text AS n FROM goods');
    expect(rows).toEqual([{ n: String(12 * 3000 + 10) }]);
    await application.end();
    await expectEqualSides();
  });
});
