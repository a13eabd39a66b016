/**
 * Property: a session that shares its connections is on local what it is on the source, for the rest of its block and no longer; and what another session has
 * left behind on a connection shows nowhere.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import type { AskSide } from '../../src/session/object-numbers.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import { freePort, startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { b, c, d, e, fieldsOf, firstValue, p, q, RawClient, s } from './raw-client.ts';
import type { RawMessage } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
const opened: { end(): unknown }[] = [];

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  for (const server of [source, local]) {
    await (await server.client()).query(`CREATE ROLE reader; CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO reader;
      CREATE TABLE moved (k int, v text); INSERT INTO moved VALUES (1, 'one'), (2, 'two'); GRANT SELECT ON moved TO reader; CREATE TABLE closed (k int);
      CREATE TABLE there (k int, v text); CREATE TABLE done (id int); CREATE INDEX done_i ON done (id)`);
  }
  // Numbers of types are not the same on both sides.
  await (await local.client()).query('CREATE TYPE other AS ENUM ()');
  for (const server of [source, local]) await (await server.client()).query("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE felt (k int, l mood[]); INSERT INTO felt VALUES (1, '{ok}')");
  await (await local.client()).query('ALTER TABLE moved RENAME TO later; CREATE TABLE moved AS SELECT * FROM later; GRANT SELECT ON moved TO reader');
  await (await source.client()).query("CREATE ROLE stranger; GRANT ALL ON moved, closed TO stranger; TRUNCATE moved; INSERT INTO there VALUES (1, 'there')");
});

afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const client of opened.splice(0)) await client.end();
  await fixture?.[Symbol.asyncDispose]();
});

const askSide: AskSide = async (side, sql) => (await (await (side === 'source' ? source : local).client()).query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;

async function raw(): Promise<RawClient> {
  const client = await RawClient.connect(fixture.gateway.port);
  opened.push(client);
  return client;
}

const ask = async (client: RawClient, sql: string): Promise<string | undefined> => {
  const answer = await client.ask(q(sql));
  return firstValue(answer) ?? fieldsOf(answer.find(({ type }) => type === 'E'))['C'];
};
/** How many of the sessions are tied to their connections. */
const tied = (): number => fixture.gateway.survey().clients.filter(({ tiedBy }) => tiedBy !== undefined).length;
const columns = (messages: readonly RawMessage[]): number | undefined => messages.find(({ type }) => type === 'T')?.body.readUInt16BE(0);

describe.each(['transaction', 'pipeline'] as const)('in pool mode %s', (mode) => {
  beforeEach(async () => {
    // One connection to each side: everything meets what came before on it.
    fixture = await startGateway(source.address, local.address, { pools: { ...sessionPooling, modeOf: () => mode, size: 1, waitMs: 2_000 }, askSide });
    fixture.control.publish({ moved: onLocal, closed: onLocal });
  });

  it.each([
    ['a role', 'SET LOCAL ROLE reader', 'SELECT current_user FROM moved', 'reader', 'postgres'],
    ['a setting', "SET LOCAL work_mem = '1234kB'", "SELECT current_setting('work_mem') FROM moved", '1234kB', '4MB'],
    ['one of the application', "SET LOCAL app.tenant = 'seven'", "SELECT current_setting('app.tenant', true) FROM moved", 'seven', ''],
    ['by a function', "SELECT set_config('app.tenant', 'eight', true)", "SELECT current_setting('app.tenant', true) FROM moved", 'eight', ''],
  ])('%s of a block holds on local until it ends, and ties nobody', async (_, set, get, inBlock, after) => {
    const [one, two] = [await raw(), await raw()];
    const before = await ask(one, get);
    for (const [begin, end] of [['BEGIN', 'COMMIT'], ['BEGIN', 'ROLLBACK']] as const) {
      await ask(one, begin);
      await ask(one, set);
      expect(await ask(one, get)).toBe(inBlock);
      await ask(one, end);
      for (const client of [two, one]) expect(await ask(client, get)).toBe(before ?? after);
    }
    await ask(one, `BEGIN; ${set}`);
    expect(await ask(one, get)).toBe(inBlock);
    await ask(one, 'SAVEPOINT s');
    await ask(one, 'ROLLBACK TO s');
    expect(await ask(one, get)).toBe(inBlock);
    await ask(one, 'COMMIT');
    expect(await ask(two, get)).toBe(before ?? after);
    expect(tied()).toBe(0);
  });

  it('what a block puts back is put back on local', async () => {
    const [one, two] = [await raw(), await raw()];
    await ask(one, "SET work_mem = '1234kB'");
    expect(await ask(one, "SELECT current_setting('work_mem') FROM moved")).toBe('1234kB');
    await ask(one, 'BEGIN');
    await ask(one, 'SET LOCAL work_mem TO DEFAULT');
    expect(await ask(one, "SELECT current_setting('work_mem') FROM moved")).toBe('4MB');
    await ask(one, 'COMMIT');
    expect(await ask(one, "SELECT current_setting('work_mem') FROM moved")).toBe('1234kB');
    expect(await ask(two, "SELECT current_setting('work_mem') FROM moved")).toBe('4MB');
  });

  it('a role that local does not know is refused what is there, also in a text with its BEGIN, or in a pipeline', async () => {
    const one = await raw();
    await ask(one, 'BEGIN; SET LOCAL ROLE stranger');
    expect(await ask(one, 'SELECT count(*) FROM closed')).toBe('42501');
    await ask(one, 'ROLLBACK');
    const answer = await one.ask([p('', "SELECT set_config('role', 'stranger', true)"), b('', ''), e(''), p('', 'SELECT count(*) FROM closed'), b('', ''), e(''), s]);
    expect(fieldsOf(answer.find(({ type }) => type === 'E'))['C']).toBe('42501');
    expect(await ask(one, 'SELECT count(*) FROM closed')).toBe('0');
  });

  it('what a statement gives that depends on its session is told anew: FETCH of another cursor of the same name, EXECUTE', async () => {
    for (const [sql, expected] of [['SELECT k FROM there', 1], ['SELECT k, v, v FROM there', 3]] as const) {
      const client = await raw();
      await client.ask(q('BEGIN'));
      await client.ask(q(`DECLARE cursor CURSOR FOR ${sql}`));
      await client.ask([p('next', 'FETCH 1 FROM cursor'), s]);
      expect(columns(await client.ask([d('S', 'next'), s]))).toBe(expected);
      await client.ask(q('COMMIT'));
    }
    const client = await raw();
    await client.ask([p('early', 'EXECUTE it'), s]);
    await client.ask(q('PREPARE it AS SELECT 1, 2'));
    await client.ask([p('late', 'EXECUTE it'), s]);
    expect(columns(await client.ask([d('S', 'late'), s]))).toBe(2);
  });

  it('a Close of the protocol closes what SQL has prepared, and what SQL has executed', async () => {
    const client = await raw();
    await client.ask(q('PREPARE made AS SELECT 5'));
    await client.ask([c('S', 'made'), s]);
    expect(await ask(client, 'EXECUTE made')).toBe('26000');
    await client.ask([p('parsed', 'SELECT 6'), s]);
    expect(await ask(client, 'EXECUTE parsed')).toBe('6');
    await client.ask([c('S', 'parsed'), s]);
    expect(await ask(client, 'EXECUTE parsed')).toBe('26000');
    expect(await ask(client, 'PREPARE parsed AS SELECT 7')).toBeUndefined();
    expect(await ask(client, 'EXECUTE parsed')).toBe('7');
  });

  it('SQL executes a statement of the protocol on whichever side its table comes to be, and deallocates it', async () => {
    const client = await raw();
    fixture.control.publish({});
    await client.ask([p('parsed', 'SELECT count(*) FROM moved WHERE k > $1'), s]);
    expect(await ask(client, 'EXECUTE parsed(0)')).toBe('0');
    fixture.control.publish({ moved: onLocal });
    expect(await ask(client, 'EXECUTE parsed(0)')).toBe('2');
    expect(firstValue(await client.ask([b('', 'parsed', ['1']), e(''), s]))).toBe('1');
    await client.ask(q('DEALLOCATE parsed'));
    expect(await ask(client, 'EXECUTE parsed(0)')).toBe('26000');
    fixture.control.publish({});
    expect(await ask(client, 'EXECUTE parsed(0)')).toBe('26000');
  });

  it('numbers of relations that local tells of lead back to it', async () => {
    fixture.control.publish({ moved: onLocal, done: onLocal });
    const client = new pg.Client({ ...source.address, port: fixture.gateway.port });
    client.on('error', () => undefined);
    await client.connect();
    opened.push(client);
    const { rows: [found] } = await client.query<{ oid: number }>("SELECT oid FROM pg_class WHERE relname = 'done'");
    expect(found?.oid).toBeGreaterThan(2 ** 31);
    const attributes = 'SELECT attname FROM pg_attribute WHERE attnum > 0 AND attrelid =';
    expect((await client.query(`${attributes} ${found?.oid}`)).rows).toEqual([{ attname: 'id' }]);
    expect((await client.query(`${attributes} '${found?.oid}'`)).rows).toEqual([{ attname: 'id' }]);
    expect((await client.query(`${attributes} $1`, [found?.oid])).rows).toEqual([{ attname: 'id' }]);
    expect((await client.query({ name: 'columns', text: `${attributes} $1`, values: [found?.oid] })).rows).toEqual([{ attname: 'id' }]);
  });

  it('who waits for a server that is away is told so, and goes on', async () => {
    await using away = await startGateway(source.address, { ...local.address, port: await freePort() }, { pools: { ...sessionPooling, modeOf: () => mode, waitMs: 300 } });
    away.control.publish({ moved: onLocal });
    const client = new pg.Client({ ...source.address, port: away.gateway.port });
    client.on('error', () => undefined);
    await client.connect();
    await expect(client.query('SELECT k FROM moved')).rejects.toMatchObject({ code: '08001', detail: expect.stringContaining('ECONNREFUSED') });
    await expect(client.query('DROP INDEX done_i')).rejects.toMatchObject({ code: '08001' });
    await expect(client.query("COMMIT PREPARED 'none'")).rejects.toMatchObject({ code: '42704' });
    expect((await client.query('SELECT v FROM there')).rows).toEqual([{ v: 'there' }]);
    await client.end();
  });
});

describe('reads of many on local', () => {
  beforeEach(async () => {
    fixture = await startGateway(source.address, local.address, { pools: { ...sessionPooling, modeOf: () => 'pipeline', size: 4 }, askSide });
    fixture.control.publish({ moved: onLocal, felt: onLocal });
  });

  const lanes = (): number => fixture.gateway.survey().pools.find(({ side }) => side === 'local')?.lanes ?? 0;
  /** Everything in binary. */
  const bound = (statement: string, value: Buffer): Buffer => Buffer.concat([message('B', cstring(''), cstring(statement), int16(1), int16(1), int16(1), int32(value.length), value, int16(1), int16(1)), e(''), s]);
  const valueIn = (messages: readonly RawMessage[]): string | undefined => messages.find(({ type }) => type === 'D')?.body.subarray(6).toString('hex');

  it('values and results in binary are shared once local has said that they look the same on both sides', async () => {
    const [one, two] = [await raw(), await raw()];
    for (const client of [one, two]) {
      await client.ask([p('k', 'SELECT k FROM moved WHERE k > $1'), d('S', 'k'), s]);
      expect(lanes()).toBe(client === one ? 0 : 1);
      for (let round = 0; round < 3; round += 1) expect(valueIn(await client.ask(bound('k', int32(1))))).toBe('00000002');
      expect(lanes()).toBeGreaterThan(0);
    }
  });

  it('an array of an own type is not shared, and has the source\'s numbers', async () => {
    const client = await raw();
    const { rows: [type] } = await (await source.client()).query<{ oid: number }>("SELECT 'mood'::regtype::oid AS oid");
    await client.ask([p('l', 'SELECT l FROM felt WHERE k = $1'), d('S', 'l'), s]);
    for (let round = 0; round < 3; round += 1) expect(Number.parseInt(valueIn(await client.ask(bound('l', int32(1))))?.slice(16, 24) ?? '', 16)).toBe(type?.oid);
    expect(lanes()).toBe(0);
  });

  it('another table\'s other name keeps nobody from sharing', async () => {
    fixture.control.publish({ moved: onLocal, felt: { ...onLocal, local: { schema: 'public', name: 'later' } } });
    const client = await raw();
    expect(await ask(client, 'SELECT count(*) FROM felt')).toBe('2');
    expect(lanes()).toBe(0);
    expect(await ask(client, 'SELECT count(*) FROM moved')).toBe('2');
    expect(lanes()).toBe(1);
  });
});
