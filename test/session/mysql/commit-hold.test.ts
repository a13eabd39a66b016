/** Property: a MySQL client is not told of a commit on a table with `dual_write_mode 'sync'` before local shows it, and nothing else is held back. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { dualWrite, onSource } from '../gateway-fixture.ts';
import { openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';

const kinds = ['mariadb-10.11', 'mysql-9.7'] as const;
const BOUND_MS = 30_000;

describeMysql(kinds, 'commits of MySQL clients that wait for local', () => {
  describe.each(kinds)('%s', (kind) => {
    let server: TestMysql;
    let fixture: DoorFixture;
    let client: mysql.Connection;
    let other: mysql.Connection;
    const clients: mysql.Connection[] = [];

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql('CREATE TABLE item (id int primary key, n int) ENGINE=InnoDB; CREATE TABLE other (id int primary key, n int) ENGINE=InnoDB', 'shop');
      await server.sql('CREATE PROCEDURE adds(IN which int) BEGIN INSERT INTO item VALUES (which, 1); SELECT n FROM item WHERE id = which; END', 'shop');
    });

    beforeEach(async () => {
      fixture = await openDoor(server, { limits: { visibilityWaitMs: BOUND_MS } });
      fixture.control.publish({ item: dualWrite, other: onSource });
      await server.sql('DELETE FROM item; DELETE FROM other', 'shop');
      client = await connect();
      other = await connect();
      fixture.control.autoVisible = false;
    });

    afterEach(async () => {
      for (const each of clients.splice(0)) each.destroy();
      await fixture[Symbol.asyncDispose]();
    });

    afterAll(() => server?.dispose());

    async function connect(): Promise<mysql.Connection> {
      const opened = await mysql.createConnection({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway', database: 'shop', multipleStatements: true });
      opened.on('error', () => undefined);
      clients.push(opened);
      return opened;
    }

    const items = async (): Promise<string> => (await server.sql('SELECT id FROM item ORDER BY id', 'shop')).map(({ id }) => id).join();

    /** The server has committed, and the client is told once local shows it. */
    async function held<Result>(act: () => Promise<Result>, committed: string): Promise<Result> {
      let isTold = false;
      const told = act().finally(() => (isTold = true));
      told.catch(() => undefined);
      await expect.poll(() => fixture.control.waits.length).toBe(1);
      expect(fixture.control.waits[0]).toMatchObject({ kind: 'mysql', tables: ['public.item'] });
      // Whatever else was on its way to this process has come by then.
      await other.query('SELECT n FROM item');
      expect(isTold).toBe(false);
      expect(await items()).toBe(committed);
      fixture.control.makeVisible();
      return told;
    }

    test('of statements that commit by themselves, with their answers as they came', async () => {
      expect((await held(() => client.query('INSERT INTO item VALUES (1, 1), (2, 2)'), '1,2'))[0]).toMatchObject({ affectedRows: 2, info: expect.stringContaining('Records: 2') as string });
      const update = await client.prepare('UPDATE item SET n = n + ? WHERE id = 1');
      expect((await held(() => update.execute([5]), '1,2'))[0]).toMatchObject({ affectedRows: 1 });
      if (kind.startsWith('mariadb')) expect((await held(() => client.query('DELETE FROM item WHERE id = 2 RETURNING n'), '1'))[0]).toEqual([{ n: 2 }]);
      await held(() => client.query(`UPDATE item SET n = n + 1 /* ${'x'.repeat(40_000)} */`), kind.startsWith('mariadb') ? '1' : '1,2');
      await held(() => client.query('ALTER TABLE item COMMENT = \'x\''), kind.startsWith('mariadb') ? '1' : '1,2');
    });

    test('of transactions: their COMMIT, and whatever else commits them', async () => {
      await client.query('BEGIN');
      await client.query('INSERT INTO item VALUES (1, 1)');
      await client.query('SELECT n FROM item FOR UPDATE');
      await held(() => client.query('COMMIT'), '1');
      await client.query('SET autocommit = 0');
      await client.query('INSERT INTO item VALUES (2, 1)');
      await held(() => client.query('COMMIT'), '1,2');
      await client.query('SELECT n FROM item');
      await client.query('INSERT INTO item VALUES (3, 1)');
      await held(() => client.query('BEGIN'), '1,2,3');
      await client.query('INSERT INTO item VALUES (4, 1)');
      await held(() => client.query('SET autocommit = 1'), '1,2,3,4');
      await client.query('BEGIN');
      await client.query('INSERT INTO item VALUES (5, 1)');
      await held(() => client.query('CREATE TABLE IF NOT EXISTS item_of_nobody (id int primary key)'), '1,2,3,4,5');
      await client.query('BEGIN');
      await client.query('INSERT INTO item VALUES (6, 1)');
      await held(() => client.query('COMMIT AND CHAIN'), '1,2,3,4,5,6');
      await client.query('ROLLBACK');
    });

    test('of several statements in a text, and of a procedure: each part of the answer', async () => {
      const several = client.query('INSERT INTO item VALUES (1, 1); SELECT n FROM item; INSERT INTO item VALUES (2, 2)');
      let isTold = false;
      const told = several.finally(() => (isTold = true));
      while (!isTold) {
        fixture.control.makeVisible();
        await other.query('SELECT 1');
      }
      expect((await told)[0]).toMatchObject([{ affectedRows: 1 }, [{ n: 1 }], { affectedRows: 1 }]);
      fixture.control.autoVisible = true;
      const before = fixture.control.waited;
      const [answer] = await client.query('CALL adds(7)');
      expect(answer).toMatchObject([[{ n: 1 }], { affectedRows: expect.any(Number) as number }]);
      expect(fixture.control.waited).toBeGreaterThan(before);
      expect(await items()).toBe('1,2,7');
    });

    test('nothing else waits: reads, what is rolled back or fails, other tables, preparing', async () => {
      await server.sql('INSERT INTO item VALUES (1, 1)', 'shop');
      await client.query('SELECT n FROM item');
      await client.query('BEGIN');
      await client.query('UPDATE item SET n = 2');
      await client.query('ROLLBACK');
      await expect(client.query('INSERT INTO item VALUES (1, 1)')).rejects.toThrow('Duplicate');
      await client.query('INSERT INTO other VALUES (1, 1)');
      await client.prepare('INSERT INTO item VALUES (?, 1)');
      expect(fixture.control.waited).toBe(0);
    });

    test('until nobody reads the table on local any more, the bound is over, or the client has gone', async () => {
      const write = client.query('INSERT INTO item VALUES (1, 1)');
      await expect.poll(() => fixture.control.waits.length).toBe(1);
      fixture.control.publish({ item: onSource, other: onSource });
      expect((await write)[0]).toMatchObject({ affectedRows: 1 });
      fixture.control.publish({ item: dualWrite, other: onSource });
      void client.query('INSERT INTO item VALUES (2, 1)').catch(() => undefined);
      await expect.poll(() => fixture.control.waits.length).toBe(1);
      client.destroy();
      await expect.poll(() => fixture.control.waits.length).toBe(0);
      expect(await items()).toBe('1,2');
      await fixture[Symbol.asyncDispose]();
      fixture = await openDoor(server, { limits: { visibilityWaitMs: 50 } }, fixture.control);
      expect((await (await connect()).query('INSERT INTO item VALUES (3, 1)'))[0]).toMatchObject({ affectedRows: 1 });
      expect(fixture.control.waits).toEqual([]);
    });
  });
});
