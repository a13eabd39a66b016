/** Property: what passes of the own test suites of psycopg2 and asyncpg directly, passes through the gateway, apart from what docs/drivers.md lists. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless } from '../support/tools.ts';
import { bringPython } from './driver-packages.ts';
import type { PythonPackage } from './driver-packages.ts';
import { environmentOf, inEveryWay, suiteWays } from './driver-servers.ts';
import type { ByWay, ServerOptions, Target, Way } from './driver-servers.ts';
import { count, deviations, listedFor, readJunit, twiceIfFailed } from './outcomes.ts';
import type { Outcomes } from './outcomes.ts';
import { runProgram } from './run-program.ts';

interface Suite extends PythonPackage {
  readonly driver: string;
  readonly servers: ServerOptions;
  readonly environment: (target: Target) => Readonly<Record<string, string>>;
  readonly pytest: readonly string[];
  /** Passed directly at the least: a suite that stopped early must not look good. */
  readonly passes: number;
}

const pytest = ['pytest==9.2.0', 'pytest-timeout==2.4.0'];
const RUN_LIMIT_MS = 140_000;

const suites: readonly Suite[] = [
  {
    driver: 'psycopg2', package: 'psycopg2-binary==2.9.13', needs: pytest, hasTests: true, passes: 700,
    servers: {
      setup: 'CREATE EXTENSION hstore',
      // Without the tables whose columns have types of the test's own, and without the one that a replication connection waits to see change.
      tables: ['table1', 'table2', 'scrollable', 'copy_segf', 'withhold', 'testfast', 'testcol', 'test_with', 'test_exc', 'test551', 'na', 'isolevel', 'invname', 'execmany', 'array_test', 'dbapi20test_booze', 'dbapi20test_barflys', 'test_tpc', 'test_compose'],
    },
    environment: () => ({ PSYCOPG2_TESTDB: 'postgres', PSYCOPG2_TEST_REPL_DSN: '' }),
    // Without those that wait for seconds, and those of no server at all.
    pytest: ['--ignore', 'tests/test_errcodes.py', '-k', 'not test_concurrent_execution and not test_copy_from_insane_size and not test_commit_concurrency and not test_multiprocess_close and not test_notify_attributes and not test_notify_payload and not test_notify_deque and not test_notify_noappend'],
  },
  {
    driver: 'asyncpg', package: 'asyncpg==0.32.0', needs: [...pytest, 'distro==1.9.0'], hasTests: true, passes: 260,
    // Without the tables whose columns have types of the test's own.
    servers: { tables: ['copytab', 'copytab_where', 'copytab_nocache', 'copytab_cache', 'copytab_async', 'exmany', 'fetchmany', 'mytab', 'test_many', 'cursor_iterable_06'] },
    environment: () => ({}),
    // Without those of its own source text, of clusters that it starts itself, of its pool's timers, and those that wait for seconds; without two whose cancel may come late (docs/drivers.md).
    pytest: ['--ignore', 'tests/test__sourcecode.py', '-k', 'not standby and not target and not max_inactive and not min_size and not max_lifetime and not copy_to_table_large_rows and not introspection_on_large_db and not introspection_retries and not no_acquire_deadlock and not handles_task_cancel and not close_timeout and not timeout_covers_prepare and not fail_in_source'],
  },
];

for (const suite of suites) {
  const brought = await bringPython(suite);
  describeUnless('missing' in brought ? brought.missing : undefined, suite.driver, () => {
    const folder = 'path' in brought ? brought.path : '';
    let outcomes: ByWay<Outcomes>;

    async function runSuite(target: Target, way: Way, only: readonly string[] | undefined): Promise<Outcomes> {
      // `test_copy.CopyTests.test_it` is `tests/test_copy.py::CopyTests::test_it`.
      const tests = only?.map((name) => `tests/${name.replace('.', '.py::').replace(/\.(?!py::)/, '::')}`) ?? [...suite.pytest, 'tests'];
      const report = path.join(folder, `report-${way}.xml`);
      fs.rmSync(report, { force: true });
      const ended = await runProgram(path.join(folder, 'bin', 'python'),
        ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-W', 'ignore', '--timeout', '15', `--junitxml=${report}`, ...tests],
        { cwd: folder, env: { ...environmentOf(target), ...suite.environment(target) }, limitMs: RUN_LIMIT_MS });
      if (!fs.existsSync(report)) throw new Error(`${suite.driver}, ${way}: no report, code ${ended.code ?? 'killed'}\n${ended.output.slice(-2000)}${ended.errors.slice(-2000)}`);
      return readJunit(fs.readFileSync(report, 'utf8'));
    }

    beforeAll(async () => {
      outcomes = await inEveryWay(suite.servers, (target, way) => twiceIfFailed((only) => runSuite(target, way, only)), suiteWays);
    }, 4 * RUN_LIMIT_MS);

    test('directly', () => {
      expect(count(outcomes('direct'), 'passed')).toBeGreaterThan(suite.passes);
    });

    test.each(suiteWays)('through the gateway, on local: %s', (way) => {
      expect(deviations(outcomes('direct'), outcomes(way), listedFor(suite.driver, way))).toEqual([]);
    });
  });
}
