// A table whose reads are compared, from START to LOCAL_ONLY: what an operator sees of it, over two gateway processes.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeBehind } from './support/behind-the-stream.ts';
import { Stack } from './support/stack.ts';

let stack: Stack;

const sourceSql = `
  CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, name text);
  CREATE INDEX orders_by_customer ON orders (customer);
  INSERT INTO orders SELECT g, g % 50, 'order ' || g FROM generate_series(1, 2000) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app`;

beforeAll(async () => {
  stack = await Stack.start({ sourceSql, workers: 2 });
});
afterAll(async () => stack[Symbol.asyncDispose]());

interface ShadowRow {
  readonly Tables: string;
  readonly Statement: string;
  readonly Equal: string;
  readonly Different: string;
  readonly Unsettled: string;
  readonly Failed: string;
  readonly Example: string | null;
  readonly [column: string]: string | number | null;
}

const shown = (): Promise<ShadowRow[]> => stack.command<ShadowRow>('SHOW MIGRATION SHADOW READS FOR TABLE orders');

it('compares reads while clients write, finds what differs, and stops with the cutover', { timeout: 120_000 }, async () => {
  await expect(stack.command('SHOW MIGRATION SHADOW READS FOR TABLE orders')).rejects.toThrow('no migration of a table');
  await stack.insist("START MIGRATION FOR TABLE orders FROM legacy OPTIONS (copy_grants TRUE, read_from 'source', compare_percent 1)");
  await stack.makeReady('public');
  // What is compared changes under a table that has started; who answers does not.
  await expect(stack.command("ALTER MIGRATION FOR TABLE orders SET OPTION read_from = 'local'")).rejects.toThrow(/MIG074/);
  expect(JSON.stringify(await stack.command('EXPLAIN ROUTE SELECT * FROM orders'))).not.toContain('compared');
  await stack.command("ALTER MIGRATION FOR TABLE orders SET OPTION compare_percent = 100, read_from = 'compare'");
  expect(JSON.stringify(await stack.command('EXPLAIN ROUTE SELECT * FROM orders'))).toContain("runs on the source; 100 % of its answers are compared with local's");

  // Several connections, so that both gateway processes have some.
  const clients = await Promise.all(Array.from({ length: 4 }, () => stack.connect('app')));
  for (let n = 1; n <= 15; n++) {
    await Promise.all(clients.map(async (client, index) => {
      const customer = (4 * n + index) % 50;
      await client.query('UPDATE orders SET name = $2 WHERE customer = $1', [customer, `round ${n}`]);
      expect((await client.query<{ name: string }>('SELECT DISTINCT name FROM orders WHERE customer = $1', [customer])).rows).toEqual([{ name: `round ${n}` }]);
      await client.query(`SELECT count(*) FROM orders WHERE customer = ${customer}`);
    }));
  }
  await expect.poll(async () => (await shown()).reduce((sum, row) => sum + Number(row.Equal), 0), { timeout: 20_000 }).toBeGreaterThan(60);
  const before = await shown();
  expect(before.map(({ Statement }) => Statement).toSorted()).toEqual(['SELECT DISTINCT name FROM orders WHERE customer = $1', 'SELECT count(*) FROM orders WHERE customer = ?']);
  expect(before.every(({ Different, Failed, Tables }) => Different === '0' && Failed === '0' && Tables === 'public.orders')).toBe(true);
  await expect(clients[0]?.query('SHOW MIGRATION SHADOW READS')).rejects.toMatchObject({ code: '42501' });

  // Values that go there and back, and counts that wander: never a difference.
  const untilMs = performance.now() + 6_000;
  await Promise.all(clients.map(async (client, index) => {
    for (let n = 0; performance.now() < untilMs; n++) {
      const id = 10_000 + 100 * index + (n % 3);
      if (index < 2) {
        await client.query('INSERT INTO orders VALUES ($1, 1000, $2)', [id, 'queued']);
        await client.query("UPDATE orders SET name = CASE name WHEN 'on' THEN 'off' ELSE 'on' END WHERE id = 8");
        await client.query('DELETE FROM orders WHERE id = $1', [id]);
      } else {
        await client.query('SELECT count(*) FROM orders WHERE customer = 1000');
        await client.query('SELECT name FROM orders WHERE id = 8');
      }
    }
  }));
  const settled = async (): Promise<string> => {
    const rows = await shown();
    return JSON.stringify(rows.map(({ Statement, Equal, Unsettled, Dropped }) => [Statement, Equal, Unsettled, Dropped]));
  };
  await expect.poll(async () => [await settled(), await new Promise((resolve) => setTimeout(resolve, 1_500)), await settled()].map((each, _index, all) => each === undefined || each === all[0]), { timeout: 60_000 }).toEqual([true, true, true]);
  const hot = await shown();
  expect(hot.filter(({ Different, Failed }) => Different !== '0' || Failed !== '0')).toEqual([]);
  expect(hot.map(({ Statement }) => Statement)).toEqual(expect.arrayContaining(['SELECT count(*) FROM orders WHERE customer = ?', 'SELECT name FROM orders WHERE id = ?']));

  await writeBehind(await stack.direct('local'), "UPDATE orders SET name = 'other' WHERE id = 7");
  await clients[0]?.query('SELECT name FROM orders WHERE id = 7');
  await expect.poll(async () => (await shown()).find(({ Different }) => Different !== '0')?.Statement, { timeout: 20_000 }).toBe('SELECT name FROM orders WHERE id = ?');
  expect((await shown())[0]?.Example).toContain('only on local: (other)');
  expect(JSON.stringify(await stack.command('EXPLAIN CUTOVER TABLE orders'))).toContain('1 compared reads differed on local, 0 failed there');
  await expect.poll(() => stack.metrics(), { timeout: 10_000 }).toContain('scratchbird_gateway_shadow_reads_total{result="different"} 1');

  await clients[0]?.query("UPDATE orders SET name = 'mended' WHERE id = 7");
  const total = async (): Promise<number> => (await shown()).reduce((sum, { Equal, Different, Unsettled, Skipped, Failed }) => sum + [Equal, Different, Unsettled, Skipped, Failed].map(Number).reduce((a, b) => a + b), 0);
  await stack.command('CUTOVER TABLE orders');
  const compared = await total();
  expect((await clients[0]?.query('SELECT name FROM orders WHERE id = 7'))?.rows).toEqual([{ name: 'mended' }]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await total()).toBe(compared);
  await Promise.all(clients.map((client) => client.end()));
});
