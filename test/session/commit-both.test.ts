/** Property: a block that has written on both sides is committed on both or on neither, whatever refuses it, and is told so. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { installDecisions, postgresDecider, resolveInDoubt } from '../../cdc/postgres/decisions.ts';
import type { TwoPhase } from '../../catalog/routing-snapshot.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { int16, int32, message } from '../../src/wire/message.ts';
import { fieldsOf, q, RawClient } from './raw-client.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;
let admins: { readonly source: pg.Client; readonly local: pg.Client };

const MARK = 'causeway_test_';

beforeAll(async () => {
  source = await startTestPostgres();
  local = await startTestPostgres();
  fixture = await startGateway(source.address, local.address, { limits: { visibilityWaitMs: 400 } });
  admins = { source: await source.client(), local: await local.client() };
  for (const admin of Object.values(admins)) {
    await installDecisions(admin);
    await admin.query("DO $$ BEGIN CREATE ROLE writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT CREATE ON SCHEMA public TO writer");
  }
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const [side, admin] of Object.entries(admins)) {
    await admin.query(`DROP TABLE IF EXISTS a, b, late; CREATE TABLE a (k int PRIMARY KEY, n int); CREATE TABLE b (k int PRIMARY KEY, n int); CREATE TABLE late (k int UNIQUE DEFERRABLE INITIALLY DEFERRED);
      GRANT ALL ON a, b, late TO writer; INSERT INTO a VALUES (1, 0); INSERT INTO b VALUES (1, 0); TRUNCATE causeway.decision; COMMENT ON TABLE a IS '${side}'`);
  }
  fixture.control.autoVisible = true;
  publish();
  client = new pg.Client({ ...source.address, user: 'writer', port: fixture.gateway.port });
  await client.connect();
});

afterEach(() => client.end());

/** `a` has moved, `b` and `late` have not. */
function publish(sides: TwoPhase['sides'] = ['source', 'local']): void {
  fixture.control.publish({ a: onLocal }, sides.length === 0 ? {} : { twoPhase: { sides, mark: MARK } });
}

async function values(): Promise<{ a: number; b: number; prepared: number; decisions: number }> {
  const one = async (admin: pg.Client, sql: string): Promise<number> => Number((await admin.query<{ n: string }>(sql)).rows[0]?.n);
  const prepared = 'SELECT count(*) AS n FROM pg_prepared_xacts';
  return {
    a: await one(admins.local, 'SELECT n FROM a'), b: await one(admins.source, 'SELECT n FROM b'), prepared: (await one(admins.source, prepared)) + (await one(admins.local, prepared)),
    decisions: (await one(admins.source, 'SELECT count(*) AS n FROM causeway.decision')) + (await one(admins.local, 'SELECT count(*) AS n FROM causeway.decision')),
  };
}

async function transfer(...between: readonly string[]): Promise<string> {
  const sent = ['BEGIN', 'UPDATE a SET n = n - 1', 'UPDATE b SET n = n + 1', ...between];
  try {
    for (const sql of sent) await client.query(sql);
    return (await client.query('COMMIT')).command;
  } catch (error) {
    await client.query('ROLLBACK');
    return (error as pg.DatabaseError).message;
  }
}

it.each([[['source', 'local'], 'local'], [['source'], 'local'], [['local'], 'source']] as const)('commits on both, %s can be prepared', async (sides, decider) => {
  publish(sides);
  expect(await transfer()).toBe('COMMIT');
  expect(await values()).toEqual({ a: -1, b: 1, prepared: 0, decisions: 1 });
  expect((await admins[decider].query('SELECT outcome FROM causeway.decision')).rows).toEqual([{ outcome: 'commit' }]);
  expect((await client.query('SELECT n FROM a')).rows).toEqual([{ n: -1 }]);
});

it('rolls back on both, by the client and by an error on either side', async () => {
  await client.query('BEGIN; UPDATE a SET n = n - 1');
  await client.query('UPDATE b SET n = n + 1');
  await client.query('ROLLBACK');
  expect(await transfer('INSERT INTO a VALUES (1)')).toMatch(/duplicate key/);
  expect(await transfer('INSERT INTO b VALUES (1)')).toMatch(/duplicate key/);
  expect(await values()).toEqual({ a: 0, b: 0, prepared: 0, decisions: 0 });
});

it('what only COMMIT finds out, on either side, undoes both', async () => {
  // Met by PREPARE on the source, by the decision's COMMIT on local.
  expect(await transfer('INSERT INTO late VALUES (1), (1)')).toMatch(/duplicate key.*late/);
  fixture.control.publish({ a: onLocal, late: onLocal }, { twoPhase: { sides: ['source', 'local'], mark: MARK } });
  expect(await transfer('INSERT INTO late VALUES (1), (1)')).toMatch(/duplicate key.*late/);
  expect(await values()).toEqual({ a: 0, b: 0, prepared: 0, decisions: 0 });
  expect(await transfer()).toBe('COMMIT');
});

it('savepoints reach both sides', async () => {
  await client.query('BEGIN');
  await client.query('UPDATE a SET n = n - 1');
  await client.query('SAVEPOINT here');
  await client.query('UPDATE b SET n = 100');
  await client.query('ROLLBACK TO here');
  await client.query('UPDATE b SET n = n + 1');
  await client.query('COMMIT AND CHAIN');
  await client.query('UPDATE b SET n = n + 1');
  await client.query('COMMIT');
  expect(await values()).toEqual({ a: -1, b: 2, prepared: 0, decisions: 1 });
});

it('a temporary table chooses the other side; where that cannot be, the transaction fails whole and says why', async () => {
  await client.query('CREATE TEMP TABLE mine (k int)');
  expect(await transfer('INSERT INTO mine VALUES (1)')).toBe('COMMIT');
  expect((await admins.source.query('SELECT outcome FROM causeway.decision')).rows).toEqual([{ outcome: 'commit' }]);
  publish(['source']);
  expect(await transfer('INSERT INTO mine VALUES (1)')).toMatch(/^MIG081: .*source cannot prepare it/);
  expect(await values()).toEqual({ a: -1, b: 1, prepared: 0, decisions: 1 });
});

it('is refused at the second side where neither can be prepared, and in a pipeline outside a block', async () => {
  publish([]);
  expect(await transfer()).toMatch(/^MIG081: Transaction would write on both sides/);
  publish();
  await client.query('BEGIN; UPDATE a SET n = n - 1');
  await client.query('UPDATE b SET n = n + 1');
  publish([]);
  await expect(client.query('COMMIT')).rejects.toMatchObject({ message: expect.stringMatching(/^MIG081: .*neither can be prepared any more/) as string });
  expect(await values()).toEqual({ a: 0, b: 0, prepared: 0, decisions: 0 });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

it('reads follow the writes: after the first on the source everything that it still has is read there', async () => {
  fixture.control.publish({ a: onLocal, b: dualWrite }, { twoPhase: { sides: ['source'], mark: MARK } });
  await client.query('BEGIN; UPDATE a SET n = 7');
  expect((await client.query('SELECT n FROM b')).rows).toEqual([{ n: 0 }]);
  await client.query('UPDATE b SET n = 8');
  expect((await client.query('SELECT n FROM b')).rows).toEqual([{ n: 8 }]);
  expect((await client.query('SELECT n FROM a')).rows).toEqual([{ n: 7 }]);
  expect((await client.query('COMMIT')).command).toBe('COMMIT');
  expect(await values()).toMatchObject({ a: 7, b: 8, prepared: 0 });
});

it('a block that a text with other statements began keeps its isolation, what it wrote, and what its commit waits for', async () => {
  fixture.control.publish({ a: dualWrite, b: onLocal }, {});
  await admins.local.query('UPDATE a SET n = 5; UPDATE b SET n = 6');
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
  expect((await client.query('SELECT n FROM a')).rows).toEqual([{ n: 0 }]);
  await client.query('COMMIT');
  expect((await client.query('SELECT n FROM a')).rows).toEqual([{ n: 5 }]);
  await client.query('BEGIN; UPDATE a SET n = 1');
  await expect(client.query('UPDATE b SET n = 1')).rejects.toMatchObject({ message: expect.stringMatching(/^MIG081/) as string });
  await client.query('ROLLBACK');
  await client.query('BEGIN; UPDATE a SET n = 2');
  fixture.control.autoVisible = false;
  const before = fixture.control.waits.length;
  const committed = client.query('COMMIT');
  await expect.poll(() => fixture.control.waits.length).toBeGreaterThan(before);
  fixture.control.makeVisible();
  expect((await committed).command).toBe('COMMIT');
});

it.each(['as its first statement', 'after another table'])('a block that a table moved under keeps to where it was written: %s', async (when) => {
  const twoPhase: TwoPhase = { sides: ['source'], mark: MARK };
  fixture.control.publish({ a: onSource, b: onSource }, { twoPhase });
  await client.query('BEGIN');
  if (when === 'after another table') await client.query('SELECT n FROM b');
  fixture.control.publish({ a: { ...onSource, quiescing: true, barrier: 1 }, b: onSource }, { twoPhase });
  const parked = client.query('UPDATE a SET n = n + 1');
  await expect.poll(() => fixture.gateway.parkedUnits(['public.a']).length).toBe(1);
  fixture.control.publish({ a: onLocal, b: onSource }, { twoPhase });
  expect((await parked).rowCount).toBe(1);
  await client.query('UPDATE a SET n = n + 1');
  // A later barrier over it waits for this block, which gets through.
  fixture.control.publish({ a: { ...onLocal, quiescing: true, barrier: 2 }, b: onSource }, { twoPhase });
  expect((await client.query('SELECT n FROM a')).rows).toEqual([{ n: 2 }]);
  await client.query('UPDATE a SET n = n + 1');
  expect((await client.query('COMMIT')).command).toBe('COMMIT');
  expect(await values()).toEqual({ a: 3, b: 0, prepared: 0, decisions: 0 });
});

it('a client may prepare a transaction of its own: one that did nothing, and one on the source; not one on local or both', async () => {
  await client.query('BEGIN');
  expect((await client.query("PREPARE TRANSACTION 'nothing'")).command).toBe('PREPARE');
  await client.query("ROLLBACK PREPARED 'nothing'");
  await client.query('BEGIN');
  await client.query('UPDATE b SET n = 5');
  await client.query("PREPARE TRANSACTION 'one side'");
  expect((await values()).prepared).toBe(1);
  await client.query("COMMIT PREPARED 'one side'");
  await client.query('BEGIN');
  await client.query('UPDATE b SET n = 6');
  await client.query('UPDATE a SET n = 6');
  await expect(client.query("PREPARE TRANSACTION 'both'")).rejects.toMatchObject({ message: expect.stringMatching(/^MIG081/) as string });
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await client.query('UPDATE a SET n = 7');
  await expect(client.query("PREPARE TRANSACTION 'local'")).rejects.toMatchObject({ message: expect.stringMatching(/^MIG081/) as string });
  await client.query('ROLLBACK');
  expect(await values()).toMatchObject({ a: 0, b: 5, prepared: 0 });
});

it('what is prepared is finished on the side that has it, which a client need not know', async () => {
  for (const [index, end] of ['COMMIT', 'ROLLBACK'].entries()) {
    await admins.local.query(`BEGIN; UPDATE a SET n = n + 10; PREPARE TRANSACTION 'there ${index}'`);
    await admins.source.query(`BEGIN; UPDATE b SET n = n + 10; PREPARE TRANSACTION 'here ${index}'`);
    const other = new pg.Client({ ...source.address, port: fixture.gateway.port });
    await other.connect();
    expect((await other.query(`${end} PREPARED 'there ${index}'`)).command).toBe(end);
    expect((await other.query({ text: `${end} PREPARED 'here ${index}'`, values: [], queryMode: 'extended' } as pg.QueryConfig)).command).toBe(end);
    await other.end();
  }
  await expect(client.query("COMMIT PREPARED 'nowhere'")).rejects.toMatchObject({ code: '42704' });
  await client.query('BEGIN');
  await expect(client.query("COMMIT PREPARED 'nowhere'")).rejects.toMatchObject({ code: '25001' });
  await client.query('ROLLBACK');
  expect(await values()).toEqual({ a: 10, b: 10, prepared: 0, decisions: 0 });
});

it('function calls run in the block that is open, and count as writes of the source', async () => {
  const raw = await RawClient.connect(fixture.gateway.port, { user: 'writer', database: 'postgres' });
  // lo_creat(int), lo_open(oid, int), lowrite(int, bytea) by their numbers, as libpq calls them.
  const call = async (oid: number, ...args: readonly Buffer[]): Promise<Buffer> => {
    const answer = await raw.ask([message('F', int32(oid), int16(1), int16(1), int16(args.length), ...args.flatMap((arg) => [int32(arg.length), arg]), int16(1))]);
    const value = answer.find(({ type }) => type === 'V');
    if (!value) throw new Error(`no FunctionCallResponse: ${fieldsOf(answer.find(({ type }) => type === 'E'))['M'] ?? ''}`);
    return value.body.subarray(4);
  };
  const lo = async (): Promise<Buffer> => {
    const oid = await call(957, int32(0x60000));
    const descriptor = await call(952, oid, int32(0x60000));
    await call(955, descriptor, Buffer.from('some data'));
    return oid;
  };
  const contents = async (oid: Buffer): Promise<unknown> => (await admins.source.query(`SELECT convert_from(lo_get(oid), 'UTF8') AS data FROM pg_largeobject_metadata WHERE oid = ${oid.readUInt32BE(0)}`)).rows;
  await raw.ask([q('BEGIN')]);
  await raw.ask([q('UPDATE a SET n = 9')]);
  const kept = await lo();
  await raw.ask([q('COMMIT')]);
  expect(await contents(kept)).toEqual([{ data: 'some data' }]);
  // Local and the source were committed together.
  expect(await values()).toMatchObject({ a: 9, prepared: 0, decisions: 1 });
  await raw.ask([q('BEGIN')]);
  const undone = await lo();
  await raw.ask([q('ROLLBACK')]);
  expect(await contents(undone)).toEqual([]);
  await raw.end();
});

it('what a session leaves behind is finished by its decision, and rolled back without one, also when a decision comes too late', async () => {
  const prepare = async (gid: string, n: number): Promise<void> => {
    await admins.source.query(`BEGIN; UPDATE b SET n = n + ${n}; PREPARE TRANSACTION '${gid}'`);
  };
  await prepare(`${MARK}decided`, 1);
  await admins.local.query(`SELECT causeway.decide('${MARK}decided')`);
  const resolver = await local.client();
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  expect(await resolveInDoubt(admins.source, postgresDecider(resolver), MARK)).toEqual({ resolved: [{ gid: `${MARK}decided`, outcome: 'commit' }], unresolved: [] });
  await prepare(`${MARK}open`, 10);
  await admins.local.query(`BEGIN; SELECT causeway.decide('${MARK}open')`);
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  // It is being decided: left alone.
  expect(await resolveInDoubt(admins.source, postgresDecider(resolver), MARK)).toEqual({ resolved: [], unresolved: [] });
  await admins.local.query('ROLLBACK');
  expect(await resolveInDoubt(admins.source, postgresDecider(resolver), MARK)).toEqual({ resolved: [{ gid: `${MARK}open`, outcome: 'abort' }], unresolved: [] });
  await expect(admins.local.query(`SELECT causeway.decide('${MARK}open')`)).rejects.toMatchObject({ code: '23505' });
  // Decisions go when their time is over, but for one whose transaction is still prepared.
  await prepare(`${MARK}old`, 0);
  await admins.local.query(`SELECT causeway.decide('${MARK}old'); UPDATE causeway.decision SET decided_at = now() - interval '1 day'`);
  expect(await resolveInDoubt(admins.source, postgresDecider(resolver), MARK)).toEqual({ resolved: [], unresolved: [] });
  expect((await admins.local.query('SELECT gid, outcome FROM causeway.decision ORDER BY gid')).rows).toEqual([{ gid: `${MARK}old`, outcome: 'commit' }, { gid: `${MARK}open`, outcome: 'abort' }]);
  await admins.source.query(`ROLLBACK PREPARED '${MARK}old'`);
  await prepare('of somebody else', 100);
  expect(await resolveInDoubt(admins.source, postgresDecider(resolver), MARK)).toEqual({ resolved: [], unresolved: [] });
  await admins.source.query("ROLLBACK PREPARED 'of somebody else'");
  expect(await values()).toMatchObject({ b: 1, prepared: 0 });
});
