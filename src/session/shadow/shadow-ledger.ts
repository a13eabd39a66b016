/** What became of shadow reads, per statement (its constants taken out) and tables. Bounded: the statement that was not seen for longest goes. */
import { Fingerprinter } from '../../../grammar/sql/fingerprint.ts';
import type { MetricSink } from '../../../config/runtime.ts';
import { shorten } from './compare-answers.ts';
import type { ShadowReadCounts, ShadowResult } from './shadow-port.ts';

export interface Verdict {
  readonly result: ShadowResult;
  readonly note?: string | undefined;
  readonly example?: string | undefined;
  /** Of a comparison in which both sides answered. */
  readonly times?: { readonly sourceMs: number; readonly localMs: number } | undefined;
}

interface Entry {
  readonly tables: readonly string[];
  readonly statement: string;
  readonly results: Record<ShadowResult, number>;
  slower: number;
  timed: number;
  sourceMs: number;
  sourceMaxMs: number;
  localMs: number;
  localMaxMs: number;
  note: string | undefined;
  example: string | undefined;
}

const MAX_STATEMENT_CHARACTERS = 1_000;
const MAX_NOTE_CHARACTERS = 300;
/** Longer texts are known by their beginning. */
const MAX_READ_BYTES = 64 * 1024;
const SLOWER_FACTOR = 2;
const SLOWER_BY_MS = 5;

export function isSlower({ sourceMs, localMs }: { readonly sourceMs: number; readonly localMs: number }): boolean {
  return localMs > SLOWER_FACTOR * sourceMs && localMs > sourceMs + SLOWER_BY_MS;
}

export class ShadowLedger {
  readonly #metrics: MetricSink;
  readonly #maxStatements: number;
  readonly #fingerprinter = new Fingerprinter();
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(metrics: MetricSink, maxStatements: number) {
    this.#metrics = metrics;
    this.#maxStatements = maxStatements;
  }

  record(text: Buffer, tables: readonly string[], { result, note, example, times }: Verdict): void {
    const entry = this.#entryOf(text, tables);
    entry.results[result] += 1;
    if (note !== undefined) entry.note = shorten(note, MAX_NOTE_CHARACTERS);
    if (example !== undefined) entry.example = example;
    if (times) this.#time(entry, times);
    this.#metrics.count('scratchbird_gateway_shadow_reads_total', { result });
  }

  read(): readonly ShadowReadCounts[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry, results: { ...entry.results } }));
  }

  #time(entry: Entry, times: NonNullable<Verdict['times']>): void {
    const { sourceMs, localMs } = times;
    entry.timed += 1;
    entry.sourceMs += sourceMs;
    entry.localMs += localMs;
    entry.sourceMaxMs = Math.max(entry.sourceMaxMs, sourceMs);
    entry.localMaxMs = Math.max(entry.localMaxMs, localMs);
    if (!isSlower(times)) return;
    entry.slower += 1;
    this.#metrics.count('scratchbird_gateway_shadow_reads_slower_total', {});
  }

  #entryOf(text: Buffer, tables: readonly string[]): Entry {
    const statement = this.#statementOf(text);
    const key = JSON.stringify([statement, ...tables]);
    const known = this.#entries.get(key);
    if (known) this.#entries.delete(key);
    const entry = known ?? { tables, statement, results: { equal: 0, different: 0, unsettled: 0, order_differs: 0, failed: 0, too_large: 0, skipped: 0, dropped: 0 }, slower: 0, timed: 0, sourceMs: 0, sourceMaxMs: 0, localMs: 0, localMaxMs: 0, note: undefined, example: undefined };
    this.#entries.set(key, entry);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > this.#maxStatements && oldest.done !== true) this.#entries.delete(oldest.value);
    return entry;
  }

  /** A text that has no class (rare forms of constants) stands for itself. */
  #statementOf(text: Buffer): string {
    const read = text.length <= MAX_READ_BYTES ? this.#fingerprinter.read(text, 0, text.length) : undefined;
    const shown = read === undefined ? text.toString('utf8', 0, 4 * MAX_STATEMENT_CHARACTERS) : Buffer.from(read, 'latin1').toString('utf8').replace(marks, '?');
    return shorten(shown.trim(), MAX_STATEMENT_CHARACTERS);
  }
}

/** Bytes that stand for constants in a fingerprint; no text has them. */
const marks = new RegExp(`[${String.fromCharCode(1)}-${String.fromCharCode(5)}]`, 'g');
