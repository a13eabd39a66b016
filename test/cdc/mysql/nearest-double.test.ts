/** A decimal text is read as the double that the engine reads it as, which is the nearest one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearestDouble } from '../../../cdc/mysql/nearest-double.ts';

const read = (text: string): number => nearestDouble(Buffer.from(`x${text}9`), 1, 1 + text.length);
const digits = (least: number, most: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9]{${least},${most}}$`));

describe('the nearest double', () => {
  test.each(['0', '-0', '0.0', '1', '-1.5', '.5', '5.', '0.1', '0.000123', '123456789012345', '1234567890123456', '9007199254740993', '9007199254740992.5', '18014398509481985', '200000.33333333334', '9999999999999999999',
    '1844674407370955161.5', '99999999999999999999', '0.0000000000000000000001', '0.00000000000000000000012345', '1e10', '-2.5E-300', '1.7976931348623157e308', '4.9e-324', '1234567890.12345678901', '00000000000000000000000001.5'])('of %s', (text) => {
    expect(read(text)).toBe(Number(text));
  });

  test.each(['', '-', '.', '-.', 'one', '1.2.3', '1-2', '12a', '--1'])('of "%s" is none', (text) => {
    expect(read(text)).toBeNaN();
  });

  test('of anything else is the same', () => {
    const sign = fc.constantFrom('', '-');
    const asPrinted = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => `${value}`);
    // Between two doubles, or a digit beside that.
    const halfway = fc.tuple(fc.bigInt(1n << 52n, (1n << 53n) - 1n), fc.nat(10), fc.constantFrom('', '0', '1', '5')).map(([mantissa, power, more]) => {
      const [whole, scale] = [(2n * mantissa + 1n) * 5n ** BigInt(power + 1), power + 1];
      const text = `${whole}`.padStart(scale + 1, '0');
      return `${text.slice(0, -scale)}.${text.slice(-scale)}${more}`;
    });
    const any = fc.oneof(asPrinted, fc.tuple(digits(1, 18), digits(1, 9)).map((parts) => parts.join('.')), fc.tuple(digits(1, 6), digits(9, 14)).map((parts) => parts.join('.')), halfway);
    fc.assert(fc.property(sign, any, (minus, text) => {
      const whole = text.startsWith('-') ? text : minus + text;
      expect(Object.is(read(whole), Number(whole)), whole).toBe(true);
    }), { numRuns: 5000, seed: 7 });
  });
});
