/** Property: rows whose values a policy has changed on their way are equal to a comparison, and different as soon as local has another value than the policy's. */
import { expect, it } from 'vitest';
import { mysqlDigestTable, readDigests } from '../../../cdc/mysql/checksum.ts';
import { createMysqlLoader } from '../../../cdc/mysql/table-loader.ts';
import * as postgres from '../../../cdc/postgres/checksum.ts';
import { fieldDigestTable } from '../../../cdc/postgres/field-digest.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { defaultOptions, testRuntime } from '../snapshot/loader-fixture.ts';
import { makeMysqlPair, typeRules } from './mysql-pair.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const types = 'hours time(2), small integer';
const clamped = { day: '2023-02-28', moment: '2024-01-01 10:20:30.5', hours: '24:00:00', flag: 'true', small: '2147483647', label: 'red', word: 'ab', long: 'ab' };
const columns = Object.keys(clamped);

for (const kind of kinds) {
  describeMysql([kind], `values that policies change, from ${kind}`, () => {
    it.each(['NULL', 'CLAMP'])('ON * %s', async (policy) => {
      await using server = await startMysql(kind);
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'lossy');
      await server.sql(`SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE t (id int PRIMARY KEY, day date, moment datetime(3), hours time(2), flag tinyint(1), small bigint unsigned, label enum('red', 'green'), word varchar(20), \`long\` text) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
        INSERT INTO t VALUES (1, '2024-02-29', '2024-01-02 03:04:05.678', '01:02:03.4', 1, 7, 'green', 'a', 'b'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
          (3, '2023-02-31', '2024-00-00 10:20:30.500', '30:00:00', 9, 5000000000, '', CONCAT('a', CHAR(0), 'b'), CONCAT('a', CHAR(0), 'b')), (4, '0000-00-00', '0000-00-00', '-01:00:00', 0, 4294967296, 'red', '', '')`, 'lossy');
      const rules = typeRules(`${types}, * ON * ${policy}`);
      const plan = await pair.migrate('t', rules);
      const loader = createMysqlLoader(testRuntime(), { source: pair.source, target: pair.target, token: 1n, types: rules, memoryBytes: 16 << 20 });
      await loader.load(plan, defaultOptions, () => undefined, new AbortController().signal);
      const { rows: [changed] } = await pair.client.query<Record<string, string | null>>(`SELECT ${columns.map((name) => `"${name}"::text`).join(', ')} FROM t WHERE id = 3`);
      expect(changed).toEqual(policy === 'CLAMP' ? clamped : Object.fromEntries(columns.map((name) => [name, null])));
      const there = mysqlDigestTable(plan, await pair.columns(plan, rules));
      const here = fieldDigestTable(plan, there.forms);
      await postgres.pinSession(pair.client);
      const all = [{ type: 'range', lower: null, upper: null } as const];
      const different = async (): Promise<string[]> => {
        const known = new Map((await postgres.readDigests(pair.client, here, all)).map((row) => [row.key.join(), row.digest]));
        return (await readDigests(pair.ask, there, all)).filter((row) => known.get(row.key.join()) !== row.digest).map((row) => row.key.join());
      };
      expect(await different()).toEqual([]);
      for (const name of columns) {
        await pair.client.query('BEGIN');
        await pair.client.query(`UPDATE public.t SET "${name}" = ${policy === 'NULL' ? `(SELECT "${name}" FROM public.t WHERE id = 1)` : 'NULL'} WHERE id = 3`);
        expect(await different(), name).toEqual(['3']);
        await pair.client.query('ROLLBACK');
      }
    }, 120_000);
  });
}
