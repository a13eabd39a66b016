/**
 * The numbers that the MySQL server gave rows of a session's own INSERTs, for `lastval()` and `currval()`. PostgreSQL tells the last number that was drawn; the
 * server tells the first of a statement. So one is known of an INSERT of one row, and of any other it is known that nothing is known.
 */

/** `kept`: the server still has it, as LAST_INSERT_ID(). */
export type DrawnNumber = number | 'kept' | 'unknown';

const KEPT = 'CAST(LAST_INSERT_ID() AS SIGNED)';

export class LastNumbers {
  readonly #byTable = new Map<string, DrawnNumber>();
  #last: string | undefined;
  #latest: 'nothing' | 'server' | 'unclear' = 'nothing';

  /** Who has drawn last, as far as can be told: a statement on a leg may have drawn since. */
  get latest(): 'nothing' | 'server' | 'unclear' {
    return this.#latest;
  }

  /** `table`: by its name there. */
  drew(table: string, number: DrawnNumber): void {
    this.#forgetKept();
    this.#byTable.delete(table);
    this.#byTable.set(table, number);
    this.#last = table;
    this.#latest = 'server';
  }

  legMayHaveDrawn(): void {
    if (this.#latest === 'server') this.#latest = 'unclear';
  }

  /** What the server keeps it keeps for its connection. */
  connectionLost(): void {
    this.#forgetKept();
  }

  /** `table` undefined: of the session's last draw. As SQL of the server; undefined: it is not known. */
  sql(table: string | undefined): string | undefined {
    if (table === undefined && this.#latest !== 'server') return undefined;
    const number = this.#byTable.get(table ?? this.#last ?? '');
    if (number === undefined || number === 'unknown') return undefined;
    return number === 'kept' ? KEPT : String(number);
  }

  #forgetKept(): void {
    for (const [table, number] of this.#byTable) if (number === 'kept') this.#byTable.set(table, 'unknown');
  }
}
