/** Property: a statement over tables of both sides gives what one server with all of them gives. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { dualWrite, onLocal, onSource, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';

let source: TestPostgres;
let local: TestPostgres;
let whole: TestPostgres;
let fixture: GatewayFixture;
let client: pg.Client;
let truth: pg.Client;

const tables = ['customers', 'orders', 'items'] as const;
const schema = `
  DROP TABLE IF EXISTS customers, orders, items CASCADE; DROP TYPE IF EXISTS colour CASCADE;
  CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
  CREATE TABLE customers (id int PRIMARY KEY, name text, shade colour, "Mixed Case" varchar(20), born date, tags text[], doc jsonb, score numeric(10, 2), span interval, raw bytea, at timestamptz);
  CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, total numeric, note text, ratio float8);
  CREATE TABLE items (order_id bigint, line int, what text, qty int, PRIMARY KEY (order_id, line));`;
const views = `
  CREATE VIEW overview AS SELECT c.id AS customer, c.name, o.id AS "Order", o.total FROM customers c JOIN orders o ON o.customer_id = c.id;
  CREATE VIEW nested (who, n) AS SELECT v.name, count(i.*) FROM overview v LEFT JOIN items i ON i.order_id = v."Order" GROUP BY v.name;
  CREATE VIEW one_table AS SELECT id, name FROM customers WHERE shade <> 'red';`;
const rows: Readonly<Record<(typeof tables)[number], string>> = {
  customers: `INSERT INTO customers SELECT g, CASE WHEN g % 7 = 0 THEN NULL ELSE 'name "' || g || E'" \\\\ \\t {,} \\n ä$c0$' END, (ARRAY['red', 'green', 'blue'])[g % 3 + 1]::colour, 'M' || g, date '2020-01-01' + g, ARRAY['a', NULL, 'b "' || g],
    jsonb_build_object('k', g), g * 1.5, make_interval(days => g, secs => -g), decode(lpad(to_hex(g), 6, '0'), 'hex'), timestamptz '2026-01-01 12:34:56.789+02' + make_interval(hours => g) FROM generate_series(1, 40) g`,
  orders: `INSERT INTO orders SELECT g, NULLIF(g % 45, 0), g * 1.1, CASE WHEN g % 5 = 0 THEN NULL ELSE '' END, g / 3.0 FROM generate_series(1, 200) g`,
  items: `INSERT INTO items SELECT o, l, 'thing ' || (o * l % 11), o % 4 FROM generate_series(1, 190) o, generate_series(1, 3) l`,
};

beforeAll(async () => {
  [source, local, whole] = await Promise.all([startTestPostgres(), startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local, whole]) await server?.[Symbol.asyncDispose]();
});

async function onServer(server: TestPostgres, sql: string): Promise<pg.QueryResult> {
  const admin = new pg.Client(server.address);
  await admin.connect();
  const result = await admin.query(sql);
  await admin.end();
  return result;
}

type States = Readonly<Record<(typeof tables)[number], Partial<TableRoute>>>;

/** A side that is not asked about a table has other rows of it. */
async function setUp(states: States): Promise<void> {
  await onServer(whole, `${schema} ${views} ${tables.map((table) => rows[table]).join(';')}`);
  for (const [server, has] of [[source, (route: Partial<TableRoute>) => route.writes === 'source'], [local, (route: Partial<TableRoute>) => route.reads === 'local']] as const) {
    await onServer(server, `${schema} ${server === source ? views : ''} ${tables.map((table) => (has(states[table]) ? rows[table] : `INSERT INTO ${table} (${table === 'items' ? 'order_id, line' : 'id'}) VALUES (${table === 'items' ? '1, -1' : '-1'})`)).join(';')}`);
  }
  const { customers, orders, items } = states;
  fixture.control.publish({ ...(customers === plain ? {} : { customers }), ...(orders === plain ? {} : { orders }), ...(items === plain ? {} : { items }) }, {
    views: { 'public.overview': ['public.customers', 'public.orders'], 'public.nested': ['public.customers', 'public.orders', 'public.items'], 'public.one_table': ['public.customers'] },
    missingOnLocal: ['public.overview', 'public.nested', 'public.one_table'],
  });
}

/** Not migrated at all. */
const plain: Partial<TableRoute> = { ...onSource };

beforeEach(async () => {
  client = new pg.Client({ ...source.address, port: fixture.gateway.port });
  truth = new pg.Client(whole.address);
  await Promise.all([client.connect(), truth.connect()]);
});

afterEach(() => Promise.all([client.end(), truth.end()]));

interface Outcome {
  readonly rows?: readonly unknown[];
  readonly fields?: readonly string[];
  readonly tag?: string;
  readonly error?: string;
}

async function run(on: pg.Client, text: string, values?: unknown[], name?: string): Promise<Outcome> {
  try {
    const result = await on.query<unknown[]>({ text, rowMode: 'array', ...(values ? { values, queryMode: 'extended' } : {}), ...(name === undefined ? {} : { name }) });
    const lines = result.rows.map((row) => JSON.stringify(row));
    return { rows: /order by/i.test(text) ? lines : lines.sort(), fields: result.fields.map((field) => field.name), tag: `${result.command} ${result.rowCount}` };
  } catch (error) {
    const { code, position, message } = error as pg.DatabaseError;
    return { error: `${code} at ${position ?? '-'} ${code === '0A000' ? message : ''}` };
  }
}

async function expectSame(text: string, values?: unknown[], name?: string): Promise<void> {
  const [seen, expected] = [await run(client, text, values, name), await run(truth, text, values, name)];
  expect(seen, text).toEqual(expected);
}

const statements: readonly string[] = [
  'CREATE TABLE made AS SELECT c.id, c.shade, c.tags, c."Mixed Case", o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id < 90', 'SELECT * FROM made ORDER BY total', 'SELECT m.id, i.what FROM made m JOIN items i ON i.order_id = m.id',
  'CREATE TABLE made AS SELECT 1 FROM items', 'DROP TABLE made', 'SELECT name AS what INTO made FROM customers WHERE id < 20 UNION ALL SELECT what FROM items WHERE line = 1', 'SELECT count(*), min(what) FROM made', 'DROP TABLE made',
  'CREATE TABLE made (who, sum) AS WITH s AS (SELECT customer_id, sum(total) FROM orders GROUP BY 1) SELECT c.name, s.sum FROM customers c LEFT JOIN s ON s.customer_id = c.id WITH NO DATA', 'SELECT * FROM made', 'DROP TABLE made',
  'CREATE TABLE made AS SELECT * FROM overview', 'SELECT customer, name FROM made WHERE total > 100', 'DROP TABLE made', 'CREATE TABLE made AS TABLE items', 'SELECT count(*) FROM made', 'DROP TABLE made',
  'SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 50',
  'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id',
  'SELECT c.*, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 100 WHERE c.id < 10',
  'SELECT c.id, o.id FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.name IS NULL OR o.note IS NULL',
  'SELECT o.id, c.id FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id WHERE c.id IS NULL',
  'SELECT c.id, c.name, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id',
  'SELECT o.id, o.note, sum(i.qty) FROM orders o JOIN items i ON i.order_id = o.id JOIN customers c ON c.id = o.customer_id WHERE c.shade = \'red\' GROUP BY o.id',
  'SELECT count(*) FROM customers, orders, items',
  'SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 150)',
  'SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders WHERE total > 150 AND customer_id IS NOT NULL)',
  'SELECT name, (SELECT max(total) FROM orders WHERE customer_id = customers.id) FROM customers',
  'SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id = c.id AND i.qty = 3)',
  'SELECT id FROM customers UNION SELECT customer_id FROM orders EXCEPT SELECT qty FROM items',
  'SELECT c.id, x.total FROM customers c CROSS JOIN LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.id ORDER BY total DESC LIMIT 2) x ORDER BY 1, 2',
  'WITH RECURSIVE r AS (SELECT id, customer_id FROM orders WHERE id = 44 UNION SELECT o.id, o.customer_id FROM orders o JOIN r ON o.id = r.customer_id) SELECT r.id, c.name FROM r LEFT JOIN customers c ON c.id = r.customer_id',
  'WITH orders AS (SELECT 1 AS id) SELECT orders.id, customers.name FROM orders JOIN customers USING (id) JOIN items ON items.order_id = orders.id',
  'SELECT public.customers.name, public.orders.total FROM public.customers, public.orders WHERE public.orders.customer_id = public.customers.id AND public.customers.id = 7',
  'SELECT customers.name, b.name FROM customers JOIN customers b ON b.id = customers.id + 1 JOIN orders ON orders.id = b.id WHERE customers.id < 5 AND b.id > 2',
  'SELECT row_to_json(c), o.id FROM customers c JOIN orders o ON o.id = c.id WHERE c.id IN (7, 8)',
  'SELECT c, o.id FROM customers c JOIN orders o ON o.id = c.id WHERE c.id = 8',
  'SELECT count(c), count(o) FROM customers c LEFT JOIN orders o ON o.id = c.id + 190',
  'SELECT c1, o1 FROM customers AS c (c1, c2) JOIN orders AS o (o1) ON c1 = o1 WHERE c2 IS NOT NULL',
  'SELECT x.id, y.customer_id FROM customers x JOIN orders AS y (customer_id, id) ON y.id = x.id WHERE y.customer_id = 5',
  'SELECT y.id, z.qty FROM orders AS y (customer_id, id) JOIN items z ON z.order_id = y.customer_id JOIN customers c ON c.id = y.id WHERE y.id IN (5, 6) AND c.id < 9',
  'SELECT row_to_json(y), x.id FROM customers x JOIN orders AS y (customer_id, id) ON y.customer_id = x.id AND x.id < 4',
  'SELECT * FROM customers NATURAL JOIN orders',
  'SELECT customers.id FROM ONLY customers, ONLY (orders) WHERE orders.id = customers.id',
  'SELECT c.id FROM customers * c, orders WHERE orders.id = c.id',
  '(TABLE orders) EXCEPT SELECT o.* FROM orders o, customers c WHERE o.customer_id = c.id',
  'SELECT "Mixed Case", note FROM customers, orders WHERE customers.id = orders.id AND "Mixed Case" = \'M3\'',
  'SELECT tags[3], doc ->> \'k\', span, raw, at, born FROM customers JOIN orders USING (id) WHERE id BETWEEN 3 AND 6',
  'SELECT avg(score), min(born), sum(ratio::numeric) FROM customers JOIN orders USING (id)',
  'SELECT o.id, rank() OVER (PARTITION BY c.shade ORDER BY o.total) FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id',
  'SELECT DISTINCT ON (c.id) c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id DESC',
  'SELECT shade, count(*) FROM customers JOIN orders ON customer_id = customers.id GROUP BY ROLLUP (shade) HAVING count(*) > 3 ORDER BY shade NULLS FIRST',
  'SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name LIKE \'name "1%\' AND o.total IS DISTINCT FROM 1.1 AND NOT (o.id = 3 OR c.born = date \'2020-01-05\')',
  'SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name > \'name "3\' AND c.id = ANY (\'{1,2,3,31,32}\')',
  'SELECT * FROM overview ORDER BY "Order"',
  'SELECT v.name, overview.total FROM overview v JOIN public.overview ON overview."Order" = v."Order" + 1 WHERE v.customer < 9',
  'SELECT public.overview.name FROM public.overview WHERE customer = 3',
  'SELECT * FROM nested ORDER BY who',
  'SELECT who, n, i.what FROM nested JOIN items i ON i.line = n AND i.order_id = 3',
  'SELECT o.id, t.name FROM one_table t JOIN orders o ON o.customer_id = t.id JOIN overview v ON v."Order" = o.id',
  'SELECT count(*) FROM one_table, items',
  'INSERT INTO items SELECT "Order", 80, name, 0 FROM overview WHERE total < 20',
  'SELECT nothing FROM overview', 'SELECT customer, nothing FROM nested, overview', 'SELECT 1 / (customer - 3) FROM overview', 'SELECT who::int FROM nested',
  'WITH overview AS (SELECT 1 AS one) SELECT * FROM overview, one_table JOIN items ON items.line = one_table.id JOIN orders USING (order_id)',
  'SELECT nothing FROM customers JOIN orders USING (id)',
  'SELECT c.nothing FROM customers c JOIN orders o USING (id)',
  'SELECT id FROM customers c, orders o',
  'SELECT customers.id FROM customers JOIN missing ON true JOIN orders ON true',
  'SELECT 1 / (c.id - c.id) FROM customers c JOIN orders o USING (id)',
  'SELECT ALL c.id FROM customers c JOIN orders o USING (id) WHERE false',
  'EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) INSERT INTO items SELECT 1, 77, c.name, 1 FROM customers c JOIN orders o USING (id) WHERE false',
  'INSERT INTO items SELECT o.id, 50, c.name, 1 FROM orders o JOIN customers c ON c.id = o.customer_id RETURNING *',
  'INSERT INTO orders (id, customer_id) SELECT id + 1000, id FROM customers ON CONFLICT (id) DO UPDATE SET note = excluded.note',
  'UPDATE orders SET note = c.name FROM customers c WHERE c.id = orders.customer_id AND c.id < 5 RETURNING orders.id, orders.note, c.shade',
  'UPDATE items SET qty = qty + (SELECT count(*) FROM orders WHERE id = items.order_id) WHERE EXISTS (SELECT 1 FROM customers WHERE id = items.line)',
  'DELETE FROM items USING orders o, customers c WHERE o.id = items.order_id AND c.id = o.customer_id AND c.shade = \'blue\'',
  'DELETE FROM customers WHERE NOT EXISTS (SELECT FROM orders WHERE customer_id = customers.id)',
  `MERGE INTO orders o USING customers c ON c.id = o.id WHEN MATCHED THEN UPDATE SET note = c.name WHEN NOT MATCHED THEN INSERT (id, note) VALUES (c.id, 'new')`,
  'WITH d AS (DELETE FROM items WHERE order_id < 5 RETURNING order_id, qty) SELECT d.qty, c.name FROM d LEFT JOIN customers c ON c.id = d.order_id',
  'INSERT INTO customers (id, name) SELECT 500 + count(*), max(note) FROM orders',
];

const withParameters: readonly (readonly [string, unknown[]])[] = [
  ['SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > $1 AND c.id = $2', ['50', 3]],
  ['SELECT c.name, $1::text FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.note = $2 OR c.id = ANY($3)', ['x', '', [1, 2, 3]]],
  ['SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1 AND o.id > $1', [4]],
  ['SELECT c.id, $1::int8 FROM customers c JOIN orders o USING (id) WHERE c.id = $1', ['99999999999']],
  ['SELECT c.id FROM customers c JOIN orders o USING (id) WHERE c.shade = $1 AND c.born BETWEEN $2 AND $3::date ORDER BY 1', ['red', '2020-01-01', '2020-01-20']],
  ['SELECT c.id FROM customers c JOIN orders o USING (id) WHERE c.name = $1 OR c.name IS NOT DISTINCT FROM $2', [null, null]],
  ['SELECT c.id FROM customers c JOIN orders o USING (id) WHERE c.shade = $1', ['no colour']],
  ['INSERT INTO items SELECT o.id, $1, c.name, 1 FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id < $2 RETURNING order_id, line', [60, 9]],
  ['UPDATE orders SET note = c.name || $1 FROM customers c WHERE c.id = orders.customer_id AND c.id = $2 RETURNING orders.id', ['!', 6]],
  ['SELECT o.id, c.name FROM orders o, customers c, items i WHERE o.id = c.id AND i.order_id = o.id LIMIT $1', [0]],
];

const mixes: Readonly<Record<string, States>> = {
  'one local, two not migrated': { customers: onLocal, orders: plain, items: plain },
  'two local, one not migrated': { customers: onLocal, orders: plain, items: onLocal },
  'local, loading and dual write': { customers: dualWrite, orders: onLocal, items: onSource },
  'dual write, plain, local': { customers: plain, orders: dualWrite, items: onLocal },
};

describe.each(Object.entries(mixes))('%s', (_, states) => {
  beforeEach(() => setUp(states));

  it.each([['simple', undefined], ['extended', []]] as const)('statements, one after the other: %s', async (_kind, values) => {
    for (const text of statements) await expectSame(text, values && [...values]);
    await expectTablesSame();
  });

  it('statements with parameters, prepared or not', async () => {
    for (const [text, values] of withParameters) await expectSame(text, values);
    for (const [index, [text, values]] of withParameters.entries()) await expectSame(text, values, `named ${index}`);
    for (const [index, [text, values]] of withParameters.entries()) await expectSame(text, values, `named ${index}`);
    await expectTablesSame();
  });

  async function expectTablesSame(): Promise<void> {
    for (const table of tables) {
      const { reads, writes } = states[table];
      const seen = await onServer(writes === 'source' ? source : local, `SELECT t::text FROM ${table} t ORDER BY 1`);
      expect(seen.rows, table).toEqual((await truth.query(`SELECT t::text FROM ${table} t ORDER BY 1`)).rows);
      expect(reads).toBeDefined();
    }
  }
});
