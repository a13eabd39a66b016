/**
 * Property: arrays and composites of own types in binary, from local, are to the byte what the source gives; as parameters they are understood by local.
 * However they are asked for: described before, behind or never, in parts, in rows larger than a packet, on a statement that came over from the source.
 */
import * as fc from 'fast-check';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ObjectNumbers } from '../../src/session/object-numbers.ts';
import type { AskSide } from '../../src/session/object-numbers.ts';
import { renumberValue } from '../../src/session/value-numbers.ts';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, d, e, fieldsOf, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: RawClient;
let direct: RawClient;
const admins: Partial<Record<'source' | 'local', pg.Client>> = {};

const schema = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (one int, two mood, three mood[]); CREATE DOMAIN moods AS mood[]; CREATE DOMAIN pairs AS pair;
  CREATE TYPE nest AS (p pair, ps pair[], d moods, e pairs, t text); CREATE TYPE span AS RANGE (subtype = float8);`;
const rows = `SELECT i, (ARRAY['sad', 'ok'])[1 + i % 2]::mood AS m, ARRAY['ok', NULL, 'sad']::mood[] AS ms, i AS p, ROW(i, 'ok', '{sad}')::pair AS c, ARRAY[ROW(i, 'sad', NULL)::pair, NULL] AS cs,
  ROW(ROW(1, 'sad', '{ok,ok}')::pair, ARRAY[ROW(2, NULL, '{}')::pair], '{sad}'::mood[], ROW(3, 'ok', '{}')::pair, repeat('x', i * 3000))::nest AS n, ARRAY[1, 2] AS ints, '[1,2)'::span AS r, '{}'::mood[] AS none FROM generate_series(1, 40) i`;
const table = `CREATE TABLE people (id int, m mood, ms mood[], p positive, c pair, cs pair[], n nest, ints int[], r span, none mood[]); INSERT INTO people ${rows}`;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  admins.source = await source.client();
  admins.local = await local.client();
  await admins.source.query(`${schema} ${table}`);
  await admins.local.query(`CREATE TYPE other AS ENUM ('a'); CREATE TABLE others (id int); ${schema} ${table}`);
  fixture = await startGateway(source.address, local.address, { askSide: async (side, sql) => ((await admins[side]?.query<(string | null)[]>({ text: sql, rowMode: 'array' }))?.rows) ?? [] });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  fixture.control.publish({ people: onLocal });
  client = await RawClient.connect(fixture.gateway.port);
  direct = await RawClient.connect(source.address.port);
});

afterEach(() => {
  client.end();
  direct.end();
});

/** `formats` of the results; parameters all in binary. */
function bound(name: string, values: readonly Buffer[] = [], formats: readonly number[] = [1], portal = ''): Buffer {
  return message('B', cstring(portal), cstring(name), int16(1), int16(1), int16(values.length), ...values.flatMap((value) => [int32(value.length), value]), int16(formats.length), ...formats.map(int16));
}

const parseTyped = (name: string, sql: string, ...types: number[]): Buffer => message('P', cstring(name), cstring(sql), int16(types.length), ...types.map(int32));
const whole = (messages: readonly RawMessage[]): string[] => messages.map(({ type, body }) => `${type} ${body.toString('hex')}`);

async function expectAlike(bytes: readonly Buffer[], readies = 1): Promise<RawMessage[]> {
  const [seen, expected] = [await client.ask(bytes, readies), await direct.ask(bytes, readies)];
  expect(seen.map(({ type }) => type).join('')).toBe(expected.map(({ type }) => type).join(''));
  expect(whole(seen)).toEqual(whole(expected));
  return seen;
}

async function expectOnLocal(): Promise<void> {
  const port = (await client.ask(q(`SELECT current_setting('port') FROM people LIMIT 1`))).find(({ type }) => type === 'D')?.body.subarray(6).toString();
  expect(port).toBe(String(local.address.port));
}

const all = 'SELECT * FROM people ORDER BY id';
const oid = async (name: string): Promise<number> => Number((await admins.source?.query<{ oid: string }>(`SELECT '${name}'::regtype::oid::text AS oid`))?.rows[0]?.oid);
/** As the source writes it. */
const binary = async (sql: string): Promise<Buffer> => {
  const row = (await direct.ask([p('', `SELECT ${sql}`), bound(''), e(''), s])).find(({ type }) => type === 'D');
  return Buffer.from(row?.body.subarray(6) ?? []);
};

it('results: described before, behind, never, and twice', async () => {
  await expectOnLocal();
  await expectAlike([p('', all), bound(''), d('P', ''), e(''), s]);
  await expectAlike([p('', all), bound(''), e(''), s]);
  await expectAlike([p('', all), bound(''), d('P', ''), d('P', ''), e(''), s]);
  await expectAlike([p('one', all), d('S', 'one'), s]);
  await expectAlike([bound('one'), e(''), s]);
  await expectAlike([p('two', all), s, bound('two'), e(''), s, bound('two'), e(''), s], 3);
});

it('results: only some columns in binary, and none', async () => {
  await expectAlike([p('one', all), bound('one', [], [0, 1, 0, 1, 1, 0, 1, 0, 1, 1]), e(''), bound('one', [], [0]), e(''), bound('one', [], []), e(''), bound('one', [], [1]), e(''), s]);
});

it('results: records without a type, and arrays of them', async () => {
  await expectAlike([p('', 'SELECT ROW(m, ms, c), ARRAY[ROW(1, m), ROW(2, m)], ROW(ROW(n)) FROM people'), bound(''), e(''), s]);
  await expectAlike([p('', `SELECT people FROM people`), bound(''), e(''), s]);
});

it('results: in parts, and several portals at once', async () => {
  await expectAlike([p('', 'BEGIN'), bound(''), e(''), p('one', all), bound('one', [], [1], 'a'), bound('one', [], [1], 'b'), e('a', 3), e('b', 2), s]);
  await expectAlike([e('a', 2), s]);
  await expectAlike([p('', 'SELECT 1'), bound(''), d('P', ''), e(''), e('b', 2), e('a'), e('b'), s]);
  await expectAlike([p('', 'COMMIT'), bound(''), e(''), s]);
});

it('results: of a cursor by its portal, and behind an error', async () => {
  await expectAlike([q('BEGIN'), q(`DECLARE cur CURSOR FOR ${all}`)], 2);
  await expectAlike([d('P', 'cur'), e('cur', 1), p('', all), bound(''), e(''), s]);
  await expectAlike([q('ROLLBACK')]);
  const failing = [p('', `SELECT 1 / (id - 40) FROM people ORDER BY id`), bound(''), e(''), p('', all), bound(''), e(''), s];
  const [seen, expected] = [await client.ask(failing), await direct.ask(failing)];
  expect(seen.map(({ type }) => type).join('')).toBe(expected.map(({ type }) => type).join(''));
  await expectAlike([p('', all), bound(''), e(''), s]);
});

it('results: of a statement that was described on the source', async () => {
  fixture.control.publish({ people: onSource });
  await expectAlike([p('one', all), d('S', 'one'), bound('one'), e(''), s]);
  fixture.control.publish({ people: onLocal });
  await expectAlike([bound('one'), e(''), s]);
  await expectOnLocal();
});

const insert = 'INSERT INTO people (id, ms, c, cs, n, ints) VALUES (1000, $1, $2, $3, $4, $5) RETURNING ms, c, cs, n, ints';

async function values(): Promise<Buffer[]> {
  const made: Buffer[] = [];
  for (const sql of ["'{ok,sad}'::mood[]", "ROW(7, 'ok', '{sad,ok}')::pair", "ARRAY[ROW(8, NULL, '{ok}')::pair]", '(SELECT n FROM people WHERE id = 2)', 'ARRAY[1,2]']) made.push(await binary(sql));
  return made;
}

it('parameters whose types the Parse names', async () => {
  const types = [await oid('mood[]'), await oid('pair'), await oid('pair[]'), await oid('nest'), 1007];
  const given = await values();
  await expectAlike([q('BEGIN')]);
  await expectAlike([parseTyped('', insert, ...types), bound('', given), e(''), s]);
  await expectAlike([q('ROLLBACK')]);
});

it('parameters whose types the client was told, on local or long ago on the source', async () => {
  const given = await values();
  await expectAlike([p('told', insert), d('S', 'told'), s]);
  await expectAlike([q('BEGIN'), ...[bound('told', given), e(''), s], q('ROLLBACK')], 3);
  fixture.control.publish({ people: onSource });
  await expectAlike([p('before', insert), d('S', 'before'), s]);
  fixture.control.publish({ people: onLocal });
  await expectAlike([q('BEGIN'), ...[bound('before', given), e(''), s], q('ROLLBACK')], 3);
});

it('parameters whose types nobody has told, in the middle of a pipeline', async () => {
  const given = await values();
  await expectAlike([q('BEGIN'), p('x', 'SELECT id FROM people WHERE id < $1'), bound('x', [int32(3)]), e(''), p('', insert), bound('', given), e(''), p('y', 'SELECT id FROM people WHERE m = ANY ($1) ORDER BY 1'), bound('y', [given[0] ?? Buffer.alloc(0)]), e(''), s, q('ROLLBACK')], 3);
});

it('a Bind that waits for types behind an error is answered all the same', async () => {
  const given = await values();
  const bytes = [p('', 'SELECT 1 / (id - 40) FROM people'), bound(''), e(''), p('', insert), bound('', given), e(''), s, q('SELECT 1')];
  const seen = await client.ask(bytes, 2);
  expect(fieldsOf(seen.find(({ type }) => type === 'E'))).toMatchObject({ C: '22012' });
  expect(seen.map(({ type }) => type).join('')).toMatch(/^12D*EZTDCZ$/);
});

it('what is no array is for local to refuse', async () => {
  const bad = Buffer.concat([int32(1), int32(0), int32(await oid('mood')), int32(3)]);
  const bytes = [parseTyped('', 'SELECT id FROM people WHERE ms = $1', await oid('mood[]')), bound('', [bad]), e(''), s];
  const [seen, expected] = [await client.ask(bytes), await direct.ask(bytes)];
  expect(fieldsOf(seen.find(({ type }) => type === 'E'))['C']).toBe(fieldsOf(expected.find(({ type }) => type === 'E'))['C']);
});

it('any bytes at all are looked through without harm, and come back by the way back', async () => {
  const shapes = ['plain', 'array', 'record', 'plain', 'array', 'record'];
  const ask: AskSide = (_side, sql) => Promise.resolve(sql.includes('WITH RECURSIVE') ? shapes.map((shape, index) => [String(16_384 + index), 'public', `t${index}`, 'false', shape]) : shapes.map((_, index) => [String(index), String(20_000 + index)]));
  const numbers = new ObjectNumbers(ask);
  for (let index = 0; index < shapes.length; index += 1) numbers.shapeOf('local', 16_384 + index);
  await new Promise<void>((resolve) => numbers.learn(resolve));
  const piece = fc.oneof(fc.integer({ min: -2, max: 40 }), fc.integer({ min: 16_384, max: 16_389 }), fc.constantFrom(2249, 2287, 23, 0x7fff_ffff)).map((number) => [...int32(number)]);
  const bytes = fc.array(fc.oneof({ weight: 9, arbitrary: piece }, { weight: 1, arbitrary: fc.array(fc.nat(255), { maxLength: 3 }) }), { maxLength: 40 }).map((parts) => Buffer.from(parts.flat()));
  let changed = 0;
  fc.assert(fc.property(bytes, fc.constantFrom('array', 'record', 'plain'), (given, shape) => {
    const inside = Buffer.concat([Buffer.alloc(8, 7), given, Buffer.alloc(8, 7)]);
    const [start, end] = [8, 8 + given.length];
    if (!renumberValue(numbers, 'local', shape, inside, start, end, false)) return;
    expect(inside.subarray(start, end).equals(given)).toBe(true);
    renumberValue(numbers, 'local', shape, inside, start, end, true);
    expect([...inside.subarray(0, 8), ...inside.subarray(end)]).toEqual(Array.from({ length: 16 }, () => 7));
    // What is no value was left where it stopped making sense: numbers behind that are still local's.
    if (!renumberValue(numbers, 'source', shape, inside, start, end, false)) return;
    if (!inside.subarray(start, end).equals(given)) changed += 1;
    renumberValue(numbers, 'source', shape, inside, start, end, true);
    expect(inside.subarray(start, end).equals(given)).toBe(true);
  }), { numRuns: 20_000 });
  expect(changed).toBeGreaterThan(500);
});

it.each(['COPY people TO STDOUT BINARY', 'COPY people (id, ms) TO STDOUT (FORMAT binary)', "COPY (SELECT id, c AS composite FROM people) TO STDOUT (FORMAT 'binary')", 'COPY (SELECT * FROM people WHERE id < 3) TO STDOUT BINARY', 'COPY people (none) TO STDOUT BINARY'])('%s is refused on local, with what to do', async (sql) => {
  for (const ask of [[q(sql)], [p('', sql), s, b('', ''), e(''), s]]) {
    const answer = await client.ask(ask, ask.length === 1 ? 1 : 2);
    const { C, M, H } = fieldsOf(answer.find(({ type }) => type === 'E'));
    expect({ C, M, H }).toEqual({ C: '0A000', M: expect.stringMatching(/^MIG080: COPY in binary/), H: expect.stringContaining('text or csv') });
    expect(answer.map(({ type }) => type)).not.toContain('d');
  }
  fixture.control.publish({});
  expect((await client.ask(q(sql))).map(({ type }) => type)).toContain('d');
});

it('COPY of all else gives what the source gives, in binary and as text', async () => {
  for (const sql of ['COPY people (id, m, p, ints, r) TO STDOUT (FORMAT binary)', 'COPY (SELECT id, m, ints FROM people ORDER BY id) TO STDOUT BINARY', 'COPY people TO STDOUT', 'COPY people (ms, c) TO STDOUT (FORMAT csv)']) {
    for (let round = 0; round < 2; round += 1) await expectAlike([q(sql)]);
    await expectAlike([p('', sql), b('', ''), e(''), s]);
  }
});
