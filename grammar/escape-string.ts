/**
 * The inside of `E'…'`: C-style escapes.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE
 */
const named: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

const escape = /\\(?:([0-7]{1,3})|x([\da-fA-F]{1,2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))|''/g;

/**
 * `parts` are the strings that were written one behind the other; an escape does not reach into the next. Undefined when an
 * escape means nothing: a `\u` without its digits, a code point that does not exist, bytes (`\377`, `\xff`) that are no UTF-8,
 * or a NUL.
 */
export function decodeEscapes(parts: readonly string[]): string | undefined {
  const bytes: Uint8Array[] = [];
  for (const part of parts) {
    let done = 0;
    for (const match of part.matchAll(escape)) {
      const escaped = escapedBytes(match);
      if (escaped === undefined) return undefined;
      bytes.push(encode(part.slice(done, match.index)), escaped);
      done = match.index + match[0].length;
    }
    bytes.push(encode(part.slice(done)));
  }
  return decodeUtf8(bytes);
}

function escapedBytes(match: RegExpExecArray): Uint8Array | undefined {
  const [whole, octal, hex, short, long, other] = match;
  if (octal !== undefined) return Uint8Array.of(Number.parseInt(octal, 8) & 0xff);
  if (hex !== undefined) return Uint8Array.of(Number.parseInt(hex, 16));
  const codePoint = short ?? long;
  if (codePoint !== undefined) return unicode(Number.parseInt(codePoint, 16));
  if (whole === "''") return encode("'");
  // A surrogate pair may be spelled as two escapes; nobody needs it, so it is refused like any half.
  if (other === 'u' || other === 'U') return undefined;
  return encode(other === undefined ? '' : named[other] ?? other);
}

function unicode(codePoint: number): Uint8Array | undefined {
  const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  return codePoint > 0x10ffff || isSurrogate ? undefined : encode(String.fromCodePoint(codePoint));
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decodeUtf8(parts: readonly Uint8Array[]): string | undefined {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
