/** Property: the ledger of loss adds up what it is told, keeps the first examples and what was accepted, and loses none of it with the process. */
import Database from 'better-sqlite3';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NewTypeLoss, TableRecord } from '../../catalog/records.ts';
import { newTable, testCatalog } from './support.ts';
import type { TestCatalog } from './support.ts';

let opened: TestCatalog;
let orders: TableRecord;

beforeEach(async () => {
  opened = await testCatalog();
  orders = await opened.catalog.createTable(newTable('orders'));
});

afterEach(() => opened[Symbol.asyncDispose]());

function loss(values: number, more: Partial<NewTypeLoss> = {}): NewTypeLoss {
  const examples = Array.from({ length: Math.min(values, 5) }, (_, at) => ({ value: `${values}.${at}`, becomes: at === 0 ? null : 'x' }));
  return { tableId: orders.tableId, column: 'born', direction: 'to_local', kind: 'zero_date', policy: 'null', values, examples, ...more };
}

const definition = (column: string, value: string): NewTypeLoss => loss(1, { column, direction: 'definition', kind: 'index', policy: undefined, examples: [{ value, becomes: null }] });

test('adds up by column, direction and kind, with the first five examples, and survives a crash', async () => {
  const other = await opened.catalog.createTable(newTable('other'));
  await opened.catalog.addTypeLosses([loss(3), loss(1, { column: 'note', kind: 'nul_character', policy: 'clamp' }), loss(9, { tableId: other.tableId })]);
  opened.clock.ms += 1_000;
  await opened.catalog.addTypeLosses([loss(4), loss(2, { direction: 'to_source', kind: 'date_range' })]);
  await opened.crash();
  const found = await opened.catalog.typeLosses(orders.tableId);
  expect(found.map(({ column, direction, kind, policy, values }) => [column, direction, kind, policy, values])).toEqual([
    ['born', 'to_local', 'zero_date', 'null', 7], ['born', 'to_source', 'date_range', 'null', 2], ['note', 'to_local', 'nul_character', 'clamp', 1],
  ]);
  expect(found[0]).toMatchObject({ firstSeenAt: '2026-03-01T10:00:00.000Z', lastSeenAt: '2026-03-01T10:00:01.000Z', acceptedAt: undefined, acceptedBy: undefined });
  expect(found[0]?.examples).toEqual([{ value: '3.0', becomes: null }, { value: '3.1', becomes: 'x' }, { value: '3.2', becomes: 'x' }, { value: '4.0', becomes: null }, { value: '4.1', becomes: 'x' }]);
  expect((await opened.catalog.typeLosses()).length).toBe(4);
});

test('what was accepted stays so for more of its kind, and for nothing else', async () => {
  await opened.catalog.addTypeLosses([loss(3), loss(1, { column: 'note', kind: 'nul_character' })]);
  expect((await opened.catalog.acceptTypeLosses(orders.tableId, { column: 'born', user: 'ops' })).map(({ column, values }) => [column, values])).toEqual([['born', 3]]);
  expect(await opened.catalog.acceptTypeLosses(orders.tableId, { column: 'born', user: 'someone' })).toEqual([]);
  await opened.catalog.addTypeLosses([loss(1), loss(1, { kind: 'invalid_date' })]);
  const accepted = (await opened.catalog.typeLosses(orders.tableId)).map(({ column, kind, values, acceptedBy }) => [column, kind, values, acceptedBy]);
  expect(accepted).toEqual([['born', 'invalid_date', 1, undefined], ['born', 'zero_date', 4, 'ops'], ['note', 'nul_character', 1, undefined]]);
  expect((await opened.catalog.acceptTypeLosses(orders.tableId, { user: 'ops' })).map(({ kind }) => kind)).toEqual(['invalid_date', 'nul_character']);
});

test('a table that is loaded again counts from zero: nothing doubles', async () => {
  await opened.catalog.addTypeLosses([loss(3), loss(1, { column: 'note', kind: 'nul_character' }), loss(2, { direction: 'to_source', kind: 'date_range' })]);
  await opened.catalog.acceptTypeLosses(orders.tableId, { column: 'note', user: 'ops' });
  await opened.catalog.restartTypeLosses(orders.tableId);
  const seen = async (): Promise<unknown[]> => (await opened.catalog.typeLosses(orders.tableId)).map(({ kind, values, examples, acceptedBy }) => [kind, values, examples.length, acceptedBy]);
  expect(await seen()).toEqual([['date_range', 2, 2, undefined], ['nul_character', 0, 0, 'ops']]);
  await opened.catalog.addTypeLosses([loss(3)]);
  expect(await seen()).toEqual([['zero_date', 3, 3, undefined], ['date_range', 2, 2, undefined], ['nul_character', 0, 0, 'ops']]);
  await opened.catalog.forgetTypeLosses(orders.tableId);
  expect(await seen()).toEqual([]);
});

test('definitions are replaced; one that changes has to be accepted again', async () => {
  const put = (...losses: readonly NewTypeLoss[]): Promise<void> => opened.catalog.putDefinitionLosses(orders.tableId, losses);
  await put(definition('by_note', 'FULLTEXT (note)'), definition('by_place', 'SPATIAL (place)'));
  await opened.catalog.acceptTypeLosses(orders.tableId, { user: 'ops' });
  await put(definition('by_note', 'FULLTEXT (note, title)'), definition('by_place', 'SPATIAL (place)'), definition('by_shape', 'SPATIAL (shape)'));
  expect((await opened.catalog.typeLosses()).map(({ column, examples, acceptedBy }) => [column, examples[0]?.value, acceptedBy])).toEqual([
    ['by_note', 'FULLTEXT (note, title)', undefined], ['by_place', 'SPATIAL (place)', 'ops'], ['by_shape', 'SPATIAL (shape)', undefined],
  ]);
  await opened.catalog.addTypeLosses([loss(1)]);
  await put();
  expect((await opened.catalog.typeLosses()).map(({ kind }) => kind)).toEqual(['zero_date']);
});

test('a catalog of the version before gets the ledger when it is opened', async () => {
  const file = path.join(opened.directory, 'older', 'catalog.db');
  fs.mkdirSync(path.dirname(file));
  const older = new Database(file);
  older.exec(fs.readFileSync(path.join(import.meta.dirname, '..', '..', 'catalog', 'schema', '0001-catalog.sql'), 'utf8'));
  older.exec("INSERT INTO setting (name, value) VALUES ('catalog_id', 'the first'); PRAGMA user_version = 1");
  older.close();
  const { openSqliteCatalog } = await import('../../catalog/sqlite/open-catalog.ts');
  await using catalog = openSqliteCatalog({ file, key: opened.key, clock: opened.clock });
  expect(catalog.catalogId).toBe('the first');
  await catalog.acquire({ pid: process.pid, host: 'test' });
  const { tableId } = await catalog.createTable(newTable('orders'));
  await catalog.addTypeLosses([loss(1, { tableId })]);
  expect((await catalog.typeLosses(tableId)).length).toBe(1);
});
