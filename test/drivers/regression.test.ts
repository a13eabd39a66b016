/** Property: files of PostgreSQL's regression schedule print through the gateway what they print directly, apart from what docs/drivers.md lists. The whole schedule is `npm run soak -- regress`. */
import { beforeAll, expect, test } from 'vitest';
import { describeUnless } from '../support/tools.ts';
import { suiteWays, twoAtATime } from './driver-servers.ts';
import type { ByWay } from './driver-servers.ts';
import { unlistedDeviations } from './regression-outcomes.ts';
import { bringRegression } from './regression-package.ts';
import { scheduledTests } from './regression-run.ts';
import { runRegression } from './regression-ways.ts';

const RUN_LIMIT_MS = 120_000;
/** What the gateway has a part in: texts, blocks, cursors, COPY, roles, settings, errors. Not those that wait or compute, nor those that are listed for what files left out here have made. */
const chosen = [
  'test_setup', 'strings', 'text', 'int8', 'xid', 'copy', 'copyselect', 'copydml', 'insert', 'insert_conflict', 'create_procedure', 'create_schema', 'triggers', 'select', 'drop_if_exists', 'errors', 'select_into', 'select_having', 'case', 'transactions',
  'portals', 'update', 'delete', 'namespace', 'prepared_xacts', 'privileges', 'lock', 'rowsecurity', 'identity', 'alter_generic', 'async', 'merge', 'psql', 'foreign_data', 'guc', 'combocid', 'advisory_lock', 'limit', 'plpgsql', 'copy2', 'temp', 'domain', 'prepare', 'conversion', 'truncate',
  'sequence', 'rowtypes', 'returning', 'largeobject', 'event_trigger',
];

const brought = await bringRegression();

describeUnless('missing' in brought ? brought.missing : undefined, 'PostgreSQL', () => {
  const suite = 'path' in brought ? brought.path : '';
  const tests = 'path' in brought ? scheduledTests(suite).filter((name) => chosen.includes(name)) : [];
  let outputs: ByWay<ReadonlyMap<string, string>>;

  beforeAll(async () => {
    outputs = await twoAtATime(suiteWays, (way) => runRegression(way, suite, tests));
  }, 2 * RUN_LIMIT_MS);

  test('directly', () => {
    // A suite that ended early, or whose files are not found, must not look good.
    expect([...outputs('direct')].filter(([, output]) => output.split('\n').length < 10 || output.includes('psql: error'))).toEqual([]);
    expect(outputs('direct').size).toBeGreaterThan(45);
  });

  test.each(suiteWays)('through the gateway, on local: %s', (way) => {
    expect(unlistedDeviations(outputs('direct'), outputs(way), way)).toEqual([]);
  });
});
