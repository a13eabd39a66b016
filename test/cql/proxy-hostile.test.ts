/** Whatever bytes a client sends, nobody else notices: connections to the clusters are shared, so nothing may leave on them that a node may close them for. */
import { once } from 'node:events';
import * as net from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultLimits } from '../../src/cql/proxy-options.ts';
import { opcodes } from '../../src/wire/cql/frame.ts';
import { Reader } from '../support/cql/bytes.ts';
import { FrameReader, readParameters } from '../support/cql/frames.ts';
import type { MockCluster } from '../support/cql/mock-cluster.ts';
import { attack, startup } from './hostile-frames.ts';
import { proxyBetween, startFixture } from './proxy-fixture.ts';

interface Tap extends AsyncDisposable {
  readonly port: number;
  /** Requests that cannot be read to their end, and there is nothing behind it. */
  readonly unreadable: string[];
}

/** Looks at what goes to a cluster with a reader of its own. */
async function tap(cluster: MockCluster): Promise<Tap> {
  const unreadable: string[] = [];
  const server = net.createServer((socket) => {
    const upstream = net.connect(cluster.port, cluster.address);
    const reader = new FrameReader();
    socket.on('data', (bytes) => {
      for (const { opcode, flags, body } of reader.push(bytes)) {
        const message = new Reader(body);
        try {
          if ((flags & 4) !== 0) for (let left = message.u16(); left > 0; left -= 1) message.take(message.string().length * 0 + Math.max(0, message.i32()));
          if (opcode === opcodes.query) readParameters((message.longString(), message));
          else if (opcode === opcodes.execute) readParameters((message.shortBytes(), message));
          else if (opcode === opcodes.prepare && (message.longString(), !message.isEnd)) throw new RangeError('bytes behind the text');
        } catch (error) {
          unreadable.push(`${opcode} ${body.toString('hex')}: ${String(error)}`);
        }
      }
      upstream.write(bytes);
    });
    upstream.pipe(socket);
    for (const [one, other] of [[socket, upstream], [upstream, socket]] as const) one.on('error', () => undefined).on('close', () => other.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as net.AddressInfo).port, unreadable, [Symbol.asyncDispose]: async () => void server.close() };
}

test('damaged frames end in an error of that client, and connections to the nodes live on', async () => {
  await using clusters = await startFixture();
  clusters.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  await using source = await tap(clusters.source);
  await using target = await tap(clusters.target);
  const options = { connectionsPerHost: 1, connectTimeoutMs: 5000, maxStreams: 1024 };
  await using fixture = await proxyBetween([source, target].map(({ port }) => ({ ...options, hosts: [{ host: '127.0.0.1', port }] })) as unknown as Parameters<typeof proxyBetween>[0], { mode: 'DualSync', limits: { ...defaultLimits, frameBytes: 100_000 } });
  const client = await fixture.client();
  await client.execute('SELECT k FROM ks.t');
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [0, 'first'], { prepare: true });
  const connections = fixture.proxy.stats().counts.clusters.map((counts) => counts.connections);
  await attack(fixture.port, client, 'ks.t', 150);
  await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(0);
  expect(fixture.proxy.stats().counts.clusters.map((counts) => counts.connections)).toEqual(connections);
  expect([...source.unreadable, ...target.unreadable].slice(0, 3)).toEqual([]);
  expect(fixture.logged.filter(({ level }) => level !== 'info')).toEqual([]);
});

test('random bytes too', async () => {
  await using fixture = await startFixture();
  await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), async (bytes, isOpen) => {
    const socket = net.connect(fixture.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    if (isOpen) socket.write(startup);
    socket.end(Buffer.from(bytes));
    await once(socket, 'close');
  }), { numRuns: 60 });
  const client = await fixture.client();
  await client.execute('SELECT key FROM system.local');
});
