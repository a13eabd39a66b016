/** `custom_merge`: a function of the operator on the target decides what stands, `f(local jsonb, source jsonb) RETURNS jsonb` (specification §6.2). */
import { MigrationError } from '../../config/migration-error.ts';
import { sqlstateOf } from '../postgres/connect.ts';
import { readTuple } from '../postgres/pgoutput.ts';
import type { ApplyConnection } from './apply-connection.ts';
import { keyJson } from './change-record.ts';
import type { RowRef } from './row-set.ts';
import type { TableBinding } from './table-binding.ts';

/**
 * The merged row as text, in the order of the binding's columns; columns that the function leaves out stay as they are on the
 * target, or in the source's row where the target has none. `local` is NULL for the function when the target has no row.
 * @throws MigrationError MIG031 when the function fails, gives NULL, or another key.
 */
export async function mergeRows(connection: ApplyConnection, table: TableBinding, functionName: string, local: RowRef | undefined, remote: RowRef): Promise<readonly (string | null)[]> {
  const failed = (message: string, cause?: unknown): MigrationError => new MigrationError('MIG031', `${functionName} ${message}`, {
    tableName: table.targetName, rowKey: keyJson(table, remote), ...(cause instanceof Error ? { cause, detail: cause.message } : {}),
  });
  const count = table.columns.length;
  // The database makes the JSON from typed values, and reads it back: numbers, arrays and JSON columns keep their form.
  const typed = (from: number): string => table.columns.map((column, index) => `$${from + index}::text::${column.plan.type} AS ${column.quoted}`).join(', ');
  const text = `
    WITH given AS (
      SELECT CASE WHEN $1::text = 't' THEN (SELECT to_jsonb(l) FROM (SELECT ${typed(2)}) AS l) END AS local, (SELECT to_jsonb(r) FROM (SELECT ${typed(2 + count)}) AS r) AS remote),
    merged AS (SELECT coalesce(local, remote) AS base, ${functionName}(local, remote) AS result FROM given OFFSET 0)
    SELECT ${table.columns.map((column) => `m.${column.quoted}::text`).join(', ')} FROM merged, jsonb_populate_record(NULL::${table.targetName}, base || result) AS m WHERE result IS NOT NULL`;
  const values = [local ? 't' : 'f', ...valuesOf(table, local), ...valuesOf(table, remote)];
  const rows = await connection.rows({ text, values }).catch((error: unknown) => {
    const state = sqlstateOf(error);
    // A lock, a lost connection: not the function's fault.
    throw state === undefined || /^(08|40|55|57)/.test(state) ? error : failed('failed', error);
  });
  const [row] = rows;
  if (!row) throw failed('gave NULL');
  const wanted = readTuple(remote.buffer, remote.at);
  const changed = table.keyColumns.find((column) => row[table.columns.indexOf(column)] !== wanted[column.at]);
  if (changed) throw failed(`gave another value for ${changed.plan.name}, which is of the key`);
  return row;
}

function valuesOf(table: TableBinding, row: RowRef | undefined): (string | null)[] {
  if (!row) return table.columns.map(() => null);
  const values = readTuple(row.buffer, row.at);
  return table.columns.map((column) => values[column.at] ?? null);
}
