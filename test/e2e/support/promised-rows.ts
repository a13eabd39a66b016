/** What writers of a migrated schema were promised, in the words of either side, and whether a side keeps it. */

/** Text as both sides print it; null is NULL. */
export type Promised = Readonly<Record<string, string | null>>;

export interface PromisedColumn {
  readonly name: string;
  /** SQL that prints its text, of each side. */
  readonly source: string;
  readonly local: string;
}

export interface PromisedTable {
  readonly schema: string;
  readonly name: string;
  readonly key: string;
  readonly columns: readonly PromisedColumn[];
}

export type AskSide = (sql: string) => Promise<readonly Record<string, unknown>[]>;

/** Rows that one writer alone changes: what it has seen committed is what must be there. */
export class PromisedRows {
  readonly #rows = new Map<string, Map<string, Promised | null>>();
  /** Transactions whose commit was answered. */
  commits = 0;

  /** `null`: the row was deleted. Columns that are not named keep their value. */
  commit(changes: readonly { readonly table: string; readonly key: string; readonly row: Promised | null }[]): void {
    this.commits += 1;
    for (const { table, key, row } of changes) {
      const rows = this.#rows.get(table) ?? new Map<string, Promised | null>();
      this.#rows.set(table, rows);
      rows.set(key, row === null ? null : { ...rows.get(key), ...row });
    }
  }

  count(table: string): number {
    return this.#rows.get(table)?.size ?? 0;
  }

  /** What a side does not keep, in words; no more than twenty. */
  async broken(side: 'source' | 'local', tables: readonly PromisedTable[], ask: AskSide): Promise<readonly string[]> {
    const found: string[] = [];
    for (const { schema, name, key, columns } of tables) {
      const promised = this.#rows.get(name);
      if (promised === undefined) continue;
      const rows = await ask(`SELECT ${key} AS k, ${columns.map((column, at) => `${column[side]} AS c${at}`).join(', ')} FROM ${schema}.${name}`);
      const present = new Map(rows.map((row) => [String(row['k']), row]));
      for (const [id, row] of promised) {
        const there = present.get(id);
        if (row === null ? there !== undefined : there === undefined) found.push(`${name} ${id} is ${row === null ? 'there, and was deleted' : 'missing'}`);
        else if (row !== null) {
          for (const [at, column] of columns.entries()) {
            const value = there?.[`c${at}`] ?? null;
            if (column.name in row && value !== row[column.name]) found.push(`${name} ${id}: ${column.name} is ${String(value)}, and was committed as ${String(row[column.name])}`);
          }
        }
      }
    }
    return found.slice(0, 20);
  }
}
