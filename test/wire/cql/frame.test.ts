/** Frames come out as they went in, wherever the stream is cut; what cannot be read on is said once. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { FrameSplitter, HEADER_BYTES, headerFlags, makeFrame, messageStart } from '../../../src/wire/cql/frame.ts';

interface Collected {
  readonly frames: Buffer[];
  readonly violations: string[];
}

function split(chunks: readonly Buffer[], maxBodyBytes?: number): Collected {
  const frames: Buffer[] = [];
  const violations: string[] = [];
  const splitter = new FrameSplitter({ frame: (buffer, start, end) => frames.push(Buffer.from(buffer.subarray(start, end))), violation: (reason) => violations.push(reason) }, maxBodyBytes);
  for (const chunk of chunks) splitter.push(chunk);
  return { frames, violations };
}

/** The bytes cut at these places, which are taken modulo what is left. */
function cutAt(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const size = Math.max(1, sizes.length === 0 ? 1 : (sizes[index % sizes.length] ?? 1));
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const frame = fc.record({ version: fc.constantFrom(3, 4, 0x83, 0x84, 5), stream: fc.integer({ min: -1, max: 32767 }), opcode: fc.integer({ min: 0, max: 16 }), flags: fc.integer({ min: 0, max: 15 }), body: fc.uint8Array({ maxLength: 300 }) });

describe('frames', () => {
  test('come whole from chunks cut anywhere', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 }), (frames, sizes) => {
      const made = frames.map(({ body, ...head }) => makeFrame(head, Buffer.from(body)));
      const { frames: found, violations } = split(cutAt(Buffer.concat(made), sizes));
      expect(violations).toEqual([]);
      expect(found.map((one) => one.toString('hex'))).toEqual(made.map((one) => one.toString('hex')));
    }), { numRuns: 300 });
  });

  test('come whole one byte at a time', () => {
    const made = [makeFrame({ version: 4, stream: 7, opcode: 5 }), makeFrame({ version: 4, stream: -1, opcode: 12 }, Buffer.alloc(1000, 3)), makeFrame({ version: 3, stream: 32767, opcode: 10 }, Buffer.from('x'))];
    expect(split(cutAt(Buffer.concat(made), [])).frames).toEqual(made);
  });

  test('of versions 1 and 2, whose header is shorter, are a violation at once', () => {
    expect(split([Buffer.from([2, 0, 0, 5, 0, 0, 0, 0, 0])])).toEqual({ frames: [], violations: ['protocol version 2'] });
  });

  test('that are too long are a violation before their body has come, and nothing follows', () => {
    const head = makeFrame({ version: 4, stream: 1, opcode: 7 }, Buffer.alloc(101)).subarray(0, HEADER_BYTES);
    const { frames, violations } = split([makeFrame({ version: 4, stream: 1, opcode: 7 }, Buffer.alloc(100)), head, makeFrame({ version: 4, stream: 1, opcode: 7 })], 100);
    expect(frames).toHaveLength(1);
    expect(violations).toEqual(['a frame of 101 bytes, the limit is 100']);
  });

  test('have their message behind tracing id, warnings and payload, in this order', () => {
    const before = new BodyWriter().raw(Buffer.alloc(16, 9)).stringList(['old', 'slow']).short(1).string('key').bytes(Buffer.from('value'));
    const body = Buffer.concat([before.done(), Buffer.from('message')]);
    const flags = headerFlags.tracing | headerFlags.warning | headerFlags.payload;
    const answer = makeFrame({ version: 0x84, flags, stream: 1, opcode: 8 }, body);
    expect(answer.toString('latin1', messageStart(answer, 0, answer.length))).toBe('message');
    // A request that asks for a trace has no id before it.
    const request = makeFrame({ version: 4, flags: headerFlags.tracing | headerFlags.payload, stream: 1, opcode: 7 }, Buffer.concat([new BodyWriter().short(1).string('k').bytes(undefined).done(), Buffer.from('text')]));
    expect(request.toString('latin1', messageStart(request, 0, request.length))).toBe('text');
    expect(() => messageStart(answer, 0, 20)).toThrow(RangeError);
  });
});
