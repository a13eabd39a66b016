/** Rows of several tables, read at once, as a list for each table. */
import type { MysqlRow } from './query.ts';

export type ByTable<T> = (table: string) => readonly T[];

/** Keeps the rows' order. */
export function byTable<T>(rows: readonly MysqlRow[], make: (row: MysqlRow) => T, column = 'tableName'): ByTable<T> {
  const groups = groupBy(rows, (row) => row[column] ?? '');
  const made = new Map([...groups].map(([table, group]) => [table, group.map(make)]));
  return (table) => made.get(table) ?? [];
}

/** As `byTable`, for things that take several rows, those with the same name. */
export function byTableAndName<T>(rows: readonly MysqlRow[], make: (name: string, rows: readonly MysqlRow[]) => T, column = 'tableName', nameColumn = 'name'): ByTable<T> {
  const made = new Map([...groupBy(rows, (row) => row[column] ?? '')].map(([table, group]) => [table, [...groupBy(group, (row) => row[nameColumn] ?? '')].map(([name, parts]) => make(name, parts))]));
  return (table) => made.get(table) ?? [];
}

function groupBy(rows: readonly MysqlRow[], key: (row: MysqlRow) => string): Map<string, MysqlRow[]> {
  const groups = new Map<string, MysqlRow[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group === undefined) groups.set(key(row), [row]);
    else group.push(row);
  }
  return groups;
}
