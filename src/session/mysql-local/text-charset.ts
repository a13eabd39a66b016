/** Character sets in which a client's texts come and go, as far as the gateway knows them: those of Unicode, ASCII, and latin1, which is Windows' 1252 at a MySQL server. */

/** Number of the usual collation, for columns of results; bytes of the longest character. */
interface Charset {
  readonly collation: number;
  readonly bytes: number;
}

const known: Readonly<Record<string, Charset>> = {
  utf8mb4: { collation: 45, bytes: 4 }, utf8mb3: { collation: 33, bytes: 3 }, utf8: { collation: 33, bytes: 3 }, latin1: { collation: 8, bytes: 1 }, ascii: { collation: 11, bytes: 1 }, binary: { collation: 63, bytes: 1 },
};

export function charsetOf(name: string): Charset | undefined {
  return known[name];
}

/** Bytes 0x80 to 0x9f of Windows' 1252; five of them are the control characters that they are in ISO 8859-1. */
const upper = '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';
const byteOf = new Map([...upper].map((character, index) => [character, 0x80 + index]));

/** Undefined: nobody here knows what the bytes mean. */
export function decodeText(bytes: Buffer, charset: string): string | undefined {
  if (charset.startsWith('utf8') || charset === 'binary') return bytes.toString('utf8');
  const text = bytes.toString('latin1');
  if (!/[\x80-\xff]/.test(text)) return text;
  return charset === 'latin1' ? text.replace(/[\x80-\x9f]/g, (character) => upper[character.charCodeAt(0) - 0x80] ?? character) : undefined;
}

/** What makes a result's bytes of UTF-8; undefined where those are what the client gets, characters of four bytes perhaps left aside. As at a server, what the set lacks becomes `?`. */
export function encoderOf(charset: string): ((text: string) => Buffer) | undefined {
  switch (charset) {
    case 'utf8mb3':
    case 'utf8':
      return (text) => Buffer.from(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '?'), 'utf8');
    case 'latin1':
      return (text) => Buffer.from(Array.from(text, (character) => byteOf.get(character) ?? (character >= '\x80' && character <= '\x9f' ? 0x3f : character <= '\xff' ? character.charCodeAt(0) : 0x3f)));
    case 'ascii':
      return (text) => Buffer.from(Array.from(text, (character) => (character <= '\x7f' ? character.charCodeAt(0) : 0x3f)));
    default:
      return undefined;
  }
}
