/** A table whose rows are others without a change that says which, or whose definition is another one, stops by itself; the others go on, also with what came before. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { expect, it } from 'vitest';
import { createMysqlStream } from '../../../cdc/mysql/change-stream.ts';
import { standardTypes } from '../../../cdc/mysql/source-column.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { defaultOptions } from '../snapshot/loader-fixture.ts';
import { contents, testRuntime, until } from '../stream/fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';

const ending: Readonly<Record<string, string>> = {
  dropped: 'DROP TABLE dropped; CREATE TABLE dropped (id INT PRIMARY KEY, v INT) ENGINE=InnoDB', renamed: 'RENAME TABLE renamed TO renamed_away; CREATE TABLE renamed LIKE renamed_away',
  changed: "ALTER TABLE changed MODIFY v VARCHAR(30) CHARACTER SET utf8; INSERT INTO changed VALUES (2, 'two')", cut: 'ALTER TABLE cut TRUNCATE PARTITION p0',
};
const going = ['kept', 'emptied'];

for (const kind of sourceKinds) {
  describeMysql([kind], `definitions of ${kind}`, () => {
    it('stop their own table alone', async () => {
      await using server = await startMysql(kind);
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'shop');
      const tables = [...Object.keys(ending), ...going];
      for (const table of tables) {
        await server.sql(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB${table === 'cut' ? ' PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)' : ''}; INSERT INTO ${table} VALUES (1, 1)`, 'shop');
      }
      const plans = [];
      for (const table of tables) plans.push(await pair.migrate(table));
      const stop = new AbortController();
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mysql-definitions-'));
      const runtime = testRuntime(stop.signal);
      const stream = createMysqlStream(runtime, {
        name: 'fwd', direction: 'forward', source: pair.source, target: pair.target, token: 1n, types: standardTypes, spoolDirectory: path.join(folder, 'spool'), recordFile: path.join(folder, 'source.json'),
        limits: { spoolBytes: 1 << 30, bufferBytes: 1 << 20, batchChanges: 100, batchWaitMs: 10 }, conflictStrategy: () => ({ kind: 'source_wins' }), onConflict: () => undefined, onError: () => undefined, onSchemaChange: () => undefined,
      });
      const loader = createMysqlLoader(runtime, { source: pair.source, target: pair.target, token: 1n, types: standardTypes, memoryBytes: 16 << 20 });
      const running = stream.run(stop.signal);
      try {
        for (const plan of plans) {
          await stream.addTable(plan);
          await loader.load(plan, defaultOptions, () => undefined, stop.signal);
          await stream.startDraining(plan.tableId);
        }
        await until('shared', () => tables.every((table) => stream.status(table)?.mode === 'shared'));
        for (const table of tables) await server.sql(`INSERT INTO ${table} VALUES (3, 3)`, 'shop');
        await server.sql(`TRUNCATE TABLE emptied; ${Object.values(ending).join('; ')}; INSERT INTO kept VALUES (5, 5); INSERT INTO emptied VALUES (6, 6)`, 'shop');
        await until('stopped', () => Object.keys(ending).every((table) => stream.status(table)?.mode === 'failed'), 30_000);
        await until('shared again', () => going.every((table) => stream.status(table)?.mode === 'shared'));
        await stream.waitForMarker(await stream.writeMarker(), going, 20_000);
        for (const table of Object.keys(ending)) {
          expect(stream.status(table)?.error, table).toMatchObject({ code: 'MIG011' });
          expect(await contents(pair.client, table), table).toEqual(['(1,1)', '(3,3)']);
        }
        expect(await contents(pair.client, 'kept')).toEqual(['(1,1)', '(3,3)', '(5,5)']);
        expect(await contents(pair.client, 'emptied')).toEqual(['(6,6)']);
      } finally {
        stop.abort();
        await running.catch(() => undefined);
        await stream.close();
        fs.rmSync(folder, { recursive: true, force: true });
      }
    }, 90_000);
  });
}
