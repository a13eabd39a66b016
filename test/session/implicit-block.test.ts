/**
 * Property: a pipeline without BEGIN whose statements are on both sides is one transaction, which its Sync ends on both or on neither; and the client
 * gets what one server sends. Both legs lead to one server here, so that what a direct connection gets can be compared byte by byte.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { installDecisions } from '../../cdc/postgres/decisions.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, d, e, fieldsOf, h, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let server: TestPostgres;
let fixture: GatewayFixture;
let admin: pg.Client;
let client: RawClient;

beforeAll(async () => {
  server = await startTestPostgres();
  admin = await server.client();
  await installDecisions(admin);
  fixture = await startGateway(server.address, server.address);
});

afterAll(async () => {
  await admin?.end();
  await fixture?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** `here` is on local, `there` on the source, `followed` on both. */
function publish(hasTwoPhase = true): void {
  fixture.control.publish({ here: onLocal, late: onLocal, there: onSource, followed: dualWrite }, hasTwoPhase ? { twoPhase: { sides: ['source', 'local'], mark: 'causeway_test_' } } : {});
}

const setUp = `DROP TABLE IF EXISTS here, there, followed, late; CREATE TABLE here (k int PRIMARY KEY, v text); CREATE TABLE there (k int PRIMARY KEY, v text); CREATE TABLE followed (k int PRIMARY KEY, v text); CREATE TABLE late (k int UNIQUE DEFERRABLE INITIALLY DEFERRED);
  INSERT INTO here VALUES (1, 'here'); INSERT INTO there VALUES (1, 'there'), (2, 'two'); INSERT INTO followed VALUES (1, 'followed'); INSERT INTO late VALUES (1)`;

beforeEach(async () => {
  await admin.query(setUp);
  fixture.control.autoVisible = true;
  publish();
  client = await RawClient.connect(fixture.gateway.port);
});

afterEach(() => client.end());

const typesOf = (messages: readonly RawMessage[]): string => messages.map(({ type }) => type).join('');
const run = (sql: string, values: readonly (string | null)[] = []): Buffer[] => [p('', sql), b('', '', values), d('P', ''), e('')];

/** Object numbers of the run's own tables, and places in the server's source, may differ. */
function comparable({ type, body }: RawMessage): string {
  if (type === 'T') return `T ${body.readUInt16BE(0)}`;
  if (type === 'E' || type === 'N') {
    const { C, M, D, H } = fieldsOf({ type, body });
    return `${type} ${C} ${M} ${D ?? ''} ${H ?? ''}`;
  }
  return `${type} ${body.toString('latin1')}`;
}

async function contents(): Promise<unknown> {
  const all: unknown[] = [];
  for (const table of ['here', 'there', 'followed', 'late']) all.push((await admin.query({ text: `SELECT * FROM ${table} ORDER BY 1`, rowMode: 'array' })).rows);
  return all;
}

const pipelines: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
  'reads of both sides': [[...run('SELECT v FROM there'), ...run('SELECT v FROM here'), ...run('SELECT v FROM there WHERE k = 2'), s]],
  'a write and a read': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run('SELECT * FROM here'), s], [...run('SELECT count(*) FROM there'), s]],
  'writes on both sides': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run("UPDATE here SET v = 'changed' RETURNING v"), ...run('DELETE FROM there WHERE k = 2'), s], [...run('SELECT v FROM here'), ...run('SELECT k FROM there'), s]],
  'writes on three': [[...run("UPDATE followed SET v = 'a'"), ...run("UPDATE here SET v = 'b'"), ...run("UPDATE there SET v = 'c'"), s]],
  'an error in the second part': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run('SELECT 1 / (k - 1) FROM here'), ...run('SELECT 1'), s], [...run('SELECT count(*) FROM there'), s]],
  'an error in the first part': [[...run('SELECT 1 / (k - 1) FROM there'), ...run("INSERT INTO here VALUES (9, 'x')"), s], [...run('SELECT count(*) FROM here'), s]],
  'an error in the third part': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run("INSERT INTO here VALUES (3, 'x')"), ...run("INSERT INTO there VALUES (3, 'x')"), s], [...run('SELECT count(*) FROM here'), s]],
  'a commit that fails': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run('INSERT INTO late VALUES (1)'), s], [...run('SELECT count(*) FROM there'), s]],
  'BEGIN in the middle': [[...run("INSERT INTO there VALUES (3, 'x')"), ...run("INSERT INTO here VALUES (3, 'x')"), ...run('BEGIN'), s], [...run('SELECT count(*) FROM here'), s], [...run('ROLLBACK'), s], [...run('SELECT count(*) FROM here'), ...run('SELECT count(*) FROM there'), s]],
  'a portal that is read on': [[p('many', 'SELECT k FROM there ORDER BY k'), b('open', 'many'), e('open', 1), ...run('SELECT v FROM here'), e('open', 1), s]],
  'two units at once': [[...run('SELECT v FROM there'), ...run('SELECT v FROM here'), s, ...run('SELECT v FROM here'), ...run('SELECT v FROM there'), s]],
  'a named statement on either side': [[p('a', 'SELECT v FROM there WHERE k = $1'), p('b', 'SELECT v FROM here WHERE k = $1'), s], [b('', 'a', ['1']), e(''), b('', 'b', ['1']), e(''), b('', 'a', ['2']), e(''), s]],
  'parameters of the session': [[...run("SET application_name = 'x'"), ...run('SELECT v FROM there'), ...run('SELECT v FROM here'), ...run('SHOW application_name'), s], [...run('RESET application_name'), s]],
};

for (const [name, steps] of Object.entries(pipelines)) {
  it(name, async () => {
    const record = async (port: number): Promise<{ readonly seen: string[][]; readonly after: unknown }> => {
      await admin.query(setUp);
      const own = await RawClient.connect(port);
      const seen: string[][] = [];
      for (const step of steps) seen.push((await own.ask([...step], step.filter((bytes) => bytes === s).length)).filter(({ type }) => type !== 'S').map(comparable));
      own.end();
      return { seen, after: await contents() };
    };
    const expected = await record(server.address.port);
    expect(await record(fixture.gateway.port)).toEqual(expected);
    expect((await admin.query('SELECT FROM pg_prepared_xacts')).rowCount).toBe(0);
  });
}

it('without two-phase commit a second side is read, not written', async () => {
  publish(false);
  expect(typesOf(await client.ask([...run("INSERT INTO there VALUES (3, 'x')"), ...run('SELECT v FROM here'), s]))).toBe('12nC12TDCZ');
  const refused = await client.ask([...run("INSERT INTO there VALUES (4, 'x')"), ...run("INSERT INTO here VALUES (4, 'x')"), s]);
  expect(fieldsOf(refused.find(({ type }) => type === 'E'))['M']).toMatch(/^MIG081/);
  expect((await admin.query('SELECT k FROM there WHERE k > 2')).rows).toEqual([{ k: 3 }]);
});

it('behind a statement that has run: a join over both sides, a migration statement', async () => {
  const answer = await client.ask([...run("INSERT INTO there VALUES (3, 'x')"), ...run('SELECT here.v FROM here JOIN there USING (k)'), ...run('SHOW MIGRATION STATUS'), ...run('SELECT v FROM there WHERE k = 3'), s]);
  expect(typesOf(answer)).toBe('12nC12TDC12TDDC12TDCZ');
  expect((await admin.query('SELECT count(*)::int AS n FROM there')).rows).toEqual([{ n: 3 }]);
});

it('the end of a dual write waits for local, at the Sync', async () => {
  fixture.control.autoVisible = false;
  const asked = client.ask([...run("UPDATE followed SET v = 'a'"), ...run('SELECT v FROM here'), s]);
  await expect.poll(() => fixture.control.waits.length).toBe(1);
  expect(client.types()).toBe('12nC12TDC');
  fixture.control.makeVisible();
  expect(typesOf(await asked)).toBe('12nC12TDCZ');
});

it('answers that have come before the other side is needed are the client\'s, and no others are', async () => {
  client.messages.length = 0;
  client.socket.write(Buffer.concat([...run('SELECT v FROM there WHERE k = 1'), h]));
  await client.until(() => client.types() === '12TDC');
  expect(typesOf(await client.ask([...run('SELECT v FROM here'), ...run('SELECT v FROM there WHERE k = 2'), s]))).toBe('12TDC12TDCZ');
  client.messages.length = 0;
  client.socket.write(Buffer.concat([p('named', 'SELECT v FROM there WHERE k = 1'), b('', 'named'), e(''), h]));
  await client.until(() => client.types() === '12DC');
  expect(typesOf(await client.ask([...run('SELECT v FROM here'), s]))).toBe('12TDCZ');
  client.messages.length = 0;
  client.socket.write(Buffer.concat([p('', "UPDATE followed SET v = 'b'"), h]));
  await client.until(() => client.types() === '1');
  expect(typesOf(await client.ask([b('', ''), e(''), s]))).toBe('2CZ');
});

it('a Query without a Sync before it, a client that leaves, and nothing of ours stays', async () => {
  const answer = await client.ask([...run("INSERT INTO there VALUES (3, 'x')"), ...run("INSERT INTO here VALUES (3, 'x')"), q('SELECT count(*) FROM here')]);
  expect(typesOf(answer)).toBe('12nC12nCTDCZ');
  expect(answer.at(-1)?.body.toString()).toBe('I');
  const leaving = await RawClient.connect(fixture.gateway.port);
  leaving.socket.write(Buffer.concat([...run("INSERT INTO there VALUES (7, 'x')"), ...run("INSERT INTO here VALUES (7, 'x')"), h]));
  await leaving.until(() => leaving.types().endsWith('12nC12nC'));
  leaving.end();
  await expect.poll(async () => (await admin.query("SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'")).rowCount, { timeout: 5_000 }).toBe(0);
  expect((await admin.query('SELECT k FROM there WHERE k > 2')).rows).toEqual([{ k: 3 }]);
  expect(typesOf(await client.ask([q('SELECT name FROM pg_prepared_statements'), q('SELECT 1')], 2))).toBe('TCZTDCZ');
});
