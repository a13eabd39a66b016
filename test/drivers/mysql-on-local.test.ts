/** Property: what MySQL clients ask of an application's tables, and print, is the same when the rows are on local. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onLocal, onSource } from '../session/gateway-fixture.ts';
import { BothSides } from '../session/mysql/both-sides.ts';
import { describeMysql } from '../support/mysql-servers.ts';
import { describeUnless, findTool, requireTool } from '../support/tools.ts';
import { runProgram } from './run-program.ts';

const programs = path.join(import.meta.dirname, 'programs');
const jar = '/usr/share/java/mariadb-java-client.jar';
const python = '/usr/bin/python3';
const RUN_LIMIT_MS = 60_000;

const definitions = [
  `CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL, price decimal(10, 2) NOT NULL DEFAULT 0, stock int, active tinyint(1) NOT NULL DEFAULT 1, state enum('new', 'sold') NOT NULL DEFAULT 'new',
    picture blob, note text, made datetime, changed timestamp NULL, UNIQUE KEY by_name (name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
  'CREATE TABLE line (id bigint AUTO_INCREMENT PRIMARY KEY, item_id int NOT NULL, amount int NOT NULL, CONSTRAINT of_item FOREIGN KEY (item_id) REFERENCES item (id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
];
const rows = [
  "INSERT INTO item (name, price, stock, active, state, picture, note, made, changed) VALUES ('Bread', 2.50, 10, 1, 'new', '', 'ä', '2024-02-29 12:00:00', '2024-03-01 00:00:00'), ('Milk', 1.25, 0, 0, 'sold', NULL, NULL, NULL, NULL), ('Salt', 0.99, NULL, 1, 'new', NULL, '', '1999-12-31 23:59:59', NULL)",
  'INSERT INTO line (item_id, amount) VALUES (1, 2), (1, 3), (2, 1)',
];

describeMysql(['mariadb-10.11'], 'clients of tables on local', () => {
  let sides: BothSides;

  beforeAll(async () => {
    sides = await BothSides.start('mariadb-10.11', definitions);
    await sides.source.local.query('ALTER TABLE shop.line ADD CONSTRAINT of_item FOREIGN KEY (item_id) REFERENCES shop.item (id)');
  });

  afterAll(() => sides?.[Symbol.asyncDispose]());

  /** On the server, then on local, through the same door, from the same rows. */
  async function onBoth(run: () => Promise<string>): Promise<readonly [string, string]> {
    await sides.source.mysql.sql('SET foreign_key_checks = 0; TRUNCATE line; TRUNCATE item', 'shop');
    await sides.source.local.query('TRUNCATE shop.item, shop.line RESTART IDENTITY');
    const printed: string[] = [];
    for (const route of [onSource, onLocal]) {
      sides.publish({ item: route, line: route });
      const client = await sides.connect();
      for (const sql of rows) await client.query(sql);
      printed.push(await run());
    }
    sides.endClients();
    return [printed[0] ?? '', printed[1] ?? ''];
  }

  const environment = (): Record<string, string> => ({
    ...Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)), MYSQL_HOST: '127.0.0.1', MYSQL_TCP_PORT: String(sides.door.port), MYSQL_PWD: '', TZ: 'UTC',
  });

  async function output(program: string, args: readonly string[]): Promise<string> {
    const ended = await runProgram(program, [...args], { env: environment(), limitMs: RUN_LIMIT_MS });
    if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1000)}${ended.errors.slice(-2000)}`);
    return ended.output;
  }

  describeUnless(spawnSync(python, ['-c', 'import pymysql']).status === 0 ? undefined : 'not installed: python3-pymysql', 'PyMySQL', () => {
    test('the same', async () => {
      const [there, here] = await onBoth(() => output(python, [path.join(programs, 'pymysql_on_local.py')]));
      expect(there).toMatch(/^statements => 19$/m);
      expect(here).toBe(there);
    }, 2 * RUN_LIMIT_MS);
  });

  describeUnless(findTool('java') === undefined || !fs.existsSync(jar) ? 'not installed: java, libmariadb-java' : undefined, 'MariaDB Connector/J', () => {
    test('the same', async () => {
      const [there, here] = await onBoth(() => output('java', ['-cp', jar, path.join(programs, 'MariadbOnLocal.java'), `jdbc:mariadb://127.0.0.1:${sides.door.port}/shop?user=causeway`]));
      expect(there).toMatch(/^statements => 31$/m);
      expect(here).toBe(there);
    }, 2 * RUN_LIMIT_MS);
  });

  describeUnless(findTool('mariadb') === undefined ? 'not installed: mariadb' : undefined, 'the mariadb program', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mariadb-'));
    afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

    test('the same', async () => {
      const [there, here] = await onBoth(async () => {
        const args = ['--no-defaults', '--host=127.0.0.1', `--port=${sides.door.port}`, '--user=causeway', '--force', '-vv', '--table', '--default-character-set=utf8mb4', 'shop'];
        await runProgram(requireTool('mariadb'), args, { limitMs: RUN_LIMIT_MS, files: { input: path.join(programs, 'mariadb-on-local.sql'), output: path.join(folder, 'output') } });
        return fs.readFileSync(path.join(folder, 'output'), 'utf8').replace(/\(\d+\.\d+ sec\)|\(\d+ min [^)]*\)/g, '(time)');
      });
      expect(there).toContain('Bread');
      expect(here).toBe(there);
    }, 2 * RUN_LIMIT_MS);
  });
});
