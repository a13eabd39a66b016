/** Rows of a MySQL or MariaDB server by their keys, as it takes keys for equal. */
import { rowFromValues } from '../../apply/fetch-rows.ts';
import type { RowRef } from '../../apply/row-set.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import { shortestSingle } from '../convert-numbers.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';
import { canonicalSql, literalsOf, writtenTable } from './target-table.ts';
import type { TargetColumn, WrittenTable } from './target-table.ts';

const FETCHED_ROWS = 100;

/** Rows as the type map makes them on local. */
export async function fetchMysqlRows(connection: Pick<MysqlApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[]): Promise<Map<number, RowRef>> {
  const { columns } = writtenTable(table);
  const found = await readByKey(connection, table, rows, columns);
  return new Map(found.map(([ordinal, ...values]) => [Number(ordinal), rowFromValues(table, values.map((value, index) => toLocal(columns[index], value)))]));
}

/** Behind the ordinal (1-based) of the key. */
export async function readByKey(connection: Pick<MysqlApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[], columns: readonly TargetColumn[]): Promise<(readonly (string | null)[])[]> {
  const written = writtenTable(table);
  const found: (readonly (string | null)[])[] = [];
  for (let from = 0; from < rows.length; from += FETCHED_ROWS) {
    const selects = rows.slice(from, from + FETCHED_ROWS).map((row, index) =>
      `(SELECT ${[`${from + index + 1}`, ...columns.map(canonicalSql)].join(', ')} FROM ${written.name} WHERE ${sameKey(written, literalsOf(written, row, written.key))})`);
    found.push(...(await connection.rows(selects.join(' UNION ALL '))));
  }
  return found;
}

function toLocal(column: TargetColumn | undefined, value: string | null): string | null {
  if (!column || value === null) return null;
  return column.toLocal(column.type.name === 'float' ? shortestSingle(Number(value)) : value);
}

export function sameKey({ columns, key }: WrittenTable, literals: readonly string[]): string {
  return key.map((place, index) => `${columns[place]?.quoted ?? ''} = ${literals[index] ?? 'NULL'}`).join(' AND ');
}
