/**
 * The rows that one transaction of a client has written on the source, as they stand now (`dual_write_mode 'two_phase'`): what is written to local
 * when it commits. Complete, or lost: with anything in it that is not known, the commit waits for the stream instead.
 */
import type { MarkableTable } from '../../catalog/routing-snapshot.ts';

const MOST_ROWS = 1_000;
const MOST_BYTES = 1 << 20;

export interface TableImages {
  readonly table: MarkableTable;
  /** By key; undefined: the row is gone. */
  readonly rows: Map<string, readonly (string | null)[] | undefined>;
}

export class RowImages {
  readonly tables = new Map<string, TableImages>();
  /** Statements whose rows are here; one without rows has told its client something that local may not show yet. */
  statements = 0;
  statementsWithRows = 0;
  /** The transaction's id on the source, decimal. */
  xid: string | undefined;
  #rows = 0;
  #bytes = 0;
  #isLost = false;

  get isLost(): boolean {
    return this.#isLost;
  }

  get hasRows(): boolean {
    return this.tables.size > 0;
  }

  lose(): void {
    this.#isLost = true;
    this.tables.clear();
  }

  /** The last image of a row counts. `values` in the order of the table's columns. */
  add(tableId: string, table: MarkableTable, keyPlaces: readonly number[], values: readonly (string | null)[], isGone: boolean, bytes: number): void {
    if (this.#isLost) return;
    this.#rows += 1;
    this.#bytes += bytes;
    if (this.#rows > MOST_ROWS || this.#bytes > MOST_BYTES) return this.lose();
    const images = this.tables.get(tableId) ?? { table, rows: new Map<string, readonly (string | null)[] | undefined>() };
    this.tables.set(tableId, images);
    images.rows.set(JSON.stringify(keyPlaces.map((place) => values[place] ?? null)), isGone ? undefined : values);
  }

  /** Larger ones are not kept, and need not come whole. */
  takes(bytes: number): boolean {
    return !this.#isLost && this.#bytes + bytes <= MOST_BYTES;
  }
}
