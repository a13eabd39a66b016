/** The kinds of value that an option can have: how each is read, checked and printed. */
import { displayTableName, quoteLiteral, displayName } from '../names.ts';
import type { TableName } from '../names.ts';
import { nextToken, tokens } from '../tokens.ts';
import { formatInterval, intervalForms, parseInterval } from './interval.ts';
import { nearest } from './suggest.ts';

/** A value as written; a number has its sign, a word is folded. */
export interface WrittenValue {
  readonly kind: 'string' | 'number' | 'word';
  readonly text: string;
}

export type ReadResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly suggestion?: string };

/** In which statements an option may stand: `table`: only START … FOR TABLE; `start`: any START; `source`: those and CREATE/ALTER MIGRATION SOURCE. */
export type OptionPlace = 'table' | 'start' | 'source';

export interface OptionAbout {
  /** As it is spelled in statements. */
  readonly name: string;
  /** The specification's section, or the page that added it. */
  readonly from: string;
  readonly place: OptionPlace;
  readonly help: string;
}

export interface OptionKind<T> extends OptionAbout {
  /** What a value has to be, for people: `a whole number from 1 to 64`. */
  readonly range: string;
  readonly default: T;
  read(value: WrittenValue): ReadResult<T>;
  /** Reads back as the same value. */
  print(value: T): string;
}

const good = <T>(value: T): ReadResult<T> => ({ ok: true, value });
const refused: { readonly ok: false } = { ok: false };

export function integer(about: OptionAbout, fallback: number, low: number, high: number): OptionKind<number> {
  return {
    ...about, default: fallback, range: `a whole number from ${low} to ${high}`,
    read: (value) => {
      const read = numeric(value);
      return Number.isInteger(read) && read >= low && read <= high ? good(read) : refused;
    },
    print: (value) => `${value}`,
  };
}

/** More than 0 and up to 1. */
export function fraction(about: OptionAbout, fallback: number): OptionKind<number> {
  return {
    ...about, default: fallback, range: 'a number above 0 and up to 1 (0.01 is 1 %)',
    read: (value) => {
      const read = numeric(value);
      return read > 0 && read <= 1 ? good(read) : refused;
    },
    print: (value) => `${value}`,
  };
}

/** More than 0 and up to 100. */
export function percent(about: OptionAbout, fallback: number): OptionKind<number> {
  return {
    ...about, default: fallback, range: 'a number above 0 and up to 100',
    read: (value) => {
      const read = numeric(value);
      return read > 0 && read <= 100 ? good(read) : refused;
    },
    print: (value) => `${value}`,
  };
}

/** Written in seconds, kept in milliseconds. */
export function seconds(about: OptionAbout, fallbackMs: number, highSeconds: number): OptionKind<number> {
  return {
    ...about, default: fallbackMs, range: `a number of seconds from 0 to ${highSeconds}`,
    read: (value) => {
      const read = numeric(value);
      return read >= 0 && read <= highSeconds ? good(Math.round(read * 1000)) : refused;
    },
    print: (value) => `${value / 1000}`,
  };
}

export function flag(about: OptionAbout, fallback: boolean): OptionKind<boolean> {
  return {
    ...about, default: fallback, range: 'TRUE or FALSE',
    read: (value) => {
      const text = value.text.toLowerCase();
      if (['true', 'on', 'yes', '1'].includes(text)) return good(true);
      return ['false', 'off', 'no', '0'].includes(text) ? good(false) : refused;
    },
    print: (value) => (value ? 'TRUE' : 'FALSE'),
  };
}

/** `aliases` maps further spellings to the value that they mean. */
export function choice<T extends string>(about: OptionAbout, fallback: T, values: readonly T[], aliases: Readonly<Record<string, T>> = {}): OptionKind<T> {
  return {
    ...about, default: fallback, range: oneOf(values.map((value) => `'${value}'`)),
    read: (value) => {
      const text = value.text.toLowerCase();
      const found = values.find((candidate) => candidate === text) ?? (Object.hasOwn(aliases, text) ? aliases[text] : undefined);
      if (found !== undefined) return good(found);
      const suggestion = nearest(text, values);
      return suggestion === undefined ? refused : { ok: false, suggestion: `'${suggestion}'` };
    },
    print: (value) => `'${value}'`,
  };
}

/** `none` is the word for no interval at all, which is null. */
export function intervalOr(about: OptionAbout, none: string): OptionKind<number | null> {
  return {
    ...about, default: null, range: `${intervalForms}, or '${none}'`,
    read: (value) => {
      if (value.text.toLowerCase() === none) return good(null);
      const ms = value.kind === 'string' ? parseInterval(value.text) : undefined;
      return ms === undefined || ms === 0 ? refused : good(ms);
    },
    print: (value) => (value === null ? `'${none}'` : `'${formatInterval(value)}'`),
  };
}

export function text(about: OptionAbout, range: string, isGood: (text: string) => boolean): OptionKind<string | null> {
  return {
    ...about, default: null, range,
    read: (value) => (value.kind === 'string' && value.text !== '' && !value.text.includes('\0') && isGood(value.text) ? good(value.text) : refused),
    print: (value) => (value === null ? "''" : quoteLiteral(value)),
  };
}

export const predicate = (about: OptionAbout): OptionKind<string | null> => text(about, 'a string with one SQL condition, every quote and bracket closed', isPredicate);

/** One column or schema. */
export function name(about: OptionAbout, what: string): OptionKind<string | null> {
  return {
    ...about, default: null, range: `a string with ${what}`,
    read: (value) => {
      const names = readNames(value.text);
      const only = names?.[0];
      return value.kind === 'number' || names?.length !== 1 || only?.length !== 1 || only[0] === undefined ? refused : good(only[0]);
    },
    print: (value) => (value === null ? "''" : quoteLiteral(displayName(value))),
  };
}

/** `[schema.]name` */
export function qualifiedName(about: OptionAbout, what: string): OptionKind<TableName | null> {
  return {
    ...about, default: null, range: `a string with ${what}`,
    read: (value) => {
      const names = readNames(value.text);
      const [first, second] = names?.[0] ?? [];
      if (value.kind === 'number' || names?.length !== 1 || first === undefined) return refused;
      return good(second === undefined ? { schema: undefined, name: first } : { schema: first, name: second });
    },
    print: (value) => (value === null ? "''" : quoteLiteral(displayTableName(value))),
  };
}

export function columnList(about: OptionAbout): OptionKind<readonly string[] | null> {
  return {
    ...about, default: null, range: 'a string with column names, separated by commas',
    read: (value) => {
      const columns = readNames(value.text)?.map((parts) => (parts.length === 1 ? parts[0] : undefined));
      if (value.kind === 'number' || columns === undefined || new Set(columns).size !== columns.length) return refused;
      const known = columns.filter((column) => column !== undefined);
      return known.length === columns.length ? good(known) : refused;
    },
    print: (value) => (value === null ? "''" : quoteLiteral(value.map(displayName).join(', '))),
  };
}

/** NaN when it is no number. */
function numeric(value: WrittenValue): number {
  const digits = value.text.trim().replaceAll('_', '');
  return value.kind === 'word' || digits === '' ? Number.NaN : Number(digits);
}

/**
 * `a, "B c", s.t` → [['a'], ['B c'], ['s', 't']]; undefined when it is no such list. Parts are at most two.
 */
function readNames(list: string): readonly (readonly string[])[] | undefined {
  const names: string[][] = [];
  let offset = 0;
  for (;;) {
    const parts: string[] = [];
    let token = nextToken(list, offset);
    for (;;) {
      if (token.kind !== 'word' && token.kind !== 'quoted') return undefined;
      parts.push(token.text);
      token = nextToken(list, token.end);
      if (token.text !== '.' || token.kind !== 'symbol' || parts.length === 2) break;
      token = nextToken(list, token.end);
    }
    names.push(parts);
    if (token.kind === 'end') return names;
    if (token.kind !== 'symbol' || token.text !== ',') return undefined;
    offset = token.end;
  }
}

/**
 * Whether the text can stand between parentheses in a statement: every string, name, comment and bracket in it is closed, and
 * it holds no semicolon and no parameter. It is read with the parentheses around it: they must be a pair, or something in it
 * has closed ours, or a comment to the end of the line has swallowed it. The source checks the rest.
 */
export function isPredicate(condition: string): boolean {
  const whole = `(${condition})`;
  const open: string[] = [];
  let count = 0;
  let lastEnd = 0;
  for (const token of tokens(whole)) {
    if (token.kind === 'bad') return false;
    if (token.kind === 'end') break;
    if (count > 0 && open.length === 0) return false;
    count += 1;
    lastEnd = token.end;
    if (token.kind === 'symbol' && !bracketsMatch(open, token.text)) return false;
  }
  return open.length === 0 && lastEnd === whole.length && count > 2;
}

/** Keeps `open`, the stack of brackets; false for what does not match or has no place in a condition. */
function bracketsMatch(open: string[], symbol: string): boolean {
  if (symbol === '(' || symbol === '[') open.push(symbol);
  if (symbol === ')') return open.pop() === '(';
  if (symbol === ']') return open.pop() === '[';
  return symbol !== ';' && !symbol.startsWith('$');
}

/** `a`, `a or b`, `a, b or c` */
export function oneOf(values: readonly string[]): string {
  const last = values.at(-1) ?? '';
  return values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`;
}
