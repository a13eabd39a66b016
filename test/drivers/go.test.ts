/** Property: what passes of the own test suites of lib/pq and pgx directly, passes through the gateway, apart from what docs/drivers.md lists. */
import * as path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless, requireTool } from '../support/tools.ts';
import { bringGoModule } from './driver-packages.ts';
import { environmentOf, inEveryWay, suiteWays } from './driver-servers.ts';
import type { ByWay, ServerOptions, Target, Way } from './driver-servers.ts';
import { count, deviations, listedFor, readGoTest, twiceIfFailed } from './outcomes.ts';
import type { Outcome, Outcomes } from './outcomes.ts';
import { runProgram } from './run-program.ts';

interface Suite {
  readonly driver: string;
  readonly module: string;
  readonly version: string;
  /** Folders of the module whose tests are run. */
  readonly packages: readonly string[];
  /** Tests left out: they wait for seconds, need no server, or end the whole run when connecting takes more than a tenth of a second. */
  readonly skip: string;
  readonly servers: ServerOptions;
  /** Passed directly at the least: a suite that stopped early must not look good. */
  readonly passes: number;
}

const BUILD_LIMIT_MS = 240_000;
const RUN_LIMIT_MS = 60_000;

const suites: readonly Suite[] = [
  {
    driver: 'lib/pq', module: 'github.com/lib/pq', version: 'v1.12.3', packages: ['.'], skip: '^(TestSSL|TestService|TestAuth|TestConnectMulti|TestListener(Listen|Unlisten|UnlistenAll|FailedQuery|Reconnect|Close|Ping)$)', passes: 600,
    servers: { tables: ['systems', 'browsers'] },
  },
  {
    driver: 'pgx', module: 'github.com/jackc/pgx/v5', version: 'v5.12.0', packages: ['.', 'pgconn', 'stdlib'], passes: 1000,
    skip: '^(TestListenNotifyWhileBusyIsSafe|TestConnQueryErrorWhileReturningRows|TestConnExecBatchWriteError|TestConnExecBatchHuge|TestConnStress|TestConnConcurrency|TestParseConfig|TestSendBatchHandlesTimeoutBetweenParseAndDescribe|TestConnCopyFromNoticeResponseReceivedMidStream|TestCheckIdleConn)',
    servers: {
      setup: 'CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0)',
      tables: ['drop_cols', 'tx_serializable_sums', 't', 'foo', 'canary'],
    },
  },
];

for (const suite of suites) {
  const brought = await bringGoModule(suite.module, suite.version);
  describeUnless('missing' in brought ? brought.missing : undefined, suite.driver, () => {
    const folder = 'path' in brought ? brought.path : '';
    let outcomes: ByWay<Outcomes>;
    const binaryOf = (name: string): string => path.join(folder, `suite-${name === '.' ? 'root' : name}`);

    async function build(): Promise<void> {
      for (const name of suite.packages) {
        const ended = await runProgram(requireTool('go'), ['test', '-c', '-vet=off', '-o', binaryOf(name), `./${name}`], { cwd: folder, limitMs: BUILD_LIMIT_MS });
        if (ended.code !== 0) throw new Error(`the tests of ${suite.module}/${name} do not build:\n${ended.errors.slice(-2000)}`);
      }
    }

    async function runSuite(target: Target, way: Way, only: readonly string[] | undefined): Promise<Outcomes> {
      const place = `host=${target.host} port=${target.port} user=${target.user} dbname=${target.database}`;
      const env = { ...environmentOf(target), PGX_TEST_DATABASE: place, PGX_TEST_TCP_CONN_STRING: place };
      const outcomes = new Map<string, Outcome>();
      for (const name of suite.packages) {
        const own = only?.filter((test) => (name === '.' ? !/^[a-z]/.test(test) : test.startsWith(`${name}.`))).map((test) => test.replace(/^[a-z]+\./, '').replace(/\/.*/s, ''));
        if (own?.length === 0) continue;
        const choice = own ? [`-test.run=^(${[...new Set(own)].join('|')})$`] : [`-test.skip=${suite.skip}`];
        const ended = await runProgram(requireTool('go'), ['tool', 'test2json', binaryOf(name), '-test.v=test2json', `-test.timeout=${RUN_LIMIT_MS}ms`, ...choice],
          { cwd: path.join(folder, name), env, limitMs: RUN_LIMIT_MS + 5_000 });
        const found = readGoTest(ended.output);
        const stuck = ended.output.indexOf('panic: test timed out');
        if (found.size === 0 || stuck >= 0) throw new Error(`${suite.driver} ${name}, ${way}: did not come to its end, code ${ended.code ?? 'killed'}\n${ended.output.slice(stuck, stuck + 6000)}${ended.errors.slice(-2000)}`);
        for (const [test, outcome] of found) outcomes.set(name === '.' ? test : `${name}.${test}`, outcome);
      }
      return outcomes;
    }

    beforeAll(async () => {
      await build();
      outcomes = await inEveryWay(suite.servers, (target, way) => twiceIfFailed((only) => runSuite(target, way, only)), suiteWays);
    }, BUILD_LIMIT_MS + 4 * RUN_LIMIT_MS);

    test('directly', () => {
      expect(count(outcomes('direct'), 'passed')).toBeGreaterThan(suite.passes);
    });

    test.each(suiteWays)('through the gateway, on local: %s', (way) => {
      expect(deviations(outcomes('direct'), outcomes(way), listedFor(suite.driver, way))).toEqual([]);
    });
  });
}
