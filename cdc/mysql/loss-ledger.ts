/**
 * How many values did not go over as they were, and which for example: for each column and kind of loss. The load and the stream tell it of every
 * value that a policy changed; values that are refused stop their row by an error of its own.
 */
import type { LossDirection, LossKind, TellLoss } from './type-loss.ts';

export interface LossCount {
  readonly tableId: string;
  readonly column: string;
  readonly kind: LossKind;
  readonly direction: LossDirection;
  readonly values: number;
  /** The first ones: what was written, and what became of it. */
  readonly examples: readonly { readonly value: string; readonly becomes: string | null }[];
}

const EXAMPLES = 5;
const SHOWN_CHARACTERS = 100;

interface Entry extends Omit<LossCount, 'values' | 'examples'> {
  values: number;
  readonly examples: { readonly value: string; readonly becomes: string | null }[];
}

export class LossLedger {
  readonly #tables = new Map<string, Map<string, Entry>>();

  /** For `makeConversion`. */
  teller(tableId: string): TellLoss {
    return ({ column, kind, direction, value, becomes }) => {
      let entries = this.#tables.get(tableId);
      if (entries === undefined) this.#tables.set(tableId, (entries = new Map<string, Entry>()));
      const key = `${direction} ${kind} ${column}`;
      let entry = entries.get(key);
      if (entry === undefined) entries.set(key, (entry = { tableId, column, kind, direction, values: 0, examples: [] }));
      entry.values += 1;
      if (entry.examples.length < EXAMPLES) entry.examples.push({ value: shorten(value), becomes: becomes === null ? null : shorten(becomes) });
    };
  }

  /** By column. A value that is carried again, after a loss of the connection say, counts again. */
  counts(tableId: string): readonly LossCount[] {
    return [...(this.#tables.get(tableId)?.values() ?? [])].map((entry) => ({ ...entry, examples: [...entry.examples] })).sort((a, b) => (a.column < b.column ? -1 : a.column > b.column ? 1 : a.kind < b.kind ? -1 : 1));
  }

  forget(tableId: string): void {
    this.#tables.delete(tableId);
  }
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
