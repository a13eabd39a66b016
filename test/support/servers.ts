/**
 * PostgreSQL 10 to 18 for the suites that run once per version. Version 18 is the product's own package; the older ones are those of
 * `test/servers`, which `npm test` installs. Where they are missing the suites of their versions are skipped by name, or fail
 * under CAUSEWAY_REQUIRE_SERVERS=1.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'vitest';
import { startTestPostgres } from './postgres.ts';
import type { TestPostgres, TestPostgresOptions } from './postgres.ts';

/** Every major version that the tests start: these, and no others, count as supported (docs/postgres-versions.md). */
export const testedVersions = [10, 11, 12, 13, 14, 15, 16, 17, 18] as const;
export type TestedVersion = (typeof testedVersions)[number];

/** The version of the product's own package. */
export const packagedVersion = 18;

const serversDirectory = path.resolve(import.meta.dirname, '../servers');

export function isInstalled(version: TestedVersion): boolean {
  return version === packagedVersion || fs.existsSync(path.join(nativeOf(version), 'bin', 'postgres'));
}

export function startVersion(version: TestedVersion, options: Omit<TestPostgresOptions, 'nativeDirectory'> = {}): Promise<TestPostgres> {
  return startTestPostgres(version === packagedVersion ? options : { ...options, nativeDirectory: nativeOf(version) });
}

/** `describe`, when all these versions are there. */
export function describeVersions(versions: readonly TestedVersion[], name: string, suite: () => void): void {
  const missing = versions.filter((version) => !isInstalled(version));
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  describe(name, () => {
    if (process.env['CAUSEWAY_REQUIRE_SERVERS'] === '1') {
      test('needs its servers', () => {
        throw new Error(`not installed in test/servers: PostgreSQL ${missing.join(', ')}`);
      });
    } else test.skip(`(not installed in test/servers: PostgreSQL ${missing.join(', ')})`, () => undefined);
  });
}

function nativeOf(version: TestedVersion): string {
  return path.join(serversDirectory, 'node_modules', `pg${version}`, 'native');
}
