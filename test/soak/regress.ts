/**
 * `npm run soak -- regress [test …]`: PostgreSQL's own regression schedule, of the version of the server that this machine has, through pgbouncer in session
 * mode and through the gateway; held to what the same tests print without either, and to what docs/drivers.md lists.
 *
 * Directly they are run twice: what is not the same then says nothing. With names only these tests are run, in the schedule's order.
 */
import { outcomesOf, unlistedDeviations } from '../drivers/regression-outcomes.ts';
import { bringRegression } from '../drivers/regression-package.ts';
import { scheduledTests } from '../drivers/regression-run.ts';
import type { Outputs } from '../drivers/regression-run.ts';
import { runRegression } from '../drivers/regression-ways.ts';
import type { RegressionWay } from '../drivers/regression-ways.ts';
import { bothEnded, throughWays } from '../drivers/driver-servers.ts';
import { findTool } from '../support/tools.ts';

/** Exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const brought = await bringRegression();
  if ('missing' in brought) {
    console.log(`the regression schedule cannot be had: ${brought.missing}`);
    return 1;
  }
  const suite = brought.path;
  const tests = scheduledTests(suite).filter((test) => args.length === 0 || args.includes(test));
  const timed = async (way: RegressionWay, what: string): Promise<Outputs> => {
    const start = performance.now();
    const outputs = await runRegression(way, suite, tests);
    console.log(`${what}: ${outputs.size} tests in ${((performance.now() - start) / 1000).toFixed(0)} s`);
    return outputs;
  };
  // Two at a time: one waits while the other is at work, on the server or in the gateway.
  const [direct, again] = await bothEnded(timed('direct', 'directly'), timed('direct', 'directly again'));
  const unsteady = new Set([...outcomesOf(direct, again)].filter(([, outcome]) => outcome === 'failed').map(([test]) => test));
  if (unsteady.size > 0) console.log(`not the same twice, so not judged: ${[...unsteady].join(', ')}`);
  const [nothing, elsewhere] = await bothEnded(timed('nothing', 'gateway, no table migrated'), timed('elsewhere', 'gateway, a table of another schema on local'));
  const [tables, pooled] = await bothEnded(timed('tables', 'gateway, some of their tables on local'), findTool('pgbouncer') === undefined ? Promise.resolve(undefined) : timed('pgbouncer', 'pgbouncer, session mode'));
  const through = { nothing, elsewhere, tables };

  const report = (way: string, outputs: Outputs): readonly string[] => {
    const differing = [...outcomesOf(direct, outputs)].filter(([test, outcome]) => outcome === 'failed' && !unsteady.has(test)).map(([test]) => test);
    console.log(`\n${way}: ${outputs.size - differing.length} of ${outputs.size} the same${differing.length === 0 ? '' : `; not: ${differing.join(', ')}`}`);
    return differing;
  };
  const notPooled = pooled && report('pgbouncer, session mode', pooled);
  let failed = 0;
  for (const way of throughWays) {
    const differing = report(`gateway, on local: ${way}`, through[way]);
    const worse = notPooled && differing.filter((test) => !notPooled.includes(test));
    if (worse && way !== 'tables') console.log(`  the same through pgbouncer and not here: ${worse.length === 0 ? 'none' : worse.join(', ')}`);
    const found = unlistedDeviations(direct, through[way], way, (test) => !unsteady.has(test));
    failed += found.length;
    for (const deviation of found) console.log(`  ${deviation}`);
  }
  console.log(failed === 0 ? '\nholds: every deviation is listed, and every listed one is there' : `\nFAILED: ${failed} deviations that are not as docs/drivers.md lists them`);
  return failed === 0 ? 0 : 1;
}
