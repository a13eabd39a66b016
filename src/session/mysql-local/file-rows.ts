/**
 * Rows of a file of LOAD DATA, as its bytes come. Bytes stand as characters of latin1: separators are ASCII, and what the others mean is a matter of the columns.
 * https://dev.mysql.com/doc/refman/8.4/en/load-data.html#load-data-field-line-handling
 */
import type { LoadData } from '../../../grammar/dialect/postgres/mysql-tree.ts';

export type FileRow = readonly (string | null)[];

const escapes: Readonly<Record<string, string>> = { 0: '\0', b: '\b', n: '\n', r: '\r', t: '\t', Z: '\x1a' };

export class FileRows {
  readonly #fields: LoadData['fields'];
  readonly #lineEnd: string;
  /** So many characters have to be there to know what begins with one. */
  readonly #lookahead: number;
  #text = '';
  #at = 0;
  /** With fewer characters than these the next row cannot be told yet: a long one is not read again with each chunk. */
  #needed = 1;
  #isEnded = false;
  #toSkip: number;

  constructor({ fields, lines, skipped }: Pick<LoadData, 'fields' | 'lines' | 'skipped'>) {
    this.#fields = fields;
    this.#lineEnd = lines.terminated;
    this.#lookahead = Math.max(fields.terminated.length, lines.terminated.length) + 2;
    this.#toSkip = skipped;
  }

  /** Characters that have not been given out. */
  get bytes(): number {
    return this.#text.length - this.#at;
  }

  push(chunk: Buffer): void {
    this.#text = this.#text.slice(this.#at) + chunk.toString('latin1');
    this.#at = 0;
  }

  /** What is there is not wanted. */
  drop(): void {
    this.#text = '';
    this.#at = 0;
  }

  end(): void {
    this.#isEnded = true;
  }

  /** Undefined: more has to come, or there is no more. */
  next(): FileRow | undefined {
    for (;;) {
      if (this.bytes === 0 || (this.bytes < this.#needed && !this.#isEnded)) return undefined;
      const row = this.#toSkip > 0 ? this.#line() : this.#row();
      if (row === undefined) {
        this.#needed = Math.ceil(this.bytes * 1.5) + 1;
        return undefined;
      }
      this.#needed = 1;
      if (this.#toSkip === 0) return row;
      this.#toSkip -= 1;
    }
  }

  /** Passed over, whatever stands in it. */
  #line(): FileRow | undefined {
    const end = this.#text.indexOf(this.#lineEnd, this.#at);
    if (end < 0 && !this.#isEnded) return undefined;
    this.#at = end < 0 ? this.#text.length : end + this.#lineEnd.length;
    return [];
  }

  #row(): FileRow | undefined {
    const text = this.#text;
    const { terminated } = this.#fields;
    const row: (string | null)[] = [];
    for (let at = this.#at; ; ) {
      const field = this.#field(at);
      if (field === undefined) return undefined;
      row.push(field.value);
      at = field.end;
      if (at < text.length && text.startsWith(terminated, at) && !text.startsWith(this.#lineEnd, at)) {
        at += terminated.length;
        // The file ends before the field that this promised.
        if (at < text.length || !this.#isEnded) continue;
        this.#at = at;
        return row;
      }
      this.#at = Math.min(text.length, at + this.#lineEnd.length);
      return row;
    }
  }

  /** Up to what ends it. Undefined: that has not come. */
  #field(start: number): { readonly value: string | null; readonly end: number } | undefined {
    const text = this.#text;
    const { enclosed, escaped } = this.#fields;
    const isEnclosed = enclosed !== '' && text[start] === enclosed;
    let value = '';
    let isNull = false;
    let from = isEnclosed ? start + 1 : start;
    let at = from;
    for (;;) {
      if (at + this.#lookahead > text.length && !this.#isEnded) return undefined;
      if (at >= text.length) break;
      const character = text[at] ?? '';
      if (escaped !== '' && character === escaped && at + 1 < text.length) {
        const next = text[at + 1] ?? '';
        value += text.slice(from, at) + (escapes[next] ?? next);
        isNull ||= next === 'N';
        at += 2;
        from = at;
      } else if (isEnclosed && character === enclosed) {
        const isTwice = text[at + 1] === enclosed;
        if (!isTwice && this.#ends(at + 1)) return { value: nullOr(value + text.slice(from, at), isNull), end: at + 1 };
        // Doubled it is one of the value; one that ends nothing belongs to it as well.
        value += text.slice(from, at + 1);
        at += isTwice ? 2 : 1;
        from = at;
      } else if (!isEnclosed && this.#ends(at)) break;
      else at += 1;
    }
    const whole = value + text.slice(from, at);
    return { value: !isEnclosed && enclosed !== '' && whole === 'NULL' ? null : nullOr(whole, isNull), end: at };
  }

  #ends(at: number): boolean {
    return at >= this.#text.length || this.#text.startsWith(this.#fields.terminated, at) || this.#text.startsWith(this.#lineEnd, at);
  }
}

/** `\\N`, and nothing else. */
function nullOr(value: string, isNull: boolean): string | null {
  return isNull && value === 'N' ? null : value;
}
