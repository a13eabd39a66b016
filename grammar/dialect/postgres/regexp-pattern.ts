/**
 * Patterns of REGEXP, as far as Henry Spencer's (MySQL before 8), ICU's (MySQL 8) and PCRE's (MariaDB) find the same in the same text as one of PostgreSQL's can be told to:
 * characters of ASCII, `.`, `[…]`, groups, alternatives, `* + ? {n,m}`, `^` at a beginning and `$` at an end. What is matched does not matter, only whether.
 * Letters of both cases are written out, so that no collation is asked. https://dev.mysql.com/doc/refman/8.4/en/regexp.html, https://unicode-org.github.io/icu/userguide/strings/regexp.html
 */

export interface PatternRules {
  readonly engine: 'spencer' | 'icu' | 'pcre';
  readonly ignoresCase: boolean;
}

const MAX_LENGTH = 500;
const MAX_TIMES = 255;
const special = /[[\](){}^$.|*+?\\]/;
/** Spencer's reads bytes, of which a character may have several. */
const lineEnds = { spencer: '', icu: String.raw`\n\u000B\u000C\r\u0085\u2028\u2029`, pcre: String.raw`\n` } as const;
/** ICU's and PCRE's `$` is also before a line break that ends the text. */
const ends = { spencer: '$', icu: String.raw`(?:$|(?=(?:\r\n|[\u000B\u000C\r\u0085\u2028\u2029])$)|(?<!\r)(?=\n$))`, pcre: String.raw`(?=\n?$)` } as const;
/** ICU finds these in one letter of the text: `ß`, `ﬁ` and their kin. */
const ligatures = /ss|ff|fi|fl|st/i;
/** Letters that lower to one of ASCII. */
const others: Readonly<Record<string, string>> = { k: String.raw`\u212A`, s: String.raw`\u017F` };

/** For `~` in collation "C"; undefined: it is none that is known to mean the same. */
export function regexpPattern(pattern: string, rules: PatternRules): string | undefined {
  if (pattern.length > MAX_LENGTH || /[^ -~]/.test(pattern) || (rules.engine === 'icu' && rules.ignoresCase && ligatures.test(pattern))) return undefined;
  const reader = new PatternReader(pattern, rules);
  const read = reader.alternatives();
  return reader.isAtEnd ? read : undefined;
}

class PatternReader {
  readonly #text: string;
  readonly #rules: PatternRules;
  #at = 0;

  constructor(text: string, rules: PatternRules) {
    this.#text = text;
    this.#rules = rules;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  get #next(): string {
    return this.#text[this.#at] ?? '';
  }

  #accept(character: string): boolean {
    if (this.#next !== character) return false;
    this.#at += 1;
    return true;
  }

  alternatives(): string | undefined {
    const parts: string[] = [];
    do {
      const part = this.#sequence();
      if (part === undefined) return undefined;
      parts.push(part);
    } while (this.#accept('|'));
    return parts.join('|');
  }

  #sequence(): string | undefined {
    let written = this.#accept('^') ? '^' : '';
    while (!this.isAtEnd && this.#next !== '|' && this.#next !== ')') {
      if (this.#accept('$')) {
        const isLast = this.isAtEnd || this.#next === '|' || this.#next === ')';
        return isLast ? `${written}${ends[this.#rules.engine]}` : undefined;
      }
      const isWide = this.#next === '.' || this.#text.startsWith('[^', this.#at);
      const atom = this.#atom();
      const times = atom === undefined ? undefined : this.#times();
      if (atom === undefined || times === undefined) return undefined;
      // One character is one or several of Spencer's bytes.
      if (isWide && this.#rules.engine === 'spencer' && times !== '*' && times !== '+') return undefined;
      written += `${atom}${times}`;
    }
    return written === '' ? undefined : written;
  }

  /** Empty: once. A second one behind it means something else to each of them. */
  #times(): string | undefined {
    const found = /^(?:[*+?]|\{(\d{1,3})(?:,(\d{0,3}))?\})/.exec(this.#text.slice(this.#at));
    if (found === null) return this.#next === '{' ? undefined : '';
    const [whole, least = '', most = ''] = found;
    if (Number(least) > MAX_TIMES || Number(most) > MAX_TIMES || (most !== '' && Number(most) < Number(least))) return undefined;
    this.#at += whole.length;
    return /[*+?{]/.test(this.#next) ? undefined : whole;
  }

  #atom(): string | undefined {
    if (this.#accept('(')) {
      const inner = this.#next === '?' ? undefined : this.alternatives();
      return inner !== undefined && this.#accept(')') ? `(?:${inner})` : undefined;
    }
    if (this.#accept('[')) return this.#class();
    if (this.#accept('.')) return this.#rules.engine === 'spencer' ? '.' : `[^${lineEnds[this.#rules.engine]}]`;
    const isEscaped = this.#accept('\\');
    const character = this.#next;
    // Before a letter or a digit a backslash has a meaning of its own.
    if (character === '' || (isEscaped ? /[a-zA-Z0-9 ]/.test(character) : special.test(character))) return undefined;
    this.#at += 1;
    const [alone, ...cases] = this.#cases(character);
    return cases.length === 0 ? alone : `[${[alone, ...cases].join('')}]`;
  }

  /** `[a-z0-9_]`, `[^,]`. */
  #class(): string | undefined {
    const isNegated = this.#accept('^');
    let written = '';
    while (!this.isAtEnd && this.#next !== ']') {
      const from = this.#next;
      this.#at += 1;
      // Sets of sets, escapes and names are each engine's own, and a hyphen is itself only at an end.
      if (/[[\\&^]/.test(from) || (from === '-' && written !== '' && this.#next !== ']')) return undefined;
      if (this.#next !== '-' || this.#text[this.#at + 1] === ']') {
        written += this.#cases(from).join('');
        continue;
      }
      const to = this.#text[this.#at + 1] ?? '';
      this.#at += 2;
      const isRange = [/[a-z]/, /[A-Z]/, /\d/].some((kind) => kind.test(from) && kind.test(to)) && from <= to;
      if (!isRange) return undefined;
      for (let code = from.charCodeAt(0); code <= to.charCodeAt(0); code += 1) written += this.#cases(String.fromCharCode(code)).join('');
    }
    return written !== '' && this.#accept(']') ? `[${isNegated ? '^' : ''}${written}]` : undefined;
  }

  /** Everything in a text that one character of a pattern stands for. */
  #cases(character: string): readonly string[] {
    if (!/[a-zA-Z]/.test(character)) return [/\w/.test(character) ? character : `\\${character}`];
    if (!this.#rules.ignoresCase) return [character];
    const lower = character.toLowerCase();
    const other = this.#rules.engine === 'spencer' ? undefined : others[lower];
    return [lower, lower.toUpperCase(), ...(other === undefined ? [] : [other])];
  }
}
