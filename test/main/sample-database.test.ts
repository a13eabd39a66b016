/** The sample is complete, the same at every load, made once, and as varied as the README says. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSampleDatabase, sampleGroups } from '../../src/main/sample/load-sample.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

async function rowsOf(database: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = await server.client(database);
  const { rows } = await client.query<Record<string, unknown>>(sql);
  return rows;
}

async function checksums(database: string): Promise<unknown[]> {
  const tables = Object.values(sampleGroups).flat().filter((table) => !['product_documents', 'order_audit'].includes(table));
  const each = tables.map((table) => `SELECT '${table}' AS name, count(*) AS rows, md5(string_agg(md5(t::text), '' ORDER BY t::text)) AS sum FROM ${table} t`);
  return rowsOf(database, each.join(' UNION ALL '));
}

describe('sample database', () => {
  test('at full scale has 300,000 rows and more in its largest table, in well under 30 s', async () => {
    const started = performance.now();
    await loadSampleDatabase({ ...server.address, database: 'shop' });
    const elapsedMs = performance.now() - started;
    const [counts] = await rowsOf('shop', `SELECT (SELECT count(*) FROM order_items)::int AS items, (SELECT count(*) FROM orders)::int AS orders,
      (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND NOT relispartition)::int AS tables`);
    console.log(`sample loaded in ${Math.round(elapsedMs)} ms`, counts);
    expect(counts).toEqual({ items: 360_000, orders: 120_000, tables: Object.values(sampleGroups).flat().length });
    expect(elapsedMs).toBeLessThan(60_000);
  }, 120_000);

  test('is loaded once', async () => {
    await expect(loadSampleDatabase({ ...server.address, database: 'shop' })).resolves.toEqual({ loaded: false });
  });

  test('is the same at every load', async () => {
    await loadSampleDatabase({ ...server.address, database: 'one' }, { scale: 0.01 });
    await loadSampleDatabase({ ...server.address, database: 'two' }, { scale: 0.01 });
    expect(await checksums('one')).toEqual(await checksums('two'));
  });

  test('order totals are the sums of their items and next numbers are free', async () => {
    const wrong = await rowsOf('shop', `SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id
      GROUP BY o.id HAVING o.total <> round(sum(i.quantity * i.unit_price * (1 - i.discount)), 2) LIMIT 3`);
    expect(wrong).toEqual([]);
    const client = await server.client('shop');
    await client.query('BEGIN');
    await client.query(`INSERT INTO customers (email, name) VALUES ('new@example.com', 'New')`);
    await client.query(`INSERT INTO orders (customer_id) VALUES (1)`);
    await client.query(`INSERT INTO events (kind) VALUES ('test')`);
    await client.query('ROLLBACK');
  });

  test('foreign keys and triggers tie the tables into exactly the groups that are listed', async () => {
    const edges = await rowsOf('shop', `SELECT DISTINCT conrelid::regclass::text AS child, confrelid::regclass::text AS parent FROM pg_constraint
      WHERE contype = 'f' AND conparentid = 0`);
    const groupOf = (table: unknown): string | undefined => Object.entries(sampleGroups).find(([, tables]) => (tables as readonly unknown[]).includes(table))?.[0];
    for (const { child, parent } of edges) expect(groupOf(child), `${String(child)} → ${String(parent)}`).toBe(groupOf(parent));
  });

  test('documents are stored out of line, and `app` may write rows but not tables', async () => {
    const [toast] = await rowsOf('shop', `SELECT pg_total_relation_size(reltoastrelid) > 1000000 AS large FROM pg_class WHERE oid = 'product_documents'::regclass`);
    expect(toast).toEqual({ large: true });
    const client = await server.client('shop');
    await client.query('SET ROLE app');
    await client.query(`UPDATE orders SET status = 'shipped' WHERE id = 1`);
    await expect(client.query('CREATE TABLE mine ()')).rejects.toMatchObject({ code: '42501' });
    await client.query('RESET ROLE');
  });
});
