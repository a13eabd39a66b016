/** Keys, indexes, foreign keys, checks and partitions. */
import { byTable, byTableAndName } from './by-table.ts';
import type { ByTable } from './by-table.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import type { MysqlCheck, MysqlForeignKey, MysqlForeignKeyRule, MysqlIndex, MysqlIndexPart, MysqlPartition } from './definition.ts';
import { inScope, mysqlLiteral } from './query.ts';
import type { MysqlQuery, MysqlRow, MysqlScope } from './query.ts';

export async function readIndexes(query: MysqlQuery, scope: MysqlScope, server: MysqlCapabilities): Promise<ByTable<MysqlIndex>> {
  const rows = await query(`
    SELECT TABLE_NAME AS tableName, INDEX_NAME AS name, NON_UNIQUE AS nonUnique, COLUMN_NAME AS columnName, SUB_PART AS prefix, INDEX_TYPE AS indexType, COLLATION AS direction,
           INDEX_COMMENT AS indexComment, ${server.functionalIndexes ? 'EXPRESSION' : 'NULL'} AS expression
      FROM information_schema.STATISTICS WHERE ${inScope(scope)} ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX`);
  return byTableAndName(rows, (name, parts) => ({
    name, unique: parts[0]?.['nonUnique'] === '0', primary: name === 'PRIMARY', kind: indexKind(parts[0]?.['indexType'] ?? ''),
    parts: parts.map(partOf), comment: parts[0]?.['indexComment'] ?? '',
  }));
}

function indexKind(type: string): MysqlIndex['kind'] {
  switch (type.toUpperCase()) {
    case 'FULLTEXT': return 'fulltext';
    case 'SPATIAL': case 'RTREE': return 'spatial';
    case 'VECTOR': return 'vector';
    default: return 'btree';
  }
}

function partOf(row: MysqlRow): MysqlIndexPart {
  const expression = row['expression'] ?? null;
  // The quotes of an expression are escaped, as everywhere in information_schema.
  return { column: row['columnName'] ?? null, expression: expression === null ? null : expression.replace(/\\(.)/gs, '$1'), prefix: row['prefix'] == null ? null : Number(row['prefix']), descending: row['direction'] === 'D' };
}

/** `child`: the keys of the tables; `parent`: those of others that point at them. */
export async function readForeignKeys(query: MysqlQuery, scope: MysqlScope, end: 'child' | 'parent'): Promise<ByTable<MysqlForeignKey>> {
  const condition = end === 'child' ? inScope(scope, 'k.TABLE_SCHEMA', 'k.TABLE_NAME') : inScope(scope, 'k.REFERENCED_TABLE_SCHEMA', 'k.REFERENCED_TABLE_NAME');
  const rows = await query(`
    SELECT ${end === 'child' ? 'k.TABLE_NAME' : 'k.REFERENCED_TABLE_NAME'} AS tableName, k.CONSTRAINT_NAME AS constraintName, CONCAT(k.TABLE_SCHEMA, '.', k.TABLE_NAME, '.', k.CONSTRAINT_NAME) AS name,
           k.TABLE_SCHEMA AS childSchema, k.TABLE_NAME AS childTable, k.COLUMN_NAME AS columnName, k.REFERENCED_TABLE_SCHEMA AS parentSchema, k.REFERENCED_TABLE_NAME AS parentTable,
           k.REFERENCED_COLUMN_NAME AS parentColumn, r.UPDATE_RULE AS onUpdate, r.DELETE_RULE AS onDelete
      FROM information_schema.KEY_COLUMN_USAGE k
      JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
     WHERE ${condition} AND k.REFERENCED_TABLE_NAME IS NOT NULL ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`);
  const unique = rows.length === 0 ? new Set<string>() : await readUniqueKeys(query, rows);
  return byTableAndName(rows, (_, parts) => keyOf(parts, unique));
}

function keyOf(parts: readonly MysqlRow[], unique: ReadonlySet<string>): MysqlForeignKey {
  const first = parts[0] ?? {};
  const parent = { schema: first['parentSchema'] ?? '', name: first['parentTable'] ?? '' };
  const parentColumns = parts.map((part) => part['parentColumn'] ?? '');
  return {
    name: first['constraintName'] ?? '', child: { schema: first['childSchema'] ?? '', name: first['childTable'] ?? '' }, columns: parts.map((part) => part['columnName'] ?? ''),
    parent, parentColumns, onUpdate: ruleOf(first['onUpdate']), onDelete: ruleOf(first['onDelete']),
    isParentUnique: unique.has(uniqueKey(parent.schema, parent.name, parentColumns)),
  };
}

function ruleOf(rule: string | null | undefined): MysqlForeignKeyRule {
  switch (rule?.toUpperCase()) {
    case 'CASCADE': return 'cascade';
    case 'SET NULL': return 'set null';
    case 'SET DEFAULT': return 'set default';
    case 'RESTRICT': return 'restrict';
    default: return 'no action';
  }
}

/** The order of the columns does not matter. */
function uniqueKey(schema: string, table: string, columns: readonly string[]): string {
  return JSON.stringify([schema, table, [...columns].sort()]);
}

async function readUniqueKeys(query: MysqlQuery, keys: readonly MysqlRow[]): Promise<ReadonlySet<string>> {
  const parents = [...new Set(keys.map((row) => inScope({ schema: row['parentSchema'] ?? '', table: row['parentTable'] ?? '' })))];
  const rows = await query(`
    SELECT TABLE_SCHEMA AS tableSchema, TABLE_NAME AS tableName, INDEX_NAME AS name, COLUMN_NAME AS columnName, SUB_PART AS prefix
      FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND (${parents.map((parent) => `(${parent})`).join(' OR ')})`);
  const columns = new Map<string, { schema: string; table: string; names: string[]; isWhole: boolean }>();
  for (const row of rows) {
    const id = JSON.stringify([row['tableSchema'], row['tableName'], row['name']]);
    const index = columns.get(id) ?? { schema: row['tableSchema'] ?? '', table: row['tableName'] ?? '', names: [], isWhole: true };
    columns.set(id, { ...index, names: [...index.names, row['columnName'] ?? ''], isWhole: index.isWhole && row['prefix'] == null && row['columnName'] != null });
  }
  return new Set([...columns.values()].flatMap((index) => (index.isWhole ? [uniqueKey(index.schema, index.table, index.names)] : [])));
}

/**
 * `table\0column` of the schema's columns that hold numbers of an AUTO_INCREMENT: the column itself, and all that point at it by
 * foreign keys, over any number of them.
 */
export async function readNumberedColumns(query: MysqlQuery, schema: string): Promise<ReadonlySet<string>> {
  const edges = await query(`
    SELECT TABLE_SCHEMA AS childSchema, TABLE_NAME AS childTable, COLUMN_NAME AS childColumn, REFERENCED_TABLE_SCHEMA AS parentSchema, REFERENCED_TABLE_NAME AS parentTable, REFERENCED_COLUMN_NAME AS parentColumn
      FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = ${mysqlLiteral(schema)} AND REFERENCED_TABLE_NAME IS NOT NULL`);
  const schemas = [...new Set([schema, ...edges.map((edge) => edge['parentSchema'] ?? schema)])];
  const own = await query(`
    SELECT TABLE_SCHEMA AS tableSchema, TABLE_NAME AS tableName, COLUMN_NAME AS columnName
      FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN (${schemas.map(mysqlLiteral).join(', ')}) AND EXTRA LIKE '%auto_increment%'`);
  const numbered = new Set(own.map((row) => `${row['tableSchema']}\0${row['tableName']}\0${row['columnName']}`));
  for (let before = -1; before !== numbered.size;) {
    before = numbered.size;
    for (const edge of edges) {
      if (numbered.has(`${edge['parentSchema']}\0${edge['parentTable']}\0${edge['parentColumn']}`)) numbered.add(`${edge['childSchema']}\0${edge['childTable']}\0${edge['childColumn']}`);
    }
  }
  return new Set([...numbered].flatMap((id) => (id.startsWith(`${schema}\0`) ? [id.slice(schema.length + 1)] : [])));
}

export async function readChecks(query: MysqlQuery, scope: MysqlScope, server: MysqlCapabilities): Promise<ByTable<MysqlCheck>> {
  if (!server.checks) return () => [];
  const rows = server.flavour === 'mariadb'
    ? await query(`SELECT TABLE_NAME AS tableName, CONSTRAINT_NAME AS name, CHECK_CLAUSE AS clause, 'YES' AS enforced
        FROM information_schema.CHECK_CONSTRAINTS WHERE ${inScope(scope, 'CONSTRAINT_SCHEMA')} ORDER BY CONSTRAINT_NAME`)
    : await query(`SELECT t.TABLE_NAME AS tableName, c.CONSTRAINT_NAME AS name, c.CHECK_CLAUSE AS clause, t.ENFORCED AS enforced
        FROM information_schema.CHECK_CONSTRAINTS c
        JOIN information_schema.TABLE_CONSTRAINTS t ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME AND t.CONSTRAINT_TYPE = 'CHECK'
       WHERE ${inScope(scope, 't.TABLE_SCHEMA', 't.TABLE_NAME')} ORDER BY c.CONSTRAINT_NAME`);
  const isEscaped = server.flavour === 'mysql';
  return byTable(rows, (row) => ({ name: row['name'] ?? '', expression: isEscaped ? (row['clause'] ?? '').replace(/\\(.)/gs, '$1') : row['clause'] ?? '', enforced: row['enforced'] === 'YES' }));
}

/** A partition that is divided again is listed once for each part. */
export async function readPartitions(query: MysqlQuery, scope: MysqlScope): Promise<ByTable<MysqlPartition>> {
  const rows = await query(`
    SELECT TABLE_NAME AS tableName, PARTITION_NAME AS name, PARTITION_METHOD AS method, PARTITION_EXPRESSION AS expression, PARTITION_DESCRIPTION AS description
      FROM information_schema.PARTITIONS WHERE ${inScope(scope)} AND PARTITION_NAME IS NOT NULL ORDER BY TABLE_NAME, PARTITION_ORDINAL_POSITION`);
  return byTable(rows, (row) => ({ name: row['name'] ?? '', method: row['method'] ?? '', expression: row['expression'] ?? null, description: row['description'] ?? null }));
}
