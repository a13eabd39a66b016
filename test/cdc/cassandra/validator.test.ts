/** Break, validate, repair, validate: every kind of difference is found under its name, and is gone after the repair that can remove it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../../cdc/cassandra/cluster.ts';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import type { ComparingOptions } from '../../../cdc/cassandra/compare/compare-tables.ts';
import type { ComparisonReport, DiscrepancyCounts } from '../../../cdc/cassandra/compare/comparison-report.ts';
import type { Discrepancy } from '../../../cdc/cassandra/compare/discrepancy.ts';
import { printReport } from '../../../cdc/cassandra/compare/print-report.ts';
import { SqliteScanLedger } from '../../../cdc/cassandra/compare/scan-ledger.ts';
import { TwoWayScanner } from '../../../cdc/cassandra/compare/two-way-scanner.ts';
import type { ScannerOptions } from '../../../cdc/cassandra/compare/two-way-scanner.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import type { RecentKeys } from '../../../cdc/cassandra/compare/recent-keys.ts';
import type { ValidationMode } from '../../../cdc/cassandra/compare/validator.ts';
import { describeCassandra } from '../../support/cassandra-servers.ts';
import { startTwoClusters, withoutTtl } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

const quick: ComparingOptions = { ...comparingDefaults, ranges: 4, sampledRanges: 64, recheckPauseMs: 20, retryPauseMs: 50, safeAgeMs: 2000 };
const none: DiscrepancyCounts = { MissingInTarget: 0, MissingInSource: 0, ValueMismatch: 0, TimestampMismatch: 0, TTLMismatch: 0, TombstoneMismatch: 0 };
const base = 1_700_000_000_000_000;

describeCassandra('two clusters', () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
    await two.both('CREATE TYPE ks.pair (a int, b int)');
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  const pairOf = (name: string): { sourceTable: { keyspace: string; name: string }; targetTable: { keyspace: string; name: string } } => ({ sourceTable: { keyspace: two.keyspace, name }, targetTable: { keyspace: two.keyspace, name } });
  const validate = (table: string, options: Partial<ComparingOptions> = {}, mode: ValidationMode = { mode: 'FullScan' }): Promise<ComparisonReport> =>
    new Validator(two.runtime, two.clusters, { ...quick, ...options }).validate([pairOf(table)], mode, two.runtime.signal);
  /** 40 rows in 10 partitions, with static columns and collections, the same on both sides. */
  const make = async (table: string): Promise<void> => {
    await two.both(`CREATE TABLE ks.${table} (p int, c int, s text static, v text, w int, m map<int, text>, u pair, l list<int>, PRIMARY KEY (p, c))`);
    for (let p = 0; p < 10; p += 1) {
      await two.on('source', `INSERT INTO ks.${table} (p, s) VALUES (${p}, 's${p}') USING TIMESTAMP ${base}`);
      for (let c = 0; c < 4; c += 1) await two.on('source', `UPDATE ks.${table} USING TIMESTAMP ${base + c} SET v = 'v${c}', w = ${c}, m = m + {1: 'x', 2: 'y'}, u = {a: 1, b: 2}, l = [1, 2] WHERE p = ${p} AND c = ${c}`, `INSERT INTO ks.${table} (p, c) VALUES (${p}, ${c}) USING TIMESTAMP ${base}`);
    }
    expect((await two.load([table])).tables).toMatchObject([{ state: 'done', rows: 40 }]);
    expect(await validate(table)).toMatchObject({ passed: true, rowsDifferent: 0, counts: none, rowsCompared: 50 });
  };
  const expectSame = async (table: string): Promise<void> => {
    const values = (cells: Awaited<ReturnType<TwoClusters['dump']>>): readonly string[] => cells.map(({ cell }) => cell);
    expect(values(await two.dump('target', table))).toEqual(values(await two.dump('source', table)));
  };

  const cases: readonly { name: string; break: readonly [side: 'source' | 'target', ...statements: string[]][]; options?: Partial<ComparingOptions>; counts: Partial<DiscrepancyCounts>; repaired?: boolean }[] = [
    { name: 'a row that the target does not have', break: [['source', `INSERT INTO ks.T (p, c, v, w) VALUES (3, 9, 'new', 1) USING TIMESTAMP ${base + 50} AND TTL 5000`]], counts: { MissingInTarget: 1 } },
    { name: 'a partition that the target does not have', break: [['source', `INSERT INTO ks.T (p, c, s, v) VALUES (77, 1, 'st', 'new') USING TIMESTAMP ${base + 50}`]], counts: { MissingInTarget: 2 } },
    { name: 'a row that the source does not have', break: [['target', `INSERT INTO ks.T (p, c, v) VALUES (4, 9, 'stray') USING TIMESTAMP ${base + 50}`]], counts: { MissingInSource: 1 } },
    { name: 'another value', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} SET v = 'later' WHERE p = 1 AND c = 1`]], counts: { ValueMismatch: 1 } },
    { name: 'another value of a static column', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} SET s = 'later' WHERE p = 2`]], counts: { ValueMismatch: 1 } },
    { name: 'another value in a map', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} SET m[1] = 'later', u.b = 9 WHERE p = 1 AND c = 2`]], counts: { ValueMismatch: 1 } },
    { name: 'another list', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} SET l = [3] WHERE p = 1 AND c = 2`]], counts: { ValueMismatch: 1 } },
    { name: 'another time', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} SET v = 'v1' WHERE p = 1 AND c = 1`]], counts: { TimestampMismatch: 1 } },
    { name: 'another time to live', break: [['source', `UPDATE ks.T USING TIMESTAMP ${base + 50} AND TTL 9000 SET v = 'v1' WHERE p = 1 AND c = 1`], ['target', `UPDATE ks.T USING TIMESTAMP ${base + 50} AND TTL 500 SET v = 'v1' WHERE p = 1 AND c = 1`]], counts: { TTLMismatch: 1 } },
    { name: 'a cell that the source has deleted', break: [['source', `DELETE v, m[2] FROM ks.T USING TIMESTAMP ${base + 50} WHERE p = 5 AND c = 1`]], counts: { TombstoneMismatch: 1 } },
    { name: 'a list and a field that the source has deleted', break: [['source', `DELETE l FROM ks.T USING TIMESTAMP ${base + 50} WHERE p = 5 AND c = 1`, `UPDATE ks.T USING TIMESTAMP ${base + 50} SET u.b = null WHERE p = 5 AND c = 1`]], counts: { TombstoneMismatch: 1 } },
    { name: 'static columns that the source has deleted', break: [['source', `DELETE s FROM ks.T USING TIMESTAMP ${base + 50} WHERE p = 5`]], counts: { MissingInSource: 1 } },
    { name: 'a row that the source has deleted', break: [['source', `DELETE FROM ks.T USING TIMESTAMP ${base + 50} WHERE p = 6 AND c = 1`]], options: { dualWritesSince: BigInt(base + 40) }, counts: { TombstoneMismatch: 1 } },
    { name: 'a cell that only the target has deleted', break: [['target', `DELETE v FROM ks.T USING TIMESTAMP ${base + 50} WHERE p = 5 AND c = 2`]], counts: { TombstoneMismatch: 1 } },
  ];

  test.each(cases)('$name: found, repaired by the source, gone', async ({ break: statements, options = {}, counts }) => {
    const table = `t${cases.findIndex((one) => one.break === statements)}`;
    await make(table);
    for (const [side, ...texts] of statements) await two.on(side, ...texts.map((text) => text.replace('ks.T', `ks.${table}`)));
    const found = await validate(table, options);
    expect(found.counts).toEqual({ ...none, ...counts });
    expect(found).toMatchObject({ passed: false, repaired: 0 });
    expect(found.tables[0]?.discrepancies).toHaveLength(found.rowsDifferent);
    const fixed = await validate(table, { ...options, reconcile: 'source-wins' });
    expect(fixed).toMatchObject({ rowsDifferent: found.rowsDifferent, repaired: found.rowsDifferent, passed: true });
    await expectSame(table);
    const after = await validate(table, { ...options, acceptsLaterTarget: true });
    expect(after).toMatchObject({ passed: true, counts: none });
  }, 60_000);

  test('the newest wins on either side, a deletion too', async () => {
    await make('newest');
    await two.on('target', `UPDATE ks.newest USING TIMESTAMP ${base + 60} SET v = 'from target', m[3] = 'z' WHERE p = 0 AND c = 0`, `INSERT INTO ks.newest (p, c, v) VALUES (0, 50, 'only target') USING TIMESTAMP ${base + 60}`, `DELETE FROM ks.newest USING TIMESTAMP ${base + 70} WHERE p = 1 AND c = 1`);
    await two.on('source', `UPDATE ks.newest USING TIMESTAMP ${base + 60} SET v = 'from source' WHERE p = 0 AND c = 1`, `DELETE w, m[1] FROM ks.newest USING TIMESTAMP ${base + 70} WHERE p = 2 AND c = 2`, `DELETE FROM ks.newest USING TIMESTAMP ${base + 70} WHERE p = 3 AND c = 3`);
    // Of one time: another value, and another time to live.
    await two.on('source', `UPDATE ks.newest USING TIMESTAMP ${base + 60} SET v = 'tie a', w = 1 WHERE p = 4 AND c = 1`, `UPDATE ks.newest USING TIMESTAMP ${base + 60} AND TTL 600 SET v = 'ttl' WHERE p = 5 AND c = 1`);
    await two.on('target', `UPDATE ks.newest USING TIMESTAMP ${base + 60} SET v = 'tie b', w = 0 WHERE p = 4 AND c = 1`, `UPDATE ks.newest USING TIMESTAMP ${base + 60} AND TTL 9000 SET v = 'ttl' WHERE p = 5 AND c = 1`);
    const fixed = await validate('newest', { reconcile: 'newest' });
    expect(fixed).toMatchObject({ rowsDifferent: 8, repaired: 8, passed: true });
    const [source, target] = [await two.dump('source', 'newest'), await two.dump('target', 'newest')];
    expect(withoutTtl(target)).toEqual(withoutTtl(source));
    const text = async (where: string): Promise<unknown> => (await two.source.cql(`SELECT v FROM ${two.keyspace}.newest WHERE ${where}`))[0]?.['v'];
    expect([await text('p = 0 AND c = 0'), await text('p = 0 AND c = 1'), await text('p = 0 AND c = 50'), await text('p = 1 AND c = 1'), await text('p = 3 AND c = 3')]).toEqual(['from target', 'from source', 'only target', undefined, undefined]);
  }, 60_000);

  test('a row that the target has deleted later is called a deletion, and comes back only where the source is to win', async () => {
    await make('shadowed');
    await two.on('target', `DELETE FROM ks.shadowed USING TIMESTAMP ${base + 100} WHERE p = 1 AND c = 1`);
    expect((await validate('shadowed')).counts).toMatchObject({ MissingInTarget: 1 });
    expect(await validate('shadowed', { reconcile: 'source-wins' })).toMatchObject({ rowsDifferent: 1, repaired: 1, counts: { MissingInTarget: 0, TombstoneMismatch: 1 } });
    await expectSame('shadowed');
  }, 60_000);

  test('what the target has deleted at a time that is still to come is written just behind that time', async () => {
    await make('ahead');
    const soon = (Date.now() + 3_600_000) * 1000;
    await two.on('target', `DELETE FROM ks.ahead USING TIMESTAMP ${soon} WHERE p = 1 AND c = 1`, `DELETE v, m, l FROM ks.ahead USING TIMESTAMP ${soon} WHERE p = 2 AND c = 1`, `DELETE s FROM ks.ahead USING TIMESTAMP ${soon} WHERE p = 3`);
    expect(await validate('ahead', { reconcile: 'source-wins', safeAgeMs: 100 })).toMatchObject({ rowsDifferent: 3, repaired: 3, passed: true });
    await expectSame('ahead');
    const times = (await two.target.cql(`SELECT WRITETIME(v) AS v FROM ${two.keyspace}.ahead WHERE p IN (1, 2) AND c = 1`)).map((row) => Number(row['v']));
    for (const time of times) expect((time - soon) / 1_000_000).toBeLessThan(1000);
    expect(Math.min(...times)).toBeGreaterThan(soon);
  }, 60_000);

  test('only the rows of the tenants that are asked for are compared and repaired, whether a key or a value names them', async () => {
    const ours = 'e19206ba-c584-11e8-882a-0a580a30028e';
    const theirs = 'a1111111-c584-11e8-882a-0a580a30028e';
    await two.both('CREATE TABLE ks.of_key (tenant uuid, k int, v text, PRIMARY KEY (tenant, k))', 'CREATE TABLE ks.of_value (k int PRIMARY KEY, tenant text, v text)', 'CREATE TABLE ks.of_static (p int, k int, tenant text static, PRIMARY KEY (p, k))', 'CREATE TABLE ks.of_none (k int PRIMARY KEY, v text)');
    for (const [tenant, k] of [[ours, 1], [theirs, 2]] as const) await two.on('source', `INSERT INTO ks.of_key (tenant, k, v) VALUES (${tenant}, ${k}, 'x')`, `INSERT INTO ks.of_value (k, tenant, v) VALUES (${k}, '${tenant}', 'x')`, `INSERT INTO ks.of_none (k, v) VALUES (${k}, 'x')`);
    // One that the two sides count to different tenants, one that is nobody's, and one of the target alone.
    await two.on('source', `INSERT INTO ks.of_value (k, tenant) VALUES (3, '${ours}')`, "INSERT INTO ks.of_value (k, v) VALUES (4, 'nobody')");
    await two.on('target', `INSERT INTO ks.of_value (k, tenant) VALUES (3, '${theirs}')`, `INSERT INTO ks.of_value (k, tenant) VALUES (5, '${theirs}')`);
    const tenants = { column: 'tenant', tenants: [ours.toUpperCase(), '7'] };
    const keys = async (table: string): Promise<readonly string[]> => (await validate(table, { tenants })).tables.flatMap(({ discrepancies }) => discrepancies.map(({ key, types }) => `${key} ${types.join()}`)).sort();
    expect(await keys('of_key')).toEqual([`tenant = ${ours}, k = 1 MissingInTarget`]);
    expect(await keys('of_value')).toEqual(['k = 1 MissingInTarget', 'k = 3 ValueMismatch', 'k = 4 MissingInTarget']);
    expect(await keys('of_none')).toEqual(['k = 1 MissingInTarget', 'k = 2 MissingInTarget']);
    expect(await validate('of_static', { tenants })).toMatchObject({ passed: false, tables: [{ error: expect.stringContaining('it is static') as unknown }] });
    expect(await validate('of_key', { tenants: { column: 'tenant', tenants: ['7'] } })).toMatchObject({ passed: false, tables: [{ error: expect.stringContaining('None of the tenants') as unknown }] });
    expect(await validate('of_key', { tenants, reconcile: 'source-wins' })).toMatchObject({ passed: true, repaired: 1 });
    expect(await two.dump('target', 'of_key')).toHaveLength(2);
  }, 60_000);

  test('manual repair writes nothing, and tells each difference with both sides', async () => {
    await make('told');
    await two.on('source', `UPDATE ks.told USING TIMESTAMP ${base + 50} SET v = 'later' WHERE p = 1 AND c = 1`);
    const told: Discrepancy[] = [];
    expect(await validate('told', { reconcile: 'manual', sink: (one) => Promise.resolve(void told.push(one)) })).toMatchObject({ passed: false, repaired: 0 });
    expect(told).toMatchObject([{ table: `${two.keyspace}.told`, part: 'rows', key: 'p = 1, c = 1', types: ['ValueMismatch'], cells: [{ column: 'v', source: { value: "'later'", writetime: String(base + 50) }, target: { value: "'v1'", writetime: String(base + 1) } }] }]);
    const report = await validate('told');
    expect(report).toMatchObject({ rowsDifferent: 1 });
    expect(printReport(report)).toMatch(/NOT passed; 50 rows compared, 1 different.*\n.*ValueMismatch 1\n {4}p = 1, c = 1: ValueMismatch \(v: source 'later', target 'v1'\)/);
  }, 60_000);

  test('a difference that is on its way is none', async () => {
    await make('moving');
    await two.on('source', `UPDATE ks.moving USING TIMESTAMP ${base + 50} SET v = 'soon' WHERE p = 1 AND c = 1`);
    // The target gets it between the first reading and the second.
    const target = new Proxy(two.clusters.target, {
      get: (cluster, name) => {
        const value: unknown = Reflect.get(cluster, name);
        if (name !== 'read') return typeof value === 'function' ? value.bind(cluster) as unknown : value;
        return async (...request: Parameters<Cluster['read']>) => {
          if (/WHERE "p" = /.test(request[0].text)) await two.on('target', `UPDATE ks.moving USING TIMESTAMP ${base + 50} SET v = 'soon' WHERE p = 1 AND c = 1`);
          return cluster.read(...request);
        };
      },
    });
    const report = await new Validator(two.runtime, { ...two.clusters, target }, quick).validate([pairOf('moving')], { mode: 'FullScan' }, two.runtime.signal);
    expect(report).toMatchObject({ passed: true, rowsDifferent: 0 });
    expect(report.tables[0]?.transient).toBe(1);
  }, 60_000);

  test('a row that changes at every reading is unsettled, and the comparison does not pass', async () => {
    await make('restless');
    await two.on('source', 'UPDATE ks.restless SET w = 0 WHERE p = 1 AND c = 1');
    let changes = 0;
    const source = new Proxy(two.clusters.source, {
      get: (cluster, name) => {
        const value: unknown = Reflect.get(cluster, name);
        if (name !== 'read') return typeof value === 'function' ? value.bind(cluster) as unknown : value;
        return async (...request: Parameters<Cluster['read']>) => {
          if (/WHERE "p" = /.test(request[0].text)) await two.on('source', `UPDATE ks.restless SET w = ${changes += 1} WHERE p = 1 AND c = 1`);
          return cluster.read(...request);
        };
      },
    });
    const report = await new Validator(two.runtime, { ...two.clusters, source }, { ...quick, reconcile: 'source-wins' }).validate([pairOf('restless')], { mode: 'FullScan' }, two.runtime.signal);
    expect(report).toMatchObject({ passed: false, unsettled: 1, rowsDifferent: 0, repaired: 0 });
    expect(changes).toBe(quick.recheckRounds);
  }, 60_000);

  test('samples, recent writes and critical tables look where they are told to', async () => {
    await make('modes');
    await two.on('source', `UPDATE ks.modes USING TIMESTAMP ${base + 500} SET v = 'recent' WHERE p = 1 AND c = 1`, `UPDATE ks.modes USING TIMESTAMP ${base + 20} SET v = 'old' WHERE p = 2 AND c = 1`);
    expect(await validate('modes', {}, { mode: 'RecentWrites', since: BigInt(base + 400) })).toMatchObject({ rowsDifferent: 1, rowsCompared: 1 });
    const int = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes; };
    const keys: RecentKeys = { recent: () => Promise.resolve({ keys: [{ part: 'rows', partitionKey: [int(2)], clustering: [int(1)] }, { part: 'rows', partitionKey: [int(3)], clustering: [int(1)] }] }) };
    expect(await validate('modes', {}, { mode: 'RecentWrites', since: 0n, keys })).toMatchObject({ rowsDifferent: 1, rowsCompared: 2 });
    // A whole partition.
    const partition: RecentKeys = { recent: () => Promise.resolve({ keys: [{ part: 'rows', partitionKey: [int(2)], clustering: [] }, { part: 'statics', partitionKey: [int(2)], clustering: [] }] }) };
    expect(await validate('modes', {}, { mode: 'RecentWrites', since: 0n, keys: partition })).toMatchObject({ rowsDifferent: 1, rowsCompared: 5 });
    const sampled = await validate('modes', {}, { mode: 'RandomSample', sampleRate: 0.25, random: () => 0.5 });
    expect(sampled.tables[0]?.shareOfRing).toBeCloseTo(0.25, 2);
    expect(await validate('modes', {}, { mode: 'RandomSample', sampleRate: 1, random: Math.random })).toMatchObject({ rowsDifferent: 2, rowsCompared: 50 });
    expect(await validate('modes', {}, { mode: 'CriticalTables', tables: [`${two.keyspace}.modes`] })).toMatchObject({ rowsDifferent: 2 });
    await expect(async () => validate('modes', {}, { mode: 'CriticalTables', tables: ['ks.absent'] })).rejects.toThrow('MIG071');
  }, 60_000);

  test('the scanner repairs, alerts, and looks again only where it was not clean', async () => {
    await make('scanned');
    using ledger = new SqliteScanLedger(`${two.folder}/scan.db`);
    const alerts: ComparisonReport[] = [];
    const scanner = (options: Partial<ScannerOptions>): TwoWayScanner => new TwoWayScanner(two.runtime, two.clusters, [pairOf('scanned')], ledger, { ...quick, scanMode: 'Incremental', scanIntervalMs: 10, alertThreshold: 1, ...options }, { scanned: () => undefined, alert: (report) => { alerts.push(report); } });
    await two.on('target', `UPDATE ks.scanned USING TIMESTAMP ${base + 9} SET w = 100 WHERE p = 1 AND c = 1`);
    expect(await scanner({}).scan(two.runtime.signal)).toMatchObject({ rowsDifferent: 1, rowsCompared: 50 });
    expect(alerts).toHaveLength(0);
    // Only the range that differed is looked at now.
    const again = await scanner({ reconcile: 'newest' }).scan(two.runtime.signal);
    expect(again).toMatchObject({ rowsDifferent: 1, repaired: 1 });
    expect(again.rowsCompared).toBeLessThan(50);
    expect(await scanner({}).scan(two.runtime.signal)).toMatchObject({ rowsDifferent: 0, rowsCompared: 0 });
    await two.on('target', `UPDATE ks.scanned USING TIMESTAMP ${base + 9} SET w = 100 WHERE p = 2 AND c = 1`, `UPDATE ks.scanned USING TIMESTAMP ${base + 9} SET w = 100 WHERE p = 3 AND c = 1`);
    const stop = new AbortController();
    let scans = 0;
    await new TwoWayScanner(two.runtime, two.clusters, [pairOf('scanned')], ledger, { ...quick, scanMode: 'Continuous', scanIntervalMs: 10, alertThreshold: 1, reconcile: 'source-wins' }, {
      scanned: () => { if ((scans += 1) === 2) stop.abort(); }, alert: (report) => { alerts.push(report); },
    }).run(stop.signal);
    expect(alerts).toMatchObject([{ rowsDifferent: 2 }]);
    await expectSame('scanned');
  }, 60_000);

  test('counters are compared by value and repaired by what is missing', async () => {
    await two.both('CREATE TABLE ks.counted (k int PRIMARY KEY, n counter)');
    await two.both('UPDATE ks.counted SET n = n + 5 WHERE k = 1');
    await two.on('source', 'UPDATE ks.counted SET n = n + 3 WHERE k = 1', 'UPDATE ks.counted SET n = n - 3 WHERE k = 2');
    expect((await validate('counted')).counts).toEqual({ ...none, ValueMismatch: 1, MissingInTarget: 1 });
    expect(await validate('counted', { reconcile: 'source-wins' })).toMatchObject({ repaired: 2, passed: true });
    await expectSame('counted');
    // A row that only one side has is given to the other by `newest`; of two values none is the newer.
    await two.on('target', 'UPDATE ks.counted SET n = n + 7 WHERE k = 3', 'UPDATE ks.counted SET n = n + 7 WHERE k = 1');
    await two.on('source', 'UPDATE ks.counted SET n = n + 4 WHERE k = 4');
    expect(await validate('counted', { reconcile: 'source-wins' })).toMatchObject({ rowsDifferent: 3, repaired: 2, passed: false });
    await two.on('target', 'UPDATE ks.counted SET n = n + 7 WHERE k = 1');
    await two.on('source', 'UPDATE ks.counted SET n = n + 4 WHERE k = 5');
    expect(await validate('counted', { reconcile: 'newest' })).toMatchObject({ rowsDifferent: 3, repaired: 2, passed: false });
    expect(await validate('counted', { reconcile: 'source-wins' })).toMatchObject({ repaired: 1, passed: true });
    await expectSame('counted');
  }, 60_000);
});
