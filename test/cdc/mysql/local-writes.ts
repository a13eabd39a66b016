/**
 * Random transactions on local over tables that came from MySQL, for as long as a test wants: values go from row to row, so every type keeps the values
 * that it came with, and only their places are chance.
 */
import type pg from 'pg';
import { quoteIdent, quoteTable } from '../../../cdc/postgres/quote.ts';
import { sqlstateOf } from '../../../cdc/postgres/connect.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { Random } from '../stream/random-workload.ts';

const PAUSE_MS = 5;

export interface WrittenLocal {
  readonly plan: TablePlan;
  /** SQL for another key than the row `o` has, column by column; `n` is a number that no row has had. */
  readonly newKey: Readonly<Record<string, string>>;
  readonly mayTruncate?: boolean;
  /** Columns that are unique by themselves: copied with `n` behind them. */
  readonly unique?: Readonly<Record<string, string>>;
}

export class LocalWrites {
  readonly #random: Random;
  readonly #tables: readonly WrittenLocal[];
  #next = 1_000_000;
  transactions = 0;

  constructor(random: Random, tables: readonly WrittenLocal[]) {
    this.#random = random;
    this.#tables = tables;
  }

  async run(client: pg.Client, signal: AbortSignal): Promise<void> {
    // What it writes faster than a busy machine carries it would only be waited for at the end.
    for (; !signal.aborted; await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))) await this.#transaction(client);
  }

  async #transaction(client: pg.Client): Promise<void> {
    const count = 1 + Math.floor(this.#random() * 6);
    await client.query('BEGIN');
    try {
      for (let done = 0; done < count; done += 1) await client.query(this.#change());
      await client.query(this.#random() < 0.1 ? 'ROLLBACK' : 'COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      // A key that is there already, or a range that a value does not have here.
      if (!/^2[23]/.test(sqlstateOf(error) ?? '')) throw error;
    }
    this.transactions += 1;
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)] as T;
  }

  #change(): string {
    const written = this.#pick(this.#tables);
    const { plan, newKey, unique = {} } = written;
    const table = quoteTable(plan.target);
    const n = `${(this.#next += 1)}`;
    const one = `SELECT * FROM ${table} OFFSET ${Math.floor(this.#random() * 60)} LIMIT 1`;
    const other = `SELECT * FROM ${table} OFFSET ${Math.floor(this.#random() * 60)} LIMIT 1`;
    const isRow = plan.key.map((name) => `t.${quoteIdent(name)} = o.${quoteIdent(name)}`).join(' AND ');
    const isKey = plan.key.map(quoteIdent).join(', ');
    const free = plan.columns.map(({ name }) => name).filter((name) => !plan.key.includes(name) && unique[name] === undefined);
    const keyOf = (name: string): string | undefined => newKey[name]?.replaceAll(/\bn\b/g, n);
    const copied = plan.columns.map(({ name }) => keyOf(name) ?? unique[name]?.replaceAll(/\bn\b/g, n) ?? `o.${quoteIdent(name)}`);
    const set = [this.#pick(free), this.#pick(free)].filter((name, at, all) => all.indexOf(name) === at);
    const kind = this.#random();
    if (kind < 0.35) return `INSERT INTO ${table} (${plan.columns.map(({ name }) => quoteIdent(name)).join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${copied.join(', ')} FROM (${one}) o`;
    if (kind < 0.65) return `UPDATE ${table} t SET ${set.map((name) => `${quoteIdent(name)} = p.${quoteIdent(name)}`).join(', ')} FROM (${one}) o, (${other}) p WHERE ${isRow}`;
    if (kind < 0.75) return `UPDATE ${table} t SET ${Object.keys(newKey).map((name) => `${quoteIdent(name)} = ${keyOf(name) ?? ''}`).join(', ')} FROM (${one}) o WHERE ${isRow}`;
    if (kind < 0.92) return `DELETE FROM ${table} t USING (${one}) o WHERE ${isRow}`;
    if (kind < 0.94 && written.mayTruncate === true) return `TRUNCATE ${table}`;
    const [first] = Object.keys(unique);
    if (first !== undefined) return swap(table, quoteIdent(first), plan.key[0] ?? '', this.#random);
    return `UPDATE ${table} t SET ${set.map((name) => `${quoteIdent(name)} = p.${quoteIdent(name)}`).join(', ')} FROM (${other}) p WHERE (${plan.key.map((name) => `t.${quoteIdent(name)}`).join(', ')}) IN (SELECT ${isKey} FROM ${table} OFFSET ${Math.floor(this.#random() * 60)} LIMIT 30)`;
  }
}

/** Two rows change places, within one transaction. */
function swap(table: string, column: string, key: string, random: Random): string {
  const from = Math.floor(random() * 20);
  return `DO $$ DECLARE a record; b record; BEGIN
    SELECT * INTO a FROM ${table} ORDER BY ${quoteIdent(key)} OFFSET ${from} LIMIT 1; SELECT * INTO b FROM ${table} ORDER BY ${quoteIdent(key)} OFFSET ${from + 1} LIMIT 1;
    IF b IS NOT NULL THEN
      UPDATE ${table} SET ${column} = -1 WHERE ${quoteIdent(key)} = a.${quoteIdent(key)}; UPDATE ${table} SET ${column} = a.${column} WHERE ${quoteIdent(key)} = b.${quoteIdent(key)}; UPDATE ${table} SET ${column} = b.${column} WHERE ${quoteIdent(key)} = a.${quoteIdent(key)};
    END IF; END $$`;
}
