/**
 * Conflicts with a MySQL source: rows of local that something other than the stream has written (RULES 25). Whoever wins, both sides are the same in the end, no acknowledged
 * change of the source that came after the conflict is written over, and nothing goes round in circles.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { ConflictStrategy } from '../../../cdc/apply/conflict.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { TypeRules } from '../../../cdc/mysql/source-column.ts';
import { MysqlTableComparer } from '../../../cdc/mysql/table-comparer.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import { describeMysql, mysqlKinds, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { until } from '../stream/fixture.ts';
import { seeded } from '../stream/random-workload.ts';
import { everyType, everyTypeMap, fillEveryType } from './every-type.ts';
import { followForward } from './forward-fixture.ts';
import type { Forward } from './forward-fixture.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';

/** CAUSEWAY_CONFLICT_SERVERS names others (mysql-9.7, mysql-5.6), by commas. */
const wanted = (process.env['CAUSEWAY_CONFLICT_SERVERS'] ?? 'mariadb-10.11').split(',');
const targetWins: ConflictStrategy = { kind: 'target_wins' };
const newerWins: ConflictStrategy = { kind: 'timestamp_wins', column: 'at' };
const KEYS = 12;
/** Three values of each. */
const keyTypes: Readonly<Record<string, readonly [string, string, string]>> = {
  'bigint unsigned': ['0', '18446744073709551615', '7'], 'decimal(20,5)': ['-1.50000', '0', '123456789012345.00001'], double: ['0.1', '-123456789012345.5', '0.0001'],
  date: ["'2024-02-29'", "'1000-01-01'", "'9999-12-31'"], 'datetime(6)': ["'2024-02-29 10:20:30.5'", "'2000-01-01'", "'2024-02-29 10:20:30.000001'"], "timestamp(3) DEFAULT '2001-01-01'": ["'2024-02-29 10:20:30.5'", "'2000-01-01'", "'2010-01-01'"],
  'time(6)': ["'-838:59:59'", "'00:00:00.000001'", "'12:00:00'"], year: ['1901', '2024', '2155'], 'bit(13)': ["b'1'", "b'1000000000001'", "b'0'"],
  'varchar(20) CHARACTER SET latin1': ["'ä'", "'a b'", "''"], 'varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin': ["'A\\\\n'", "'a'", "'日本'"], 'varbinary(20)': ["x'00ff'", "''", "x'5c'"], 'binary(4)': ["x'00'", "x'01020304'", "'a'"],
  "enum('b','a','it''s')": ["'a'", "'it''s'", "'b'"], uuid: ["'00000000-0000-0000-0000-000000000001'", "'ffffffff-0000-0000-0000-000000000001'", "'12345678-0000-0000-0000-000000000001'"],
};
/** At each run; all of them where servers are named. */
const usualKeys: ReadonlySet<string> = new Set(['bigint unsigned', 'double', 'datetime(6)', 'bit(13)', 'varchar(20) CHARACTER SET latin1', 'varbinary(20)', "enum('b','a','it''s')"]);
const seed = randomSeed();

for (const kind of mysqlKinds.filter((each) => wanted.includes(each))) {
  describeMysql([kind], `conflicts with ${kind}`, () => {
    let server: TestMysql;
    let local: TestPostgres;
    let pair: MysqlPair;
    let forward: Forward | undefined;
    let databases = 0;

    beforeAll(async () => {
      [server, local] = await Promise.all([startMysql(kind), startTestPostgres()]);
    });
    afterEach(async () => {
      await forward?.[Symbol.asyncDispose]();
      forward = undefined;
      await pair?.[Symbol.asyncDispose]();
    });
    afterAll(async () => {
      await server?.dispose();
      await local?.[Symbol.asyncDispose]();
    });

    /** Tables with these columns behind `id int PRIMARY KEY`. */
    async function follow(columns: Readonly<Record<string, string>>, strategy: (table: string) => ConflictStrategy, types: TypeRules = standardTypes, faults?: FaultPoints): Promise<Forward> {
      pair = await makeMysqlPair(server, local, `conflicts_${(databases += 1)}`);
      for (const [table, text] of Object.entries(columns)) await server.sql(`CREATE TABLE ${table} (id int PRIMARY KEY, ${text}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`, pair.database);
      forward = await followForward(pair, Object.keys(columns), types, strategy, {}, undefined, faults);
      return forward;
    }
    const there = async (sql: string): Promise<string> => (await pair.ask(sql)).map((row) => row.join(' ')).join(', ');
    const here = async (sql: string): Promise<string> => (await pair.client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows.map((row) => row.join(' ')).join(', ');
    const planOf = (table: string): TablePlan => {
      const plan = forward?.plans.get(table);
      if (!plan) throw new Error(`no plan of ${table}`);
      return plan;
    };
    async function expectSame(table: string, types: TypeRules = standardTypes): Promise<void> {
      const report = await new MysqlTableComparer(pair.source, pair.target, types).compare({
        plan: planOf(table), mode: { type: 'full' }, settle: () => forward?.settle([table]) ?? Promise.resolve(), monotonicMs: () => performance.now(), signal: AbortSignal.timeout(60_000),
      });
      expect(report.mismatches).toEqual([]);
    }

    it('the target may win, the newer may win, and a function may decide', async () => {
      const { settle, conflicts, stream } = await follow({ w: 'v varchar(20)', n: 'at timestamp(3) NULL, v varchar(20)', m: 'n decimal(30,1), v varchar(20)' },
        (table) => (table === 'w' ? targetWins : table === 'n' ? newerWins : { kind: 'custom_merge', function: 'public.merge_m' }));
      await pair.client.query(`CREATE FUNCTION merge_m(l jsonb, r jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('n', (l->>'n')::numeric + (r->>'n')::numeric) $$;
        INSERT INTO w VALUES (1, 'local'), (4, 'ü€😀'); INSERT INTO n VALUES (1, '2024-02-01', 'local'), (2, '2024-01-01', 'local'); INSERT INTO m VALUES (1, 10000000000000000000.1, 'local')`);
      await pair.ask("INSERT INTO w VALUES (1, 'remote'), (2, 'two'), (4, 'four')");
      await pair.ask("INSERT INTO n VALUES (1, '2024-01-01', 'remote'), (2, '2024-02-01', 'remote')");
      await pair.ask("INSERT INTO m VALUES (1, 0.2, 'remote'), (2, 1, 'two')");
      await settle(['w', 'n', 'm']);
      for (const ask of [there, here]) {
        expect(await ask('SELECT v FROM w ORDER BY id')).toBe('local, two, ü€😀');
        expect(await ask('SELECT v FROM n ORDER BY id')).toBe('local, remote');
        expect(await ask('SELECT n, v FROM m ORDER BY id')).toBe('10000000000000000000.3 local, 1.0 two');
      }
      for (const table of ['w', 'n', 'm']) await expectSame(table);
      // What was written comes back once, as a change like any other.
      expect(conflicts.length).toBe(5);
      expect(stream.status('w')).toMatchObject({ mode: 'shared', pendingWritebacks: 0, applied: { insert: 3, update: 2, delete: 0 } });
      // A row that local lacks has nothing that could win.
      await pair.client.query('DELETE FROM w');
      await pair.ask("UPDATE w SET v = 'changed' WHERE id < 3");
      await pair.ask('DELETE FROM w WHERE id = 4');
      await expectSame('w');
      expect(await there('SELECT id, v FROM w ORDER BY id')).toBe('1 changed, 2 changed');
    }, 120_000);

    it('values of every type reach the source as the type map has them', async () => {
      pair = await makeMysqlPair(server, local, `conflicts_${(databases += 1)}`);
      await fillEveryType(server, pair.database, 20);
      const types = typeRules(everyTypeMap);
      forward = await followForward(pair, ['every_type'], types, targetWins);
      const names = everyType.map(({ name }) => `"${name}"`).join(', ');
      await pair.client.query(`INSERT INTO every_type (id, ${names}) SELECT id + 1000, ${names} FROM every_type`);
      const before = await here('SELECT md5(string_agg(t::text, \'|\' ORDER BY id)) FROM every_type t WHERE id >= 900');
      // Another row in each place, that of NULLs among them.
      const theirs = everyType.map(({ name }) => `\`${name}\``).join(', ');
      await pair.ask(`INSERT INTO every_type (id, ${theirs}) SELECT b.id + 1000, ${everyType.map(({ name }) => `a.\`${name}\``).join(', ')} FROM every_type a JOIN every_type b ON a.id = (CASE WHEN b.id = 20 THEN 0 ELSE 20 END)`);
      await expectSame('every_type', types);
      expect(forward.writeBackFailures).toEqual([]);
      expect(forward.conflicts.length).toBeGreaterThan(30);
      expect(await here('SELECT md5(string_agg(t::text, \'|\' ORDER BY id)) FROM every_type t WHERE id >= 900')).toBe(before);
      // The very same row on both sides, however each spells it, is none.
      const met = forward.conflicts.length;
      await pair.client.query(`INSERT INTO every_type (id, ${names}) SELECT id + 5000, ${names} FROM every_type WHERE id < 900`);
      await pair.ask(`INSERT INTO every_type (id, ${theirs}) SELECT id + 5000, ${theirs} FROM every_type WHERE id < 900`);
      await expectSame('every_type', types);
      expect(forward.conflicts.length).toBe(met);
    }, 90_000);

    it('rows are found by keys of every type, for a winner and for a repair', async () => {
      pair = await makeMysqlPair(server, local, `conflicts_${(databases += 1)}`);
      const keys = Object.entries(keyTypes).filter(([type]) => (kind.startsWith('mariadb') || type !== 'uuid') && (usualKeys.has(type) || process.env['CAUSEWAY_CONFLICT_SERVERS'] !== undefined));
      for (const [at, [type, values]] of keys.entries()) await server.sql(`CREATE TABLE k${at} (id ${type} NOT NULL PRIMARY KEY, n int) ENGINE = InnoDB; INSERT INTO k${at} VALUES (${values[0]}, 0), (${values[1]}, 1), (${values[2]}, 2)`, pair.database);
      const tables = keys.map((_, at) => `k${at}`);
      forward = await followForward(pair, tables, standardTypes, targetWins);
      const comparer = new MysqlTableComparer(pair.source, pair.target, standardTypes);
      const keptIds: unknown[] = [];
      for (const table of tables) keptIds.push((await pair.client.query<{ id: unknown }>(`SELECT to_jsonb(id) AS id FROM ${table} WHERE n = 0`)).rows[0]?.id);
      // Neither side writes such a number as the other does.
      await expect(comparer.repair({ plan: planOf(tables[keys.findIndex(([type]) => type === 'double')] ?? ''), mismatches: [{ key: ['1e-7'] }], strategy: 'COPY_TO_SOURCE', authority: 'source', settle: () => Promise.resolve(), token: '1', stream: 'back', signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({ code: 'MIG074' });
      for (const [at, table] of tables.entries()) {
        const name = `${table} ${keys[at]?.[0] ?? ''}`;
        // Nothing is under way: the comparison need not wait for the stream.
        const options = { plan: planOf(table), mode: { type: 'full' }, maxListed: 10, settle: () => Promise.resolve(), monotonicMs: () => performance.now(), signal: AbortSignal.timeout(60_000) } as const;
        await server.sql(`SET SESSION sql_log_bin = 0; DELETE FROM ${table} WHERE n = 1; UPDATE ${table} SET n = 9 WHERE n = 2`, pair.database);
        await pair.client.query(`DELETE FROM ${table} WHERE n = 0`);
        const { mismatches } = await comparer.compare(options);
        expect(mismatches.length, name).toBe(3);
        expect(await comparer.repair({ ...options, mismatches, strategy: 'COPY_TO_SOURCE', authority: 'source', token: '1', stream: 'back', settle: () => forward?.settle([table]) ?? Promise.resolve() }), name).toEqual({ written: 2, deleted: 1, left: 0 });
        expect(await there(`SELECT n FROM ${table} ORDER BY n`), name).toBe('1, 2');
      }
      await forward.settle(tables);
      for (const [at, table] of tables.entries()) {
        // The row that both have lost is inserted again on both sides: local's wins.
        await pair.client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, '${JSON.stringify({ id: keptIds[at] ?? null, n: 3 })}')`);
        await pair.ask(`INSERT INTO ${table} VALUES (${keys[at]?.[1][0] ?? ''}, 4)`);
      }
      await forward.settle(tables);
      for (const [at, table] of tables.entries()) {
        for (const ask of [there, here]) expect(await ask(`SELECT n FROM ${table} ORDER BY n`), `${table} ${keys[at]?.[0] ?? ''}`).toBe('1, 2, 3');
      }
      expect(forward.writeBackFailures).toEqual([]);
    }, 90_000);

    it('what the source cannot hold is told, and what a policy makes of it stands on both sides', async () => {
      const types: TypeRules = { ...standardTypes, overridesOf: ({ tableId }) => (tableId === 'clamped' ? typeRules('v ON time_range CLAMP').overridesOf({} as TablePlan) : []) };
      const { settle, writeBackFailures, stream } = await follow({ refused: 'v time NULL', clamped: 'v time NULL', checked: 'v varchar(20), UNIQUE KEY (v)' }, () => targetWins, types);
      await pair.client.query("INSERT INTO refused VALUES (1, '900:00:00'); INSERT INTO clamped VALUES (1, '900:00:00'), (2, '900:00:00'); INSERT INTO checked VALUES (1, 'taken')");
      await pair.ask("INSERT INTO clamped VALUES (1, '01:00:00'), (2, '838:59:59')");
      await settle(['clamped']);
      expect(await there('SELECT v FROM clamped')).toBe('838:59:59, 838:59:59');
      expect(await here('SELECT v::text FROM clamped ORDER BY id')).toBe('838:59:59, 900:00:00');
      // The second one came to nothing new on the source: nothing comes back that would change local's.
      expect(writeBackFailures).toEqual([expect.stringMatching(/^clamped \["2"\]: MIG031: by the policies/)]);
      await pair.ask("INSERT INTO refused VALUES (1, '01:00:00')");
      await until('told', () => writeBackFailures.length === 2, 60_000);
      expect(writeBackFailures[1]).toMatch(/^refused \["1"\]: MIG014/);
      // A change of the source ends it.
      await pair.ask("UPDATE refused SET v = '02:00:00'");
      await settle(['refused']);
      await expectSame('refused');
      await pair.ask("INSERT INTO checked VALUES (2, 'taken')");
      await pair.ask("INSERT INTO checked VALUES (1, 'free')");
      await until('told', () => writeBackFailures.length === 3, 60_000);
      expect(writeBackFailures[2]).toMatch(/^checked \["1"\]: MIG031: the source does not take the row/);
      expect(stream.status('checked')).toMatchObject({ mode: 'shared', pendingWritebacks: 1 });
      await pair.ask('DELETE FROM checked WHERE id = 2');
      await settle(['checked']);
      expect(await there('SELECT * FROM checked')).toBe('1 taken');
      await expectSame('checked');
    }, 120_000);

    it('a writer who holds the row is waited for, and what was changed and changed back is not written over', async () => {
      const { settle, stream, conflicts } = await follow({ t: 'v varchar(20), n int' }, () => targetWins);
      await pair.client.query("INSERT INTO t VALUES (4, 'local', 1)");
      await pair.ask("INSERT INTO t VALUES (4, 'remote', 0)");
      await until('met', () => conflicts.length === 1, 60_000);
      // Between two looks, and before the stream has brought it, the row is changed and changed back.
      await pair.client.query('BEGIN; LOCK TABLE t IN SHARE MODE');
      await delay(1200);
      await pair.ask("UPDATE t SET v = 'between' WHERE id = 4");
      await pair.ask("UPDATE t SET v = 'remote' WHERE id = 4");
      await delay(1500);
      await pair.client.query('COMMIT');
      await settle(['t']);
      expect(await there('SELECT * FROM t')).toBe('4 remote 0');
      await pair.client.query("INSERT INTO t VALUES (1, 'local', 1), (2, 'local', 1), (3, 'local', 1)");
      await pair.ask("INSERT INTO t VALUES (1, 'remote', 0), (2, 'remote', 0), (3, 'remote', 0)");
      await pair.ask('BEGIN');
      await pair.ask('SELECT * FROM t WHERE id = 1 FOR UPDATE');
      await pair.ask('UPDATE t SET n = n + 1 WHERE id = 2');
      // The same values in the end: acknowledged, and the last that was written.
      await pair.ask("UPDATE t SET v = 'between' WHERE id = 3");
      await pair.ask("UPDATE t SET v = 'remote' WHERE id = 3");
      await until('met', () => conflicts.length === 4, 60_000);
      await delay(2500);
      expect(stream.status('t')?.pendingWritebacks).toBe(3);
      await pair.ask('COMMIT');
      await settle(['t']);
      expect(await there('SELECT * FROM t')).toBe('1 local 1, 2 remote 1, 3 remote 0, 4 remote 0');
      await expectSame('t');
    }, 120_000);

    it('a crash between the write and the end of its entry repeats nothing', async () => {
      let hits = 0;
      const hit = (point: string): Promise<void> => (point === 'stream.write_back' && (hits += 1) === 1 ? Promise.reject(new Error('crash')) : Promise.resolve());
      const { settle } = await follow({ t: 'v varchar(20)' }, () => targetWins, standardTypes, { armed: true, hit });
      await pair.client.query("INSERT INTO t VALUES (1, 'local')");
      await pair.ask("INSERT INTO t VALUES (1, 'remote')");
      await settle(['t']);
      expect(hits).toBe(1);
      await expectSame('t');
      expect(await here('SELECT count(*)::int FROM causeway.writeback')).toBe('0');
    }, 120_000);

    it(`both sides agree after writers of both (seed ${seed})`, async () => {
      const tables = { w: targetWins, n: newerWins, m: { kind: 'custom_merge', function: 'public.merge_all' } } as const satisfies Record<string, ConflictStrategy>;
      const names = Object.keys(tables) as readonly (keyof typeof tables)[];
      const { settle, conflicts, stream, writeBackFailures } = await follow(Object.fromEntries(names.map((name) => [name, 'v varchar(20), n int NOT NULL, at datetime(6) NULL'])), (table) => tables[table as keyof typeof tables]);
      await pair.client.query("CREATE FUNCTION merge_all(l jsonb, r jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('n', coalesce((l->>'n')::int, 0) + (r->>'n')::int) $$");
      const random = seeded(seed);
      const pick = (count: number): number => Math.floor(random() * count);
      const moment = (): string => `2024-01-01 00:00:00.${String(pick(1e6)).padStart(6, '0')}`;
      for (let round = 0; round < 300; round += 1) {
        const [table, id, at, choice] = [names[pick(names.length)] ?? 'w', 1 + pick(KEYS), moment(), random()];
        if (choice < 0.3) await pair.ask(`INSERT IGNORE INTO ${table} VALUES (${id}, 's${pick(3)}', 1, '${at}')`);
        else if (choice < 0.45) await pair.ask(`UPDATE ${table} SET n = n + 1, v = 's${pick(3)}', at = '${at}' WHERE id = ${id}`);
        else if (choice < 0.65) await pair.ask(`DELETE FROM ${table} WHERE id = ${id}`);
        else if (choice < 0.9) await pair.client.query(`INSERT INTO ${table} VALUES (${id}, 'l${pick(3)}', 9, '${at}') ON CONFLICT DO NOTHING`);
        else if (choice < 0.95) await pair.client.query(`DELETE FROM ${table} WHERE id = ${id}`);
        else await pair.client.query(`UPDATE ${table} SET v = 'l${pick(3)}' WHERE id = ${id}`);
        await delay(random() * 12);
      }
      // What only local has, or has otherwise, shows as a conflict when the source comes to it.
      for (const table of names) await pair.ask(`INSERT INTO ${table} VALUES ${Array.from({ length: KEYS }, (_, at) => `(${at + 1}, 'end', 1, '2024-01-01')`).join(', ')} ON DUPLICATE KEY UPDATE n = n + 1`);
      await settle(names);
      const before = conflicts.length;
      for (const table of names) {
        await expectSame(table);
        expect(stream.status(table)).toMatchObject({ mode: 'shared', pendingWritebacks: 0 });
      }
      expect(conflicts.filter(({ outcome }) => outcome === 'target').length).toBeGreaterThan(3);
      expect(conflicts.filter(({ outcome }) => outcome === 'merged').length).toBeGreaterThan(3);
      expect(writeBackFailures).toEqual([]);
      // Nothing goes on by itself.
      await settle(names);
      expect(conflicts.length).toBe(before);
    }, 120_000);
  });
}
