/** Bodies survive compression; blocks of the formats' own documents are read; damaged blocks are refused and never read past their end. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressedFrame, compressions, plainFrame } from '../../../src/wire/cql/compression.ts';
import { makeFrame } from '../../../src/wire/cql/frame.ts';
import { lz4Compress, lz4Decompress } from '../../../src/wire/cql/lz4.ts';
import { snappyCompress, snappyDecompress } from '../../../src/wire/cql/snappy.ts';

const formats = [['lz4', lz4Compress, lz4Decompress], ['snappy', snappyCompress, snappyDecompress]] as const;
const LIMIT = 1 << 20;

/** Bytes that repeat themselves at all distances, and bytes that do not. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }).map((plain) => Buffer.from(plain)),
  fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 400 })), { maxLength: 12 }).map((runs) => Buffer.concat(runs.map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => Buffer.from(part)))))),
);

describe.each(formats)('%s', (_name, compress, decompress) => {
  test('gives back what it was given', () => {
    fc.assert(fc.property(bytes, (plain) => {
      expect(decompress(compress(plain), LIMIT).equals(plain)).toBe(true);
    }), { numRuns: 400 });
  });

  test('makes repeated bytes small, over more than the largest distance too', () => {
    const plain = Buffer.alloc(200_000, 'abcdefgh');
    expect(compress(plain).length).toBeLessThan(plain.length / 10);
    const far = Buffer.concat([Buffer.from('needle-needle'), Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7919 + (index >> 3)) & 0xff)), Buffer.from('needle-needle')]);
    expect(decompress(compress(far), LIMIT).equals(far)).toBe(true);
  });

  test('refuses blocks that were cut or changed, or gives other bytes of the length that was said', () => {
    fc.assert(fc.property(bytes, fc.nat(), fc.integer({ min: 0, max: 255 }), (plain, place, value) => {
      const block = Buffer.from(compress(plain));
      block[place % block.length] = value;
      try {
        decompress(block.subarray(0, place % 3 === 0 ? Math.floor(block.length / 2) : block.length), LIMIT);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }), { numRuns: 500 });
  });

  test('refuses a length above the limit before it takes the memory', () => {
    expect(() => decompress(compress(Buffer.alloc(2000)), 1000)).toThrow(/2000 bytes/);
  });
});

test('blocks as the formats describe them', () => {
  // One literal, a match of 9 at distance 1, five literals.
  expect(lz4Decompress(Buffer.from([0, 0, 0, 15, 0x15, 0x61, 1, 0, 0x50, 0x68, 0x65, 0x6c, 0x6c, 0x6f]), LIMIT).toString()).toBe('aaaaaaaaaahello');
  expect(lz4Decompress(Buffer.from([0, 0, 0, 0, 0]), LIMIT)).toHaveLength(0);
  // Five literals; a copy of 6 at distance 5 in the short form, one of 3 at distance 11 in the form with two bytes.
  expect(snappyDecompress(Buffer.from([14, 0x10, 0x68, 0x65, 0x6c, 0x6c, 0x6f, (2 << 2) | 1, 5, (2 << 2) | 2, 11, 0]), LIMIT).toString()).toBe('hellohellohhel');
});

test.each(compressions)('a frame is the same behind %s, and not compressed where that is no use', (compression) => {
  const frame = makeFrame({ version: 0x84, stream: 77, opcode: 8, flags: 8 }, Buffer.alloc(5000, 'row '));
  const small = compressedFrame(frame, 0, frame.length, compression);
  expect(small?.[1]).toBe(9);
  expect(small && plainFrame(small, 0, small.length, compression).equals(frame)).toBe(true);
  const short = makeFrame({ version: 0x84, stream: 77, opcode: 8 }, Buffer.from([1, 2, 3]));
  expect(compressedFrame(short, 0, short.length, compression)).toBeUndefined();
});
