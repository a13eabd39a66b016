/** What the torture run has written, and what has to be there at the end: each write is a row whose text is a token that nobody else writes. */
import type pg from 'pg';

export const logTables = ['on_source', 'on_dual', 'on_local', 'on_flip'] as const;
export type LogTable = (typeof logTables)[number];

/** `unknown`: the connection ended before the answer came. */
export type Fate = 'committed' | 'rolled back' | 'unknown';

export interface Sides {
  readonly source: pg.Client;
  readonly local: pg.Client;
}

interface Written {
  readonly fate: Fate;
  readonly tables: readonly LogTable[];
}

const sideOf: Readonly<Record<LogTable, keyof Sides | undefined>> = { on_source: 'source', on_dual: 'source', on_local: 'local', on_flip: undefined };

export const tortureSchema = (side: keyof Sides): string => `
  CREATE FUNCTION torture_echo(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
  ${logTables.map((table) => `CREATE TABLE ${table} (token text PRIMARY KEY)`).join(';')};
  ${['source', 'dual', 'local'].map((name) => `CREATE TABLE marks_${name} (side text); INSERT INTO marks_${name} VALUES ('${side}')`).join(';')}`;

export class Ledger {
  readonly #written = new Map<string, Written>();

  /** One transaction's row in each of these tables. */
  note(token: string, fate: Fate, ...tables: readonly LogTable[]): void {
    this.#written.set(token, { fate, tables });
  }

  get size(): number {
    return this.#written.size;
  }

  /** What is not as it should be; nothing may be running. Forgets what it has found right, and empties the tables. */
  async settle(sides: Sides): Promise<string[]> {
    const wrong: string[] = [];
    const found = new Map<LogTable, Set<string>>();
    for (const table of logTables) {
      const tokens = new Set<string>();
      for (const [side, admin] of Object.entries(sides) as [keyof Sides, pg.Client][]) {
        const { rows } = await admin.query<{ token: string }>(`SELECT token FROM ${table}`);
        const home = sideOf[table];
        if (home !== undefined && home !== side && rows.length > 0) wrong.push(`${rows.length} rows of ${table} are on ${side}, among them ${rows[0]?.token ?? ''}`);
        for (const { token } of rows) {
          if (tokens.has(token)) wrong.push(`${token} is in ${table} on both sides`);
          tokens.add(token);
          if (!this.#written.get(token)?.tables.includes(table)) wrong.push(`${token} is in ${table}, and nobody has written it there`);
        }
        await admin.query(`TRUNCATE ${table}`);
      }
      found.set(table, tokens);
    }
    for (const [token, { fate, tables }] of this.#written) {
      const there = tables.filter((table) => found.get(table)?.has(token));
      if (fate === 'committed' && there.length < tables.length) wrong.push(`${token} was committed in ${tables.join(' and ')}, and is in ${there.join(' and ') || 'none'}`);
      if (fate === 'rolled back' && there.length > 0) wrong.push(`${token} was rolled back, and is in ${there.join(' and ')}`);
      if (fate === 'unknown' && there.length > 0 && there.length < tables.length) wrong.push(`${token} was to be committed in ${tables.join(' and ')} or not at all, and is in ${there.join(' and ')}`);
    }
    this.#written.clear();
    return wrong;
  }
}
