/** Property: a branch of XA that writes tables on local is one as at the MySQL server: prepared it outlives its session, any session ends it, and nothing of it is done by halves. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeLockHolders } from '../../../cdc/postgres/lock-holders.ts';
import { sourceKinds } from '../../cdc/mysql/mysql-source.ts';
import type { QuiesceReport } from '../../../src/session/control-port.ts';
import { xaWord, gidOf, xidOfGid } from '../../../src/session/mysql-local/xa-words.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

type Rows = mysql.RowDataPacket[];

const tables = ['CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB'];

for (const kind of sourceKinds) {
  describeMysql([kind], `branches of XA on local, beside ${kind}`, () => {
    let sides: BothSides;
    const direct: mysql.Connection[] = [];

    beforeAll(async () => {
      sides = await BothSides.start(kind, tables);
      await sides.source.mysql.createDatabase('mirror');
      for (const sql of tables) await sides.source.mysql.sql(sql, 'mirror');
    });
    beforeEach(async () => {
      await sides.source.local.query('TRUNCATE shop.item RESTART IDENTITY; INSERT INTO shop.item (n) VALUES (1), (2)');
      await sides.source.mysql.sql('TRUNCATE item; INSERT INTO item (n) VALUES (1), (2)', 'mirror');
      await sides.source.mysql.sql('TRUNCATE plain; INSERT INTO plain VALUES (1, 1)', 'shop');
      sides.publish({ item: onLocal });
    });
    afterEach(() => {
      sides.endClients();
      for (const client of direct.splice(0)) client.destroy();
    });
    afterAll(() => sides?.[Symbol.asyncDispose]());

    const report = (): QuiesceReport => sides.door.quiesceReport(['shop.item'], sides.control.snapshot.epoch + 1);
    const rows = (): Promise<string | undefined> => sides.onLocal('SELECT id, n FROM shop.item ORDER BY id');
    const prepared = (): Promise<string | undefined> => sides.onLocal('SELECT gid FROM pg_prepared_xacts');
    const all = async (client: mysql.Connection, ...statements: readonly string[]): Promise<void> => {
      for (const sql of statements) await client.query(sql);
    };

    async function outcome(client: mysql.Connection, sql: string): Promise<unknown> {
      try {
        const [answer] = await client.query(sql);
        return Array.isArray(answer) ? answer : (answer as mysql.ResultSetHeader).affectedRows;
      } catch (error) {
        return error instanceof Error && 'errno' in error ? error.errno : String(error);
      }
    }

    test.each([
      ['one phase', ["XA START 'a'", 'UPDATE item SET n = 5 WHERE id = 1', 'SELECT n FROM item WHERE id = 1', "XA END 'a'", 'SELECT n FROM item WHERE id = 1', "XA COMMIT 'a' ONE PHASE"]],
      ['two phases', ["XA START 'a','b',7", 'INSERT INTO item (n) VALUES (5)', "XA END 'a','b',7", "XA PREPARE 'a','b',7", "XA COMMIT 'a','b',7", "XA COMMIT 'a','b',7"]],
      ['rolled back before it is prepared', ["XA START 'a'", 'UPDATE item SET n = 5', "XA END 'a'", "XA ROLLBACK 'a'"]],
      ['rolled back after it', ["XA START 'a'", 'UPDATE item SET n = 5', "XA END 'a'", "XA PREPARE 'a'", "XA ROLLBACK 'a'", "XA ROLLBACK 'a'"]],
      ['out of order', ["XA START 'a'", 'UPDATE item SET n = 5 WHERE id = 1', "XA PREPARE 'a'", "XA COMMIT 'a' ONE PHASE", "XA START 'b'", "XA END 'b'", 'COMMIT', 'ROLLBACK', 'START TRANSACTION', 'TRUNCATE item', 'UPDATE item SET n = 6 WHERE id = 2', 'SELECT n FROM item ORDER BY id', "XA END 'a'", 'COMMIT', 'TRUNCATE item', 'UPDATE item SET n = 7 WHERE id = 2', "XA COMMIT 'a'", "XA COMMIT 'b'", "XA COMMIT 'a' ONE PHASE"]],
      ['in a transaction', ['BEGIN', 'UPDATE item SET n = 5 WHERE id = 1', "XA START 'a'", 'COMMIT', 'SELECT n FROM item WHERE id = 1']],
      ['an error of a statement leaves the branch as it was', ["XA START 'a'", 'INSERT INTO item VALUES (9, 9)', 'INSERT INTO item VALUES (1, 1)', "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'a'"]],
      ['nobody knows it', ["XA COMMIT 'nobody'", "XA ROLLBACK 'nobody'", "XA PREPARE 'nobody'", "XA END 'nobody'"]],
      ['only read', ["XA START 'a'", 'SELECT n FROM item WHERE id = 1', "XA END 'a'", "XA PREPARE 'a'", "XA ROLLBACK 'a'", 'UPDATE item SET n = 4 WHERE id = 1']],
    ])('%s', async (_name, statements) => {
      const { host, port, user, password } = sides.source.mysql;
      const there = await mysql.createConnection({ host, port, user, password, database: 'mirror' });
      direct.push(there);
      const here = await sides.connect();
      // Names of branches are the whole server's.
      for (const sql of statements) expect([sql, await outcome(here, sql)]).toEqual([sql, await outcome(there, sql.replace(/'([ab])'/g, "'there $1'"))]);
      expect((await here.query<Rows>('SELECT id, n FROM item ORDER BY id'))[0]).toEqual((await there.query<Rows>('SELECT id, n FROM item ORDER BY id'))[0]);
      expect(await prepared()).toBe('');
    });

    test('a prepared branch outlives its session, and is found and ended by another', async () => {
      const [lost, next] = [await sides.connect(), await sides.connect()];
      await all(lost, "XA START X'00ff','b',2", 'UPDATE item SET n = 5 WHERE id = 1', "XA END X'00ff','b',2", "XA PREPARE X'00ff','b',2", "XA START 'second'", 'UPDATE item SET n = 6 WHERE id = 2', "XA END 'second'", "XA PREPARE 'second'");
      expect(report().holding).toEqual([]);
      lost.destroy();
      expect(await rows()).toBe('1|1 2|2');
      const [found] = await next.query<Rows>('XA RECOVER');
      expect(found.map(({ formatID, gtrid_length, bqual_length, data }) => [formatID, gtrid_length, bqual_length, Buffer.from(data as Buffer).toString('latin1')])).toEqual([[2, 2, 1, '\x00\xffb'], [1, 6, 0, 'second']]);
      await next.query('XA COMMIT 0x00ff,0x62,0x2');
      await next.query("XA ROLLBACK 'second'");
      expect(await rows()).toBe('1|5 2|2');
      expect((await next.query<Rows>('XA RECOVER'))[0]).toEqual([]);
      await expect(next.query('XA COMMIT 0x00ff,0x62,0x2')).rejects.toMatchObject({ errno: 1397 });
    });

    test('XA RECOVER tells of the branches of both sides; each is ended where it is', async () => {
      const [here, there] = [await sides.connect(), await sides.connect()];
      await all(there, "XA START 'server'", 'UPDATE plain SET n = 5', "XA END 'server'", "XA PREPARE 'server'");
      await all(here, "XA START 'local'", 'UPDATE item SET n = 5 WHERE id = 1', "XA END 'local'", "XA PREPARE 'local'");
      expect((await here.query<Rows>('XA RECOVER'))[0].map(({ data }) => Buffer.from(data as Buffer).toString()).toSorted()).toEqual(['local', 'server']);
      await there.query("XA COMMIT 'server'");
      await here.query("XA COMMIT 'local'");
      expect([await rows(), await sides.onServer('SELECT n FROM plain')]).toEqual(['1|5 2|2', '5']);
    });

    test('a fence on local does not get past a prepared branch, and names it in the words of its client', async () => {
      const client = await sides.connect();
      await all(client, "XA START 'a'", 'UPDATE item SET n = 5 WHERE id = 1', "XA END 'a'", "XA PREPARE 'a'");
      client.destroy();
      const { local } = sides.source;
      await local.query("BEGIN; SET LOCAL lock_timeout = '50ms'");
      await expect(local.query('LOCK TABLE shop.item IN SHARE ROW EXCLUSIVE MODE')).rejects.toMatchObject({ code: '55P03' });
      await local.query('ROLLBACK');
      expect(await describeLockHolders(local, [{ schema: 'shop', name: 'item' }])).toMatch(/^Branch of XA 'causeway_xa:1:\w+:' of \w+, open for [\d.]+ s: XA COMMIT or XA ROLLBACK of a MySQL client ends it\.$/);
      await (await sides.connect()).query("XA ROLLBACK 'a'");
    });

    test('a branch writes on one side', async () => {
      const client = await sides.connect();
      await all(client, "XA START 'a'", 'UPDATE item SET n = 5 WHERE id = 1');
      await expect(client.query('UPDATE plain SET n = 5')).rejects.toThrow('MIG081');
      await all(client, "XA END 'a'", "XA ROLLBACK 'a'", "XA START 'b'", 'UPDATE plain SET n = 6');
      await expect(client.query('UPDATE item SET n = 6')).rejects.toThrow('MIG081');
      await all(client, "XA END 'b'", "XA COMMIT 'b' ONE PHASE");
      expect([await rows(), await sides.onServer('SELECT n FROM plain')]).toEqual(['1|1 2|2', '6']);
    });

    test('what local has rolled back can be ended in no other way', async () => {
      const [client, other] = [await sides.connect(), await sides.localClient()];
      for (const end of ["XA PREPARE 'a'", "XA COMMIT 'a' ONE PHASE", "XA ROLLBACK 'a'"]) {
        await all(client, "XA START 'a'", 'SELECT n FROM item WHERE id = 1', 'UPDATE item SET n = 8 WHERE id = 1');
        await other.query('UPDATE shop.item SET n = n + 1 WHERE id = 2');
        await expect(client.query('UPDATE item SET n = 9 WHERE id = 2')).rejects.toMatchObject({ errno: 1213 });
        await expect(client.query('SELECT n FROM item WHERE id = 1')).rejects.toMatchObject({ errno: 1402 });
        await client.query("XA END 'a'");
        if (end.startsWith('XA ROLLBACK')) await client.query(end);
        else await expect(client.query(end)).rejects.toMatchObject({ errno: 1402 });
        await client.query('SELECT n FROM item WHERE id = 1');
      }
      expect(await rows()).toBe('1|1 2|5');
      await other.end();
    });

    if (kind === 'mariadb-10.11') test('without room for prepared transactions on local: refused by name, and rolled back', async () => {
      await sides.source.local.query('ALTER SYSTEM SET max_prepared_transactions = 0');
      await sides.source.postgres.stop('fast');
      await sides.source.postgres.restart();
      const client = await sides.connect();
      await all(client, "XA START 'a'", 'UPDATE item SET n = 5 WHERE id = 1', "XA END 'a'");
      await expect(client.query("XA PREPARE 'a'")).rejects.toThrow(/MIG081.*max_prepared_transactions on local/);
      await all(client, "XA START 'a'", 'UPDATE item SET n = n + 1 WHERE id = 1', "XA END 'a'", "XA COMMIT 'a' ONE PHASE");
      expect((await client.query<Rows>('SELECT n FROM item ORDER BY id'))[0]).toEqual([{ n: 2 }, { n: 2 }]);
    });
  });
}

test('names of branches, however they are spelled', () => {
  const spelled = ["XA PREPARE 'a''b'", "xa prepare  X'612762'", 'XA PREPARE 0x612762 , \'\'', 'XA PREPARE "a\'b",X\'\',1;'].map((text) => xaWord(text));
  for (const word of spelled) expect(word).toEqual(spelled[0]);
  for (const text of ["XA PREPARE 'ä'", "XA PREPARE 'a\\n'", 'XA PREPARE', "XA START 'a' ONE PHASE", `XA PREPARE '${'a'.repeat(65)}'`, "XA START ''"]) expect(xaWord(text), text).toBeUndefined();
  const xid = { gtrid: Buffer.alloc(64, 255), bqual: Buffer.alloc(64, 254), format: 4_294_967_295 };
  expect(gidOf(xid).length).toBeLessThan(200);
  expect(xidOfGid(gidOf(xid))).toEqual(xid);
});
