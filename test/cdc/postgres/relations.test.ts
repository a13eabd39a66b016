/** Property: every tie between tables is found with its reason; what reaches a migrated table is in the routing relations. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { groupOf, tableGroups } from '../../../cdc/postgres/groups.ts';
import { readWriteEdges, routingRelations } from '../../../cdc/postgres/relations.ts';
import { advanceSequences, readTableSequences, wantedPosition } from '../../../cdc/postgres/sequences.ts';
import type { SequenceDefinition } from '../../../cdc/postgres/definition.ts';
import { shopDdl, startTwoServers } from './two-servers.ts';
import type { TwoServers } from './two-servers.ts';

let servers: TwoServers;

beforeAll(async () => {
  servers = await startTwoServers();
  for (const client of [servers.source, servers.local]) {
    await client.query(shopDdl);
    await client.query(`CREATE TABLE shop.invoice (id int PRIMARY KEY, ticket bigint DEFAULT nextval('shop.ticket')); CREATE TABLE public.orders (id int); CREATE TABLE shop."we.ird" (id int PRIMARY KEY);
      CREATE TABLE shop.ruled (id int); CREATE TABLE shop.copied (id int); CREATE RULE copy AS ON INSERT TO shop.ruled DO ALSO INSERT INTO shop.copied VALUES (NEW.id)`);
  }
});
afterAll(() => servers[Symbol.asyncDispose]());

describe('groups', () => {
  it('hold what foreign keys, triggers, rules and shared sequences tie, roots standing for partitions', async () => {
    const groups = await tableGroups(servers.source);
    expect(groups.map((group) => group.tables.map((table) => table.name))).toEqual([['audit', 'customer', 'event', 'invoice', 'orders'], ['copied', 'ruled']]);
    expect(new Set(groups[0]?.ties.map((tie) => `${tie.reason} ${tie.a.name} ${tie.b.name} ${tie.name}`))).toEqual(new Set([
      'foreign_key orders customer orders_customer_id_fkey', 'foreign_key event customer event_customer_id_fkey', 'trigger orders audit log', 'sequence orders invoice ticket',
    ]));
    expect(groups[1]?.ties).toMatchObject([{ reason: 'rule', name: 'copy' }]);
    expect(await groupOf(servers.source, { schema: 'shop', name: 'alone' })).toEqual({ tables: [{ schema: 'shop', name: 'alone' }], ties: [] });
  });
});

describe('routing relations', () => {
  it('name views, sequences, write closure, shadows and partitions of the migrated tables', async () => {
    const tables = ['customer', 'orders', 'event', 'audit', 'we.ird'].map((name) => ({ schema: 'shop', name }));
    const relations = await routingRelations(servers.source, tables);
    expect(relations.views).toEqual({ 'shop.paid': ['shop.customer', 'shop.orders'], 'shop.paid2': ['shop.customer', 'shop.orders'] });
    expect(relations.sequences).toEqual({ 'shop.customer_id_seq': 'shop.customer', 'shop.orders_id_seq': 'shop.orders', 'shop.audit_id_seq': 'shop.audit', 'shop.ticket': 'shop.orders' });
    expect(relations.writeClosure).toEqual({ 'shop.customer': ['shop.audit', 'shop.orders'], 'shop.orders': ['shop.audit'] });
    expect(relations.shadows).toEqual(['public.orders']);
    expect(relations.partitions).toEqual({ 'shop.event_2024': 'shop.event', 'shop.event_rest': 'shop.event', 'shop.event_rest_1': 'shop.event', 'shop.event_rest_d': 'shop.event' });
    expect(await routingRelations(servers.source, [])).toMatchObject({ views: {}, shadows: [] });
    expect((await readWriteEdges(servers.source)).filter((edge) => edge.reason === 'trigger').length).toBe(1);
  });
});

describe('sequences', () => {
  it('are set past the other side with a margin, never backwards, both ways', async () => {
    const { source, local } = servers;
    await source.query("SELECT nextval('shop.orders_id_seq') FROM generate_series(1, 10); SELECT setval('shop.customer_id_seq', 200); SELECT nextval('shop.ticket')");
    await local.query("SELECT setval('shop.customer_id_seq', 100000)");
    const tables = ['orders', 'customer', 'alone'].map((name) => ({ from: { schema: 'shop', name }, to: { schema: 'shop', name } }));
    const advanced = await advanceSequences(source, local, tables, 1000);
    expect(advanced.map(({ to, fromValue, toValue }) => [to.name, fromValue, toValue])).toEqual([['orders_id_seq', '10', '1010'], ['ticket', '1009', '2009'], ['customer_id_seq', '200', '100000']]);
    expect((await local.query("SELECT nextval('shop.orders_id_seq')::int AS n, nextval('shop.customer_id_seq')::int AS c, nextval('shop.ticket')::int AS t")).rows).toEqual([{ n: 1011, c: 100005, t: 2010 }]);
    await advanceSequences(local, source, tables, 0);
    expect((await source.query("SELECT nextval('shop.orders_id_seq')::int AS n, nextval('shop.customer_id_seq')::int AS c")).rows).toEqual([{ n: 1012, c: 100010 }]);
    expect((await readTableSequences(source, { schema: 'shop', name: 'nowhere' }))).toEqual([]);
  });

  it('that were never called stay untouched; ends and directions are kept', () => {
    const sequence: SequenceDefinition = { schema: 's', name: 'q', ownedBy: 'id', column: 'id', identity: false, type: 'integer', start: '1', increment: '1', min: '1', max: '100', cache: '1', cycle: false, lastValue: '1', isCalled: false };
    const down = { ...sequence, increment: '-1', start: '-1', min: '-100', max: '-1', lastValue: '-10', isCalled: true };
    expect(wantedPosition(sequence, sequence, 10n)).toBeUndefined();
    expect(wantedPosition({ ...sequence, lastValue: '50' }, { ...sequence, max: '10000' }, 10n)).toEqual({ value: 59n, exhausted: false });
    expect(wantedPosition(down, { ...down, min: '-10000' }, 10n)).toEqual({ value: -20n, exhausted: false });
    // What a margin may not take is left to be drawn.
    expect(wantedPosition({ ...sequence, lastValue: '16', isCalled: true }, { ...sequence, max: '255' }, 1000n)).toEqual({ value: 18n, exhausted: false });
    expect(wantedPosition({ ...sequence, lastValue: '95', isCalled: true }, sequence, 10n)).toEqual({ value: 95n, exhausted: false });
    expect(wantedPosition({ ...sequence, lastValue: '120', isCalled: true }, sequence, 10n)).toEqual({ value: 100n, exhausted: true });
    expect(wantedPosition({ ...sequence, lastValue: '1', isCalled: true }, sequence, 0n)).toEqual({ value: 1n, exhausted: false });
  });
});
