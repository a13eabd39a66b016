/**
 * The set-wise SQL of one table. Parameters are arrays of text, one per column: the bytes of the stream's values as they came, cast
 * to the column's type on the target. Each set holds a key once.
 *
 * Replica role is on where the target allows it, so triggers and foreign keys do not fire twice.
 */
import { createHash } from 'node:crypto';
import { quoteName } from '../postgres/connect.ts';
import type { BoundColumn, BoundTable } from './bound-table.ts';

export interface SetStatement {
  /** Of the prepared statement: the same text has the same name. */
  readonly name: string;
  readonly text: string;
  /** Columns whose values are the parameters, in order. */
  readonly columns: readonly BoundColumn[];
}

export interface TableStatements {
  /** New rows that must not be there: 23505 where one was, which is looked at closely. */
  readonly insert: SetStatement;
  /** New or changed rows, whichever is there. */
  readonly upsert: SetStatement;
  /** Full images of rows that must be there; gives fewer rows where one was not. */
  readonly update: SetStatement;
  /** Parameters: the key's columns. */
  readonly delete: SetStatement;
  /** Ordinals (1-based) of the given keys that the target does not hold. */
  readonly missing: SetStatement;
  /** The target's rows of the given keys, as text, in the binding's column order behind the ordinal. */
  readonly fetch: SetStatement;
  /** With a filter: removes the rows of the set that are not in it. */
  readonly deleteFiltered: SetStatement | undefined;
  /** The same by key, for rows that were changed in place. */
  readonly deleteOutside: SetStatement | undefined;
  /** Like `update` for rows of which only some columns are known. */
  updateSome(present: readonly BoundColumn[]): SetStatement;
  /** Moves one row to another key; parameters: the old key, then the present columns. */
  moveKey(present: readonly BoundColumn[]): SetStatement;
}

export function buildStatements(table: BoundTable): TableStatements {
  const all = table.columns;
  const names = all.map((column) => column.quoted).join(', ');
  const select = `SELECT ${all.map((column) => `s.${column.quoted}`).join(', ')} FROM ${source(all)}`;
  const filter = table.plan.where === undefined ? '' : ` WHERE (${table.plan.where})`;
  const into = `INSERT INTO ${table.targetName} AS t (${names}) OVERRIDING SYSTEM VALUE ${select}${filter}`;
  const arbiter = table.keyColumns.map((column) => column.quoted).join(', ');
  const keyless = table.keyColumns.length === 0;
  return {
    insert: prepared(into, all),
    upsert: prepared(keyless ? into : `${into} ON CONFLICT (${arbiter}) DO ${onConflict(table)}`, all),
    update: updateStatement(table, all),
    delete: prepared(`DELETE FROM ${table.targetName} AS t USING ${source(table.keyColumns)} WHERE ${sameRow(table)}`, table.keyColumns),
    missing: missingStatement(table),
    fetch: fetchStatement(table),
    deleteFiltered: table.plan.where === undefined || keyless ? undefined : prepared(
      `DELETE FROM ${table.targetName} AS t USING (SELECT * FROM ${source(all)} WHERE (${table.plan.where}) IS NOT TRUE) AS s WHERE ${sameKey(table)}`, all),
    deleteOutside: table.plan.where === undefined || keyless ? undefined : prepared(
      `DELETE FROM ${table.targetName} WHERE (${table.plan.where}) IS NOT TRUE AND (${arbiter}) IN (SELECT ${arbiter} FROM ${source(table.keyColumns)})`, table.keyColumns),
    updateSome: remembered((present) => updateStatement(table, present)),
    moveKey: remembered((present) => moveStatement(table, present)),
  };
}

function prepared(text: string, columns: readonly BoundColumn[]): SetStatement {
  return { name: `cw_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`, text, columns };
}

function remembered(build: (present: readonly BoundColumn[]) => SetStatement): (present: readonly BoundColumn[]) => SetStatement {
  const made = new Map<string, SetStatement>();
  return (present) => {
    const name = present.map((column) => column.at).join();
    const statement = made.get(name) ?? build(present);
    made.set(name, statement);
    return statement;
  };
}

/** `s`: the parameters as a table of typed columns. */
function source(columns: readonly BoundColumn[], ordinal = false): string {
  const typed = columns.map((column, index) => `u.p${index + 1}::${column.plan.type} AS ${column.quoted}`);
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(', ');
  const raw = columns.map((_, index) => `p${index + 1}`).join(', ');
  // Set-returning functions in the SELECT list are streamed; in FROM they would be stored first.
  const streamed = columns.map((_, index) => `unnest($${index + 1}::text[]) AS p${index + 1}`).join(', ');
  return ordinal
    ? `(SELECT ${typed.join(', ')}, u.causeway_ordinal FROM unnest(${arrays}) WITH ORDINALITY AS u(${raw}, causeway_ordinal)) AS s`
    : `(SELECT ${typed.join(', ')} FROM (SELECT ${streamed} OFFSET 0) AS u) AS s`;
}

function sameKey(table: BoundTable): string {
  return table.keyColumns.map((column) => `t.${column.quoted} = s.${column.quoted}`).join(' AND ');
}

/** Of rows whose key is equal for the target, the one that is meant. */
function sameRow(table: BoundTable): string {
  return [sameKey(table), ...table.looseKey.map((column) => sameText(table, column, `s.${column.quoted}`))].join(' AND ');
}

/** A key that is written in other case meanwhile is still that row's: the load may have read it as it is now. */
function sameText(table: BoundTable, column: BoundColumn, value: string): string {
  const own = `t.${column.quoted}`;
  const same = `${own} COLLATE "C" = ${value} COLLATE "C"`;
  const folded = (text: string): string => `lower(${text} COLLATE "und-x-icu") COLLATE "C"`;
  return table.shape.caseFolded?.has(column.plan.name) === true ? `(${same} OR ${folded(own)} = ${folded(value)})` : same;
}

function isKey(table: BoundTable, column: BoundColumn): boolean {
  return table.keyColumns.some((key) => key.plan.name === column.plan.name);
}

function settable(table: BoundTable, columns: readonly BoundColumn[]): readonly BoundColumn[] {
  return columns.filter((column) => !isKey(table, column) && !table.shape.identityAlways.has(column.plan.name));
}

function onConflict(table: BoundTable): string {
  const others = settable(table, table.columns);
  // The count tells whether another row was met.
  const columns = others.length === 0 ? table.looseKey : others;
  if (columns.length === 0) return 'NOTHING';
  const own = table.looseKey.map((column) => sameText(table, column, `EXCLUDED.${column.quoted}`));
  return `UPDATE SET ${columns.map((column) => `${column.quoted} = EXCLUDED.${column.quoted}`).join(', ')}${own.length === 0 ? '' : ` WHERE ${own.join(' AND ')}`}`;
}

function updateStatement(table: BoundTable, present: readonly BoundColumn[]): SetStatement {
  const columns = [...table.keyColumns, ...settable(table, present)];
  // A table of nothing but its key still has to tell whether the row is there.
  const set = settable(table, present).map((column) => `${column.quoted} = s.${column.quoted}`);
  const key = table.keyColumns[0];
  if (set.length === 0 && key) set.push(`${key.quoted} = s.${key.quoted}`);
  return prepared(`UPDATE ${table.targetName} AS t SET ${set.join(', ')} FROM ${source(columns)} WHERE ${sameRow(table)}`, columns);
}

function missingStatement(table: BoundTable): SetStatement {
  const key = table.keyColumns;
  return prepared(`SELECT s.causeway_ordinal FROM ${source(key, true)} WHERE NOT EXISTS (SELECT FROM ${table.targetName} AS t WHERE ${sameRow(table)})`, key);
}

function fetchStatement(table: BoundTable): SetStatement {
  const values = table.columns.map((column) => `t.${column.quoted}`).join(', ');
  return prepared(`SELECT s.causeway_ordinal, ${values} FROM ${source(table.keyColumns, true)} JOIN ${table.targetName} AS t ON ${sameKey(table)}`, table.keyColumns);
}

function moveStatement(table: BoundTable, present: readonly BoundColumn[]): SetStatement {
  const key = table.keyColumns;
  const set = present.map((column, index) => `${column.quoted} = $${key.length + index + 1}::text::${column.plan.type}`);
  const where = key.flatMap((column, index) => {
    const value = `$${index + 1}::text::${column.plan.type}`;
    return [`t.${column.quoted} = ${value}`, ...(table.looseKey.includes(column) ? [sameText(table, column, value)] : [])];
  });
  return prepared(`UPDATE ${table.targetName} AS t SET ${set.join(', ')} WHERE ${where.join(' AND ')}`, [...key, ...present]);
}

/** One row of a keyless table by all its values; parameters: the old values, then (update) the new ones, as single texts. */
export function keylessRowStatement(table: BoundTable, operation: 'update' | 'delete', known: readonly BoundColumn[], present: readonly BoundColumn[]): string {
  const same = known.map((column, index) => `t.${column.quoted}::text IS NOT DISTINCT FROM $${index + 1}::text::${column.plan.type}::text`);
  const row = `SELECT t.tableoid, t.ctid FROM ${table.targetName} AS t WHERE ${same.join(' AND ')} LIMIT 1`;
  const target = `(t.tableoid, t.ctid) = (${row})`;
  if (operation === 'delete') return `DELETE FROM ${table.targetName} AS t WHERE ${target}`;
  const set = present.map((column, index) => `${column.quoted} = $${known.length + index + 1}::text::${column.plan.type}`);
  return `UPDATE ${table.targetName} AS t SET ${set.join(', ')} WHERE ${target}`;
}

/** Reads rows of the source again by key: the same columns, filtered as the copy was. */
export function rereadStatement(table: BoundTable): SetStatement {
  const values = table.columns.map((column) => `t.${column.quoted}`).join(', ');
  const filter = table.plan.where === undefined ? '' : ` WHERE (${table.plan.where})`;
  const from = `(SELECT t.* FROM ${source(table.keyColumns)} JOIN ${sourceName(table)} AS t ON ${sameKey(table)}) AS t`;
  return prepared(`SELECT ${values} FROM ${from}${filter}`, table.keyColumns);
}

/** Rows of the source by key, with what tells their versions apart: ordinal, tableoid, ctid, xmin, then the binding's columns. */
export function versionStatement(table: BoundTable): SetStatement {
  const values = table.columns.map((column) => `t.${column.quoted}`).join(', ');
  return prepared(
    `SELECT s.causeway_ordinal, t.tableoid::oid::text, t.ctid::text, t.xmin::text, ${values} FROM ${source(table.keyColumns, true)} JOIN ${sourceName(table)} AS t ON ${sameKey(table)}`, table.keyColumns);
}

/** Writes one version of a row of the source over; parameters: tableoid, ctid, xmin, then the columns as single texts. */
export function writeVersionStatement(table: BoundTable): SetStatement {
  const columns = settable(table, table.columns);
  // A table of nothing but its key cannot differ.
  const set = columns.map((column, index) => `${column.quoted} = $${index + 4}::text::${column.plan.type}`).join(', ');
  return prepared(`UPDATE ${sourceName(table)} AS t SET ${set} WHERE t.tableoid = $1::text::oid AND t.ctid = $2::text::tid AND t.xmin::text = $3`, columns);
}

function sourceName(table: BoundTable): string {
  const { schema, name } = table.plan.source;
  return `${quoteName(schema)}.${quoteName(name)}`;
}
