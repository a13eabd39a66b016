/**
 * Programs that npm does not carry. A suite that needs one which is missing is skipped by name, so that the summary says so;
 * CAUSEWAY_REQUIRE_SERVERS=1 (continuous integration) makes it a failure.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'vitest';

export type Tool = 'psql' | 'pgbench' | 'pgbouncer' | 'odyssey' | 'pg_dump' | 'postgres' | 'python3' | 'go' | 'java' | 'mvn' | 'ruby' | 'javac' | 'mariadb' | 'pgloader' | 'sysbench' | 'zdm-proxy';

/** Absolute path of the program on PATH, in Debian's per-version folders (newest first) or in /usr/sbin. */
export function findTool(name: Tool): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return [...onPath, ...debianFolders(), '/usr/sbin'].map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

function debianFolders(): string[] {
  const root = '/usr/lib/postgresql';
  if (!fs.existsSync(root)) return [];
  return fs.readdirSync(root).sort((a, b) => Number(b) - Number(a)).map((version) => path.join(root, version, 'bin'));
}

/** As `findTool`, for suites inside `describeWithTools`. */
export function requireTool(name: Tool): string {
  const found = findTool(name);
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found;
}

/** `describe`, when all the programs are there. */
export function describeWithTools(tools: readonly Tool[], name: string, suite: () => void): void {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  describeUnless(missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`, name, suite);
}

/** `describe`, unless something that the suite needs is missing. */
export function describeUnless(missing: string | undefined, name: string, suite: () => void): void {
  if (missing === undefined) {
    describe(name, suite);
    return;
  }
  describe(name, () => {
    if (process.env['CAUSEWAY_REQUIRE_SERVERS'] === '1') {
      test('needs its programs', () => {
        throw new Error(missing);
      });
    } else test.skip(`(${missing})`, () => undefined);
  });
}
