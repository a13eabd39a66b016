/** Property: what a driver is told around the rows (info, counts, ids, flags and character sets of columns) is on local what the MySQL server tells of the same statements. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql } from '../../support/mysql-servers.ts';
import { sourceKinds } from '../../cdc/mysql/mysql-source.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const tables = (isOld: boolean): readonly string[] => [
  'CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20) NOT NULL, n int, UNIQUE KEY by_name (name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE ticket (name varchar(20) CHARACTER SET ascii NOT NULL PRIMARY KEY, next bigint unsigned NOT NULL) ENGINE=InnoDB',
  `CREATE TABLE kind (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, a tinyint unsigned, b smallint zerofill NOT NULL, c mediumint, d decimal(10,2) unsigned, e float NOT NULL, f double, g char(3) NOT NULL DEFAULT 'x', h varchar(10) CHARACTER SET latin1, i varbinary(7), j binary(3), k text, l blob NOT NULL, m enum('a','b') NOT NULL, o set('x','y'),
    p date NOT NULL, q datetime(3), r timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, q2 datetime DEFAULT CURRENT_TIMESTAMP, q3 datetime NULL ON UPDATE CURRENT_TIMESTAMP, r2 timestamp(3) NULL DEFAULT NULL, r3 timestamp NULL DEFAULT CURRENT_TIMESTAMP, s time, t year, u bit(5), v tinyint(1) NOT NULL, w longtext, x mediumblob, y tinytext, z varchar(8) CHARACTER SET utf8 COLLATE utf8_bin,
    KEY by_a (a), UNIQUE KEY by_bc (b, c), KEY by_h (h, d)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4${isOld ? ' ROW_FORMAT=DYNAMIC' : ''}`,
];

for (const kind of sourceKinds) {
  describeMysql([kind], `words around the rows, of ${kind}`, () => {
    let sides: BothSides;

    beforeAll(async () => {
      sides = await BothSides.start(kind, tables(kind === 'mysql-5.6'));
      sides.publish({ item: onLocal, ticket: onLocal, kind: onLocal });
    });
    afterAll(() => sides?.[Symbol.asyncDispose]());

    async function clear(): Promise<void> {
      await sides.source.local.query("TRUNCATE shop.item, shop.ticket RESTART IDENTITY; INSERT INTO shop.ticket VALUES ('a', 10), ('b', 20)");
      await sides.source.mysql.sql("TRUNCATE item; TRUNCATE ticket; INSERT INTO ticket VALUES ('a', 10), ('b', 20)", 'shop');
    }

    /** Through the gateway, and at the server itself. */
    async function both(options: mysql.ConnectionOptions = {}): Promise<readonly [mysql.Connection, mysql.Connection]> {
      const { mysql: server } = sides.source;
      return [await sides.connect(options), await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'shop', ...options })];
    }

    async function outcome(client: mysql.Connection, sql: string, isPrepared = false): Promise<unknown> {
      try {
        const [answer] = isPrepared ? await client.execute(sql) : await client.query(sql);
        if (Array.isArray(answer)) return JSON.stringify(answer);
        const { affectedRows, changedRows, info, insertId, warningStatus } = answer as mysql.ResultSetHeader;
        // Old servers put its length before it, which drivers leave there.
        return { affectedRows, changedRows, info: info.replace(/^[^A-Z]/, ''), insertId, warningStatus };
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    }

    const sequence = [
      // What FOUND_ROWS() is in a session that has read nothing is whatever an earlier one of the server's thread has left.
      'SELECT id FROM item',
      "INSERT INTO item (name, n) VALUES ('a', 1), ('b', 2), ('c', 3)", 'SELECT ROW_COUNT(), FOUND_ROWS(), LAST_INSERT_ID()', 'SELECT ROW_COUNT()',
      "INSERT INTO item (name, n) VALUES ('d', 1)", 'SELECT LAST_INSERT_ID()', 'SELECT id FROM item WHERE n = 1', 'SELECT FOUND_ROWS()', 'SELECT FOUND_ROWS()', 'SELECT ROW_COUNT()',
      'UPDATE item SET n = 1', 'SELECT ROW_COUNT()', 'SELECT FOUND_ROWS()', 'UPDATE item SET n = 1', 'SELECT ROW_COUNT()', 'UPDATE item SET n = n + 1 WHERE id > 2', 'UPDATE item SET n = 7 WHERE id = 99', 'UPDATE item SET n = 9 ORDER BY id LIMIT 2',
      'SELECT SQL_CALC_FOUND_ROWS id FROM item ORDER BY id LIMIT 1', 'SELECT FOUND_ROWS()', 'SELECT id FROM item ORDER BY id LIMIT 2', 'SELECT FOUND_ROWS()',
      "UPDATE ticket SET next = LAST_INSERT_ID(next + 1) WHERE name = 'a'", 'SELECT LAST_INSERT_ID()', 'SELECT LAST_INSERT_ID(), ROW_COUNT()', "UPDATE ticket SET next = LAST_INSERT_ID(next + 5) WHERE name = 'nobody'", 'SELECT LAST_INSERT_ID()',
      "UPDATE ticket SET next = LAST_INSERT_ID(next) WHERE name = 'b'", 'SELECT LAST_INSERT_ID()', 'SELECT LAST_INSERT_ID(99)', 'SELECT LAST_INSERT_ID()',
      "INSERT INTO item (name) VALUES ('a')", 'SELECT ROW_COUNT(), LAST_INSERT_ID()', "INSERT INTO ticket SELECT 'q', n FROM item WHERE id = 1", "INSERT INTO item (name) VALUES ('aa'), ('bb')", 'SELECT ROW_COUNT(), LAST_INSERT_ID()',
      "INSERT INTO item (name, n) VALUES ('cc', 1), ('a', 6), ('b', 7) ON DUPLICATE KEY UPDATE n = VALUES(n)", 'SELECT ROW_COUNT(), LAST_INSERT_ID()',
      "INSERT INTO item (name, n) VALUES ('a', 5) ON DUPLICATE KEY UPDATE n = 44", "INSERT INTO item (id, name, n) VALUES (50, 'given', 5)", 'SELECT LAST_INSERT_ID()',
      'DELETE FROM item WHERE id < 3', 'SELECT ROW_COUNT()', 'DELETE FROM item WHERE id = 0', 'SELECT ROW_COUNT(), FOUND_ROWS()', 'DO 1', 'SELECT ROW_COUNT()', 'SELECT COUNT(*) FROM item', 'SELECT FOUND_ROWS()',
      'BEGIN', 'UPDATE item SET n = 3', 'COMMIT', 'SELECT ROW_COUNT()', 'SET @a = 1', 'SELECT ROW_COUNT()', 'SHOW TABLES', 'SELECT FOUND_ROWS()',
    ];

    it.each([['FOUND_ROWS'], ['-FOUND_ROWS']])('a sequence of statements, with %s', async (flag) => {
      await clear();
      const [here, there] = await both({ flags: [flag] });
      const differences: unknown[] = [];
      for (const sql of sequence) {
        const [local, server] = [await outcome(here, sql), await outcome(there, sql)];
        const isUpsert = typeof server === 'object' && sql.includes('ON DUPLICATE');
        const told = isUpsert ? { ...server, info: '', warningStatus: 0 } : server;
        if (JSON.stringify(local) !== JSON.stringify(told)) differences.push([sql, local, server]);
      }
      await there.end();
      for (const each of differences) console.log(JSON.stringify(each));
      expect(differences).toEqual([]);
    });

    it('LAST_INSERT_ID() of several rows with several values is an error, and nothing is changed', async () => {
      await clear();
      const client = await sides.connect();
      expect(await outcome(client, 'UPDATE ticket SET next = LAST_INSERT_ID(next + 1)')).toContain('more than 1 row');
      expect(await sides.onLocal('SELECT next FROM shop.ticket ORDER BY name')).toBe('10 20');
      expect(await outcome(client, 'UPDATE ticket SET next = LAST_INSERT_ID(7)')).toMatchObject({ affectedRows: 2, insertId: 7 });
    });

    it.each([[false], [true]])('columns of results, prepared: %s', async (isPrepared) => {
      const [here, there] = await both();
      const differences: unknown[] = [];
      const selects = ['SELECT * FROM kind', 'SELECT id, name AS x, n FROM item i', 'SELECT COUNT(*), SUM(d), id + 1 AS s, NULL AS nothing, 1.5 AS d15 FROM kind GROUP BY id', 'SELECT k.a, k.h, i.name FROM item i LEFT JOIN kind k ON k.id = i.n', ];
      for (const sql of selects) {
        const fieldsOf = async (client: mysql.Connection): Promise<readonly Record<string, unknown>[]> => {
          const [, fields] = isPrepared ? await client.execute(sql) : await client.query(sql);
          return fields.map((field) => {
            const { name, orgName, table, orgTable, schema, columnType, flags, decimals, characterSet, columnLength } = field as unknown as Record<string, unknown>;
            return { name, orgName, table, orgTable, schema, columnType, flags, decimals, characterSet, columnLength };
          });
        };
        const [local, server] = [await fieldsOf(here), await fieldsOf(there)];
        local.forEach((field, at) => {
          const other = server[at] ?? {};
          const differing = Object.keys(field).filter((key) => field[key] !== other[key]);
          if (differing.length > 0) differences.push([sql, field['name'], Object.fromEntries(differing.map((key) => [key, [field[key], other[key]]]))]);
        });
      }
      await there.end();
      for (const each of differences) console.log(JSON.stringify(each));
      expect(differences).toEqual([]);
    });
  });
}
