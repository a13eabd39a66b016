/** What the control knows of a migrated table, as the translation of PostgreSQL's statements asks for it. Pure. */
import type { TableRoute } from '../../../catalog/routing-snapshot.ts';
import type { MigratedColumn, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { ColumnFacts, TableFacts } from '../../../grammar/dialect/mysql/translation.ts';

/** Under each name that a client may call it by. */
export function dialectTables(table: MigratedTable, { source, local }: Pick<TableRoute, 'source' | 'local'>): readonly TableFacts[] {
  const facts = {
    mysqlDatabase: table.mysql.database, mysqlName: table.mysql.name, columns: table.columns.map(columnFacts), primaryKey: table.primaryKey,
    // Of what a key holds besides columns nothing can be said: it can be met by any row.
    uniqueKeys: table.uniqueKeys.map(({ columns }) => columns.map((name) => name ?? '')),
  };
  const isRenamed = source.schema !== local.schema || source.name !== local.name;
  return [{ ...source, ...facts }, ...(isRenamed ? [{ ...local, ...facts }] : [])];
}

/** What `type_map` gives a column is no type of the translation's: its values are read by `columnReader`, for a statement that runs on local. */
function columnFacts(column: MigratedColumn): ColumnFacts {
  const isMoment = column.mysqlType === 'datetime' || column.mysqlType === 'timestamp' || column.mysqlType === 'time';
  const collation = column.localCollation;
  return {
    name: column.name, mysqlName: column.name, type: column.exact ? column.type : `${column.type}, which the migration converts by rules of its own (type_map, or a policy for values)`, mysqlType: column.mysqlType, unsigned: column.unsigned, ...(isMoment ? { fraction: column.length ?? 0 } : {}), ...(column.mysqlType === 'binary' && column.length !== undefined ? { bytes: column.length } : {}),
    ...(column.charset === null ? {} : { charset: column.charset }), ...(column.collation === null ? {} : { collation: column.collation }),
    ...(column.labels === undefined || column.mysqlType !== 'enum' ? {} : { labels: column.labels }), nullable: column.nullable || column.mayBecomeNull, autoIncrement: column.autoIncrement, ...(column.sequence === undefined ? {} : { sequence: column.sequence }), generated: column.generated !== undefined, exact: column.exact,
    ...(collation !== undefined && !collation.deterministic ? { comparison: column.padsBlanks ? 'padded' : 'own' } : {}),
  };
}

/** Whether every text column of these is ordered by code point on local; undefined where only the database's own collation says it. */
export function codePointOrder(tables: readonly MigratedTable[]): boolean | undefined {
  const collations = tables.flatMap(({ columns }) => columns.filter(({ type }) => /^(?:text|character)/.test(type)).map(({ localCollation }) => localCollation));
  if (collations.some((collation) => collation !== undefined && collation.name !== 'C' && collation.name !== 'POSIX')) return false;
  return undefined;
}

/** Whether some text column of these has a collation of its own. */
export function hasOwnCase(tables: readonly MigratedTable[]): boolean {
  return tables.some(({ columns }) => columns.some(({ type, localCollation }) => /^(?:text|character)/.test(type) && localCollation !== undefined));
}

/** The name on local of a key of one of these, by its name on the MySQL server. */
export function localConstraint(tables: readonly MigratedTable[], name: string): string | undefined {
  for (const { uniqueKeys, foreignKeys, referencedBy } of tables) {
    const found = [...uniqueKeys, ...foreignKeys, ...referencedBy].find(({ mysqlName }) => mysqlName === name);
    if (found) return found.localName;
  }
  return undefined;
}
