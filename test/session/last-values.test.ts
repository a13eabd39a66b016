/** Property: currval and lastval give what the session drew last, on whichever side that was (RULES 27). */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, onSource, poolMode, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, e, fieldsOf, firstValue, p, q, RawClient, s } from './raw-client.ts';

/** A session that shares its connections is told so (MIG089): `pool-modes.test.ts`. */
const itOwning = it.skipIf(poolMode !== undefined);

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let admins: { readonly source: pg.Client; readonly local: pg.Client };
let client: RawClient;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
  admins = { source: await source.client(), local: await local.client() };
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

/** `plain` is not migrated. As a change of sides does, the sequence of the new side is set past the other's. */
beforeEach(async () => {
  for (const admin of Object.values(admins)) await admin.query('DROP TABLE IF EXISTS t, plain; CREATE TABLE t (id serial, down int); CREATE SEQUENCE t_down_seq INCREMENT -1 OWNED BY t.down; ALTER TABLE t ALTER down SET DEFAULT nextval(\'t_down_seq\'); CREATE TABLE plain (n bigint)');
  move(onSource);
  client = await RawClient.connect(fixture.gateway.port);
});

afterEach(() => client.end());

function move(to: Partial<TableRoute>): void {
  fixture.control.publish({ t: to }, { sequences: { 'public.t_id_seq': 'public.t', 'public.t_down_seq': 'public.t' } });
}

async function moveTo(side: 'source' | 'local', to: number): Promise<void> {
  await admins[side].query(`SELECT setval('t_id_seq', ${to}), setval('t_down_seq', ${-to})`);
  move(side === 'local' ? onLocal : onSource);
}

const ask = async (sql: string): Promise<string | undefined> => {
  const answer = await client.ask(q(sql));
  return firstValue(answer) ?? fieldsOf(answer.find(({ type }) => type === 'E'))['C'];
};
const askExtended = async (sql: string): Promise<string | undefined> => {
  const answer = await client.ask([p('', sql), b('', ''), e(''), s]);
  return firstValue(answer) ?? fieldsOf(answer.find(({ type }) => type === 'E'))['C'];
};

async function expectDrawn(value: number): Promise<void> {
  for (const by of [ask, askExtended]) {
    expect(await by("SELECT currval('t_id_seq')")).toBe(String(value));
    expect(await by("SELECT currval('t_down_seq')")).toBe(String(-value));
    expect(await by("SELECT currval(pg_get_serial_sequence('t', 'id'))")).toBe(String(value));
    expect(await by("SELECT abs(lastval())")).toBe(String(value));
  }
}

itOwning('over changes of sides there and back', async () => {
  await ask('INSERT INTO t DEFAULT VALUES');
  await expectDrawn(1);
  await moveTo('local', 100);
  await expectDrawn(1);
  await ask('INSERT INTO t DEFAULT VALUES');
  await expectDrawn(101);
  await moveTo('source', 200);
  await expectDrawn(101);
  await ask('INSERT INTO t DEFAULT VALUES');
  await expectDrawn(201);
  await moveTo('local', 300);
  // Local's own, of long ago, is not the last one.
  await expectDrawn(201);
  expect(await ask("SELECT nextval('t_id_seq')")).toBe('301');
  expect(await ask('SELECT lastval()')).toBe('301');
  expect(await ask("SELECT nextval('t_id_seq') + currval('t_id_seq')")).toBe('604');
});

itOwning('in blocks, which go on', async () => {
  await ask('INSERT INTO t DEFAULT VALUES');
  await moveTo('local', 100);
  await ask('BEGIN');
  await expectDrawn(1);
  await ask('INSERT INTO plain VALUES (5)');
  await expectDrawn(1);
  expect(await ask('SELECT count(*) FROM t')).toBe('0');
  await expectDrawn(1);
  await ask('COMMIT');
  expect((await admins.source.query('SELECT FROM plain')).rowCount).toBe(1);
});

itOwning('one that has drawn nothing gets the server\'s error, also after others have', async () => {
  expect(await ask("SELECT currval('t_id_seq')")).toBe('55000');
  await moveTo('local', 100);
  expect(await ask("SELECT currval('t_id_seq')")).toBe('55000');
  await ask('SELECT count(*) FROM t');
  expect(await ask("SELECT currval('t_id_seq')")).toBe('55000');
  expect(await askExtended("SELECT currval('missing')")).toBe('42P01');
});

itOwning('a statement with tables gets the value of its own side, or is refused: never an old one', async () => {
  await ask('INSERT INTO t DEFAULT VALUES');
  await moveTo('local', 100);
  const refused = fieldsOf((await client.ask(q("INSERT INTO t (id) VALUES (currval('t_id_seq') + 1)"))).find(({ type }) => type === 'E'));
  expect(refused['M']).toMatch(/^MIG080: The last value/);
  await ask('INSERT INTO t DEFAULT VALUES');
  expect(await ask("INSERT INTO t (id) VALUES (currval('t_id_seq') + 1) RETURNING id")).toBe('102');
});
