/**
 * PostgreSQL's `numeric` over BigInt, for the arithmetic that reports use. A value is `unscaled / 10^scale`; `scale` is the number
 * of digits shown, as in the server (manual §8.1.2).
 */
export interface Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
}

const SIGNIFICANT_DIGITS = 16;
const BASE_DIGITS = 4;
const MAX_SCALE = 1000;

export function parseDecimal(text: string): Decimal | undefined {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?\s*$/.exec(text);
  if (!match) return undefined;
  const whole = match[2] ?? '';
  const fraction = match[3] ?? '';
  if (whole === '' && fraction === '') return undefined;
  const exponent = Number(match[4] ?? 0);
  const unscaled = BigInt(`${whole}${fraction}`) * (match[1] === '-' ? -1n : 1n);
  const scale = fraction.length - exponent;
  return scale >= 0 ? { unscaled, scale } : { unscaled: unscaled * 10n ** BigInt(-scale), scale: 0 };
}

export function formatDecimal({ unscaled, scale }: Decimal): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { unscaled: rescale(a, scale) + rescale(b, scale), scale };
}

export function negateDecimal(a: Decimal): Decimal {
  return { unscaled: -a.unscaled, scale: a.scale };
}

export function multiplyDecimals(a: Decimal, b: Decimal): Decimal {
  return { unscaled: a.unscaled * b.unscaled, scale: a.scale + b.scale };
}

/** Scale of the quotient as `select_div_scale` of the server's numeric.c computes it: at least 16 significant digits. The divisor is not 0. */
export function divideDecimals(a: Decimal, b: Decimal): Decimal {
  const left = leadingDigit(a);
  const right = leadingDigit(b);
  const quotientWeight = left.weight - right.weight - (left.digit <= right.digit ? 1 : 0);
  const scale = Math.min(MAX_SCALE, Math.max(SIGNIFICANT_DIGITS - quotientWeight * BASE_DIGITS, a.scale, b.scale, 0));
  const numerator = a.unscaled * 10n ** BigInt(scale + b.scale + 1);
  const denominator = b.unscaled * 10n ** BigInt(a.scale);
  return roundDecimal({ unscaled: numerator / denominator, scale: scale + 1 }, scale);
}

/** Half away from zero; a negative `scale` rounds before the point. */
export function roundDecimal(a: Decimal, scale: number): Decimal {
  if (scale >= a.scale) return { unscaled: rescale(a, scale), scale };
  const unit = 10n ** BigInt(a.scale - scale);
  const half = a.unscaled < 0n ? -unit / 2n : unit / 2n;
  return restore((a.unscaled + half) / unit, scale);
}

export function truncateDecimal(a: Decimal, scale: number): Decimal {
  if (scale >= a.scale) return { unscaled: rescale(a, scale), scale };
  return restore(a.unscaled / 10n ** BigInt(a.scale - scale), scale);
}

export function floorDecimal(a: Decimal): Decimal {
  const whole = truncateDecimal(a, 0);
  return a.unscaled < 0n && rescale(whole, a.scale) !== a.unscaled ? { unscaled: whole.unscaled - 1n, scale: 0 } : whole;
}

function restore(unscaled: bigint, scale: number): Decimal {
  return scale >= 0 ? { unscaled, scale } : { unscaled: unscaled * 10n ** BigInt(-scale), scale: 0 };
}

/** A text that sorts as the numbers do and is equal for equal numbers (1.0 and 1.00). */
export function decimalKey({ unscaled, scale }: Decimal): string {
  if (unscaled === 0n) return '1';
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString();
  const exponent = String(50_000 + digits.length - scale).padStart(5, '0');
  const body = `${exponent}${digits.replace(/0+$/, '')}`;
  return unscaled > 0n ? `2${body}` : `0${[...body].map((digit) => 9 - Number(digit)).join('')}~`;
}

function rescale(a: Decimal, scale: number): bigint {
  return scale >= a.scale ? a.unscaled * 10n ** BigInt(scale - a.scale) : a.unscaled / 10n ** BigInt(a.scale - scale);
}

/** First digit in base 10,000 that is not 0, and its weight. */
function leadingDigit({ unscaled, scale }: Decimal): { readonly weight: number; readonly digit: number } {
  if (unscaled === 0n) return { weight: 0, digit: 0 };
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString();
  const weight = Math.floor((digits.length - scale - 1) / BASE_DIGITS);
  // Decimal places of the group that starts at this weight.
  const places = digits.length - scale - weight * BASE_DIGITS;
  return { weight, digit: Number(digits.slice(0, places).padEnd(places, '0')) };
}
