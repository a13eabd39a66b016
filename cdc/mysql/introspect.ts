/** Reads tables' whole definitions: one query for each kind of thing, for one table or for all of a schema. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { mysqlServerCapabilities, parseMysqlVersion } from './capabilities.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import type { MysqlTable } from './definition.ts';
import { inScope, mysqlTableName } from './query.ts';
import type { MysqlQuery, MysqlScope } from './query.ts';
import { readColumns } from './read-columns.ts';
import { readChecks, readForeignKeys, readIndexes, readNumberedColumns, readPartitions } from './read-constraints.ts';
import { readEvents, readTriggers, readViews } from './read-dependants.ts';

export async function readMysqlServer(query: MysqlQuery): Promise<MysqlCapabilities> {
  const rows = await query('SELECT VERSION() AS version');
  return mysqlServerCapabilities(parseMysqlVersion(rows[0]?.['version'] ?? ''));
}

/** Throws MIG010 when there is no such table (a view is none). */
export async function introspectMysqlTable(query: MysqlQuery, table: QualifiedName): Promise<MysqlTable> {
  const found = await findMysqlTable(query, table);
  if (found === undefined) throw new MigrationError('MIG010', `table ${mysqlTableName(table)} not found`, { tableName: `${table.schema}.${table.name}` });
  return found;
}

export async function findMysqlTable(query: MysqlQuery, table: QualifiedName): Promise<MysqlTable | undefined> {
  const found = await introspectMysqlTables(query, { schema: table.schema, table: table.name });
  // Old servers compare names of information_schema without regard to case.
  return found.find((each) => each.name === table.name && each.schema === table.schema) ?? (found.length === 1 ? found[0] : undefined);
}

/** Base tables, by name. */
export async function introspectMysqlTables(query: MysqlQuery, scope: MysqlScope): Promise<readonly MysqlTable[]> {
  const server = await readMysqlServer(query);
  const heads = await readHeads(query, scope, server);
  if (heads.length === 0) return [];
  const checks = await readChecks(query, scope, server);
  const numbered = await readNumberedColumns(query, scope.schema);
  const columns = await readColumns(query, scope, { numbered, checks, server });
  const indexes = await readIndexes(query, scope, server);
  const foreignKeys = await readForeignKeys(query, scope, 'child');
  const referencedBy = await readForeignKeys(query, scope, 'parent');
  const partitions = await readPartitions(query, scope);
  const triggers = await readTriggers(query, scope);
  const views = await readViews(query, scope.schema);
  const events = await readEvents(query, scope.schema);
  return heads.map((head) => ({
    ...head, server,
    columns: columns(head.name), indexes: indexes(head.name), foreignKeys: foreignKeys(head.name), referencedBy: referencedBy(head.name),
    checks: checks(head.name), partitions: partitions(head.name), triggers: triggers(head.name), views: views(head.name), events: events(head.name),
  }));
}

type Head = Pick<MysqlTable, 'schema' | 'name' | 'engine' | 'collation' | 'comment' | 'nextNumber' | 'estimatedRows' | 'bytes'>;

async function readHeads(query: MysqlQuery, scope: MysqlScope, server: MysqlCapabilities): Promise<Head[]> {
  // From 8.0 on the numbers come from a cache that may be a day old, unless the session says otherwise.
  if (server.flavour === 'mysql' && server.version >= 80003) await query('SET SESSION information_schema_stats_expiry = 0');
  const rows = await query(`
    SELECT TABLE_SCHEMA AS tableSchema, TABLE_NAME AS tableName, ENGINE AS engine, TABLE_COLLATION AS tableCollation, TABLE_COMMENT AS tableComment,
           AUTO_INCREMENT AS nextNumber, TABLE_ROWS AS estimatedRows, DATA_LENGTH AS bytes
      FROM information_schema.TABLES WHERE ${inScope(scope)} AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME`);
  return rows.map((row) => ({
    schema: row['tableSchema'] ?? scope.schema, name: row['tableName'] ?? '', engine: row['engine'] ?? '', collation: row['tableCollation'] ?? null,
    comment: row['tableComment'] ?? '', nextNumber: row['nextNumber'] ?? null, estimatedRows: Number(row['estimatedRows'] ?? -1), bytes: Number(row['bytes'] ?? 0),
  }));
}
