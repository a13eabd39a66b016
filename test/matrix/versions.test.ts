/**
 * Every version as the source of the packaged one, and as its local: a schema with one of everything that both know is made, loaded,
 * followed, validated, cut over, written on the other side and carried back, and both sides hold the same rows at each stop.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type pg from 'pg';
import type { Position } from '../../cdc/change.ts';
import { applierTagSql, installFence, installGuard, readFences, removeFence, removeGuard } from '../../cdc/postgres/fence.ts';
import { preflightTable } from '../../cdc/postgres/preflight.ts';
import { advanceSequences } from '../../cdc/postgres/sequences.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { describeVersions, packagedVersion, startVersion, testedVersions } from '../support/servers.ts';
import type { TestedVersion } from '../support/servers.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { MigratedPair } from './migrated-pair.ts';
import { sampleChanges, sampleDdl, sampleRows, sampleTables } from './sample.ts';
import type { SampleTable } from './sample.ts';

const settings = { shared_buffers: '16MB', max_connections: 60 };
const names = sampleTables.map((name) => ({ schema: 's', name }));

/** Between these lie most of the differences; `npm run soak` takes every version. */
const sample: readonly TestedVersion[] = [10, 13, 14, packagedVersion];

for (const version of process.env['CAUSEWAY_CRASH'] === 'all' ? testedVersions : sample) {
  describeVersions([version], `PostgreSQL ${version} as source`, () => matrix(version, packagedVersion));
  if (version !== packagedVersion) describeVersions([version], `PostgreSQL ${version} as local`, () => matrix(packagedVersion, version));
}

function matrix(sourceVersion: TestedVersion, localVersion: TestedVersion): void {
  const low = Math.min(sourceVersion, localVersion);
  let servers: { source: TestPostgres; local: TestPostgres };
  let pair: MigratedPair;
  let plans: Readonly<Record<SampleTable, TablePlan>>;
  let source: pg.Client;
  let local: pg.Client;

  beforeAll(async () => {
    servers = { source: await startVersion(sourceVersion, { settings }), local: await startVersion(localVersion, { settings }) };
    pair = await MigratedPair.open(servers.source, servers.local);
    ({ source, local } = pair);
    await source.query(sampleDdl(low));
    await source.query(sampleRows(low));
  });
  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
    await servers.source[Symbol.asyncDispose]();
    await servers.local[Symbol.asyncDispose]();
  });

  const inTransaction = async (client: pg.Client, work: () => Promise<void>): Promise<void> => {
    await client.query('BEGIN');
    await work();
    await client.query('COMMIT');
  };
  const text = async (client: pg.Client, sql: string): Promise<string> => String((await client.query<{ t: unknown }>(sql)).rows[0]?.t);

  test('preflight finds nothing in the way, in either direction', async () => {
    for (const table of names) {
      const findings = await preflightTable(source, local, { table, tableId: table.name, companions: names });
      expect(findings.filter((finding) => finding.severity === 'error')).toEqual([]);
      const warned = (code: string, isSource: boolean): boolean => findings.some((finding) => finding.code === code && finding.severity === 'warning' && (finding.subject === 'local') !== isSource);
      expect([warned('truncate', true), warned('truncate', false)]).toEqual([sourceVersion < 11, localVersion < 11]);
      expect(warned('partitions', true)).toBe(sourceVersion < 13 && (table.name === 'event' || (table.name === 'listed' && low >= 11)));
    }
    plans = await pair.plan('source');
  });

  test('load with changes meanwhile, stream, every kind of change', async () => {
    await pair.createTables(plans);
    await inTransaction(local, () => installGuard(local, names, { epoch: 1, token: '1' }));
    pair.run(pair.forward);
    for (const name of sampleTables) await pair.forward.addTable(plans[name]);
    await source.query(sampleChanges(low, 1));
    expect(await pair.load(plans)).toBeGreaterThan(3800);
    await source.query(sampleChanges(low, 2));
    for (const name of sampleTables) await pair.forward.startDraining(name);
    await pair.caughtUp(pair.forward);
    await pair.buildIndexes(plans);
    await source.query(sampleChanges(low, 3));
    await pair.caughtUp(pair.forward);
    expect(await pair.differences(plans)).toEqual([]);
    // Rows move to other partitions, and one partition is emptied alone.
    if (low >= 11) await source.query('UPDATE s.event SET day = day + 300 WHERE id % 9 = 0');
    if (low >= 11) await source.query("TRUNCATE s.keyless, s.by_index, s.event_rest_0; INSERT INTO s.keyless VALUES (1, 'after', 1); INSERT INTO s.by_index SELECT 'c' || g, g FROM generate_series(1, 300) g");
    await source.query("INSERT INTO s.event VALUES (1000000, '2024-05-05', 'k1')");
    await pair.caughtUp(pair.forward);
    expect(await pair.differences(plans)).toEqual([]);
    expect(pair.trouble).toEqual([]);
  });

  // Below 13 a partition has to be put into the publication by itself; the changed definition stops the migration there.
  test.runIf(low >= 13)('a partition that is made meanwhile', async () => {
    const make = "CREATE TABLE s.event_2040 PARTITION OF s.event FOR VALUES FROM ('2040-01-01') TO ('2041-01-01')";
    await local.query(make);
    await source.query(make);
    await source.query("INSERT INTO s.event SELECT g, '2040-02-02', 'k' FROM generate_series(7000, 7020) g");
    await pair.caughtUp(pair.forward);
    expect(await pair.differences(plans)).toEqual([]);
    expect(pair.trouble).toEqual([]);
  });

  test('a difference is found', async () => {
    await local.query(`BEGIN; ${applierTagSql('1')}; UPDATE s.child SET v = v + 1 WHERE id = 7; COMMIT`);
    expect(await pair.differences(plans)).toEqual(['child: VALUE_DIFF 7 v']);
    await local.query(`BEGIN; ${applierTagSql('1')}; UPDATE s.child SET v = v - 1 WHERE id = 7; COMMIT`);
  });

  test('local has the keys, indexes, identity and generated columns of the source', async () => {
    const shape = `SELECT string_agg(x, E'\\n' ORDER BY x) AS t FROM (
      SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || attidentity::text AS x FROM pg_attribute
       WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 's'::regnamespace AND relkind IN ('r', 'p')) AND attnum > 0
      UNION ALL SELECT i.indrelid::regclass || ' ' || i.indisunique || ' ' || i.indisprimary || ' ' || regexp_replace(pg_get_indexdef(indexrelid), '^.*? USING ', '') FROM pg_index i
        WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 's'::regnamespace)
      UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 's'::regnamespace AND contype IN ('c', 'f') AND conrelid <> 0) q`;
    expect(await text(local, shape)).toBe(await text(source, shape));
    if (low >= 12) expect(await text(local, 'SELECT bool_and(twice = v * 2) AS t FROM s.child')).toBe('true');
  });

  test('cutover: sequences, fence, guard; writes go back in the reverse stream; rollback', async () => {
    const position = async (marker: Promise<Position>): Promise<Position> => marker;
    pair.run(pair.reverse);
    const reversePlans = await pair.plan('local');
    for (const name of sampleTables) await pair.reverse.addTable(reversePlans[name]);
    await advanceSequences(source, local, names.map((table) => ({ from: table, to: table })), 1000);
    expect(BigInt(await text(local, "SELECT nextval(pg_get_serial_sequence('s.child', 'id')) AS t"))).toBeGreaterThan(3000n);

    await expect(local.query('DELETE FROM s.child')).rejects.toMatchObject({ code: '55006' });
    await inTransaction(source, () => installFence(source, names, { epoch: 2, token: '1' }));
    const end = await position(pair.caughtUp(pair.forward));
    for (const name of sampleTables) await pair.forward.closeInterval(name, end);
    for (const name of sampleTables) await pair.reverse.startDraining(name);
    const start = await position(pair.caughtUp(pair.reverse));
    for (const name of sampleTables) await pair.reverse.openInterval(name, start);
    await inTransaction(local, () => removeGuard(local, names));
    expect((await readFences(source)).map((fence) => fence.complete)).toEqual(names.map(() => true));
    for (const sql of ['DELETE FROM s.child', "INSERT INTO s.event VALUES (0, '2024-02-02', 'x')", 'UPDATE s.event_2024 SET kind = NULL', 'TRUNCATE s.kinds']) {
      await expect(source.query(`SET session_replication_role = replica; ${sql}`), sql).rejects.toMatchObject({ code: '55006' });
      await source.query('RESET session_replication_role');
    }

    await local.query(sampleChanges(low, 4));
    await local.query(sampleChanges(low, 5));
    if (low >= 11) await local.query('UPDATE s.event SET day = day - 200 WHERE id % 7 = 0 AND day > date \'2024-08-01\'; TRUNCATE s.by_index, s.event_2024');
    await local.query("INSERT INTO s.by_index VALUES ('last', 1)");
    await pair.caughtUp(pair.reverse);
    expect(await pair.differences(plans, 'local')).toEqual([]);

    await inTransaction(local, () => installGuard(local, names, { epoch: 3, token: '1' }));
    const back = await pair.caughtUp(pair.reverse);
    for (const name of sampleTables) await pair.reverse.closeInterval(name, back);
    const again = await pair.caughtUp(pair.forward);
    for (const name of sampleTables) await pair.forward.openInterval(name, again);
    await advanceSequences(local, source, names.map((table) => ({ from: table, to: table })), 1000);
    await inTransaction(source, () => removeFence(source, names));
    await source.query(sampleChanges(low, 6));
    await pair.caughtUp(pair.forward);
    expect(await pair.differences(plans)).toEqual([]);
    expect(pair.trouble).toEqual([]);
  });
}
