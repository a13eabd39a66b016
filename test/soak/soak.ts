/**
 * `npm run soak`: what takes too long for `npm test`. The crash tests with every fault point and every victim, of tables' lives and of commits in the pool
 * modes, the change path from every PostgreSQL and MySQL server, drivers' suites in every way, then the history test again and again. Arguments go to vitest (`npm run soak -- -t 'kill local'`); `torture [seconds]`, `idle [count]`, `regress [test …]`, `cql [mock|real|crash|fsync …]`, `cql-load` and `random [file …]` (random tests from the day's seed) are programs of their own.
 *
 * Environment: CAUSEWAY_SOAK_ROUNDS, how often the history test is run (default 10).
 * Ends with one line `N passed, N failed, N skipped`; the exit code is 0 when nothing failed.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly { readonly status: string }[] }[];
}

/** Programs beside this one; each resolves with its exit code. */
const programs = ['torture', 'idle', 'regress', 'cql', 'cql-load', 'random'];
const [program = '', ...rest] = process.argv.slice(2);
if (programs.includes(program)) {
  const { run } = (await import(`./${program}.ts`)) as { run(args: readonly string[]): Promise<number> };
  process.exit(await run(rest));
}

const project = path.dirname(path.dirname(import.meta.dirname));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-soak-'));
const rounds = Number(process.env['CAUSEWAY_SOAK_ROUNDS'] ?? 10);
const sum: Counts = { passed: 0, failed: 0, skipped: 0 };

try {
  for (const file of ['test/e2e/crash.test.ts', 'test/e2e/crash-servers.test.ts']) await runSuite(file, 'all fault points');
  await runSuite('test/e2e/mysql-crash.test.ts', 'all fault points with MySQL sources');
  await runSuite('test/e2e/mysql-two-sides.test.ts', 'transactions over every MySQL server and local, killed at every step');
  await runSuite('test/matrix/versions.test.ts', 'every version of PostgreSQL');
  await runSuite('test/matrix/product.test.ts', 'more pairs of versions');
  for (const file of ['python-suites', 'go', 'regression', 'cql-node', 'cql-python', 'cql-go', 'cql-java', 'cql-cqlsh', 'cql-login']) await runSuite(`test/drivers/${file}.test.ts`, 'suites of drivers in every way');
  await runSuite('test/drivers/mysql-applications.test.ts', 'every application on both servers');
  await runSuite('test/e2e/mysql-abort.test.ts', 'ABORT on more servers');
  await runSuite('test/e2e/pool-crash.test.ts', 'commits in the pool modes, all fault points');
  await runSuite('test/e2e/mysql-sakila.test.ts', 'whole schemas of every MySQL server, a million rows');
  for (const file of ['cdc/mysql/end-to-end', 'cdc/mysql/reverse-crash', 'cdc/mysql/load-every-type', 'e2e/mysql-type-loss']) await runSuite(`test/${file}.test.ts`, 'every server, many rows');
  for (let round = 1; round <= rounds; round += 1) await runSuite('test/e2e/history.test.ts', `round ${round} of ${rounds}`);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(sum.failed === 0 ? 0 : 1);

async function runSuite(file: string, what: string): Promise<void> {
  console.log(`soak: ${file}, ${what}`);
  const report = path.join(folder, 'report.json');
  fs.rmSync(report, { force: true });
  const child = spawn(process.execPath, [
    path.join(project, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`,
    file, '--passWithNoTests', ...process.argv.slice(2),
  ], { cwd: project, stdio: 'inherit', env: { ...process.env, CAUSEWAY_CRASH: 'all', CAUSEWAY_CQL_WAYS: 'all' } });
  const code = await new Promise<number>((resolve) => child.once('exit', (exitCode) => resolve(exitCode ?? 1)));
  const counts = readReport(report);
  // An error outside any test makes vitest fail without a failed test.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  sum.passed += counts.passed;
  sum.failed += counts.failed;
  sum.skipped += counts.skipped;
}

/** A file that could not be loaded counts as one failed test. */
function readReport(file: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (!fs.existsSync(file)) return counts;
  const { testResults } = JSON.parse(fs.readFileSync(file, 'utf8')) as Report;
  for (const { status, assertionResults } of testResults) {
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) counts.failed += 1;
    for (const test of assertionResults) {
      if (test.status === 'passed') counts.passed += 1;
      else if (test.status === 'failed') counts.failed += 1;
      else counts.skipped += 1;
    }
  }
  return counts;
}
