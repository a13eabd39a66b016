// Tables that get another schema or another name on local: applications keep the names that they know, through the whole life and back.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

let stack: Stack;

const sourceSql = `
  CREATE SCHEMA archive;
  CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, changes int NOT NULL DEFAULT 0);
  CREATE TABLE invoice (id bigint GENERATED ALWAYS AS IDENTITY, customer_id int NOT NULL REFERENCES customer, at date NOT NULL, total numeric(10, 2), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE invoice_new PARTITION OF invoice FOR VALUES FROM ('2024-01-01') TO ('2100-01-01');
  CREATE TABLE archive.invoice_old PARTITION OF invoice FOR VALUES FROM ('2000-01-01') TO ('2024-01-01');
  CREATE TABLE ledger (id int PRIMARY KEY, line text);
  CREATE FUNCTION count_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END $$;
  CREATE TRIGGER counted BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION count_changes();
  CREATE VIEW due AS SELECT customer.name, sum(invoice.total) AS total, count(*) FILTER (WHERE invoice.at > '2024-01-01') AS recent
    FROM customer JOIN invoice ON invoice.customer_id = customer.id WHERE EXISTS (SELECT FROM ledger WHERE ledger.id > 0) GROUP BY customer.id, customer.name;
  CREATE VIEW changed AS SELECT id, name FROM customer WHERE changes > 0;
  CREATE MATERIALIZED VIEW lines AS SELECT id, line FROM ledger AS l WHERE l.id < 10;
  INSERT INTO customer (name) SELECT 'customer ' || g FROM generate_series(1, 200) g;
  INSERT INTO invoice (customer_id, at, total) SELECT 1 + g % 200, date '2020-01-01' + g, g / 3.0 FROM generate_series(1, 3000) g;
  INSERT INTO ledger SELECT g, 'line ' || g FROM generate_series(1, 100) g;
  GRANT USAGE ON SCHEMA archive TO app;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, archive TO app; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app`;

beforeAll(async () => {
  stack = await Stack.start({ sourceSql });
});
afterAll(async () => stack[Symbol.asyncDispose]());

it.each([
  ['FOR TABLE ledger', "target_table 'customer'", /public\.ledger cannot be public\.customer on local/],
  ['FOR TABLE invoice', "target_schema 'archive', target_table 'invoice_old'", /public\.invoice cannot be archive\.invoice_old on local/],
  ['FOR SCHEMA public', "target_table 'one'", /target_table is for START MIGRATION FOR TABLE only/],
])('START %s refuses %s', async (scope, options, message) => {
  await expect(stack.command(`START MIGRATION ${scope} FROM legacy OPTIONS (${options})`)).rejects.toThrow(message);
  expect(await stack.status()).toEqual([]);
});

it('from START to LOCAL_ONLY, back, and over again', { timeout: 180_000 }, async () => {
  const app = await stack.connect('app');
  const named = { name: 'customer', text: 'SELECT customer.name, customer.changes FROM public.customer WHERE id = $1', values: [1] };
  expect((await app.query(named)).rows).toEqual([{ name: 'customer 1', changes: 0 }]);
  await stack.insist("START MIGRATION FOR TABLE customer FROM legacy OPTIONS (copy_grants TRUE, target_schema 'crm')");
  await stack.insist("START MIGRATION FOR TABLE invoice FROM legacy OPTIONS (copy_grants TRUE, target_schema 'crm', target_table 'bill')");
  await stack.insist(`START MIGRATION FOR TABLE ledger FROM legacy OPTIONS (copy_grants TRUE, target_table '"Book 1"')`);
  await stack.makeReady('public');

  const views = async (): Promise<unknown> => [(await app.query('SELECT * FROM due ORDER BY name')).rows, (await app.query('SELECT count(*)::int AS n FROM changed')).rows];
  const work = async (round: number): Promise<void> => {
    await app.query('BEGIN');
    await app.query('UPDATE customer SET name = $1 WHERE customer.id = 1', [`round ${round}`]);
    await app.query("INSERT INTO customer (name) VALUES ('new') RETURNING customer.id");
    await app.query(`INSERT INTO invoice (customer_id, at, total) VALUES (currval('customer_id_seq'), '2025-01-0${round}', 1), (1, '2001-01-0${round}', 2)`);
    await app.query('COMMIT');
    await app.query('INSERT INTO ledger VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET line = ledger.line || excluded.line', [100 + round, 'more']);
    expect((await app.query(named)).rows).toEqual([{ name: `round ${round}`, changes: round }]);
    const { rows } = await app.query('SELECT count(*)::int AS n, count(DISTINCT invoice.customer_id)::int AS c FROM invoice JOIN customer ON customer.id = invoice.customer_id');
    expect(rows).toEqual([{ n: 3000 + 2 * round, c: 200 + round }]);
    expect((await app.query('SELECT count(*)::int AS n FROM archive.invoice_old')).rows).toEqual((await app.query("SELECT count(*)::int AS n FROM invoice WHERE at < '2024-01-01'")).rows);
  };
  await work(1);
  const seen = await views();
  expect(JSON.stringify(await stack.command('EXPLAIN ROUTE SELECT * FROM invoice'))).toContain('on local it is crm.bill');

  await stack.command('CUTOVER GROUP OF customer');
  await stack.command('CUTOVER TABLE ledger');
  expect(await views()).toEqual(seen);
  expect((await app.query('UPDATE changed SET name = name WHERE id < 0')).rowCount).toBe(0);
  expect((await app.query('SELECT count(*)::int AS n FROM lines')).rows).toEqual([{ n: 9 }]);
  expect(JSON.stringify(await stack.command('EXPLAIN ROUTE SELECT * FROM due'))).toContain('LOCAL');
  await work(2);
  expect((await app.query('SELECT line FROM "Book 1" WHERE id = 102')).rows).toEqual([{ line: 'more' }]);
  const [local, source] = [await stack.direct('local'), await stack.direct('source')];
  expect((await local.query('SELECT count(*)::int AS n FROM crm.bill')).rows).toEqual([{ n: 3004 }]);
  expect((await local.query("SELECT to_regclass('public.customer') AS t")).rows).toEqual([{ t: null }]);
  await expect.poll(async () => (await source.query('SELECT count(*)::int AS n FROM invoice')).rows, { timeout: 10_000 }).toEqual([{ n: 3004 }]);

  await stack.command('ROLLBACK MIGRATION FOR GROUP OF customer PRESERVE LOCAL DATA');
  await work(3);
  for (const name of ['customer', 'invoice']) await stack.insist(`VALIDATE MIGRATION FOR TABLE ${name} FULL`);
  await stack.command('CUTOVER GROUP OF customer');
  await work(4);
  await stack.command('COMPLETE MIGRATION FOR TABLE ledger');
  expect((await app.query('SELECT count(*)::int AS n FROM ledger')).rows).toEqual([{ n: 104 }]);
});
