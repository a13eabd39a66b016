/** Keys, checks, foreign keys in both directions, indexes, and the partitions with what they have of their own. */
import type { ClientBase } from 'pg';
import type { Capabilities } from './capabilities.ts';
import { readAccess } from './read-behaviour.ts';
import { readJson } from './read-json.ts';
import type { ConstraintDefinition, ForeignKeyDefinition, IndexDefinition, PartitionDefinition } from './definition.ts';

const columnNames = (numbers: string, relation: string): string =>
  `(SELECT coalesce(json_agg(a.attname ORDER BY k.ord), '[]'::json) FROM unnest(${numbers}) WITH ORDINALITY k(num, ord) JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.num)`;

export function readConstraints(client: ClientBase, tableOid: number): Promise<ConstraintDefinition[]> {
  return readJson<ConstraintDefinition>(client, `
    SELECT c.conname AS name, CASE c.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclusion' ELSE 'check' END AS type,
           ${columnNames('c.conkey', 'c.conrelid')} AS columns, pg_get_constraintdef(c.oid) AS definition, c.convalidated AS validated,
           c.condeferrable AS deferrable, c.condeferred AS deferred, c.connoinherit AND c.contype = 'c' AS "noInherit",
           obj_description(c.oid, 'pg_constraint') AS comment
      FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype IN ('p', 'u', 'x', 'c') ORDER BY c.contype = 'c', c.contype <> 'p', c.conname`, [tableOid]);
}

const action = (column: string): string =>
  `CASE ${column} WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default' ELSE 'no action' END`;

/** `child`: the table's own foreign keys; `parent`: those of other tables that point at it. Clones on partitions are left out. */
export function readForeignKeys(client: ClientBase, tableOid: number, role: 'child' | 'parent', has: Capabilities): Promise<ForeignKeyDefinition[]> {
  const own = has.partitionedKeys ? 'AND c.conparentid = 0' : '';
  const setColumns = has.nullsNotDistinct ? columnNames('c.confdelsetcols', 'c.conrelid') : "'[]'::json";
  return readJson<ForeignKeyDefinition>(client, `
    SELECT c.conname AS name, json_build_object('schema', cn.nspname, 'name', cc.relname) AS child, ${columnNames('c.conkey', 'c.conrelid')} AS columns,
           json_build_object('schema', pn.nspname, 'name', pc.relname) AS parent, ${columnNames('c.confkey', 'c.confrelid')} AS "parentColumns",
           ${action('c.confupdtype')} AS "onUpdate", ${action('c.confdeltype')} AS "onDelete", ${setColumns} AS "onDeleteColumns",
           CASE c.confmatchtype WHEN 'f' THEN 'full' WHEN 'p' THEN 'partial' ELSE 'simple' END AS match,
           c.condeferrable AS deferrable, c.condeferred AS deferred, c.convalidated AS validated
      FROM pg_constraint c JOIN pg_class cc ON cc.oid = c.conrelid JOIN pg_namespace cn ON cn.oid = cc.relnamespace
      JOIN pg_class pc ON pc.oid = c.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
     WHERE c.contype = 'f' AND ${role === 'child' ? 'c.conrelid' : 'c.confrelid'} = $1 ${own} ORDER BY c.conname`, [tableOid]);
}

interface IndexRow extends Omit<IndexDefinition, 'tail'> {
  readonly schema: string;
  readonly table: string;
  readonly definition: string;
  readonly tableOid: number;
}

/** With `onlyOwn`, indexes that came with a partitioned parent's are left out. */
async function readIndexRows(client: ClientBase, tableOids: readonly number[], has: Capabilities, onlyOwn: boolean): Promise<IndexRow[]> {
  const keyColumns = has.partitionedKeys ? 'i.indnkeyatts' : 'i.indnatts';
  const own = onlyOwn ? 'AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)' : '';
  return readJson<IndexRow>(client, `
    SELECT x.relname AS name, i.indisunique AS unique, i.indisprimary AS primary, i.indisvalid AS valid, i.indimmediate AS immediate, m.amname AS method,
           (SELECT json_agg(a.attname ORDER BY k.ord) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, ord)
              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num AND k.num > 0 WHERE k.ord <= ${keyColumns}) AS columns,
           pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_get_indexdef(i.indexrelid) AS definition,
           (SELECT c.conname FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x') AND c.conrelid = i.indrelid LIMIT 1) AS constraint,
           obj_description(i.indexrelid, 'pg_class') AS comment, n.nspname AS schema, t.relname AS table, t.oid::int8 AS "tableOid"
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
      JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE i.indrelid = ANY ($1::int8[]::oid[]) ${own} ORDER BY i.indisprimary DESC, x.relname`, [tableOids]);
}

function indexOf(row: IndexRow): IndexDefinition {
  const { schema: _schema, table: _table, definition, tableOid: _tableOid, ...index } = row;
  return { ...index, tail: indexTail(definition) };
}

const indexHead = /^CREATE (?:UNIQUE )?INDEX NAME ON (?:ONLY )?(?:NAME\.)?NAME /.source.replaceAll('NAME', '(?:"(?:[^"]|"")*"|[^\\s".]+)');

/** `CREATE [UNIQUE] INDEX name ON [ONLY] schema.table USING …`: what follows the table, whatever the names hold. */
export function indexTail(definition: string): string {
  return definition.replace(new RegExp(indexHead), '');
}

export async function readIndexes(client: ClientBase, tableOid: number, has: Capabilities): Promise<IndexDefinition[]> {
  return (await readIndexRows(client, [tableOid], has, false)).map(indexOf);
}

/** Every level below the table, parents before their partitions. `pg_partition_tree` exists from 12 on only. */
export async function readPartitions(client: ClientBase, tableOid: number, has: Capabilities): Promise<PartitionDefinition[]> {
  const partitions = await readJson<Omit<PartitionDefinition, 'ownIndexes' | 'ownChecks' | 'grants' | 'schemaUsers'>>(client, `
    WITH RECURSIVE tree(oid, parent, level) AS (
      SELECT h.inhrelid, h.inhparent, 1 FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition WHERE h.inhparent = $1
      UNION ALL SELECT h.inhrelid, h.inhparent, t.level + 1 FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
    SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, json_build_object('schema', pn.nspname, 'name', pc.relname) AS parent,
           pg_get_expr(c.relpartbound, c.oid) AS bound, ${partitioningSql('c.oid')} AS partitioning, c.relkind = 'f' AS "isForeign",
           CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' ELSE 'default' END AS "replicaIdentity",
           (SELECT json_agg(a.attname || ' ' || a.attnum || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
      FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_class pc ON pc.oid = t.parent JOIN pg_namespace pn ON pn.oid = pc.relnamespace ORDER BY t.level, n.nspname, c.relname`, [tableOid]);
  if (partitions.length === 0) return [];
  const oids = partitions.map((partition) => partition.oid);
  const indexes = await readIndexRows(client, oids, has, true);
  const checks = await readJson<{ tableOid: number; name: string; definition: string }>(client, `
    SELECT conrelid::int8 AS "tableOid", conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
     WHERE contype = 'c' AND conislocal AND coninhcount = 0 AND conrelid = ANY ($1::int8[]::oid[]) ORDER BY conname`, [oids]);
  const accessOf = await readAccess(client, oids);
  return partitions.map((partition) => ({
    ...partition, ...accessOf(partition.oid),
    ownIndexes: indexes.filter((row) => row.tableOid === partition.oid).map(indexOf),
    ownChecks: checks.filter((row) => row.tableOid === partition.oid).map(({ name, definition }) => ({ name, definition })),
  }));
}

export function partitioningSql(oid: string): string {
  return `(SELECT json_build_object('strategy', CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END, 'key', pg_get_partkeydef(p.partrelid))
             FROM pg_partitioned_table p WHERE p.partrelid = ${oid})`;
}
