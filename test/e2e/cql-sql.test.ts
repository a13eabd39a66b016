/**
 * A Cassandra table is moved by migration SQL, as a table of a database is: START, VALIDATE, CUTOVER, ROLLBACK, COMPLETE through psql's door, while an application writes through the CQL proxy. What is
 * unsafe is refused with its reason, and whichever process is killed in whatever step, the table goes on from there: at the end both clusters hold the same in every cell, every acknowledged
 * write is there, and the application has had no error.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as os from 'node:os';
import cassandra from 'cassandra-driver';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { freePort } from '../support/postgres.ts';
import { clusterPoints } from './crash-points.ts';
import { Stack } from './support/stack.ts';
import type { StatusRow } from './support/stack.ts';

const LOADED = 600;
/** CAUSEWAY_SOAK=1: the control is killed at every point of a table's way; otherwise at those between proxy and catalog. */
const isWhole = process.env['CAUSEWAY_SOAK'] === '1';
const hosts = (cluster: MockCluster): string[] => cluster.database.nodes.map(({ address, port }) => `${address}:${port}`);
const faultPoints = [...clusterPoints, 'cassandra.load.page_written'];

let source: MockCluster;
let target: MockCluster;
let stack: Stack;
let state: string;
let httpPort: number;
let application: cassandra.Client;

beforeAll(async () => {
  source = await MockCluster.start({ clusterName: 'old' });
  target = await MockCluster.start({ clusterName: 'new', isScylla: true });
  for (const one of [source, target]) one.run("CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
  for (const table of ['item', 'gone', 'other']) source.run(`CREATE TABLE shop.${table} (shelf int, id int, name text, tags set<text>, PRIMARY KEY (shelf, id))`);
  source.run('CREATE TABLE shop.visits (id int PRIMARY KEY, n counter)');
  for (const table of ['item', 'other', 'gone']) for (let id = 0; id < LOADED; id += 1) source.run(`INSERT INTO shop.${table} (shelf, id, name, tags) VALUES (${id % 7}, ${id}, 'item ${id}', {'old'})`, BigInt(1_700_000_000_000_000 + id));
  const [port, http] = [await freePort(), await freePort()];
  httpPort = http;
  state = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-sql-'));
  stack = await Stack.start({
    sourceSql: 'CREATE TABLE accounts (id int PRIMARY KEY)', workers: 1, faultPoints,
    settings: { state_directory: state, cql: { listen: { port }, http: { port: http }, shadow_timeout_ms: 5000, replay: { first_delay_ms: 20, max_delay_ms: 200 }, source: { hosts: hosts(source) }, target: { hosts: hosts(target) } } },
  });
  application = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: 'dc1', policies: { retry: new cassandra.policies.retry.FallthroughRetryPolicy(), reconnection: new cassandra.policies.reconnection.ConstantReconnectionPolicy(100) } });
  await application.connect();
}, 240_000);

afterAll(async () => {
  await application?.shutdown();
  await stack?.[Symbol.asyncDispose]();
  await Promise.all([source?.close(), target?.close()]);
  if (state !== undefined) fs.rmSync(state, { recursive: true, force: true });
});

const write = (table: string, id: number, name: string): Promise<unknown> => application.execute(`INSERT INTO shop.${table} (shelf, id, name) VALUES (?, ?, ?)`, [id % 7, id, name], { prepare: true });
const nameOf = async (table: string, id: number): Promise<unknown> => (await application.execute(`SELECT name FROM shop.${table} WHERE shelf = ? AND id = ?`, [id % 7, id], { prepare: true })).first()?.['name'];
const stateOf = async (table: string): Promise<string> => (await stack.insist<StatusRow & { [column: string]: unknown }>('SHOW MIGRATION STATUS')).find((row) => row.Table === `shop.${table}`)?.State ?? 'NOT_STARTED';

async function untilState(table: string, wanted: string): Promise<void> {
  await expect.poll(async () => [wanted, 'ERROR'].includes(await stateOf(table)), { timeout: 60_000 }).toBe(true);
  const reached = await stateOf(table);
  expect(reached, reached === wanted ? '' : JSON.stringify(await stack.command(`SHOW MIGRATION ERRORS FOR TABLE shop.${table}`), undefined, 1)).toBe(wanted);
}

/** These servers do not tell the times of elements, so the load gives them one of its own. */
const different = (table: string): readonly string[] => compareStores(source.database, target.database, { isTimed: (_table, column) => column !== 'tags', isCompared: (name) => name === `shop.${table}` }).differences.filter((text) => text.startsWith(`shop.${table} `));

/** Writes its own keys one after the other until it is stopped, and remembers what was acknowledged. */
class Writer {
  readonly acknowledged = new Map<number, string>();
  readonly errors: string[] = [];
  #isOver = false;
  readonly #run: Promise<void>;

  constructor(table: string) {
    this.#run = (async () => {
      for (let n = 0; !this.#isOver; n += 1) {
        const id = 10_000 + ((n * 37) % 200);
        await write(table, id, `value ${n}`).then(() => this.acknowledged.set(id, `value ${n}`), (error: unknown) => this.errors.push(String(error)));
      }
    })();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#run;
  }
}

async function proxyMode(table: string): Promise<unknown> {
  const status = (await (await fetch(`http://127.0.0.1:${httpPort}/status`)).json()) as { readonly mode: string; readonly tables: Readonly<Record<string, string>> };
  return status.tables[`shop.${table}`] ?? status.mode;
}

async function killProxy(): Promise<void> {
  const file = path.join(state, 'cql', 'cql.pid');
  const pid = (): string => fs.readFileSync(file, 'utf8');
  const before = pid();
  process.kill(Number(before), 'SIGKILL');
  await expect.poll(pid, { timeout: 30_000 }).not.toBe(before);
  // The driver connects again by itself.
  await expect.poll(() => application.execute('SELECT name FROM shop.item LIMIT 1').then(() => 'answered', String), { timeout: 60_000 }).toBe('answered');
}

describe('a table of a cluster by migration SQL', () => {
  it('is looked at first, and what stands in the way is told', async () => {
    const findings = await stack.command<{ Severity: string; Code: string; Finding: string }>('CHECK MIGRATION FOR SCHEMA shop FROM cassandra_source');
    expect(findings.map(({ Severity, Code }) => `${Severity} ${Code}`)).toEqual(['error MIG010', 'error MIG010', 'error MIG010', 'error MIG010']);
    await expect(stack.command('START MIGRATION FOR TABLE shop.item FROM cassandra_source')).rejects.toThrow(/MIG010.*There is no table shop\.item on the target/);
    target.run('CREATE TABLE shop.item (shelf int, id int, name int, tags set<text>, PRIMARY KEY (shelf, id)) WITH gc_grace_seconds = 60');
    await expect(stack.command('START MIGRATION FOR TABLE shop.item FROM cassandra_source')).rejects.toThrow(/MIG011/);
    const differs = await stack.command<{ Finding: string }>('CHECK MIGRATION FOR TABLE shop.item FROM cassandra_source');
    expect(differs.map(({ Finding }) => Finding).join('\n')).toMatch(/not the same table.*gc_grace_seconds = 60/s);
    target.run('DROP TABLE shop.item');
    target.run('CREATE TABLE shop.item (shelf int, id int, name text, tags set<text>, PRIMARY KEY (shelf, id))');
    expect((await stack.command<{ Severity: string }>('CHECK MIGRATION FOR TABLE shop.item FROM cassandra_source')).map(({ Severity }) => Severity)).toEqual(['ok']);
    await expect(stack.command("START MIGRATION FOR TABLE shop.item FROM cassandra_source OPTIONS (where_clause 'id > 1')")).rejects.toThrow(/MIG071.*where_clause does not fit/);
    await expect(stack.command('START MIGRATION FOR TABLE shop.item FROM cassandra')).rejects.toThrow(/MIG072/);
    expect(await stack.command('SHOW MIGRATION STATUS')).toEqual([]);
  });

  it('is loaded, proven, cut over, brought back and completed while it is written', async () => {
    const writer = new Writer('item');
    await stack.command('START MIGRATION FOR TABLE shop.item FROM cassandra_source OPTIONS (batch_size 100)');
    await expect(stack.command('CUTOVER TABLE shop.item')).rejects.toThrow(/MIG050/);
    await untilState('item', 'DUAL_WRITE');
    expect(await proxyMode('item')).toBe('DualAsync');
    expect(await proxyMode('other')).toBe('SourceOnly');
    const lines = await stack.command<{ Section: string; Item: string; Value: string }>('SHOW MIGRATION STATUS FOR TABLE shop.item');
    const valueOf = (section: string, item: string): string | undefined => lines.find(({ Section, Item }) => Section === section && Item === item)?.Value;
    expect([valueOf('Proxy', 'Mode'), valueOf('Proxy', 'Switched By'), valueOf('Table', 'Next')]).toEqual(['DualAsync', 'this migration', 'VALIDATE MIGRATION FOR TABLE shop.item FULL;']);
    await expect(stack.command('CUTOVER TABLE shop.item')).rejects.toThrow(/MIG050.*has not been validated/);
    target.run("UPDATE shop.item SET name = 'spoilt' WHERE shelf = 3 AND id = 3", 1_900_000_000_000_000n);
    expect(await stack.command<{ Result: string }>('VALIDATE MIGRATION FOR TABLE shop.item FULL')).toMatchObject([{ Result: 'FAIL', Mismatches: '1', State: 'DUAL_WRITE' }]);
    await expect(stack.command('CUTOVER TABLE shop.item')).rejects.toThrow(/MIG050.*found 1 rows that differ/);
    expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.item FULL REPAIR COPY_FROM_SOURCE')).toMatchObject([{ Repair: '1 written, 0 left' }]);
    expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.item FULL')).toMatchObject([{ Result: 'PASS', State: 'CUTOVER_READY' }]);
    expect((await stack.command<{ Finding: string }>('EXPLAIN CUTOVER TABLE shop.item'))[1]).toMatchObject({ Subject: 'Decision', Finding: 'GO' });
    await stack.command('CUTOVER TABLE shop.item');
    expect([await stateOf('item'), await proxyMode('item')]).toEqual(['LOCAL_ONLY', 'ShadowPrimary']);
    await expect(stack.command('ABORT MIGRATION FOR TABLE shop.item')).rejects.toThrow(/MIG074.*holds the truth/);
    await stack.command('ROLLBACK MIGRATION FOR TABLE shop.item PRESERVE LOCAL DATA');
    expect([await stateOf('item'), await proxyMode('item')]).toEqual(['DUAL_WRITE', 'DualAsync']);
    expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.item FULL')).toMatchObject([{ Result: 'PASS' }]);
    await stack.command('CUTOVER TABLE shop.item');
    await stack.command('COMPLETE MIGRATION FOR TABLE shop.item');
    expect(await proxyMode('item')).toBe('TargetOnly');
    // The table is anybody's again; what is unsafe stays refused.
    const back = await fetch(`http://127.0.0.1:${httpPort}/config/mode`, { method: 'POST', body: JSON.stringify({ mode: 'SourceOnly', keyspace: 'shop', table: 'item' }) });
    expect([back.status, await back.text()]).toEqual([409, expect.not.stringContaining('migration by SQL')]);
    await expect.poll(() => writer.acknowledged.size).toBeGreaterThan(20);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    for (const [id, name] of writer.acknowledged) expect([id, await nameOf('item', id)]).toEqual([id, name]);
    const states = await stack.command<{ new_state: string }>(`SELECT h.new_state FROM SYS$MIGRATION_HISTORY h JOIN SYS$MIGRATION_STATE s USING (table_id) WHERE s.source_table = 'item' AND h.new_state <> h.old_state ORDER BY h.created_at`);
    expect(states.map(({ new_state: each }) => each)).toEqual(['BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY', 'ROLLBACK', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY']);
  }, 120_000);

  it('with counters is loaded, proven and cut over while they are counted', async () => {
    for (let id = 0; id < 40; id += 1) source.run(`UPDATE shop.visits SET n = n + ${id + 1} WHERE id = ${id}`);
    target.run('CREATE TABLE shop.visits (id int PRIMARY KEY, n counter)');
    expect((await stack.command<{ Severity: string; Code: string }>('CHECK MIGRATION FOR TABLE shop.visits FROM cassandra_source')).map(({ Severity, Code }) => `${Severity} ${Code}`)).toEqual(['warning MIG012']);
    const counted = new Map<number, number>();
    const errors: string[] = [];
    let isOver = false;
    const counting = Promise.all(Array.from({ length: 4 }, async (_, number) => {
      for (let n = number; !isOver; n += 4) await application.execute('UPDATE shop.visits SET n = n + 1 WHERE id = ?', [n % 40], { prepare: true }).then(() => counted.set(n % 40, (counted.get(n % 40) ?? 0) + 1), (error: unknown) => errors.push(String(error)));
    }));
    try {
      await stack.command('START MIGRATION FOR TABLE shop.visits FROM cassandra_source OPTIONS (batch_size 10)');
      await untilState('visits', 'DUAL_WRITE');
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.visits FULL')).toMatchObject([{ Result: 'PASS', State: 'CUTOVER_READY' }]);
      await stack.command('CUTOVER TABLE shop.visits');
    } finally {
      isOver = true;
      await counting;
    }
    expect(errors).toEqual([]);
    const rows = (cluster: MockCluster): unknown => {
      const result = cluster.run('SELECT id, n FROM shop.visits');
      return result.is === 'rows' ? new Map(result.rows.map(([id, n]) => [id?.readInt32BE(0), Number(n?.readBigInt64BE(0))])) : undefined;
    };
    const expected = new Map(Array.from({ length: 40 }, (_, id) => [id, id + 1 + (counted.get(id) ?? 0)]));
    expect(rows(target)).toEqual(expected);
    await expect.poll(() => rows(source), { timeout: 20_000 }).toEqual(expected);
    await stack.command('COMPLETE MIGRATION FOR TABLE shop.visits');
  }, 120_000);

  it('goes on from every step in which the control or the proxy is killed', async () => {
    target.run('CREATE TABLE shop.other (shelf int, id int, name text, tags set<text>, PRIMARY KEY (shelf, id))');
    const isKilledAt = async (point: string, command: string): Promise<void> => {
      stack.faults.arm(point);
      const answer = stack.command(command).catch(() => undefined);
      await stack.faults.reached(point, 30_000);
      await stack.kill('control');
      stack.faults.release(point);
      await answer;
    };
    await isKilledAt('cql.load.after_switch', 'START MIGRATION FOR TABLE shop.other FROM cassandra_source OPTIONS (batch_size 50, parallel_workers 1)');
    await write('other', 20_000, 'while it is loaded');
    await stack.faults.reached('cql.load.after_switch', 1);
    stack.faults.arm('cassandra.load.page_written');
    await stack.faults.reached('cassandra.load.page_written', 30_000);
    await stack.kill('control');
    await killProxy();
    stack.faults.release('cassandra.load.page_written');
    await untilState('other', 'DUAL_WRITE');
    expect(await stack.insist('VALIDATE MIGRATION FOR TABLE shop.other FULL')).toMatchObject([{ Result: 'PASS', State: 'CUTOVER_READY' }]);
    for (const point of isWhole ? ['cql.cutover.begun', 'cql.cutover.in_sync'] : ['cql.cutover.in_sync']) {
      await isKilledAt(point, 'CUTOVER TABLE shop.other');
      // Nothing was cut over: it is as it was.
      await expect.poll(() => proxyMode('other'), { timeout: 30_000 }).toBe('DualAsync');
      expect(await stateOf('other')).toBe('CUTOVER_READY');
    }
    expect(await nameOf('other', 20_000)).toBe('while it is loaded');
    await isKilledAt('cql.cutover.switched', 'CUTOVER TABLE shop.other');
    await untilState('other', 'LOCAL_ONLY');
    await write('other', 20_001, 'after the cutover');
    if (isWhole) await killProxy();
    expect(await proxyMode('other')).toBe('ShadowPrimary');
    await isKilledAt('cql.rollback.in_sync', 'ROLLBACK MIGRATION FOR TABLE shop.other PRESERVE LOCAL DATA');
    // Nothing was rolled back: the target answers, and the way is open.
    await expect.poll(() => proxyMode('other'), { timeout: 30_000 }).toBe('ShadowPrimary');
    await untilState('other', 'LOCAL_ONLY');
    await isKilledAt('cql.rollback.switched', 'ROLLBACK MIGRATION FOR TABLE shop.other PRESERVE LOCAL DATA');
    await untilState('other', 'DUAL_WRITE');
    expect(await nameOf('other', 20_001)).toBe('after the cutover');
    if (!isWhole) return;
    expect(await stack.insist('VALIDATE MIGRATION FOR TABLE shop.other FULL')).toMatchObject([{ Result: 'PASS' }]);
    await stack.insist('CUTOVER TABLE shop.other');
    await isKilledAt('cql.rollback.source_only', 'ROLLBACK MIGRATION FOR TABLE shop.other');
    await untilState('other', 'NOT_STARTED');
    expect(await proxyMode('other')).toBe('SourceOnly');
    await stack.insist('START MIGRATION FOR TABLE shop.other FROM cassandra_source');
    await untilState('other', 'DUAL_WRITE');
    expect(await stack.insist('VALIDATE MIGRATION FOR TABLE shop.other FULL')).toMatchObject([{ Result: 'PASS' }]);
    await stack.insist('CUTOVER TABLE shop.other');
    await isKilledAt('cql.complete.switched', 'COMPLETE MIGRATION FOR TABLE shop.other');
    await expect.poll(async () => (await stack.insist<StatusRow & { [column: string]: unknown }>('SHOW MIGRATION STATUS')).find((row) => row.Table === 'shop.other')?.Next, { timeout: 30_000 }).toBe('nothing: complete');
    expect(await proxyMode('other')).toBe('TargetOnly');
  }, 240_000);

  it('is not cut over while writes are owed, while its mode is anybody\'s, or without the target', async () => {
    target.run('CREATE TABLE shop.gone (shelf int, id int, name text, tags set<text>, PRIMARY KEY (shelf, id))');
    await stack.command("START MIGRATION FOR TABLE shop.gone FROM cassandra_source OPTIONS (dual_write_mode 'sync')");
    await untilState('gone', 'DUAL_WRITE');
    expect(await proxyMode('gone')).toBe('DualSync');
    await expect(stack.command('START MIGRATION FOR TABLE shop.gone FROM cassandra_source')).rejects.toThrow(/MIG073/);
    await stack.command('VALIDATE MIGRATION FOR TABLE shop.gone FULL');
    // The target goes away: nobody waits for it any more, and the table heals by itself.
    await target.close();
    await write('gone', 30_001, 'while the target is away').catch(() => undefined);
    await untilState('gone', 'SYNCHRONIZING');
    await expect.poll(() => write('gone', 30_001, 'while the target is away').then(() => 'written', String), { timeout: 20_000 }).toBe('written');
    await expect(stack.command('CUTOVER TABLE shop.gone')).rejects.toThrow(/MIG050/);
    await target.reopen();
    await untilState('gone', 'DUAL_WRITE');
    expect(different('gone')).toEqual([]);
    // A write that the target has not answered is owed.
    expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.gone FULL')).toMatchObject([{ State: 'CUTOVER_READY' }]);
    await stack.command('PAUSE MIGRATION FOR TABLE shop.gone');
    expect(await proxyMode('gone')).toBe('DualAsync');
    await stack.command('RESUME MIGRATION FOR TABLE shop.gone');
    await untilState('gone', 'DUAL_WRITE');
    await stack.command('VALIDATE MIGRATION FOR TABLE shop.gone FULL');
    const refusing = target.faults.add({ isWrite: true, times: 1_000_000, action: { kind: 'error', code: 0x1001 } });
    await write('gone', 30_002, 'owed').catch(() => undefined);
    await expect(stack.command("CUTOVER TABLE shop.gone TIMEOUT 1")).rejects.toThrow(/MIG050.*queued/);
    expect([await stateOf('gone'), await proxyMode('gone')]).toEqual(['CUTOVER_READY', 'DualSync']);
    refusing[Symbol.dispose]();
    // Nobody but the migration switches the table, unless by force: then it has to be loaded anew.
    const switched = (force: boolean): Promise<Response> => fetch(`http://127.0.0.1:${httpPort}/config/mode`, { method: 'POST', body: JSON.stringify({ mode: 'SourceOnly', keyspace: 'shop', table: 'gone', force }) });
    const refused = await switched(false);
    expect([refused.status, await refused.text()]).toEqual([409, expect.stringContaining('migration by SQL')]);
    expect((await switched(true)).status).toBe(200);
    await write('gone', 30_003, 'past the target');
    await untilState('gone', 'ERROR');
    await expect(stack.command('RESUME MIGRATION FOR TABLE shop.gone')).rejects.toThrow(/MIG02[14]/);
    expect((await stack.command<{ Why: string }>('SHOW MIGRATION WHY FOR TABLE shop.gone'))[0]?.Why).toContain('switched past the migration');
    await stack.command('RESYNC MIGRATION FOR TABLE shop.gone');
    await untilState('gone', 'DUAL_WRITE');
    await expect.poll(() => different('gone'), { timeout: 20_000 }).toEqual([]);
    await stack.command('ABORT MIGRATION ALL');
    expect([await stateOf('gone'), await proxyMode('gone')]).toEqual(['NOT_STARTED', 'SourceOnly']);
  }, 180_000);
});
