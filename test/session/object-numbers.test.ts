/** Property: what a client is told of columns and parameters has the numbers of the source, whichever side answers; what it says in them is understood. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import type { AskSide } from '../../src/session/object-numbers.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, d, e, fieldsOf, firstValue, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: RawClient;
let direct: RawClient;
let asked: string[];
let refuses = false;
const admins: Partial<Record<'source' | 'local', pg.Client>> = {};

const schema = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (one int, two mood); CREATE TYPE span AS RANGE (subtype = float8);`;
const table = (name: string): string => `CREATE TABLE ${name} (id int PRIMARY KEY, m mood, ms mood[], p positive, c pair, cs pair[], r span, t text); INSERT INTO ${name} VALUES (1, 'ok', '{sad,ok}', 5, '(1,sad)', '{"(2,ok)"}', '[1,2)', 'x')`;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  admins.source = await source.client();
  admins.local = await local.client();
  await admins.source.query(`${schema} ${table('people')}; ALTER TABLE people DROP COLUMN p; ALTER TABLE people ADD COLUMN p positive DEFAULT 5; CREATE TABLE plain AS SELECT 1 AS id`);
  await admins.local.query(`CREATE TYPE other AS ENUM ('a'); CREATE TABLE others (id int); CREATE SCHEMA app; ${schema} ${table('people')}; CREATE TABLE app.folk AS SELECT * FROM people; CREATE TYPE own AS ENUM ('here'); CREATE TABLE owned (o own)`);
  const ask: AskSide = async (side, sql) => {
    asked.push(side);
    if (refuses) throw new Error('not now');
    return ((await admins[side]?.query<(string | null)[]>({ text: sql, rowMode: 'array' }))?.rows) ?? [];
  };
  fixture = await startGateway(source.address, local.address, { askSide: ask });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const admin of Object.values(admins)) await admin?.end();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  asked = [];
  refuses = false;
  fixture.control.publish({ people: onLocal });
  client = await RawClient.connect(fixture.gateway.port);
  direct = await RawClient.connect(source.address.port);
});

afterEach(() => {
  client.end();
  direct.end();
});

const described = (messages: readonly RawMessage[]): string[] => messages.filter(({ type }) => type === 'T' || type === 't').map(({ type, body }) => `${type} ${body.toString('hex')}`);

async function expectDescribedAlike(bytes: readonly Buffer[], readies = 1): Promise<void> {
  const [seen, expected] = [await client.ask(bytes, readies), await direct.ask(bytes, readies)];
  expect(seen.map(({ type }) => type).join('')).toBe(expected.map(({ type }) => type).join(''));
  expect(described(seen)).toEqual(described(expected));
}

const columns = 'id, m, ms, p, c, cs, r, t';

it('columns and parameters, in both protocols', async () => {
  await expectDescribedAlike([q(`SELECT ${columns} FROM people`)]);
  await expectDescribedAlike([q('SELECT p, x.c AS other, (c).two, m::text, ARRAY[m] FROM people x')]);
  await expectDescribedAlike([p('', 'SELECT m FROM people WHERE m = $1 AND ms = $2 AND p = $3 AND c = $4 AND t = $5'), d('S', ''), s]);
  await expectDescribedAlike([p('', `INSERT INTO people (id, m, ms, c) SELECT $1, $2, $3, $4 WHERE false RETURNING ${columns}`), d('S', ''), b('', '', ['2', 'ok', '{ok}', '(1,ok)']), d('P', ''), e(''), s]);
  await expectDescribedAlike([q('SELECT m FROM people'), q('SELECT 1'), q('SELECT ms FROM people')], 3);
  expect(asked.length).toBeLessThanOrEqual(12);
  asked = [];
  await expectDescribedAlike([q(`SELECT ${columns} FROM people`)]);
  expect(asked).toEqual([]);
});

it('types that a Parse names', async () => {
  const oid = async (name: string): Promise<number> => Number((await admins.source?.query<{ oid: string }>(`SELECT '${name}'::regtype::oid::text AS oid`))?.rows[0]?.oid);
  const parse = (name: string, sql: string, ...types: number[]): Buffer => message('P', cstring(name), cstring(sql), int16(types.length), ...types.map(int32));
  const [mood, moods, pair] = [await oid('mood'), await oid('mood[]'), await oid('pair')];
  for (const name of ['', 'named']) {
    const asks = [parse(name, 'SELECT $1, $2, $3, $4, id FROM people WHERE m = $1', mood, moods, pair, 23), d('S', name), b('', name, ['ok', '{sad}', '(1,ok)', '4']), e(''), s];
    await expectDescribedAlike(asks);
  }
  // The same statement on the other leg, and back.
  for (const state of [onSource, onLocal]) {
    fixture.control.publish({ people: state });
    expect((await client.ask([b('', 'named', ['ok', '{sad}', '(1,ok)', '4']), e(''), s])).map(({ type }) => type).join('')).toBe('2DCZ');
  }
  expect((await client.ask([parse('', 'SELECT x.m FROM people x JOIN plain USING (id) WHERE x.m = $1', mood), b('', '', ['ok']), e(''), s])).map(({ type }) => type).join('')).toBe('12DCZ');
});

it('a table with another name on local is the source\'s own; what only local has keeps its number', async () => {
  fixture.control.publish({ people: { ...onLocal, local: { schema: 'app', name: 'folk' } } });
  await expectDescribedAlike([q(`SELECT ${columns} FROM people`)]);
  const own = Number((await admins.local?.query<{ oid: string }>("SELECT 'own'::regtype::oid::text AS oid"))?.rows[0]?.oid);
  fixture.control.publish({ people: onLocal, owned: onLocal });
  const answer = await client.ask(q('SELECT o FROM owned'));
  expect(answer[0]?.body.readUInt32BE(2 + 2 + 6)).toBe(own);
});

it.each(["SELECT id, 'people'::regclass::oid FROM people", "SELECT 'mood'::regtype::oid, CAST('mood[]'::regtype AS oid)::int8 FROM people WHERE id = 1", 'SELECT pg_typeof(m)::oid AS m, pg_typeof(cs)::oid, t FROM people', "SELECT id, 0 FROM people UNION ALL SELECT 5, 'people'::regclass::oid FROM people"])('what a query tells of names is the source\'s number: %s', async (sql) => {
  const rows = (messages: readonly RawMessage[]): string[] => messages.filter(({ type }) => type === 'D' || type === 'E').map(({ type, body }) => `${type} ${body.toString('latin1')}`);
  for (const asks of [[q(sql)], [p('', sql), b('', ''), e(''), s]]) expect(rows(await client.ask(asks))).toEqual(rows(await direct.ask(asks)));
  await client.ask(q('BEGIN ISOLATION LEVEL SERIALIZABLE'));
  expect(fieldsOf((await client.ask(q(sql))).find(({ type }) => type === 'E'))).toMatchObject({ C: '0A000', D: expect.stringContaining('numbers of relations and types') });
});

it('what is compared with a number there is local\'s own', async () => {
  expect(firstValue(await client.ask(q("SELECT count(*) FROM people WHERE tableoid = 'people'::regclass::oid AND current_setting('port') = '" + String(local.address.port) + "'")))).toBe('1');
});

it('numbers that cannot be asked for pass as they are, and are learned later; nobody waits for long', async () => {
  await admins.local?.query('CREATE TABLE IF NOT EXISTS fresh AS SELECT m FROM people');
  fixture.control.publish({ people: onLocal, fresh: onLocal });
  refuses = true;
  expect((await client.ask(q('SELECT m FROM fresh'))).map(({ type }) => type).join('')).toBe('TDCZ');
  refuses = false;
  expect((await client.ask(q('SELECT m FROM fresh'))).map(({ type }) => type).join('')).toBe('TDCZ');
});

it('many sessions learn at once', async () => {
  const several = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(fixture.gateway.port)));
  await admins.local?.query('CREATE TABLE IF NOT EXISTS shared AS SELECT ms, c FROM people');
  await admins.source?.query('CREATE TABLE IF NOT EXISTS shared AS SELECT ms, c FROM people');
  fixture.control.publish({ people: onLocal, shared: onLocal });
  const answers = await Promise.all(several.map((one) => one.ask([q('SELECT c, ms FROM shared'), q('SELECT 1')], 2)));
  const expected = described(await direct.ask([q('SELECT c, ms FROM shared'), q('SELECT 1')], 2));
  for (const answer of answers) expect(described(answer)).toEqual(expected);
  for (const one of several) one.end();
});
