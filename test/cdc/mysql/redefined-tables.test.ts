// RULES 6 where the binlog does not say how its rows are to be read: a definition that changes under writers stops its table at that very statement, and
// nothing is read by a definition of another moment; what leaves the columns as they are stops nothing.
import { expect, it } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { contents, until } from '../stream/fixture.ts';
import { followForward } from './forward-fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';

/** No names, signs or character sets in the binlog. */
export function withoutMetadata(kind: MysqlKind): readonly string[] {
  return kind === 'mysql-5.6' ? [] : [`binlog-row-metadata=${kind === 'mysql-9.7' ? 'MINIMAL' : 'NO_LOG'}`];
}

for (const kind of sourceKinds) {
  describeMysql([kind], `${kind} without row metadata`, () => {
    it('a statement that leaves the columns as they are stops no table, however late it is read', async () => {
      await using server = await startMysql(kind, { settings: withoutMetadata(kind) });
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'shop');
      await server.sql('CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int unsigned, s varchar(20)) ENGINE=InnoDB; INSERT INTO t (v, s) VALUES (1, \'a\')', 'shop');
      await using forward = await followForward(pair, ['t']);
      const harmless = (at: number): readonly string[] => [`ALTER TABLE t AUTO_INCREMENT = ${1000 * (at + 1)}`, `ALTER TABLE t ADD INDEX i${at} (v)`, "ALTER TABLE t COMMENT = 'of t'", 'CREATE OR REPLACE VIEW seen AS SELECT id FROM t', `ALTER TABLE t ALTER COLUMN v SET DEFAULT ${at}`, 'DROP TEMPORARY TABLE IF EXISTS t'];
      for (let round = 0; round < 4; round += 1) {
        // Rows on both sides of each, so that a reader that begins anew has to read them again.
        for (const statement of harmless(round)) await server.sql(`INSERT INTO t (v, s) VALUES (4294967295, 'before'); ${statement}; INSERT INTO t (v, s) VALUES (7, 'after')`, 'shop');
        await until('in step again', () => ['shared', 'failed'].includes(forward.stream.status('t')?.mode ?? ''));
      }
      await forward.settle(['t']);
      await until('in step at the end', () => ['shared', 'failed'].includes(forward.stream.status('t')?.mode ?? ''));
      expect(forward.stream.status('t')).toMatchObject({ mode: 'shared', error: undefined });
      await forward.settle(['t']);
      expect(await contents(pair.client, 't')).toEqual((await server.sql("SELECT CONCAT('(', id, ',', v, ',', s, ')') AS r FROM t", 'shop')).map(({ r }) => r).sort());
    }, 120_000);
  });
}
