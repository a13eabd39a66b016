/** A Python application with aiohttp gets on with the HTTP API: the phases one after the other, and 0 failed writes. */
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { bringPython } from '../../drivers/driver-packages.ts';
import { runProgram } from '../../drivers/run-program.ts';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { describeUnless } from '../../support/tools.ts';
import { setup } from './process-fixture.ts';

const brought = await bringPython({ package: 'aiohttp==3.13.2', needs: [], hasTests: false });
const { missing, python } = 'missing' in brought ? { missing: brought.missing, python: '' } : { missing: undefined, python: path.join(brought.path, 'bin', 'python') };

describeUnless(missing, 'a Python client with aiohttp', () => test('writes, and moves through the phases', async () => {
  await using fixture = await setup();
  const { source, target, start } = fixture;
  for (const one of [source, target]) one.run('CREATE TABLE ks.assets (asset_id uuid PRIMARY KEY, title text, duration int, status text, created_at timestamp, updated_at timestamp)');
  const running = await start();
  const { code, output, errors } = await runProgram(python, [path.join(import.meta.dirname, 'http_client.py'), String(running.httpPort)], { limitMs: 60_000 });
  expect(code, errors).toBe(0);
  const answers = output.trim().split('\n').map((line) => JSON.parse(line) as { what: string; status: number; body: Record<string, unknown> });
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(answers.filter(({ what }) => what === 'mode').map(({ body }) => body['mode'])).toEqual(['DualAsync', 'DualSync', 'TargetOnly']);
  expect(answers.filter(({ what, body }) => what === 'write' && body['success'] === true)).toHaveLength(23);
  expect(answers.at(-1)?.body).toMatchObject({ readable: true });
  expect(compareStores(source.database, target.database).differences).toEqual([]);
}));
