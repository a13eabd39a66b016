/**
 * Tokens by CQL's lexical rules, all at once, because bind markers are numbered by their place in the whole text. Nothing here
 * throws: what cannot be read is a token of kind `bad`, after which no other follows.
 *
 * Where CQL is not SQL: `//` begins a comment too, block comments do not nest, `$$ … $$` has no tag, a UUID and `0x…` are
 * constants without quotes, and `:` is a bind marker's or a map's by where it stands.
 *
 * https://cassandra.apache.org/doc/latest/cassandra/developing/cql/definitions.html
 */

export type CqlTokenKind =
  /** A bare word; `text` is folded to lower case. */
  | 'word'
  /** `"…"`; `text` is the name. */
  | 'quoted'
  /** `'…'` and `$$…$$`; `text` is the value. */
  | 'string'
  /** Without a sign; `text` is as written. */
  | 'number'
  | 'uuid'
  /** `0x…`, `text` with the prefix. */
  | 'blob'
  /** `12h30m`, `P1DT2H` */
  | 'duration'
  /** `?` or `:name`; `text` is the name, empty for `?`. */
  | 'bind'
  | 'symbol'
  | 'bad';

export interface CqlToken {
  readonly kind: CqlTokenKind;
  readonly text: string;
  /** UTF-16 offsets into the text, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** Of a bind marker: its number from 0; −1 for all else. */
  readonly bind: number;
}

const space = /[ \t\n\r]+/y;
const comment = /(?:--|\/\/)[^\n\r]*|\/\*[^]*?\*\//y;
const wordChars = /[A-Za-z][A-Za-z0-9_]*/y;
const uuidChars = /[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}(?![\w-])/y;
const blobChars = /0[xX][\da-fA-F]*(?!\w)/y;
const durationChars = /(?:\d+(?:mo|ms|us|\u00b5s|ns|[ywdhms]))+(?![\w\u00b5])/iy;
const isoDuration = /^P(?=\w)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?$/i;
const numberChars = /\d+(?:\.(?!\.)\d*)?(?:[eE][+-]?\d+)?/y;
const doubled = /[<>!]=|\+=|-=|\.\./y;

export function cqlTokens(text: string): CqlToken[] {
  const found: CqlToken[] = [];
  const open: string[] = [];
  let binds = 0;
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    if (at >= text.length) return found;
    const token = tokenAt(text, at, binds, () => isMapColon(open, found.at(-1)));
    found.push(token);
    if (token.kind === 'bad') return found;
    if (token.kind === 'bind') binds += 1;
    if (token.kind === 'symbol') {
      if (token.text === '(' || token.text === '[' || token.text === '{') open.push(token.text);
      else if (token.text === ')' || token.text === ']' || token.text === '}') open.pop();
    }
    at = token.end;
  }
}

/** `{'a':b}` has a colon of a map, `{:a}` and `{'a'::b}` and `(:a)` a bind marker's: inside braces it is the map's behind a value. */
function isMapColon(open: readonly string[], before: CqlToken | undefined): boolean {
  if (open.at(-1) !== '{' || before === undefined) return false;
  return before.kind !== 'symbol' || before.text === ')' || before.text === ']' || before.text === '}';
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const before = at;
    at = matchEnd(space, text, at);
    const first = text.charCodeAt(at);
    if (first === 45 || first === 47) at = matchEnd(comment, text, at);
    if (at === before) return at;
  }
}

function tokenAt(text: string, start: number, binds: number, mapColon: () => boolean): CqlToken {
  const first = text.charAt(start);
  const plain = (kind: CqlTokenKind, end: number, value = text.slice(start, end)): CqlToken => ({ kind, text: value, start, end, bind: -1 });
  const bad = (why: string): CqlToken => plain('bad', text.length, why);
  if (first === '?') return { kind: 'bind', text: '', start, end: start + 1, bind: binds };
  if (first === "'" || first === '"') {
    const end = closingQuote(text, start + 1, first);
    if (end < 0) return bad(first === "'" ? 'unterminated string' : 'unterminated quoted name');
    return plain(first === "'" ? 'string' : 'quoted', end, text.slice(start + 1, end - 1).replaceAll(first + first, first));
  }
  if (text.startsWith('$$', start)) {
    const close = text.indexOf('$$', start + 2);
    return close < 0 ? bad('unterminated $$ string') : plain('string', close + 2, text.slice(start + 2, close));
  }
  if (text.startsWith('/*', start)) return bad('unterminated comment');
  if (first === ':' && !mapColon()) return bindName(text, start, binds) ?? plain('symbol', start + 1);
  if (/[\da-fA-F]/.test(first)) {
    const end = matchEnd(uuidChars, text, start);
    if (end > start) return plain('uuid', end);
  }
  if (/\d/.test(first)) return numberAt(text, start, plain);
  const wordEnd = matchEnd(wordChars, text, start);
  if (wordEnd > start) {
    const word = text.slice(start, wordEnd);
    return isoDuration.test(word) ? plain('duration', wordEnd) : plain('word', wordEnd, word.toLowerCase());
  }
  const pair = matchEnd(doubled, text, start);
  return plain('symbol', pair > start ? pair : start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1));
}

function numberAt(text: string, start: number, plain: (kind: CqlTokenKind, end: number) => CqlToken): CqlToken {
  const blob = matchEnd(blobChars, text, start);
  if (blob > start) return plain('blob', blob);
  const duration = matchEnd(durationChars, text, start);
  if (duration > start) return plain('duration', duration);
  return plain('number', matchEnd(numberChars, text, start));
}

/** `:name`, `: name`, `:"Name"` */
function bindName(text: string, start: number, binds: number): CqlToken | undefined {
  const at = skipSpace(text, start + 1);
  if (text.charAt(at) === '"') {
    const end = closingQuote(text, at + 1, '"');
    return end < 0 ? undefined : { kind: 'bind', text: text.slice(at + 1, end - 1).replaceAll('""', '"'), start, end, bind: binds };
  }
  const end = matchEnd(wordChars, text, at);
  return end === at ? undefined : { kind: 'bind', text: text.slice(at, end).toLowerCase(), start, end, bind: binds };
}

/** Offset behind the closing quote, doubled ones passed over; −1 when there is none. */
function closingQuote(text: string, from: number, quote: string): number {
  let at = text.indexOf(quote, from);
  while (at >= 0 && text[at + 1] === quote) at = text.indexOf(quote, at + 2);
  return at < 0 ? -1 : at + 1;
}

/** The end of the match that begins at `at`, or `at`. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
