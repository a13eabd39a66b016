/** The DELETEs that take away what one side should not have, each at a time of its own: a tombstone wins over cells of the same time. */
import type { Cell } from '../cells.ts';
import type { BoundStatement, BoundValue } from '../cluster.ts';
import { writeBigint } from '../raw-values.ts';
import type { RowPart, TableRow } from '../row-reader.ts';
import { quoteName, quoteTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';

export function deleteRow(table: CassandraTable, row: TableRow, time: bigint): BoundStatement {
  if (row.part === 'statics') return { text: `DELETE ${table.statics.map(({ name }) => quoteName(name)).join(', ')} FROM ${quoteTable(table)} USING TIMESTAMP ? WHERE ${where(table, 'statics')}`, values: [writeBigint(time), ...row.partitionKey] };
  return { text: `DELETE FROM ${quoteTable(table)} USING TIMESTAMP ? WHERE ${where(table, 'rows')}`, values: [writeBigint(time), ...row.partitionKey, ...row.clustering] };
}

/** An element of a map or set, a field of a UDT, or a whole column. */
export function deleteCell(table: CassandraTable, row: TableRow, { column, path }: Cell, time: bigint): BoundStatement {
  const name = quoteName(column.name);
  const key: readonly BoundValue[] = [...row.partitionKey, ...row.clustering];
  if (typeof path === 'number') return { text: `UPDATE ${quoteTable(table)} USING TIMESTAMP ? SET ${name}.${quoteName(column.fields[path] ?? '')} = ? WHERE ${where(table, row.part)}`, values: [writeBigint(time), null, ...key] };
  if (path === undefined) return { text: `DELETE ${name} FROM ${quoteTable(table)} USING TIMESTAMP ? WHERE ${where(table, row.part)}`, values: [writeBigint(time), ...key] };
  return { text: `DELETE ${name}[?] FROM ${quoteTable(table)} USING TIMESTAMP ? WHERE ${where(table, row.part)}`, values: [path, writeBigint(time), ...key] };
}

function where(table: CassandraTable, part: RowPart): string {
  return [...table.partitionKey, ...(part === 'rows' ? table.clustering : [])].map(({ name }) => `${quoteName(name)} = ?`).join(' AND ');
}
