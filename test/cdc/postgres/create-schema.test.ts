/** Property: the schema made on local means the same as the source's, and making it again, from any point, changes nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { addForeignKeys, buildIndexes, buildKey, createTable } from '../../../cdc/postgres/build-keys.ts';
import { planForeignKeys, planSchema } from '../../../cdc/postgres/create-schema.ts';
import type { SchemaPlan } from '../../../cdc/postgres/create-schema.ts';
import { definitionHash, diffDefinitions } from '../../../cdc/postgres/definition-diff.ts';
import { introspectTable, listTables } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { PlanOptions } from '../../../cdc/postgres/plan-table.ts';
import type { TableDefinition } from '../../../cdc/postgres/definition.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { shopDdl, startTwoServers } from './two-servers.ts';
import type { TwoServers } from './two-servers.ts';

let servers: TwoServers;

beforeAll(async () => {
  servers = await startTwoServers();
  await servers.source.query(shopDdl);
});
afterAll(() => servers[Symbol.asyncDispose]());

async function read(name: string): Promise<TableDefinition> {
  return introspectTable(servers.source, { schema: 'shop', name });
}

interface Made {
  readonly definition: TableDefinition;
  readonly plan: TablePlan;
  readonly schema: SchemaPlan;
}

async function make(name: string, options: Partial<PlanOptions> = {}): Promise<Made> {
  const definition = await read(name);
  const plan = planTable(definition, { tableId: name, ...options });
  const schema = planSchema(definition, plan, { localVersion: 180000 });
  await createTable(servers.local, definition, plan, schema);
  await buildKey(servers.local, schema);
  await buildIndexes(servers.localServer.address, schema, { connections: 2, concurrently: true });
  return { definition, plan, schema };
}

/** What must be equal on both sides, names and numbers of the server aside. */
function meaning(definition: TableDefinition): unknown {
  return {
    columns: definition.columns.map(({ name, type, notNull, default: expression, identity, generated, collation, storage, statistics, comment }) =>
      ({ name, type, notNull, default: expression?.replaceAll('moved.', 'shop.'), identity, generated, collation: collation?.name, storage, statistics: statistics === -1 ? null : statistics, comment })),
    constraints: definition.constraints,
    indexes: definition.indexes.map(({ name, tail, unique, primary, valid, immediate, constraint }) => ({ name, tail, unique, primary, valid, immediate, constraint })),
    foreignKeys: definition.foreignKeys.map((key) => ({ ...key, child: key.child.name, parent: key.parent.name })),
    partitions: definition.partitions.map(({ name, bound, partitioning, ownIndexes }) => ({ name, bound, partitioning, ownIndexes })),
    sequences: definition.sequences.map(({ name, column, identity, type, start, increment, min, max, cache, cycle }) => ({ name, column, identity, type, start, increment, min, max, cache, cycle })),
    requiredTypes: definition.requiredTypes.map((type) => (type.kind === 'extension' ? { ...type, version: '' } : type)),
    comment: definition.comment, partitioning: definition.partitioning, storageOptions: definition.storageOptions, replicaIdentity: definition.replicaIdentity.kind,
  };
}

const all = ['customer', 'orders', 'event', 'audit', 'alone'];
const sameName = (name: QualifiedName): QualifiedName => name;

describe('schema on local', () => {
  it('means the same as on the source, types, keys, indexes, constraints, partitions and sequences included', async () => {
    for (const name of all) {
      const { definition, plan } = await make(name);
      const before = await introspectTable(servers.local, plan.target);
      expect(diffDefinitions(definition, before, { sameTable: false, target: plan.target })).toEqual([]);
    }
    for (const name of all) {
      const definition = await read(name);
      expect(await addForeignKeys(servers.local, planForeignKeys(definition, sameName), () => true)).toEqual([]);
    }
    for (const name of all) expect(meaning(await introspectTable(servers.local, { schema: 'shop', name })), name).toEqual(meaning(await read(name)));
    const rows = await servers.local.query("INSERT INTO shop.customer (email) VALUES ('a@b') RETURNING id");
    expect(rows.rows).toEqual([{ id: 100 }]);
  });

  it('is made again without a change', async () => {
    const read = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (const name of all) found.push(meaning(await introspectTable(servers.local, { schema: 'shop', name })));
      return found;
    };
    const before = await read();
    for (const name of all) {
      const { definition } = await make(name);
      await addForeignKeys(servers.local, planForeignKeys(definition, sameName), () => true);
    }
    expect(await read()).toEqual(before);
  });

  it('is completed after a crash at any step', async () => {
    const { definition, schema, plan } = await make('orders', { targetSchema: 'crashed' });
    const wanted = meaning(await introspectTable(servers.local, plan.target));
    const steps = schema.preData.length + 4;
    for (let stop = 1; stop < steps; stop += 1) {
      await servers.local.query('DROP SCHEMA crashed CASCADE');
      for (const step of schema.preData.slice(0, stop)) if (!step.name.startsWith('type') && !/shop|types/.test(step.name)) for (const sql of step.sql) await servers.local.query(sql);
      if (stop > schema.preData.length) await buildKey(servers.local, schema);
      if (stop === schema.preData.length + 2) await servers.local.query('CREATE UNIQUE INDEX part_unique ON crashed.orders USING btree (customer_id, "USING x") WHERE (parent IS NULL)');
      await createTable(servers.local, definition, plan, schema);
      await buildKey(servers.local, schema);
      await buildIndexes(servers.localServer.address, schema, { connections: 3, concurrently: false });
      expect(meaning(await introspectTable(servers.local, plan.target))).toEqual(wanted);
    }
    await servers.local.query('DROP SCHEMA crashed CASCADE');
  });

  it('takes another schema and name, sequences and partitions along', async () => {
    const { plan } = await make('orders', { targetSchema: 'moved', targetTable: 'purchase' });
    const local = await introspectTable(servers.local, plan.target);
    expect(local.columns.find((column) => column.name === 'id')?.default).toBe("nextval('moved.orders_id_seq'::regclass)");
    expect(local.columns.find((column) => column.name === 'ticket')?.default).toBe("nextval('shop.ticket'::regclass)");
    expect(local.indexes.length).toBe((await read('orders')).indexes.length);
    await make('event', { targetSchema: 'moved' });
    expect((await listTables(servers.local, 'moved')).map((table) => table.name)).toEqual(['event', 'purchase']);
    const steps = planForeignKeys(await read('event'), (name) => (name.name === 'event' ? { schema: 'moved', name: 'event' } : name.name === 'customer' ? name : undefined));
    expect(steps.length).toBe(1);
    expect(await addForeignKeys(servers.local, steps, (name) => name.name === 'event')).toEqual(steps);
    expect(await addForeignKeys(servers.local, steps, () => true)).toEqual([]);
  });

  it('of a subset of columns leaves out what needs the others', async () => {
    const { plan } = await make('orders', { targetSchema: 'narrow', columns: ['id', 'customer_id', 'status', 'total'] });
    const local = await introspectTable(servers.local, plan.target);
    expect(local.columns.map((column) => column.name)).toEqual(['id', 'customer_id', 'status', 'total']);
    expect(local.constraints.map((constraint) => constraint.name)).toEqual(['orders_pk', 'loose', 'positive']);
    expect(local.sequences.map((sequence) => sequence.name)).toEqual(['orders_id_seq']);
  });

  it('keeps index names unless another relation has them', async () => {
    await servers.local.query('CREATE SCHEMA taken; CREATE TABLE taken.orders_pk (x int)');
    const { plan } = await make('orders', { targetSchema: 'taken' });
    const local = await introspectTable(servers.local, plan.target);
    expect(local.indexes.find((index) => index.primary)?.name).toBe('orders_pk_1');
    await make('orders', { targetSchema: 'taken' });
    expect((await introspectTable(servers.local, plan.target)).indexes.length).toBe(local.indexes.length);
  });

  it('accepts a compatible table and refuses another, naming each difference and its remedy', async () => {
    await servers.local.query('CREATE SCHEMA ready; CREATE TABLE ready.customer (note text, id int PRIMARY KEY, email citext NOT NULL, extra int DEFAULT 7)');
    await make('customer', { targetSchema: 'ready' });
    await servers.local.query('CREATE SCHEMA wrong; CREATE TABLE wrong.customer (id bigint PRIMARY KEY, email varchar(5), extra int NOT NULL, UNIQUE (extra))');
    const refused = make('customer', { targetSchema: 'wrong' });
    await expect(refused).rejects.toMatchObject({ code: 'MIG011', detail: expect.stringMatching(/column id: type is integer on the source, bigint on local.*column email: type is .*citext.*column note text is not on local.*column extra.*unique key \(extra\) is on local only/) as string });
    await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('ADD COLUMN "note" text') as string });
  });
});

describe('definitions', () => {
  it('of the same table then and now differ by what DDL did, with a remedy', async () => {
    const before = await read('event');
    expect(definitionHash(await read('event'))).toBe(definitionHash(before));
    await servers.source.query("ALTER TABLE shop.event ADD COLUMN extra text; ALTER TABLE shop.event DETACH PARTITION shop.event_2024; CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')");
    const now = await read('event');
    expect(definitionHash(now)).not.toBe(definitionHash(before));
    const differences = diffDefinitions(before, now, { sameTable: true, target: { schema: 'new', name: 'event' } });
    expect(differences.find((difference) => difference.kind === 'column_added')).toMatchObject({ subject: 'extra', blocking: true, remedy: 'ALTER TABLE "new"."event" ADD COLUMN "extra" text' });
    expect(differences.find((difference) => difference.kind === 'partition_added')).toMatchObject({ blocking: false, remedy: `CREATE TABLE "new"."event_2025" PARTITION OF "new"."event" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')` });
    expect(differences.find((difference) => difference.kind === 'partition_dropped')).toMatchObject({ subject: 'shop.event_2024', blocking: true });
  });

  it('notice a column dropped and added again under its name, and a table made anew', async () => {
    await servers.source.query('CREATE TABLE shop.again (id int PRIMARY KEY, v text)');
    const before = await read('again');
    await servers.source.query('ALTER TABLE shop.again DROP COLUMN v; ALTER TABLE shop.again ADD COLUMN v text');
    const options = { sameTable: true, target: { schema: 'shop', name: 'again' } };
    expect(diffDefinitions(before, await read('again'), options).map((difference) => difference.kind)).toEqual(['column_order']);
    await servers.source.query('DROP TABLE shop.again; CREATE TABLE shop.again (id int PRIMARY KEY, v text)');
    expect(diffDefinitions(before, await read('again'), options).map((difference) => difference.kind)).toEqual(['table']);
  });
});
