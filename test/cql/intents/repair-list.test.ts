/** The repair list is counted by table; what is taken off leaves, and what is said of others stays, also for the next process. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RepairList } from '../../../src/cql/intents/repair-list.ts';
import type { RepairEntry } from '../../../src/cql/intents/repair-list.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repairs-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const open = (): RepairList => RepairList.open(path.join(folder, 'repairs.jsonl'), 1024 * 1024);
const entry = (...tables: readonly string[]): RepairEntry => ({ atMs: 1, reason: 'condition', owes: 2, tables, keyspace: 'ks', opcode: 7, version: 4, texts: [], body: 'AA==', message: '' });
const counts = (list: RepairList): readonly number[] => [list.state().entries, list.entriesOf('ks.a'), list.entriesOf('ks.b')];

test('entries are counted by table, before and after some are taken off; one whose tables are not known counts for every table', async () => {
  const list = open();
  for (const tables of [['ks.a'], ['ks.b'], ['ks.a', 'ks.b'], []]) await list.add(entry(...tables));
  expect(counts(list)).toEqual([4, 3, 3]);
  expect(await list.remove(({ tables }) => tables.length === 1 && tables[0] === 'ks.a')).toBe(1);
  expect(counts(list)).toEqual([3, 2, 3]);
  await list.close();
  const again = open();
  expect(counts(again)).toEqual([3, 2, 3]);
  await again.add(entry('ks.b'));
  expect(counts(again)).toEqual([4, 2, 4]);
  expect(await again.remove(() => true)).toBe(4);
  expect(counts(again)).toEqual([0, 0, 0]);
  await again.close();
});

test('a damaged list stays as it is', async () => {
  const list = open();
  for (const table of ['ks.a', 'ks.b']) await list.add(entry(table));
  await list.close();
  const file = path.join(folder, 'repairs.jsonl');
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('ks.b', 'ks.c'));
  const damaged = open();
  expect(damaged.state()).toMatchObject({ isWhole: false, entries: 1 });
  expect(await damaged.remove(() => true)).toBe(0);
  expect(damaged.state()).toMatchObject({ isWhole: false, entries: 1 });
  await damaged.close();
});
