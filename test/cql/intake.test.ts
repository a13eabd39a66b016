/** What has come from a socket stays as it is for whoever keeps it, whatever comes after it there or on other sockets. */
import { randomBytes } from 'node:crypto';
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { processClock } from '../../config/process-runtime.ts';
import { Intake } from '../../src/cql/intake.ts';
import { TurnClock } from '../../src/cql/turn-clock.ts';

const SIZES = [1, 9, 122, 4_000, 8_191, 8_192, 40_000, 130_000];

test.each(['accepted', 'connected'] as const)('of sockets that were %s', async (which) => {
  const intake = new Intake(new TurnClock(processClock));
  const kept = new Map<net.Socket, Buffer[]>();
  const keep = (socket: net.Socket) => (bytes: Buffer, start: number, end: number): void => void kept.get(socket)?.push(bytes.subarray(start, end));
  const others: net.Socket[] = [];
  const server = net.createServer((socket) => {
    if (which === 'connected') {
      others.push(socket);
      return;
    }
    kept.set(socket, []);
    intake.listen(socket, keep(socket));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  for (let index = 0; index < 4; index += 1) {
    const socket: net.Socket = net.connect({ host: '127.0.0.1', port, ...(which === 'connected' ? { onread: intake.options((bytes, start, end) => keep(socket)(bytes, start, end)) } : {}) });
    if (which === 'connected') kept.set(socket, []);
    else others.push(socket);
  }
  await expect.poll(() => others.length + kept.size).toBe(8);
  const sent = others.map((socket, index) => {
    const parts = Array.from({ length: 60 }, (_, round) => Buffer.concat([Buffer.from([index]), randomBytes(SIZES[(round * 5 + index) % SIZES.length] ?? 1)]));
    return { socket, all: Buffer.concat(parts), parts };
  });
  for (let round = 0; round < 60; round += 1) {
    await Promise.all(sent.map(({ socket, parts }) => new Promise<void>((resolve) => socket.write(parts[round] ?? Buffer.alloc(0), () => resolve()))));
  }
  const total = sent.reduce((sum, { all }) => sum + all.length, 0);
  await expect.poll(() => [...kept.values()].flat().reduce((sum, { length }) => sum + length, 0)).toBe(total);
  const got = [...kept.values()].map((parts) => Buffer.concat(parts)).sort((one, other) => (one[0] ?? 0) - (other[0] ?? 0));
  got.forEach((bytes, index) => expect(bytes.equals(sent[index]?.all ?? Buffer.alloc(0))).toBe(true));
  for (const socket of [...others, ...kept.keys()]) socket.destroy();
  server.close();
});
