/** What goes out of an outbox comes in whole and in order, whether the other end takes it at once or lets it stand: a block is filled again only when the kernel has all of it. */
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Flusher, Outbox } from '../../src/cql/outbox.ts';

let ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function pair(): Promise<readonly [net.Socket, net.Socket]> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const near = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  const far = await accepted;
  ends = [() => near.destroy(), () => far.destroy(), () => server.close()];
  return [near, far];
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([['takes everything', false], ['lets it stand for long', true]])('to one that %s', async (_, isSlow) => {
  const [near, far] = await pair();
  const outbox = new Outbox(near, new Flusher());
  const got: Buffer[] = [];
  far.on('data', (chunk: Buffer) => got.push(chunk));
  if (isSlow) far.pause();
  const sent: Buffer[] = [];
  let bytes = 0;
  let most = 0;
  const put = (length: number): void => {
    const frame = Buffer.alloc(length, sent.length % 251);
    sent.push(frame);
    bytes += length;
    if (length % 3 === 0) outbox.pass(Buffer.from(frame));
    else {
      const at = outbox.reserve(length);
      frame.copy(outbox.block, at);
    }
  };
  // More than the kernel keeps for a reader that does not read.
  for (let count = 0; isSlow ? most < 256 * 1024 && bytes < 64e6 : bytes < 2e6; count += 1) {
    for (let each = 0; each < 20; each += 1) put(1 + ((count * 131 + each * 977) % 5000));
    if (count % 7 === 0) put(40_000);
    await turn();
    await turn();
    most = Math.max(most, outbox.backlog);
  }
  expect(outbox.backlog > 0).toBe(isSlow);
  far.resume();
  // The first bytes after a wait stand in a block of which an older part may still be under way.
  for (let count = 0; count < 50; count += 1) {
    put(1000);
    await turn();
  }
  await expect.poll(() => got.reduce((sum, { length }) => sum + length, 0), { interval: 5, timeout: 20_000 }).toBe(bytes);
  expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
  await expect.poll(() => outbox.backlog, { interval: 5 }).toBe(0);
});
