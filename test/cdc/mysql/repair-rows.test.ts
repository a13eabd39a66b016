/** Property: rows that differ become equal, of every type, local's to MySQL's or the other way round, also while the source or local is written; no acknowledged write is lost, and what cannot be told to be right is refused. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installFenceTriggers, installMysqlFenceSupport, raiseFence } from '../../../cdc/mysql/fence.ts';
import { readMysqlServer } from '../../../cdc/mysql/introspect.ts';
import { MysqlTableComparer } from '../../../cdc/mysql/table-comparer.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { TypeRules } from '../../../cdc/mysql/source-column.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { RepairRequest } from '../../../cdc/validate/table-comparer.ts';
import type { ValidationReport } from '../../../cdc/validate/validation-report.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { everyType, everyTypeMap, fillEveryType } from './every-type.ts';
import { followForward } from './forward-fixture.ts';
import type { Forward } from './forward-fixture.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';
import { planBack, reverseOptions, runBack } from './reverse-fixture.ts';
import type { RunningBack } from './reverse-fixture.ts';

const HOT_ROWS = 60;
const COUNTED_ROWS = 1200;
const WRITERS = 3;
/** More than half of a packet: as hexadecimal digits the server gives NULL for it. */
const WIDE_BYTES = 600_000;

/** CAUSEWAY_REPAIR_SERVERS names others (mysql-9.7, mysql-5.6), by commas, for the way to the source. */
const toSourceKinds = (process.env['CAUSEWAY_REPAIR_SERVERS'] ?? 'mariadb-10.11').split(',');

for (const kind of sourceKinds) {
  describeMysql([kind], `rows are copied between ${kind} and local one by one`, () => {
    let server: TestMysql;
    let local: TestPostgres;
    let pair: MysqlPair;
    let forward: Forward;
    const types = typeRules(everyTypeMap);
    const overridesOf: TypeRules['overridesOf'] = (plan) => (plan.tableId === 'every_type' ? types.overridesOf(plan) : []);

    beforeAll(async () => {
      [server, local] = await Promise.all([startMysql(kind), startTestPostgres()]);
      pair = await makeMysqlPair(server, local, 'repaired');
      await fillEveryType(server, pair.database, 300);
      await server.sql(`CREATE TABLE hot (id int PRIMARY KEY, u varchar(20) NOT NULL, n int NOT NULL, UNIQUE KEY by_u (u)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
        INSERT INTO hot VALUES ${Array.from({ length: HOT_ROWS }, (_, at) => `(${at}, 'u${at}', 0)`).join(', ')};
        CREATE TABLE spelled (code varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4; INSERT INTO spelled VALUES ('s', 1), ('ss', 2), ('x', 3);
        CREATE TABLE counted (id int PRIMARY KEY, n int NOT NULL, junk int NOT NULL) ENGINE = InnoDB; INSERT INTO counted VALUES ${Array.from({ length: COUNTED_ROWS }, (_, at) => `(${at}, 0, 0)`).join(', ')};
        CREATE TABLE wide (id int PRIMARY KEY, b longblob, n int) ENGINE = InnoDB; INSERT INTO wide VALUES (1, REPEAT('a', ${WIDE_BYTES}), 1);
        CREATE TABLE named (id int PRIMARY KEY, name varchar(20) COLLATE utf8mb4_general_ci, n int) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4; INSERT INTO named VALUES (1, 'B', 1), (2, 'c', 2), (3, 'b', 3), (4, 'd', 4), (5, 'b', 5)`, pair.database);
      forward = await followForward(pair, ['every_type', 'hot', 'spelled', 'counted', 'named', 'wide'], { ...standardTypes, overridesOf });
      await pair.client.query('CREATE UNIQUE INDEX ON hot (u)');
    });
    afterAll(async () => {
      await forward?.[Symbol.asyncDispose]();
      await pair?.[Symbol.asyncDispose]();
      await server?.dispose();
      await local?.[Symbol.asyncDispose]();
    });

    const comparer = (): MysqlTableComparer => new MysqlTableComparer(pair.source, pair.target, { ...standardTypes, overridesOf });
    const planOf = (table: string): TablePlan => {
      const plan = forward.plans.get(table);
      if (!plan) throw new Error(`no plan of ${table}`);
      return plan;
    };
    const compare = (table: string): Promise<ValidationReport> => comparer().compare({
      plan: planOf(table), mode: { type: 'full' }, maxListed: 10_000, settle: () => forward.settle([table]), monotonicMs: () => performance.now(), signal: AbortSignal.timeout(60_000),
    });
    const repair = (table: string, mismatches: RepairRequest['mismatches'], more: Partial<RepairRequest> = {}): ReturnType<MysqlTableComparer['repair']> => comparer().repair({
      plan: planOf(table), mismatches, strategy: 'COPY_FROM_SOURCE', authority: 'source', settle: () => forward.settle([table]), token: '1', stream: 'fwd', signal: AbortSignal.timeout(60_000), ...more,
    });
    const textOf = async (table: string, key: string): Promise<unknown> => (await pair.client.query(`SELECT count(*) AS n, md5(string_agg(t::text, '|' ORDER BY ${key}::text COLLATE "C")) AS text FROM ${table} t`)).rows[0];

    it('of every type: missing ones, changed ones, and those that only local has', async () => {
      const before = await textOf('every_type', 'id');
      const others = everyType.map(({ name }) => `"${name}"`).join(', ');
      await pair.client.query(`DELETE FROM every_type WHERE id % 5 = 0; UPDATE every_type SET ${everyType.map(({ name }) => `"${name}" = NULL`).join(', ')} WHERE id % 5 IN (1, -1);
        INSERT INTO every_type (id, ${others}) SELECT id + 100000, ${others} FROM every_type WHERE id > 200`);
      const { mismatches, counts } = await compare('every_type');
      expect(Math.min(counts.MISSING_LOCAL, counts.MISSING_REMOTE, counts.VALUE_DIFF)).toBeGreaterThan(50);
      expect(await repair('every_type', mismatches)).toEqual({ written: counts.MISSING_LOCAL + counts.VALUE_DIFF, deleted: counts.MISSING_REMOTE, left: 0 });
      expect(await textOf('every_type', 'id')).toEqual(before);
      expect((await compare('every_type')).isEqual).toBe(true);
    }, 120_000);

    it('by the spelling of the key: another row that is equal to it on local only is not taken for it', async () => {
      const before = await textOf('spelled', 'code');
      await pair.client.query("DELETE FROM spelled WHERE code = 'ss'; INSERT INTO spelled VALUES ('ß', 7)");
      const { mismatches } = await compare('spelled');
      // Its place is taken by another row, which is not among those that are to be repaired.
      await expect(repair('spelled', mismatches.filter(({ key: [code] }) => code === 'ss'))).rejects.toMatchObject({ code: 'MIG030' });
      expect(await repair('spelled', mismatches)).toEqual({ written: 1, deleted: 1, left: 0 });
      expect(await textOf('spelled', 'code')).toEqual(before);
    }, 60_000);

    it('while the source is written', async () => {
      const stop = new AbortController();
      const write = async (writer: number): Promise<number> => {
        let written = 0;
        for (; !stop.signal.aborted; written += 1) {
          const id = (written * 7 + writer * 20) % HOT_ROWS;
          const statement = written % 4 === 3 ? `DELETE FROM hot WHERE id = ${id}` : `INSERT INTO hot VALUES (${id}, 'u${id}', 1) ON DUPLICATE KEY UPDATE n = n + 1`;
          await pair.ask(statement);
          await delay(1);
        }
        return written;
      };
      const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
      const all = Array.from({ length: HOT_ROWS }, (_, id) => ({ key: [String(id)] }));
      let [done, left] = [0, 0];
      for (let round = 0; round < 8; round += 1) {
        // Behind the stream's back, but not amid its own rows.
        await pair.client.query(`BEGIN; LOCK TABLE hot IN SHARE ROW EXCLUSIVE MODE; DELETE FROM hot WHERE id % 3 = ${round % 3}; UPDATE hot SET n = -1 WHERE id % 3 = ${(round + 1) % 3}; COMMIT`);
        const { written, deleted, left: open } = await repair('hot', all);
        done += written + deleted;
        left += open;
      }
      stop.abort();
      expect(Math.min(...(await writing))).toBeGreaterThan(10);
      expect(done).toBeGreaterThan(left);
      await forward.settle(['hot']);
      // What was left has changed since it was broken: the stream has brought it.
      expect((await compare('hot')).mismatches).toEqual([]);
    }, 120_000);

    it('of a predicate, whatever it means to either side', async () => {
      // `B` and `b` are equal for the source only; of the second row the predicate is true on local alone.
      await pair.client.query(`ALTER TABLE named ALTER name TYPE varchar(20) COLLATE "C"; UPDATE named SET n = -1 WHERE id IN (1, 4); UPDATE named SET name = 'b' WHERE id = 2; DELETE FROM named WHERE id = 5; INSERT INTO named VALUES (6, 'b', 6)`);
      const plan: TablePlan = { ...planOf('named'), where: "name = 'b'" };
      const options = { mode: { type: 'full' }, settle: () => forward.settle(['named']), monotonicMs: () => performance.now(), signal: AbortSignal.timeout(60_000) } as const;
      const { mismatches, counts } = await comparer().compare({ ...options, plan });
      // None is missing on one side, or another one, only because the other engine reads the predicate otherwise.
      expect(counts).toEqual({ MISSING_LOCAL: 1, MISSING_REMOTE: 1, VALUE_DIFF: 2 });
      expect(await repair('named', mismatches, { plan })).toEqual({ written: 3, deleted: 1, left: 0 });
      expect((await pair.client.query('SELECT id, name, n FROM named ORDER BY id')).rows.map(({ id, name, n }) => `${id} ${name} ${n}`)).toEqual(['1 B 1', '2 c 2', '3 b 3', '4 d -1', '5 b 5']);
      await expect(comparer().compare({ ...options, plan: { ...plan, where: "`name` = 'b'" } })).rejects.toMatchObject({ code: 'MIG071' });
    }, 60_000);

    /** What the stream does not hear of. */
    const unlogged = (sql: string): Promise<unknown> => server.sql(`SET SESSION sql_log_bin = 0; SET sql_mode = '', foreign_key_checks = 0; ${sql}`, pair.database);
    const there = async (sql: string): Promise<string> => JSON.stringify(await pair.ask(sql));

    describe.runIf(toSourceKinds.includes(kind))('to the source, while that is the authority', () => {
      const toSource = (table: string, mismatches: RepairRequest['mismatches']): ReturnType<MysqlTableComparer['repair']> => repair(table, mismatches, { strategy: 'COPY_TO_SOURCE', stream: 'back' });

      it('of every type: missing ones, changed ones, and those that only the source has', async () => {
        const before = await textOf('every_type', 'id');
        const others = everyType.map(({ name }) => `\`${name}\``).join(', ');
        await unlogged(`DELETE FROM every_type WHERE id % 5 = 0; UPDATE every_type SET ${everyType.map(({ name }) => `\`${name}\` = NULL`).join(', ')} WHERE id % 5 IN (1, -1);
          INSERT INTO every_type (id, ${others}) SELECT id + 100000, ${others} FROM every_type WHERE id > 200 AND id % 5 = 2`);
        const { mismatches, counts } = await compare('every_type');
        expect(Math.min(counts.MISSING_LOCAL, counts.MISSING_REMOTE, counts.VALUE_DIFF)).toBeGreaterThan(15);
        expect(await toSource('every_type', mismatches)).toEqual({ written: counts.MISSING_REMOTE + counts.VALUE_DIFF, deleted: counts.MISSING_LOCAL, left: 0 });
        expect((await compare('every_type')).mismatches).toEqual([]);
        // It has come back through the stream, and is on local what it was.
        expect(await textOf('every_type', 'id')).toEqual(before);
        expect(await toSource('every_type', mismatches)).toEqual({ written: 0, deleted: 0, left: 0 });
        expect(forward.conflicts.filter(({ tableId, kind }) => tableId === 'every_type' && kind !== 'delete_missing')).toEqual([]);
      }, 120_000);

      it('by the spelling of the key, and with unique values that go from row to row', async () => {
        await unlogged("DELETE FROM spelled WHERE code = 's'; UPDATE spelled SET code = 'S', n = 9 WHERE code = 'x'; DELETE FROM hot WHERE id > 3; UPDATE hot SET u = CONCAT('v', id); UPDATE hot SET u = CONCAT('u', (id + 1) % 4)");
        const { mismatches } = await compare('spelled');
        await expect(toSource('spelled', mismatches.filter(({ key: [code] }) => code === 's'))).rejects.toMatchObject({ code: 'MIG030' });
        expect(await toSource('spelled', mismatches)).toEqual({ written: 2, deleted: 1, left: 0 });
        expect(await there('SELECT code, n FROM spelled ORDER BY n')).toBe('[["s","1"],["ss","2"],["x","3"]]');
        await toSource('hot', (await compare('hot')).mismatches);
        for (const table of ['spelled', 'hot']) expect((await compare(table)).mismatches).toEqual([]);
      }, 60_000);

      it('while the source is written: no acknowledged write is lost', async () => {
        const stop = new AbortController();
        const write = async (writer: number): Promise<number> => {
          let written = 0;
          for (; !stop.signal.aborted; written += 1) {
            await pair.ask(`UPDATE counted SET n = n + 1 WHERE id = ${(written * 7 + writer * 400) % COUNTED_ROWS}`);
            await delay(1);
          }
          return written;
        };
        const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
        let done = 0;
        for (let round = 0; round < 6; round += 1) {
          await unlogged(`UPDATE counted SET junk = ${round + 1} WHERE id % 3 = ${round % 3}`);
          done += (await toSource('counted', Array.from({ length: COUNTED_ROWS / 3 }, (_, at) => ({ key: [String(at * 3 + (round % 3))] })))).written;
        }
        stop.abort();
        const written = (await writing).reduce((sum, each) => sum + each, 0);
        expect(done).toBeGreaterThan(COUNTED_ROWS / 6);
        expect(await there('SELECT SUM(n) FROM counted')).toBe(`[["${written}"]]`);
        await forward.settle(['counted']);
        expect((await compare('counted')).mismatches).toEqual([]);
        expect(forward.conflicts.filter(({ tableId }) => tableId === 'counted')).toEqual([]);
      }, 120_000);
    });

    it('with a value whose digits no packet of the server holds, either way', async () => {
      const [row] = await server.sql('SELECT @@GLOBAL.max_allowed_packet AS bytes');
      await server.sql('SET GLOBAL max_allowed_packet = 1048576');
      try {
        await pair.client.query('UPDATE wide SET n = 2');
        expect(await repair('wide', (await compare('wide')).mismatches)).toMatchObject({ written: 1 });
        expect((await pair.client.query('SELECT length(b) AS bytes, n FROM wide')).rows).toEqual([{ bytes: WIDE_BYTES, n: 1 }]);
        await unlogged("UPDATE wide SET n = 3, b = REPEAT('b', 600000)");
        expect(await repair('wide', (await compare('wide')).mismatches, { strategy: 'COPY_TO_SOURCE', stream: 'back' })).toMatchObject({ written: 1 });
        expect(await there(`SELECT n, b = REPEAT('a', ${WIDE_BYTES}) FROM wide`)).toBe('[["1","1"]]');
        expect((await compare('wide')).mismatches).toEqual([]);
      } finally {
        await server.sql(`SET GLOBAL max_allowed_packet = ${row?.['bytes'] ?? ''}`);
      }
    }, 60_000);

    describe.runIf(toSourceKinds.includes(kind))('to the source, once local is the authority', () => {
      const tables = ['every_type', 'counted'];
      let back: RunningBack;
      let folder: string;

      beforeAll(async () => {
        const end = await forward.stream.readEnd();
        for (const table of tables) {
          await forward.stream.openInterval(table, end);
          await forward.stream.closeInterval(table, end);
        }
        const plans = await Promise.all(tables.map((table) => planBack(pair, planOf(table))));
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-repair-'));
        back = await runBack(reverseOptions(pair, folder, { types: { ...standardTypes, overridesOf } }), plans);
        const fenced = tables.map((name) => ({ schema: pair.database, name }));
        const capabilities = await readMysqlServer(pair.query);
        await installMysqlFenceSupport(pair.query);
        await installFenceTriggers(pair.query, fenced, capabilities);
        await raiseFence(pair.query, fenced, { epoch: 2, token: '1' });
      });
      afterAll(async () => {
        await back?.[Symbol.asyncDispose]();
        fs.rmSync(folder, { recursive: true, force: true });
      });

      const behind = (sql: string): Promise<unknown> => unlogged(`SET @causeway_applier = '1'; ${sql}`);
      const authority = { authority: 'local', strategy: 'COPY_TO_SOURCE', stream: 'back', settle: () => back.settle() } as const;
      const compareBack = (table: string): Promise<ValidationReport> => comparer().compare({ plan: planOf(table), mode: { type: 'full' }, authority: 'local', maxListed: 10_000, settle: () => back.settle(), monotonicMs: () => performance.now(), signal: AbortSignal.timeout(60_000) });

      it('of every type, past the fence and unheard by the other direction', async () => {
        await behind(`DELETE FROM every_type WHERE id % 5 = 0; UPDATE every_type SET ${everyType.map(({ name }) => `\`${name}\` = NULL`).join(', ')} WHERE id % 5 = 1; UPDATE every_type SET id = id + 300000 WHERE id > 250`);
        const { mismatches, counts } = await compareBack('every_type');
        expect(Math.min(counts.MISSING_LOCAL, counts.MISSING_REMOTE, counts.VALUE_DIFF)).toBeGreaterThan(30);
        expect(await repair('every_type', mismatches, authority)).toEqual({ written: counts.MISSING_REMOTE + counts.VALUE_DIFF, deleted: counts.MISSING_LOCAL, left: 0 });
        expect((await compareBack('every_type')).mismatches).toEqual([]);
        await forward.settle(['every_type']);
        expect(forward.stream.status('every_type')).toMatchObject({ bypassWrites: 0, mode: 'shared' });
        await expect(repair('every_type', mismatches, { ...authority, token: '0' })).rejects.toMatchObject({ code: 'MIG092' });
      }, 120_000);

      it('while local is written', async () => {
        const stop = new AbortController();
        const writer = async (): Promise<number> => {
          let written = 0;
          for (; !stop.signal.aborted; written += 1) {
            const id = (written * 7) % COUNTED_ROWS;
            if (written % 5 === 4) await pair.client.query(`WITH gone AS (DELETE FROM counted WHERE id = ${id} RETURNING *) INSERT INTO counted SELECT id + ${10 * COUNTED_ROWS}, n, junk FROM gone`);
            else await pair.client.query(`UPDATE counted SET n = n + 1 WHERE id = ${id}`);
            await delay(1);
          }
          return written;
        };
        const writing = writer();
        let done = 0;
        for (let round = 0; round < 4; round += 1) {
          await behind(`UPDATE counted SET junk = ${round + 100} WHERE id < ${COUNTED_ROWS} AND id % 3 = ${round % 3}`);
          const result = await repair('counted', Array.from({ length: COUNTED_ROWS / 3 }, (_, at) => ({ key: [String(at * 3 + (round % 3))] })), authority);
          done += result.written;
        }
        stop.abort();
        expect(await writing).toBeGreaterThan(10);
        expect(done).toBeGreaterThan(COUNTED_ROWS / 6);
        expect((await compareBack('counted')).mismatches).toEqual([]);
        expect(back.stream.status('counted')).toMatchObject({ mode: 'shared', conflicts: 0 });
      }, 120_000);
    });

    describe('what is refused', () => {
      it('leaves both sides as they are', async () => {
        const some = [{ key: ['1'] }];
        await expect(repair('hot', some, { authority: 'local' })).rejects.toMatchObject({ code: 'MIG074' });
        expect(await repair('hot', some, { strategy: 'SKIP' })).toEqual({ written: 0, deleted: 0, left: 1 });
        expect((await compare('hot')).isEqual).toBe(true);
      });
    });
  });
}
