/**
 * What is written on local after a cutover comes back to MySQL exactly: every type with its extreme values, large rows, changes of keys and swaps; what
 * MySQL cannot hold is refused or changed as its policy says. The stream that captures MySQL brings nothing of it back.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { MysqlApplyConnection } from '../../../cdc/mysql/apply/apply-connection.ts';
import { mysqlUnits } from '../../../cdc/mysql/apply/row-target.ts';
import { MysqlChangeTarget } from '../../../cdc/mysql/change-target.ts';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { runLoop } from '../../../cdc/flow/run-loop.ts';
import { installFenceTriggers, installMysqlFenceSupport, raiseFence } from '../../../cdc/mysql/fence.ts';
import { readMysqlServer } from '../../../cdc/mysql/introspect.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { TypeLoss } from '../../../cdc/mysql/type-loss.ts';
import type { Conflict } from '../../../cdc/apply/conflict.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { testRuntime, until } from '../stream/fixture.ts';
import { expectSame } from './compare-sides.ts';
import { everyType, everyTypeMap, fillEveryType } from './every-type.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { readCanonical, sourceKinds } from './mysql-source.ts';
import { copyToLocal, reverseOptions, runBack } from './reverse-fixture.ts';
import type { WayBack } from './reverse-fixture.ts';

let local: TestPostgres;

beforeAll(async () => {
  local = await startTestPostgres();
});
afterAll(() => local[Symbol.asyncDispose]());

for (const kind of sourceKinds) {
  describeMysql([kind], `back to ${kind}`, () => {
    let server: TestMysql;
    let pair: MysqlPair;
    let folder: string;
    let number = 0;

    beforeAll(async () => {
      server = await startMysql(kind);
    });
    afterAll(() => server.dispose());
    beforeEach(async () => {
      number += 1;
      folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-back-'));
      pair = await makeMysqlPair(server, local, `shop${number}`, `back_${kind.replaceAll(/\W/g, '_')}_${number}`);
    });
    afterEach(async () => {
      await pair[Symbol.asyncDispose]();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    const rows = (table: string, columns: readonly (readonly [name: string, type: string])[]): Promise<(string | null)[][]> =>
      readCanonical(server, pair.database, table, columns.map(([name, type]) => ({ name, type: parseColumnType(type) })));

    it('values of every type are what they were when local writes them', async () => {
      await fillEveryType(server, pair.database, 300);
      const types = typeRules(everyTypeMap);
      const { reverse } = await copyToLocal(pair, 'every_type', types);
      const columns = [['id', 'bigint'] as const, ...everyType.map(({ name, type }) => [name, type.replace(/ CHARACTER SET.*| NULL$/, '')] as const)];
      // U+0000 is what local has not; its policy took it away on the way there.
      const before = (await rows('every_type', columns)).map((row) => row.map((value) => value?.replaceAll('\0', '') ?? null));
      await using back = await runBack(reverseOptions(pair, folder, { types }), [reverse]);
      await pair.client.query('CREATE TABLE kept AS SELECT * FROM every_type; TRUNCATE every_type');
      await back.settle();
      expect(await rows('every_type', columns)).toEqual([]);
      await pair.client.query('INSERT INTO every_type SELECT * FROM kept WHERE id % 2 = 0');
      await pair.client.query('INSERT INTO every_type (id) SELECT id FROM kept WHERE id % 2 <> 0');
      await pair.client.query(`UPDATE every_type t SET ${everyType.map(({ name }) => `"${name}" = k."${name}"`).join(', ')} FROM kept k WHERE k.id = t.id AND t.id % 2 <> 0`);
      await pair.client.query('UPDATE every_type SET id = id + 100000 WHERE id % 3 = 0; UPDATE every_type SET id = id - 100000 WHERE id > 90000; DELETE FROM every_type WHERE id = 17; INSERT INTO every_type SELECT * FROM kept WHERE id = 17');
      await back.settle();
      const after = await rows('every_type', columns);
      const different = before.flatMap((row, at) => row.flatMap((value, column) => (after[at]?.[column] === value ? [] : [`${row[0]} ${columns[column]?.[0]}: ${after[at]?.[column]?.slice(0, 60)} instead of ${value?.slice(0, 60)}`])));
      expect({ rows: after.length, different: different.slice(0, 20) }).toEqual({ rows: before.length, different: [] });
      expect(back.stream.status('every_type')).toMatchObject({ mode: 'shared', conflicts: 0, bypassWrites: 0 });
    });

    it('unique values are swapped, keys are changed into each other, and large rows come whole', async () => {
      await server.sql(`CREATE TABLE swaps (id int NOT NULL PRIMARY KEY, place int NOT NULL, name varchar(40) CHARACTER SET utf8 NOT NULL, UNIQUE KEY (place), UNIQUE KEY (name)) ENGINE=InnoDB;
        CREATE TABLE large (area int NOT NULL, code varchar(40) CHARACTER SET latin1 NOT NULL, words longtext CHARACTER SET utf8mb4, bytes longblob, n int, PRIMARY KEY (area, code)) ENGINE=InnoDB;
        CREATE TABLE plain (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, v varchar(20)) ENGINE=InnoDB;
        INSERT INTO swaps VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, 'd')`, pair.database);
      const types = standardTypes;
      const tables = [await copyToLocal(pair, 'swaps', types), await copyToLocal(pair, 'large', types), await copyToLocal(pair, 'plain', types)];
      await using back = await runBack(reverseOptions(pair, folder, { types }), tables.map(({ reverse }) => reverse));
      const { client } = pair;
      await client.query("BEGIN; UPDATE swaps SET place = -1 WHERE id = 1; UPDATE swaps SET place = 10 WHERE id = 2; UPDATE swaps SET place = 20 WHERE id = 1; COMMIT");
      await client.query("BEGIN; UPDATE swaps SET id = -1 WHERE id = 3; UPDATE swaps SET id = 3 WHERE id = 4; UPDATE swaps SET id = 4 WHERE id = -1; UPDATE swaps SET name = 'x' WHERE id = 4; UPDATE swaps SET name = 'c' WHERE id = 3; UPDATE swaps SET name = 'd' WHERE id = 4; COMMIT");
      await client.query("BEGIN; DELETE FROM swaps WHERE id = 1; INSERT INTO swaps VALUES (5, 20, 'a'); COMMIT");
      // Too large for one of our statements, with room in the smallest log of the servers.
      await client.query(`INSERT INTO large SELECT 1, 'é' || n, repeat('\\''é😀\\', 120000), decode(repeat('00ff5c27', 250000), 'hex'), n FROM generate_series(1, 3) n`.replaceAll("\\''", "''''"));
      await client.query("INSERT INTO large SELECT 2, 'k' || n, repeat(md5(n::text), 300), NULL, n FROM generate_series(1, 600) n");
      await client.query("UPDATE large SET n = n + 1; UPDATE large SET code = code || 'x' WHERE area = 1; DELETE FROM large WHERE area = 2 AND n % 3 = 0");
      await client.query("INSERT INTO plain (v) SELECT 'v' || n FROM generate_series(1, 5000) n; INSERT INTO plain (id, v) OVERRIDING SYSTEM VALUE VALUES (0, 'zero')");
      await back.settle();
      for (const { forward } of tables) await expectSame(server, pair, forward, kind);
      expect(await rows('swaps', [['id', 'int'], ['place', 'int'], ['name', 'varchar(40)']])).toEqual([['2', '10', 'b'], ['3', '40', 'c'], ['4', '30', 'd'], ['5', '20', 'a']]);
      // The server's own numbers go on behind local's.
      await server.sql("INSERT INTO plain (v) VALUES ('next')", pair.database);
      expect((await rows('plain', [['id', 'int']])).at(-1)).toEqual(['5001']);
      for (const { reverse } of tables) expect(back.stream.status(reverse.tableId)).toMatchObject({ mode: 'shared', conflicts: 0 });
    });

    it('a value that MySQL cannot hold stops its table at its row, or becomes what the policy says', async () => {
      const losses: TypeLoss[] = [];
      const errors: Error[] = [];
      await server.sql(`CREATE TABLE strict_one (id int NOT NULL PRIMARY KEY, born datetime NULL, note varchar(5) CHARACTER SET latin1) ENGINE=InnoDB;
        CREATE TABLE clamped (id int NOT NULL PRIMARY KEY, born datetime NULL, note varchar(5) CHARACTER SET latin1) ENGINE=InnoDB`, pair.database);
      const rules = { reject: standardTypes, clamp: typeRules('born timestamp, note text ON charset NULL, * ON * CLAMP') };
      const types = { overridesOf: (plan: WayBack['forward']) => (plan.tableId === 'clamped' ? rules.clamp : rules.reject).overridesOf(plan), onLoss: (_plan: WayBack['forward'], loss: TypeLoss) => void losses.push(loss) };
      const strict = await copyToLocal(pair, 'strict_one', types);
      const clamped = await copyToLocal(pair, 'clamped', types);
      await using back = await runBack(reverseOptions(pair, folder, { types, onError: (_tableId, error) => void errors.push(error) }), [strict.reverse, clamped.reverse]);
      await pair.client.query("INSERT INTO clamped VALUES (1, 'infinity', 'longer than five'), (2, '2024-02-29 10:00:00', 'ж')");
      await pair.client.query("INSERT INTO strict_one VALUES (1, '2024-02-29 10:00:00', 'fits')");
      await pair.client.query("INSERT INTO strict_one VALUES (2, NULL, 'ж'), (3, NULL, 'three')");
      await until('refused', () => back.stream.status('strict_one')?.mode === 'failed');
      expect(errors[0]).toMatchObject({ code: 'MIG014', rowKey: '["2"]', message: expect.stringMatching(/column note: .*"ж" \(charset\)/) as string });
      await back.stream.waitForMarker(await back.stream.writeMarker(), ['clamped'], 60_000);
      const columns = [['id', 'int'], ['born', 'datetime'], ['note', 'varchar(5)']] as const;
      expect(await rows('clamped', columns)).toEqual([['1', '9999-12-31 23:59:59', 'longe'], ['2', '2024-02-29 10:00:00', null]]);
      expect([...new Set(losses.map(({ column, kind: loss, direction, becomes }) => `${column} ${loss} ${direction} ${becomes ?? 'NULL'}`))].sort()).toEqual(['born date_range toSource 9999-12-31 23:59:59', 'note charset toSource NULL', 'note text_length toSource longe']);
      // Exactly up to the row: what was before is there, what comes behind waits.
      expect(await rows('strict_one', columns)).toEqual([['1', '2024-02-29 10:00:00', 'fits']]);
      await back.stream.skipFailedChange('strict_one');
      await back.settle();
      expect(await rows('strict_one', columns)).toEqual([['1', '2024-02-29 10:00:00', 'fits'], ['3', null, 'three']]);
    });

    it('a connection that is lost behind ROLLBACK TO SAVEPOINT leaves nothing of its transaction', async () => {
      await server.sql('CREATE TABLE torn (id int NOT NULL PRIMARY KEY, v int) ENGINE=InnoDB; INSERT INTO torn VALUES (1, 1)', pair.database);
      for (const last of [[], ['RELEASE SAVEPOINT causeway_replay']]) {
        const connection = await MysqlApplyConnection.open(pair.source, 1n);
        const { send } = mysqlUnits(connection);
        const [[id = ''] = []] = await connection.rows('SELECT CONNECTION_ID()');
        for (const text of ['BEGIN', 'UPDATE torn SET v = v + 1', 'SAVEPOINT causeway_replay', 'INSERT INTO torn VALUES (2, 2)', 'ROLLBACK TO SAVEPOINT causeway_replay', ...last]) await send({ text });
        await server.sql(`KILL ${id}`);
        await connection.close();
        // Behind the lock of the transaction that has gone.
        expect(await server.sql('SELECT id, v FROM torn FOR UPDATE', pair.database)).toEqual([{ id: '1', v: '1' }]);
      }
    });

    it('the shared tables apply by themselves from where they stand, out of what is left of their logs', async () => {
      const target = new MysqlChangeTarget(testRuntime(new AbortController().signal), reverseOptions(pair, folder, { types: standardTypes }));
      await target.prepare();
      await target.insertStream(100n, 'spool');
      for (const [id, mode] of [['shared', 'shared'], ['fresh', 'shared'], ['private', 'private']] as const) await target.setMembership(id, mode, 50n);
      await expect(target.leaveAllShared(101n, 200n, () => 0)).rejects.toMatchObject({ code: 'MIG021' });
      await target.leaveAllShared(90n, 200n, (tableId) => (tableId === 'shared' ? 4096 : 0));
      expect([...(await target.readTables())].sort((a, b) => (a.tableId < b.tableId ? -1 : 1))).toEqual([
        { tableId: 'fresh', mode: 'private', lsn: 100n, spoolOffset: 0 }, { tableId: 'private', mode: 'private', lsn: 50n, spoolOffset: 0 }, { tableId: 'shared', mode: 'private', lsn: 100n, spoolOffset: 4096 },
      ]);
      expect(await target.readStream()).toMatchObject({ lsn: 200n, spoolEnd: 200n });
      // The next stream has the same name.
      await target.drop();
      await target.close();
    });

    it('the fence lets it by, and triggers of the users can tell it', async () => {
      await server.sql(`CREATE TABLE fenced (id int NOT NULL PRIMARY KEY, v varchar(40)${kind === 'mysql-5.6' ? '' : ', twice int AS (id * 2) STORED'}) ENGINE=InnoDB; CREATE TABLE seen (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, v varchar(40)) ENGINE=InnoDB;
        CREATE TRIGGER note AFTER INSERT ON fenced FOR EACH ROW INSERT INTO seen (v) SELECT NEW.v FROM DUAL WHERE @causeway_applier IS NULL; INSERT INTO fenced (id, v) VALUES (1, 'one')`, pair.database);
      const { forward, reverse } = await copyToLocal(pair, 'fenced', standardTypes);
      await installMysqlFenceSupport(pair.query);
      await installFenceTriggers(pair.query, [forward.source], await readMysqlServer(pair.query));
      await raiseFence(pair.query, [forward.source], { epoch: 2, token: '1' });
      await using back = await runBack(reverseOptions(pair, folder, { types: standardTypes }), [reverse]);
      await expect(server.sql("INSERT INTO fenced (id, v) VALUES (2, 'theirs')", pair.database)).rejects.toThrow(/MIG082/);
      await pair.client.query("INSERT INTO fenced (id, v) VALUES (2, 'ours'); UPDATE fenced SET v = 'changed' WHERE id = 1");
      await back.settle();
      expect(await rows('fenced', [['id', 'int'], ['v', 'varchar(40)']])).toEqual([['1', 'changed'], ['2', 'ours']]);
      if (kind !== 'mysql-5.6') expect(await rows('fenced', [['id', 'int'], ['twice', 'int']])).toEqual([['1', '2'], ['2', '4']]);
      expect(await rows('seen', [['id', 'int'], ['v', 'varchar(40)']])).toEqual([['1', 'one']]);
    });

    it('the stream that captures MySQL brings nothing back, and rows that others wrote are conflicts', async () => {
      await server.sql('CREATE TABLE t (id int NOT NULL PRIMARY KEY, v varchar(40)) ENGINE=InnoDB; INSERT INTO t VALUES (1, \'one\')', pair.database);
      const types = standardTypes;
      const { forward, reverse } = await copyToLocal(pair, 't', types);
      const stop = new AbortController();
      const conflicts: Conflict[] = [];
      const capture = createMysqlStream(testRuntime(stop.signal), {
        ...reverseOptions(pair, folder, { types }), name: 'fwd', direction: 'forward', source: pair.source, target: pair.target, spoolDirectory: `${folder}/fwd`, recordFile: `${folder}/fwd.json`,
      });
      const capturing = runLoop(testRuntime(stop.signal), 'stream', (signal) => capture.run(signal), stop.signal, { limitMs: 500 });
      capturing.catch(() => undefined);
      try {
        await capture.addTable(forward);
        await capture.startDraining('t');
        await until('shared', () => capture.status('t')?.mode === 'shared');
        await using back = await runBack(reverseOptions(pair, folder, { types, conflictStrategy: () => ({ kind: 'source_wins' }), onConflict: (conflict) => void conflicts.push(conflict) }), [reverse]);
        await pair.client.query("INSERT INTO t SELECT n, 'v' || n FROM generate_series(2, 500) n; UPDATE t SET v = 'w' WHERE id < 100; DELETE FROM t WHERE id > 400");
        // A transaction in several parts.
        await pair.client.query("INSERT INTO t SELECT n, 'v' || n FROM generate_series(1000, 8000) n");
        await back.settle();
        await capture.waitForMarker(await capture.writeMarker(), ['t'], 60_000);
        expect(capture.status('t')).toMatchObject({ applied: { insert: 0, update: 0, delete: 0, truncate: 0 }, conflicts: 0, bypassWrites: 0 });
        await expectSame(server, pair, forward, kind);
        // Untagged, it comes; local then has it, and the way back meets it.
        await server.sql("INSERT INTO t VALUES (9000, 'theirs')", pair.database);
        await capture.waitForMarker(await capture.writeMarker(), ['t'], 60_000);
        expect(capture.status('t')?.applied).toMatchObject({ insert: 1 });
        stop.abort();
        await capturing.catch(() => undefined);
        await server.sql("INSERT INTO t VALUES (9001, 'theirs'); DELETE FROM t WHERE id = 5; DELETE FROM t WHERE id = 6", pair.database);
        await pair.client.query("INSERT INTO public.t VALUES (9001, 'ours'); UPDATE public.t SET v = 'again' WHERE id = 5; DELETE FROM public.t WHERE id = 6");
        await back.settle();
        expect(conflicts.map((conflict) => [conflict.kind, conflict.key, conflict.local?.['v'], conflict.outcome]).sort()).toEqual([['delete_missing', '["6"]', undefined, 'source'], ['insert_exists', '["9001"]', 'theirs', 'source'], ['update_missing', '["5"]', undefined, 'source']]);
        await expectSame(server, pair, forward, kind);
      } finally {
        stop.abort();
        await capturing.catch(() => undefined);
        await capture.close();
      }
    });
  });
}
