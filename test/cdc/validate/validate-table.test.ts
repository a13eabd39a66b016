/** Property: a validation finds exactly the rows that differ, across versions, and nothing on the way is taken for a difference. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { PlanOptions } from '../../../cdc/postgres/plan-table.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { repairRows } from '../../../cdc/validate/repair.ts';
import { validateTable } from '../../../cdc/validate/validate-table.ts';
import type { ValidationOptions } from '../../../cdc/validate/validate-table.ts';
import type { ValidationReport } from '../../../cdc/validate/validation-report.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

let olderServer: TestPostgres;
let newerServer: TestPostgres;
let source: pg.Client;
let local: pg.Client;

beforeAll(async () => {
  olderServer = await startTestPostgres({ nativeDirectory: '/usr/lib/postgresql/15' });
  newerServer = await startTestPostgres();
  source = await olderServer.client();
  local = await newerServer.client();
});
afterAll(async () => {
  await olderServer[Symbol.asyncDispose]();
  await newerServer[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await both('DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s');
});

async function both(sql: string): Promise<void> {
  await source.query(sql);
  await local.query(sql);
}

async function plan(options: Partial<PlanOptions> = {}): Promise<TablePlan> {
  return planTable(await introspectTable(source, { schema: 's', name: 't' }), { tableId: 't', ...options });
}

async function validate(tablePlan: TablePlan, options: Partial<ValidationOptions> = {}): Promise<ValidationReport> {
  const [a, b] = [await olderServer.client(), await newerServer.client()];
  try {
    return await validateTable({ source: a, local: b, plan: tablePlan, mode: { type: 'full' }, settle: () => Promise.resolve(), monotonicMs: () => performance.now(), ...options });
  } finally {
    await Promise.all([a.end(), b.end()]);
  }
}

const found = (report: ValidationReport): string[] => report.mismatches.map((mismatch) => `${mismatch.type} ${mismatch.key.join(',')} ${mismatch.columns.join(',')}`.trim()).sort();

const allTypes = `
  CREATE EXTENSION IF NOT EXISTS citext;
  CREATE TYPE s.mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN s.price AS numeric(12,4); CREATE TYPE s.pair AS (a int, b text, f float8);
  CREATE TABLE s.t (id bigint PRIMARY KEY, b bool, i2 smallint, i4 int, f4 real, f8 double precision, n numeric, n2 numeric(20,6), m money, tx text, vc varchar(20), c char(8), bc bpchar,
    by bytea, d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, x xml, ip inet, ci cidr, ma macaddr, bt bit(5), vb bit varying,
    ia int[], ta text[], fa float8[], na numeric[], tsv tsvector, tsq tsquery, p point, bx box, pg polygon, ir int4range, nr numrange, tr tstzrange, md s.mood, pr s.price, co s.pair, mda s.mood[], o oid, rc regclass, ct citext, ls pg_lsn)`;
const allValues = `INSERT INTO s.t SELECT i, i % 2 = 0, i, i * 1000, i / 7.0, i / 3.0::float8 * 1e10, (i * 1.10)::numeric, i / 3.0, i::numeric::money, E'tab\\tquote"\\\\ (x, y) ü ' || i, 'v ' || i, 'c' || i, 'b  ',
    decode(md5(i::text), 'hex'), date '2024-01-01' + i, time '01:02:03.000004' + i * interval '1 s', '01:02:03+05:30', timestamp '1999-12-31 23:59:59.999999' + i * interval '1 day', timestamptz '2024-03-31 01:30:00+01' + i * interval '1 hour', i * interval '1 mon 3 days 04:05:06.789',
    md5(i::text)::uuid, ('{"b": 1,  "a": ' || i || '}')::json, ('{"b": 1,  "a": [' || i || ', null, 1.50]}')::jsonb, ('<a>' || i || '</a>')::xml, '10.0.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'1',
    ARRAY[i, NULL, 3], ARRAY['a,b', NULL, '', 'NULL'], ARRAY[0.1, 'NaN', '-Infinity', i / 3.0]::float8[], ARRAY[1.0, 1.00], to_tsvector('simple', 'a fat cat ' || i), 'fat & cat', point(i / 3.0, 0.1), box(point(0, 0), point(1, i / 7.0)), '((0,0),(1,1),(2,0))',
    int4range(1, i + 2), numrange(1.10, i + 2), tstzrange('2024-01-01 00:00+00', NULL), 'ok', i / 8.0, ROW(i, 'x"y', i / 3.0)::s.pair, '{sad,happy}', i, 'pg_class', 'MiXed', '0/16B3740'
  FROM generate_series(1, 500) i; INSERT INTO s.t (id) VALUES (0); INSERT INTO s.t (id, f8, f4, n, tx, d, ts) VALUES (-1, 'NaN', '-0', 'NaN', '', 'infinity', '-infinity')`;

describe('values', () => {
  it('are the same text for every type on PostgreSQL 15 and 18, whatever the sessions and servers are set to', async () => {
    await both(allTypes);
    await both(allValues);
    await local.query("ALTER DATABASE postgres SET timezone = 'Asia/Kolkata'; ALTER DATABASE postgres SET datestyle = 'SQL, DMY'; ALTER DATABASE postgres SET extra_float_digits = 0; ALTER DATABASE postgres SET bytea_output = 'escape'; ALTER DATABASE postgres SET intervalstyle = 'iso_8601'");
    const report = await validate(await plan(), { chunkRows: 100 });
    expect(found(report)).toEqual([]);
    expect(report.falseAlarms).toBe(0);
    expect(report).toMatchObject({ isEqual: true, rowsSource: 502, rowsLocal: 502, method: 'key ranges' });
    expect(report.chunks.length).toBeGreaterThanOrEqual(6);
  });

  const planted: readonly (readonly [string, string])[] = [
    ['f8', 'f8 = 0.1::float8 + 0.2'], ['f4', "f4 = '1.0000001'"], ['tx', "tx = ''"], ['vc', "vc = vc || ' '"], ['bc', "bc = 'b '"], ['j', `j = '{"a": 7,  "b": 1}'`],
    ['n', 'n = n * 1.0'], ['by', "by = by || '\\x00'"], ['ia', 'ia[2] = 0'], ['ta', "ta[2] = 'NULL'"], ['fa', 'fa[1] = fa[1] + 1e-17'], ['ts', "ts = ts + interval '1 microsecond'"], ['tz', "tz = '00:02:03+04:30'"],
    ['iv', "iv = iv + interval '30 days' - interval '1 mon'"], ['co', "co = ROW(7, 'x\"y ', 1)::s.pair"], ['ct', "ct = 'mixed'"], ['p', 'p = point(0.1::float8 + 0.2, 0.1)'], ['md', "md = 'happy'"],
  ];
  it('that differ are found, each by its column', async () => {
    await both(`${allTypes}; ${allValues}`);
    await both("UPDATE s.t SET f8 = 0.3, f4 = 1, tx = NULL, fa[1] = 1e-16, p = point(0.3, 0.1)");
    for (const [at, [, change]] of planted.entries()) await local.query(`UPDATE s.t SET ${change} WHERE id = ${at * 20 + 1}`);
    const report = await validate(await plan(), { chunkRows: 10 });
    expect(found(report)).toEqual(planted.map(([column], at) => `VALUE_DIFF ${at * 20 + 1} ${column}`).sort());
    expect(report.chunks.filter((chunk) => chunk.result === 'different').length).toBe(planted.length);
  });

  it('jsonb with another order of keys is the same value, json is not', async () => {
    await both('CREATE TABLE s.t (id int PRIMARY KEY, j json, jb jsonb)');
    await source.query(`INSERT INTO s.t VALUES (1, '{"a":1,"b":2}', '{"a":1,"b":2}'), (2, '{"a":1}', '{"a":1}')`);
    await local.query(`INSERT INTO s.t VALUES (1, '{"a":1,"b":2}', '{"b":2,"a":1}'), (2, '{"a": 1}', '{"a": 1}')`);
    expect(found(await validate(await plan()))).toEqual(['VALUE_DIFF 2 j']);
  });
});

describe('rows', () => {
  it('that are missing or too many are found at both ends and in the middle, one in 100,000', async () => {
    await both("CREATE TABLE s.t (id int PRIMARY KEY, v text); INSERT INTO s.t SELECT i, 'v' || i FROM generate_series(1, 100000) i");
    await local.query("DELETE FROM s.t WHERE id IN (1, 50000, 100000); INSERT INTO s.t VALUES (-5, 'x'), (200000, 'y'); UPDATE s.t SET v = 'V' || id WHERE id = 77777");
    const report = await validate(await plan());
    expect(found(report)).toEqual(['MISSING_LOCAL 1', 'MISSING_LOCAL 100000', 'MISSING_LOCAL 50000', 'MISSING_REMOTE -5', 'MISSING_REMOTE 200000', 'VALUE_DIFF 77777 v']);
    expect(report.mismatches.find((mismatch) => mismatch.key[0] === '77777')).toMatchObject({ source: ['77777', 'v77777'], local: ['77777', 'V77777'] });
    expect(report.counts).toEqual({ MISSING_LOCAL: 3, MISSING_REMOTE: 2, VALUE_DIFF: 1 });
  });

  it('of text keys whose order differs between the servers are compared by hash buckets', async () => {
    await source.query('CREATE TABLE s.t (k text COLLATE "en-x-icu" PRIMARY KEY, v int)').catch(() => source.query('CREATE TABLE s.t (k citext PRIMARY KEY, v int)'));
    await local.query('CREATE TABLE s.t (k text PRIMARY KEY, v int)');
    await both("INSERT INTO s.t SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'B' END || i, i FROM generate_series(1, 3000) i");
    await local.query("DELETE FROM s.t WHERE v = 17; UPDATE s.t SET v = 0 WHERE v = 18");
    const report = await validate(await plan(), { chunkRows: 100 });
    expect(report.method).toBe('hash buckets');
    expect(found(report)).toEqual(['MISSING_LOCAL B17', 'VALUE_DIFF a18 v']);
  });

  it('of composite keys are compared by ranges of all their columns', async () => {
    await both("CREATE TABLE s.t (a int, b text COLLATE \"C\", v int, PRIMARY KEY (a, b)); INSERT INTO s.t SELECT i % 7, 'k''\\\\' || i, i FROM generate_series(1, 2000) i");
    await local.query('DELETE FROM s.t WHERE v IN (1, 1000); UPDATE s.t SET v = -1 WHERE v = 1999');
    const report = await validate(await plan(), { chunkRows: 64 });
    expect(report.method).toBe('key ranges');
    expect(report.counts).toEqual({ MISSING_LOCAL: 2, MISSING_REMOTE: 0, VALUE_DIFF: 1 });
  });

  it('of a keyless table are compared as a multiset', async () => {
    await both("CREATE TABLE s.t (a int, b text); ALTER TABLE s.t REPLICA IDENTITY FULL; INSERT INTO s.t SELECT i % 50, NULLIF('x' || i % 50, 'x3') FROM generate_series(1, 1000) i");
    await source.query('INSERT INTO s.t SELECT 7, \'x7\'');
    await local.query("INSERT INTO s.t VALUES (999, NULL)");
    const report = await validate(await plan());
    expect(report.counts).toEqual({ MISSING_LOCAL: 0, MISSING_REMOTE: 1, VALUE_DIFF: 1 });
    expect(report.mismatches.map((mismatch) => (mismatch.source ?? mismatch.local)?.[0]).sort()).toEqual(['7', '999']);
  });

  it('outside the filter and columns left out do not count', async () => {
    await both('CREATE TABLE s.t (id int PRIMARY KEY, v int, secret text); INSERT INTO s.t SELECT i, i, i FROM generate_series(1, 100) i');
    await local.query("DELETE FROM s.t WHERE v > 50; UPDATE s.t SET secret = 'x'; UPDATE s.t SET v = 0 WHERE id = 9");
    const report = await validate(await plan({ columns: ['id', 'v'], whereClause: 'v <= 50' }));
    expect(found(report)).toEqual(['VALUE_DIFF 9 v']);
    expect(report).toMatchObject({ rowsSource: 50, rowsLocal: 50 });
  });

  it('are found on partitioned tables under another name', async () => {
    await both('CREATE TABLE s.t (id int, d date, v int, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (\'2024-01-01\') TO (\'2025-01-01\'); CREATE TABLE s.t2 PARTITION OF s.t DEFAULT');
    await both("INSERT INTO s.t SELECT i, date '2024-06-01' + i, i FROM generate_series(1, 1000) i");
    await local.query('DELETE FROM s.t2 WHERE v = 900; CREATE SCHEMA IF NOT EXISTS elsewhere; DROP TABLE IF EXISTS elsewhere.renamed; ALTER TABLE s.t SET SCHEMA elsewhere; ALTER TABLE elsewhere.t RENAME TO renamed');
    const report = await validate(await plan({ targetSchema: 'elsewhere', targetTable: 'renamed' }), { chunkRows: 100 });
    await local.query('DROP TABLE elsewhere.renamed');
    expect(report.counts).toEqual({ MISSING_LOCAL: 1, MISSING_REMOTE: 0, VALUE_DIFF: 0 });
  });

  it('far too many on one side stay within bounds, and what was not looked at is said', async () => {
    await both('CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t SELECT i FROM generate_series(1, 100) i');
    await local.query('INSERT INTO s.t SELECT i FROM generate_series(1000, 130000) i');
    const report = await validate(await plan(), { maxMismatches: 6000 });
    expect(report.counts.MISSING_REMOTE).toBeGreaterThanOrEqual(6000);
    expect(report.counts.MISSING_REMOTE).toBeLessThanOrEqual(11000);
    expect(report.isEqual).toBe(false);
    expect(report.mismatches.length).toBe(100);
  });

  it('of chosen chunks only are compared when an earlier report names them', async () => {
    await both("CREATE TABLE s.t (id int PRIMARY KEY, v int); INSERT INTO s.t SELECT i, i FROM generate_series(1, 1000) i");
    const first = await validate(await plan(), { chunkRows: 100 });
    await local.query('DELETE FROM s.t WHERE id IN (150, 950)');
    const chosen = first.chunks.filter((chunk) => chunk.range.type === 'range' && chunk.range.lower?.[0] === '100').map((chunk) => chunk.range);
    const report = await validate(await plan(), { ranges: chosen });
    expect(found(report)).toEqual(['MISSING_LOCAL 150']);
    expect(report.rowsSource).toBe(100);
    expect(report.chunks[0]?.position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  });

  it('of an empty table are equal, and a sample looks at the ends at least', async () => {
    await both('CREATE TABLE s.t (id int PRIMARY KEY)');
    expect(await validate(await plan())).toMatchObject({ isEqual: true, rowsSource: 0 });
    await both('INSERT INTO s.t SELECT i FROM generate_series(1, 10000) i');
    await local.query('INSERT INTO s.t VALUES (-1), (99999)');
    const report = await validate(await plan(), { chunkRows: 100, mode: { type: 'sample', percent: 10, seed: 3 } });
    expect(report.counts.MISSING_REMOTE).toBe(2);
    expect(report.rowsSource).toBeGreaterThan(300);
    expect(report.rowsSource).toBeLessThan(3000);
  });
});

describe('repair', () => {
  for (const keyed of [true, false]) {
    it(`brings a ${keyed ? 'keyed' : 'keyless'} table back to equality, either way`, async () => {
      await both(`CREATE TABLE s.t (id int GENERATED ALWAYS AS IDENTITY ${keyed ? 'PRIMARY KEY' : ''}, v text, n numeric, a text[]); ${keyed ? '' : 'ALTER TABLE s.t REPLICA IDENTITY FULL;'} INSERT INTO s.t (v, n, a) SELECT NULLIF('v' || i, 'v5'), i * 1.10, ARRAY['a"b', NULL] FROM generate_series(1, 50) i`);
      if (keyed) await local.query('CREATE TABLE s.child (id int PRIMARY KEY REFERENCES s.t ON DELETE CASCADE); INSERT INTO s.child VALUES (8)');
      const damage = 'DELETE FROM s.t WHERE id IN (1, 50); UPDATE s.t SET v = NULL, n = 1.1 WHERE id = 8; INSERT INTO s.t (v) VALUES (\'new\')';
      for (const [strategy, damaged] of [['COPY_FROM_SOURCE', local], ['COPY_TO_SOURCE', source]] as const) {
        await damaged.query(damage);
        const before = await validate(await plan());
        expect(before.isEqual).toBe(false);
        const [a, b] = [await olderServer.client(), await newerServer.client()];
        const result = await repairRows({ source: a, local: b, plan: await plan(), mismatches: before.mismatches, strategy, replicaRole: false });
        expect(result.written).toBe(3);
        expect((await validate(await plan())).isEqual).toBe(true);
      }
      if (keyed) expect((await local.query('SELECT id FROM s.child')).rows).toEqual([{ id: 8 }]);
      await both('DROP TABLE IF EXISTS s.child');
    });
  }
});
