// RULES 25 between two engines: an insert that meets the very same row is no conflict, however either side spells its values; one that meets another row is.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Conflict } from '../../../cdc/apply/conflict.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { until } from '../stream/fixture.ts';
import { everyType, everyTypeMap, fillEveryType } from './every-type.ts';
import { followForward } from './forward-fixture.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { copyToLocal, reverseOptions, runBack } from './reverse-fixture.ts';

const ROWS = 200;
/** Ordinary rows, one for each column. */
const changedRow = (column: number): number => 100 + column;

/** Types that one of the servers has and the others have not. */
const ownTypes: Readonly<Record<string, readonly (readonly [type: string, values: readonly string[]])[]>> = {
  'mariadb-10.11': [
    ['uuid', ["'f47ac10b-58cc-4372-a567-0e02b2c3d479'", "'00000000-0000-0000-0000-000000000000'"]], ['inet4', ["'0.0.0.0'", "'10.1.2.3'"]],
    ['inet6', ["'::'", "'::ffff:1.2.3.4'", "'1:0:0:2:0:0:0:3'", "'::1.2.3.4'", "'1:0:3:4:5:6:7:8'", "'fe80::'"]], ['json', [`'{"b":1.50, "a": [1e2]}'`, "'null'"]],
  ],
  'mysql-9.7': [['json', [`'{"bb": 1.5, "a": {"x": [1, -1, 18446744073709551615, 0.1]}, "": "é😀"}'`, "'[1e20, 1e-7, 1.0, 1e15, 1e300, 123456789012345]'", "'null'", `'"q\\\\\\"b"'`]], ['vector(3)', ["TO_VECTOR('[1,2.5,-3]')"]]],
};

const described = (conflicts: readonly Conflict[]): readonly string[] => conflicts.map(({ kind, key, local, remote }) => `${kind} ${key} ${differing(local, remote)}`).sort();

function differing(local: unknown, remote: unknown): string {
  const [here, there] = [new Map(Object.entries(local ?? {})), new Map(Object.entries(remote ?? {}))];
  return [...here].filter(([name, value]) => value !== there.get(name)).map(([name, value]) => `${name}: ${String(value).slice(0, 60)} / ${String(there.get(name)).slice(0, 60)}`).slice(0, 60).join('; ');
}

for (const kind of sourceKinds) {
  describeMysql([kind], `rows that are on both sides, ${kind}`, () => {
    let server: TestMysql;
    let local: TestPostgres;
    const types = typeRules(everyTypeMap);

    beforeAll(async () => {
      [server, local] = await Promise.all([startMysql(kind), startTestPostgres()]);
    });
    afterAll(async () => {
      await server?.dispose();
      await local?.[Symbol.asyncDispose]();
    });

    it('from MySQL: equal ones are no conflict, and each that differs in one value is one', async () => {
      await using pair = await makeMysqlPair(server, local, 'forward', `forward_${kind.replaceAll(/\W/g, '_')}`);
      await fillEveryType(server, pair.database, ROWS);
      await using forward = await followForward(pair, ['every_type'], types);
      /** Again, as a change of the stream: what went was in no log. */
      const insertAgain = `SET sql_log_bin = 0, sql_mode = ''; CREATE TABLE IF NOT EXISTS kept LIKE every_type; DELETE FROM kept; INSERT INTO kept SELECT * FROM every_type; DELETE FROM every_type; SET sql_log_bin = 1; INSERT INTO every_type SELECT * FROM kept`;
      await server.sql(insertAgain, pair.database);
      await forward.settle(['every_type']);
      await until('in step', () => forward.stream.status('every_type')?.mode === 'shared');
      expect(described(forward.conflicts)).toEqual([]);
      for (const [at, { name }] of everyType.entries()) {
        const id = changedRow(at);
        await pair.client.query(`UPDATE every_type t SET "${name}" = k."${name}" FROM every_type k WHERE t.id = ${id} AND k.id = (SELECT min(o.id) FROM every_type o WHERE o.id > 0 AND o."${name}"::text <> t."${name}"::text)`);
      }
      await server.sql(insertAgain, pair.database);
      await forward.settle(['every_type']);
      await until('in step', () => forward.stream.status('every_type')?.mode === 'shared');
      expect(forward.conflicts.map(({ key }) => key).sort()).toEqual(everyType.map((_, at) => `["${changedRow(at)}"]`).sort());
    }, 120_000);

    it('from local: equal ones are no conflict, and each that differs in one value is one', async () => {
      await using pair = await makeMysqlPair(server, local, 'back', `back_${kind.replaceAll(/\W/g, '_')}`);
      await fillEveryType(server, pair.database, ROWS);
      const { reverse } = await copyToLocal(pair, 'every_type', types);
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-same-rows-'));
      const conflicts: Conflict[] = [];
      try {
        await pair.client.query('CREATE TABLE kept AS SELECT * FROM every_type; TRUNCATE every_type');
        await using back = await runBack(reverseOptions(pair, folder, { types, conflictStrategy: () => ({ kind: 'source_wins' }), onConflict: (conflict) => conflicts.push(conflict) }), [reverse]);
        await pair.client.query('INSERT INTO every_type SELECT * FROM kept WHERE id < 100');
        await back.settle();
        expect(described(conflicts)).toEqual([]);
        for (const [at, { name }] of everyType.entries()) {
          const id = changedRow(at);
          const [other] = await server.sql(`SELECT MIN(o.id) AS id FROM every_type o, every_type t WHERE t.id = ${id} AND o.id > 0 AND o.\`${name}\` <> t.\`${name}\``, pair.database);
          await server.sql(`SET sql_mode = ''; UPDATE every_type t JOIN every_type o ON o.id = ${other?.['id']} SET t.\`${name}\` = o.\`${name}\` WHERE t.id = ${id}`, pair.database);
        }
        await pair.client.query('INSERT INTO every_type SELECT * FROM kept WHERE id >= 100');
        await back.settle();
        expect(conflicts.map(({ key }) => key).sort()).toEqual(everyType.map((_, at) => `["${changedRow(at)}"]`).sort());
      } finally {
        fs.rmSync(folder, { recursive: true, force: true });
      }
    }, 120_000);

    it.skipIf(ownTypes[kind] === undefined)('and so it is with the types of this server alone', async () => {
      await using pair = await makeMysqlPair(server, local, 'own', `own_${kind.replaceAll(/\W/g, '_')}`);
      const columns = ownTypes[kind] ?? [];
      const rows = Array.from({ length: 6 }, (_, row) => `(${[row, ...columns.map(([, values]) => values[row % values.length])].join(', ')})`);
      for (const table of ['there', 'back']) {
        await server.sql(`SET NAMES utf8mb4; CREATE TABLE ${table} (id int PRIMARY KEY, ${columns.map(([type], at) => `c${at} ${type}`).join(', ')}) ENGINE=InnoDB; INSERT INTO ${table} VALUES ${rows.join(', ')}`, pair.database);
      }
      await using forward = await followForward(pair, ['there']);
      await server.sql(`SET NAMES utf8mb4; SET sql_log_bin = 0; DELETE FROM there; SET sql_log_bin = 1; INSERT INTO there VALUES ${rows.join(', ')}`, pair.database);
      await forward.settle(['there']);
      expect(described(forward.conflicts)).toEqual([]);
      const { reverse } = await copyToLocal(pair, 'back', standardTypes);
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-same-rows-'));
      const conflicts: Conflict[] = [];
      try {
        await pair.client.query('CREATE TABLE kept AS SELECT * FROM back; TRUNCATE back');
        await using back = await runBack(reverseOptions(pair, folder, { types: standardTypes, conflictStrategy: () => ({ kind: 'source_wins' }), onConflict: (conflict) => conflicts.push(conflict) }), [reverse]);
        await pair.client.query('INSERT INTO back SELECT * FROM kept');
        await back.settle();
        expect(described(conflicts)).toEqual([]);
      } finally {
        fs.rmSync(folder, { recursive: true, force: true });
      }
    }, 120_000);
  });
}
