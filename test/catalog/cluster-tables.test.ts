/** Tables of clusters stand in the catalog like all others, and nothing that routes statements sees them; a name is of one table, wherever it is. */
import { expect, test } from 'vitest';
import { clusterWrapper } from '../../catalog/records.ts';
import { newTable, testCatalog } from './support.ts';

test('tables of databases and of clusters are listed apart', async () => {
  await using opened = await testCatalog();
  const { catalog } = opened;
  await catalog.createServer({ name: 'cassandra_source', wrapper: clusterWrapper, options: {} });
  const orders = await catalog.createTable(newTable('orders'));
  const name = { schema: 'shop', name: 'item' };
  const item = await catalog.createTable({ ...newTable('item'), sourceServer: 'cassandra_source', sourceName: 'cassandra_source', source: name, target: name });
  const idsOf = (records: readonly { readonly tableId: string }[]): readonly string[] => records.map(({ tableId }) => tableId);
  expect([idsOf(await catalog.tables()), idsOf(await catalog.clusterTables())]).toEqual([[orders.tableId], [item.tableId]]);
  expect(await catalog.tableByName('shop', 'item')).toBeUndefined();
  await expect(catalog.createTable({ ...newTable('item'), source: name, target: name })).rejects.toMatchObject({ code: 'MIG073' });
  const epoch = await catalog.epoch();
  await catalog.moveState(item.tableId, 'NOT_STARTED', 'BULK_LOADING', { trigger: 'test', together: { newEpoch: false } });
  expect(await catalog.epoch()).toBe(epoch);
  await catalog.moveState(item.tableId, 'BULK_LOADING', 'ROLLBACK', { trigger: 'test' });
  await catalog.moveState(item.tableId, 'ROLLBACK', 'NOT_STARTED', { trigger: 'test' });
  await catalog.endTable(item.tableId, 'NOT_STARTED');
  expect([idsOf(await catalog.tables()), await catalog.clusterTables()]).toEqual([[orders.tableId], []]);
});
