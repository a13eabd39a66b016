/** Property: a client that sends without waiting for answers, as the protocol allows, gets what it would have got by waiting: its messages reach the side that their tables are on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, c, copyData, copyDone, d, e, h, p, q, s } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  for (const server of [source, local]) await (await server.client()).query('CREATE TABLE moved(a int); CREATE TABLE plain(a int); CREATE TABLE dual(a int)');
  await (await local.client()).query('ALTER TABLE moved RENAME TO moved_here');
  fixture = await startGateway(source.address, local.address);
  fixture.control.publish({ moved: { ...onLocal, local: { schema: 'public', name: 'moved_here' } }, dual: dualWrite });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await Promise.all([source, local].map((server) => server?.[Symbol.asyncDispose]()));
});

/** Of the side that the table's rows are to be on. */
async function rows(table: 'moved' | 'plain' | 'dual'): Promise<number> {
  const [server, name] = table === 'moved' ? [local, 'moved_here'] : [source, table];
  const { rows: [row] } = await (await server.client()).query<{ n: number }>(`SELECT count(*)::int AS n FROM ${name}`);
  return row?.n ?? -1;
}

describe('COPY data behind its statement, before the server has asked for it', () => {
  const data = [copyData('1\n'), copyData('2\n'), copyDone];

  for (const table of ['moved', 'plain', 'dual'] as const) {
    it(`simple protocol, ${table}`, async () => {
      const client = await RawClient.connect(fixture.gateway.port);
      const before = await rows(table);
      // After a statement of the other side: the one before last must not decide.
      for (const other of ['SELECT 1 FROM plain', 'SELECT 1 FROM moved']) {
        await client.ask(q(other));
        await client.ask([q(`COPY ${table} FROM STDIN`), ...data]);
        expect(client.types()).toBe('GCZ');
      }
      expect(await rows(table)).toBe(before + 4);
      client.end();
    });

    it(`extended protocol, ${table}`, async () => {
      const client = await RawClient.connect(fixture.gateway.port);
      const before = await rows(table);
      for (const other of ['SELECT 1 FROM plain', 'SELECT 1 FROM moved']) {
        await client.ask(q(other));
        await client.ask([p('', `COPY ${table} FROM STDIN`), b('', ''), e(''), ...data, s]);
        expect(client.types()).toBe('12GCZ');
      }
      expect(await rows(table)).toBe(before + 4);
      client.end();
    });
  }
});

/** As asyncpg prepares: the next message may be a Query, about other tables. */
describe('a Query after Parse and Flush, without a Sync', () => {
  for (const [first, second] of [['plain', 'moved'], ['moved', 'plain'], ['moved', 'dual'], ['dual', 'plain']] as const) {
    it(`${first}, then ${second}`, async () => {
      const client = await RawClient.connect(fixture.gateway.port);
      const before = await rows(second);
      client.messages.length = 0;
      client.socket.write(Buffer.concat([p('x', `SELECT a FROM ${first}`), d('S', 'x'), h]));
      await client.until(() => client.types() === '1tT');
      await client.ask(q(`INSERT INTO ${second} VALUES (1)`));
      expect(client.types()).toBe('CZ');
      expect(await rows(second)).toBe(before + 1);
      client.end();
    });

    it(`${first}, then an extended statement of ${second}`, async () => {
      const client = await RawClient.connect(fixture.gateway.port);
      const before = await rows(second);
      client.messages.length = 0;
      client.socket.write(Buffer.concat([p('x', `SELECT a FROM ${first}`), d('S', 'x'), h]));
      await client.until(() => client.types() === '1tT');
      await client.ask([p('y', `INSERT INTO ${second} VALUES (1)`), b('', 'y'), e(''), s]);
      expect(client.types()).toBe('12CZ');
      expect(await rows(second)).toBe(before + 1);
      client.end();
    });
  }
});

/** As asyncpg's executemany and pgjdbc's texts of several statements are sent: one Sync at the end, no block. */
describe('a pipeline on local, with a statement of no table in it', () => {
  const statement = (sql: string): Buffer[] => [p('', sql), b('', ''), e('')];

  it('a SELECT of nothing', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    await client.ask([...statement('INSERT INTO moved VALUES (1)'), ...statement('SELECT 1'), s]);
    expect(client.types()).toBe('12C12DCZ');
    client.end();
  });

  // Not yet so, for the same reason: asyncpg takes back what it has sent with a ROLLBACK in the pipeline, and expects a warning.
  it('a ROLLBACK', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    const before = await rows('moved');
    await client.ask([...statement('INSERT INTO moved VALUES (1)'), ...statement('ROLLBACK'), s]);
    expect(client.types()).toBe('12C12NCZ');
    expect(await rows('moved')).toBe(before);
    client.end();
  });
});

/** As pgx does when a plan has become invalid in a block. */
describe('a prepared statement on local whose name was parsed again in a failed block', () => {
  it('can be closed and parsed again', async () => {
    const client = await RawClient.connect(fixture.gateway.port);
    const parse = [p('kept', 'SELECT a FROM moved'), s];
    await client.ask(q('BEGIN'));
    await client.ask(parse);
    await client.ask(q('SELECT 1 / a FROM (SELECT 0 AS a FROM moved UNION ALL SELECT 0) z'));
    await client.ask(parse);
    expect(client.types()).toBe('EZ');
    await client.ask(q('ROLLBACK'));
    await client.ask([c('S', 'kept'), s]);
    await client.ask(parse);
    expect(client.types()).toBe('1Z');
    client.end();
  });
});
