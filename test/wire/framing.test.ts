/** Property: however a stream is split into chunks, paused and resumed, the same messages are offered and the same bytes pass, in order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CUT, FrameScanner, PASS, STOP } from '../../src/wire/framing.ts';
import type { Verdict } from '../../src/wire/framing.ts';
import { message } from '../../src/wire/message.ts';

const stream = [message('Q', Buffer.from('SELECT 1\0')), message('S'), message('d', Buffer.alloc(300, 7)), message('X'), message('d', Buffer.alloc(40, 8)), message('P', Buffer.from('\0text\0'))];
const bytes = Buffer.concat(stream);

interface Seen {
  readonly types: string[];
  readonly passed: Buffer;
}

/** `judge` gets the number of times that a message was offered. */
function scan(chunks: readonly Buffer[], judge: (type: string, offered: number) => Verdict, limit = 1000): Seen & { violation: string | undefined } {
  const types: string[] = [];
  const passed: Buffer[] = [];
  let violation: string | undefined;
  let offered = 0;
  const scanner = new FrameScanner(
    {
      message: (type, buffer, start, length) => {
        const name = String.fromCharCode(type);
        expect(buffer.readInt32BE(start + 1)).toBe(length - 1);
        offered += 1;
        const verdict = judge(name, offered);
        if (verdict !== STOP) {
          types.push(name);
          offered = 0;
        }
        return verdict;
      },
      pass: (part) => passed.push(Buffer.from(part)),
      violation: (reason) => (violation = reason),
    },
    { maxMessageBytes: limit, streamed: 'd' },
  );
  for (const chunk of chunks) {
    scanner.push(chunk);
    while (scanner.paused) scanner.resume();
  }
  return { types, passed: Buffer.concat(passed), violation };
}

const cut = (at: readonly number[]): Buffer[] => {
  const edges = [0, ...[...at].sort((left, right) => left - right), bytes.length];
  return edges.slice(1).map((edge, index) => Buffer.from(bytes.subarray(edges[index], edge)));
};

describe('FrameScanner', () => {
  it('is the same at every split into two', () => {
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(scan(cut([at]), () => PASS)).toMatchObject({ types: ['Q', 'S', 'd', 'X', 'd', 'P'], passed: bytes });
    }
  });

  it('is the same at any splits, with messages cut out and refused at first', () => {
    const expected = Buffer.concat(stream.filter((part) => part[0] !== 0x53 && part.length !== 305));
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), fc.nat(3), (at, stops) => {
      let copies = 0;
      const seen = scan(cut(at), (type, offered) => {
        if (offered <= stops) return STOP;
        if (type === 'd') copies += 1;
        return type === 'S' || (type === 'd' && copies === 1) ? CUT : PASS;
      });
      expect(seen.types).toEqual(['Q', 'S', 'd', 'X', 'd', 'P']);
      expect(seen.passed.equals(expected)).toBe(true);
    }));
  });

  it('passes whole chunks without copying them', () => {
    const parts: Buffer[] = [];
    const scanner = new FrameScanner({ message: () => PASS, pass: (part) => parts.push(part), violation: () => undefined }, { maxMessageBytes: 1000, streamed: 'd' });
    scanner.push(bytes);
    expect(parts).toEqual([bytes]);
    expect(parts[0]).toBe(bytes);
  });

  it('offers nothing while it is paused, and keeps what comes meanwhile', () => {
    const types: string[] = [];
    const scanner = new FrameScanner({ message: (type) => {
      types.push(String.fromCharCode(type));
      return PASS;
    }, pass: () => undefined, violation: () => undefined }, { maxMessageBytes: 1000, streamed: 'd' });
    scanner.pause();
    scanner.push(bytes.subarray(0, 20));
    scanner.push(bytes.subarray(20));
    expect(types).toEqual([]);
    expect(scanner.buffered).toBe(bytes.length);
    scanner.resume();
    expect(types).toEqual(['Q', 'S', 'd', 'X', 'd', 'P']);
  });

  it('refuses lengths that cannot be, and messages above the limit unless they are streamed', () => {
    const short = Buffer.from([0x51, 0, 0, 0, 3]);
    expect(scan([short], () => PASS).violation).toMatch(/type "Q" has length 3/);
    expect(scan([Buffer.from([1, 0xff, 0xff, 0xff, 0xff])], () => PASS).violation).toMatch(/\\x01/);
    expect(scan([message('Q', Buffer.alloc(100))], () => PASS, 50).violation).toMatch(/length 104/);
    expect(scan([message('d', Buffer.alloc(100))], () => PASS, 50).violation).toBeUndefined();
  });

  it('never throws on garbage', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (chunks) => {
      scan(chunks.map((chunk) => Buffer.from(chunk)), () => PASS);
    }));
  });
});
