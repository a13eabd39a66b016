/** Frames that are nearly right, from a client that cares about no answer. */
import { once } from 'node:events';
import * as net from 'node:net';
import type cassandra from 'cassandra-driver';
import fc from 'fast-check';
import { BodyWriter } from '../../src/wire/cql/body-writer.ts';
import { ownId } from '../../src/cql/prepared-registry.ts';
import { makeFrame, opcodes } from '../../src/wire/cql/frame.ts';

export const startup = makeFrame({ version: 4, stream: 0, opcode: opcodes.startup }, new BodyWriter().stringMap(new Map([['CQL_VERSION', '3.0.0']])).done());

/** Frames as drivers send them; the prepared id is put in by the test. */
function samples(id: Buffer, text: string, table: string): Buffer[] {
  const values = (out: BodyWriter): BodyWriter => out.short(2).bytes(Buffer.from([0, 0, 0, 9])).bytes(Buffer.from('hostile'));
  return [
    makeFrame({ version: 4, stream: 1, opcode: opcodes.query }, values(new BodyWriter().longString(text).short(1).byte(0x01)).done()),
    makeFrame({ version: 4, stream: 2, opcode: opcodes.query }, new BodyWriter().longString(`SELECT k FROM ${table}`).short(1).byte(0x0c).int(10).bytes(Buffer.from([0xc5, 1, 2, 3, 4, 5, 6, 7])).done()),
    makeFrame({ version: 4, stream: 3, opcode: opcodes.prepare }, new BodyWriter().longString(text).done()),
    makeFrame({ version: 4, stream: 4, opcode: opcodes.execute }, values(new BodyWriter().shortBytes(id).short(1).byte(0x21)).long(5n).done()),
    makeFrame({ version: 4, stream: 5, opcode: opcodes.batch }, values(new BodyWriter().byte(0).short(1).byte(1).shortBytes(id)).short(1).byte(0).done()),
    makeFrame({ version: 4, stream: 6, opcode: opcodes.register }, new BodyWriter().stringList(['SCHEMA_CHANGE']).done()),
    makeFrame({ version: 4, flags: 4, stream: 7, opcode: opcodes.query }, new BodyWriter().short(1).string('k').bytes(Buffer.from('v')).longString(`SELECT k FROM ${table}`).short(1).byte(0).done()),
  ];
}

/** `table` has `k int PRIMARY KEY, v text`. After each attack `client`, which is another's, writes and reads. */
export async function attack(port: number, client: cassandra.Client, table: string, numRuns: number): Promise<void> {
  const text = `INSERT INTO ${table} (k, v) VALUES (?, ?)`;
  await client.execute(text, [1, 'good'], { prepare: true });
  const frames = samples(ownId('', text), text, table);
  const damage = fc.record({ which: fc.nat({ max: frames.length - 1 }), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }), cut: fc.option(fc.nat({ max: 12 }), { nil: undefined }), more: fc.uint8Array({ maxLength: 6 }) });
  await fc.assert(fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 6 }), async (damages) => {
    const socket = net.connect(port, '127.0.0.1');
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
    await Promise.race([closed, client.execute(`SELECT k FROM ${table} WHERE k = 2`, [], { prepare: true })]);
    socket.destroy();
  }), { numRuns });
}
