/** Property: what is taken for a whole unit is one Query, or (Parse,) Bind, (Describe of the portal,) Execute and Sync, and nothing else; any bytes can be asked about. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { holdsNothing, isAllText, readUnit } from '../../src/wire/whole-unit.ts';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';

const bind = (portal: string, statement: string, formats: readonly number[] = [], values: readonly string[] = [], results: readonly number[] = []): Buffer => message('B', cstring(portal), cstring(statement), int16(formats.length), ...formats.map(int16), int16(values.length),
  ...values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)]), int16(results.length), ...results.map(int16));
const parts: Readonly<Record<string, Buffer>> = {
  Q: message('Q', cstring('SELECT 1')), P: message('P', cstring(''), cstring('SELECT $1'), int16(0)), p: message('P', cstring('named'), cstring('SELECT $1'), int16(1), int32(23)),
  B: bind('', ''), b: bind('', 'named', [0], ['x'], [1]), c: bind('portal', ''), D: message('D', Buffer.from('P'), cstring('')), d: message('D', Buffer.from('S'), cstring('named')),
  E: message('E', cstring(''), int32(0)), e: message('E', cstring(''), int32(5)), x: message('E', cstring('portal'), int32(0)), S: message('S'), H: message('H'), C: message('C', Buffer.from('S'), cstring('')), X: message('X'),
};
const wholeUnit = /^(?:Q|[Pp]?[Bb]D?ES)$/;

describe('a unit in one piece', () => {
  it('is one of the known forms, exactly', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(...Object.keys(parts)), { maxLength: 6 }), (names) => {
      const chunk = Buffer.concat(names.map((name) => parts[name] ?? Buffer.alloc(0)));
      expect(readUnit(chunk) !== undefined, names.join('')).toBe(wholeUnit.test(names.join('')));
    }), { numRuns: 5_000, examples: [[['B', 'E', 'S']], [['P', 'b', 'D', 'E', 'S']], [['Q', 'Q']], [['B', 'D', 'e', 'S']]] });
  });

  it('tells where its parts stand', () => {
    expect(readUnit(parts['Q'] ?? Buffer.alloc(0))).toEqual({ type: 'query', textStart: 5, textEnd: 13 });
    const [p, b, e, s] = ['p', 'b', 'E', 'S'].map((name) => parts[name] ?? Buffer.alloc(0));
    expect(readUnit(Buffer.concat([p ?? Buffer.alloc(0), b ?? Buffer.alloc(0), e ?? Buffer.alloc(0), s ?? Buffer.alloc(0)]))).toEqual({ type: 'extended', parseLength: p?.length, bindLength: b?.length, statement: 'named' });
  });

  it('is none when a byte is missing, too many, or another one', () => {
    const units = ['Q', 'BES', 'PBDES', 'pbES'].map((names) => Buffer.concat([...names].map((name) => parts[name] ?? Buffer.alloc(0))));
    for (const unit of units) {
      for (let length = 0; length < unit.length; length += 1) expect(readUnit(unit.subarray(0, length))).toBe(undefined);
      expect(readUnit(Buffer.concat([unit, Buffer.from('S')]))).toBe(undefined);
    }
    fc.assert(fc.property(fc.constantFrom(...units), fc.nat(), fc.nat(255), (unit, at, byte) => {
      const changed = Buffer.from(unit);
      changed[at % unit.length] = byte;
      expect(() => readUnit(changed)).not.toThrow();
    }), { numRuns: 5_000 });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(() => readUnit(Buffer.from(bytes))).not.toThrow();
    }), { numRuns: 5_000 });
  });
});

it('formats and lists', () => {
  for (const [formats, results, isText] of [[[], [], true], [[0], [0, 0], true], [[1], [], false], [[], [1], false], [[], [0, 1], false]] as const) {
    const chunk = Buffer.concat([Buffer.from('before'), bind('', 'named', formats, formats.map(() => 'x'), results)]);
    expect(isAllText(chunk, 6, chunk.length - 6)).toBe(isText);
  }
  expect(isAllText(Buffer.concat([bind('', '').subarray(0, 9)]), 0, 9)).toBe(false);
  expect([holdsNothing(Buffer.from([9, 0, 0]), 1), holdsNothing(Buffer.from([0, 1]), 0)]).toEqual([true, false]);
});
