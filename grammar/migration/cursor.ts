/**
 * Walks over the tokens of a text and remembers everything that could have stood where it stands, so that an error names
 * every alternative (MIG070) and points at the token found. One token ahead is enough for the whole language.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { TableName } from '../names.ts';
import { isReservedWord } from '../reserved-words.ts';
import { characterPosition, nextToken } from '../tokens.ts';
import type { Token } from '../tokens.ts';
import { oneOf } from './option-kinds.ts';
import { nearest } from './suggest.ts';

export class Cursor {
  readonly sql: string;
  token: Token;
  /** End of the token before `token`; 0 at the start. */
  lastEnd = 0;
  /** Errors do not repeat the text from here on: it may hold a password. */
  secret = false;
  /** First word of the statement, for the hint. */
  private verb: string | undefined;
  private expectedWords: string[] = [];
  private expectedThings: string[] = [];

  constructor(sql: string) {
    this.sql = sql;
    this.token = nextToken(sql, 0);
  }

  /** Forgets the statement before, where one begins. */
  beginStatement(): void {
    this.verb = undefined;
    this.secret = false;
  }

  /** Called once the verb is known. */
  nameVerb(verb: string): void {
    this.verb = verb;
  }

  advance(): Token {
    const taken = this.token;
    if (taken.kind === 'bad') this.fail();
    this.lastEnd = taken.end;
    this.token = nextToken(this.sql, taken.end);
    this.expectedWords = [];
    this.expectedThings = [];
    return taken;
  }

  /** Takes the bare word when it is there; `word` is in lower case. */
  accept(word: string): boolean {
    if (this.token.kind === 'word' && this.token.text === word) {
      this.advance();
      return true;
    }
    this.expectedWords.push(word.toUpperCase());
    return false;
  }

  expect(...words: readonly string[]): void {
    for (const word of words) if (!this.accept(word)) this.fail();
  }

  acceptSymbol(symbol: string): boolean {
    if (this.token.kind === 'symbol' && this.token.text === symbol) {
      this.advance();
      return true;
    }
    this.expectedThings.push(`"${symbol}"`);
    return false;
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) this.fail();
  }

  atEnd(): boolean {
    if (this.token.kind === 'end') return true;
    this.expectedThings.push('end of statement');
    return false;
  }

  /** `what` for people: "a table name". Reserved words have to be quoted, as on the server. */
  name(what: string): string {
    const { kind, text } = this.token;
    if (kind === 'quoted' || (kind === 'word' && !isReservedWord(text))) return this.advance().text;
    this.expectedThings.push(what);
    return this.fail();
  }

  tableName(what = 'a table name'): TableName {
    const first = this.name(what);
    if (!this.acceptSymbol('.')) return { schema: undefined, name: first };
    // Behind the dot any word is a name, reserved or not.
    const { kind } = this.token;
    if (kind === 'word' || kind === 'quoted') return { schema: first, name: this.advance().text };
    this.expectedThings.push(what);
    return this.fail();
  }

  string(what: string): string {
    if (this.token.kind === 'string') return this.advance().text;
    this.expectedThings.push(what);
    return this.fail();
  }

  /** Without a sign. */
  number(what: string): number {
    if (this.token.kind === 'number') return Number(this.advance().text.replaceAll('_', ''));
    this.expectedThings.push(what);
    return this.fail();
  }

  /** Records an alternative that the caller looked for by itself. */
  alsoExpected(what: string): void {
    this.expectedThings.push(what);
  }

  /** MIG070 at the present token. */
  fail(): never {
    const { kind, text } = this.token;
    if (kind === 'bad') throw this.error('MIG070', text, this.token);
    const words = [...new Set(this.expectedWords)];
    const expected = [...words, ...new Set(this.expectedThings)];
    const suggestion = kind === 'word' ? nearest(text, words) : undefined;
    const reserved = kind === 'word' && isReservedWord(text) && this.expectedThings.some((thing) => thing.endsWith('name'));
    throw this.error('MIG070', [
      `syntax error at ${this.describe(this.token)}: expected ${oneOf(expected)}`,
      suggestion === undefined ? '' : `; did you mean ${suggestion}?`,
      reserved && suggestion === undefined ? `; ${text.toUpperCase()} is a reserved word, as a name it has to be quoted` : '',
    ].join(''), this.token);
  }

  /** An error at any token that was read. */
  error(code: 'MIG070' | 'MIG071', message: string, token: Token): MigrationError {
    return new MigrationError(code, message, { position: characterPosition(this.sql, token.start), hint: this.hint(code) });
  }

  private hint(code: 'MIG070' | 'MIG071'): string {
    if (code === 'MIG071') return 'SHOW MIGRATION HELP OPTIONS lists every option with its values.';
    if (this.verb !== undefined) return `SHOW MIGRATION HELP ${this.verb.toUpperCase()} shows the form.`;
    return this.lastEnd > 0 ? 'Migration statements and ordinary SQL can\'t be sent in one text; send them one by one.' : 'SHOW MIGRATION HELP lists every statement.';
  }

  /** The token as it was written, cut when it is long. */
  describe(token: Token): string {
    if (token.kind === 'end') return 'end of input';
    // A password may have lost its quotes.
    if (this.secret && token.kind !== 'symbol') return 'this place';
    const written = this.sql.slice(token.start, token.end);
    const characters = Array.from(written.slice(0, 100));
    const shown = characters.length > 40 ? `${characters.slice(0, 40).join('')}…` : written;
    return token.kind === 'string' ? shown : `"${shown}"`;
  }
}
