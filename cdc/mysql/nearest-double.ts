/**
 * The nearest double of a decimal text, read from its bytes; NaN where they are no number.
 *
 * A number of up to 53 bits and a power of ten that is exact need one division, which rounds once. With up to 19 digits, as most doubles are printed, the quotient is made of two doubles
 * (T. J. Dekker, A floating-point technique for extending the available precision, 1971), and taken when what these leave open cannot change the rounding. All else is the engine's, for which
 * the bytes have to become a string.
 */
const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const POINT = 0x2e;
const UPPER_DIGITS = 15;
const MOST_DIGITS = 19;
const SPLITTER = 2 ** 27 + 1;
/** Of the second double, which two roundings have made. */
const DOUBT = 2 ** -48;
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

export function nearestDouble(from: Buffer, at: number, end: number): number {
  const isNegative = from[at] === MINUS;
  let upper = 0;
  let lower = 0;
  let digits = 0;
  let exponent = 0;
  let isBehindPoint = false;
  let next = isNegative ? at + 1 : at;
  const first = next;
  for (; next < end; next += 1) {
    const byte = from[next] as number;
    if (byte === POINT && !isBehindPoint) {
      isBehindPoint = true;
      continue;
    }
    if (byte < ZERO || byte > NINE || digits === MOST_DIGITS) break;
    if (digits < UPPER_DIGITS) upper = upper * 10 + byte - ZERO;
    else lower = lower * 10 + byte - ZERO;
    // Zeros in front are none of its digits.
    if (upper > 0) digits += 1;
    if (isBehindPoint) exponent += 1;
  }
  const divisor = powersOfTen[exponent];
  if (next === end && divisor !== undefined && next - first > (isBehindPoint ? 1 : 0)) {
    const value = digits <= UPPER_DIGITS ? upper / divisor : quotient(upper, powersOfTen[digits - UPPER_DIGITS] as number, lower, divisor);
    if (value === value) return isNegative ? -value : value;
  }
  const text = from.toString('latin1', at, end);
  return text === '' ? Number.NaN : Number(text);
}

/** `(upper × factor + lower) / divisor`, whole numbers below 2⁵³, or NaN where the nearest double is in doubt. */
function quotient(upper: number, factor: number, lower: number, divisor: number): number {
  const product = upper * factor;
  // Both are whole and small: their sum is exact.
  const rest = productError(upper, factor, product) + lower;
  const dividend = product + rest;
  const dividendRest = rest - (dividend - product);
  const high = dividend / divisor;
  const back = high * divisor;
  const low = (dividend - back - productError(high, divisor, back) + dividendRest) / divisor;
  const doubt = Math.abs(low) * DOUBT;
  const value = high + (low + doubt);
  return value === high + (low - doubt) ? value : Number.NaN;
}

/** What `one * other` is more than `product`, its rounded value. */
function productError(one: number, other: number, product: number): number {
  const oneShifted = one * SPLITTER;
  const oneHigh = oneShifted - (oneShifted - one);
  const oneLow = one - oneHigh;
  const otherShifted = other * SPLITTER;
  const otherHigh = otherShifted - (otherShifted - other);
  const otherLow = other - otherHigh;
  return oneHigh * otherHigh - product + oneHigh * otherLow + oneLow * otherHigh + oneLow * otherLow;
}
