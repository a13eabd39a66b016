/** Property: what lies beside rows and transactions (warnings, single precision, variables of the user) is on local what the MySQL server says of the same statements. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { sourceKinds } from '../../cdc/mysql/mysql-source.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const tables = ['CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int, name varchar(20), amount float, price decimal(8,2), UNIQUE KEY by_name (name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB'];

for (const kind of sourceKinds) {
  describeMysql([kind], `beside rows, of ${kind}`, () => {
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
      const rows = "(n, name, amount, price) VALUES (1, 'a', 16777216, 1.5), (2, 'b', 0.1, -2), (NULL, NULL, 1.17549e-38, NULL), (3, 'c', 3.4028e38, 0)";
      await sides.source.local.query(`TRUNCATE shop.item RESTART IDENTITY; INSERT INTO shop.item ${rows}`);
      await sides.source.mysql.sql(`TRUNCATE item; INSERT INTO item ${rows}`, 'mirror');
      const { host, port, user, password } = sides.source.mysql;
      there = await mysql.createConnection({ host, port, user, password, database: 'mirror' });
      here = await sides.connect();
    });
    afterEach(async () => {
      sides.endClients();
      await there.end();
    });
    afterAll(() => sides?.[Symbol.asyncDispose]());

    async function outcome(client: mysql.Connection, sql: string, values?: readonly unknown[]): Promise<unknown> {
      try {
        const [answer, fields] = values ? await client.execute({ sql, rowsAsArray: true }, [...values] as never) : await client.query({ sql, rowsAsArray: true });
        return Array.isArray(answer) ? [answer, fields?.map(({ name, columnType }) => [name, columnType])] : (answer as mysql.ResultSetHeader).affectedRows;
      } catch (error) {
        return error instanceof Error && 'errno' in error ? [error.errno, error.message] : String(error);
      }
    }

    async function same(...statements: readonly (string | readonly [string, readonly unknown[]])[]): Promise<void> {
      for (const each of statements) {
        const [sql, values] = typeof each === 'string' ? [each, undefined] : each;
        expect([sql, await outcome(here, sql, values)]).toEqual([sql, JSON.parse(JSON.stringify(await outcome(there, sql, values)).replaceAll('mirror', 'shop'))]);
      }
    }

    test('FLOAT, as text and as bytes', () => same('SELECT id, amount FROM item ORDER BY id', ['SELECT id, amount FROM item ORDER BY id', []], ['SELECT amount FROM item WHERE id = ?', [1]]));

    test('warnings and errors of the statement before', () => same(
      "INSERT INTO item (name) VALUES ('a')", 'SHOW WARNINGS', 'SHOW ERRORS', 'SHOW COUNT(*) WARNINGS', 'SHOW COUNT(*) ERRORS', 'SELECT id FROM item ORDER BY id', 'SHOW WARNINGS', 'SHOW COUNT(*) WARNINGS', "INSERT INTO item (name) VALUES ('a')", 'show warnings limit 1', 'SHOW ERRORS LIMIT 5', 'SHOW WARNINGS LIMIT 1, 5', "SELECT CAST('x' AS SIGNED) AS n", 'SHOW WARNINGS', 'SELECT id FROM item WHERE id = 1', 'SHOW ERRORS',
    ));

    test('NULL in lists of rows', () => same(['SELECT id FROM item WHERE (n, name) IN ((?, ?), (?, ?)) ORDER BY id', [1, 'a', null, 'b']], ['SELECT id FROM item WHERE (n, name) NOT IN ((?, ?)) ORDER BY id', [null, 'b']], ['SELECT id FROM item WHERE n IN (?, ?) ORDER BY id', [1, null]]));

    test('variables of the user, which the server keeps', async () => {
      await same(
        "SET @a = 2, @`s` = 'b', @d = 1.50, @u = 18446744073709551615", 'SELECT id FROM item WHERE id = @a', 'SELECT id FROM item WHERE name = @s', 'SELECT id, @a + 1 AS b FROM item WHERE n >= @A ORDER BY id', 'SELECT id FROM item WHERE id < @u ORDER BY id', 'UPDATE item SET n = @a WHERE id = 1', 'INSERT INTO item (n, name) VALUES (@a, @s)',
        ['SELECT id FROM item WHERE id = @a', []], 'SET @a = 3', ['SELECT id FROM item WHERE id = @a', []], 'BEGIN', 'UPDATE item SET n = 9 WHERE id = @a', 'SET @a = 1', 'UPDATE item SET n = 8 WHERE id = @a', 'COMMIT', 'SELECT id, n, name FROM item ORDER BY id',
      );
      for (const sql of ['SELECT id FROM item WHERE price = @d', 'SELECT id FROM item WHERE id = @nothing', 'SELECT @x := id FROM item', 'SELECT MAX(id) INTO @m FROM item']) await expect(here.query(sql), sql).rejects.toThrow(/MIG082/);
      await here.query('SET NAMES utf8mb4 COLLATE utf8mb4_bin');
      await expect(here.query('SELECT id FROM item WHERE name = @s')).rejects.toThrow(/MIG082.*user variable/);
    });

    test('files of the server', async () => {
      await expect(here.query("SELECT * FROM item INTO OUTFILE '/tmp/x'")).rejects.toThrow(/MIG082.*INTO OUTFILE/);
      await expect(here.query("SELECT id INTO DUMPFILE '/tmp/x' FROM item")).rejects.toThrow(/MIG082.*INTO DUMPFILE/);
    });
  });
}
