// A port that a test was given is nobody else's: neither another test's nor that of somebody who asks the kernel for any.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

const [lowestOfKernel = 0] = process.platform === 'linux' ? fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number) : [];

test.skipIf(lowestOfKernel < 12_000)('is below those that the kernel gives', async () => {
  for (let n = 0; n < 20; n += 1) expect(await freePort()).toBeLessThan(lowestOfKernel);
});

test.skipIf(lowestOfKernel < 12_000)('is given once on the whole machine, also when nobody listens yet', async () => {
  const given = await Promise.all(Array.from({ length: 300 }, freePort));
  const file = path.join(import.meta.dirname, 'free-port.ts');
  const { stdout } = spawnSync(process.execPath, ['-e', `import('${file}').then(async ({ freePort }) => { const ports = []; for (let n = 0; n < 300; n += 1) ports.push(await freePort()); console.log(ports.join()); })`], { encoding: 'utf8' });
  const others = stdout.trim().split(',').map(Number);
  expect(others).toHaveLength(300);
  expect(new Set([...given, ...others]).size).toBe(600);
});

test('is one that can be listened at', async () => {
  const port = await freePort();
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  expect((server.address() as net.AddressInfo).port).toBe(port);
  server.close();
});
