/**
 * Keys that one engine takes for equal and the other does not: a row that changes between them is carried, in both directions; two rows that are one key on
 * the other side stop the table, and none is written over the other.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { TestMysql } from '../support/mysql-servers.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

/** general_ci takes `ß` for `s`, ICU for `ss`; MySQL ignores blanks at the end. */
const tables = ['changed', 'inserted', 'moved', 'back_changed', 'back_inserted', 'back_moved'] as const;
type Table = (typeof tables)[number];

describeMysql(['mariadb-10.11'], 'keys of two engines', () => {
  let server: TestMysql;
  let stack: Stack;

  beforeAll(async () => {
    server = await startMysql('mariadb-10.11');
    await server.createDatabase('shop');
    for (const table of tables) await onSource(`CREATE TABLE ${table} (code varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4; INSERT INTO ${table} VALUES ('s', 1), ('ss', 2), ('x', 3)`);
    stack = await startMysqlStack(server, { workers: 1, users: [] });
    await stack.command('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
    await stack.makeReady('shop', 120_000);
  });

  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    await server?.dispose();
  });

  const onSource = (sql: string): Promise<readonly Record<string, string | null>[]> => server.sql(`SET NAMES utf8mb4; ${sql}`, 'shop');
  const onLocal = async (sql: string): Promise<readonly Record<string, unknown>[]> => (await (await stack.direct('local')).query<Record<string, unknown>>(sql)).rows;
  const sourceRows = async (table: Table): Promise<readonly unknown[]> => (await onSource(`SELECT CONCAT(code, '|', n) AS r FROM ${table} ORDER BY n`)).map((row) => row['r']);
  const localRows = async (table: Table): Promise<readonly unknown[]> => (await onLocal(`SELECT code || '|' || n AS r FROM shop.${table} ORDER BY n`)).map((row) => row['r']);
  const why = async (table: Table): Promise<string> => (await stack.command<{ Why: string }>(`SHOW MIGRATION WHY FOR TABLE shop.${table}`)).map((row) => row.Why).join('; ');

  it('a row that changes between them is carried to local', async () => {
    await onSource("UPDATE changed SET code = 'S', n = 4 WHERE code = 's'; UPDATE changed SET code = 'x ', n = 5 WHERE code = 'x'; UPDATE changed SET n = 6 WHERE code = 'x'");
    await expect.poll(() => localRows('changed')).toEqual(['ss|2', 'S|4', 'x |6']);
  });

  it('two rows that are one on local stop the table there', async () => {
    // Its place is free on the source: `s` is in the way there.
    await onSource("DELETE FROM inserted WHERE code = 's'; INSERT INTO inserted VALUES ('ß', 4); DELETE FROM moved WHERE code = 's'; UPDATE moved SET code = 'ß' WHERE code = 'x'");
    for (const table of ['inserted', 'moved'] as const) await expect.poll(() => why(table), { timeout: 30_000 }).toContain('MIG030: Two rows of one side have one key on the other');
    expect(await localRows('inserted')).toContain('ss|2');
    expect(await localRows('moved')).toEqual(expect.arrayContaining(['ss|2', 'x|3']));
    await onSource("DELETE FROM inserted WHERE code = 'ss'");
    await stack.command('RESYNC MIGRATION FOR TABLE shop.inserted');
    await expect.poll(() => localRows('inserted'), { timeout: 30_000 }).toEqual(['x|3', 'ß|4']);
  }, 120_000);

  it('the same on the way back', async () => {
    for (const table of ['back_changed', 'back_inserted', 'back_moved']) {
      await stack.command(`VALIDATE MIGRATION FOR TABLE shop.${table} FULL`);
      await stack.command(`CUTOVER TABLE shop.${table}`);
    }
    await onLocal("UPDATE shop.back_changed SET code = 'x ', n = 5 WHERE code = 'x'");
    await onLocal("DELETE FROM shop.back_changed WHERE code = 'ss'");
    await onLocal("UPDATE shop.back_changed SET code = 'ß', n = 6 WHERE code = 's'");
    await expect.poll(() => sourceRows('back_changed')).toEqual(['x |5', 'ß|6']);
    await onLocal("DELETE FROM shop.back_inserted WHERE code = 'ss'");
    await onLocal("INSERT INTO shop.back_inserted VALUES ('ß', 4)");
    await onLocal("DELETE FROM shop.back_moved WHERE code = 'ss'");
    await onLocal("UPDATE shop.back_moved SET code = 'ß' WHERE code = 'x'");
    for (const table of ['back_inserted', 'back_moved'] as const) {
      await expect.poll(() => why(table), { timeout: 30_000 }).toContain('MIG030');
      expect(await sourceRows(table)).toEqual(['s|1', 'x|3']);
      await expect(stack.command(`ROLLBACK MIGRATION FOR TABLE shop.${table} PRESERVE LOCAL DATA`)).rejects.toThrow('MIG030');
    }
  }, 120_000);
});
