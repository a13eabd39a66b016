/**
 * A bank that knows what it was promised: transfers between two tables of one group, and a list per key to which clients append.
 *
 * Invariants: the sum of all balances never changes; a list only grows at its end; what a client was told is done is there,
 * once, in the order in which it was told; a client sees its own appends, and never a shorter list than before.
 */
import type { ClientBase } from 'pg';

export const ACCOUNTS = 2000;
export const LISTS = 12;
export const OPENING_TOTAL = ACCOUNTS * 1000;
export const tables = ['checking', 'savings', 'lists'] as const;

/** `note` and `pad` are stored out of line, so most updates leave them out of the change stream (RULES 1). */
export const bankSql = `
  CREATE TABLE checking (id int PRIMARY KEY, balance bigint NOT NULL, note text);
  CREATE TABLE savings (id int PRIMARY KEY REFERENCES checking, balance bigint NOT NULL, opened timestamptz NOT NULL DEFAULT now());
  CREATE TABLE lists (k int PRIMARY KEY REFERENCES checking, items bigint[] NOT NULL DEFAULT '{}', pad text NOT NULL);
  CREATE INDEX savings_opened ON savings (opened);
  ALTER TABLE checking ALTER note SET STORAGE EXTERNAL;
  ALTER TABLE lists ALTER pad SET STORAGE EXTERNAL;
  INSERT INTO checking SELECT g, 500, CASE WHEN g % 20 = 0 THEN repeat(md5(g::text), 150) END FROM generate_series(1, ${ACCOUNTS}) g;
  INSERT INTO savings SELECT g, 500 FROM generate_series(1, ${ACCOUNTS}) g;
  INSERT INTO lists SELECT g, '{}', repeat(md5(g::text), 200) FROM generate_series(1, ${LISTS}) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON checking, savings, lists TO app;
  ANALYZE`;

/** One append: `done` (acknowledged), `failed` (refused for certain), `unknown` (the connection was lost meanwhile). */
export interface Append {
  readonly key: number;
  readonly value: number;
  readonly startMs: number;
  endMs: number;
  outcome: 'pending' | 'done' | 'failed' | 'unknown';
}

export class BankHistory {
  readonly appends: Append[] = [];
  readonly violations: string[] = [];
  /** What the test is doing at the moment; stands before each violation. */
  phase = 'start';
  /** Errors by SQLSTATE (`connection` when the connection went away), with the first message of each. */
  readonly errors = new Map<string, { count: number; message: string }>();
  transfers = 0;
  sums = 0;
  snapshots = 0;
  reads = 0;
  reconnects = 0;
  /** 40001 and 40P01: the unit gave way and can be run again (RULES 21). */
  gaveWay = 0;
  longestUnitMs = 0;

  note(violation: string): void {
    if (this.violations.length < 50) this.violations.push(`${this.phase}: ${violation}`);
  }

  countError(code: string, message: string): void {
    if (code === '40001' || code === '40P01') {
      this.gaveWay += 1;
      return;
    }
    const known = this.errors.get(code);
    if (known) known.count += 1;
    else this.errors.set(code, { count: 1, message });
  }

  get acknowledged(): number {
    return this.appends.filter((append) => append.outcome === 'done').length;
  }

  get unknown(): number {
    return this.appends.filter((append) => append.outcome === 'unknown').length;
  }

  errorsByCode(): Record<string, string> {
    return Object.fromEntries([...this.errors].map(([code, { count, message }]) => [code, `${count} × ${message}`]));
  }
}

/**
 * Compares lists with history. `before`: only appends that had been answered by then must be there (the others are under way).
 * Returns findings; none means that all held.
 */
export function checkLists(history: BankHistory, lists: ReadonlyMap<number, readonly number[]>, before = Infinity): string[] {
  const findings: string[] = [];
  const byValue = new Map(history.appends.map((append) => [append.value, append]));
  const present = new Map<number, number>();
  for (const [key, items] of lists) {
    for (const value of items) {
      present.set(value, (present.get(value) ?? 0) + 1);
      const append = byValue.get(value);
      if (!append || append.key !== key) findings.push(`list ${key} holds ${value}, which nobody appended to it`);
      else if (append.outcome === 'failed') findings.push(`list ${key} holds ${value}, which was refused`);
    }
    findings.push(...orderFindings(key, items, byValue));
  }
  for (const [value, times] of present) if (times > 1) findings.push(`${value} is there ${times} times`);
  for (const append of history.appends) {
    if (append.outcome === 'done' && append.endMs < before && !present.has(append.value)) findings.push(`acknowledged ${append.value} of list ${append.key} is missing`);
  }
  return findings.slice(0, 20);
}

/** If one append was answered before another began, it stands before it. */
function orderFindings(key: number, items: readonly number[], byValue: ReadonlyMap<number, Append>): string[] {
  let earliestEndBehind = Infinity;
  let valueBehind = 0;
  const findings: string[] = [];
  for (const value of items.toReversed()) {
    const append = byValue.get(value);
    if (!append) continue;
    if (earliestEndBehind < append.startMs) findings.push(`list ${key}: ${valueBehind} was acknowledged before ${value} began, and stands behind it`);
    if (append.outcome === 'done' && append.endMs < earliestEndBehind) {
      earliestEndBehind = append.endMs;
      valueBehind = value;
    }
  }
  return findings;
}

export async function readLists(client: ClientBase): Promise<Map<number, number[]>> {
  const { rows } = await client.query<{ k: number; items: string[] }>('SELECT k, items FROM lists ORDER BY k');
  return new Map(rows.map((row) => [row.k, row.items.map(Number)]));
}

export async function readTotal(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ total: string }>('SELECT (SELECT sum(balance) FROM checking) + (SELECT sum(balance) FROM savings) AS total');
  return Number(rows[0]?.total);
}
