/** Property: a MySQL client works through the gateway as it works directly, whatever it does with the protocol. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];

describeMysql(kinds, 'raw', () => {
  for (const kind of kinds) {
    let server: TestMysql;
    let fixture: DoorFixture;
    beforeAll(async () => {
      server = await startMysql(kind);
      fixture = await openDoor(server);
      await server.createDatabase('shop');
      await server.sql('CREATE TABLE item (id int primary key, name varchar(100), price decimal(10,2)); INSERT INTO item VALUES (1, "a", 1.50), (2, NULL, 2)', 'shop');
    });
    afterAll(async () => {
      await fixture?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    test(`${kind}: text, prepared, several`, async () => {
      const connection = await mysql.createConnection({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway', database: 'shop', multipleStatements: true });
      expect((await connection.query('SELECT * FROM item ORDER BY id'))[0]).toEqual([{ id: 1, name: 'a', price: '1.50' }, { id: 2, name: null, price: '2.00' }]);
      expect((await connection.execute('SELECT name FROM item WHERE id = ?', [1]))[0]).toEqual([{ name: 'a' }]);
      expect((await connection.query('SELECT 1 AS a; SELECT 2 AS b; DO 1'))[0]).toHaveLength(3);
      expect((await connection.query('SHOW MIGRATION STATUS'))[0]).toEqual([{ Table: 'orders', State: 'DUAL_WRITE' }, { Table: 'items', State: null }]);
      await expect(connection.query('SELECT nothing')).rejects.toThrow('Unknown column');
      await connection.end();
    });
  }
});
