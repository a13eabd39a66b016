/**
 * Property: a text with several statements whose tables are on both sides is answered as by one server, to the places that errors tell, and is one
 * transaction: on both sides or on neither. Both legs lead to one server here, so that what a direct connection gets can be compared.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installDecisions } from '../../cdc/postgres/decisions.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, e, fieldsOf, firstValue, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let server: TestPostgres;
let elsewhere: TestPostgres;
let fixture: GatewayFixture;
let apart: GatewayFixture;
let admin: pg.Client;
let other: pg.Client;
/** Of the same server as `other`: what a block sees of others' activity stays as it is. */
let watcher: pg.Client;

beforeAll(async () => {
  [server, elsewhere] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  admin = await server.client();
  [other, watcher] = [await elsewhere.client(), await elsewhere.client()];
  for (const client of [admin, other]) await installDecisions(client);
  fixture = await startGateway(server.address, server.address);
  apart = await startGateway(server.address, elsewhere.address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await apart?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await elsewhere?.[Symbol.asyncDispose]();
});

const setUp = `DROP TABLE IF EXISTS here, there, followed, late; CREATE TABLE here (k int PRIMARY KEY, v text); CREATE TABLE there (k int PRIMARY KEY, v text); CREATE TABLE followed (k int PRIMARY KEY, v text); CREATE TABLE late (k int UNIQUE DEFERRABLE INITIALLY DEFERRED);
  INSERT INTO here VALUES (1, 'here'); INSERT INTO there VALUES (1, 'there'), (2, 'two'); INSERT INTO followed VALUES (1, 'followed'); INSERT INTO late VALUES (1)`;

beforeEach(async () => {
  await admin.query(setUp);
  await other.query(setUp);
  for (const { control } of [fixture, apart]) {
    control.autoVisible = true;
    control.publish({ here: onLocal, late: onLocal, there: onSource, followed: dualWrite }, { twoPhase: { sides: ['source', 'local'], mark: 'causeway_test_' } });
  }
});

const clients: RawClient[] = [];
afterEach(() => clients.splice(0).forEach((client) => client.end()));

async function connect(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  clients.push(client);
  return client;
}

function comparable({ type, body }: RawMessage): string {
  if (type === 'T') return `T ${body.readUInt16BE(0)}`;
  if (type !== 'E' && type !== 'N') return `${type} ${body.toString('latin1')}`;
  const { C, M, D, H, P } = fieldsOf({ type, body });
  return `${type} ${C} ${M} ${D ?? ''} ${H ?? ''} at ${P ?? '-'}`;
}

async function contents(): Promise<unknown> {
  const all: unknown[] = [];
  for (const table of ['here', 'there', 'followed', 'late']) all.push((await admin.query({ text: `SELECT * FROM ${table} ORDER BY 1`, rowMode: 'array' })).rows);
  return all;
}

const join = 'SELECT here.v, there.v FROM here JOIN there USING (k)';
const both = "INSERT INTO here VALUES (3, 'x'); INSERT INTO there VALUES (3, 'x')";

const texts: Readonly<Record<string, readonly string[]>> = {
  'reads of both sides': ['SELECT v FROM here; SELECT v FROM there; SELECT v FROM followed', `${join}; SELECT 1`, `;; SELECT 1 ;; ${join} ; -- the end\n;`],
  'writes on both sides': [`${both}; UPDATE followed SET v = 'a'`, 'SELECT * FROM here; SELECT * FROM there', `DELETE FROM here WHERE k = 3 RETURNING *; ${join}; DELETE FROM there WHERE k = 3`],
  'errors in each place': [
    `SELECT nothing FROM here; ${both}`, `${both}; SELECT nothing FROM here; SELECT 1`, `${both}; SELECT nothing FROM there`, `SELECT 'äöü'; ${both}; SELECT 'ä', nothing FROM here JOIN there USING (k); SELECT 1`, `${both}; SELECT 1 / (k - 1) FROM here; SELECT v FROM there`,
    `${both}; INSERT INTO there VALUES (3, 'again')`, `${both}; SELECT * FROM missing`, `${both}; SELEC 1`, `${both}; SELECT`, `${join} WHERE here.k = 1 / 0; SELECT 1`,
  ],
  'a commit that fails': [`INSERT INTO there VALUES (3, 'x'); INSERT INTO late VALUES (1)`, 'SELECT count(*) FROM there; SELECT count(*) FROM here'],
  'BEGIN and COMMIT among them': [
    `BEGIN; ${both}; COMMIT`, `BEGIN; DELETE FROM here WHERE k = 3; DELETE FROM there WHERE k = 3; ROLLBACK; ${join}`, `BEGIN; DELETE FROM here WHERE k = 3; SELECT v FROM there`, 'SELECT count(*) FROM here; SELECT count(*) FROM there', 'ROLLBACK', `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM here; SHOW transaction_isolation; SELECT v FROM there; COMMIT; SHOW transaction_isolation`,
    `SELECT v FROM here; BEGIN; SELECT v FROM there; COMMIT; SELECT v FROM here`, 'DELETE FROM here; SELECT v FROM there; ROLLBACK; SELECT v FROM here', 'DELETE FROM followed; SELECT v FROM here; COMMIT; SELECT nothing FROM there', 'SELECT v FROM here; SELECT v FROM there; BEGIN READ ONLY; DELETE FROM there; COMMIT', 'ROLLBACK',
    'SELECT v FROM here; SELECT v FROM there; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1', 'ROLLBACK', 'START TRANSACTION; SELECT v FROM here; SELECT v FROM there; COMMIT AND CHAIN; SELECT v FROM here; SELECT v FROM there; END', 'BEGIN; BEGIN; SELECT v FROM here; SELECT v FROM there; COMMIT',
    'COMMIT; SELECT v FROM here; SELECT v FROM there', 'SELECT v FROM here; SELECT v FROM there; COMMIT AND CHAIN', 'BEGIN; SELECT v FROM here; SELECT nothing FROM there; ROLLBACK', 'SELECT 1', 'ROLLBACK',
  ],
  'savepoints': [
    `BEGIN; ${both.replaceAll('3', '5')}; SAVEPOINT a; DELETE FROM here; DELETE FROM there; ROLLBACK TO a; COMMIT`, 'SELECT v FROM here; SAVEPOINT a; SELECT v FROM there', 'SELECT v FROM here; SELECT v FROM there; ROLLBACK TO SAVEPOINT a', 'SELECT v FROM here; RELEASE a; SELECT v FROM there', 'BEGIN; SAVEPOINT a; SELECT nothing FROM here; SELECT v FROM there',
    'SELECT v FROM here; SELECT v FROM there; ROLLBACK TO a', 'ROLLBACK TO a; SELECT v FROM here; SELECT v FROM there; RELEASE a; RELEASE a', 'ROLLBACK',
  ],
  'in a block': ['BEGIN', `${both}; ${join}`, 'SELECT v FROM here; SELECT nothing FROM there', 'SELECT 1; ROLLBACK; SELECT v FROM here', 'ROLLBACK; SELECT v FROM here; SELECT v FROM there', 'BEGIN', both, 'COMMIT; SELECT v FROM here; SELECT v FROM there'],
  'settings': ["SET application_name = 'x'; SELECT v FROM here; SHOW application_name", 'SHOW application_name', "SET application_name = 'y'; SELECT nothing FROM here", 'SHOW application_name', "SET LOCAL application_name = 'z'; SELECT v FROM here; SELECT current_setting('application_name') FROM there LIMIT 1; SELECT current_setting('application_name') FROM here", 'SHOW application_name', 'SET TRANSACTION READ ONLY; SELECT v FROM here; DELETE FROM there'],
  'what is not for blocks': ['VACUUM here; SELECT v FROM there; SELECT v FROM here', 'SELECT v FROM here; SELECT v FROM there; VACUUM there', 'SELECT v FROM here; SELECT v FROM there; DISCARD ALL', "SELECT v FROM here; SELECT v FROM there; COMMIT PREPARED 'nothing'", "DO $$ BEGIN RAISE NOTICE 'here'; END $$; SELECT v FROM here"],
  'cursors, prepared statements, temporary tables': [
    'BEGIN; DECLARE c CURSOR FOR SELECT k FROM here; DECLARE d CURSOR FOR SELECT k FROM there ORDER BY 1', 'FETCH d; FETCH c; FETCH d; FETCH c', 'CLOSE c; SELECT v FROM there; FETCH c', 'ROLLBACK', 'PREPARE a AS SELECT v FROM here; PREPARE b AS SELECT v FROM there; EXECUTE b; EXECUTE a', 'EXECUTE a; EXECUTE b; SELECT 1', `PREPARE j(int) AS ${join} WHERE here.k = $1; EXECUTE j(1); EXECUTE j(2)`, 'SELECT 1; EXECUTE j(1); EXECUTE j(1 / 0)', 'DEALLOCATE a; EXECUTE b; EXECUTE a', 'EXECUTE b; DEALLOCATE ALL; EXECUTE b',
    'CREATE TEMP TABLE made AS SELECT v FROM here; SELECT v FROM made; SELECT v FROM there', 'SELECT v FROM made; SELECT v FROM here', 'LISTEN ch; INSERT INTO followed VALUES (9, \'once\'); UNLISTEN ch', 'DECLARE c CURSOR FOR SELECT v FROM here; SELECT v FROM there; FETCH ALL FROM c', 'COPY (SELECT v FROM here) TO STDOUT; COPY there TO STDOUT',
  ],
};

describe.each(Object.entries(texts))('%s', (_, steps) => {
  it('is as on one server', async () => {
    const record = async (port: number): Promise<{ readonly seen: Record<string, string[]>; readonly after: unknown }> => {
      await admin.query(setUp);
      const client = await connect(port);
      const seen: Record<string, string[]> = {};
      for (const [index, step] of steps.entries()) seen[`${index} ${step}`] = (await client.ask(q(step))).filter(({ type }) => type !== 'S' && type !== 'A').map(comparable);
      await client.ask(q('ROLLBACK'));
      return { seen, after: await contents() };
    };
    const expected = await record(server.address.port);
    const direct = await record(fixture.gateway.port);
    expect(direct).toEqual(expected);
    expect((await admin.query('SELECT FROM pg_prepared_xacts')).rowCount).toBe(0);
    expect((await admin.query("SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")).rowCount).toBe(0);
  });
});

it('each statement is answered by its side', async () => {
  await other.query("UPDATE here SET v = 'local'; UPDATE there SET v = 'stale'");
  await admin.query("UPDATE here SET v = 'stale'; UPDATE there SET v = 'source'");
  const client = await connect(apart.gateway.port);
  const values = async (sql: string): Promise<string[]> => (await client.ask(q(sql))).filter(({ type }) => type === 'D').map((row) => firstValue([row]) ?? '');
  expect(await values('SELECT v FROM here; SELECT v FROM there WHERE k = 1')).toEqual(['local', 'source']);
  // Cursors and prepared statements have a side of their own, whatever stands beside them.
  await client.ask(q('PREPARE a AS SELECT v FROM here'));
  expect(await values('SELECT 1; EXECUTE a')).toEqual(['1', 'local']);
  await client.ask(q('BEGIN; DECLARE c CURSOR FOR SELECT v FROM here'));
  expect(await values('SELECT 1; FETCH c')).toEqual(['1', 'local']);
  expect(await values('COMMIT; SELECT v FROM there WHERE k = 1; SELECT v FROM here')).toEqual(['source', 'local']);
  expect((await client.ask(q('SELECT 1'))).at(-1)?.body.toString()).toBe('I');
  // A block that a leg has failed, and one that the gateway has.
  for (const failing of ['SELECT nothing FROM here', 'SELECT nothing FROM there', 'SHOW MIGRATION STATUS FOR nothing FROM', 'SELECT here.k FROM here, there FOR UPDATE']) {
    await client.ask(q('BEGIN'));
    await client.ask(q(failing));
    await client.ask(q('SELECT nothing'));
    expect(await values('ROLLBACK; SELECT v FROM here; SELECT v FROM there WHERE k = 1'), failing).toEqual(['local', 'source']);
  }
});

it('what runs on all legs takes nothing else with it', async () => {
  const client = await connect(apart.gateway.port);
  await client.ask(q('SELECT v FROM here'));
  await client.ask(q("LISTEN ch; INSERT INTO there VALUES (7, 'once')"));
  expect((await other.query('SELECT FROM there WHERE k = 7')).rowCount).toBe(0);
  await client.ask(q("SET work_mem = '3MB'; SELECT v FROM here"));
  expect(firstValue(await client.ask(q('SHOW work_mem')))).toBe('3MB');
  expect(firstValue(await client.ask(q("SELECT current_setting('work_mem') FROM here")))).toBe('3MB');
});

it('one transaction: nobody sees half of it, the end waits for local, and a commit is on both or on neither', async () => {
  const client = await connect(apart.gateway.port);
  apart.control.autoVisible = false;
  const asked = client.ask(q(`${both}; UPDATE followed SET v = 'new'`));
  await expect.poll(() => apart.control.waits.length).toBe(1);
  expect(client.types()).toBe('CC');
  apart.control.makeVisible();
  expect((await asked).map(({ type }) => type).join('')).toBe('CCCZ');
  expect([(await admin.query('SELECT FROM there WHERE k = 3')).rowCount, (await other.query('SELECT FROM here WHERE k = 3')).rowCount]).toEqual([1, 1]);
  apart.control.autoVisible = true;
  await client.ask(q("INSERT INTO here VALUES (4, 'x'); INSERT INTO there VALUES (4, 'x'); INSERT INTO late VALUES (1)"));
  expect([(await admin.query('SELECT FROM there WHERE k = 4')).rowCount, (await other.query('SELECT FROM here WHERE k = 4')).rowCount]).toEqual([0, 0]);
});

it('behind a pipeline without its Sync, before other messages, and with a client that leaves', async () => {
  const client = await connect(apart.gateway.port);
  const answer = await client.ask([p('', "INSERT INTO there VALUES (5, 'x')"), b('', ''), e(''), q('SELECT v FROM here; SELECT v FROM there WHERE k = 5'), q('SELECT 1; SELECT v FROM here'), p('', 'SELECT 2'), b('', ''), e(''), s], 3);
  expect(answer.map(({ type }) => type).join('')).toBe('12CTDCTDCZTDCTDCZ12DCZ');
  const leaving = await connect(apart.gateway.port);
  leaving.socket.write(q("INSERT INTO here VALUES (8, 'x'); INSERT INTO there SELECT 8, pg_sleep(30)::text"));
  await leaving.until(() => leaving.types().endsWith('C'));
  leaving.end();
  await expect.poll(async () => (await admin.query("SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid() AND state <> 'idle'")).rowCount, { timeout: 10_000 }).toBe(0);
  await expect.poll(async () => (await other.query("SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'")).rowCount, { timeout: 10_000 }).toBe(0);
  expect((await other.query('SELECT FROM here WHERE k = 8')).rowCount).toBe(0);
});

it('a barrier in the middle of it: what waits goes on, or is told', async () => {
  const client = await connect(apart.gateway.port);
  const tables = { here: onLocal, late: onLocal, there: onSource, followed: dualWrite };
  /** The first statement is held up until the barrier is on. */
  const parked = async (text: string): Promise<RawMessage[]> => {
    await other.query('BEGIN; LOCK here');
    const asked = client.ask(q(text));
    await expect.poll(async () => (await watcher.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rowCount).toBe(1);
    apart.control.publish({ ...tables, there: { ...onSource, quiescing: true } });
    await other.query('COMMIT');
    await client.until(() => client.types().endsWith('C'));
    return asked;
  };
  const goesOn = parked('SELECT v FROM here; SELECT v FROM there WHERE k = 1');
  await client.until(() => client.types() === 'TDC');
  apart.control.publish(tables);
  expect((await goesOn).map(({ type }) => type).join('')).toBe('TDCTDCZ');
  await client.ask(q("SET statement_timeout = '2s'"));
  const timedOut = await parked('SELECT v FROM here; SELECT v FROM there; SELECT 1');
  expect(timedOut.map(({ type }) => type).join('')).toBe('TDCEZ');
  expect(fieldsOf(timedOut.find(({ type }) => type === 'E'))['C']).toBe('57014');
  expect(timedOut.at(-1)?.body.toString()).toBe('I');
  apart.control.publish(tables);
  expect((await client.ask(q('SELECT v FROM here; SELECT v FROM there WHERE k = 1'))).map(({ type }) => type).join('')).toBe('TDCTDCZ');
});

it('COPY FROM is refused beside statements of the other side', async () => {
  const client = await connect(apart.gateway.port);
  const refused = await client.ask(q('SELECT v FROM here; COPY there FROM STDIN'));
  expect(fieldsOf(refused.find(({ type }) => type === 'E'))['M']).toMatch(/^MIG080/);
  expect(firstValue(await client.ask(q('SELECT v FROM here')))).toBe('here');
});
