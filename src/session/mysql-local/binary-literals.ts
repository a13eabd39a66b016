/**
 * Bytes that a client has written into a statement's text as they are become hexadecimal constants: what is left can be read as text. Some clients put
 * `_binary` before them, some do not: a string that is no text, or holds what no text of local can, is bytes.
 * https://dev.mysql.com/doc/refman/8.4/en/charset-introducer.html
 */
import { isUtf8 } from 'node:buffer';
import type { SessionFacts } from './session-facts.ts';
import { decodeText } from './text-charset.ts';

/** A string with or without its introducer, its content in one of the groups; an identifier; a comment. */
const withBackslashes = /(\b_binary\s*)?(?:'((?:[^'\\]|\\[\s\S]|'')*)'|"((?:[^"\\]|\\[\s\S]|"")*)")|`(?:[^`]|``)*`|--[\s][^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//gi;
const without = /(\b_binary\s*)?(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)")|`(?:[^`]|``)*`|--[\s][^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//gi;

const escapes: Readonly<Record<string, string>> = { 0: '\0', b: '\b', n: '\n', r: '\r', t: '\t', Z: '\x1a', '%': '\\%', _: '\\_' };

export interface LiteralMode {
  readonly hasBackslashes: boolean;
  /** Double quotes are around names. */
  readonly hasAnsiQuotes: boolean;
}

/** `text`: one character per byte. */
export function withoutBinaryLiterals(text: string, { hasBackslashes, hasAnsiQuotes }: LiteralMode): string {
  return text.replace(hasBackslashes ? withBackslashes : without, (whole, introducer: string | undefined, single: string | undefined, double: string | undefined) => {
    const inside = single ?? (hasAnsiQuotes ? undefined : double);
    if (inside === undefined) return whole;
    const quote = single === undefined ? '"' : "'";
    const unescaped = inside.replace(hasBackslashes ? /''|""|\\([\s\S])/g : /''|""/g, (found: string, escaped: string | undefined) => (escaped === undefined ? (found[0] === quote ? quote : found) : escapes[escaped] ?? escaped));
    const bytes = Buffer.from(unescaped, 'latin1');
    return introducer !== undefined || bytes.includes(0) || !isUtf8(bytes) ? `x'${bytes.toString('hex')}'` : whole;
  });
}

/** A statement's text as it came; undefined: some of its bytes are no text. */
export function textOf(bytes: Buffer, { clientCharset, sqlMode }: Pick<SessionFacts, 'clientCharset' | 'sqlMode'>): string | undefined {
  if (!clientCharset.startsWith('utf8') && clientCharset !== 'binary') return decodeText(bytes, clientCharset);
  const raw = bytes.toString('latin1');
  const mayHave = !isUtf8(bytes) || /_binary|\\0|\0/i.test(raw);
  const readable = mayHave ? Buffer.from(withoutBinaryLiterals(raw, { hasBackslashes: !sqlMode.has('NO_BACKSLASH_ESCAPES'), hasAnsiQuotes: sqlMode.has('ANSI_QUOTES') }), 'latin1') : bytes;
  return isUtf8(readable) ? readable.toString('utf8') : undefined;
}
