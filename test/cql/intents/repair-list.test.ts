/** The repair list is kept by table: what one table's scan has repaired leaves, and what is said of others, or was noted since, stays, also for the next process. */
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

test('entries of one table leave by its scan', async () => {
  const list = open();
  for (const tables of [['ks.a'], ['ks.b'], ['ks.a', 'ks.b']]) await list.add(entry(...tables));
  const { entries } = list.state();
  await list.add(entry('ks.a'));
  expect(counts(list)).toEqual([4, 3, 2]);
  await list.clear(entries, 'ks.a');
  expect(counts(list)).toEqual([3, 1, 2]);
  await list.close();
  const again = open();
  expect(counts(again)).toEqual([3, 1, 2]);
  await again.add(entry('ks.b'));
  expect(counts(again)).toEqual([4, 1, 3]);
  await again.clear(4);
  expect(counts(again)).toEqual([0, 0, 0]);
  await again.close();
});

test('an entry whose tables are not known counts for every table, and a scan of one does not remove it', async () => {
  const list = open();
  await list.add(entry());
  expect(counts(list)).toEqual([1, 1, 1]);
  await list.clear(1, 'ks.a');
  expect(counts(list)).toEqual([1, 1, 1]);
  await list.close();
});

test('a damaged list stays as it is until everything has been scanned', async () => {
  const list = open();
  for (const table of ['ks.a', 'ks.b']) await list.add(entry(table));
  await list.close();
  const file = path.join(folder, 'repairs.jsonl');
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('ks.b', 'ks.c'));
  const damaged = open();
  expect(damaged.state()).toMatchObject({ isWhole: false, entries: 1 });
  await damaged.clear(1, 'ks.a');
  expect(damaged.state()).toMatchObject({ isWhole: false, entries: 1 });
  await damaged.clear(1);
  expect(damaged.state()).toMatchObject({ isWhole: true, entries: 0 });
  await damaged.close();
});
