/**
 * Facts of texts seen before. First by the exact text (one slice and one look-up), then by its class (fingerprint.ts), then by
 * parsing; by the class first where most texts of late were known by it alone. Facts that depend on literals
 * are kept for the exact text only (RULES 26). Texts of one class share one TextFacts object, so that what is remembered by its
 * identity (RouteCache) serves all of them.
 *
 * Bounded by bytes: entries are kept in a young and an old generation; when the young one is full it becomes the old one,
 * and what the old one held and nobody asked for is gone.
 */
import { Fingerprinter } from './fingerprint.ts';
import type { NamePlace } from './name-places.ts';
import type { SqlParser } from './parser.ts';
import type { QueryUses } from './relation-uses.ts';
import { isShareable } from './shareable.ts';
import type { TextFacts } from './statement-facts.ts';

export interface FactsCacheOptions {
  /** Of both generations, roughly; the places of names take an eighth of it besides. Default 64 MiB. */
  readonly maxBytes?: number;
}

export interface FactsCacheCounts {
  readonly exactHits: number;
  readonly classHits: number;
  readonly misses: number;
}

/** Longer texts are not kept under their own bytes. */
const maxExactBytes = 8 * 1024;
/** Longer texts are not read for their class: some 1 ms. */
const maxClassBytes = 256 * 1024;
const maxClassKeyBytes = 16 * 1024;
const MANY = 8;
/** What an entry costs besides its key, estimated. */
const entryBytes = 1_200;

export class FactsCache {
  readonly #parser: SqlParser;
  readonly #exact: Generations<TextFacts>;
  readonly #classes: Generations<TextFacts>;
  readonly #places: Generations<readonly NamePlace[]>;
  readonly #fingerprinter = new Fingerprinter();
  /** Up with each text that was known by its class alone, down with each that comes again as it was; between 0 and 2 × MANY. */
  #byClassOfLate = 0;
  #exactHits = 0;
  #classHits = 0;
  #misses = 0;

  constructor(parser: SqlParser, options: FactsCacheOptions = {}) {
    const maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
    this.#parser = parser;
    this.#exact = new Generations(maxBytes / 2);
    this.#classes = new Generations(maxBytes / 2);
    this.#places = new Generations(maxBytes / 8);
  }

  get counts(): FactsCacheCounts {
    return { exactHits: this.#exactHits, classHits: this.#classHits, misses: this.#misses };
  }

  /** `bytes` from `start` to `end` are the text in UTF-8, without its terminating zero. A promise for large texts only; it never rejects. */
  facts(bytes: Buffer, start: number, end: number): TextFacts | Promise<TextFacts> {
    if (this.#byClassOfLate > MANY) {
      const textClass = this.#classOf(bytes, start, end);
      return this.#knownClass(textClass) ?? this.#knownText(bytes, start, end) ?? this.#read(textClass, bytes, start, end);
    }
    const exact = this.#knownText(bytes, start, end);
    if (exact !== undefined) return exact;
    const textClass = this.#classOf(bytes, start, end);
    const known = this.#knownClass(textClass);
    if (known === undefined) return this.#read(textClass, bytes, start, end);
    // A text with constants is not likely to come again as it is; one without is.
    if (!this.#fingerprinter.hasConstants && end - start <= maxExactBytes) this.#exact.set(bytes.toString('latin1', start, end), known);
    return known;
  }

  /** As `facts`, for a text at hand as a string. */
  factsOf(text: string): TextFacts | Promise<TextFacts> {
    const bytes = Buffer.from(text);
    return this.facts(bytes, 0, bytes.length);
  }

  /** Where a text names relations (`namePlaces`); the places of texts that were asked for lately are kept. */
  places(text: string): readonly NamePlace[] | Promise<readonly NamePlace[] | undefined> {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const places = this.#parser.namePlaces(text);
    if (!(places instanceof Promise) && text.length <= maxExactBytes) this.#places.set(text, places);
    return places;
  }

  /** How a text uses what it reads. Not kept: such a text costs its side more than this. */
  uses(text: string): QueryUses | Promise<QueryUses | undefined> {
    return this.#parser.relationUses(text);
  }

  /** As the parser reads it, for a translation, which is what is kept. */
  statementTree(text: string): unknown {
    return this.#parser.statementTree(text);
  }

  #knownText(bytes: Buffer, start: number, end: number): TextFacts | undefined {
    if (end - start > maxExactBytes) return undefined;
    const facts = this.#exact.get(bytes.toString('latin1', start, end));
    if (facts === undefined) return undefined;
    this.#exactHits += 1;
    if (this.#byClassOfLate > 0) this.#byClassOfLate -= 1;
    return facts;
  }

  #classOf(bytes: Buffer, start: number, end: number): string | undefined {
    const read = end - start <= maxClassBytes ? this.#fingerprinter.read(bytes, start, end) : undefined;
    return read !== undefined && read.length <= maxClassKeyBytes ? read : undefined;
  }

  /** Of the text that was read last for its class. */
  #knownClass(textClass: string | undefined): TextFacts | undefined {
    const known = textClass === undefined ? undefined : this.#classes.get(textClass);
    if (known === undefined) return undefined;
    this.#classHits += 1;
    if (!this.#fingerprinter.hasConstants) this.#byClassOfLate = Math.max(0, this.#byClassOfLate - 1);
    else if (this.#byClassOfLate < 2 * MANY) this.#byClassOfLate += 1;
    return known;
  }

  /** `textClass`: of this text, the last that was read for it. */
  #read(textClass: string | undefined, bytes: Buffer, start: number, end: number): TextFacts | Promise<TextFacts> {
    this.#misses += 1;
    const hasConstants = textClass === undefined || this.#fingerprinter.hasConstants;
    const key = end - start <= maxExactBytes ? bytes.toString('latin1', start, end) : undefined;
    const facts = this.#parser.readFacts(bytes.toString('utf8', start, end));
    if (!(facts instanceof Promise)) return this.#keep(facts, key, textClass, hasConstants);
    return facts.then((late) => this.#keep(late, key, textClass, hasConstants));
  }

  #keep(facts: TextFacts, key: string | undefined, textClass: string | undefined, hasConstants: boolean): TextFacts {
    // A refusal may be of the moment (too many large texts at once).
    if (facts.type === 'invalid' && facts.refusal !== undefined) return facts;
    const isShared = textClass !== undefined && isShareable(facts);
    if (isShared) this.#classes.set(textClass, facts);
    if (key !== undefined && (!isShared || !hasConstants)) this.#exact.set(key, facts);
    return facts;
  }
}

class Generations<T> {
  readonly #maxYoungBytes: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  #youngBytes = 0;

  constructor(maxBytes: number) {
    this.#maxYoungBytes = maxBytes / 2;
  }

  get(key: string): T | undefined {
    const facts = this.#young.get(key);
    if (facts !== undefined) return facts;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: T): void {
    this.#young.set(key, value);
    this.#youngBytes += key.length + entryBytes;
    if (this.#youngBytes <= this.#maxYoungBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }
}
