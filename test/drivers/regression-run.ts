/** Runs files of PostgreSQL's regression schedule by `psql`, one after the other, with what its own driver sets, and keeps what psql printed. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { requireTool } from '../support/tools.ts';
import { environmentOf } from './driver-servers.ts';
import type { Target } from './driver-servers.ts';
import { runProgram } from './run-program.ts';

export const regressionDatabase = 'regression';

/** https://www.postgresql.org/docs/current/regress-run.html: what a new database of the suite is given. */
export const regressionDatabaseSetup = [
  `CREATE DATABASE ${regressionDatabase} TEMPLATE template0 ENCODING 'UTF8'`,
  ...['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'].map((name) => `ALTER DATABASE ${regressionDatabase} SET ${name} TO 'C'`),
  `ALTER DATABASE ${regressionDatabase} SET bytea_output TO 'hex'`,
  `ALTER DATABASE ${regressionDatabase} SET timezone_abbreviations TO 'Default'`,
];

/** What each client asks for at its start, as PostgreSQL's own driver has it. */
export const clientSettings = { intervalstyle: 'postgres_verbose', datestyle: 'Postgres, MDY', timezone: 'America/Los_Angeles' };

/** What psql printed, by the test's name, in the schedule's order. */
export type Outputs = ReadonlyMap<string, string>;

export interface RunOptions {
  /** The folder that was fetched. */
  readonly suite: string;
  /** A folder that the server may write to. */
  readonly results: string;
  readonly tests: readonly string[];
}

/** The installation that the tests are of, with the psql of the same version beside the server. */
export function regressionServer(): string {
  return path.resolve(fs.realpathSync(requireTool('postgres')), '../..');
}

const TEST_LIMIT_MS = 180_000;

/** Names in the order in which the schedule starts them. */
export function scheduledTests(suite: string): string[] {
  const lines = fs.readFileSync(path.join(suite, 'parallel_schedule'), 'utf8').split('\n');
  return lines.flatMap((line) => /^test: (.*)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? []);
}

export async function runTests(target: Target, { suite, results, tests }: RunOptions): Promise<Outputs> {
  const outputs = new Map<string, string>();
  for (const test of tests) outputs.set(test, await runTest(target, suite, results, test));
  return outputs;
}

async function runTest(target: Target, suite: string, results: string, test: string): Promise<string> {
  const env = {
    ...environmentOf(target),
    PGAPPNAME: `pg_regress/${test}`, PGGSSENCMODE: 'disable', PGTZ: clientSettings.timezone, PGDATESTYLE: clientSettings.datestyle, PGOPTIONS: `-c intervalstyle=${clientSettings.intervalstyle}`,
    PG_ABS_SRCDIR: suite, PG_ABS_BUILDDIR: results, PG_LIBDIR: path.join(suite, 'lib'), PG_DLSUFFIX: '.so', LC_ALL: 'C.UTF-8', LANGUAGE: '',
  };
  const args = ['-X', '-a', '-q', '-d', target.database, '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'];
  const output = path.join(results, `${test}.out`);
  const { code } = await runProgram(path.join(regressionServer(), 'bin', 'psql'), args, { cwd: results, env, limitMs: TEST_LIMIT_MS, files: { input: path.join(suite, 'sql', `${test}.sql`), output } });
  // Bytes, not characters: some tests print what is no UTF-8.
  return fs.readFileSync(output, 'latin1') + (code === null ? `\npsql did not end within ${TEST_LIMIT_MS} ms\n` : '');
}
