/** Reads one table's whole definition from a server. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { serverCapabilities } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { quoteTable } from './quote.ts';
import { readAccess, readPolicies, readRules, readTriggers, readViews } from './read-behaviour.ts';
import { readColumns, readSequences } from './read-columns.ts';
import { partitioningSql, readConstraints, readForeignKeys, readIndexes, readPartitions } from './read-constraints.ts';
import { readJson, readServerVersion, withQualifiedNames } from './read-json.ts';
import { readRequiredExtensions, readRequiredTypes } from './required-types.ts';
import type { TableDefinition } from './definition.ts';

/** Throws MIG010 when there is no such table (a view is none). */
export async function introspectTable(client: ClientBase, table: QualifiedName): Promise<TableDefinition> {
  const definition = await findTable(client, table);
  if (definition === undefined) throw new MigrationError('MIG010', `table ${quoteTable(table)} not found`, { tableName: `${table.schema}.${table.name}` });
  return definition;
}

export function findTable(client: ClientBase, table: QualifiedName): Promise<TableDefinition | undefined> {
  return withQualifiedNames(client, async () => {
    const has = serverCapabilities(await readServerVersion(client));
    const head = await readHead(client, table, has);
    if (head === undefined) return undefined;
    const { oid } = head;
    // One after the other: a client runs one query at a time anyway.
    const columns = await readColumns(client, oid, has);
    return {
      serverVersion: has.version,
      ...head,
      columns,
      constraints: await readConstraints(client, oid),
      foreignKeys: await readForeignKeys(client, oid, 'child', has),
      referencedBy: await readForeignKeys(client, oid, 'parent', has),
      indexes: await readIndexes(client, oid, has),
      triggers: await readTriggers(client, oid),
      rules: await readRules(client, oid),
      policies: await readPolicies(client, oid),
      sequences: await readSequences(client, oid),
      partitions: head.partitioning === null ? [] : await readPartitions(client, oid, has),
      ...(await readAccess(client, [oid]))(oid),
      requiredTypes: await readRequired(client, oid, columns.map((column) => column.typeOid)),
      views: await readViews(client, oid),
    };
  });
}

/** Each extension once: one that a column's type comes from is named by the type. */
async function readRequired(client: ClientBase, oid: number, typeOids: readonly number[]): Promise<TableDefinition['requiredTypes']> {
  const types = await readRequiredTypes(client, typeOids);
  const named = new Set(types.flatMap((type) => (type.kind === 'extension' ? [type.extension] : [])));
  const extensions = (await readRequiredExtensions(client, oid)).filter((each) => each.kind === 'extension' && !named.has(each.extension));
  return [...extensions, ...types];
}

type Head = Pick<TableDefinition, 'oid' | 'schema' | 'name' | 'kind' | 'persistence' | 'owner' | 'comment' | 'storageOptions' | 'withOids' | 'rowSecurity'
  | 'replicaIdentity' | 'partitioning' | 'partitionOf' | 'inherits' | 'inheritedBy' | 'estimatedRows' | 'bytes'>;

async function readHead(client: ClientBase, table: QualifiedName, has: Capabilities): Promise<Head | undefined> {
  const relatives = (self: string, other: string, partition: string): string => `(SELECT coalesce(json_agg(json_build_object('schema', hn.nspname, 'name', hc.relname) ORDER BY h.inhseqno), '[]'::json)
    FROM pg_inherits h JOIN pg_class hc ON hc.oid = h.${other} JOIN pg_namespace hn ON hn.oid = hc.relnamespace WHERE h.${self} = c.oid AND NOT ${partition})`;
  const rows = await readJson<Head>(client, `
    SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'table' END AS kind,
           CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' ELSE 'permanent' END AS persistence,
           pg_get_userbyid(c.relowner) AS owner, obj_description(c.oid, 'pg_class') AS comment, coalesce(to_json(c.reloptions), '[]'::json) AS "storageOptions",
           ${has.oidTables ? 'c.relhasoids' : 'false'} AS "withOids",
           json_build_object('enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity) AS "rowSecurity",
           json_build_object('kind', CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' ELSE 'default' END,
             'index', (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident)) AS "replicaIdentity",
           ${partitioningSql('c.oid')} AS partitioning,
           (SELECT json_build_object('schema', hn.nspname, 'name', hc.relname) FROM pg_inherits h JOIN pg_class hc ON hc.oid = h.inhparent
              JOIN pg_namespace hn ON hn.oid = hc.relnamespace WHERE h.inhrelid = c.oid AND c.relispartition) AS "partitionOf",
           ${relatives('inhrelid', 'inhparent', 'c.relispartition')} AS inherits, ${relatives('inhparent', 'inhrelid', 'hc.relispartition')} AS "inheritedBy",
           ${sumOverTree('CASE WHEN r.reltuples < 0 THEN 0 ELSE r.reltuples END')} AS "estimatedRows", ${sumOverTree('pg_table_size(r.oid)')} AS bytes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'f')`, [table.schema, table.name]);
  return rows[0];
}

/** The table itself, or its leaf partitions. */
function sumOverTree(expression: string): string {
  return `(WITH RECURSIVE tree(oid) AS (SELECT c.oid UNION ALL SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid WHERE c.relkind = 'p')
    SELECT coalesce(sum(${expression}), 0)::int8 FROM tree t JOIN pg_class r ON r.oid = t.oid AND r.relkind = 'r')`;
}

export interface ListedTable extends QualifiedName {
  readonly kind: 'table' | 'partitioned' | 'foreign';
  readonly estimatedRows: number;
  readonly bytes: number;
}

/** Ordinary and partitioned tables of a schema (all schemas of the user when undefined); partitions are part of their root. */
export function listTables(client: ClientBase, schema: string | undefined): Promise<ListedTable[]> {
  return readJson<ListedTable>(client, `
    SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'table' END AS kind,
           ${sumOverTree('CASE WHEN r.reltuples < 0 THEN 0 ELSE r.reltuples END')} AS "estimatedRows", ${sumOverTree('pg_table_size(r.oid)')} AS bytes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND n.nspname <> 'causeway'
       AND ($1::text IS NULL OR n.nspname = $1) AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
     ORDER BY 1, 2`, [schema ?? null]);
}
