/** Tokens are the server's: as Cassandra says them of single keys, and as the npm driver computes them of any. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maxToken, minToken, murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';

interface Tokenizer { hash(value: Buffer): { getValue(): { toString(): string } } }
const { Murmur3Tokenizer } = createRequire(import.meta.url)('cassandra-driver/lib/tokenizer') as { Murmur3Tokenizer: new () => Tokenizer };

test('of an int, as Cassandra answers SELECT token(k)', () => {
  expect(murmur3Token(Uint8Array.of(0, 0, 0, 1))).toBe(-4069959284402364209n);
});

test('of any bytes, as the driver says', () => {
  const theirs = new Murmur3Tokenizer();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 70 }), (key) => {
    expect(murmur3Token(key).toString()).toBe(theirs.hash(Buffer.from(key)).getValue().toString());
  }), { numRuns: 3000 });
});

test('no token is the least one', () => {
  expect(murmur3Token(new Uint8Array())).toBe(0n);
  expect([minToken, maxToken]).toEqual([-9223372036854775808n, 9223372036854775807n]);
});

test('a key of several columns has their lengths in it', () => {
  expect([...partitionKeyBytes([Uint8Array.of(7)])]).toEqual([7]);
  expect([...partitionKeyBytes([Uint8Array.of(7), Uint8Array.of(), Uint8Array.of(8, 9)])]).toEqual([0, 1, 7, 0, 0, 0, 0, 0, 2, 8, 9, 0]);
  expect(() => partitionKeyBytes([new Uint8Array(65536), new Uint8Array(1)])).toThrow(RangeError);
});

test('bytes are read where they lie in a larger buffer', () => {
  const whole = Buffer.from('xxxxabcdefghijklmnopqrstuvwxyz');
  expect(murmur3Token(whole.subarray(4))).toBe(murmur3Token(new Uint8Array(Buffer.from('abcdefghijklmnopqrstuvwxyz'))));
});
