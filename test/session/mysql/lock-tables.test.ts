/** Property: LOCK TABLES over tables on local does what the MySQL server's does over its own: for the session, for other MySQL clients, and for whoever writes local otherwise. */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { QuiesceReport } from '../../../src/session/control-port.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

type Rows = mysql.RowDataPacket[];

const tables = ['CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE other (id int PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB'];

describeMysql(['mariadb-10.11'], 'LOCK TABLES over tables on local', () => {
  let sides: BothSides;
  const direct: mysql.Connection[] = [];

  beforeAll(async () => {
    sides = await BothSides.start('mariadb-10.11', tables);
    await sides.source.mysql.createDatabase('mirror');
    for (const sql of tables) await sides.source.mysql.sql(sql, 'mirror');
    for (const database of ['shop', 'mirror']) await sides.source.mysql.sql('INSERT INTO plain VALUES (1, 5)', database);
  });

  beforeEach(async () => {
    const rows = 'INSERT INTO item VALUES (1, 1), (2, 2); INSERT INTO other VALUES (1, 7)';
    await sides.source.local.query(`TRUNCATE shop.item, shop.other RESTART IDENTITY; ${rows.replaceAll('INTO ', 'INTO shop.')}`);
    await sides.source.mysql.sql(`TRUNCATE item; TRUNCATE other; ${rows}`, 'mirror');
    sides.publish({ item: onLocal, other: onLocal });
  });

  afterEach(() => {
    sides.endClients();
    for (const client of direct.splice(0)) client.destroy();
  });
  afterAll(() => sides?.[Symbol.asyncDispose]());

  const report = (): QuiesceReport => sides.door.quiesceReport(['shop.item'], sides.control.snapshot.epoch + 1);
  const locks = (): Promise<string | undefined> => sides.onLocal("SELECT mode, count(*) FROM pg_locks WHERE relation = 'shop.item'::regclass AND granted GROUP BY mode ORDER BY mode");
  const waiting = (): Promise<string | undefined> => sides.onLocal('SELECT count(*) FROM pg_locks WHERE NOT granted');

  async function atServer(): Promise<mysql.Connection> {
    const { host, port, user, password } = sides.source.mysql;
    const client = await mysql.createConnection({ host, port, user, password, database: 'mirror' });
    client.on('error', () => undefined);
    direct.push(client);
    return client;
  }

  async function outcome(client: mysql.Connection, sql: string): Promise<unknown> {
    try {
      const [answer] = await client.query(sql);
      return Array.isArray(answer) ? answer : (answer as mysql.ResultSetHeader).affectedRows;
    } catch (error) {
      return error instanceof Error && 'errno' in error ? [error.errno, error.message] : String(error);
    }
  }

  test.each([
    ['a lock to read', ['LOCK TABLES item READ', 'SELECT * FROM item', 'SELECT * FROM item AS i', 'SELECT * FROM other', 'SELECT * FROM plain', 'UPDATE item SET n = 3', 'INSERT INTO item (n) VALUES (3)', 'DELETE FROM item', 'TRUNCATE item', 'SELECT * FROM item FOR UPDATE', 'SELECT 1 AS one', 'SHOW COLUMNS FROM item', 'SELECT n FROM item WHERE id = 1', 'UNLOCK TABLES', 'UPDATE item SET n = 3', 'SELECT * FROM other']],
    ['names, each for one place', ['LOCK TABLES item AS a READ, item READ LOCAL, plain READ', 'SELECT COUNT(*) AS c FROM item, item AS a', 'SELECT COUNT(*) AS c FROM item, item AS b', 'SELECT COUNT(*) AS c FROM item WHERE id IN (SELECT id FROM item)', 'SELECT * FROM plain', 'UPDATE plain SET n = 9', 'SELECT * FROM other', 'UNLOCK TABLES', 'SELECT COUNT(*) AS c FROM item, item AS b']],
    ['a dump that is loaded', ['LOCK TABLES `plain` WRITE', '/*!40000 ALTER TABLE `plain` DISABLE KEYS */', 'UPDATE plain SET n = 6', '/*!40000 ALTER TABLE `plain` ENABLE KEYS */', 'UNLOCK TABLES', 'SELECT * FROM plain', 'UPDATE plain SET n = 5']],
    ['tables of the server alone', ['LOCK TABLES plain READ', 'SELECT * FROM item', 'SELECT * FROM plain', 'UNLOCK TABLES', 'SELECT * FROM item']],
    ['another LOCK TABLES takes its place', ['LOCK TABLES item READ', 'LOCK TABLES other READ', 'SELECT * FROM item', 'SELECT * FROM other', 'UNLOCK TABLES']],
    ['START TRANSACTION gives it up', ['LOCK TABLES item READ', 'START TRANSACTION', 'UPDATE item SET n = 8', 'SELECT * FROM other', 'ROLLBACK', 'SELECT * FROM item ORDER BY id']],
    ['COMMIT does not', ['LOCK TABLES item READ', 'COMMIT', 'SELECT * FROM other', 'ROLLBACK', 'SELECT * FROM other', 'UNLOCK TABLES', 'SELECT * FROM other']],
    ['an open transaction is committed before', ['BEGIN', 'UPDATE item SET n = 50 WHERE id = 1', 'LOCK TABLES item READ', 'ROLLBACK', 'SELECT * FROM item ORDER BY id', 'UNLOCK TABLES']],
    ['UNLOCK TABLES without a lock commits nothing', ['BEGIN', 'UPDATE item SET n = 50 WHERE id = 1', 'UNLOCK TABLES', 'ROLLBACK', 'SELECT * FROM item ORDER BY id']],
    ['locks to write, without autocommit', ['SET autocommit = 0', 'LOCK TABLES item WRITE, other READ, plain WRITE', 'UPDATE item SET n = n + 10', 'SELECT * FROM item ORDER BY id', 'SELECT * FROM other', 'UPDATE other SET n = 1', 'SELECT * FROM item i', 'COMMIT', 'UNLOCK TABLES', 'SELECT * FROM item ORDER BY id', 'ROLLBACK']],
    ['what UNLOCK TABLES finds open is committed', ['SET autocommit = 0', 'LOCK TABLES item WRITE', 'UPDATE item SET n = n + 10', 'UNLOCK TABLES', 'ROLLBACK', 'SELECT * FROM item ORDER BY id', 'ROLLBACK']],
    ['what ROLLBACK finds is rolled back', ['SET autocommit = 0', 'LOCK TABLES item WRITE', 'UPDATE item SET n = n + 10', 'ROLLBACK', 'UNLOCK TABLES', 'SELECT * FROM item ORDER BY id', 'ROLLBACK']],
    ['a table that is not there leaves no locks', ['LOCK TABLES item READ, nobody READ', 'SELECT * FROM other', 'UPDATE item SET n = 3']],
    ['a name twice', ['LOCK TABLES item READ, item READ', 'UPDATE item SET n = 3']],
  ])('%s', async (_name, statements) => {
    const [here, there] = [await sides.connect(), await atServer()];
    for (const sql of statements) expect([sql, await outcome(here, sql)], sql).toEqual([sql, JSON.parse(JSON.stringify(await outcome(there, sql)).replaceAll('mirror', 'shop'))]);
    expect(await locks()).toBe('');
  });

  test('whoever writes waits until UNLOCK TABLES, by whatever way; readers do not, nor who locks to read', async () => {
    const [holder, reader, writer] = [await sides.connect(), await sides.connect(), await sides.connect()];
    const onPostgres = await sides.localClient();
    await holder.query('LOCK TABLES item READ, other READ');
    await reader.query('LOCK TABLES item READ');
    expect((await reader.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    await reader.query('UNLOCK TABLES');
    const written = Promise.all([writer.query('UPDATE item SET n = n + 1 WHERE id = 1'), onPostgres.query('UPDATE shop.item SET n = n + 1 WHERE id = 1')]);
    await expect.poll(waiting).toBe('2');
    expect((await holder.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    expect(report().holding.map(({ lastStatement }) => lastStatement)).toContain('SELECT n FROM item WHERE id = 1');
    await holder.query('UNLOCK TABLES');
    await written;
    expect((await holder.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 3 }]);
    await expect.poll(() => report().holding).toEqual([]);
    await onPostgres.end();
  });

  test('a lock to write lets nobody else read; it ends with its session', async () => {
    const [holder, reader] = [await sides.connect(), await sides.connect()];
    await holder.query('SET autocommit = 0');
    await holder.query('LOCK TABLES item WRITE');
    await holder.query('UPDATE item SET n = 9 WHERE id = 1');
    const read = reader.query<Rows>('SELECT n FROM item WHERE id = 1');
    await expect.poll(waiting).toBe('1');
    holder.destroy();
    expect((await read)[0]).toEqual([{ n: 1 }]);
    await holder.end().catch(() => undefined);
    const again = await sides.connect();
    await again.query('LOCK TABLES item READ');
    again.destroy();
    await expect.poll(locks).toBe('');
    expect(report().holding).toEqual([]);
  });

  test('what no lock of local can be is refused before anything is done', async () => {
    const client = await sides.connect();
    await expect(client.query('LOCK TABLES item WRITE')).rejects.toThrow(/MIG082.*autocommit = 1.*SET autocommit = 0/);
    await client.query('UPDATE item SET n = 3 WHERE id = 1');
    expect(report().holding).toEqual([]);
    await client.query('SET autocommit = 0');
    await client.query('LOCK TABLES item WRITE');
    await client.query('UPDATE item SET n = 4 WHERE id = 1');
    await client.query('COMMIT');
    await expect(client.query('SELECT * FROM item')).rejects.toThrow(/MIG082.*COMMIT.*UNLOCK TABLES/);
    await client.query('UNLOCK TABLES');
    expect((await client.query<Rows>('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 4 }]);
    await expect(client.query('FLUSH TABLES WITH READ LOCK')).rejects.toThrow(/MIG082.*FLUSH TABLES/);
  });

  test('a lock that is not to be had: as the server says it, and nothing is left locked', async () => {
    const [client, holder] = [await sides.connect(), await sides.localClient()];
    await holder.query('BEGIN; UPDATE shop.other SET n = 1');
    await client.query('SET SESSION lock_wait_timeout = 1');
    await expect(client.query('LOCK TABLES item READ, other READ')).rejects.toMatchObject({ errno: 1205 });
    expect(await locks()).toBe('');
    expect(report().holding).toEqual([]);
    expect((await client.query<Rows>('SELECT n FROM other WHERE id = 1'))[0]).toEqual([{ n: 7 }]);
    await holder.end();
  });

  test('locks that local has lost end the session: it believes to have them', async () => {
    const client = await sides.connect();
    await client.query('LOCK TABLES item READ');
    await sides.onLocal("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE relation = 'shop.item'::regclass AND mode = 'ShareLock'");
    await expect.poll(() => client.query('SELECT 1').then(() => 'there', () => 'gone')).toBe('gone');
  });
});
