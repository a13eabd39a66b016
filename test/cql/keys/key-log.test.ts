/** The log of keys tells every write of a table since a time, or that it does not: not beyond what was dropped, not while one cluster alone was written, not past a statement without keys. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noFaults } from '../../../config/faults.ts';
import { openIntentLog } from '../../../src/cql/intents/disk-log.ts';
import type { DiskLog } from '../../../src/cql/intents/disk-log.ts';
import { BOTH } from '../../../src/cql/intents/intent-log.ts';
import type { KeyedTable } from '../../../src/cql/keys/key-columns.ts';
import { KeyLog } from '../../../src/cql/keys/key-log.ts';
import { KeyReader } from '../../../src/cql/keys/key-reader.ts';
import { everywhere } from '../../../src/cql/modes.ts';
import type { ModeTable } from '../../../src/cql/modes.ts';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { int32 } from '../../support/cql/raw-client.ts';

const statement = { id: Buffer.alloc(16, 3), keyspace: 'ks', text: 'INSERT INTO t (k, v) VALUES (?, ?)' };
const table: KeyedTable = { keyspace: 'ks', table: 't', partitionKey: [{ name: 'k', type: 'int' }], clustering: [] };
const dual = everywhere('DualAsync');

let directory: string;
let nowMs: number;
let lastRepair: number;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'keys-'));
  nowMs = 1_000_000;
  lastRepair = 0;
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

interface Opened { readonly keys: KeyLog; readonly log: DiskLog }

function open({ bytes = 1e9, modes = dual, bootId = 'first' }: { readonly bytes?: number; readonly modes?: ModeTable; readonly bootId?: string } = {}): Opened {
  const keys = new KeyLog({ directory, bytes, bootId, nowMs: () => nowMs });
  const { log, damages } = openIntentLog({ directory: path.join(directory, 'intents'), maxBytes: 1e9, fsync: 'none', faults: noFaults, onDisk: () => undefined, segmentBytes: 1000, retire: (segment) => keys.keep(segment) });
  keys.begin(modes, log.writtenUpTo + 1, damages.length > 0);
  return { keys, log };
}

/** One write of this key, as the proxy appends it; every some of them fill a segment. */
function write({ log }: Opened, key: number, bytes = 100): number {
  const body = new BodyWriter(200 + bytes).short(16).raw(statement.id).short(1).raw(Buffer.from([1])).short(2).bytes(int32(key)).bytes(Buffer.alloc(bytes)).done();
  const ticket = log.append({ version: 4, keyspace: 'ks', user: '' }, 0x0a, BOTH, 0, nowMs, [statement], body);
  log.flush();
  return ticket;
}

const files = (folder: string): number => fs.readdirSync(path.join(directory, folder)).filter((name) => /\.(?:kept|intents)$/.test(name)).length;

/** Sorted keys, or why they are not known. */
async function since(ms: number, of = table, pageKeys = 3, bootId = 'first'): Promise<readonly number[] | string> {
  const reader = new KeyReader({ directory, bootId, nowMs: () => nowMs, lastRepair: () => lastRepair, pageKeys });
  const found: number[] = [];
  for (let after: string | undefined; ; ) {
    const page = await reader.page(of, ms, after);
    if (page.unknown !== undefined) return page.unknown;
    found.push(...page.keys.map(({ partitionKey: [key] }) => key?.readInt32BE() ?? NaN));
    if (page.next === undefined) return [...new Set(found)].sort((a, b) => a - b);
    after = page.next;
  }
}

test('writes are told while they are owed, when they have ended, and by a later process', async () => {
  const opened = open();
  nowMs += 10;
  const begun = nowMs;
  for (let key = 0; key < 10; key += 1) opened.log.settle(write(opened, key));
  nowMs += 10;
  const later = nowMs;
  for (let key = 10; key < 20; key += 1) opened.log.settle(write(opened, key % 13));
  await expect.poll(() => files('keys')).toBeGreaterThan(1);
  expect(await since(begun)).toEqual(Array.from({ length: 13 }, (_, key) => key));
  expect(await since(later)).toEqual([0, 1, 2, 3, 4, 5, 6, 10, 11, 12]);
  expect(await since(begun, { ...table, table: 'other' })).toEqual([]);
  // Ends without a word, as a process that is killed does: its last segment is not sealed.
  const again = open();
  nowMs += 10;
  again.log.settle(write(again, 99));
  expect(await since(begun)).toEqual([...Array.from({ length: 13 }, (_, key) => key), 99]);
  expect(await since(nowMs)).toEqual([99]);
  await again.log.close();
});

test('what is still owed is told however old it is', async () => {
  const opened = open();
  nowMs += 10;
  opened.log.release(write(opened, 1), BOTH);
  opened.log.settle(write(opened, 2));
  await expect.poll(() => fs.readdirSync(path.join(directory, 'intents')).some((name) => name.endsWith('.ends'))).toBe(true);
  nowMs += 1000;
  expect(await since(nowMs)).toEqual([1]);
  await opened.log.close();
});

test('what was dropped is said, before it is gone', async () => {
  const opened = open({ bytes: 3000 });
  nowMs += 10;
  const begun = nowMs;
  for (let key = 0; key < 40; key += 1) {
    nowMs += 10;
    opened.log.settle(write(opened, key));
  }
  await expect.poll(() => opened.keys.figures().droppedMs).toBeGreaterThan(begun);
  await expect.poll(() => opened.keys.figures().bytes).toBeLessThanOrEqual(3000);
  await opened.log.close();
  const { droppedMs } = opened.keys.figures();
  expect(await since(begun)).toMatch(/does not reach further back than/);
  expect(await since(droppedMs)).toMatch(/does not reach/);
  expect(await since(droppedMs + 1)).toEqual(Array.from({ length: 40 }, (_, key) => key).filter((key) => begun + (key + 1) * 10 > droppedMs));
  // A later process knows it too.
  const again = open({ bytes: 3000 });
  expect(await since(begun)).toMatch(/does not reach/);
  await again.log.close();
});

test('a segment that is dropped while its keys are read makes what was read unknown', async () => {
  const opened = open();
  nowMs += 10;
  const begun = nowMs;
  for (let key = 0; key < 20; key += 1) opened.log.settle(write(opened, key));
  await opened.log.close();
  const reader = new KeyReader({ directory, bootId: 'first', nowMs: () => nowMs, lastRepair: () => 0 });
  const first = await reader.page(table, begun);
  expect(first).toMatchObject({ unknown: undefined, next: expect.any(String) as string });
  await open({ bytes: 1 }).log.close();
  expect(await reader.page(table, begun, first.next)).toMatchObject({ unknown: expect.stringMatching(/does not reach/) as string, keys: [] });
});

test('a segment that is dropped before it is looked for makes what was read unknown', async () => {
  const opened = open();
  nowMs += 10;
  const begun = nowMs;
  for (let key = 0; key < 20; key += 1) opened.log.settle(write(opened, key));
  await expect.poll(() => files('keys')).toBeGreaterThan(2);
  let looks = 0;
  const reader = new KeyReader({
    directory, bootId: 'first', nowMs: () => nowMs,
    // Asked when the state was found good, before the first segment is opened.
    lastRepair: () => {
      if ((looks += 1) === 1) new KeyLog({ directory, bytes: 1, bootId: 'first', nowMs: () => nowMs }).begin(dual, 1000, false);
      return 0;
    },
  });
  expect(await reader.page(table, begun)).toMatchObject({ unknown: expect.stringMatching(/does not reach/) as string, keys: [] });
  await opened.log.close();
});

test('a disk that takes nothing: no log, until it does; a full one gets its room back', async () => {
  const opened = open({ bytes: 3000 });
  nowMs += 10;
  const begun = nowMs;
  opened.log.settle(write(opened, 1));
  expect(await since(begun)).toEqual([1]);
  const blocked = path.join(directory, 'keys', 'state.json.new');
  fs.mkdirSync(blocked);
  opened.keys.touch(['ks.t']);
  expect(await since(begun)).toMatch(/no log of keys/);
  nowMs += 10;
  for (let key = 0; key < 40; key += 1) opened.log.settle(write(opened, key));
  await expect.poll(() => opened.keys.figures().droppedMs).toBe(nowMs);
  await expect.poll(() => opened.keys.figures().bytes).toBeLessThanOrEqual(3000);
  expect(await since(begun)).toMatch(/no log of keys/);
  fs.rmdirSync(blocked);
  nowMs += 10;
  for (let key = 0; key < 10; key += 1) opened.log.settle(write(opened, key));
  await expect.poll(() => since(nowMs)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(await since(begun)).toMatch(/does not reach|without keys/);
  opened.keys.giveWay();
  expect(opened.keys.figures()).toMatchObject({ bytes: 0, droppedMs: nowMs });
  expect(await since(nowMs)).toMatch(/does not reach/);
  await opened.log.close();
});

test('a folder that is gone does not hold up the intent log', async () => {
  const opened = open();
  nowMs += 10;
  fs.rmSync(path.join(directory, 'keys'), { recursive: true });
  for (let key = 0; key < 40; key += 1) opened.log.settle(write(opened, key));
  await expect.poll(() => files('intents')).toBe(1);
  expect(opened.keys.figures()).toMatchObject({ bytes: 0, droppedMs: nowMs });
  expect(await since(nowMs)).toMatch(/no log of keys/);
  fs.mkdirSync(path.join(directory, 'keys'));
  for (let key = 0; key < 40; key += 1) opened.log.settle(write(opened, key));
  await expect.poll(() => files('keys')).toBeGreaterThan(0);
  expect(await since(nowMs)).toMatch(/does not reach/);
  await opened.log.close();
});

test('writes that are larger than what is read at once', async () => {
  const opened = open();
  const begun = nowMs += 10;
  for (const [key, bytes] of [100, 70_000, 65_400, 30, 300_000, 65_536, 1].entries()) opened.log.settle(write(opened, key, bytes));
  expect(await since(begun, table, 1)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  await opened.log.close();
});

test('after a start of the machine nothing of before is trusted', async () => {
  const opened = open();
  const begun = nowMs += 10;
  opened.log.settle(write(opened, 1));
  await opened.log.close();
  expect(await since(begun)).toEqual([1]);
  expect(await since(begun, table, 3, 'second')).toMatch(/last started/);
  nowMs += 10;
  const again = open({ bootId: 'second' });
  expect(await since(begun, table, 3, 'second')).toMatch(/does not reach/);
  nowMs += 10;
  again.log.settle(write(again, 2));
  expect(await since(nowMs, table, 3, 'second')).toEqual([2]);
  await again.log.close();
});

test('one cluster alone: unknown, and known again only from the end of that', async () => {
  const opened = open({ modes: everywhere('SourceOnly') });
  const begun = nowMs += 10;
  expect(await since(begun)).toMatch(/written on one cluster only/);
  const own = { ...everywhere('SourceOnly'), tables: new Map([['ks.t', 'DualSync' as const]]) };
  const settled = opened.keys.switching(own);
  // Requests of before may still be under way.
  nowMs += 10;
  expect(await since(nowMs)).toMatch(/noted since/);
  settled();
  const noted = nowMs;
  expect(await since(noted)).toEqual([]);
  expect(await since(noted - 1)).toMatch(/noted since/);
  expect(await since(noted, { ...table, table: 'u' })).toMatch(/one cluster only/);
  // Everything goes the table's way later: of the table more is known than of the others.
  nowMs += 1000;
  opened.keys.switching(everywhere('DualSync'))();
  expect(await since(noted)).toEqual([]);
  expect(await since(noted, { ...table, table: 'u' })).toMatch(/noted since/);
  expect(await since(nowMs, { ...table, table: 'u' })).toEqual([]);
  // Another process that is started in another mode.
  await opened.log.close();
  nowMs += 1000;
  const other = open({ modes: everywhere('TargetOnly') });
  expect(await since(nowMs)).toMatch(/one cluster only/);
  nowMs += 1000;
  other.keys.switching(dual)();
  expect(await since(nowMs - 1)).toMatch(/noted since/);
  expect(await since(nowMs)).toEqual([]);
  await other.log.close();
});

test('statements without keys, repairs, damage, and no log at all', async () => {
  const opened = open();
  const begun = nowMs += 10;
  opened.keys.touch(['ks.t', 'other.*']);
  expect(await since(begun)).toMatch(/without keys/);
  expect(await since(begun, { ...table, keyspace: 'other' })).toMatch(/without keys/);
  expect(await since(begun, { ...table, table: 'u' })).toEqual([]);
  expect(await since(begun + 1)).toEqual([]);
  nowMs += 10;
  opened.keys.touch(['']);
  expect(await since(nowMs, { ...table, table: 'u' })).toMatch(/without keys/);
  nowMs += 10;
  lastRepair = nowMs;
  expect(await since(nowMs)).toMatch(/waits for a repair/);
  expect(await since(nowMs + 1)).toEqual([]);
  lastRepair = 0;
  const write1 = write(opened, 1);
  opened.log.settle(write1);
  await opened.log.close();
  expect(await since(nowMs)).toEqual([1]);
  const [segment = ''] = fs.readdirSync(path.join(directory, 'intents')).filter((name) => name.endsWith('.intents'));
  const file = path.join(directory, 'intents', segment);
  const bytes = fs.readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 30) ^ 1, bytes.length - 30);
  fs.writeFileSync(file, Buffer.concat([bytes, bytes]));
  expect(await since(nowMs)).toMatch(/cannot be read/);
  nowMs += 10;
  // Nobody knows what stood there: what is known begins anew.
  const again = open();
  expect(await since(nowMs)).toMatch(/does not reach|cannot be read/);
  await again.log.close();
  await open({ bytes: 0 }).log.close();
  expect(await since(nowMs)).toMatch(/no log of keys/);
  expect(fs.existsSync(path.join(directory, 'keys'))).toBe(false);
});
