/** Property: LOCK TABLES over tables on local does what the MySQL server's does over its own: for the session, for other MySQL clients, and for whoever writes local otherwise. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { QuiesceReport } from '../../../src/session/control-port.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { describeUnless, findTool } from '../../support/tools.ts';
import { runProgram } from '../../drivers/run-program.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

type Rows = mysql.RowDataPacket[];

const tables = [
  'CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE other (id int PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB',
  "CREATE TABLE kind (id int PRIMARY KEY, name varchar(20), price decimal(8,2), at datetime(3), born date, seen timestamp NULL, data blob, flag tinyint(1), size enum('s','m','l'), labels set('a','b'), ratio double, amount float, bits bit(5), doc longtext) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
];
const rowsOfKind = `INSERT INTO kind VALUES (1, 'zwölf \\'x\\' \\\\ \\n', 12.50, '2024-02-29 12:00:00.125', '2024-02-29', '2024-01-01 00:00:00', X'00FF0A27', 1, 'm', 'a,b', 0.1, 1.5, 21, REPEAT('long ', 1000)), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', -0.01, '1000-01-01 00:00:00', '9999-12-31', '2037-12-31 23:59:59', '', 0, 'l', '', -1e300, 16777216, 0, '')`;

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
    sides.publish({ item: onLocal, other: onLocal, kind: onLocal });
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

  describeUnless(findTool('mariadb') === undefined ? 'not installed: mariadb' : undefined, 'mariadb-dump', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-dump-'));
    afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
    const columns = 'SELECT id, name, price, at, born, seen, HEX(data) AS data, flag, size, labels, ratio, amount, bits + 0 AS bits, doc';

    test.each([['--opt'], ['--lock-tables', '--skip-opt', '--complete-insert', '--hex-blob'], ['--single-transaction', '--quick', '--hex-blob']])('%s: a dump of tables on both sides, loaded by a server, is their rows', async (...options) => {
      await sides.source.local.query('TRUNCATE shop.kind');
      const client = await sides.connect();
      await client.query(rowsOfKind.replace('1.5, 21', '1.5, NULL').replace('16777216, 0', '16777216, NULL'));
      await sides.source.local.query("UPDATE shop.kind SET bits = CASE id WHEN 1 THEN B'10101' ELSE B'00000' END WHERE id <> 2");
      const { port, user, password } = sides.source.mysql;
      const login = (to: number): string[] => ['--no-defaults', '--host=127.0.0.1', `--port=${to}`, `--user=${user}`, `--password=${password}`, '--default-character-set=utf8mb4'];
      const dumped = path.join(folder, 'dump.sql');
      const dump = await runProgram('mariadb-dump', [...login(sides.door.port), ...options, `--result-file=${dumped}`, 'shop'], { limitMs: 60_000 });
      expect([dump.code, dump.errors]).toEqual([0, '']);
      await sides.source.mysql.sql('DROP DATABASE IF EXISTS copy; CREATE DATABASE copy');
      const load = await runProgram('mariadb', [...login(port), 'copy'], { limitMs: 60_000, files: { input: dumped, output: path.join(folder, 'load') } });
      expect([load.code, load.errors]).toEqual([0, '']);
      const copy = await atServer();
      await copy.query('USE copy');
      const rows = async (from: mysql.Connection, sql: string): Promise<unknown> => (await from.query({ sql, rowsAsArray: true }))[0];
      expect(await rows(copy, `${columns} FROM kind ORDER BY id`)).toEqual(await rows(await written(), `${columns} FROM kind ORDER BY id`));
      for (const table of ['item', 'other', 'plain']) expect(await rows(copy, `SELECT * FROM ${table} ORDER BY id`)).toEqual(await rows(client, `SELECT * FROM ${table} ORDER BY id`));
      expect(await locks()).toBe('');
    });

    /** The same rows, as the server itself keeps them. */
    async function written(): Promise<mysql.Connection> {
      const client = await atServer();
      await client.query('TRUNCATE kind');
      await client.query(rowsOfKind);
      return client;
    }
  });
});
