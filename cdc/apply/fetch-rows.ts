/** Rows of a target in the form of the stream's tuples. */
import type { TextValue } from '../change.ts';
import { writeTuple } from '../postgres/pgoutput.ts';
import type { ApplyConnection } from './apply-connection.ts';
import { encodeRows } from './row-set.ts';
import type { RowRef } from './row-set.ts';
import type { TableBinding } from './table-binding.ts';

/** The target's rows by ordinal (1-based), in the form of the relation's tuples; values that are not carried are left out. */
export async function fetchRows(connection: Pick<ApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[]): Promise<Map<number, RowRef>> {
  if (rows.length === 0) return new Map();
  const { fetch } = table.statements;
  const found = await connection.rows({ text: fetch.text, values: encodeRows(rows, fetch.columns.map((column) => column.at)) });
  return new Map(found.map(([ordinal, ...values]) => [Number(ordinal), rowFromValues(table, values)]));
}

/** `values` in the order of the binding's columns. */
export function rowFromValues(table: TableBinding, values: readonly (string | null)[]): RowRef {
  const tuple: TextValue[] = table.relation.columns.map(() => undefined);
  table.columns.forEach((column, index) => (tuple[column.at] = values[index] ?? null));
  return { buffer: writeTuple(tuple), at: 0 };
}
