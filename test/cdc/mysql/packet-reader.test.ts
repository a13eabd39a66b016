/** Packets come out whole and in order, however what a server sends is cut into pieces; a number that is not its turn's ends the reading. */
import { describe, expect, test } from 'vitest';
import { PacketReader } from '../../../cdc/mysql/packet-reader.ts';

function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence & 0xff;
  return Buffer.concat([head, payload]);
}

/** Payloads that the pieces make. */
function read(pieces: readonly Buffer[]): Buffer[] {
  const reader = new PacketReader();
  const found: Buffer[] = [];
  reader.begin();
  for (const piece of pieces) reader.push(piece, (bytes, at, end) => found.push(Buffer.from(bytes.subarray(at, end))));
  return found;
}

const payloads = [3, 0, 1, 250, 0, 0, 70, 9].map((length, index) => Buffer.alloc(length, index + 1));
const stream = Buffer.concat(payloads.map((payload, index) => packet(index + 1, payload)));

describe('packets', () => {
  test('that are cut at any two places', () => {
    for (let first = 0; first <= stream.length; first += 1) {
      for (let second = first; second <= stream.length; second += first % 20 === 0 ? 1 : 29) {
        expect(read([stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)])).toEqual(payloads);
      }
    }
  });

  test.each([1, 2, 3, 4, 5, 7, 64])('in pieces of %i bytes', (size) => {
    expect(read(Array.from({ length: Math.ceil(stream.length / size) }, (_, index) => stream.subarray(index * size, (index + 1) * size)))).toEqual(payloads);
  });

  test('whose payload goes on in the next one', () => {
    const long = Buffer.alloc(0xff_ffff, 5);
    const whole = Buffer.concat([packet(1, long), packet(2, Buffer.from('rest')), packet(3, Buffer.from('next'))]);
    const [first, second, ...others] = read([whole.subarray(0, 1000), whole.subarray(1000, 0xff_ffff), whole.subarray(0xff_ffff)]);
    expect([first?.length, first?.subarray(-4).toString(), second?.toString(), others]).toEqual([0xff_ffff + 4, 'rest', 'next', []]);
  });

  test('out of their turn are refused', () => {
    expect(() => read([packet(1, Buffer.from('a')), packet(3, Buffer.from('b'))])).toThrow(/out of step/);
    expect(() => read([packet(1, Buffer.from('a')), packet(3, Buffer.from('b')).subarray(0, 2), packet(3, Buffer.from('b')).subarray(2)])).toThrow(/out of step/);
  });
});
