/** An accepted socket reads into memory that it is given, and is otherwise the socket that it was. */
import { once } from 'node:events';
import * as net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { readInto } from '../../src/wire/read-into.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function pair(path?: string): Promise<{ accepted: net.Socket; client: net.Socket; server: net.Server }> {
  const server = net.createServer({ noDelay: true });
  await new Promise<void>((resolve) => (path === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve)));
  const address = server.address();
  const client = typeof address === 'string' || address === null ? net.connect(path ?? '') : net.connect(address.port, '127.0.0.1');
  const accepted = await new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  stack.defer(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { accepted, client, server };
}

function collect(accepted: net.Socket, memory: () => Buffer): { text(): string; buffers: Set<Uint8Array>; isTaken: boolean } {
  const parts: string[] = [];
  const buffers = new Set<Uint8Array>();
  const isTaken = readInto(accepted, {
    buffer: memory,
    callback: (bytes, buffer) => {
      buffers.add(buffer);
      parts.push(Buffer.from(buffer).toString('latin1', 0, bytes));
      return true;
    },
  });
  return { text: () => parts.join(''), buffers, isTaken };
}

it.each([['TCP', undefined], ['a socket file', `/tmp/causeway-read-into-${process.pid}`]])('bytes come into the memory, over %s, whatever their number', async (_kind, path) => {
  const { accepted, client } = await pair(path);
  const memory = Buffer.alloc(100);
  const read = collect(accepted, () => memory);
  expect(read.isTaken).toBe(true);
  accepted.on('data', () => expect.unreachable('data events have ended'));
  accepted.resume();
  const sent = Array.from({ length: 5_000 }, (_, index) => String(index)).join(',');
  client.end(sent);
  await once(accepted, 'end');
  expect(read.text()).toBe(sent);
  expect([...read.buffers].every((buffer) => buffer.buffer === memory.buffer)).toBe(true);
});

it('stops while it is paused, and goes on', async () => {
  const { accepted, client } = await pair();
  const read = collect(accepted, () => Buffer.alloc(1000));
  accepted.resume();
  client.write('a');
  await expect.poll(read.text).toBe('a');
  accepted.pause();
  client.write('x'.repeat(20_000_000));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const paused = read.text().length;
  expect(paused).toBeLessThan(10_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(read.text().length).toBe(paused);
  accepted.resume();
  await expect.poll(() => read.text().length).toBe(20_000_001);
});

it('is known to its server until it has closed, and sees a reset', async () => {
  const { accepted, client, server } = await pair();
  collect(accepted, () => Buffer.alloc(10));
  accepted.resume();
  const count = (): Promise<number> => new Promise((resolve, reject) => server.getConnections((error, connections) => (error ? reject(error) : resolve(connections))));
  expect(await count()).toBe(1);
  const failed = once(accepted, 'error');
  client.resetAndDestroy();
  const [error] = await failed;
  expect(error).toMatchObject({ code: 'ECONNRESET' });
  await expect.poll(count).toBe(0);
});

it('what has come before is still read from the socket', async () => {
  const { accepted, client } = await pair();
  accepted.on('data', () => undefined).pause();
  accepted.removeAllListeners('data');
  accepted.resume();
  accepted.pause();
  client.write('early');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const read = collect(accepted, () => Buffer.alloc(10));
  const before: unknown = accepted.read();
  accepted.resume();
  client.write('late');
  await expect.poll(() => (Buffer.isBuffer(before) ? before.toString() : '') + read.text()).toBe('earlylate');
});
