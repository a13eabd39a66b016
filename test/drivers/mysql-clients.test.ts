/**
 * Property: MySQL clients print the same through the MySQL front door as directly; and with a table on local that they do not use, apart from what is
 * refused because it cannot be seen into, and from what docs/drivers.md lists.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onLocal } from '../session/gateway-fixture.ts';
import { openDoor } from '../session/mysql/door-fixture.ts';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { describeUnless, findTool, requireTool } from '../support/tools.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { runProgram } from './run-program.ts';

const kinds = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const;
const programs = path.join(import.meta.dirname, 'programs');
const jar = '/usr/share/java/mariadb-java-client.jar';
/** Debian's own: its packages are not seen by other interpreters. */
const python = '/usr/bin/python3';
const RUN_LIMIT_MS = 90_000;

type Place = Pick<TestMysql, 'host' | 'port' | 'user' | 'password' | 'kind'>;

interface Client {
  readonly driver: string;
  readonly missing: string | undefined;
  /** Printed lines at the least: a program that stopped early must not look good. */
  readonly statements: number;
  readonly command: (place: Place) => readonly [program: string, ...args: string[]];
  readonly input?: string;
}

function missingProgram(program: 'java' | 'mariadb'): string | undefined {
  return findTool(program) === undefined ? `not installed: ${program}` : undefined;
}

const clients: readonly Client[] = [
  { driver: 'PyMySQL', statements: 100, missing: spawnSync(python, ['-c', 'import pymysql, cryptography']).status === 0 ? undefined : 'not installed: python3-pymysql', command: () => [python, path.join(programs, 'pymysql_workload.py')] },
  { driver: 'mysql2', statements: 110, missing: undefined, command: () => [process.execPath, path.join(programs, 'mysql2-workload.ts')] },
  {
    driver: 'MariaDB Connector/J', statements: 300, missing: missingProgram('java') ?? (fs.existsSync(jar) ? undefined : 'not installed: libmariadb-java'),
    command: ({ host, port, user, password }) => ['java', '-cp', jar, path.join(programs, 'MariadbJdbcWorkload.java'), `jdbc:mariadb://${host}:${port}/shop?user=${user}&password=${password}&allowPublicKeyRetrieval=true`],
  },
];

async function freshDatabase(server: TestMysql): Promise<void> {
  await server.sql('DROP DATABASE IF EXISTS shop');
  await server.createDatabase('shop');
  // Bodies of procedures have semicolons: a statement ends where a line ends with one.
  for (const statement of fs.readFileSync(path.join(programs, 'mysql-setup.sql'), 'utf8').split(/;\n(?=CREATE|INSERT|$)/)) if (statement.trim() !== '') await server.sql(statement, 'shop');
}

describe.each(kinds)('%s', (kind: MysqlKind) => {
  describeMysql([kind], 'clients', () => {
    let server: TestMysql;

    beforeAll(async () => {
      server = await startMysql(kind, { settings: ['max-allowed-packet=64M', 'local-infile=1', 'default-time-zone=+00:00', ...(kind === 'mysql-5.6' ? ['innodb-log-file-size=400M'] : [])] });
    });

    afterAll(() => server?.dispose());

    /** `run` at the server, then through a door before it; each finds the database as it was made. */
    async function inEveryWay<T>(run: (place: Place, isElsewhere: boolean) => Promise<T>): Promise<Readonly<Record<'direct' | 'nothing' | 'elsewhere', T>>> {
      await freshDatabase(server);
      const direct = await run(server, false);
      await using fixture = await openDoor(server);
      const through = async (isElsewhere: boolean): Promise<T> => {
        await freshDatabase(server);
        return await run({ ...server, port: fixture.door.port }, isElsewhere);
      };
      const nothing = await through(false);
      fixture.control.publish({ moved_elsewhere: onLocal });
      const elsewhere = await through(true);
      expect(fixture.warnings).toEqual([]);
      return { direct, nothing, elsewhere };
    }

    const environment = ({ host, port, password }: Place): Record<string, string> => ({
      ...Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)), MYSQL_HOST: host, MYSQL_TCP_PORT: String(port), MYSQL_PWD: password, TZ: 'UTC',
    });

    for (const { driver, missing, statements, command } of clients) {
      describeUnless(missing, driver, () => {
        test('the same', async () => {
          const outputs = await inEveryWay(async (place) => {
            const [program, ...args] = command(place);
            const ended = await runProgram(program, args, { env: environment(place), limitMs: RUN_LIMIT_MS });
            if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1000)}${ended.errors.slice(-2000)}`);
            return ended.output;
          });
          expect(Number(/^statements => (\d+)$/m.exec(outputs.direct)?.[1])).toBeGreaterThan(statements);
          expect(lineDeviations(outputs.direct, outputs.nothing, listedFor(driver, 'nothing'))).toEqual([]);
          const refused = (line: string): boolean => /became .*MIG082: .*may touch tables that are being migrated/.test(line);
          const others = lineDeviations(outputs.direct, outputs.elsewhere, listedFor(driver, 'elsewhere'));
          expect(others.filter((line) => !refused(line))).toEqual([]);
          expect(others.length).toBeLessThan(statements / 4);
        }, 3 * RUN_LIMIT_MS);
      });
    }

    describeUnless(missingProgram('mariadb'), 'the mariadb program', () => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mariadb-'));
      afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
      const login = ({ host, port, user, password }: Place): string[] => ['--no-defaults', `--host=${host}`, `--port=${port}`, `--user=${user}`, `--password=${password}`, '--default-character-set=utf8'];

      test('a script', async () => {
        const output = path.join(folder, 'output');
        const printed = await inEveryWay(async (place) => {
          const args = [...login(place), '--force', '-vv', '--table', '--show-warnings', 'shop'];
          await runProgram(requireTool('mariadb'), args, { limitMs: RUN_LIMIT_MS, files: { input: path.join(programs, 'mariadb-workload.sql'), output } });
          return fs.readFileSync(output, 'utf8').replace(/\(\d+\.\d+ sec\)|\(\d+ min [^)]*\)/g, '(time)');
        });
        expect(printed.direct).toContain('漢字');
        expect(printed.nothing).toBe(printed.direct);
      }, RUN_LIMIT_MS);

      // Today's program asks MySQL 5.6 for columns that it does not have.
      if (kind !== 'mysql-5.6') test('a dump, and the dump loaded', async () => {
        const dumped = path.join(folder, 'dump.sql');
        const dumps = await inEveryWay(async (place, isElsewhere) => {
          const dump = async (): Promise<string> => {
            const { code, output, errors } = await runProgram('mariadb-dump', [...login(place), '--skip-comments', '--routines', '--single-transaction', '--hex-blob', 'shop'], { limitMs: RUN_LIMIT_MS });
            if (code !== 0) throw new Error(errors);
            return output;
          };
          const first = await dump();
          // Bodies of routines and triggers cannot be seen into.
          if (isElsewhere) return { first, second: first };
          fs.writeFileSync(dumped, first);
          await server.sql('DROP DATABASE shop');
          await server.createDatabase('shop');
          await runProgram(requireTool('mariadb'), [...login(place), 'shop'], { limitMs: RUN_LIMIT_MS, files: { input: dumped, output: path.join(folder, 'load') } });
          expect(fs.readFileSync(path.join(folder, 'load'), 'utf8')).toBe('');
          return { first, second: await dump() };
        });
        expect(dumps.direct.first).toContain('item_added');
        expect(dumps.direct.second).toBe(dumps.direct.first);
        for (const way of ['nothing', 'elsewhere'] as const) expect(dumps[way], way).toEqual(dumps.direct);
      }, RUN_LIMIT_MS);
    });
  });
});
