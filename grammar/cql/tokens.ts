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

const uuidChars = /[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}(?![\w-])/y;
const blobChars = /0[xX][\da-fA-F]*(?!\w)/y;
const durationChars = /(?:\d+(?:mo|ms|us|\u00b5s|ns|[ywdhms]))+(?![\w\u00b5])/iy;
const isoDuration = /^P(?=\w)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?$/i;
const numberChars = /\d+(?:\.(?!\.)\d*)?(?:[eE][+-]?\d+)?/y;
const pairs = new Set(['<=', '>=', '!=', '+=', '-=', '..']);

/** What an ASCII character can be a part of; the others are only symbols. A text is read for each statement that is not prepared, so that this is a hot path. */
const letter = 1;
const digit = 2;
const hex = 4;
const classes = new Uint8Array(128);
for (let code = 0; code < 128; code += 1) {
  const character = String.fromCharCode(code);
  classes[code] = (/[A-Za-z]/.test(character) ? letter : 0) | (/\d/.test(character) ? digit : 0) | (/[\da-fA-F]/.test(character) ? hex : 0);
}
const underscore = 95;

export function cqlTokens(text: string): CqlToken[] {
  const found: CqlToken[] = [];
  const open: string[] = [];
  let binds = 0;
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    if (at >= text.length) return found;
    const token = tokenAt(text, at, binds, open, found.at(-1));
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

/** The first thing that is neither space nor comment; a comment that does not end is left where it is. */
function skipSpace(text: string, from: number): number {
  for (let at = from; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 32 || (code >= 9 && code <= 13 && code !== 11 && code !== 12)) continue;
    if (code !== 45 && code !== 47) return at;
    const next = text.charCodeAt(at + 1);
    if (code === next) {
      while (at < text.length && text.charCodeAt(at) !== 10 && text.charCodeAt(at) !== 13) at += 1;
      if (at >= text.length) return at;
    } else if (code === 47 && next === 42) {
      const end = text.indexOf('*/', at + 2);
      if (end < 0) return at;
      at = end + 1;
    } else return at;
  }
}

function tokenAt(text: string, start: number, binds: number, open: readonly string[], before: CqlToken | undefined): CqlToken {
  const code = text.charCodeAt(start);
  const kinds = code < 128 ? classes[code] ?? 0 : 0;
  if ((kinds & hex) !== 0 && text.charCodeAt(start + 8) === 45) {
    const end = matchEnd(uuidChars, text, start);
    if (end > start) return made('uuid', text.slice(start, end), start, end);
  }
  if ((kinds & letter) !== 0) return wordAt(text, start);
  if ((kinds & digit) !== 0) return numberAt(text, start);
  switch (text.charAt(start)) {
    case '?': return { kind: 'bind', text: '', start, end: start + 1, bind: binds };
    case "'": return quoted(text, start, "'");
    case '"': return quoted(text, start, '"');
    case '$': {
      if (text.charCodeAt(start + 1) !== code) break;
      const close = text.indexOf('$$', start + 2);
      return close < 0 ? made('bad', 'unterminated $$ string', start, text.length) : made('string', text.slice(start + 2, close), start, close + 2);
    }
    case '/': {
      if (text.charCodeAt(start + 1) === 42) return made('bad', 'unterminated comment', start, text.length);
      break;
    }
    case ':': {
      const bind = isMapColon(open, before) ? undefined : bindName(text, start, binds);
      if (bind) return bind;
      break;
    }
    default: break;
  }
  const pair = text.slice(start, start + 2);
  if (pairs.has(pair)) return made('symbol', pair, start, start + 2);
  const end = start + (code >= 0xd800 && (text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
  return made('symbol', text.slice(start, end), start, end);
}

function made(kind: CqlTokenKind, text: string, start: number, end: number): CqlToken {
  return { kind, text, start, end, bind: -1 };
}

function wordAt(text: string, start: number): CqlToken {
  const end = wordEnd(text, start);
  const word = text.slice(start, end);
  const first = word.charCodeAt(0) | 32;
  // Only a word that begins with P can be a duration.
  return first === 112 && isoDuration.test(word) ? made('duration', word, start, end) : made('word', word.toLowerCase(), start, end);
}

/** Offset behind the word that begins here; `start` when none does. */
function wordEnd(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (!(first < 128 && ((classes[first] ?? 0) & letter) !== 0)) return start;
  let end = start + 1;
  for (let code = text.charCodeAt(end); code < 128 && (((classes[code] ?? 0) & (letter | digit)) !== 0 || code === underscore); code = text.charCodeAt(end)) end += 1;
  return end;
}

function quoted(text: string, start: number, quote: string): CqlToken {
  const end = closingQuote(text, start + 1, quote);
  if (end < 0) return made('bad', quote === "'" ? 'unterminated string' : 'unterminated quoted name', start, text.length);
  const inside = text.slice(start + 1, end - 1);
  return made(quote === "'" ? 'string' : 'quoted', inside.includes(quote) ? inside.replaceAll(quote + quote, quote) : inside, start, end);
}

function numberAt(text: string, start: number): CqlToken {
  const blob = matchEnd(blobChars, text, start);
  if (blob > start) return made('blob', text.slice(start, blob), start, blob);
  const end = matchEnd(numberChars, text, start);
  const next = text.charCodeAt(end);
  // A unit of time follows the digits at once.
  if ((next < 128 && ((classes[next] ?? 0) & letter) !== 0) || next === 0xb5) {
    const duration = matchEnd(durationChars, text, start);
    if (duration > start) return made('duration', text.slice(start, duration), start, duration);
  }
  return made('number', text.slice(start, end), start, end);
}

/** `:name`, `: name`, `:"Name"` */
function bindName(text: string, start: number, binds: number): CqlToken | undefined {
  const at = skipSpace(text, start + 1);
  if (text.charAt(at) === '"') {
    const end = closingQuote(text, at + 1, '"');
    return end < 0 ? undefined : { kind: 'bind', text: text.slice(at + 1, end - 1).replaceAll('""', '"'), start, end, bind: binds };
  }
  const end = wordEnd(text, at);
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
