/** A tuple of nothing but a key, from its JSON as `keyJson` writes it. */
import { writeTuple } from '../postgres/pgoutput.ts';
import type { RowRef } from './row-set.ts';
import type { TableBinding } from './table-binding.ts';

export function keyRow(table: TableBinding, key: string): RowRef {
  const values: unknown = JSON.parse(key);
  const tuple: (string | null | undefined)[] = table.relation.columns.map(() => undefined);
  table.keyColumns.forEach((column, index) => {
    const value: unknown = Array.isArray(values) ? values[index] : undefined;
    tuple[column.at] = typeof value === 'string' ? value : null;
  });
  return { buffer: writeTuple(tuple), at: 0 };
}
