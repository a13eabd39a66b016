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
   * float4 and float8, by the shortest digits of the float8; a zero has no sign. Small ones are written times a power of two, which loses
   * nothing (`floatTiers`): servers do not agree on when a small number gets an exponent, and MySQL 9.7 cuts the text of one at 22 characters.
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

export interface FloatTier {
  /** The sizes from here on, up to the tier before. */
  readonly from: string;
  readonly prefix: string;
  /** Powers of two: 2^1000, 2^200. */
  readonly factors: readonly string[];
}

export const floatTiers: readonly FloatTier[] = [
  { from: '1e-4', prefix: '', factors: [] },
  { from: '1e-300', prefix: 's', factors: ['1.0715086071862673e301'] },
  { from: '0', prefix: 't', factors: ['1.0715086071862673e301', '1.6069380442589903e60'] },
];

/** Ends a field. In a text itself it is followed by another letter. */
export const FIELD_END = 0x1f;
/** What stands behind `FIELD_END`: the end of a field, a NULL, the character itself. */
export const fieldMark = { end: '.', null: 'n', itself: 'x' } as const;
