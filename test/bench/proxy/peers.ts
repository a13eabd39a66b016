/** What stands between pgbench and the source: nothing, a byte pipe, the product, pgbouncer. All take the same user without a password, without TLS. */
import { execFileSync, fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { DATABASE } from '../../e2e/support/stack.ts';
import type { Stack } from '../../e2e/support/stack.ts';
import { freePort } from '../../support/postgres.ts';
import { findTool } from '../../support/tools.ts';
import type { Mode, PeerName, ProxyOptions } from './options.ts';
import type { Target } from './pgbench.ts';

export interface Peer {
  readonly name: PeerName;
  readonly target: Target;
  /** Whose processor time counts, with that of their children. */
  readonly pids: readonly number[];
  /** Why this mode cannot work here, if so. */
  notPossible(mode: Mode): string | undefined;
}

export interface Absent {
  readonly name: PeerName;
  readonly why: string;
}

export interface StartedPeers extends AsyncDisposable {
  readonly peers: readonly Peer[];
  readonly absent: readonly Absent[];
  /** Installed, but would not start. */
  readonly failed: readonly Absent[];
  readonly versions: Readonly<Record<string, string>>;
}

const START_LIMIT_MS = 15_000;
const always = (): undefined => undefined;

export async function startPeers(stack: Stack, options: ProxyOptions): Promise<StartedPeers> {
  await using started = new AsyncDisposableStack();
  const peers: Peer[] = [];
  const absent: Absent[] = [];
  const failed: Absent[] = [];
  const versions: Record<string, string> = {};
  const { port: serverPort } = stack.source.address;
  const target = (port: number): Target => ({ port, user: 'app', database: DATABASE });
  const bouncer = findTool('pgbouncer');
  const bouncerVersion = bouncer === undefined ? '' : versionOf(bouncer);
  if (bouncer !== undefined) versions['pgbouncer'] = bouncerVersion;
  const start: Record<PeerName, () => Promise<Peer | string>> = {
    direct: () => Promise.resolve({ name: 'direct', target: target(serverPort), pids: [], notPossible: always }),
    pipe: async () => {
      const port = await freePort();
      const child = await startPipe(port, serverPort, options.processes, started);
      return { name: 'pipe', target: target(port), pids: [child.pid ?? 0], notPossible: always };
    },
    gateway: () => Promise.resolve({ name: 'gateway', target: target(stack.gateway.port), pids: [stack.product.pid ?? 0], notPossible: always }),
    'pgbouncer-session': () => startPgbouncer('session'),
    'pgbouncer-transaction': () => startPgbouncer('transaction'),
    odyssey: () => Promise.resolve(findTool('odyssey') === undefined ? 'not installed, and not among the packages of Debian 12' : 'installed, but this benchmark has no settings for it'),
  };
  const startPgbouncer = async (pool: 'session' | 'transaction'): Promise<Peer | string> => {
    if (bouncer === undefined) return 'not installed (Debian package pgbouncer)';
    const port = await freePort();
    const hasPrepared = isAtLeast(bouncerVersion, [1, 21]);
    const child = await startBouncer(bouncer, { port, serverPort, pool, hasPrepared }, started);
    const needsNewer = pool === 'transaction' && !hasPrepared;
    return {
      name: `pgbouncer-${pool}`, target: target(port), pids: [child.pid ?? 0],
      notPossible: (mode) => (needsNewer && mode === 'prepared' ? `pgbouncer ${bouncerVersion} keeps no prepared statements in transaction mode; 1.21 and later do` : undefined),
    };
  };
  for (const name of options.peers) {
    try {
      const peer = await start[name]();
      if (typeof peer === 'string') absent.push({ name, why: peer });
      else {
        await checkServer(peer.target, serverPort);
        peers.push(peer);
      }
    } catch (error) {
      failed.push({ name, why: error instanceof Error ? error.message : String(error) });
    }
  }
  const owned = started.move();
  return { peers, absent, failed, versions, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A peer that leads somewhere else would be measured all the same. */
async function checkServer(target: Target, serverPort: number): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', ...target, connectionTimeoutMillis: START_LIMIT_MS });
  await client.connect();
  try {
    const { rows } = await client.query<{ port: number; name: string }>('SELECT inet_server_port() AS port, current_database() AS name');
    if (rows[0]?.port !== serverPort || rows[0].name !== target.database) throw new Error(`leads to port ${rows[0]?.port}, database ${rows[0]?.name}, not to the source on ${serverPort}`);
  } finally {
    await client.end();
  }
}

async function startPipe(port: number, serverPort: number, workers: number, started: AsyncDisposableStack): Promise<ChildProcess> {
  const child = fork(path.join(import.meta.dirname, 'pipe-process.ts'), [String(port), String(serverPort), String(workers)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  started.defer(() => end(child, 'SIGTERM'));
  await Promise.race([
    new Promise<void>((resolve) => child.once('message', () => resolve())),
    new Promise<never>((_, reject) => child.once('exit', (code, signal) => reject(new Error(`the pipe ended with ${signal ?? code} while starting`)))),
  ]);
  return child;
}

interface BouncerSettings {
  readonly port: number;
  readonly serverPort: number;
  readonly pool: 'session' | 'transaction';
  readonly hasPrepared: boolean;
}

/**
 * Pools as they are set in practice: a connection for each client in session mode, its default of 20 in transaction mode. It works with
 * one thread, so the processor time per statement is what compares it with peers of several processes.
 */
async function startBouncer(program: string, settings: BouncerSettings, started: AsyncDisposableStack): Promise<ChildProcess> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bouncer-'));
  started.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
  fs.chmodSync(directory, 0o755);
  const file = path.join(directory, 'pgbouncer.ini');
  fs.writeFileSync(file, `[databases]
${DATABASE} = host=127.0.0.1 port=${settings.serverPort} dbname=${DATABASE} user=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${settings.port}
auth_type = any
pool_mode = ${settings.pool}
default_pool_size = ${settings.pool === 'session' ? 300 : 20}
max_client_conn = 1000
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
logfile =
${settings.hasPrepared ? 'max_prepared_statements = 200\n' : ''}`);
  // It refuses to run as root.
  const account = process.getuid?.() === 0 ? fs.readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([name]) => name === 'nobody') : undefined;
  const child = spawn(program, [file], { stdio: ['ignore', 'ignore', 'pipe'], ...(account ? { uid: Number(account[2]), gid: Number(account[3]) } : {}) });
  // What its signals mean differs by version: in newer ones SIGTERM waits for clients.
  started.defer(() => end(child, 'SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
  const deadline = performance.now() + START_LIMIT_MS;
  for (;;) {
    const problem = await checkServer({ port: settings.port, user: 'app', database: DATABASE }, settings.serverPort).then(() => undefined, (error: unknown) => String(error));
    if (problem === undefined) return child;
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`pgbouncer does not answer: ${problem}\n${said.trim()}`);
    await delay(50);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  await ended;
}

const versionOf = (program: string): string => /(\d+(?:\.\d+)+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? '';

/** By numbers: 1.9 is before 1.21. */
export function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  const differing = wanted.findIndex((part, index) => (parts[index] ?? 0) !== part);
  return differing === -1 || (parts[differing] ?? 0) > (wanted[differing] ?? 0);
}
