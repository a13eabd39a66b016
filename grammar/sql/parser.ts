/**
 * Client texts to facts. Texts below 12 kB are parsed at once, on the calling thread: none of that length overflows its stack.
 * Larger ones, and any that overflowed all the same, are parsed by a thread with a large stack (RULES 31).
 *
 * States of the instance used at once: *ready*; after an overflow *remaking* (50 ms), while every text goes to the
 * thread; then *ready* again.
 */
import { LargeStatementReader } from './large-statement-reader.ts';
import type { NamePlace } from './name-places.ts';
import { readPlaces, readStatement, readText, readUses } from './read-text.ts';
import type { QueryUses } from './relation-uses.ts';
import type { TextFacts } from './statement-facts.ts';
import { WasmParser } from './wasm-parser.ts';

export interface SqlParserOptions {
  /** Texts of at least so many UTF-16 units go to the thread. Default 12,000. */
  readonly largeFrom?: number;
  /** Texts of more UTF-16 units than this are refused (MIG088). Default 64 Mi. */
  readonly maxLength?: number;
}

/** At least 12.5 kB are needed to overflow the default stack of the main thread; a UTF-16 unit is at least one byte. */
const defaultLargeFrom = 12_000;
const defaultMaxLength = 64 * 1024 * 1024;

export async function loadSqlParser(options: SqlParserOptions = {}): Promise<SqlParser> {
  return new SqlParser(await WasmParser.load(), options);
}

export class SqlParser implements AsyncDisposable {
  #parser: WasmParser;
  #remaking: Promise<void> | undefined;
  readonly #large: LargeStatementReader;
  readonly #largeFrom: number;
  readonly #maxLength: number;

  constructor(parser: WasmParser, options: SqlParserOptions) {
    this.#parser = parser;
    this.#large = new LargeStatementReader();
    this.#largeFrom = options.largeFrom ?? defaultLargeFrom;
    this.#maxLength = options.maxLength ?? defaultMaxLength;
  }

  /** `too_large_for_sync`: call `readFacts`. Never throws for what a client sent. */
  parseFacts(text: string): TextFacts | 'too_large_for_sync' {
    if (text.length > this.#maxLength) return tooLong(text.length, this.#maxLength);
    if (text.length >= this.#largeFrom || !this.#parser.usable) return 'too_large_for_sync';
    const facts = readText(text, this.#parser);
    if (facts !== undefined) return facts;
    this.#remake();
    return 'too_large_for_sync';
  }

  /** As `parseFacts`, for any text: answers at once where it can. */
  readFacts(text: string): TextFacts | Promise<TextFacts> {
    const facts = this.parseFacts(text);
    return facts === 'too_large_for_sync' ? this.#large.read(text) : facts;
  }

  /** Where the text names relations: at once where it can, as `readFacts`. Undefined: it cannot be read, now or ever. */
  namePlaces(text: string): readonly NamePlace[] | Promise<readonly NamePlace[] | undefined> {
    return this.#atOnce(text, readPlaces) ?? this.#large.places(text);
  }

  /** How the text uses the relations that it reads; as `namePlaces`. */
  relationUses(text: string): QueryUses | Promise<QueryUses | undefined> {
    return this.#atOnce(text, readUses) ?? this.#large.uses(text);
  }

  /** The tree of the only statement of a text; null for a text that has none, or more. Undefined for one that is too large, or cannot be read at the moment. */
  statementTree(text: string): unknown {
    return this.#atOnce(text, readStatement);
  }

  #atOnce<T>(text: string, read: (text: string, parser: WasmParser) => T | undefined): T | undefined {
    if (text.length >= this.#largeFrom || !this.#parser.usable) return undefined;
    const found = read(text, this.#parser);
    if (found === undefined) this.#remake();
    return found;
  }

  #remake(): void {
    this.#remaking ??= WasmParser.load().then(
      (parser) => {
        this.#parser = parser;
        this.#remaking = undefined;
      },
      // Tried again at the next text that finds the instance unusable; until then the thread reads everything.
      () => {
        this.#remaking = undefined;
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remaking;
    await this.#large[Symbol.asyncDispose]();
  }
}

function tooLong(length: number, limit: number): TextFacts {
  return {
    type: 'invalid', message: 'statement is too long',
    refusal: {
      code: 'MIG088', message: 'Statement is too long for the gateway',
      detail: `It has ${length} characters; the limit is ${limit} (limits.statement_bytes).`, hint: 'Send the rows in several statements, or with COPY.',
    },
  };
}
