/**
 * Changes of a MySQL server go through the same stream as PostgreSQL's: what a reader of binlogs gives out comes to local in whole transactions, once, also after
 * a restart that reads it again; markers, truncates, changed definitions and refused values stand where they belong. The reader is hand-made here.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { BinlogBatch, StatementItem, TransactionPart } from '../../../cdc/mysql/binlog/transaction.ts';
import type { BinlogReading } from '../../../cdc/mysql/binlog-connection.ts';
import { readSystemId } from '../../../cdc/mysql/probe-server.ts';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import type { MysqlStreamOptions } from '../../../cdc/mysql/change-stream.ts';
import type { MysqlBinlogPosition } from '../../../cdc/mysql/position.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { packOrder, unpackOrder } from '../../../cdc/mysql/binlog-order.ts';
import { orderOf } from '../../../cdc/change.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { contents, testRuntime, until } from '../stream/fixture.ts';

const FILE = 'binlog.000001';

/** A binlog that a test writes; readings of it begin where they are asked to. */
class HandMadeBinlog {
  readonly #batches: { readonly batch: BinlogBatch; readonly at: number }[] = [];
  readonly starts: number[] = [];
  readonly #waiting = new Set<() => void>();
  end = 1000;

  place(offset = this.end): MysqlBinlogPosition {
    return { type: 'mysql_binlog', binlogFile: FILE, binlogPosition: offset };
  }

  write(...items: readonly (Partial<TransactionPart> | Pick<StatementItem, 'kind' | 'text' | 'database'>)[]): void {
    const at = this.end;
    const placed = items.map((item) => {
      this.end += 100;
      const origin = { gtid: '', serverId: 1, committedAtMs: Date.now(), binlogFile: FILE, binlogPosition: this.end };
      return 'text' in item ? { misread: [], ...item, ...origin } : { kind: 'transaction' as const, isFirst: true, end: 'commit' as const, changes: [], markers: [], appliedBy: undefined, ...item, ...origin };
    });
    this.#batches.push({ at, batch: { items: placed, position: this.place(), resume: this.place() } });
    for (const wake of this.#waiting) wake();
  }

  open(start: number): Promise<BinlogReading> {
    this.starts.push(start);
    let isClosed = false;
    const batches = this.#batches;
    const waiting = this.#waiting;
    async function* read(): AsyncGenerator<BinlogBatch> {
      for (let next = 0; !isClosed; ) {
        const found = batches[next];
        if (!found) {
          await new Promise<void>((resolve) => waiting.add(resolve));
          continue;
        }
        next += 1;
        if (found.at >= start) yield found.batch;
      }
    }
    return Promise.resolve({
      batches: () => read(),
      close: () => {
        isClosed = true;
        for (const wake of waiting) wake();
      },
    });
  }
}

describeMysql(['mysql-9.7'], 'a stream from MySQL', () => {
  let server: TestMysql;
  let local: TestPostgres;
  let client: Client;
  let binlog: HandMadeBinlog;
  let options: MysqlStreamOptions;
  let stream: OpenedStream;
  let stop: AbortController;
  let running: Promise<void>;
  const failed: Error[] = [];
  let number = 0;
  let database = '';

  const table = { schema: '', name: 't', columns: ['id', 'v', 'ignored'] };
  const plan = (): TablePlan => ({
    tableId: 't', source: { schema: database, name: 't' }, target: { schema: 'public', name: 't' },
    columns: [{ name: 'id', typeOid: 20, type: 'bigint' }, { name: 'v', typeOid: 25, type: 'text' }].map((column, at) => ({ ...column, attnum: at + 1, notNull: at === 0, canonicalText: true, toastable: false })),
    key: ['id'], keyKind: 'primary', uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: false, definitionHash: 't',
  });
  const insert = (...rows: readonly (readonly string[])[]) => ({ changes: [{ op: 'insert' as const, table: { ...table, schema: database }, old: [], new: rows.map((row) => [...row, 'x']) }] });

  beforeAll(async () => {
    [server, local] = await Promise.all([startMysql('mysql-9.7'), startTestPostgres()]);
  });
  afterAll(async () => {
    await server.dispose();
    await local[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    number += 1;
    failed.length = 0;
    database = await server.createDatabase(`source${number}`);
    await server.sql('CREATE TABLE t (id bigint PRIMARY KEY, v varchar(100), ignored int)', database);
    const localName = await local.createDatabase(`target${number}`);
    client = await local.client(localName);
    await client.query('CREATE TABLE t (id bigint PRIMARY KEY, v text)');
    binlog = new HandMadeBinlog();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mysql-stream-'));
    options = {
      name: `fwd${number}`, direction: 'forward', token: 1n, target: { ...local.address, database: localName }, spoolDirectory: path.join(folder, 'spool'),
      limits: { spoolBytes: 1 << 30, bufferBytes: 1 << 20, batchChanges: 1000, batchWaitMs: 50 }, onConflict: (conflict) => failed.push(new Error(`conflict ${conflict.kind}`)), onError: (_, error) => failed.push(error), onSchemaChange: () => undefined,
      conflictStrategy: () => ({ kind: 'source_wins' }), source: { host: server.host, port: server.port, user: server.user, password: server.password, database },
      recordFile: path.join(folder, 'source.json'), types: standardTypes,
      log: { open: (start) => binlog.open(start.binlogPosition), readEnd: () => Promise.resolve(binlog.place()), readPlace: async () => ({ place: binlog.place(), systemId: await readSystemId(async (sql) => (await server.sql(sql)).map((row) => Object.values(row))) }) },
    };
    begin();
  });
  afterEach(end);

  function begin(): void {
    stop = new AbortController();
    stream = createMysqlStream(testRuntime(stop.signal), options);
  }

  function run(): void {
    running = stream.run(stop.signal).catch((error: unknown) => void failed.push(error instanceof Error ? error : new Error(String(error))));
  }

  async function end(): Promise<void> {
    stop.abort();
    await running;
    await stream.close();
  }

  /** The reader would find the marker in the binlog. */
  async function marked(): Promise<bigint> {
    const token = await stream.writeMarker();
    expect(await server.sql('SELECT token FROM causeway.marker WHERE token = ' + `'${token}'`)).toHaveLength(1);
    binlog.write({ markers: [{ name: options.name, token }] });
    return orderOf(await stream.waitForMarker(token, ['t'], 20_000));
  }

  async function share(): Promise<void> {
    await stream.addTable(plan());
    await stream.startDraining('t');
    await until('shared', () => stream.status('t')?.mode === 'shared');
  }

  it('brings whole transactions in order, in parts too, and leaves out what its own appliers wrote', async () => {
    run();
    await share();
    binlog.write(insert(['1', 'one'], ['2', 'two']), insert(['3', 'three']));
    binlog.write({ ...insert(['4', 'four']), end: undefined }, { ...insert(['5', 'five']), isFirst: false, end: 'commit' });
    binlog.write({ ...insert(['99', 'echo']), appliedBy: 'reverse' });
    const named = { ...table, schema: database };
    binlog.write({ changes: [
      { op: 'update', table: named, old: [['1', 'one', 'x'], ['2', 'two', 'x']], new: [['1', 'uno', 'x'], ['20', 'two', 'x']] },
      { op: 'delete', table: named, old: [['3', 'three', 'x']], new: [] },
    ] });
    const order = await marked();
    expect(await contents(client, 't')).toEqual(['(1,uno)', '(20,two)', '(4,four)', '(5,five)']);
    expect(order).toBe(packOrder(0, FILE, binlog.end));
    expect(stream.health().visible).toMatchObject({ type: 'mysql_binlog', file: FILE });
    expect(failed).toEqual([]);
    await end();
    expect(failed).toEqual([]);
  });

  it('goes on after a restart where it was, and applies nothing twice that is read again', async () => {
    run();
    await share();
    binlog.write(insert(['1', 'one']));
    await marked();
    await end();
    binlog.write(insert(['2', 'two']));
    begin();
    stream.restore([{ plan: plan(), mode: 'shared', intervals: [] }]);
    run();
    binlog.write(insert(['3', 'three']));
    await marked();
    expect(await contents(client, 't')).toEqual(['(1,one)', '(2,two)', '(3,three)']);
    expect(binlog.starts).toHaveLength(2);
    const confirmed = (): number => (JSON.parse(fs.readFileSync(options.recordFile, 'utf8')) as { resume: { binlog_position: number } }).resume.binlog_position;
    const before = binlog.starts[1] ?? 0;
    // Markers alone are confirmed seldom; changes are within a second.
    await until('confirmed', () => confirmed() > before);
    expect(failed).toEqual([]);
  });

  it('takes back what it has of a transaction that a crash of the server has cut off, whether the table is in step or loading', async () => {
    running = runLoop(testRuntime(stop.signal), 'stream', (signal) => stream.run(signal), stop.signal, { limitMs: 100 });
    await stream.addTable(plan());
    const cutOff = (from: number): Partial<TransactionPart>[] => [{ ...insert([String(from), 'never']), end: undefined }, { ...insert([String(from + 1), 'never']), isFirst: false, end: undefined }];
    binlog.write(insert(['1', 'one']), ...cutOff(90));
    await until('given on', () => (stream.status('t')?.pendingChanges ?? 0) > 0);
    binlog.write({ isFirst: false, end: 'rollback' }, insert(['2', 'two']));
    await stream.startDraining('t');
    await until('shared', () => stream.status('t')?.mode === 'shared');
    expect(await contents(client, 't')).toEqual(['(1,one)', '(2,two)']);
    binlog.write(insert(['3', 'three']), ...cutOff(95));
    binlog.write({ isFirst: false, end: 'rollback' });
    binlog.write({ ...insert(['4', 'four']), end: undefined }, { ...insert(['5', 'five']), isFirst: false, end: 'commit' });
    await marked();
    expect(await contents(client, 't')).toEqual(['(1,one)', '(2,two)', '(3,three)', '(4,four)', '(5,five)']);
    expect(binlog.starts.length).toBeGreaterThan(2);
  });

  it('spools while the table loads, empties it with a TRUNCATE, and stops it, alone, at a value that is refused', async () => {
    run();
    await stream.addTable(plan());
    binlog.write(insert(['1', 'one']), { kind: 'statement', text: 'TRUNCATE TABLE t', database }, insert(['2', 'two']));
    await until('spooled', () => (stream.status('t')?.pendingChanges ?? 0) > 1);
    expect(await contents(client, 't')).toEqual([]);
    await stream.startDraining('t');
    await until('shared', () => stream.status('t')?.mode === 'shared');
    await marked();
    expect(await contents(client, 't')).toEqual(['(2,two)']);
    binlog.write(insert(['3', 'three']), insert(['4', 'a\0b']), insert(['5', 'five']));
    await until('failed', () => stream.status('t')?.mode === 'failed');
    expect(await contents(client, 't')).toEqual(['(2,two)', '(3,three)']);
    await stream.skipFailedChange('t');
    await marked();
    expect(await contents(client, 't')).toEqual(['(2,two)', '(3,three)', '(5,five)']);
  });

  it('stops at a change of the definition, after everything before it, however late that is read', async () => {
    run();
    await share();
    // Read when the table has been changed already.
    await server.sql('ALTER TABLE t MODIFY v varchar(50)', database);
    binlog.write(insert(['1', 'one']));
    binlog.write({ kind: 'statement', text: 'ALTER TABLE t MODIFY v varchar(50)', database }, insert(['2', 'two']));
    await until('failed', () => stream.status('t')?.mode === 'failed');
    expect(stream.status('t')?.error).toMatchObject({ code: 'MIG011' });
    expect(await contents(client, 't')).toEqual(['(1,one)']);
  });

  it('tells a gap: a record that is gone, another server, a binlog that ends before what was applied', async () => {
    run();
    await share();
    binlog.write(insert(['1', 'one']));
    await marked();
    await end();
    const record = fs.readFileSync(options.recordFile, 'utf8');
    const startsWith = async (): Promise<string> => {
      begin();
      stream.restore([{ plan: plan(), mode: 'shared', intervals: [] }]);
      const [ended] = await Promise.allSettled([stream.run(stop.signal)]);
      return ended.status === 'rejected' && ended.reason instanceof MigrationError ? `${ended.reason.code} ${ended.reason.detail}` : ended.status;
    };
    fs.rmSync(options.recordFile);
    expect(await startsWith()).toContain('MIG020');
    await stream.close();
    fs.writeFileSync(options.recordFile, record);
    const { end: was } = binlog;
    binlog.end = 1001;
    expect(await startsWith()).toMatch(/^MIG021 .*ends at binlog\.000001:1001/);
    await stream.close();
    binlog.end = was;
    await client.query("UPDATE causeway.applied SET system_id = 'another'");
    expect(await startsWith()).toMatch(/^MIG021 .*another server/);
    await stream.close();
    fs.writeFileSync(options.recordFile, record.replace(FILE, 'binlog.000000'));
    expect(await startsWith()).toContain('MIG020');
  });
});

it('counts places of binlogs up, over files and servers', () => {
  const file = { base: 'mysql-bin', digits: 6 };
  const places = [packOrder(0, 'mysql-bin.000001', 4), packOrder(0, 'mysql-bin.000001', 2 ** 33), packOrder(0, 'mysql-bin.000002', 4), packOrder(0, 'mysql-bin.999999', 4), packOrder(1, 'mysql-bin.000001', 4)];
  expect([...places].sort((a, b) => (a < b ? -1 : 1))).toEqual(places);
  expect(unpackOrder(places[1] ?? 0n, file)).toEqual({ type: 'mysql_binlog', order: places[1], file: 'mysql-bin.000001', offset: 2n ** 33n });
  expect(() => packOrder(0, 'mysql-bin.9999999', 4)).toThrow(RangeError);
  expect(() => packOrder(0, 'mysql-bin', 4)).toThrow(RangeError);
});
