/**
 * One command in a fresh clone brings what it needs, once, also when two run at the same time, and passes on arguments, signals and
 * exit code. npm is a stand-in here that writes down how it was called; a clean clone with the real one is what `.ci/run` is for.
 */
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const configFolder = path.join(import.meta.dirname, '../../config');
let project: string;
let tools: string;

beforeEach(() => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bootstrap-'));
  project = path.join(root, 'a checkout');
  tools = path.join(root, 'tools');
  for (const folder of ['config', 'src/main']) fs.mkdirSync(path.join(project, folder), { recursive: true });
  fs.mkdirSync(tools);
  fs.writeFileSync(path.join(tools, 'package.json'), '{"type":"module"}');
  for (const file of ['bootstrap.mjs', 'run-tests.mjs']) fs.copyFileSync(path.join(configFolder, file), path.join(project, 'config', file));
  write('package.json', '{"type":"module","private":true}');
  write('package-lock.json', '{"packages":{"":{},"node_modules/one":{"version":"1.0.0"}}}');
  write('src/main/main.ts', `
    const args: string[] = process.argv.slice(2);
    console.log(JSON.stringify({ args, version: process.version, cwd: process.cwd() }));
    process.on('SIGTERM', () => process.exit(9));
    if (args.includes('--wait')) setInterval(() => undefined, 1000);
    else process.exitCode = Number(args.at(-1)) || 0;`);
  fakeNpm(workingNpm);
});
afterEach(() => fs.rmSync(path.dirname(project), { recursive: true, force: true }));

function write(file: string, text: string): void {
  fs.writeFileSync(path.join(project, file), text);
}

/** Answers `npm ci` and `npm install --prefix DIR … NAME@VERSION`, the latter with a Node.js that says the version and is this one. */
const workingNpm = `
  if (args[0] === 'ci') {
    await new Promise((resolve) => setTimeout(resolve, 200));
    fs.mkdirSync('node_modules/one', { recursive: true });
    fs.writeFileSync('node_modules/.package-lock.json', '{"packages":{"node_modules/one":{"version":"1.0.0"}}}');
  } else {
    const [name, version] = args.at(-1).split('@');
    const bin = args[2] + '/node_modules/' + name + '/bin';
    fs.mkdirSync(bin, { recursive: true });
    fs.writeFileSync(bin + '/node', '#!/bin/sh\\n[ "$1" = --version ] && echo v' + version + ' && exit\\nexec "${process.execPath}" "$@"\\n', { mode: 0o755 });
  }`;

function fakeNpm(script: string): void {
  const calls = JSON.stringify(path.join(tools, 'calls'));
  fs.writeFileSync(path.join(tools, 'npm-cli.js'), `import * as fs from 'node:fs';\nconst args = process.argv.slice(2);\nfs.appendFileSync(${calls}, args.join(' ') + '\\n');\n${script}\n`);
}

function npmCalls(): string[] {
  const file = path.join(tools, 'calls');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
}

function environment(): Record<string, string> {
  return { PATH: `${tools}:/usr/bin:/bin`, HOME: os.tmpdir(), npm_execpath: path.join(tools, 'npm-cli.js'), npm_config_globalconfig: '/dev/null' };
}

function bootstrap(args: readonly string[], node = process.execPath, more: Readonly<Record<string, string>> = {}): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(node, [path.join(project, 'config/bootstrap.mjs'), ...args], { cwd: '/', env: { ...environment(), ...more }, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

describe('dependencies', () => {
  test('are installed once, and again when the lockfile has changed', () => {
    expect(bootstrap(['start', '--port', 'a b', '0'])).toMatchObject({ code: 0, stdout: expect.stringContaining('"args":["start","--port","a b","0"]') as string });
    expect(npmCalls()).toHaveLength(1);
    bootstrap(['demo']);
    expect(npmCalls()).toHaveLength(1);
    write('package-lock.json', '{"packages":{"":{},"node_modules/one":{"version":"1.0.1"}}}');
    bootstrap(['demo']);
    expect(npmCalls()).toHaveLength(2);
  });

  test('that someone has installed by hand are left alone', () => {
    fs.mkdirSync(path.join(project, 'node_modules/one'), { recursive: true });
    write('node_modules/.package-lock.json', '{"packages":{"node_modules/one":{"version":"1.0.0"}}}');
    expect(bootstrap(['start']).code).toBe(0);
    expect(npmCalls()).toEqual([]);
  });

  test('that are half there, or of other versions, are installed', () => {
    fs.mkdirSync(path.join(project, 'node_modules/one'), { recursive: true });
    write('node_modules/.package-lock.json', '{"packages":{"node_modules/one":{"version":"0.9.0"}}}');
    expect(bootstrap(['start']).code).toBe(0);
    expect(npmCalls()).toHaveLength(1);
  });

  test('that cannot be installed end the command with a reason; the next one tries again', () => {
    fakeNpm(`console.error('npm error no network'); process.exit(1)`);
    const failed = bootstrap(['start']);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('no network');
    expect(npmCalls()).toHaveLength(2);
    fakeNpm(workingNpm);
    expect(bootstrap(['start']).code).toBe(0);
  });

  test('are installed by one of two commands that begin together; a lock of a dead process does not count', async () => {
    fs.mkdirSync(path.join(project, '.causeway'));
    write('.causeway/install.lock', '999999999');
    const codes = await Promise.all([0, 1, 2].map(() => new Promise((resolve) => {
      spawn(process.execPath, [path.join(project, 'config/bootstrap.mjs'), 'start'], { env: environment(), stdio: 'ignore' }).once('exit', resolve);
    })));
    expect(codes).toEqual([0, 0, 0]);
    expect(npmCalls()).toHaveLength(1);
    expect(fs.existsSync(path.join(project, '.causeway/install.lock'))).toBe(false);
  });
});

describe('the program', () => {
  test('decides the exit code', () => {
    expect(bootstrap(['start', '7']).code).toBe(7);
  });

  test('starts from what an earlier start has compiled, in the folder of the checkout or the caller\'s own, and without it where nothing can be written', () => {
    const own = path.join(project, '.causeway/compile-cache');
    expect(bootstrap(['start']).code).toBe(0);
    expect(fs.readdirSync(own, { recursive: true }).length).toBeGreaterThan(1);
    const chosen = path.join(tools, 'cache');
    expect(bootstrap(['start'], process.execPath, { NODE_COMPILE_CACHE: chosen }).code).toBe(0);
    expect(fs.readdirSync(chosen, { recursive: true }).length).toBeGreaterThan(1);
    fs.rmSync(own, { recursive: true });
    fs.writeFileSync(own, 'no folder');
    expect(bootstrap(['start', '7'])).toMatchObject({ code: 7, stderr: '' });
  });

  test('is told of SIGTERM', async () => {
    const child = spawn(process.execPath, [path.join(project, 'config/bootstrap.mjs'), 'start', '--wait'], { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await delay(50);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(9);
  });

  test('has to be one that exists', () => {
    expect(bootstrap(['stat'])).toMatchObject({ code: 2, stderr: expect.stringContaining('start|demo|bench|soak|cql|cql:demo|test') as string });
    expect(bootstrap(['bench', 'proxy'])).toMatchObject({ code: 1, stderr: expect.stringContaining('test/bench/bench.ts does not exist') as string });
  });
});

/** A Node.js that is too old for the project, where the machine has one. */
const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((file) => {
  const version = fs.existsSync(file) ? spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout : '';
  return /^v(18|20|21|22|23)\./.test(version);
});

describe.skipIf(oldNode === undefined)('an older Node.js', () => {
  test('fetches the right one, once, and runs npm and the program by it', () => {
    const first = bootstrap(['start'], oldNode);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining(`"version":"${process.version}"`) as string });
    expect(npmCalls()).toEqual([expect.stringMatching(/^install --prefix .*node-linux-\w+@24\.\d+\.\d+$/) as string, expect.stringMatching(/^ci /) as string]);
    bootstrap(['start'], oldNode);
    expect(npmCalls()).toHaveLength(2);
    expect(fs.readdirSync(path.join(project, '.causeway')).toSorted()).toEqual(['compile-cache', 'node']);
  });

  test('that cannot fetch it says what to do and leaves nothing half done', () => {
    fakeNpm('process.exit(1)');
    expect(bootstrap(['start'], oldNode)).toMatchObject({ code: 1, stderr: expect.stringContaining('install Node.js 24 or later') as string });
    expect(fs.readdirSync(path.join(project, '.causeway'))).toEqual([]);
  });
});

describe('npm test', () => {
  test('ends with the skipped suites by name and the counts, the typecheck among them', () => {
    bootstrap(['start']);
    for (const folder of ['typescript/bin', 'vitest']) fs.mkdirSync(path.join(project, 'node_modules', folder), { recursive: true });
    write('node_modules/typescript/bin/tsc', 'process.exitCode = 1;');
    write('node_modules/vitest/vitest.mjs', `
      import * as fs from 'node:fs';
      const results = [
        { status: 'passed', assertionResults: [{ status: 'passed', fullName: 'a' }, { status: 'skipped', fullName: 'suite (not installed: psql)' }] },
        { status: 'failed', assertionResults: [] },
      ];
      console.log(process.argv.slice(-1)[0]);
      fs.writeFileSync(process.argv.find((arg) => arg.startsWith('--outputFile.json=')).split('=')[1], JSON.stringify({ testResults: results }));
      process.exitCode = 1;`);
    for (const tool of ['psql', 'pgbench', 'pgbouncer', 'ruby', 'bzip2']) fs.writeFileSync(path.join(tools, tool), '');
    const { code, stdout } = bootstrap(['test', 'test/one']);
    expect(code).toBe(1);
    expect(stdout).toContain('test/one\n');
    expect(stdout.trim().split('\n').slice(-3)).toEqual(['skipped: suite (not installed: psql)', '', '1 passed, 2 failed, 1 skipped']);
  });
});
