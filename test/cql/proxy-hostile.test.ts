/** Whatever bytes a client sends, nobody else notices: connections to the clusters are shared, so nothing may leave on them that a node would close them for. */
import { once } from 'node:events';
import * as net from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyWriter } from '../../src/wire/cql/body-writer.ts';
import { ownId } from '../../src/cql/prepared-registry.ts';
import { defaultLimits } from '../../src/cql/proxy-options.ts';
import { makeFrame, opcodes } from '../../src/wire/cql/frame.ts';
import { Reader } from '../support/cql/bytes.ts';
import { FrameReader, readParameters } from '../support/cql/frames.ts';
import type { MockCluster } from '../support/cql/mock-cluster.ts';
import { proxyBetween, startFixture } from './proxy-fixture.ts';

const startup = makeFrame({ version: 4, stream: 0, opcode: opcodes.startup }, new BodyWriter().stringMap(new Map([['CQL_VERSION', '3.0.0']])).done());
const text = 'INSERT INTO ks.t (k, v) VALUES (?, ?)';

/** Frames as drivers send them; the prepared id is put in by the test. */
function samples(id: Buffer): Buffer[] {
  const values = (out: BodyWriter): BodyWriter => out.short(2).bytes(Buffer.from([0, 0, 0, 9])).bytes(Buffer.from('hostile'));
  return [
    makeFrame({ version: 4, stream: 1, opcode: opcodes.query }, values(new BodyWriter().longString(text).short(1).byte(0x01)).done()),
    makeFrame({ version: 4, stream: 2, opcode: opcodes.query }, new BodyWriter().longString('SELECT k FROM ks.t').short(1).byte(0x0c).int(10).bytes(Buffer.from([0xc5, 1, 2, 3, 4, 5, 6, 7])).done()),
    makeFrame({ version: 4, stream: 3, opcode: opcodes.prepare }, new BodyWriter().longString(text).done()),
    makeFrame({ version: 4, stream: 4, opcode: opcodes.execute }, values(new BodyWriter().shortBytes(id).short(1).byte(0x21)).long(5n).done()),
    makeFrame({ version: 4, stream: 5, opcode: opcodes.batch }, values(new BodyWriter().byte(0).short(1).byte(1).shortBytes(id)).short(1).byte(0).done()),
    makeFrame({ version: 4, stream: 6, opcode: opcodes.register }, new BodyWriter().stringList(['SCHEMA_CHANGE']).done()),
    makeFrame({ version: 4, flags: 4, stream: 7, opcode: opcodes.query }, new BodyWriter().short(1).string('k').bytes(Buffer.from('v')).longString('SELECT k FROM ks.t').short(1).byte(0).done()),
  ];
}

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
  await client.execute(text, [1, 'good'], { prepare: true });
  const connections = fixture.proxy.stats().counts.clusters.map((counts) => counts.connections);
  const frames = samples(ownId('', text));
  const damage = fc.record({ which: fc.nat({ max: frames.length - 1 }), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }), cut: fc.option(fc.nat({ max: 12 }), { nil: undefined }), more: fc.uint8Array({ maxLength: 6 }) });
  await fc.assert(fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 6 }), async (damages) => {
    const socket = net.connect(fixture.port, '127.0.0.1');
    const closed = once(socket, 'close');
    socket.on('error', () => undefined).on('data', () => undefined);
    socket.write(startup);
    // The handshake is over when its answer is there.
    await once(socket, 'data');
    for (const { which, at, value, cut, more } of damages) {
      const frame = frames[which] ?? startup;
      const body = Buffer.concat([frame.subarray(9, cut === undefined ? frame.length : Math.max(9, frame.length - cut)), Buffer.from(more)]);
      const damaged = makeFrame({ version: 4, flags: frame[1] ?? 0, stream: which, opcode: frame[4] ?? 0 }, body);
      damaged[9 + (at % Math.max(1, body.length))] = value;
      socket.write(damaged);
    }
    await client.execute(text, [2, 'good'], { prepare: true });
    socket.end();
    await Promise.race([closed, client.execute('SELECT k FROM ks.t WHERE k = 2', [], { prepare: true })]);
    socket.destroy();
  }), { numRuns: 150 });
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
