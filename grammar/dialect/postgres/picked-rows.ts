/**
 * The rows that a change picks by a join, a limit or an order: locked as they are now, and then found by their key. Not by their place (`ctid`): a row that somebody has
 * changed while this statement waited for its lock has another place by then, which is of no use to a statement whose snapshot is older.
 */
import { quoteName } from '../../names.ts';
import type { MysqlTableFacts } from './mysql-translation.ts';
import type { TableReference } from './mysql-tree.ts';
import { refuse } from './refused-mysql.ts';

/** Local's names of the columns that tell a row from all others and are never NULL. */
export function keyOf(table: MysqlTableFacts, place: number): readonly string[] {
  const columnsOf = (key: readonly string[]) => key.map((name) => table.columns.find(({ mysqlName }) => mysqlName.toLowerCase() === name.toLowerCase()));
  const found = [table.primaryKey, ...table.uniqueKeys].map(columnsOf).find((columns) => columns.length > 0 && columns.every((column) => column?.nullable === false));
  return found?.flatMap((column) => (column === undefined ? [] : [quoteName(column.name)])) ?? refuse('change of picked rows of a table without a key', place);
}

/** `qualifier`'s row is one of those whose keys `selected` gives. It is run once, whatever the planner makes of the rest. */
export function isAmong(qualifier: string, key: readonly string[], selected: string): string {
  if (key.length === 1) return `${qualifier}.${key[0]} = ANY (ARRAY(${selected}))`;
  return `(${key.map((name) => `${qualifier}.${name}`).join(', ')}) IN (WITH "~keys" AS MATERIALIZED (${selected}) SELECT * FROM "~keys")`;
}

/** `from` as far as rows of the table `alias` come of it: an outer join that may put NULLs in their place is an inner one for them, whose rows can be locked. */
export function fromRowsOf(from: TableReference, alias: string): TableReference {
  if (from.type !== 'join') return from;
  const isLeft = hasTable(from.left, alias);
  if (!isLeft && !hasTable(from.right, alias)) return from;
  const isOptional = from.kind === (isLeft ? 'right' : 'left');
  // A column that both sides share is then the other side's.
  if (isOptional && from.kind === 'right' && (from.natural || from.using.length > 0)) return refuse('change of the left table of a RIGHT JOIN by USING', from.place);
  return { ...from, kind: isOptional ? 'inner' : from.kind, left: isLeft ? fromRowsOf(from.left, alias) : from.left, right: isLeft ? from.right : fromRowsOf(from.right, alias) };
}

function hasTable(from: TableReference, alias: string): boolean {
  return tablesOf(from).some((table) => (table.alias ?? table.name) === alias);
}

export function tablesOf(from: TableReference): readonly Extract<TableReference, { type: 'table' }>[] {
  if (from.type === 'join') return [...tablesOf(from.left), ...tablesOf(from.right)];
  return from.type === 'table' ? [from] : [];
}
