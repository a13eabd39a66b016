import * as path from 'node:path';
import { defineConfig } from 'vitest/config';
import { FileOrder } from './test/support/file-order.ts';

/** Whole products on real servers, and drivers' suites, that measure nothing: three files at a time, since they mostly wait. */
const together = ['test/matrix/**/*.test.ts', 'test/drivers/**/*.test.ts', 'test/e2e/{bad-input,catalog-queries,client-certificates,conflicts,cql-*,crash,crash-servers,definition-change,held-up,hybrid-live,late-writer,local-down,mysql-*,nothing-left,owner-rights,pool-crash,pool-modes,renamed,slot-lost,spool-full,stopped-table,two-phase,two-sides}.test.ts'];
/** The others: one file at a time, after everything else, so that what they measure is theirs. */
const products = ['test/e2e/**/*.test.ts'];

// A file of `parts` uses a fifth to a half of a core, as most of them wait for locks and clocks: three at a time leave two cores hardly idle.
export default defineConfig({
  resolve: { alias: [{ find: /^fast-check$/, replacement: path.join(import.meta.dirname, 'test/support/fast-check.ts') }] },
  test: {
    pool: 'forks',
    globalSetup: ['test/support/run-folder.ts', 'test/support/cassandra-keeper.ts'],
    sequence: { sequencer: FileOrder },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Counters arrive once a second, and the machine may be busy: one second, the default, is a race.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      { extends: true, test: { name: 'parts', include: ['test/**/*.test.ts'], exclude: [...products, ...together, 'test/soak/**'], maxWorkers: 3, sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'together', include: together, maxWorkers: 3, sequence: { groupOrder: 1 } } },
      { extends: true, test: { name: 'products', include: products, exclude: together, maxWorkers: 1, sequence: { groupOrder: 2 } } },
    ],
  },
});
