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
import { copyToLocal, reverseOptions, runBack } from './reverse-fixture.ts';

const ROWS = 200;
/** Ordinary rows, one for each column. */
const changedRow = (column: number): number => 100 + column;

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
  });
}
