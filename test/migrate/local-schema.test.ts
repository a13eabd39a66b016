/** Property: every foreign key between tables that are in step is on local once the last of its two tables has come into step, also where one was out of step for that moment; and a table asks the source for itself alone. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TableRecord } from '../../catalog/records.ts';
import { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { PostgresSourceSide } from '../../cdc/postgres/source-side.ts';
import { LocalSchema } from '../../src/migrate/local-schema.ts';
import { testRuntime } from '../cdc/snapshot/loader-fixture.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

const names = ['parent', 'child', 'grandchild'] as const;
let server: TestPostgres;
let side: PostgresSourceSide;
let local: AdminConnection;
let schema: LocalSchema;
const asked: string[] = [];

beforeAll(async () => {
  server = await startTestPostgres();
  const source = await server.client(await server.createDatabase('source'));
  await source.query('CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent); CREATE TABLE grandchild (id int PRIMARY KEY, c int REFERENCES child, g int REFERENCES grandchild)');
  side = new PostgresSourceSide(testRuntime(), { ...server.address, database: 'source' });
  const introspect = side.introspectTable.bind(side);
  side.introspectTable = (table) => {
    asked.push(table.name);
    return introspect(table);
  };
  local = new AdminConnection({ ...server.address, database: await server.createDatabase('local') }, 'test');
});
afterAll(async () => {
  await Promise.all([side.close(), local.close()]);
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await local.use((client) => client.query('DROP TABLE IF EXISTS grandchild, child, parent; CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int); CREATE TABLE grandchild (id int PRIMARY KEY, c int, g int)'));
  schema = new LocalSchema(testRuntime(), side, local, server.address, () => []);
  asked.length = 0;
});

const record = (name: string, state: TableRecord['state'] = 'DUAL_WRITE'): TableRecord =>
  ({ tableId: name, sourceServer: 'legacy', source: { schema: 'public', name }, target: { schema: 'public', name }, state, options: {}, details: { indexesBuilt: state !== 'BULK_LOADING', plan: { columns: [] } } }) as unknown as TableRecord;
const keys = async (): Promise<readonly string[]> => (await local.use((client) => client.query<{ k: string }>("SELECT conrelid::regclass || ' to ' || confrelid::regclass AS k FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY 1"))).rows.map(({ k }) => k);
const all = ['child to parent', 'grandchild to child', 'grandchild to grandchild'];

it.each([[['parent', 'child', 'grandchild']], [['grandchild', 'child', 'parent']], [['child', 'grandchild', 'parent']]])('in the order %s', async (order) => {
  for (const [at, name] of order.entries()) {
    const come = new Set(order.slice(0, at + 1));
    await schema.buildForeignKeys(record(name), names.map((each) => record(each, come.has(each) ? 'DUAL_WRITE' : 'BULK_LOADING')), () => true);
  }
  expect(await keys()).toEqual(all);
  expect(asked).toEqual(order);
});

it('with one that is out of step for a moment', async () => {
  const records = names.map((name) => record(name));
  for (const each of records) await schema.buildForeignKeys(each, records, ({ tableId }) => tableId !== 'child');
  expect(await keys()).toEqual(['grandchild to grandchild']);
  for (const each of records.filter((one) => schema.owesForeignKeys(one))) await schema.buildForeignKeys(each, records, () => true);
  expect(await keys()).toEqual(all);
  expect(records.filter((each) => schema.owesForeignKeys(each))).toEqual([]);
});
