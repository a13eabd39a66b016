/**
 * Property: at most one process writes to a catalog. A second one is refused while the first lives, stopped or not, takes over at once
 * when it is dead, and whoever was taken over from changes nothing any more.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { loadOrCreateKey } from '../../catalog/credentials.ts';
import { CatalogConnection } from '../../catalog/sqlite/connection.ts';
import { openSqliteCatalog } from '../../catalog/sqlite/open-catalog.ts';
import { newTable, testClock } from './support.ts';

interface SecondProcess {
  readonly child: ChildProcessWithoutNullStreams;
  next(): Promise<Readonly<Record<string, unknown>>>;
}

let directory: string;
let file: string;
let keyFile: string;
const children: ChildProcessWithoutNullStreams[] = [];
const opened: Catalog[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-fence-'));
  file = path.join(directory, 'catalog.db');
  keyFile = path.join(directory, 'key');
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const catalog of opened.splice(0)) await catalog.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function open(): Catalog {
  const catalog = openSqliteCatalog({ file, key: loadOrCreateKey(keyFile), clock: testClock() });
  opened.push(catalog);
  return catalog;
}

function second(how: 'acquire' | 'take-over'): SecondProcess {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'owner-process.ts'), file, keyFile, how]);
  children.push(child);
  child.stderr.on('data', (data: Buffer) => process.stderr.write(data));
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    next: async () => {
      const line: IteratorResult<string> = await lines.next();
      return line.done === true ? { event: 'ended' } : (JSON.parse(line.value) as Readonly<Record<string, unknown>>);
    },
  };
}

const ended = (child: ChildProcessWithoutNullStreams): Promise<unknown> => new Promise((resolve) => child.once('exit', resolve));
const me = { pid: process.pid, host: os.hostname() };

test('a living owner keeps others out and is named', async () => {
  const catalog = open();
  const token = await catalog.acquire(me);
  const refused = await second('acquire').next();
  expect(refused).toMatchObject({ event: 'refused', code: 'MIG092' });
  expect(refused['message']).toContain(`process ${process.pid} on host ${os.hostname()}`);
  await catalog.putSetting('a', '1');
  expect(catalog.token).toBe(token);
});

test('a second catalog in the same process is refused too', async () => {
  await open().acquire(me);
  await expect(open().acquire(me)).rejects.toMatchObject({ code: 'MIG092' });
});

test('a killed owner is replaced at once, with a newer token', async () => {
  const other = second('acquire');
  const { token, pid } = await other.next();
  other.child.stdin.write('x\n');
  expect(await other.next()).toMatchObject({ event: 'written' });
  const catalog = open();
  await expect(catalog.acquire(me)).rejects.toThrow(`process ${String(pid)}`);
  const gone = ended(other.child);
  other.child.kill('SIGKILL');
  await gone;
  expect(await catalog.acquire(me)).toBeGreaterThan(Number(token));
  expect(await catalog.setting('written_by_second')).toBe('x:0');
  await catalog.putSetting('a', '1');
});

test('a stopped owner still counts as alive; taken over from by force, it writes nothing when it wakes', async () => {
  const other = second('acquire');
  await other.next();
  other.child.kill('SIGSTOP');
  const catalog = open();
  await expect(catalog.acquire(me)).rejects.toMatchObject({ code: 'MIG092' });
  await catalog.acquire(me, { takeOver: true });
  const created = await catalog.createTable(newTable('orders'));
  other.child.kill('SIGCONT');
  other.child.stdin.write('late\n');
  const refused = await other.next();
  expect(refused).toMatchObject({ event: 'refused', code: 'MIG092' });
  expect(refused['detail']).toContain(`process ${process.pid}`);
  expect(await catalog.setting('written_by_second')).toBeUndefined();
  expect((await catalog.tables()).map((table) => table.tableId)).toEqual([created.tableId]);
});

test('after a forced take-over every kind of write of the old owner fails with MIG092', async () => {
  const catalog = open();
  await catalog.acquire(me);
  const { tableId } = await catalog.createTable(newTable('orders'));
  const other = second('take-over');
  expect(await other.next()).toMatchObject({ event: 'owner', token: (catalog.token ?? 0) + 1 });
  const actor = { user: 'ops' };
  const position = { type: 'postgresql_lsn', lsn: '0/1' };
  const writes: readonly (() => Promise<unknown>)[] = [
    () => catalog.putSetting('a', '1'),
    () => catalog.createTable(newTable('users')),
    () => catalog.moveState(tableId, 'NOT_STARTED', 'BULK_LOADING', { trigger: 'x' }),
    () => catalog.changeRoutes('x', { routes: [{ tableId, route: { quiescing: true } }] }),
    () => catalog.changeTable(tableId, { groupName: 'g' }),
    () => catalog.setProgress([{ tableId, cdcLagMs: 1 }]),
    () => catalog.endTable(tableId, 'NOT_STARTED'),
    () => catalog.beginJournal({ attemptId: 'a', direction: 'cutover', tableIds: [tableId], step: 's' }),
    () => catalog.openInterval({ tableId, direction: 'forward', position }),
    () => catalog.putCheckpoint(tableId, Buffer.from('x')),
    () => catalog.putCdcPosition({ sourceServer: 's', tableName: 't', cdcType: 'x', position }),
    () => catalog.appendHistory({ tableId, eventType: 'error', details: {} }),
    () => catalog.audit({ action: 'MIGRATION_START', actor }),
    () => catalog.insertErrors([{ code: 'MIG001', message: 'x' }]),
    () => catalog.insertConflicts([]),
    () => catalog.addSamples([{ tableId, state: 'NOT_STARTED', rowsTotal: 1, rowsMigrated: 1, lagMs: 1, pendingChanges: 1, appliedChanges: 1 }]),
    () => catalog.putValidationChunks('v', []),
    () => catalog.createServer({ name: 's', wrapper: 'postgres', options: {} }),
    () => catalog.createSource({ name: 's', serverName: 's', options: {} }),
    () => catalog.createMapping('s', 'u', {}),
    () => catalog.rotateKey(loadOrCreateKey(keyFile), actor),
    () => catalog.assertOwned(),
  ];
  for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'MIG092' });
  expect(await catalog.table(tableId)).toMatchObject({ state: 'NOT_STARTED' });
});

test('a process that never acquired the catalog can read it and not write to it', async () => {
  const owner = open();
  await owner.acquire(me);
  await owner.createTable(newTable('orders'));
  const reader = open();
  expect((await reader.tables()).length).toBe(1);
  await expect(reader.putSetting('a', '1')).rejects.toMatchObject({ code: 'MIG092' });
  await owner.release();
  await expect(owner.putSetting('a', '1')).rejects.toMatchObject({ code: 'MIG092' });
  await reader.acquire(me);
  await reader.putSetting('a', '1');
});

test('a catalog of a later schema version is left alone', async () => {
  const catalog = open();
  await catalog.close();
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(file);
  database.pragma('user_version = 99');
  database.close();
  expect(() => open()).toThrow('schema version 99');
});

test('the file is in WAL mode with full synchronisation and foreign keys', async () => {
  const catalog = open();
  await catalog.acquire(me);
  await expect(catalog.appendHistory({ tableId: 'nobody', eventType: 'error', details: {} })).rejects.toThrow('FOREIGN KEY');
  const connection = CatalogConnection.open(file, testClock());
  const setting = (name: string): unknown => Object.values(connection.get(`PRAGMA ${name}`) ?? {})[0];
  expect([setting('journal_mode'), setting('synchronous'), setting('foreign_keys')]).toEqual(['wal', 2, 1]);
  connection.close();
});

test('what an owner was told is written is there after it is killed in the middle of writing', async () => {
  const other = second('acquire');
  await other.next();
  for (let round = 0; round < 200; round += 1) other.child.stdin.write(`${round}\n`);
  let acknowledged = 0;
  while (acknowledged < 20) acknowledged = Number((await other.next())['writes']);
  const gone = ended(other.child);
  other.child.kill('SIGKILL');
  await gone;
  const catalog = open();
  await catalog.acquire(me);
  const [, writes] = ((await catalog.setting('written_by_second')) ?? '').split(':');
  expect(Number(writes) + 1).toBeGreaterThanOrEqual(acknowledged);
});
