/** Where PREPARE and EXECUTE have the name of their statement: their parse trees do not tell. Pure. */
import { byteClass } from './byte-classes.ts';
import { classAt, dollarStringEnd, nextQuoteEnd, spaceEnd, stringEnd, wordEnd } from './token-ends.ts';

/** In bytes. */
export interface NameSpan {
  readonly start: number;
  readonly end: number;
}

interface Token extends NameSpan {
  /** In lower case; empty for what is not a bare word. */
  readonly word: string;
}

export function preparedName(text: Buffer): NameSpan | undefined {
  const first = tokenAt(text, 0);
  return first?.word === 'prepare' ? nameAt(text, first.end) : undefined;
}

/** Of EXECUTE, also behind EXPLAIN and behind the AS of CREATE TABLE. */
export function executedName(text: Buffer): NameSpan | undefined {
  const first = tokenAt(text, 0);
  let before: Token | undefined;
  for (let token = first; token !== undefined; token = tokenAt(text, token.end)) {
    const isKeyword = token === first || first?.word === 'explain' || before?.word === 'as';
    if (token.word === 'execute' && isKeyword) return nameAt(text, token.end);
    before = token;
  }
  return undefined;
}

/** The text with another name there; undefined when it has none. */
export function withName(text: Buffer, span: NameSpan | undefined, name: string): Buffer | undefined {
  return span && Buffer.concat([text.subarray(0, span.start), Buffer.from(name), text.subarray(span.end)]);
}

/** A name is a bare word, or in double quotes. */
function nameAt(text: Buffer, from: number): NameSpan | undefined {
  const token = tokenAt(text, from);
  return token && (token.word !== '' || text[token.start] === 0x22) ? { start: token.start, end: token.end } : undefined;
}

function tokenAt(text: Buffer, from: number): Token | undefined {
  const start = spaceEnd(text, from, text.length);
  if (start >= text.length) return undefined;
  const end = Math.max(tokenEnd(text, start), start + 1);
  return { start, end, word: classAt(text, start, text.length) === byteClass.word ? text.toString('utf8', start, end).toLowerCase() : '' };
}

function tokenEnd(text: Buffer, start: number): number {
  switch (classAt(text, start, text.length)) {
    case byteClass.word: return wordEnd(text, start, text.length);
    case byteClass.quote: return stringEnd(text, start, text.length);
    case byteClass.doubleQuote: return nameEnd(text, start);
    case byteClass.dollar: return dollarStringEnd(text, start, text.length);
    default: return start + 1;
  }
}

/** A doubled quote is part of the name. */
function nameEnd(text: Buffer, start: number): number {
  let end = nextQuoteEnd(text, start, text.length);
  while (end > 0 && text[end] === 0x22) end = nextQuoteEnd(text, end, text.length);
  return end;
}
