/** The checksum of an intent is the published one, wherever its bytes stand, and no change within a word escapes it. */
import { describe, expect, test } from 'vitest';
import { mixedCheck } from '../../../src/cql/intents/mixed-check.ts';

const checkOf = (bytes: Buffer, from = 0, end = bytes.length): number => mixedCheck(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), from, end);

describe('the mixed check', () => {
  test.each([['', 0], ['test', 0xba6bd213], ['Hello, world!', 0xc0363e43], ['The quick brown fox jumps over the lazy dog', 0x2e4ff723]])('of "%s" is that of MurmurHash3', (text, expected) => {
    expect(checkOf(Buffer.from(text))).toBe(expected);
    expect(checkOf(Buffer.from(`before ${text} behind`), 7, 7 + text.length)).toBe(expected);
  });

  test('changes with every bit, and with the length', () => {
    for (const length of [1, 2, 3, 4, 7, 8, 141]) {
      const bytes = Buffer.alloc(length, 0x5c);
      const found = new Set([checkOf(bytes), checkOf(Buffer.alloc(length + 1, 0x5c))]);
      for (let bit = 0; bit < length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        found.add(checkOf(changed));
      }
      expect(found.size).toBe(length * 8 + 2);
    }
  });
});
