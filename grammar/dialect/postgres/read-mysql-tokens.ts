/**
 * The words of a statement of MySQL, as its sql_mode and its server's version make them.
 * https://dev.mysql.com/doc/refman/8.4/en/language-structure.html
 */
import type { MysqlTextMode } from './mysql-translation.ts';
import { refuse } from './refused-mysql.ts';

export type MysqlTokenKind =
  /** A bare word: a keyword or a name. */
  | 'word'
  /** A quoted name. */
  | 'name'
  | 'string' | 'integer' | 'decimal' | 'float'
  /** `x'41'`, `0x41`: the digits. */
  | 'hex'
  | 'bit'
  | 'parameter'
  /** `@a`, without the sign. */
  | 'user variable'
  /** `@@session.a`, without the signs. */
  | 'system variable'
  /** `_utf8mb4` before a constant. */
  | 'introducer'
  | 'sign' | 'end';

export interface MysqlToken {
  readonly kind: MysqlTokenKind;
  /** Of strings and names what they mean, of words and signs as they are written. */
  readonly text: string;
  /** Of words in capitals, of signs as written, else empty: what a parser compares with. */
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

const wordStart = /[A-Za-z_$\u0080-\uffff]/;
const wordPart = /[A-Za-z0-9_$\u0080-\uffff]/;
const signs = ['<=>', '->>', '<<', '>>', '<=', '>=', '<>', '!=', ':=', '&&', '||', '->'];
const escapes: Readonly<Record<string, string>> = { 0: '\0', b: '\b', n: '\n', r: '\r', t: '\t', Z: '\x1a' };
/** Character sets whose names, after an underscore, are introducers; another `_word` is a name. */
const introducers = /^_(?:utf8|utf8mb3|utf8mb4|latin1|binary|ascii|ucs2|utf16|utf16le|utf32|latin2|latin7|cp1250|cp1251|cp1252|cp1256|cp1257|koi8r|big5|gbk|sjis|euckr|gb2312|gb18030)$/i;

export function readMysqlTokens(text: string, mode: MysqlTextMode): readonly MysqlToken[] {
  return new TokenReader(text, mode).read();
}

class TokenReader {
  readonly #text: string;
  readonly #mode: MysqlTextMode;
  readonly #tokens: MysqlToken[] = [];
  #at = 0;
  /** Inside a versioned comment whose words count. */
  #isInVersioned = false;

  constructor(text: string, mode: MysqlTextMode) {
    this.#text = text;
    this.#mode = mode;
  }

  read(): readonly MysqlToken[] {
    for (this.#skipBlanks(); this.#at < this.#text.length; this.#skipBlanks()) this.#readToken();
    if (this.#isInVersioned) refuse('comment without an end', this.#text.length);
    this.#push('end', '', this.#text.length);
    return this.#tokens;
  }

  #push(kind: MysqlTokenKind, value: string, start: number): void {
    this.#tokens.push({ kind, text: value, key: kind === 'word' ? value.toUpperCase() : kind === 'sign' ? value : '', start, end: this.#at });
  }

  #skipBlanks(): void {
    for (;;) {
      const rest = this.#text;
      const character = rest[this.#at];
      if (character === undefined) return;
      if (/\s/.test(character) || character === '\0') this.#at += 1;
      else if (character === '#' || (rest.startsWith('--', this.#at) && /^(?:[\s\0-\x1f]|$)/.test(rest.slice(this.#at + 2, this.#at + 3)))) this.#skipLine();
      else if (rest.startsWith('/*', this.#at)) this.#skipComment();
      else if (this.#isInVersioned && rest.startsWith('*/', this.#at)) {
        this.#isInVersioned = false;
        this.#at += 2;
      } else return;
    }
  }

  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
  }

  #skipComment(): void {
    const versioned = /^\/\*(M?)!(\d{5,6})?/.exec(this.#text.slice(this.#at, this.#at + 10));
    if (versioned !== null && !this.#isInVersioned && this.#isForServer(versioned[1] === 'M', versioned[2])) {
      this.#isInVersioned = true;
      this.#at += versioned[0].length;
      return;
    }
    const end = this.#text.indexOf('*/', this.#at + 2);
    if (end < 0) refuse('comment without an end', this.#at);
    this.#at = end + 2;
  }

  #isForServer(isMariadbOnly: boolean, digits: string | undefined): boolean {
    const { flavour, version } = this.#mode.server;
    if (isMariadbOnly && flavour !== 'mariadb') return false;
    if (digits === undefined) return true;
    const wanted = Number(digits);
    // MariaDB leaves out what later versions of MySQL have.
    if (flavour === 'mariadb' && !isMariadbOnly && wanted >= 50700 && wanted < 100000) return false;
    return wanted <= version;
  }

  #readToken(): void {
    const start = this.#at;
    const character = this.#text[start] ?? '';
    const next = this.#text[start + 1] ?? '';
    if (character === "'" || (character === '"' && !this.#mode.sqlMode.has('ANSI_QUOTES'))) return this.#push('string', this.#quoted(character, true), start);
    if (character === '`' || character === '"') return this.#push('name', this.#quoted(character, false), start);
    if (/[xX]/.test(character) && next === "'") return this.#based('hex', 2, /^[0-9a-fA-F]*'/, start);
    if (/[bB]/.test(character) && next === "'") return this.#based('bit', 2, /^[01]*'/, start);
    if (/[nN]/.test(character) && next === "'") {
      this.#at += 1;
      this.#push('introducer', 'utf8mb3', start);
      return;
    }
    if (/[0-9]/.test(character) || (character === '.' && /[0-9]/.test(next) && !this.#isBehindName())) return this.#number(start);
    if (wordStart.test(character)) return this.#word(start);
    if (character === '?') {
      this.#at += 1;
      return this.#push('parameter', '', start);
    }
    if (character === '@') return this.#variable(start);
    const sign = signs.find((each) => this.#text.startsWith(each, start)) ?? character;
    this.#at += sign.length;
    this.#push('sign', sign, start);
  }

  /** `a.5` names a column. */
  #isBehindName(): boolean {
    const last = this.#tokens.at(-1);
    return last !== undefined && last.end === this.#at && (last.kind === 'word' || last.kind === 'name');
  }

  #quoted(quote: string, hasEscapes: boolean): string {
    const start = this.#at;
    const backslash = hasEscapes && !this.#mode.sqlMode.has('NO_BACKSLASH_ESCAPES');
    let value = '';
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at] ?? '';
      if (character === quote) {
        if (this.#text[this.#at + 1] !== quote) {
          this.#at += 1;
          return value;
        }
        this.#at += 1;
        value += quote;
      } else if (character === '\\' && backslash) {
        this.#at += 1;
        const escaped = this.#text[this.#at] ?? '';
        // The pattern of a LIKE keeps its escapes.
        value += escaped === '%' || escaped === '_' ? `\\${escaped}` : escapes[escaped] ?? escaped;
      } else value += character;
    }
    return refuse('string without an end', start);
  }

  #based(kind: 'hex' | 'bit', skipped: number, pattern: RegExp, start: number): void {
    const digits = pattern.exec(this.#text.slice(start + skipped))?.[0];
    if (digits === undefined || (kind === 'hex' && digits.length % 2 === 0)) return refuse(`${kind} literal`, start);
    this.#at = start + skipped + digits.length;
    this.#push(kind, digits.slice(0, -1), start);
  }

  #number(start: number): void {
    const rest = this.#text.slice(start, start + 400);
    const based = /^0(?:x([0-9a-fA-F]+)|b([01]+))(?![A-Za-z0-9_$\u0080-\uffff])/.exec(rest);
    if (based !== null) {
      this.#at += based[0].length;
      return based[1] === undefined ? this.#push('bit', based[2] ?? '', start) : this.#push('hex', based[1].length % 2 === 0 ? based[1] : `0${based[1]}`, start);
    }
    const float = /^(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+/.exec(rest)?.[0];
    const plain = float ?? /^(?:\d+\.\d*|\.\d+|\d+)/.exec(rest)?.[0] ?? '';
    if (plain.length >= 400) refuse('number', start);
    if (float === undefined && !plain.includes('.') && wordPart.test(rest[plain.length] ?? '')) return this.#word(start);
    this.#at += plain.length;
    this.#push(float !== undefined ? 'float' : plain.includes('.') ? 'decimal' : 'integer', plain, start);
  }

  #word(start: number): void {
    while (wordPart.test(this.#text[this.#at] ?? '')) this.#at += 1;
    const word = this.#text.slice(start, this.#at);
    if (introducers.test(word) && /^\s*(?:'|"|0x|x'|b'|0b)/i.test(this.#text.slice(this.#at, this.#at + 40))) return this.#push('introducer', word.slice(1).toLowerCase(), start);
    this.#push('word', word, start);
  }

  #variable(start: number): void {
    const isSystem = this.#text[start + 1] === '@';
    this.#at += isSystem ? 2 : 1;
    const quote = this.#text[this.#at] ?? '';
    if (!isSystem && ['`', "'", '"'].includes(quote)) return this.#push('user variable', this.#quoted(quote, quote !== '`'), start);
    const name = /^[A-Za-z0-9_$.\u0080-\uffff]*/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    this.#at += name.length;
    this.#push(isSystem ? 'system variable' : 'user variable', name, start);
  }
}
