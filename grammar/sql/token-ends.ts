/**
 * Where tokens end, by the rules of PostgreSQL's scanner. Every function takes the bytes, the offset of the token's first byte and the
 * offset behind the text, and gives the offset behind the token, or -1 when it is unterminated or one that the scanner looks into.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
import { byteClass, byteClasses } from './byte-classes.ts';

const quote = 0x27;
const backslash = 0x5c;
const dollar = 0x24;

export function classAt(bytes: Uint8Array, at: number, end: number): number {
  return at < end ? (byteClasses[bytes[at] ?? 0] ?? 0) : 0;
}

export function byteAt(bytes: Uint8Array, at: number, end: number): number {
  return at < end ? (bytes[at] ?? 0) : 0;
}

export function wordEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  for (; at < end; at += 1) {
    const kind = byteClasses[bytes[at] ?? 0];
    if (kind !== byteClass.word && kind !== byteClass.digit && kind !== byteClass.dollar) break;
  }
  return at;
}

/** `'…'` with standard_conforming_strings on. */
export function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at += 1) {
    if (bytes[at] !== quote) continue;
    if (byteAt(bytes, at + 1, end) !== quote) return at + 1;
    at += 1;
  }
  return -1;
}

/** The quoted part of `E'…'`. Octal, hexadecimal and Unicode escapes can be wrong in ways that the scanner reports. */
export function escapeStringEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at += 1) {
    if (bytes[at] === backslash) {
      if (!isSimpleEscape(byteAt(bytes, at + 1, end))) return -1;
      at += 1;
    } else if (bytes[at] === quote) {
      if (byteAt(bytes, at + 1, end) !== quote) return at + 1;
      at += 1;
    }
  }
  return -1;
}

/** Backslash, quote, and the letters that stand for one control character. */
function isSimpleEscape(byte: number): boolean {
  return byte === backslash || byte === quote || byte === 0x6e || byte === 0x74 || byte === 0x72 || byte === 0x62 || byte === 0x66;
}

/** `"…"`, and the quoted part of `B'…'` and `X'…'`: up to the next quote of the kind it begins with. */
export function nextQuoteEnd(bytes: Uint8Array, start: number, end: number): number {
  const kind = bytes[start];
  for (let at = start + 1; at < end; at += 1) if (bytes[at] === kind) return at + 1;
  return -1;
}

export function lineCommentEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at += 1;
  return at;
}

/** Comments nest. */
export function blockCommentEnd(bytes: Uint8Array, start: number, end: number): number {
  let depth = 1;
  for (let at = start + 2; at < end; at += 1) {
    const next = byteAt(bytes, at + 1, end);
    if (bytes[at] === 0x2f && next === 0x2a) depth += 1;
    else if (bytes[at] === 0x2a && next === 0x2f) depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return -1;
}

/** Behind white space and comments; a comment that does not end is none. */
export function spaceEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (;;) {
    const next = byteAt(bytes, at + 1, end);
    if (classAt(bytes, at, end) === byteClass.space) at += 1;
    else if (byteAt(bytes, at, end) === 0x2d && next === 0x2d) at = lineCommentEnd(bytes, at, end);
    else if (byteAt(bytes, at, end) === 0x2f && next === 0x2a) {
      const behind = blockCommentEnd(bytes, at, end);
      if (behind < 0) return at;
      at = behind;
    } else return at;
  }
}

/** `$$…$$`, `$tag$…$tag$`. */
export function dollarStringEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  for (let kind = classAt(bytes, at, end); kind === byteClass.word || (kind === byteClass.digit && at > start + 1); kind = classAt(bytes, at, end)) at += 1;
  if (byteAt(bytes, at, end) !== dollar) return -1;
  const length = at + 1 - start;
  for (at = start + length; at + length <= end; at += 1) {
    if (bytes[at] !== dollar) continue;
    let same = 1;
    while (same < length && bytes[at + same] === bytes[start + same]) same += 1;
    if (same === length) return at + length;
  }
  return -1;
}

/** `$1`; a letter glued to it is an error. */
export function parameterEnd(bytes: Uint8Array, start: number, end: number): number {
  const at = digitsEnd(bytes, start + 1, end);
  return classAt(bytes, at, end) === byteClass.word ? -1 : at;
}

/** Decimal integers, and numbers with a point or an exponent; -1 for any other form, and for anything glued to one. */
export function numberEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = digitsEnd(bytes, start, end);
  if (byteAt(bytes, at, end) === 0x2e) at = digitsEnd(bytes, at + 1, end);
  if ((byteAt(bytes, at, end) | 0x20) === 0x65) {
    const sign = byteAt(bytes, at + 1, end);
    const exponent = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
    at = digitsEnd(bytes, exponent, end);
    if (at === exponent) return -1;
  }
  const next = classAt(bytes, at, end);
  return next === byteClass.word || next === byteClass.digit || next === byteClass.dot || next === byteClass.dollar ? -1 : at;
}

/** Whether a number is an integer of 32 bits: the grammar has another token for those. */
export function isSmallInteger(bytes: Uint8Array, start: number, end: number): boolean {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    if (byteClasses[bytes[at] ?? 0] !== byteClass.digit) return false;
    value = value * 10 + (bytes[at] ?? 0) - 0x30;
    if (value > 0x7fffffff) return false;
  }
  return true;
}

function digitsEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (classAt(bytes, at, end) === byteClass.digit) at += 1;
  return at;
}

/** Strings with only space and comments between them may be one string, or an error, as the line breaks fall. */
export function isFollowedByString(bytes: Uint8Array, from: number, end: number): boolean {
  let at = from;
  for (;;) {
    const kind = classAt(bytes, at, end);
    if (kind === byteClass.space) at += 1;
    else if (kind === byteClass.dash && byteAt(bytes, at + 1, end) === 0x2d) at = lineCommentEnd(bytes, at, end);
    else if (kind === byteClass.slash && byteAt(bytes, at + 1, end) === 0x2a) {
      at = blockCommentEnd(bytes, at, end);
      if (at < 0) return true;
    } else return kind === byteClass.quote;
  }
}
