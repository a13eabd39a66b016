/** Where the reading of a statement stands in its tokens. A thing that is not understood ends the reading by throwing `notUnderstood`, which never leaves this folder. */
import type { CqlToken } from './tokens.ts';
import type { CqlUnstableCall } from './statement.ts';

/** One for all: nobody reads its stack, and making one costs more than reading a statement. */
export const notUnderstood = new Error('not understood');

const end: CqlToken = { kind: 'symbol', text: '', start: -1, end: -1, bind: -1 };

export class Cursor {
  readonly #tokens: readonly CqlToken[];
  readonly calls: CqlUnstableCall[] = [];
  at: number;

  constructor(tokens: readonly CqlToken[], at = 0) {
    this.#tokens = tokens;
    this.at = at;
  }

  peek(ahead = 0): CqlToken {
    return this.#tokens[this.at + ahead] ?? end;
  }

  next(): CqlToken {
    const token = this.peek();
    this.at += 1;
    return token;
  }

  /** End of the text that has been read so far. */
  get readTo(): number {
    return this.#tokens[this.at - 1]?.end ?? 0;
  }

  isEnd(ahead = 0): boolean {
    return this.at + ahead >= this.#tokens.length;
  }

  isWord(word: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'word' && token.text === word;
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'symbol' && token.text === symbol;
  }

  isName(ahead = 0): boolean {
    const { kind } = this.peek(ahead);
    return kind === 'word' || kind === 'quoted';
  }

  /** Passes over the words if all of them stand here. */
  takeWords(...words: readonly string[]): boolean {
    if (!words.every((word, index) => this.isWord(word, index))) return false;
    this.at += words.length;
    return true;
  }

  takeSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.at += 1;
    return true;
  }

  needWords(...words: readonly string[]): void {
    if (!this.takeWords(...words)) throw notUnderstood;
  }

  needSymbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) throw notUnderstood;
  }

  name(): string {
    if (!this.isName()) throw notUnderstood;
    return this.next().text;
  }

  /** `name` or `keyspace.name` */
  qualifiedName(): { readonly keyspace: string | undefined; readonly name: string } {
    const first = this.name();
    return this.takeSymbol('.') ? { keyspace: first, name: this.name() } : { keyspace: undefined, name: first };
  }
}
