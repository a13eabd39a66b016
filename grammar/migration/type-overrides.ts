/**
 * What `OPTIONS (type_map '…')` says of columns: `born date ON zero_date NULL, flag smallint, * ON nul_character CLAMP`.
 * Entries are separated by commas; each names a column (or `*`), then a type of local, or what to do with values that do not fit, or both.
 */
import { displayName, quoteLiteral } from '../names.ts';
import { nextToken } from '../tokens.ts';
import type { Token } from '../tokens.ts';
import type { OptionAbout, OptionKind } from './option-kinds.ts';

export interface TypeOverride {
  /** Undefined: every column that has no entry of its own for it. */
  readonly column: string | undefined;
  /** As written; undefined: as the type map says. */
  readonly type: string | undefined;
  /** `loss` undefined: every loss that has no word of its own. */
  readonly policies: readonly { readonly loss: string | undefined; readonly policy: 'reject' | 'clamp' | 'null' | 'text' }[];
}

const policyWords = ['reject', 'clamp', 'null', 'text'] as const;

export function typeOverrides(about: OptionAbout): OptionKind<readonly TypeOverride[] | null> {
  return {
    ...about, default: null, range: "a string with columns, each with a type or `ON loss REJECT`, `CLAMP`, `NULL` or `TEXT`, separated by commas",
    read: (value) => {
      const read = value.kind === 'string' ? readTypeOverrides(value.text) : undefined;
      return read === undefined ? { ok: false } : { ok: true, value: read };
    },
    print: (value) => (value === null ? "''" : quoteLiteral(printTypeOverrides(value))),
  };
}

/** Undefined when it cannot be read. */
export function readTypeOverrides(text: string): readonly TypeOverride[] | undefined {
  const found: TypeOverride[] = [];
  let token = nextToken(text, 0);
  for (;;) {
    const read = readOne(text, token);
    if (read === undefined || found.some((each) => each.column === read.override.column)) return undefined;
    found.push(read.override);
    if (read.next.kind === 'end') return found;
    token = nextToken(text, read.next.end);
  }
}

function readOne(text: string, first: Token): { readonly override: TypeOverride; readonly next: Token } | undefined {
  const isAll = first.kind === 'symbol' && first.text === '*';
  if (!isAll && first.kind !== 'word' && first.kind !== 'quoted') return undefined;
  let token = nextToken(text, first.end);
  const start = token.start;
  let depth = 0;
  let end = start;
  while (token.kind !== 'end' && !(depth === 0 && (isSymbol(token, ',') || isWord(token, 'on')))) {
    if (token.kind === 'bad') return undefined;
    depth += isSymbol(token, '(') ? 1 : isSymbol(token, ')') ? -1 : 0;
    end = token.end;
    token = nextToken(text, token.end);
  }
  const type = text.slice(start, end).trim();
  const policies: TypeOverride['policies'][number][] = [];
  while (isWord(token, 'on')) {
    const loss = nextToken(text, token.end);
    const word = nextToken(text, loss.end);
    const policy = policyWords.find((each) => isWord(word, each));
    if ((loss.kind !== 'word' && !isSymbol(loss, '*')) || policy === undefined) return undefined;
    policies.push({ loss: loss.text === '*' ? undefined : loss.text, policy });
    token = nextToken(text, word.end);
  }
  const isEnd = token.kind === 'end' || isSymbol(token, ',');
  // A type for every column would be nobody's wish.
  if (!isEnd || depth !== 0 || (type === '' && policies.length === 0) || (isAll && type !== '')) return undefined;
  return { override: { column: isAll ? undefined : first.text, type: type === '' ? undefined : type, policies }, next: token };
}

const isSymbol = (token: Token, text: string): boolean => token.kind === 'symbol' && token.text === text;
const isWord = (token: Token, text: string): boolean => token.kind === 'word' && token.text === text;

function printTypeOverrides(overrides: readonly TypeOverride[]): string {
  return overrides.map(({ column, type, policies }) => [
    column === undefined ? '*' : displayName(column), ...(type === undefined ? [] : [type]), ...policies.map(({ loss, policy }) => `ON ${loss ?? '*'} ${policy.toUpperCase()}`),
  ].join(' ')).join(', ');
}
