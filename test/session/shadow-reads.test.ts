/** Property: with `compare` clients get the source's answers as ever, byte for byte and in no more time, and what local would have said is counted right. */
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { client, compared, counted, done, fixture, local, on, onBoth, only, open, source, totals, withComparedReads } from './compared-reads.ts';

withComparedReads();

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
    // One alone may meet a source that is busy for a moment, or a connection that has not read the catalog yet.
    for (let turn = 1; turn <= 5; turn++) {
      await client.query(text);
      await done(turn);
    }
    const read = await only();
    expect(read).toMatchObject({ results: { equal: 5 }, timed: 5 });
    expect(read.slower).toBeGreaterThan(0);
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
    expect(performance.now() - fromMs).toBeLessThan(1_900);
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
