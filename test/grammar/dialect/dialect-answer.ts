/** What a statement did, in a form that is the same on every engine. */

export type Rows = readonly (readonly (string | null)[])[];

export interface DialectAnswer {
  readonly columns: readonly string[];
  readonly rows: Rows;
  readonly count: number;
  /** The tables that a write leaves behind. */
  readonly tables: readonly string[];
}

export const isWrite = (sql: string): boolean => /^(INSERT|UPDATE|DELETE)/i.test(sql);

export function sortedRows(rows: Rows): string {
  return JSON.stringify(rows.map((row) => JSON.stringify(row.map((value) => (value === '-0' ? '0' : value)))).toSorted());
}

/**
 * Equal texts: equal answers. Rows without an order are compared as a set in which each counts. A negative zero is a zero: MariaDB keeps
 * none, which docs/mysql.md says.
 */
export function answerText(answer: DialectAnswer, isOrdered: boolean): string {
  const rows = answer.rows.map((row) => JSON.stringify(row.map((value) => (value === '-0' ? '0' : value))));
  return JSON.stringify({ ...answer, rows: isOrdered ? rows : rows.toSorted() });
}
