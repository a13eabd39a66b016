/** Property: a program of some 150 statements through psycopg 3 prints the same through the gateway, apart from what docs/drivers.md lists. Its source package carries no tests. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless } from '../support/tools.ts';
import { bringPython } from './driver-packages.ts';
import { environmentOf, inEveryWay, throughWays } from './driver-servers.ts';
import type { ByWay, Target } from './driver-servers.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { runProgram } from './run-program.ts';

const RUN_LIMIT_MS = 60_000;
const programs = path.join(import.meta.dirname, 'programs');
const brought = await bringPython({ package: 'psycopg==3.3.9', needs: ['psycopg-binary==3.3.9'], hasTests: false });

describeUnless('missing' in brought ? brought.missing : undefined, 'psycopg', () => {
  const folder = 'path' in brought ? brought.path : '';
  let outputs: ByWay<string>;

  async function runWorkload(target: Target): Promise<string> {
    const ended = await runProgram(path.join(folder, 'bin', 'python'), [path.join(programs, 'psycopg_workload.py')], { env: environmentOf(target), limitMs: RUN_LIMIT_MS });
    if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1000)}${ended.errors.slice(-2000)}`);
    return ended.output;
  }

  beforeAll(async () => {
    outputs = await inEveryWay({ setup: fs.readFileSync(path.join(programs, 'setup.sql'), 'utf8'), tables: ['item', 'entry'] }, runWorkload);
  }, 3 * RUN_LIMIT_MS);

  test('directly', () => {
    expect(Number(/^statements => (\d+)$/m.exec(outputs('direct'))?.[1])).toBeGreaterThan(150);
  });

  test.each(throughWays)('through the gateway, on local: %s', (way) => {
    expect(lineDeviations(outputs('direct'), outputs(way), listedFor('psycopg', way))).toEqual([]);
  });
});
