/**
 * Texts by which two engines compare values (RULES 29): each form is one text that both can compute in SQL, the same for equal values and
 * another for others. A row's text is its fields one after the other; which form a column has is decided once, for both sides.
 *
 * Hashes are the first half of SHA-256: MySQL 9.7 has no MD5 without a component.
 */
export type FieldForm =
  /** Digits, with the column's scale. */
  | { readonly kind: 'number' }
  /**
   * float4 and float8 by the bits of the float8 (`floatTiers`); a zero has no sign. Their decimal digits are no such form: servers do not agree on
   * when there is an exponent, nor on the shortest digits of a number on the border to the next, and MySQL 9.7 cuts the text of a small one at 22 characters.
   */
  | { readonly kind: 'float' }
  /** `YYYY-MM-DD[ HH:MM:SS[.f…]]`, zeros at the end of the fraction left out; an instant is in UTC. */
  | { readonly kind: 'date' | 'datetime' | 'instant' }
  /** A length of time or a time of day: `[-]HH:MM:SS[.f…]`. */
  | { readonly kind: 'time' }
  | { readonly kind: 'boolean' }
  /** The bytes of an address of the Internet, in hexadecimal digits: servers do not agree on which zeros are left out. */
  | { readonly kind: 'address' }
  | { readonly kind: 'bits'; readonly length: number }
  | { readonly kind: 'text' }
  /** Labels joined by commas. */
  | { readonly kind: 'labels' }
  /** By its SHA-256: it may be longer than what a server puts together in one text. */
  | { readonly kind: 'long_text' }
  | { readonly kind: 'bytes' };

/**
 * Sizes from `from` on, below the tier before. Times `factors`, all powers of two, a size is y with 1 <= y < 2^50: its whole part, and what is behind the point times
 * `fraction`, are integers below 2^53, which both engines have exactly, as every step on the way.
 */
export interface FloatTier {
  readonly name: string;
  readonly from: string;
  readonly factors: readonly string[];
}

const TIER_BITS = 50;
/** The exponents of float8 lie between -1074 and 1023. */
const highest = Math.floor(1023 / TIER_BITS);
const lowest = Math.floor(-1074 / TIER_BITS);
const powerOfTwo = (exponent: number): string => (2 ** exponent).toExponential();

/** Beginning with the largest. */
export const floatTiers: readonly FloatTier[] = Array.from({ length: highest - lowest + 1 }, (_, at) => {
  const tier = highest - at;
  const exponent = -tier * TIER_BITS;
  // 2^1100 is no float8.
  return { name: String(tier), from: tier === lowest ? '0e0' : powerOfTwo(-exponent), factors: exponent > 1000 ? [powerOfTwo(1000), powerOfTwo(exponent - 1000)] : [powerOfTwo(exponent)] };
});

/** 2^52. */
export const floatFraction = powerOfTwo(52);
/** Numbers of every day: looked for first. */
export const usualTiers: readonly (FloatTier & { readonly below: string })[] = floatTiers.flatMap((tier, at) => {
  const below = floatTiers[at - 1]?.from;
  return below !== undefined && (tier.name === '0' || tier.name === '-1') ? [{ ...tier, below }] : [];
});

/** Ends a field. In a text itself it is followed by another letter. */
export const FIELD_END = 0x1f;
/** What stands behind `FIELD_END`: the end of a field, a NULL, the character itself. */
export const fieldMark = { end: '.', null: 'n', itself: 'x' } as const;
