/**
 * Unpacks MariaDB and MySQL from Debian's archive into the user's cache folder, each with all its libraries, so that neither the packages of
 * this machine nor its services are touched; needs apt, no root. What cannot be had is said and left out: its suites are then skipped by name.
 * `npm test` runs this before the tests.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { commandOf, debianServers, folderOf, isUnpacked, mariadbShare } from './debian-server-folder.ts';
import type { DebianServer, DebianServerFolder } from './debian-server-folder.ts';

/** Needed for installing a system, not for running a server. */
const unusedPackages = /^(?:perl|libperl|systemd|debconf|dpkg|tar|passwd|adduser|init-system-helpers)/;

for (const server of Object.keys(debianServers) as DebianServer[]) {
  if (isUnpacked(server)) continue;
  try {
    install(server);
  } catch (error) {
    console.error(`causeway: ${server} could not be installed, its suites are skipped: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** All or nothing: the folder gets its name when the server has made its first data directory. */
function install(server: DebianServer): void {
  const wanted = folderOf(server);
  console.error(`causeway: fetching ${server} for the tests into ${wanted.root}`);
  fs.mkdirSync(path.dirname(wanted.root), { recursive: true });
  const root = fs.mkdtempSync(`${wanted.root}.`);
  const fresh: DebianServerFolder = { root, tree: path.join(root, 'tree'), data: path.join(root, 'data') };
  try {
    fetchPackages(server, fresh);
    const { program, version } = debianServers[server];
    const printed = runIn(fresh, `usr/sbin/${program}`, ['--version']);
    if (!version.test(printed)) throw new Error(`Debian ${debianServers[server].suite} has another version now: ${printed.trim()}`);
    if (program === 'mysqld') initialiseMysql(fresh);
    else initialiseMariadb(fresh);
    // Another checkout may have been faster.
    if (isUnpacked(server)) fs.rmSync(root, { recursive: true, force: true });
    else fs.renameSync(root, wanted.root);
  } catch (error) {
    fs.rmSync(root, { recursive: true, force: true });
    throw error;
  }
}

/** Downloads the packages and all that they depend on, as for an empty machine, and unpacks them. */
function fetchPackages(server: DebianServer, { root, tree }: DebianServerFolder): void {
  const { suite, packages } = debianServers[server];
  const apt = path.join(root, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial']) fs.mkdirSync(path.join(apt, folder), { recursive: true });
  fs.mkdirSync(tree);
  fs.writeFileSync(path.join(apt, 'status'), '');
  fs.writeFileSync(path.join(apt, 'sources.list'), `deb ${mirror()} ${suite} main\n`);
  // The machine's own settings stay in force (proxies, certificates); only its sources and its packages are looked away from.
  const options = {
    'Dir::Etc::sourcelist': path.join(apt, 'sources.list'), 'Dir::Etc::sourceparts': '-', 'Dir::Etc::preferences': '-', 'Dir::Etc::preferencesparts': '-',
    'Dir::State::lists': path.join(apt, 'lists'), 'Dir::State::status': path.join(apt, 'status'), 'Dir::Cache': path.join(apt, 'cache'),
    'Debug::NoLocking': 'true', 'APT::Sandbox::User': '', 'Acquire::Retries': '3', 'APT::Install-Recommends': 'false',
  };
  const run = (args: readonly string[]): void => {
    execute('apt-get', ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]), ...args]);
  };
  run(['update']);
  run(['-y', '--download-only', 'install', ...packages]);
  const archives = path.join(apt, 'cache/archives');
  for (const file of fs.readdirSync(archives).filter((name) => name.endsWith('.deb') && !unusedPackages.test(name))) {
    execute('dpkg-deb', ['-x', path.join(archives, file), tree]);
  }
  fs.rmSync(apt, { recursive: true, force: true });
}

/** The archive that this machine uses, with what it says of signatures; Debian's own where it is another distribution. */
function mirror(): string {
  const files = ['/etc/apt/sources.list', ...fs.readdirSync('/etc/apt/sources.list.d').map((name) => path.join('/etc/apt/sources.list.d', name))];
  const text = files.filter((file) => fs.existsSync(file)).map((file) => fs.readFileSync(file, 'utf8')).join('\n');
  const found = /^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+\/debian)\/?(?:\s|$)/m.exec(text)?.[1];
  if (found === undefined) throw new Error('apt on this machine knows no archive of Debian');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  return fs.existsSync(keys) ? `[signed-by=${keys}] ${found}` : found;
}

function initialiseMysql(folder: DebianServerFolder): void {
  const share = path.join(folder.tree, 'usr/share/mysql');
  runIn(folder, 'usr/sbin/mysqld', [
    '--no-defaults', '--initialize-insecure', ...asRoot(), `--datadir=${folder.data}`, `--basedir=${path.join(folder.tree, 'usr')}`, `--lc-messages-dir=${share}`,
    `--character-sets-dir=${path.join(share, 'charsets')}`, `--plugin-dir=${path.join(folder.tree, 'usr/lib/mysql/plugin')}`,
    '--secure-file-priv=', '--innodb-redo-log-capacity=16M', '--disable-log-bin',
  ]);
}

function initialiseMariadb(folder: DebianServerFolder): void {
  const share = mariadbShare(folder.tree);
  // 11 renamed the scripts.
  const read = (name: string): string => {
    const file = [`mariadb_${name}`, `mysql_${name}`, `maria_${name}`].map((known) => path.join(share, known)).find((known) => fs.existsSync(known));
    if (file === undefined) throw new Error(`there is no script ${name} in ${share}`);
    return fs.readFileSync(file, 'utf8');
  };
  fs.mkdirSync(path.join(folder.data, 'mysql'), { recursive: true });
  // Bootstrap reads one statement per end of line.
  const input = ['use mysql;', 'set @auth_root_socket=NULL;', 'set @skip_auth_anonymous=1;',
    read('system_tables.sql'), read('performance_tables.sql'), read('system_tables_data.sql'), 'use mysql;', read('add_gis_sp_bootstrap.sql'), ''].join('\n');
  runIn(folder, 'usr/sbin/mariadbd', [
    '--no-defaults', '--bootstrap', ...asRoot(), `--datadir=${folder.data}`, `--lc-messages-dir=${share}`, `--character-sets-dir=${path.join(share, 'charsets')}`,
    `--plugin-dir=${path.join(folder.tree, 'usr/lib/mysql/plugin')}`, '--innodb-log-file-size=16M', '--log-warnings=0',
  ], input);
}

/** These servers refuse to run as root unless told. */
function asRoot(): readonly string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

function runIn({ tree }: DebianServerFolder, program: string, args: readonly string[], input = ''): string {
  const [loader = '', ...first] = commandOf(tree, program);
  return execute(loader, [...first, ...args], input);
}

function execute(program: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', input, maxBuffer: 64 << 20, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' } });
  if (error) throw error;
  if (status !== 0) throw new Error(`${path.basename(program)} ended with code ${status}: ${stderr.trim().split('\n').slice(-3).join(' ')}`);
  return stdout;
}
