/** Memory that a reader still needs is never read into again, whatever it keeps, however large or small the chunks are. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LargeBuffers, SocketInput } from '../../src/wire/socket-input.ts';

it('chunks that were kept stay what they were', () => {
  const chunk = fc.record({ bytes: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 70_000 })), keeps: fc.boolean(), isBehind: fc.boolean() });
  fc.assert(fc.property(fc.array(chunk, { maxLength: 200 }), (chunks) => {
    const input = new SocketInput();
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

it('of many connections that wait for no answer, few keep a large buffer, whatever they have read before', () => {
  const large = new LargeBuffers();
  const connect = (): { readonly input: SocketInput; read(bytes: number): number; isIdle(is: boolean): void } => {
    const input = new SocketInput(large);
    const { buffer, callback } = input.options.onread as { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
    const reader = { keeps: () => false, take: () => true, idle: false };
    input.attach(reader);
    return {
      input,
      // As the socket does: the next buffer is asked for as soon as the last has been taken.
      read: (bytes) => {
        const memory = buffer();
        callback(Math.min(bytes, memory.length), memory);
        return buffer().length;
      },
      isIdle: (is) => (reader.idle = is),
    };
  };
  const first = connect();
  expect([100, 9_000, 9_000, 70_000, 3_000].map(first.read)).toEqual([2_048, 8_192, 65_536, 65_536, 65_536]);
  first.isIdle(true);
  expect(first.read(100)).toBe(65_536);
  const all = Array.from({ length: 200 }, connect);
  const atRest = all.map((each) => {
    for (const bytes of [9_000, 9_000, 70_000]) each.read(bytes);
    each.isIdle(true);
    return each.read(100);
  });
  expect(atRest.filter((bytes) => bytes === 65_536).length).toBeLessThan(40);
  expect(new Set(atRest)).toEqual(new Set([65_536, 8_192]));
  for (const { input } of [first, ...all]) input.close();
  expect(large.areShort).toBe(false);
});

it('nor do those keep it that have sent a large value, and are silent until it is answered', () => {
  const large = new LargeBuffers();
  const atRest = Array.from({ length: 200 }, () => {
    const { buffer, callback } = connect(large);
    for (const bytes of [2_048, 8_192, 65_536, 65_536]) callback(bytes, buffer());
    callback(20_000, buffer());
    return buffer().length;
  });
  expect(atRest.filter((bytes) => bytes === 65_536).length).toBeLessThan(40);
});

/** What its socket calls; its reader takes everything, and always waits for an answer. */
function connect(large: LargeBuffers): { readonly buffer: () => Uint8Array; readonly callback: (bytes: number, buffer: Uint8Array) => boolean } {
  const input = new SocketInput(large);
  input.attach({ keeps: () => false, take: () => true, idle: false });
  return input.options.onread as { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
}
