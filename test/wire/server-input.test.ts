/** Memory that a reader still needs is never read into again, whatever it keeps, however large or small the chunks are. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ServerInput } from '../../src/wire/server-input.ts';

it('chunks that were kept stay what they were', () => {
  const chunk = fc.record({ bytes: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 70_000 })), keeps: fc.boolean(), isBehind: fc.boolean() });
  fc.assert(fc.property(fc.array(chunk, { maxLength: 200 }), (chunks) => {
    const input = new ServerInput();
    const { buffer, callback } = input.options.onread as { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
    const kept: { readonly chunk: Buffer; readonly value: number; readonly bytes: number }[] = [];
    let now = { keeps: false, isBehind: false };
    let seen = 0;
    let value = 0;
    input.attach({
      keeps: () => now.isBehind,
      take: (taken) => {
        seen += taken.length;
        expect(taken.every((byte) => byte === value)).toBe(true);
        if (now.keeps || now.isBehind) kept.push({ chunk: taken, value, bytes: taken.length });
        return !now.keeps && !now.isBehind;
      },
    });
    let sent = 0;
    for (const each of chunks) {
      now = each;
      // As the socket does: fills what it was given, at most to its end, and asks for the next buffer.
      for (let left = each.bytes; left > 0; ) {
        const memory = buffer();
        const bytes = Math.min(left, memory.length);
        value = (value + 1) % 256;
        memory.fill(value, 0, bytes);
        callback(bytes, memory);
        left -= bytes;
        sent += bytes;
      }
    }
    expect(seen).toBe(sent);
    for (const { chunk: memory, value: was, bytes } of kept) expect([memory.length, memory.every((byte) => byte === was)]).toEqual([bytes, true]);
  }), { numRuns: 50 });
});

it('a connection that waits for no answer keeps a small buffer, whatever it has read before', () => {
  const input = new ServerInput();
  const { buffer, callback } = input.options.onread as { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
  const reader = { keeps: () => false, take: () => true, idle: false };
  input.attach(reader);
  const read = (bytes: number): number => {
    const memory = buffer();
    callback(Math.min(bytes, memory.length), memory);
    return memory.length;
  };
  expect([100, 9_000, 9_000, 70_000, 70_000, 3_000, 70_000].map(read)).toEqual([2_048, 2_048, 8_192, 65_536, 65_536, 65_536, 65_536]);
  reader.idle = true;
  expect([3_000, 100, 9_000, 9_000, 100].map(read)).toEqual([65_536, 8_192, 8_192, 65_536, 8_192]);
});
