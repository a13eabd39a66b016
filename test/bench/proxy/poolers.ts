/** Poolers that others have made, each in session and in transaction mode, with settings as they are used in practice. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Target } from './pgbench.ts';
import type { Cell } from './rounds.ts';

export type PoolMode = 'session' | 'transaction';
export type PoolerKind = 'pgbouncer' | 'odyssey';

export interface PoolerSettings {
  readonly target: Target;
  readonly serverPort: number;
  readonly pool: PoolMode;
  readonly version: string;
}

interface Pooler {
  /** What is said when it is not installed. */
  readonly absent: string;
  readonly file: string;
  text(settings: PoolerSettings): string;
  /** Why transaction mode cannot carry this cell, if so. */
  notPossible(version: string, cell: Cell): string | undefined;
}

const START_LIMIT_MS = 15_000;
/** Connections in transaction mode: pgbouncer's own default, and that of each gateway process. */
const TRANSACTION_POOL = 20;
/** In session mode every client has one. */
const SESSION_POOL = 1_000;

/** With more clients than connections, those that have one cannot go on: https://www.postgresql.org/docs/current/libpq-exec.html#LIBPQ-PQPREPARE waits for its answer. */
export const standsStill = ({ workload, mode, clients }: Cell, processes = 1): string | undefined =>
  (workload === 'tpcb' && mode === 'prepared' && clients > processes * TRANSACTION_POOL ? 'a thread of pgbench stands still while it prepares, here for a connection that its own open transactions hold' : undefined);

/** One thread each: the processor time per statement is what compares them with peers of several processes. */
export const poolers: Readonly<Record<PoolerKind, Pooler>> = {
  pgbouncer: {
    absent: 'not installed (Debian package pgbouncer)',
    file: 'pgbouncer.ini',
    text: ({ target, serverPort, pool, version }) => `[databases]
${target.database} = host=127.0.0.1 port=${serverPort} dbname=${target.database} user=${target.user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${target.port}
auth_type = any
pool_mode = ${pool}
default_pool_size = ${pool === 'session' ? SESSION_POOL : TRANSACTION_POOL}
max_client_conn = ${SESSION_POOL}
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
logfile =
${hasPrepared(version) ? 'max_prepared_statements = 200\n' : ''}`,
    notPossible: (version, cell) =>
      (cell.mode === 'prepared' && !hasPrepared(version) ? `pgbouncer ${version} keeps no prepared statements in transaction mode; 1.21 and later do` : standsStill(cell)),
  },
  odyssey: {
    absent: 'not installed (package odyssey; Debian 12 has none)',
    file: 'odyssey.conf',
    text: ({ target, serverPort, pool }) => `daemonize no
log_format "%l %m\\n"
log_to_stdout yes
log_session no
log_stats no
workers 1
listen { host "127.0.0.1" port ${target.port} tls "disable" }
storage "source" { type "remote" host "127.0.0.1" port ${serverPort} }
database "${target.database}" {
  user "${target.user}" {
    authentication "none"
    storage "source"
    storage_user "${target.user}"
    pool "${pool}"
    pool_size ${pool === 'session' ? SESSION_POOL : TRANSACTION_POOL}
    ${pool === 'transaction' ? 'pool_reserve_prepared_statement yes' : ''}
  }
}
`,
    notPossible: (_version, cell) => standsStill(cell),
  },
};

const hasPrepared = (version: string): boolean => isAtLeast(version, [1, 21]);

export function startPooler(kind: PoolerKind, program: string, settings: PoolerSettings, started: AsyncDisposableStack): Promise<ChildProcess> {
  return runPooler(program, poolers[kind].file, poolers[kind].text(settings), settings, started);
}

/** Resolves when it leads to the source; ended and its folder removed by `started`. */
export async function runPooler(program: string, fileName: string, text: string, { target, serverPort }: Pick<PoolerSettings, 'target' | 'serverPort'>, started: AsyncDisposableStack): Promise<ChildProcess> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-pooler-'));
  started.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
  fs.chmodSync(directory, 0o755);
  const file = path.join(directory, fileName);
  fs.writeFileSync(file, text);
  // pgbouncer refuses to run as root.
  const account = process.getuid?.() === 0 ? fs.readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([name]) => name === 'nobody') : undefined;
  const child = spawn(program, [file], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], ...(account ? { uid: Number(account[2]), gid: Number(account[3]) } : {}) });
  // What its signals mean differs by version: SIGTERM waits for clients in newer ones of pgbouncer.
  started.defer(() => end(child, 'SIGKILL'));
  let said = '';
  let spawnError: Error | undefined;
  child.once('error', (error) => (spawnError = error));
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
  const deadline = performance.now() + START_LIMIT_MS;
  for (;;) {
    const problem = await checkServer(target, serverPort).then(() => undefined, (error: unknown) => String(error));
    if (problem === undefined) return child;
    if (spawnError !== undefined || child.exitCode !== null || performance.now() > deadline) throw new Error(`${path.basename(program)} does not answer: ${String(spawnError ?? problem)}\n${said.trim()}`);
    await delay(50);
  }
}

/** A peer that leads somewhere else would be measured all the same. */
export async function checkServer(target: Target, serverPort: number): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', ...target, connectionTimeoutMillis: START_LIMIT_MS });
  await client.connect();
  try {
    const { rows } = await client.query<{ port: number; name: string }>('SELECT inet_server_port() AS port, current_database() AS name');
    if (rows[0]?.port !== serverPort || rows[0].name !== target.database) throw new Error(`leads to port ${rows[0]?.port}, database ${rows[0]?.name}, not to the source on ${serverPort}`);
  } finally {
    await client.end();
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  await ended;
}

export const versionOf = (program: string): string => /(\d+(?:\.\d+)+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? '';

/** By numbers: 1.9 is before 1.21. */
export function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  const differing = wanted.findIndex((part, index) => (parts[index] ?? 0) !== part);
  return differing === -1 || (parts[differing] ?? 0) > (wanted[differing] ?? 0);
}
