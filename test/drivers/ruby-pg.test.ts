/** Property: a program of some 230 statements through Ruby's pg prints the same through the gateway, apart from what docs/drivers.md lists. The gem is the distribution's. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless, findTool, requireTool } from '../support/tools.ts';
import { environmentOf, inEveryWay, throughWays } from './driver-servers.ts';
import type { ByWay, Target } from './driver-servers.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { runProgram } from './run-program.ts';

const RUN_LIMIT_MS = 60_000;
const programs = path.join(import.meta.dirname, 'programs');

describeUnless(missing(), 'ruby-pg', () => {
  let outputs: ByWay<string>;

  async function runWorkload(target: Target): Promise<string> {
    const ended = await runProgram(requireTool('ruby'), ['-W0', path.join(programs, 'pg_workload.rb')], { env: { ...environmentOf(target), TZ: 'UTC', LC_ALL: 'C.UTF-8' }, limitMs: RUN_LIMIT_MS });
    if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1000)}${ended.errors.slice(-2000)}`);
    return ended.output;
  }

  beforeAll(async () => {
    outputs = await inEveryWay({ setup: fs.readFileSync(path.join(programs, 'setup.sql'), 'utf8'), tables: ['item', 'entry'] }, runWorkload);
  }, 3 * RUN_LIMIT_MS);

  test('directly', () => {
    expect(Number(/^statements => (\d+)$/m.exec(outputs('direct'))?.[1])).toBeGreaterThan(200);
  });

  test.each(throughWays)('through the gateway, on local: %s', (way) => {
    expect(lineDeviations(outputs('direct'), outputs(way), listedFor('ruby-pg', way))).toEqual([]);
  });
});

function missing(): string | undefined {
  const ruby = findTool('ruby');
  if (ruby === undefined) return 'ruby is not installed';
  try {
    execFileSync(ruby, ['-e', "require 'pg'"], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'ruby has no pg (Debian package ruby-pg)';
  }
}
