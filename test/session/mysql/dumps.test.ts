/** Property: the dump programs of both families dump tables that are on both sides, and a server that loads the dump has the rows of each. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../../drivers/run-program.ts';
import { commandOf, folderOf } from '../../servers/debian-server-folder.ts';
import { isMysqlInstalled } from '../../support/mysql-servers.ts';
import { describeUnless, findTool } from '../../support/tools.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const tables = [
  'CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, n int) ENGINE=InnoDB', 'CREATE TABLE plain (id int PRIMARY KEY, n int) ENGINE=InnoDB',
  "CREATE TABLE kind (id int PRIMARY KEY, name varchar(20), price decimal(8,2), at datetime(3), born date, seen timestamp NULL, data blob, flag tinyint(1), size enum('s','m','l'), labels set('a','b'), ratio double, amount float, bits bit(5), doc longtext) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
];
const rowsOfKind = `INSERT INTO kind VALUES (1, 'zwölf \\'x\\' \\\\ \\n', 12.50, '2024-02-29 12:00:00.125', '2024-02-29', '2024-01-01 00:00:00', X'00FF0A27', 1, 'm', 'a,b', 0.1, 1.5, 21, REPEAT('long ', 1000)), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', -0.01, '1000-01-01 00:00:00', '9999-12-31', '2037-12-31 23:59:59', '', 0, 'l', '', -1e300, 16777216, 0, '')`;
const columns = 'id, name, price, at, born, seen, HEX(data) AS data, flag, size, labels, ratio, amount, bits + 0 AS bits, doc';

const families = [
  { kind: 'mariadb-10.11', dump: 'mariadb-dump', client: 'mariadb', ways: [['--opt'], ['--lock-tables', '--skip-opt', '--complete-insert', '--hex-blob'], ['--single-transaction', '--quick', '--hex-blob']], refused: ['--lock-all-tables'] },
  { kind: 'mysql-9.7', dump: 'mysqldump', client: 'mysql', ways: [['--opt', '--set-gtid-purged=OFF'], ['--single-transaction', '--set-gtid-purged=OFF']], refused: ['--lock-all-tables', '--set-gtid-purged=OFF'] },
] as const;

for (const { kind, dump, client, ways, refused } of families) {
  const missing = !isMysqlInstalled(kind) ? `not installed for test/servers: ${kind}` : kind === 'mariadb-10.11' && findTool('mariadb') === undefined ? 'not installed: mariadb' : undefined;
  describeUnless(missing, `${dump}, of ${kind}`, () => {
    let sides: BothSides;
    let there: mysql.Connection;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-dump-'));
    const dumped = path.join(folder, 'dump.sql');

    beforeAll(async () => {
      sides = await BothSides.start(kind, tables);
      const { host, port, user, password } = sides.source.mysql;
      there = await mysql.createConnection({ host, port, user, password, database: 'shop' });
      // What the server still has of the tables that have moved is their last rows there.
      await there.query(rowsOfKind);
      await there.query('INSERT INTO plain VALUES (1, 5), (2, NULL)');
      sides.publish({ item: onLocal, kind: onLocal });
      const here = await sides.connect();
      await here.query('INSERT INTO item (n) VALUES (1), (NULL), (3)');
      await here.query(rowsOfKind.replace('1.5, 21', '1.5, NULL').replace('16777216, 0', '16777216, NULL'));
      await sides.source.local.query("UPDATE shop.kind SET bits = CASE id WHEN 1 THEN B'10101' ELSE B'00000' END WHERE id <> 2");
    });
    afterEach(() => sides.endClients());
    afterAll(async () => {
      await there?.end();
      await sides?.[Symbol.asyncDispose]();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    async function run(program: string, port: number, args: readonly string[], input?: string): Promise<readonly [number | null, string]> {
      const { user, password } = sides.source.mysql;
      // MySQL's own come with its server, MariaDB's with the system.
      const [first = '', ...others] = kind === 'mysql-9.7' ? commandOf(folderOf(kind).tree, `usr/bin/${program}`) : [program];
      const { code, errors } = await runProgram(first, [...others, '--no-defaults', '--host=127.0.0.1', `--port=${port}`, `--user=${user}`, `--password=${password}`, '--default-character-set=utf8mb4', ...args], { limitMs: 60_000, ...(input === undefined ? {} : { files: { input, output: path.join(folder, 'output') } }) });
      return [code, errors.replace(/^.*\[Warning\] Using a password.*\n/m, '')];
    }

    const rows = async (from: mysql.Connection, sql: string): Promise<unknown> => (await from.query({ sql, rowsAsArray: true }))[0];
    const locks = (): Promise<string | undefined> => sides.onLocal("SELECT mode FROM pg_locks WHERE relation = 'shop.item'::regclass");

    test.each(ways.map((way) => [way.join(' '), way] as const))('%s', async (_name, way) => {
      expect(await run(dump, sides.door.port, [...way, `--result-file=${dumped}`, 'shop'])).toEqual([0, '']);
      await there.query('DROP DATABASE IF EXISTS copy');
      await there.query('CREATE DATABASE copy');
      expect(await run(client, sides.source.mysql.port, ['copy'], dumped)).toEqual([0, '']);
      const here = await sides.connect();
      expect(await rows(there, `SELECT ${columns} FROM copy.kind ORDER BY id`)).toEqual(await rows(there, `SELECT ${columns} FROM kind ORDER BY id`));
      for (const table of ['item', 'plain']) expect(await rows(there, `SELECT * FROM copy.${table} ORDER BY id`)).toEqual(await rows(here, `SELECT * FROM ${table} ORDER BY id`));
      expect(await locks()).toBe('');
    });

    test('a lock of the whole server, which would not be local\'s, is refused by name', async () => {
      const [code, errors] = await run(dump, sides.door.port, [...refused, `--result-file=${dumped}`, 'shop']);
      expect(code).not.toBe(0);
      expect(errors).toMatch(/MIG082.*FLUSH TABLES/);
    });
  });
}
