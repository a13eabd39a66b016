/** A Python application with aiohttp gets on with the HTTP API: the phases one after the other, and 0 failed writes. Skipped where Python has no aiohttp (pip install aiohttp). */
import { spawnSync, spawn } from 'node:child_process';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { setup } from './process-fixture.ts';

const hasAiohttp = spawnSync('python3', ['-c', 'import aiohttp']).status === 0;

test.skipIf(!hasAiohttp)(`a Python client with aiohttp${hasAiohttp ? '' : ' (skipped: python3 has no aiohttp)'}`, async () => {
  await using fixture = await setup();
  const { source, target, start } = fixture;
  for (const one of [source, target]) one.run('CREATE TABLE ks.assets (asset_id uuid PRIMARY KEY, title text, duration int, status text, created_at timestamp, updated_at timestamp)');
  const running = await start();
  const child = spawn('python3', [path.join(import.meta.dirname, 'http_client.py'), String(running.httpPort)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  const answers = text.trim().split('\n').map((line) => JSON.parse(line) as { what: string; status: number; body: Record<string, unknown> });
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(answers.filter(({ what }) => what === 'mode').map(({ body }) => body['mode'])).toEqual(['DualAsync', 'DualSync', 'TargetOnly']);
  expect(answers.filter(({ what, body }) => what === 'write' && body['success'] === true)).toHaveLength(23);
  expect(answers.at(-1)?.body).toMatchObject({ readable: true });
  expect(compareStores(source.database, target.database).differences).toEqual([]);
});
