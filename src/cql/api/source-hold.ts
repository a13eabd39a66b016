/**
 * While a scan repairs the target by the source, the source has to stay the one that is read and written first: a target that was written by itself would lose its rows to the repair. The scan
 * holds its tables and renews that; one that has gone loses them after a time.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { planOf, TARGET_CLUSTER } from '../modes.ts';
import type { ModeTable } from '../modes.ts';

export class SourceHold {
  readonly #until = new Map<string, number>();

  /** `tables` as `ks.table`; none of `forMs` gives them up. Throws MIG074 when one of them is read from the target. */
  hold(tables: readonly string[], forMs: number, modes: ModeTable, nowMs: number): void {
    for (const table of tables) {
      const dot = table.indexOf('.');
      const { primary, mode } = planOf(modes, table.slice(0, dot), table.slice(dot + 1));
      if (forMs > 0 && primary === TARGET_CLUSTER) {
        throw new MigrationError('MIG074', `${table} is in mode ${mode}: the target is the one that is read, and a repair by the source would undo what was written there`, { hint: 'Repair with "newest", or switch back to DualSync first.' });
      }
    }
    for (const table of tables) {
      if (forMs > 0) this.#until.set(table, nowMs + forMs);
      else this.#until.delete(table);
    }
  }

  /** Held tables that a switch of `of` (`ks`, `ks.table`, undefined for all) concerns. */
  held(of: string | undefined, nowMs: number): readonly string[] {
    for (const [table, until] of this.#until) if (until <= nowMs) this.#until.delete(table);
    return [...this.#until.keys()].filter((table) => of === undefined || table === of || (!of.includes('.') && table.startsWith(`${of}.`))).sort();
  }
}
