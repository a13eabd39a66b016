/** A place in the words of a statement, and the questions that a parser asks there. */
import { mysqlReserved } from './mysql-reserved.ts';
import type { MysqlTextMode } from './mysql-translation.ts';
import { readMysqlTokens } from './read-mysql-tokens.ts';
import type { MysqlToken } from './read-mysql-tokens.ts';
import { refuse } from './refused-mysql.ts';

/** Deeper ones are refused: each level costs the stack several frames. */
const MAX_DEPTH = 200;

export class TokenCursor {
  readonly text: string;
  readonly mode: MysqlTextMode;
  readonly #tokens: readonly MysqlToken[];
  #at = 0;
  #depth = 0;
  #parameters = 0;

  constructor(text: string, mode: MysqlTextMode) {
    this.text = text;
    this.mode = mode;
    this.#tokens = readMysqlTokens(text, mode);
  }

  get token(): MysqlToken {
    return this.peek(0);
  }

  get place(): number {
    return this.token.start;
  }

  /** Where the token before ended. */
  get lastEnd(): number {
    return this.#tokens[this.#at - 1]?.end ?? 0;
  }

  get parameters(): number {
    return this.#parameters;
  }

  get isAtEnd(): boolean {
    return this.token.kind === 'end';
  }

  peek(ahead: number): MysqlToken {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] ?? this.fail();
  }

  next(): MysqlToken {
    const { token } = this;
    this.#at += 1;
    return token;
  }

  nextParameter(): number {
    this.#at += 1;
    this.#parameters += 1;
    return this.#parameters;
  }

  is(...keys: readonly string[]): boolean {
    return keys.every((key, index) => this.peek(index).key === key);
  }

  isOneOf(keys: ReadonlySet<string>): boolean {
    return keys.has(this.token.key);
  }

  /** Takes these words if they come next. */
  accept(...keys: readonly string[]): boolean {
    if (!this.is(...keys)) return false;
    this.#at += keys.length;
    return true;
  }

  /** Takes one of them, if it comes next. */
  acceptOne(keys: readonly string[]): string | undefined {
    const { key } = this.token;
    if (key === '' || !keys.includes(key)) return undefined;
    this.#at += 1;
    return key;
  }

  expect(...keys: readonly string[]): void {
    if (!this.accept(...keys)) this.fail();
  }

  fail(): never {
    return refuse('syntax', this.#tokens[this.#at]?.start);
  }

  get isName(): boolean {
    const { kind, key } = this.token;
    return kind === 'name' || (kind === 'word' && !mysqlReserved.has(key));
  }

  name(): string {
    return this.isName ? this.next().text : this.fail();
  }

  /** Behind a point every word is a name. */
  nameBehindPoint(): string {
    const { kind } = this.token;
    return kind === 'name' || kind === 'word' ? this.next().text : this.fail();
  }

  list<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (this.accept(',')) items.push(item());
    return items;
  }

  inParentheses<Inside>(inside: () => Inside): Inside {
    this.expect('(');
    const result = this.deeper(inside);
    this.expect(')');
    return result;
  }

  /** What stands behind the parenthesis that opens so many tokens ahead. */
  protected keyBehindParenthesis(from: number): string {
    let depth = 0;
    for (let ahead = from; this.peek(ahead).kind !== 'end'; ahead += 1) {
      const { key } = this.peek(ahead);
      if (key === '(') depth += 1;
      if (key === ')') depth -= 1;
      if (depth === 0) return this.peek(ahead + 1).key;
    }
    return '';
  }

  deeper<Inside>(inside: () => Inside): Inside {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) refuse('statement nested too deeply', this.place);
    const result = inside();
    this.#depth -= 1;
    return result;
  }
}
