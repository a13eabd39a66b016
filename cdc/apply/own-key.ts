/**
 * Two engines do not take the same texts for equal: what has a row's key on the target may be another row of the source. Written over or deleted, that one
 * would be gone, and nobody would know.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { readTuple } from '../postgres/pgoutput.ts';
import { keyJson } from './change-record.ts';
import type { RowRef } from './row-set.ts';
import type { TableBinding } from './table-binding.ts';

export interface KeyedRows {
  /** By ordinal (1-based): what the target has under each row's key. */
  fetchRows(table: TableBinding, rows: readonly RowRef[]): Promise<ReadonlyMap<number, RowRef>>;
}

/** Before keys are cleared for their rows, or after some were not free. Throws MIG030. */
export async function assertOwnKeys(target: KeyedRows, table: TableBinding, rows: readonly RowRef[]): Promise<void> {
  for (const [ordinal, existing] of await target.fetchRows(table, rows)) {
    const row = rows[ordinal - 1];
    if (row) assertSameKey(table, existing, row);
  }
}

export function assertSameKey(table: TableBinding, existing: RowRef, row: RowRef): void {
  if (hasSameKeyText(table, existing, row)) return;
  throw new MigrationError('MIG030', 'Two rows of one side have one key on the other, whose collation takes them for equal', {
    tableName: table.targetName, rowKey: keyJson(table, row), detail: `Key ${keyJson(table, existing)} is there already, and is another row.`,
    hint: 'Change or delete one of the two rows on the side that has both; before a cutover RESYNC MIGRATION then carries the table again. With a collation that both sides have (…_bin) a key cannot come to this.',
  });
}

/** Of two rows whose keys are equal for the target. */
export function hasSameKeyText(table: TableBinding, a: RowRef, b: RowRef): boolean {
  const [left, right] = [readTuple(a.buffer, a.at), readTuple(b.buffer, b.at)];
  return table.keyColumns.every(({ plan: { name, type }, at }) => !isText(type) || left[at] === right[at] || (table.shape.caseFolded?.has(name) === true && String(left[at]).toLowerCase() === String(right[at]).toLowerCase()));
}

export function hasTextKey(table: TableBinding): boolean {
  return table.keyColumns.some((column) => isText(column.plan.type));
}

function isText(type: string): boolean {
  return /^(?:text|character)/.test(type);
}
