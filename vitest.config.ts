import { defineConfig } from 'vitest/config';

/** Whole products on real servers: one file at a time, after everything else, so that what they measure is theirs. */
const products = ['test/e2e/**/*.test.ts', 'test/matrix/**/*.test.ts', 'test/drivers/**/*.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Counters arrive once a second, and the machine may be busy: one second, the default, is a race.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      { extends: true, test: { name: 'parts', include: ['test/**/*.test.ts'], exclude: [...products, 'test/soak/**'], maxWorkers: 2, sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'products', include: products, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
