/** Property: what is not to be compared is not, comparing has its bounds, and clients do not notice it: neither in their bytes nor in their time. */
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { dualWrite, onLocal } from './gateway-fixture.ts';
import { RawClient, b, d, e, h, p, q, s, transcript } from './raw-client.ts';
import { client, compared, done, fixture, local, on, onBoth, only, open, withComparedReads } from './compared-reads.ts';

withComparedReads();

describe('not compared', () => {
  it.each([
    ['SELECT now(), id FROM orders', 'its answer depends on the moment'],
    ['SELECT id FROM orders WHERE EXISTS (SELECT FROM plain)', 'it needs what is not compared: public.plain'],
    ["SELECT relname FROM pg_class, orders WHERE orders.id = 1 AND relname = 'orders'", 'it reads the system catalogs'],
    ['SELECT mine(id) FROM orders WHERE id = 1', 'it calls mine'],
    ["SELECT id FROM orders; SELECT n FROM items", 'there are several statements'],
  ])('%s', async (text, note) => {
    await onBoth('CREATE TABLE plain (id int); CREATE OR REPLACE FUNCTION mine(int) RETURNS int LANGUAGE sql AS $$ SELECT $1 $$');
    await client.query(text);
    expect(await only()).toMatchObject({ results: { skipped: 1 }, note: expect.stringContaining(note) });
  });

  it('writes, locks, blocks, other tables and failing statements are none of its business', async () => {
    await onBoth('CREATE TABLE plain (id int)');
    for (const text of ['BEGIN', 'SELECT * FROM orders', 'COMMIT', 'SELECT id FROM orders WHERE id = 1 FOR SHARE', 'SELECT * FROM plain', 'SELECT 1', 'UPDATE items SET n = 0 WHERE id = 1', 'PREPARE two AS SELECT id FROM orders', 'EXECUTE two', 'CREATE TEMP TABLE orders (id int)', 'SELECT * FROM orders']) await client.query(text);
    await expect(client.query('SELECT 1 / (id - id) FROM items')).rejects.toThrow('division by zero');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(fixture.gateway.shadowReads()).toEqual([]);
  });

  it('a sample of none', async () => {
    fixture.control.publish({ orders: { ...compared, compare: 1e-9 } });
    for (let n = 0; n < 20; n++) await client.query('SELECT 1 FROM orders WHERE id = 1');
    expect(fixture.gateway.shadowReads()).toEqual([]);
  });
});

describe('limits', () => {
  it('answers above the limit are too large, whichever side they come from', async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
    await open({ limits: { maxShadowBytes: 2_000 } });
    expect((await client.query("SELECT repeat('x', 100) FROM items")).rows).toHaveLength(200);
    expect(await done(1)).toEqual({ too_large: 1 });
    await on(local, 'INSERT INTO orders SELECT n FROM generate_series(1000, 9000) n');
    await client.query('SELECT id FROM orders WHERE id > 49');
    expect(await done(2)).toEqual({ too_large: 1, different: 1 });
  });

  it('more than the queue holds are dropped, and the clients do not wait', async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
    await open({ limits: { shadowQueue: 2, shadowConcurrency: 1 } });
    await client.query('SELECT id FROM orders WHERE id = 0');
    await done(1);
    fixture.control.autoVisible = false;
    for (let id = 1; id <= 6; id++) expect((await client.query(`SELECT id FROM orders WHERE id = ${id}`)).rows).toEqual([{ id }]);
    expect(await done(5)).toEqual({ equal: 1, dropped: 4 });
    fixture.control.autoVisible = true;
    fixture.control.makeVisible();
    expect(await done(7)).toEqual({ equal: 3, dropped: 4 });
  });

  it('statements that were not seen for longest are forgotten', async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
    await open({ limits: { shadowStatements: 3 } });
    for (const column of ['id', 'name', 'price', 'at', 'id', 'feeling']) {
      await client.query(`SELECT ${column} FROM orders WHERE id = 1`);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    await done(3);
    expect(fixture.gateway.shadowReads().map(({ statement }) => statement.split(' ')[1])).toEqual(['at', 'id', 'feeling']);
  });
});

describe('names and changes of routing', () => {
  it('a table that has another name on local', async () => {
    await on(local, 'DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app; ALTER TABLE orders RENAME TO "The Orders"; ALTER TABLE "The Orders" SET SCHEMA app');
    fixture.control.publish({ orders: { ...compared, local: { schema: 'app', name: 'The Orders' } }, items: compared });
    await client.query('SELECT orders.name FROM orders JOIN items ON items.order_id = orders.id WHERE orders.id < 9');
    await client.query('SELECT orders.name FROM public.orders WHERE orders.id = $1', [2]);
    expect(await done(2)).toEqual({ equal: 2 });
    await on(local, 'DROP SCHEMA app CASCADE');
  });

  it.each([['moved to local', { ...onLocal }], ['read on local', { ...dualWrite }], ['moved back', { state: 'SYNCHRONIZING', reads: 'source', writes: 'source' }]] as const)('is given up when the table is %s', async (_what, route) => {
    fixture.control.autoVisible = false;
    await client.query('SELECT name FROM orders WHERE id = 1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    fixture.control.publish({ orders: route, items: compared });
    fixture.control.autoVisible = true;
    fixture.control.makeVisible();
    expect(await only()).toMatchObject({ results: { skipped: 1 }, note: 'the routing of its tables changed meanwhile' });
  });
});

describe('the wire', () => {
  const messages = [
    // The gateway's own question for settings makes the server forget an unnamed statement.
    q("SET TimeZone = 'Asia/Tokyo'"), Buffer.concat([p('', 'SELECT at FROM orders WHERE id = $1'), s]), Buffer.concat([b('', '', ['1']), e(''), s]), Buffer.concat([b('', '', ['2']), d('P', ''), e(''), s]), Buffer.concat([d('S', ''), s]),
    q('SELECT * FROM orders ORDER BY id'), q('SELECT 1; SELECT id FROM items WHERE id = 1'), Buffer.concat([p('', 'SELECT name, price FROM orders WHERE id = $1'), d('S', ''), b('', '', ['7']), d('P', ''), e(''), s]),
    Buffer.concat([p('two', 'SELECT id FROM items ORDER BY id'), b('', 'two'), e('', 3), e('', 3), e(''), s]), Buffer.concat([b('', 'two'), e(''), b('', 'two'), e(''), s]), Buffer.concat([b('', 'two'), h, e(''), s]),
    Buffer.concat([q('SELECT id FROM orders WHERE id = 1'), q('SELECT id FROM orders WHERE id = 2'), q("SELECT repeat('x', 300000), id FROM orders WHERE id < 4"), q('SELECT nothing FROM orders')]), q(''), q('SELECT id FROM orders WHERE false'),
  ];

  it('is byte for byte what it is without a comparison', async () => {
    const answers: string[][][] = [];
    for (const route of [{ ...compared, compare: undefined as unknown as number }, compared]) {
      fixture.control.publish({ orders: route, items: route });
      const raw = await RawClient.connect(fixture.gateway.port);
      const all: string[][] = [];
      for (const bytes of messages) all.push(transcript(await raw.ask(bytes, [...bytes.toString('latin1').matchAll(/[QS]\0\0\0/g)].length > 3 ? 4 : 1)));
      answers.push(all);
      raw.end();
    }
    expect(answers[1]).toEqual(answers[0]);
    // Compared: three of the first six, two with settings of their own, the first of the four that come together, and the last.
    expect(await done(13)).toEqual({ equal: 7, skipped: 6 });
  });

  it('parameters and results in binary', async () => {
    const raw = await RawClient.connect(fixture.gateway.port);
    const int4 = Buffer.from([0, 0, 0, 5]);
    const bind = (formats: readonly number[]): Buffer => {
      const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 4]), int4, Buffer.from([0, formats.length, ...formats.flatMap((format) => [0, format])])]);
      const header = Buffer.from([66, 0, 0, 0, 0]);
      header.writeInt32BE(body.length + 4, 1);
      return Buffer.concat([header, body]);
    };
    await raw.ask([p('', 'SELECT id, name, price, at, tags FROM orders WHERE id = $1'), bind([1]), e(''), s]);
    await raw.ask([p('', 'SELECT id, feeling FROM orders WHERE id = $1'), bind([1, 0]), d('P', ''), e(''), s]);
    // A composite value has the numbers of its types in it, which are not the same on both sides.
    await on(local, 'CREATE TYPE another AS (a int); DROP TYPE another; ALTER TABLE orders ALTER feeling TYPE text; DROP TYPE mood; CREATE TYPE mood AS ENUM (\'sad\', \'ok\'); ALTER TABLE orders ALTER feeling TYPE mood USING feeling::mood');
    await raw.ask([p('', 'SELECT array_agg(feeling ORDER BY id) FROM orders WHERE id < $1'), bind([1]), e(''), s]);
    expect(await done(3)).toEqual({ equal: 3 });
    await on(local, "UPDATE orders SET name = 'x' WHERE id = 5");
    await raw.ask([p('', 'SELECT id, name, price, at, tags FROM orders WHERE id = $1'), bind([1]), e(''), s]);
    expect(await done(4)).toEqual({ equal: 3, different: 1 });
    raw.end();
  });

  it('many clients are as fast with a local that answers nothing', async () => {
    const run = async (): Promise<number> => {
      const fromMs = performance.now();
      for (let n = 0; n < 200; n++) await client.query('SELECT name FROM orders WHERE id = 1');
      return performance.now() - fromMs;
    };
    fixture.control.publish({ orders: { ...compared, compare: undefined as unknown as number } });
    await run();
    const without = await run();
    fixture.control.publish({ orders: compared });
    const locker = new pg.Client(local.address);
    await locker.connect();
    await locker.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
    const withIt = await run();
    await locker.query('ROLLBACK');
    await locker.end();
    expect(withIt).toBeLessThan(3 * without + 300);
  });
});
