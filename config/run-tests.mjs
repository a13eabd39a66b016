/**
 * `npm test`: typecheck, then the suites; ends with the skipped suites by name and one line `N passed, N failed, N skipped`.
 *
 * Some suites drive the product with programs that npm does not carry (psql, pgbench, pgbouncer, ruby, mariadb; bzip2 for sources; java and Maven for Cassandra). Missing ones are installed
 * when this runs as root on a Debian; otherwise those suites skip themselves by name, or fail when
 * CAUSEWAY_REQUIRE_SERVERS=1 (see `test/support/tools.ts`). The older servers of `test/servers` are npm packages with a lockfile
 * of their own, since nothing but the tests needs them, MySQL and MariaDB come from Debian's archive and Cassandra's jars by Maven into the user's cache folder; where
 * they cannot be had it is the same (see `test/support/servers.ts`, `mysql-servers.ts` and `cassandra-servers.ts`).
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Program, or file of a library → Debian packages that have it, and what is used with it. */
const tools = {
  psql: ['postgresql-client'], pgbench: ['postgresql-contrib'], pgbouncer: ['pgbouncer'], ruby: ['ruby', 'ruby-pg'], mariadb: ['mariadb-client'], bzip2: ['bzip2'], java: ['default-jre-headless'], mvn: ['maven'],
  '/usr/lib/python3/dist-packages/pymysql': ['python3-pymysql', 'python3-cryptography'], '/usr/share/java/mariadb-java-client.jar': ['libmariadb-java'],
};

/** What the servers of all suites need at once, and some more. */
const QUICK_BYTES = 6 * 2 ** 30;

/** `context` is `{project, node, env, run, install}`; resolves with the exit code. Arguments go to vitest. */
export async function runTests(context, args) {
  installTools(context.env);
  await installServers(context);
  await installMappers(context);
  const typecheck = await context.run(context.node, ['node_modules/typescript/bin/tsc', '--noEmit'], context.env);
  console.log(typecheck === 0 ? 'typecheck passed' : 'typecheck FAILED');
  const report = path.join(context.project, '.causeway', `test-report-${process.pid}.json`);
  const quick = quickFolder(context.env);
  const vitest = await context.run(context.node, [
    'node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args,
  ], quick === undefined ? context.env : { ...context.env, TMPDIR: quick });
  if (quick !== undefined) fs.rmSync(quick, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  const counts = readReport(report);
  fs.rmSync(report, { force: true });
  if (typecheck === 0) counts.passed += 1;
  else counts.failed += 1;
  // An error outside any test makes vitest fail without a failed test.
  if (vitest !== 0 && counts.failed === 0) counts.failed = 1;
  for (const name of counts.skippedNames) console.log(`skipped: ${name}`);
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skippedNames.length} skipped`);
  return counts.failed === 0 ? 0 : 1;
}

/**
 * Where the servers of the suites have their files: in memory if there is plenty of it, since a disk's fsync is what many of them would wait for. Undefined: where temporary files are anyway.
 * A run that was killed has its folder removed by the next one.
 */
function quickFolder(env) {
  const memory = '/dev/shm';
  if (env.TMPDIR !== undefined || !fs.existsSync('/proc/meminfo') || !fs.existsSync(memory)) return undefined;
  for (const name of fs.readdirSync(memory)) {
    const pid = /^causeway-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !fs.existsSync(`/proc/${pid}`)) fs.rmSync(path.join(memory, name), { recursive: true, force: true });
  }
  const { bavail, bsize } = fs.statfsSync(memory);
  const available = Number(/^MemAvailable: +(\d+) kB$/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;
  if (bavail * bsize < QUICK_BYTES || available < 2 * QUICK_BYTES) return undefined;
  const folder = path.join(memory, `causeway-${process.pid}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  // PostgreSQL runs as another user where this one is root.
  fs.chmodSync(folder, 0o755);
  return folder;
}

/** Counts of vitest's JSON report; a file that could not be loaded counts as one failed test. */
function readReport(file) {
  const counts = { passed: 0, failed: 0, skippedNames: [] };
  if (!fs.existsSync(file)) return counts;
  for (const suite of JSON.parse(fs.readFileSync(file, 'utf8')).testResults) {
    if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed')) counts.failed += 1;
    for (const test of suite.assertionResults) {
      if (test.status === 'passed') counts.passed += 1;
      else if (test.status === 'failed') counts.failed += 1;
      else counts.skippedNames.push(test.fullName);
    }
  }
  return counts;
}

/** Not having them is no failure here: the suites say it by name. */
async function installServers(context) {
  if (process.platform !== 'linux' || process.arch !== 'x64' || !fs.existsSync(path.join(context.project, 'test/servers/package-lock.json'))) return;
  const code = await context.install('test/servers');
  if (code !== 0) console.error(`causeway: the older servers of test/servers could not be installed (npm ci ended with code ${code}); their suites are skipped`);
  await context.run(context.node, ['test/servers/install-debian-servers.ts'], context.env);
  await context.run(context.node, ['test/servers/install-cassandra.ts'], context.env);
}

/** For `cql:demo`, which says what to do when they cannot be had. */
export async function bringCassandra(context) {
  installTools(context.env, ['java', 'mvn']);
  await context.run(context.node, ['test/servers/install-cassandra.ts'], context.env);
}

/** TypeORM and Sequelize, which only a test drives. */
async function installMappers(context) {
  if (!fs.existsSync(path.join(context.project, 'test/drivers/package-lock.json'))) return;
  const code = await context.install('test/drivers');
  if (code !== 0) console.error(`causeway: the packages of test/drivers could not be installed (npm ci ended with code ${code}); their suite is skipped`);
}

function installTools(env, names = Object.keys(tools)) {
  const missing = names.filter((name) => !isInstalled(name, env));
  if (missing.length === 0) return;
  const canInstall = process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { env }).status === 0;
  if (!canInstall) {
    console.error(`causeway: ${missing.join(', ')} not found; install ${missing.flatMap((name) => tools[name]).join(' ')} ${names.length === Object.keys(tools).length ? 'to run every suite' : 'first'}`);
    return;
  }
  console.error(`causeway: installing ${missing.join(', ')}`);
  const apt = (args) => spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'inherit'],
  });
  apt(['update']);
  // --no-upgrade: replacing the libraries under a running server of the same packages breaks it.
  apt(['install', '-y', '--no-install-recommends', '--no-upgrade', ...missing.flatMap((name) => tools[name])]);
}

/** On PATH, or in one of Debian's per-version folders. */
function isInstalled(name, env) {
  if (path.isAbsolute(name)) return fs.existsSync(name);
  const folders = (env.PATH ?? '').split(path.delimiter);
  const root = '/usr/lib/postgresql';
  if (fs.existsSync(root)) for (const version of fs.readdirSync(root)) folders.push(path.join(root, version, 'bin'));
  folders.push('/usr/sbin');
  return folders.some((folder) => folder !== '' && fs.existsSync(path.join(folder, name)));
}
