/** A table of the source as the way back writes it: each column's conversion, and its values as literals. */
import { MigrationError } from '../../../config/migration-error.ts';
import { keyJson } from '../../apply/change-record.ts';
import type { TargetShape } from '../../apply/bound-table.ts';
import type { RowRef } from '../../apply/row-set.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import type { Tuple } from '../../change.ts';
import { readTuple } from '../../postgres/pgoutput.ts';
import type { TablePlan } from '../../table-plan.ts';
import { integerRange, isByteType } from '../column-type.ts';
import type { ColumnType } from '../column-type.ts';
import type { Conversion } from '../conversion.ts';
import { introspectMysqlTable } from '../introspect.ts';
import { bytesSql, mysqlName, mysqlTableName } from '../query.ts';
import type { MysqlQuery } from '../query.ts';
import type { TypeRules } from '../source-column.ts';
import { makeConversion, mapColumn } from '../type-map.ts';

export interface TargetColumn extends Conversion {
  readonly name: string;
  readonly quoted: string;
  readonly type: ColumnType;
  readonly notNull: boolean;
}

export interface TargetColumns extends TargetShape {
  readonly table: string;
  readonly byName: ReadonlyMap<string, TargetColumn>;
}

const transactional = new Set(['innodb', 'rocksdb', 'tokudb']);

/** Throws MIG010, MIG011, MIG013: a table that cannot be written exactly once, or whose rows cannot be told apart. */
export async function readTargetColumns(query: MysqlQuery, plan: TablePlan, types: TypeRules): Promise<TargetColumns> {
  const table = await introspectMysqlTable(query, plan.target);
  const name = mysqlTableName(table);
  if (!transactional.has(table.engine.toLowerCase())) throw new MigrationError('MIG011', `The source table ${name} cannot be written exactly once: its engine ${table.engine} has no transactions`, { tableName: plan.target.name });
  if (plan.keyKind === 'full') throw new MigrationError('MIG013', `The table ${name} has no key that says which row a change belongs to`, { tableName: plan.target.name });
  const overrides = types.overridesOf(plan);
  const byName = new Map<string, TargetColumn>();
  for (const column of table.columns) {
    if (column.generated !== null || !plan.columns.some((planned) => planned.name === column.name)) continue;
    const conversion = makeConversion(mapColumn(column, table.server, overrides), (loss) => types.onLoss(plan, loss));
    byName.set(column.name, { ...conversion, name: column.name, quoted: mysqlName(column.name), type: column.type, notNull: column.notNull });
  }
  const generated = new Set(table.columns.filter((column) => column.generated !== null).map((column) => column.name));
  const missing = plan.columns.filter((column) => !byName.has(column.name) && !generated.has(column.name));
  if (missing.length > 0) throw new MigrationError('MIG011', `The source table ${name} has no column ${missing.map((column) => column.name).join(', ')}`, { tableName: plan.target.name });
  return { table: name, byName, generated, identityAlways: new Set() };
}

/** The binding's columns, in its order. */
export interface WrittenTable {
  readonly binding: TableBinding;
  readonly name: string;
  readonly columns: readonly TargetColumn[];
  /** Places among `columns`, in the key's order. */
  readonly key: readonly number[];
}

const written = new WeakMap<TableBinding, WrittenTable>();

export function writtenTable(binding: TableBinding): WrittenTable {
  const known = written.get(binding);
  if (known) return known;
  const { shape } = binding;
  if (!isTargetColumns(shape)) throw new Error(`the columns of ${binding.targetName} were not read`);
  const columns = binding.columns.map(({ plan }) => {
    const column = shape.byName.get(plan.name);
    if (!column) throw new Error(`column ${plan.name} of ${binding.targetName} was not read`);
    return column;
  });
  const table: WrittenTable = { binding, name: shape.table, columns, key: binding.keyColumns.map((column) => binding.columns.indexOf(column)) };
  written.set(binding, table);
  return table;
}

function isTargetColumns(shape: TargetShape): shape is TargetColumns {
  return 'byName' in shape;
}

/** One literal for each of `places`. Throws MIG014 with the row's key for what the column does not take. */
export function literalsOf(table: WrittenTable, row: RowRef, places: readonly number[]): string[] {
  const values = readTuple(row.buffer, row.at);
  return places.map((place) => literalAt(table, row, values, place));
}

function literalAt({ binding, columns }: WrittenTable, row: RowRef, values: Tuple, place: number): string {
  const column = columns[place];
  const value = values[binding.columns[place]?.at ?? -1];
  if (!column || value === undefined) throw new Error(`a row of ${binding.targetName} lacks a value that is to be written`);
  const about = { tableName: binding.targetName, rowKey: keyJson(binding, row) };
  let text: string | null;
  try {
    text = value === null ? null : column.toSource(value);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    throw new MigrationError(error.code, error.message.replace(/^MIG\d+: /, ''), { ...about, hint: error.hint, detail: `${error.detail ?? ''} Row ${about.rowKey} of ${binding.targetName}.`.trim(), cause: error });
  }
  // Some versions put the present time where a TIMESTAMP takes no NULL, without a word.
  if (text === null && column.notNull) throw new MigrationError('MIG014', `column ${column.name}: the source takes no NULL`, { ...about, detail: `Row ${about.rowKey} of ${binding.targetName}.` });
  return literal(text, column.type);
}

/** Of a canonical text; right in a session with backslash escapes and the character set utf8mb4. */
export function literal(text: string | null, type: ColumnType): string {
  if (text === null) return 'NULL';
  if (isByteType(type)) return text === '\\x' ? "''" : `x'${text.slice(2)}'`;
  if (type.name === 'bit') return `b'${text}'`;
  // As a number, or a long one would be compared with only as many digits as a double has.
  if ((integerRange(type) !== undefined || type.name === 'decimal') && /^-?\d+(?:\.\d+)?$/.test(text)) return text;
  if ((type.name === 'float' || type.name === 'double') && /^-?\d+(?:\.\d+)?$/.test(text)) return `${text}e0`;
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}

/** The canonical text of a column, as an item of a list that is read (`bytesSql`). */
export function canonicalSql({ quoted, type }: TargetColumn): string {
  if (isByteType(type)) return bytesSql(quoted);
  if (type.name === 'bit') return `LPAD(BIN(${quoted} + 0), ${type.length ?? 1}, '0')`;
  if (type.name === 'float' || type.name === 'double') return `${quoted} * 1e0`;
  return type.name === 'json' ? `CONVERT(${quoted} USING utf8mb4)` : quoted;
}
