/**
 * Tokens by PostgreSQL's lexical rules (`standard_conforming_strings` on), one at a time, so that a text is never read past
 * the first thing wrong with it. Nothing here throws: what cannot be read is a token of kind `bad` that says why.
 *
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
import { decodeEscapes } from './escape-string.ts';
import { foldName, truncateName } from './names.ts';

export type TokenKind =
  /** A bare word; `text` is folded and cut to the length of a name. */
  | 'word'
  /** `"…"`; `text` is the name. */
  | 'quoted'
  /** `'…'`, `E'…'`, `$tag$…$tag$`; `text` is the value. */
  | 'string'
  /** `text` is as written, without a sign: `12`, `1.5e3`, `0x1F`, `1_000`. */
  | 'number'
  /** Punctuation, an operator, a parameter, or a form of constant that migration statements have no use for. */
  | 'symbol'
  /** `text` says what is wrong. */
  | 'bad'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** UTF-16 offsets into the text, `end` exclusive. */
  readonly start: number;
  readonly end: number;
}

const spaceChars = /[ \t\n\r\f\v]+/y;
const lineComment = /--[^\n\r]*/y;
const wordChars = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const numberChars = /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y;
const numberJunk = /[\w\u0080-\uffff]+/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const parameter = /\$\d+/y;
const operatorChars = /[+\-*/<>=~!@#%^&|`?]+/y;
const pairedPunctuation = /::|:=|\.\./y;
const prefixedConstant = /(?:[uU]&(?:'(?:[^']|'')*'|"(?:[^"]|"")*")|[xXbB]'[^']*')/y;

/** The token that begins at or after `offset`, spaces and comments left out; kind `end` behind the last. */
export function nextToken(sql: string, offset: number): Token {
  const start = skipSpace(sql, offset);
  if (start < 0) return bad('unterminated /* comment', -start - 1, sql.length);
  if (start >= sql.length) return { kind: 'end', text: '', start: sql.length, end: sql.length };
  const first = sql.charAt(start);
  if (first === "'") return plainString(sql, start);
  if (first === '"') return quotedName(sql, start);
  if (first === '$') return dollar(sql, start);
  return prefixed(sql, start) ?? number(sql, start) ?? word(sql, start) ?? symbol(sql, start);
}

/** Every token up to the end or the first bad one, that one included. */
export function* tokens(sql: string): Generator<Token, void> {
  let offset = 0;
  for (;;) {
    const token = nextToken(sql, offset);
    yield token;
    if (token.kind === 'end' || token.kind === 'bad') return;
    offset = token.end;
  }
}

/** Where the server would put the caret: 1-based, in characters (a pair of surrogates is one). */
export function characterPosition(sql: string, offset: number): number {
  let position = 1;
  for (let i = 0; i < offset; i += 1) {
    const code = sql.charCodeAt(i);
    if (code < 0xdc00 || code > 0xdfff) position += 1;
  }
  return position;
}

/** Offset of the first thing that is neither space nor comment; −1 − start of a comment that does not end. */
function skipSpace(sql: string, offset: number): number {
  let at = offset;
  for (;;) {
    const before = at;
    at = matchEnd(spaceChars, sql, at) ?? at;
    at = matchEnd(lineComment, sql, at) ?? at;
    if (sql.startsWith('/*', at)) {
      const end = blockCommentEnd(sql, at);
      if (end < 0) return -1 - at;
      at = end;
    }
    if (at === before) return at;
  }
}

/** Comments nest. −1 when it does not end. */
function blockCommentEnd(sql: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  while (at < sql.length) {
    if (sql.startsWith('/*', at)) {
      depth += 1;
      at += 2;
    } else if (sql.startsWith('*/', at)) {
      depth -= 1;
      at += 2;
      if (depth === 0) return at;
    } else {
      at += 1;
    }
  }
  return -1;
}

function word(sql: string, start: number): Token | undefined {
  const end = matchEnd(wordChars, sql, start);
  return end === undefined ? undefined : { kind: 'word', text: foldName(sql.slice(start, end)), start, end };
}

function quotedName(sql: string, start: number): Token {
  const end = closingQuote(sql, start + 1, '"');
  if (end < 0) return bad('unterminated quoted identifier', start, sql.length);
  const name = sql.slice(start + 1, end - 1).replaceAll('""', '"');
  if (name === '') return bad('zero-length quoted identifier', start, end);
  return { kind: 'quoted', text: truncateName(name), start, end };
}

/** Strings that only space with a line break in it parts are one string. */
function plainString(sql: string, start: number): Token {
  let value = '';
  let end = start;
  for (let next: number | undefined = start; next !== undefined; next = continuation(sql, end)) {
    end = closingQuote(sql, next + 1, "'");
    if (end < 0) return bad('unterminated quoted string', start, sql.length);
    value += sql.slice(next + 1, end - 1).replaceAll("''", "'");
  }
  return { kind: 'string', text: value, start, end };
}

/** A part that continues an escape string has escapes too. */
function escapeString(sql: string, start: number): Token {
  const parts: string[] = [];
  let end = start;
  for (let next: number | undefined = start + 1; next !== undefined; next = continuation(sql, end)) {
    end = escapeStringEnd(sql, next + 1);
    if (end < 0) return bad('unterminated quoted string', start, sql.length);
    parts.push(sql.slice(next + 1, end - 1));
  }
  const value = decodeEscapes(parts);
  return value === undefined ? bad('invalid escape in string', start, end) : { kind: 'string', text: value, start, end };
}

/** Offset behind the closing quote, escaped and doubled ones passed over; −1 when there is none. */
function escapeStringEnd(sql: string, from: number): number {
  for (let at = from; at < sql.length; at += 1) {
    if (sql[at] === '\\') at += 1;
    else if (sql[at] === "'") {
      if (sql[at + 1] !== "'") return at + 1;
      at += 1;
    }
  }
  return -1;
}

function continuation(sql: string, end: number): number | undefined {
  const gapEnd = matchEnd(spaceChars, sql, end);
  return gapEnd !== undefined && sql[gapEnd] === "'" && /[\n\r]/.test(sql.slice(end, gapEnd)) ? gapEnd : undefined;
}

/** Offset behind the closing quote, doubled ones passed over; −1 when there is none. */
function closingQuote(sql: string, from: number, quote: string): number {
  let at = sql.indexOf(quote, from);
  while (at >= 0 && sql[at + 1] === quote) at = sql.indexOf(quote, at + 2);
  return at < 0 ? -1 : at + 1;
}

function dollar(sql: string, start: number): Token {
  const tagEnd = matchEnd(dollarTag, sql, start);
  if (tagEnd === undefined) {
    const end = matchEnd(parameter, sql, start) ?? start + 1;
    return { kind: 'symbol', text: sql.slice(start, end), start, end };
  }
  const tag = sql.slice(start, tagEnd);
  const close = sql.indexOf(tag, tagEnd);
  if (close < 0) return bad('unterminated dollar-quoted string', start, sql.length);
  return { kind: 'string', text: sql.slice(tagEnd, close), start, end: close + tag.length };
}

function prefixed(sql: string, start: number): Token | undefined {
  if (sql[start + 1] === "'" && /[eE]/.test(sql.charAt(start))) return escapeString(sql, start);
  const end = matchEnd(prefixedConstant, sql, start);
  return end === undefined ? undefined : { kind: 'symbol', text: sql.slice(start, end), start, end };
}

function number(sql: string, start: number): Token | undefined {
  const end = matchEnd(numberChars, sql, start);
  if (end === undefined) return undefined;
  const junk = matchEnd(numberJunk, sql, end);
  if (junk !== undefined) return bad('trailing junk after number', start, junk);
  return { kind: 'number', text: sql.slice(start, end), start, end };
}

/**
 * One character, or the longest operator: it ends before a comment, and its last character is not + or − unless it holds a
 * character that no standard operator has (so that `=-5` is `=` and `-5`).
 */
function symbol(sql: string, start: number): Token {
  const run = matchEnd(operatorChars, sql, start);
  if (run === undefined) {
    const end = matchEnd(pairedPunctuation, sql, start) ?? start + ((sql.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
    return { kind: 'symbol', text: sql.slice(start, end), start, end };
  }
  let text = sql.slice(start, run);
  const comment = text.search(/--|\/\*/);
  if (comment > 0) text = text.slice(0, comment);
  if (!/[~!@#%^&|`?]/.test(text)) while (text.length > 1 && /[+-]$/.test(text)) text = text.slice(0, -1);
  return { kind: 'symbol', text, start, end: start + text.length };
}

function bad(text: string, start: number, end: number): Token {
  return { kind: 'bad', text, start, end };
}

function matchEnd(pattern: RegExp, sql: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : undefined;
}
