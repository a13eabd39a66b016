/**
 * The way in for every `npm` command: `node config/bootstrap.mjs start|demo|bench|soak|cql|cql:demo|test [arguments]`.
 *
 * A fresh clone has neither dependencies nor, perhaps, the Node.js that the project needs. This file is plain JavaScript
 * without dependencies, runs on Node.js 18 and later, and in this order: brings the right Node.js into `.causeway/`,
 * installs the dependencies by the lockfile, and runs the command with its arguments, terminal, signals and exit code.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bringCassandra, runTests } from './run-tests.mjs';

const project = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const ownFolder = path.join(project, '.causeway');
const NODE_VERSION = '24.21.0';
const NODE_MAJOR = 24;
const LOCK_PATIENCE_MS = 600_000;

/** Command → the program behind it; `test` is a procedure of its own. */
const programs = {
  start: ['src/main/main.ts', 'start'],
  demo: ['src/main/main.ts', 'demo'],
  bench: ['test/bench/bench.ts'],
  soak: ['test/soak/soak.ts'],
  cql: ['src/main/main.ts', 'cql-proxy'],
  'cql:demo': ['test/demo/cql-demo.ts'],
};

await main(process.argv[2], process.argv.slice(3));

async function main(command, args) {
  if (command !== 'test' && !Object.hasOwn(programs, command ?? '')) {
    console.error(`usage: node config/bootstrap.mjs ${[...Object.keys(programs), 'test'].join('|')} [arguments]`);
    process.exit(2);
  }
  fs.mkdirSync(ownFolder, { recursive: true });
  const node = await withInstallLock(async () => {
    const found = await bringNode();
    const code = await installDependencies(found, project);
    if (code !== 0) fail(`npm ci ended with code ${code}; the lines above say why`);
    return found;
  });
  const install = (folder) => withInstallLock(() => installDependencies(node, path.join(project, folder)));
  const context = { project, node, env: { ...compileCache(), ...environmentFor(node) }, run, install };
  if (command === 'test') process.exit(await runTests(context, args));
  // With other clusters than its own it needs none.
  if (command === 'cql:demo' && !args.some((arg) => /^--(?:source|target|simulated|help)\b/.test(arg))) await bringCassandra(context);
  const [program, ...first] = programs[command];
  if (!fs.existsSync(path.join(project, program))) fail(`${program} does not exist in this checkout`);
  process.exit(await run(node, [program, ...first, ...args], context.env));
}

/** The `node` binary to use: the running one when it is new enough, else a private copy from the npm registry. */
async function bringNode() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath;
  const home = path.join(ownFolder, 'node');
  const present = workingNode(home);
  if (present) return present;
  say(`this is Node.js ${process.versions.node}; fetching ${NODE_VERSION} into ${path.relative(process.cwd(), home) || home}`);
  const fresh = `${home}.${process.pid}`;
  // The platform's own package holds the binary itself; `node` finds the package of a rarer platform by an install script.
  for (const name of [`node-${process.platform}-${process.arch}`, 'node']) {
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.mkdirSync(fresh);
    fs.writeFileSync(path.join(fresh, 'package.json'), '{"private":true}\n');
    const code = await npm(process.execPath, ['install', '--prefix', fresh, '--no-save', '--no-audit', '--no-fund', '--loglevel=error', `${name}@${NODE_VERSION}`], fresh);
    if (code === 0 && workingNode(fresh)) break;
  }
  if (!workingNode(fresh)) {
    fs.rmSync(fresh, { recursive: true, force: true });
    fail(`Node.js ${NODE_VERSION} could not be fetched from the npm registry; install Node.js ${NODE_MAJOR} or later and run the command again`);
  }
  fs.rmSync(home, { recursive: true, force: true });
  fs.renameSync(fresh, home);
  return workingNode(home);
}

/** Path of a Node.js under `home` that starts and has the wanted version; undefined when there is none. */
function workingNode(home) {
  for (const name of [`node-${process.platform}-${process.arch}`, 'node']) {
    const binary = path.join(home, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    if (!fs.existsSync(binary)) continue;
    const probe = spawnSync(binary, ['--version'], { encoding: 'utf8' });
    if (probe.status === 0 && probe.stdout.trim() === `v${NODE_VERSION}`) return binary;
  }
  return undefined;
}

/** `npm ci` in a folder with a lockfile, unless what is installed is what the lockfile says. Resolves with npm's exit code, else 0. */
async function installDependencies(node, folder) {
  const modules = path.join(folder, 'node_modules');
  const stamp = path.join(modules, '.causeway-stamp');
  const lockfile = fs.readFileSync(path.join(folder, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(lockfile).update(`${process.platform}-${process.arch}`).digest('hex');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return 0;
  if (!fs.existsSync(stamp) && isInstalledByHand(folder, lockfile)) {
    fs.writeFileSync(stamp, wanted);
    return 0;
  }
  say(`installing dependencies${folder === project ? '' : ` of ${path.relative(project, folder)}`} (npm ci)`);
  // Retried once: a registry that hiccups is commoner than one that is down.
  for (let attempt = 1; ; attempt += 1) {
    const code = await npm(node, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder);
    if (code === 0) break;
    if (attempt === 2) return code;
  }
  fs.writeFileSync(stamp, wanted);
  return 0;
}

/** True when npm's own record of `node_modules` has every package of the lockfile in its version: someone ran `npm install`. */
function isInstalledByHand(folder, lockfile) {
  const record = path.join(folder, 'node_modules', '.package-lock.json');
  if (!fs.existsSync(record)) return false;
  const installed = JSON.parse(fs.readFileSync(record, 'utf8')).packages ?? {};
  return Object.entries(JSON.parse(lockfile).packages).every(
    ([where, entry]) => where === '' || entry.optional === true || (installed[where]?.version === entry.version && fs.existsSync(path.join(folder, where))),
  );
}

/** npm run by the given Node.js, since the lockfile's packages check the version of the Node.js that runs npm. */
function npm(node, args, cwd) {
  const cli = process.env.npm_execpath ?? '';
  const env = environmentFor(node);
  // npm looks for its machine-wide settings (proxy, certificates) beside the Node.js that runs it; they are those of the caller's.
  env.npm_config_globalconfig ??= spawnSync('npm', ['config', 'get', 'globalconfig'], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).stdout?.trim();
  // A distribution's Node.js trusts the machine's certificates; the one from the registry only when told to.
  env.NODE_USE_SYSTEM_CA ??= '1';
  // The folder of the script that npm is running now is not that of this call.
  for (const name of Object.keys(env)) if (/^npm_(lifecycle_|package_|command$|config_local_prefix$)/.test(name)) delete env[name];
  const options = { cwd, env, stdio: ['ignore', process.stderr, process.stderr] };
  return finished(/npm-cli\.c?js$/.test(cli) ? spawn(node, [cli, ...args], options) : spawn('npm', args, { ...options, shell: process.platform === 'win32' }));
}

function environmentFor(node) {
  const entries = [path.dirname(node), path.join(project, 'node_modules', '.bin'), process.env.PATH ?? ''];
  return { ...process.env, PATH: entries.join(path.delimiter) };
}

/** Every process of the product reads the whole of it: without what an earlier one has compiled and stripped of types, that is a second of a core, also when a worker comes back after a crash. */
function compileCache() {
  return { NODE_COMPILE_CACHE: path.join(ownFolder, 'compile-cache') };
}

/** Runs a script of the project in the foreground; resolves with its exit code. Signals go on to it. */
async function run(node, args, env) {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...args], { cwd: project, env, stdio: 'inherit' });
  const pass = (signal) => child.kill(signal);
  // Ctrl-C in a terminal reaches every process of the group by itself; passing it on would make it two.
  const interrupt = () => (process.stdin.isTTY ? undefined : pass('SIGINT'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', pass);
  process.on('SIGHUP', pass);
  const code = await finished(child);
  process.off('SIGINT', interrupt);
  process.off('SIGTERM', pass);
  process.off('SIGHUP', pass);
  return code;
}

function finished(child) {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      say(`${child.spawnfile} could not be started: ${error.message}`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 1)));
  });
}

/** Two commands in one fresh clone: the second waits until the first has installed. A lock of a dead process is taken over. */
async function withInstallLock(work) {
  const lock = path.join(ownFolder, 'install.lock');
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = readOwner(lock);
    const isDead = owner !== undefined && !isAlive(owner);
    if (isDead) removeDeadLock(lock);
    else if (Date.now() > deadline) fail(`process ${owner} has held ${lock} for ten minutes; end it, or delete the file`);
    await delay(isDead ? 10 : 200);
  }
  const release = () => fs.rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/** One at a time looks again and removes it: whoever looked earlier might remove the lock of the one who took it over meanwhile. */
function removeDeadLock(lock) {
  const guard = `${lock}.takeover`;
  try {
    fs.writeFileSync(guard, '', { flag: 'wx' });
  } catch {
    // Its maker has died in the middle of the lines below.
    if (Date.now() - (fs.statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 10_000) fs.rmSync(guard, { force: true });
    return;
  }
  try {
    const owner = readOwner(lock);
    if (owner !== undefined && !isAlive(owner)) fs.rmSync(lock, { force: true });
  } finally {
    fs.rmSync(guard, { force: true });
  }
}

function readOwner(lock) {
  try {
    return Number(fs.readFileSync(lock, 'utf8')) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function say(message) {
  console.error(`causeway: ${message}`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
