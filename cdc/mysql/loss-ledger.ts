/**
 * How many values did not go over as they were, and which for example: for each column and kind of loss. The load and the stream tell it of every
 * value that a policy changed; values that are refused stop their row by an error of its own. What is counted here is taken from time to time, to be
 * added to what is on record.
 */
import type { LossDirection, LossKind, LossPolicy, TellLoss, TypeLoss } from './type-loss.ts';

export interface LossCount {
  readonly tableId: string;
  readonly column: string;
  readonly kind: LossKind;
  readonly direction: LossDirection;
  readonly policy: LossPolicy;
  readonly values: number;
  /** The first ones: what was written, and what became of it. */
  readonly examples: readonly { readonly value: string; readonly becomes: string | null }[];
}

const EXAMPLES = 5;
const SHOWN_CHARACTERS = 100;

interface Entry extends Omit<LossCount, 'values' | 'examples'> {
  values: number;
  examples: LossCount['examples'][number][];
}

export class LossLedger {
  /** Tables of columns and kinds: as many as definitions have, however many values are told. */
  readonly #tables = new Map<string, Map<string, Entry>>();
  readonly #onFirst: () => void;
  #untaken = 0;

  /** `onFirst`: a kind of loss that a column had not had; the value is not on local yet. */
  constructor(onFirst: () => void = () => undefined) {
    this.#onFirst = onFirst;
  }

  /** For `makeConversion`. */
  teller(tableId: string): TellLoss {
    return (loss) => this.tell(tableId, loss);
  }

  /** A value that is carried again, after a loss of the connection say, counts again. */
  tell(tableId: string, { column, kind, direction, policy, value, becomes }: TypeLoss): void {
    let entries = this.#tables.get(tableId);
    if (entries === undefined) this.#tables.set(tableId, (entries = new Map<string, Entry>()));
    const key = `${direction} ${kind} ${column}`;
    let entry = entries.get(key);
    const isFirst = entry === undefined;
    if (entry === undefined) entries.set(key, (entry = { tableId, column, kind, direction, policy, values: 0, examples: [] }));
    entry.values += 1;
    this.#untaken += 1;
    if (entry.examples.length < EXAMPLES) entry.examples.push({ value: shorten(value), becomes: becomes === null ? null : shorten(becomes) });
    if (isFirst) this.#onFirst();
  }

  /** What was told since the last time, by column. */
  take(): readonly LossCount[] {
    if (this.#untaken === 0) return [];
    this.#untaken = 0;
    const taken: LossCount[] = [];
    for (const entries of this.#tables.values()) {
      for (const entry of entries.values()) {
        if (entry.values === 0) continue;
        taken.push({ ...entry, examples: [...entry.examples] });
        entry.values = 0;
        entry.examples = [];
      }
    }
    return taken.sort((a, b) => (a.column < b.column ? -1 : a.column > b.column ? 1 : a.kind < b.kind ? -1 : 1));
  }

  /** They could not be recorded: the next `take` has them again. */
  putBack(counts: readonly LossCount[]): void {
    for (const { tableId, column, kind, direction, values, examples } of counts) {
      const entry = this.#tables.get(tableId)?.get(`${direction} ${kind} ${column}`);
      if (entry === undefined) continue;
      entry.values += values;
      this.#untaken += values;
      entry.examples = [...examples, ...entry.examples].slice(0, EXAMPLES);
    }
  }

  forget(tableId: string): void {
    this.#tables.delete(tableId);
  }
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
