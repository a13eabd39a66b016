/** Property: definitions that only find rows, and the maintenance of tables, are answered on local as the MySQL server answers them, and stand on both sides; whatever ends between the two is finished by the same statement. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { sourceKinds } from '../../cdc/mysql/mysql-source.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const tables = ['CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int, name varchar(20), note text, UNIQUE KEY by_name (name), KEY by_n (n)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB'];

for (const kind of sourceKinds) {
  describeMysql([kind], `definitions of tables on local, of ${kind}`, () => {
    let sides: BothSides;
    let there: mysql.Connection;
    let here: mysql.Connection;

    beforeAll(async () => {
      sides = await BothSides.start(kind, tables);
      await sides.source.mysql.createDatabase('mirror');
      for (const sql of tables) await sides.source.mysql.sql(sql, 'mirror');
      sides.publish({ item: onLocal });
    });
    beforeEach(async () => {
      const { host, port, user, password } = sides.source.mysql;
      there = await mysql.createConnection({ host, port, user, password, database: 'mirror' });
      here = await sides.connect();
    });
    afterEach(async () => {
      sides.endClients();
      await there.end();
    });
    afterAll(() => sides?.[Symbol.asyncDispose]());

    async function outcome(client: mysql.Connection, sql: string): Promise<unknown> {
      try {
        const [answer, fields] = await client.query({ sql, rowsAsArray: true });
        if (Array.isArray(answer)) return [answer, fields?.map(({ name, columnType, columnLength }) => [name, columnType, columnLength])];
        const { affectedRows, info, warningStatus } = answer as mysql.ResultSetHeader;
        return [affectedRows, info.replace(/^[^A-Z]/, ''), warningStatus];
      } catch (error) {
        return error instanceof Error && 'errno' in error ? [error.errno, error.message] : String(error);
      }
    }

    async function same(...statements: readonly string[]): Promise<void> {
      for (const sql of statements) expect([sql, await outcome(here, sql)]).toEqual([sql, JSON.parse(JSON.stringify(await outcome(there, sql)).replaceAll('mirror', 'shop'))]);
    }

    const local = (): Promise<string | undefined> => sides.onLocal("SELECT indexname || ': ' || regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE schemaname = 'shop' AND tablename = 'item' AND indexname NOT IN ('item_pkey', 'item_by_name') ORDER BY 1");
    const server = (): Promise<string> => sides.onServer("SELECT DISTINCT index_name AS k FROM information_schema.statistics WHERE table_schema = 'shop' AND table_name = 'item' AND index_name NOT IN ('PRIMARY', 'by_name') ORDER BY 1");

    test('maintenance', async () => {
      await same('ANALYZE TABLE item', 'ANALYZE LOCAL TABLE item, plain', 'REPAIR TABLE item');
      const [rows] = await here.query('CHECK TABLE shop.item, plain QUICK');
      expect(rows).toEqual([{ Table: 'shop.item', Op: 'check', Msg_type: 'note', Msg_text: "The storage engine for the table doesn't support check" }, { Table: 'shop.plain', Op: 'check', Msg_type: 'status', Msg_text: 'OK' }]);
      expect((await here.query<mysql.RowDataPacket[]>('OPTIMIZE TABLE item'))[0].map(({ Msg_text: text }) => text as string)).toEqual(['Table does not support optimize, doing vacuum + analyze instead', 'OK']);
      expect(await sides.onLocal("SELECT last_analyze IS NOT NULL, last_vacuum IS NOT NULL FROM pg_stat_user_tables WHERE schemaname = 'shop' AND relname = 'item'")).toBe('true|true');
      // What is open is committed, as before every definition.
      await here.query('BEGIN');
      await here.query('INSERT INTO item (n) VALUES (7)');
      await here.query('ANALYZE TABLE item');
      await here.query('ROLLBACK');
      expect(await sides.onLocal('SELECT n FROM shop.item WHERE n = 7')).toBe('7');
    });

    test('keys that only find rows', async () => {
      await same('CREATE INDEX by_both ON item (n, name) USING BTREE', 'SHOW COUNT(*) WARNINGS', 'ALTER TABLE item ADD KEY `by_note` (note(10)), ADD INDEX by_short (name(5), n), DROP KEY BY_N', 'CREATE INDEX by_both ON item (n)', 'DROP INDEX nothing ON item', 'CREATE INDEX x ON item (nothing)', 'ALTER TABLE item DROP INDEX by_both, ADD INDEX by_both (name, n)');
      expect(await local()).toBe('item_by_both: btree (name, n) item_by_note: btree ("left"(note, 10)) item_by_short: btree (name, n)');
      expect(await server()).toBe('by_both by_note by_short');
      for (const client of [here, there]) expect((await client.execute<mysql.ResultSetHeader>('DROP INDEX by_short ON item'))[0].affectedRows).toBe(0);
      await same('DROP INDEX by_both ON item');
      await same('ALTER TABLE item DROP KEY by_note, ALGORITHM=INPLACE, LOCK=NONE');
      expect([await local(), await server()]).toEqual(['', '']);
    });

    test('what has ended between the sides is gone on with', async () => {
      await sides.source.local.query('CREATE INDEX item_half ON shop.item (n)');
      await here.query('CREATE INDEX half ON item (n)');
      expect([await local(), await server()]).toEqual(['item_half: btree (n)', 'half']);
      await sides.source.mysql.sql('DROP INDEX half ON item', 'shop');
      await here.query('DROP INDEX half ON item');
      expect([await local(), await server()]).toEqual(['', '']);
      await expect(here.query('DROP INDEX half ON item')).rejects.toMatchObject({ errno: 1091 });
    });

    test('what the server does not carry out leaves nothing on local', async () => {
      await sides.source.mysql.sql('CREATE INDEX taken ON item (name)', 'shop');
      await expect(here.query('CREATE INDEX taken ON item (n)')).rejects.toMatchObject({ errno: 1061 });
      expect(await local()).toBe('');
      await sides.source.mysql.sql('DROP INDEX taken ON item', 'shop');
    });

    test('who may not define on local changes nothing at the server', async () => {
      await sides.source.local.query('CREATE ROLE owning; ALTER TABLE shop.item OWNER TO owning; CREATE ROLE plain_user LOGIN; GRANT ALL ON SCHEMA shop TO plain_user; GRANT SELECT ON shop.item TO plain_user');
      sides.localUser = 'plain_user';
      const client = await sides.connect();
      try {
        await expect(client.query('CREATE INDEX by_n2 ON item (n)')).rejects.toMatchObject({ errno: 1142 });
        await expect(client.query('ANALYZE TABLE item')).rejects.toMatchObject({ errno: 1142 });
      } finally {
        sides.localUser = undefined;
      }
      expect([await local(), await server()]).toEqual(['', '']);
    });

    test('what makes or refuses rows is refused, and so is every definition under LOCK TABLES', async () => {
      for (const sql of ['ALTER TABLE item ADD x int', 'CREATE UNIQUE INDEX u ON item (n)', 'ALTER TABLE item DROP INDEX by_name', 'DROP INDEX by_name ON item', 'ALTER TABLE item ADD INDEX (n)', 'ALTER TABLE item ADD INDEX i (n), ADD y int', 'ALTER TABLE item ADD FULLTEXT KEY f (name)', 'ANALYZE TABLE item PERSISTENT FOR ALL']) await expect(here.query(sql), sql).rejects.toThrow(/MIG082/);
      await here.query('LOCK TABLES item READ');
      await expect(here.query('CREATE INDEX i ON item (n)')).rejects.toThrow(/MIG082.*LOCK TABLES/);
      await here.query('UNLOCK TABLES');
      expect([await local(), await server()]).toEqual(['', '']);
    });
  });
}
