/**
 * Texts by which two engines compare values (RULES 29): each form is one text that both can compute in SQL, the same for equal values and
 * another for others. A row's text is its fields one after the other; which form a column has is decided once, for both sides.
 *
 * Hashes are the first half of SHA-256: MySQL 9.7 has no MD5 without a component.
 */
export type FieldForm =
  /** Digits, with the column's scale. */
  | { readonly kind: 'number' }
  /** float4 and float8, by the shortest digits of the float8. */
  | { readonly kind: 'float' }
  /** `YYYY-MM-DD[ HH:MM:SS[.f…]]`, zeros at the end of the fraction left out; an instant is in UTC. */
  | { readonly kind: 'date' | 'datetime' | 'instant' }
  /** A length of time or a time of day: `[-]HH:MM:SS[.f…]`. */
  | { readonly kind: 'time' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'bits'; readonly length: number }
  | { readonly kind: 'text' }
  /** Labels joined by commas. */
  | { readonly kind: 'labels' }
  /** By its SHA-256: it may be longer than what a server puts together in one text. */
  | { readonly kind: 'long_text' }
  | { readonly kind: 'bytes' };

/** Ends a field. In a text itself it is followed by another letter. */
export const FIELD_END = 0x1f;
/** What stands behind `FIELD_END`: the end of a field, a NULL, the character itself. */
export const fieldMark = { end: '.', null: 'n', itself: 'x' } as const;
