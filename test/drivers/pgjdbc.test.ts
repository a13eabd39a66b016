/** Property: a program of some 900 statements through pgjdbc (every query mode, autosave, batches, COPY, large objects, cursors, metadata, cancels) prints the same through the gateway, apart from what docs/drivers.md lists. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless, requireTool } from '../support/tools.ts';
import { bringJar } from './driver-packages.ts';
import { environmentOf, inEveryWay, throughWays } from './driver-servers.ts';
import type { ByWay, Target } from './driver-servers.ts';
import { lineDeviations, listedFor } from './outcomes.ts';
import { runProgram } from './run-program.ts';

const RUN_LIMIT_MS = 90_000;
const programs = path.join(import.meta.dirname, 'programs');
const [group, artifact, version] = ['org.postgresql', 'postgresql', '42.7.8'] as const;
const brought = await bringJar(group, artifact, version);

describeUnless('missing' in brought ? brought.missing : undefined, 'pgjdbc', () => {
  const folder = 'path' in brought ? brought.path : '';
  let outputs: ByWay<string>;

  async function runWorkload(target: Target): Promise<string> {
    const url = `jdbc:postgresql://${target.host}:${target.port}/${target.database}?user=${target.user}`;
    const ended = await runProgram(requireTool('java'), ['-cp', path.join(folder, `${artifact}-${version}.jar`), path.join(programs, 'PgjdbcWorkload.java'), url],
      { env: { ...environmentOf(target), TZ: 'UTC' }, limitMs: RUN_LIMIT_MS });
    if (ended.code !== 0) throw new Error(`the program ended with ${ended.code ?? 'a signal'}\n${ended.output.slice(-1000)}${ended.errors.slice(-2000)}`);
    return ended.output;
  }

  beforeAll(async () => {
    outputs = await inEveryWay({ setup: fs.readFileSync(path.join(programs, 'setup.sql'), 'utf8'), tables: ['item', 'entry'] }, runWorkload);
  }, 3 * RUN_LIMIT_MS);

  test('directly', () => {
    expect(Number(/^statements => (\d+)$/m.exec(outputs('direct'))?.[1])).toBeGreaterThan(900);
  });

  test.each(throughWays)('through the gateway, on local: %s', (way) => {
    expect(lineDeviations(outputs('direct'), outputs(way), listedFor('pgjdbc', way))).toEqual([]);
  });
});
