/**
 * Rows of a COPY in text or CSV, as their bytes come. Bytes stand as characters of latin1 until a value is known: what separates them is ASCII.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { isUtf8 } from 'node:buffer';
import type { CopyFormat } from '../../../grammar/dialect/mysql/copy-statement.ts';

export type CopyRow = readonly (string | null)[];

/** What is wrong with the data, in PostgreSQL's words. */
export class CopyFault extends Error {
  readonly sqlstate: string;
  readonly hint: string | undefined;

  constructor(sqlstate: string, message: string, hint?: string) {
    super(message);
    this.sqlstate = sqlstate;
    this.hint = hint;
  }
}

/** One of the forms that the data can have. */
export interface CopyReader {
  /** Of the row given out last, from 1. */
  readonly line: number;
  /** Bytes that have not been given out. */
  readonly bytes: number;
  push(bytes: Buffer): void;
  end(): void;
  /** Undefined: more has to come, or there is no more. Throws a CopyFault. */
  next(): CopyRow | undefined;
}

const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

export class CopyRows implements CopyReader {
  line = 0;
  readonly #format: CopyFormat;
  readonly #columns: readonly string[];
  readonly #null: string;
  readonly #quote: number;
  /** Undefined where a quote is escaped by itself. */
  readonly #escape: number | undefined;
  #text = '';
  #at = 0;
  /** Up to here no end of the line has been found. */
  #scanned = 0;
  #isQuoted = false;
  #isEscaped = false;
  /** As the first line ends. */
  #ending: '\n' | '\r\n' | '\r' | undefined;
  #isEnded = false;
  #isHeaderRead = false;
  #isOver = false;

  constructor(format: CopyFormat, columns: readonly string[]) {
    this.#format = format;
    this.#columns = columns;
    this.#null = Buffer.from(format.nullText).toString('latin1');
    this.#quote = format.quote.charCodeAt(0);
    this.#escape = format.escape === format.quote ? undefined : format.escape.charCodeAt(0);
  }

  get bytes(): number {
    return this.#text.length - this.#at;
  }

  push(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#text = this.#text.slice(this.#at) + bytes.toString('latin1');
    this.#scanned -= this.#at;
    this.#at = 0;
  }

  end(): void {
    this.#isEnded = true;
  }

  next(): CopyRow | undefined {
    for (;;) {
      const line = this.#isOver ? undefined : this.#line();
      if (line === undefined) return undefined;
      this.line += 1;
      if (line === '\\.') {
        if (this.#format.format === 'csv') throw new CopyFault('22P04', 'a line that is \\. alone has two meanings in CSV', 'Leave it out where it ends the data; put it in quotes where it is a value.');
        this.#isOver = true;
        this.#text = '';
        this.#at = 0;
        return undefined;
      }
      if (this.#format.hasHeader && !this.#isHeaderRead) {
        this.#isHeaderRead = true;
        continue;
      }
      return this.#checked(this.#format.format === 'csv' ? this.#csvFields(line) : this.#textFields(line));
    }
  }

  /** Without what ends it. */
  #line(): string | undefined {
    const text = this.#text;
    const isCsv = this.#format.format === 'csv';
    for (let at = this.#scanned; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (isCsv) {
        if (this.#isQuoted && code === this.#escape) this.#isEscaped = !this.#isEscaped;
        if (code === this.#quote && !this.#isEscaped) this.#isQuoted = !this.#isQuoted;
        if (code !== this.#escape) this.#isEscaped = false;
        // As PostgreSQL counts lines inside of values.
        if (this.#isQuoted && code === (this.#ending === '\n' ? NEWLINE : RETURN)) this.line += 1;
        if (this.#isQuoted) continue;
      } else if (code === BACKSLASH) {
        if (at + 1 === text.length && !this.#isEnded) return this.#wait(at);
        at += 1;
        continue;
      }
      if (code !== NEWLINE && code !== RETURN) continue;
      if (code === RETURN && this.#ending !== '\r' && at + 1 === text.length && !this.#isEnded) return this.#wait(at);
      const ending = code === NEWLINE ? '\n' : text.charCodeAt(at + 1) === NEWLINE && this.#ending !== '\r' ? '\r\n' : '\r';
      this.#ending ??= ending;
      if (ending !== this.#ending) throw this.#inLine(strayEnding(code === NEWLINE ? 'newline' : 'carriage return', isCsv));
      return this.#take(at, at + ending.length);
    }
    if (!this.#isEnded) return this.#wait(text.length);
    if (this.#isQuoted) throw this.#inLine(new CopyFault('22P04', 'unterminated CSV quoted field'));
    return this.bytes === 0 ? undefined : this.#take(text.length, text.length);
  }

  /** Which has not been read to its end. */
  #inLine(fault: CopyFault): CopyFault {
    this.line += 1;
    return fault;
  }

  #wait(at: number): undefined {
    this.#scanned = at;
    return undefined;
  }

  #take(end: number, next: number): string {
    const line = this.#text.slice(this.#at, end);
    this.#at = next;
    this.#scanned = next;
    return line;
  }

  #textFields(line: string): CopyRow {
    if (!line.includes('\\')) return line.split(this.#format.delimiter).map((field) => (field === this.#null ? null : textOf(field)));
    const fields: (string | null)[] = [];
    let value = '';
    let start = 0;
    let from = 0;
    for (let at = 0; at <= line.length; at += 1) {
      if (at < line.length && line.charCodeAt(at) === BACKSLASH) {
        const { text, length } = unescaped(line, at);
        value += line.slice(from, at) + text;
        at += length - 1;
        from = at + 1;
      } else if (at === line.length || line[at] === this.#format.delimiter) {
        fields.push(line.slice(start, at) === this.#null ? null : textOf(value + line.slice(from, at)));
        value = '';
        start = at + 1;
        from = start;
      }
    }
    return fields;
  }

  #csvFields(line: string): CopyRow {
    const { delimiter, quote, escape } = this.#format;
    const fields: (string | null)[] = [];
    let value = '';
    let wasQuoted = false;
    let isQuoted = false;
    for (let at = 0; at <= line.length; at += 1) {
      const character = line[at];
      if (isQuoted && character !== undefined) {
        const next = line[at + 1];
        if (character === escape && (next === escape || next === quote)) {
          value += next;
          at += 1;
        } else if (character === quote) isQuoted = false;
        else value += character;
      } else if (character === undefined || character === delimiter) {
        fields.push(!wasQuoted && value === this.#null ? null : textOf(value));
        value = '';
        wasQuoted = false;
      } else if (character === quote) {
        isQuoted = true;
        wasQuoted = true;
      } else value += character;
    }
    return fields;
  }

  #checked(fields: CopyRow): CopyRow {
    if (fields.length > this.#columns.length) throw new CopyFault('22P04', 'extra data after last expected column');
    if (fields.length < this.#columns.length) throw new CopyFault('22P04', `missing data for column "${this.#columns[fields.length] ?? ''}"`);
    return fields;
  }
}

const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** What stands behind a backslash; `length` counts both. */
function unescaped(line: string, at: number): { readonly text: string; readonly length: number } {
  const digits = /^(?:[0-7]{1,3}|x[\da-fA-F]{1,2})/.exec(line.slice(at + 1, at + 4))?.[0];
  if (digits !== undefined) return { text: String.fromCharCode((digits[0] === 'x' ? parseInt(digits.slice(1), 16) : parseInt(digits, 8)) & 0xff), length: digits.length + 1 };
  const next = line[at + 1];
  if (next === undefined) return { text: '\\', length: 1 };
  if (next === '.') throw new CopyFault('22P04', 'end-of-copy marker is not alone on its line');
  return { text: letters[next] ?? next, length: 2 };
}

/** The value whose bytes these are. */
export function textOf(bytes: string): string {
  if (bytes.includes('\0')) throw new CopyFault('22021', 'invalid byte sequence for encoding "UTF8": 0x00');
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  if (!isUtf8(buffer)) throw new CopyFault('22021', 'invalid byte sequence for encoding "UTF8"');
  return buffer.toString('utf8');
}

function strayEnding(what: string, isCsv: boolean): CopyFault {
  return new CopyFault('22P04', `${isCsv ? 'unquoted' : 'literal'} ${what} found in data`, isCsv ? `Use quoted CSV field to represent ${what}.` : `Use "${what === 'newline' ? '\\n' : '\\r'}" to represent ${what}.`);
}
