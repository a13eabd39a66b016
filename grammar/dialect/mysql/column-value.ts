/** A table's column as a value in the form that its PostgreSQL type has here. */
import { quoteMysqlName } from './emission.ts';
import type { Emission, Relation, Value } from './emission.ts';
import { columnType, isWritten } from './column-type.ts';
import { isNumber, isText } from './pg-type.ts';
import type { ColumnFacts, TableFacts } from './translation.ts';

/** Types whose values can be shown, and no more. */
const shownOnly: ReadonlySet<string> = new Set(['other', 'json', 'jsonb', 'uuid', 'time', 'interval']);

/** `qualifier`: with its point, or nothing. */
export function columnValue(emission: Emission, qualifier: string, column: ColumnFacts): Value {
  const raw = `${qualifier}${quoteMysqlName(column.mysqlName)}`;
  const type = columnType(column);
  const { nullable } = column;
  if (column.exact !== false && isWritten(type, column)) return { sql: raw, type, nullable, showOnly: true, own: { charset: 'utf8mb4', collation: type.spelling ?? type.name, isPadded: false, type } };
  if (column.exact === false || shownOnly.has(type.name)) return { sql: raw, type, nullable, showOnly: true };
  if (isText(type) && column.comparison !== undefined) return { sql: raw, type, nullable, showOnly: true, own: { charset: column.charset ?? 'utf8mb4', collation: column.collation ?? 'utf8mb4_general_ci', isPadded: column.comparison === 'padded' } };
  if (isText(type)) return textColumn(emission, raw, column, { sql: raw, type, nullable });
  if (isNumber(type)) return { sql: numberSql(raw, column, type.name), type, nullable, column: raw };
  return { sql: type.name === 'bool' ? `(${raw} <> 0)` : raw, type, nullable };
}

function numberSql(raw: string, column: ColumnFacts, type: string): string {
  if (column.mysqlType === 'float' && (type === 'float4' || type === 'float8')) return `(${raw} + 0e0)`;
  if (type === 'numeric') return column.mysqlType === 'decimal' ? raw : `CAST(${raw} AS DECIMAL(20,0))`;
  // Differences of unsigned numbers fail below zero.
  return column.unsigned === true || column.mysqlType === 'year' ? `CAST(${raw} AS SIGNED)` : raw;
}

function textColumn(emission: Emission, raw: string, column: ColumnFacts, value: Value): Value {
  const { binaryCollation } = emission.capabilities;
  const isPlain = ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'].includes(column.mysqlType);
  if (isPlain && binaryCollation !== undefined && column.collation === binaryCollation) return value;
  const decoded = isPlain && column.charset === 'utf8mb4' ? raw : `CONVERT(${raw} USING utf8mb4)`;
  return { ...value, sql: `${decoded} COLLATE ${binaryCollation ?? 'utf8mb4_bin'}`, ...(isPlain ? { column: raw, columnCharset: { charset: column.charset ?? 'utf8mb4', collation: column.collation ?? 'utf8mb4_general_ci' } } : {}) };
}

/** The table under a name of its own in the text; `qualifier` ends in a point, or is empty. */
export function tableRelation(emission: Emission, table: TableFacts, names: { readonly alias: string; readonly schema?: string | undefined; readonly qualifier: string; readonly columnNames?: readonly string[] }): Relation {
  const columns = table.columns.map((column, index) => ({ name: names.columnNames?.[index] ?? column.name, value: columnValue(emission, names.qualifier, column) }));
  return { alias: names.alias, ...(names.schema === undefined ? {} : { schema: names.schema }), columns, table, sqlName: names.qualifier.replace(/\.$/, '') };
}

export function sqlTable(table: TableFacts): string {
  return `${quoteMysqlName(table.mysqlDatabase)}.${quoteMysqlName(table.mysqlName)}`;
}
