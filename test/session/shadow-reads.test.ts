/** Property: with `compare` clients get the source's answers as ever, byte for byte and in no more time, and what local would have said is counted right. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Runtime } from '../../config/runtime.ts';
import type { ShadowReadCounts, ShadowResult } from '../../src/session/shadow/shadow-port.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { RawClient, b, d, e, h, p, q, s, transcript } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;

const counted: string[] = [];
const metrics: Runtime['metrics'] = { count: (name, labels) => void (name.includes('shadow') && counted.push(`${name} ${Object.values(labels).join()}`)), gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined };
const compared = { state: 'DUAL_WRITE', reads: 'source', writes: 'source', waitVisible: true, compare: 100 } as const;

beforeAll(async () => {
  source = await startTestPostgres();
  local = await startTestPostgres();
});

afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});

async function on<T extends pg.QueryResultRow>(server: TestPostgres, sql: string): Promise<T[]> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  try {
    return (await admin.query<T>(sql)).rows;
  } finally {
    await admin.end();
  }
}

async function onBoth(sql: string): Promise<void> {
  await Promise.all([on(source, sql), on(local, sql)]);
}

const tables = `DROP TABLE IF EXISTS orders, items, plain CASCADE; DROP TYPE IF EXISTS mood CASCADE; CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE orders (id int PRIMARY KEY, name text, price numeric(10,2), at timestamptz, feeling mood, tags text[]);
  INSERT INTO orders SELECT n, 'name ' || n, n * 1.10, '2026-01-01 00:00+00'::timestamptz + n * interval '1 hour', 'ok', ARRAY['a', 'b' || n] FROM generate_series(1, 50) n;
  CREATE TABLE items (id int PRIMARY KEY, order_id int, n int); INSERT INTO items SELECT n, 1 + n % 50, n FROM generate_series(1, 200) n;`;

async function open(options: Parameters<typeof startGateway>[2] = {}): Promise<void> {
  fixture = await startGateway(source.address, local.address, { ...options, limits: { visibilityWaitMs: 1_000, shadowTimeoutMs: 2_000, ...options.limits } }, metrics);
  fixture.control.publish({ orders: compared, items: compared });
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  await client.connect();
}

beforeEach(async () => {
  counted.length = 0;
  await onBoth(tables);
  await open();
});

afterEach(async () => {
  await client.end();
  await fixture[Symbol.asyncDispose]();
});

const totals = (reads = fixture.gateway.shadowReads()): Partial<Record<ShadowResult, number>> => {
  const sum: Partial<Record<ShadowResult, number>> = {};
  for (const { results } of reads) for (const [result, count] of Object.entries(results) as [ShadowResult, number][]) if (count > 0) sum[result] = (sum[result] ?? 0) + count;
  return sum;
};

/** Waits until so many reads have come to their end. */
async function done(count: number, timeoutMs = 12_000): Promise<Partial<Record<ShadowResult, number>>> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const now = totals();
    if (Object.values(now).reduce((sum, each) => sum + each, 0) >= count) return now;
    if (performance.now() > untilMs) throw new Error(`${count} expected, so far ${JSON.stringify(fixture.gateway.shadowReads())}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function only(): Promise<ShadowReadCounts> {
  await done(1);
  const [read, ...more] = fixture.gateway.shadowReads();
  if (!read || more.length > 0) throw new Error(JSON.stringify(fixture.gateway.shadowReads()));
  return read;
}

describe('equal', () => {
  it('reads of every protocol, format and type', async () => {
    await client.query('SELECT * FROM orders WHERE id < 10');
    await client.query('SELECT orders.name, sum(items.n) FROM orders JOIN items ON items.order_id = orders.id GROUP BY 1');
    await client.query('SELECT * FROM orders WHERE id = $1 AND name = $2', [3, 'name 3']);
    await client.query({ name: 'by id', text: 'SELECT feeling, tags, at FROM orders WHERE id = $1', values: [4] });
    await client.query({ name: 'by id', text: 'SELECT feeling, tags, at FROM orders WHERE id = $1', values: [5] });
    await client.query('SELECT * FROM orders ORDER BY id LIMIT 5');
    await client.query('SELECT id FROM orders WHERE id > 1000');
    expect(await done(7)).toEqual({ equal: 7 });
    expect(new Set(counted.filter((each) => !each.includes('slower')))).toEqual(new Set(['scratchbird_gateway_shadow_reads_total equal']));
    const read = fixture.gateway.shadowReads().find(({ statement }) => statement.includes('id <'));
    expect(read).toMatchObject({ tables: ['public.orders'], statement: 'SELECT * FROM orders WHERE id < ?', timed: 1, note: undefined, example: undefined });
  });

  it('statements that differ in constants only are one', async () => {
    for (let id = 1; id <= 5; id++) await client.query(`SELECT name FROM orders WHERE id = ${id} -- ${id}`);
    await done(5);
    expect(await only()).toMatchObject({ results: { equal: 5 }, timed: 5 });
  });

  it('a session\'s settings and search path hold on local, too', async () => {
    await onBoth('DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other');
    await client.query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'");
    await client.query('SELECT at FROM orders WHERE id = 1');
    expect(await done(1)).toEqual({ equal: 1 });
    const other = new pg.Client({ ...source.address, port: fixture.gateway.port, options: '-c TimeZone=America/Lima' });
    await other.connect();
    await other.query('SELECT at FROM orders WHERE id = 1');
    await client.query('SELECT at FROM orders WHERE id = 1');
    expect(await done(3)).toEqual({ equal: 3 });
    await other.end();
  });

  it('a role that was set, which may do less on local', async () => {
    await onBoth('DROP ROLE IF EXISTS reader; CREATE ROLE reader; GRANT SELECT ON orders TO reader');
    await on(local, 'REVOKE SELECT ON orders FROM reader');
    await client.query('SET ROLE reader');
    await client.query('SELECT name FROM orders WHERE id = 1');
    expect(await only()).toMatchObject({ results: { failed: 1 }, note: '42501: permission denied for table orders' });
    await client.query('RESET ROLE');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await client.query('SELECT name FROM orders WHERE id = 1');
    expect(await done(2)).toEqual({ failed: 1, equal: 1 });
    await onBoth('DROP OWNED BY reader; DROP ROLE reader');
  });

  it("settings of the application's own, which policies look at", async () => {
    await onBoth(`ALTER TABLE orders ENABLE ROW LEVEL SECURITY; DROP ROLE IF EXISTS tenant; CREATE ROLE tenant; GRANT SELECT ON orders TO tenant;
      CREATE POLICY own ON orders USING (id % 5 = coalesce(current_setting('app.tenant', true), '4')::int)`);
    await client.query("SET ROLE tenant; SELECT set_config('app.tenant', '3', false)");
    expect((await client.query('SELECT id FROM orders')).rows).toHaveLength(10);
    expect(await done(1)).toEqual({ equal: 1 });
    const other = new pg.Client({ ...source.address, port: fixture.gateway.port });
    await other.connect();
    await other.query('SET ROLE tenant');
    expect((await other.query('SELECT id FROM orders')).rows).toHaveLength(10);
    expect(await done(2)).toEqual({ equal: 2 });
    await other.end();
    await client.query('RESET ROLE');
    await onBoth('DROP TABLE orders CASCADE; DROP OWNED BY tenant; DROP ROLE tenant');
  });

  it('settings that change with every statement are asked for once a second', async () => {
    for (let n = 0; n < 5; n++) {
      await client.query(`SET TimeZone = 'Etc/GMT+${n}'`);
      await client.query('SELECT at FROM orders WHERE id = 1');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await done(5)).toEqual({ equal: 1, skipped: 4 });
    expect((await only()).note).toBe('the settings of its session had just changed');
  });

  it('large answers, whose bytes come in many pieces', async () => {
    await onBoth('INSERT INTO items SELECT n, n, n FROM generate_series(1000, 21000) n');
    await client.query('SELECT * FROM items');
    await client.query('SELECT id, repeat(md5(id::text), 1 + id % 20) FROM items WHERE id < $1 ORDER BY id', [2_500]);
    await client.query("SELECT repeat('x', 900000)  FROM orders WHERE id = 1");
    expect(await done(3)).toEqual({ equal: 3 });
  });

  it('sessions that end at once, once one like them is known', async () => {
    await client.query('SELECT name FROM orders WHERE id = 1');
    await done(1);
    for (let n = 0; n < 3; n++) {
      const short = new pg.Client({ ...source.address, port: fixture.gateway.port });
      await short.connect();
      await short.query('SELECT name FROM orders WHERE id = 1');
      await short.end();
    }
    expect(await done(4)).toEqual({ equal: 4 });
  });
});

describe('different', () => {
  it('a row that was changed on local behind the gateway', async () => {
    await on(local, "UPDATE orders SET name = 'other' WHERE id = 7");
    await client.query('SELECT id, name FROM orders WHERE id BETWEEN $1 AND $2', [6, 8]);
    expect(await only()).toMatchObject({ results: { different: 1 }, example: 'only on the source: (7, name 7); only on local: (7, other)' });
  });

  it('a missing row, a type, and a value in binary', async () => {
    await on(local, 'DELETE FROM items WHERE id = 3; ALTER TABLE orders ALTER price TYPE float8');
    await client.query('SELECT count(*) FROM items');
    await client.query('SELECT id FROM items WHERE id < 5');
    await client.query('SELECT price FROM orders WHERE id = 1');
    expect(await done(3)).toEqual({ different: 3 });
    const examples = Object.fromEntries(fixture.gateway.shadowReads().map(({ statement, example }) => [statement, example]));
    expect(examples['SELECT id FROM items WHERE id < ?']).toBe('only on the source: (3); only on local: none; 4 and 3 rows');
    expect(examples['SELECT price FROM orders WHERE id = ?']).toContain('columns on the source: price 1700; on local: price 701');
  });
});

describe('order', () => {
  it('other order of the same rows counts only with ORDER BY', async () => {
    // One row of each name, whose order among equal prices is the tables' own.
    await onBoth('UPDATE orders SET price = 1');
    await on(local, 'CREATE TABLE turned AS SELECT * FROM orders ORDER BY id DESC; DROP TABLE orders; ALTER TABLE turned RENAME TO orders');
    await client.query('SELECT id FROM orders WHERE id < 20');
    await client.query('SELECT id FROM orders WHERE id < 20 ORDER BY price');
    expect(await done(2)).toEqual({ equal: 1, order_differs: 1 });
  });

  it('other rows of a LIMIT may be nothing but the order', async () => {
    await on(local, 'CREATE TABLE turned AS SELECT * FROM orders ORDER BY id DESC; DROP TABLE orders; ALTER TABLE turned RENAME TO orders');
    await client.query('SELECT id FROM orders LIMIT 3');
    expect((await only()).results).toMatchObject({ order_differs: 1, different: 0 });
  });

  it('other rows behind a key are no matter of order, LIMIT or not', async () => {
    await onBoth('CREATE UNIQUE INDEX ON items (order_id, id) INCLUDE (n); ALTER TABLE items DROP CONSTRAINT items_pkey');
    await on(local, "UPDATE orders SET name = 'other'; UPDATE items SET n = -1");
    await client.query('SELECT orders.name FROM orders WHERE orders.id = $1 LIMIT $2', [7, 1]);
    await client.query('SELECT n FROM items AS i WHERE i.order_id = 8 AND 7 = i.id AND n IS NOT NULL ORDER BY n LIMIT 1');
    await client.query('SELECT n FROM items WHERE id = 7 LIMIT 1');
    await client.query('SELECT name FROM orders WHERE id = 7 OR id = 8 LIMIT 1');
    await done(4);
    const results = Object.fromEntries(fixture.gateway.shadowReads().map(({ statement, results: { different, order_differs: order } }) => [statement, different > 0 ? 'different' : order > 0 ? 'order' : 'neither']));
    expect(Object.values(results).toSorted()).toEqual(['different', 'different', 'order', 'order']);
    expect(Object.entries(results).filter(([, found]) => found === 'order').map(([statement]) => statement.split(' WHERE ')[1]).toSorted()).toEqual(['id = ? LIMIT ?', 'id = ? OR id = ? LIMIT ?']);
  });

  it('another collation is found', async () => {
    await onBoth("INSERT INTO orders (id, name) VALUES (101, 'a'), (102, 'B'), (103, 'c')");
    await on(local, 'ALTER TABLE orders ALTER name TYPE text COLLATE "C"');
    await on(source, 'ALTER TABLE orders ALTER name TYPE text COLLATE "en-x-icu"').catch(() => on(source, 'ALTER TABLE orders ALTER name TYPE text COLLATE "und-x-icu"'));
    await client.query('SELECT name FROM orders WHERE id > 100 ORDER BY name');
    await client.query("SELECT name FROM orders WHERE id > 100 AND name < 'b'");
    expect(await done(2)).toEqual({ order_differs: 1, different: 1 });
  });
});

describe('moving rows', () => {
  it('a hot row is unsettled', async () => {
    const admin = new pg.Client(source.address);
    await admin.connect();
    await admin.query('UPDATE items SET n = 1000 WHERE id = 1');
    let stopped = false;
    const writer = (async () => {
      while (!stopped) await admin.query('UPDATE items SET n = n + 1 WHERE id = 1');
    })();
    await client.query('SELECT n FROM items WHERE id = 1');
    await done(1).finally(() => (stopped = true));
    await writer;
    await admin.end();
    expect((await only()).results).toMatchObject({ unsettled: 1, different: 0 });
  });

  it('so is one that moves on local only: it may be on its way back', async () => {
    const admin = new pg.Client(local.address);
    await admin.connect();
    await admin.query('UPDATE items SET n = 1000 WHERE id = 1');
    let stopped = false;
    const writer = (async () => {
      while (!stopped) await admin.query('UPDATE items SET n = n + 1 WHERE id = 1');
    })();
    await client.query('SELECT n FROM items WHERE id = 1');
    await done(1).finally(() => (stopped = true));
    await writer;
    await admin.end();
    expect((await only()).results).toMatchObject({ unsettled: 1, different: 0 });
  });

  it('waits until local shows what the source had when the client was answered', async () => {
    fixture.control.autoVisible = false;
    await on(source, "UPDATE orders SET name = 'late' WHERE id = 1");
    await client.query('SELECT name FROM orders WHERE id = 1');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(totals()).toEqual({});
    await on(local, "UPDATE orders SET name = 'late' WHERE id = 1");
    fixture.control.autoVisible = true;
    fixture.control.makeVisible();
    expect(await done(1)).toEqual({ equal: 1 });
  });

  it('is skipped when the source does not say where it is', async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
    let calls = 0;
    await open({ sourcePosition: { fetch: (callback) => void (calls++ === 0 ? setImmediate(() => callback(undefined)) : undefined) } });
    await client.query('SELECT name FROM orders WHERE id = 1');
    await client.query('SELECT name FROM orders WHERE id = 1');
    expect(await done(2)).toEqual({ skipped: 2 });
    expect((await only()).note).toBe('the position of the source could not be had');
  });

  it('is unsettled when local does not catch up', async () => {
    fixture.control.autoVisible = false;
    await client.query('SELECT name FROM orders WHERE id = 1');
    expect(await done(1)).toEqual({ unsettled: 1 });
    expect((await only()).note).toBe('local was too far behind');
  });

  it('a row that local gets a moment later is equal', async () => {
    await on(source, "UPDATE orders SET name = 'late' WHERE id = 1");
    await client.query('SELECT name FROM orders WHERE id = 1');
    await new Promise((resolve) => setTimeout(resolve, 60));
    await on(local, "UPDATE orders SET name = 'late' WHERE id = 1");
    expect(await done(1)).toEqual({ equal: 1 });
  });
});

describe('local is worse', () => {
  it('slower: what has an index on the source only', async () => {
    await onBoth("CREATE TABLE plain AS SELECT n AS id, md5(n::text) AS hash FROM generate_series(1, 300000) n");
    await on(source, 'CREATE INDEX ON plain (hash); ANALYZE plain');
    fixture.control.publish({ plain: compared });
    await client.query('SET max_parallel_workers_per_gather = 0');
    const text = "SELECT id FROM plain WHERE hash = md5('77')";
    await client.query(text);
    const read = await only();
    expect(read).toMatchObject({ results: { equal: 1 }, slower: 1, timed: 1 });
    expect(read.localMs).toBeGreaterThan(read.sourceMs);
    expect(counted).toContain('scratchbird_gateway_shadow_reads_slower_total ');
  });

  it('an error, with its code', async () => {
    await on(local, 'ALTER TABLE orders DROP feeling');
    await client.query('SELECT feeling FROM orders');
    expect(await only()).toMatchObject({ results: { failed: 1 }, note: '42703: column "feeling" does not exist', timed: 0 });
  });

  it('a statement that runs into the limit, and is not waited for by its client', async () => {
    await on(source, 'ALTER TABLE items RENAME TO items_of_source; CREATE TABLE items AS SELECT * FROM items_of_source WHERE id < 4');
    await on(local, 'INSERT INTO items SELECT n, n, n FROM generate_series(1000, 9000) n');
    fixture.control.publish({ items: compared });
    const fromMs = performance.now();
    await client.query('SELECT count(*) FROM items a, items b, items c WHERE a.n + b.n + c.n = 0');
    await client.query('SELECT 1');
    expect(performance.now() - fromMs).toBeLessThan(1_000);
    const read = await only();
    expect(read).toMatchObject({ results: { failed: 1 }, slower: 1 });
    expect(read.note).toMatch(/^57014: /);
    await on(source, 'DROP TABLE items_of_source');
  });

  it('without local nothing happens but that it is said', async () => {
    await client.end();
    await fixture[Symbol.asyncDispose]();
    await open({ legs: { target: (side, login) => ({ ...(side === 'source' ? source.address : { ...local.address, port: 1 }), user: login.user, database: login.database }) } });
    expect((await client.query('SELECT name FROM orders WHERE id = 1')).rows).toEqual([{ name: 'name 1' }]);
    await client.query('SELECT name FROM orders WHERE id = 2');
    await done(2);
    expect(await only()).toMatchObject({ results: { skipped: 2 }, note: expect.stringContaining('local could not be asked') });
  });

  it('a role that local does not know is what the client would meet there', async () => {
    await on(source, "DROP ROLE IF EXISTS newcomer; CREATE ROLE newcomer LOGIN; GRANT SELECT ON orders TO newcomer");
    const other = new pg.Client({ ...source.address, user: 'newcomer', port: fixture.gateway.port });
    await other.connect();
    await other.query('SELECT name FROM orders WHERE id = 1');
    expect((await only()).note).toMatch(/^28000: /);
    await other.end();
    await on(source, 'DROP OWNED BY newcomer; DROP ROLE newcomer');
  });
});

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
