/** Questions about one table's definition that the change path asks the catalogs. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';
import { serverCapabilities } from './capabilities.ts';
import { quoteTable } from './connect.ts';
import type { Question } from './sql-client.ts';

interface Asks {
  rows(question: Question): Promise<readonly (readonly (string | null)[])[]>;
}

/** Identity and generated columns of the target's table, and those whose collation takes different texts for equal. Collations in the schema `mysql` stand for MySQL's of the same kind. */
export async function readTargetShape(target: Asks, table: QualifiedName): Promise<TargetShape> {
  // `attgenerated` and `collisdeterministic` came with 12; the row as JSON serves every version.
  const rows = await target.rows({
    text: `SELECT attname, to_json(a)->>'attidentity', to_json(a)->>'attgenerated', (SELECT to_json(c)->>'collisdeterministic' FROM pg_collation c WHERE c.oid = a.attcollation),
              (SELECT true::text FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation AND n.nspname = 'mysql' AND c.collname LIKE '%\\_ci') FROM pg_attribute a
            WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped`, values: [quoteTable(table)],
  });
  return {
    identityAlways: new Set(rows.flatMap(([name, identity]) => (identity === 'a' && name ? [name] : []))),
    generated: new Set(rows.flatMap(([name, , generated]) => ((generated === 's' || generated === 'v') && name ? [name] : []))),
    caseFolded: new Set(rows.flatMap(([name, , , , isFolded]) => (isFolded === 'true' && name ? [name] : []))),
    looseTexts: new Set(rows.flatMap(([name, , , isDeterministic]) => (isDeterministic === 'false' && name ? [name] : []))),
  };
}

/** All columns of the source's table, in order; undefined when the table is gone. */
export async function readColumns(source: Asks, table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
  const rows = await source.rows({
    text: `SELECT attname, atttypid::text, atttypmod::text FROM pg_attribute
            WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, values: [quoteTable(table)],
  });
  if (rows.length === 0) return undefined;
  return rows.map(([name, typeOid, typmod]) => ({ name: name ?? '', typeOid: Number(typeOid), typmod: Number(typmod) }));
}

/** The table and, when it is partitioned, all its partitions. */
export async function readTreeOids(source: Asks, table: QualifiedName): Promise<readonly number[]> {
  const rows = await source.rows({
    text: `WITH RECURSIVE tree AS (SELECT to_regclass($1::text)::oid AS oid UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
           SELECT oid::text FROM tree WHERE oid IS NOT NULL`, values: [quoteTable(table)],
  });
  if (rows.length === 0) throw new MigrationError('MIG010', `Source table ${quoteTable(table)} not found`);
  return rows.map(([oid]) => Number(oid));
}

/** Partitions that hold rows: changes come under their names. */
export async function readLeaves(source: Asks, table: QualifiedName): Promise<readonly (QualifiedName & { readonly oid: number })[]> {
  const oids = await readTreeOids(source, table);
  const rows = await source.rows({
    text: `SELECT c.oid::text, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = ANY ($1::oid[]) AND c.relkind = 'r'`, values: [`{${oids.join(',')}}`],
  });
  return rows.map(([oid, schema, name]) => ({ oid: Number(oid), schema: schema ?? '', name: name ?? '' }));
}

/** What stands for the table in the publication: from 13 on a partitioned table stands for its partitions, later ones included. */
export async function publishedTables(source: Asks, plan: TablePlan): Promise<readonly QualifiedName[]> {
  if (!plan.isPartitioned) return [plan.source];
  const [row] = await source.rows({ text: "SELECT current_setting('server_version_num')" });
  return serverCapabilities(Number(row?.[0])).partitionedPublication ? [plan.source] : readLeaves(source, plan.source);
}

/**
 * Refuses a table whose changes would not say which row they belong to. Publishing a table without a usable replica identity would
 * make the application's own UPDATE and DELETE fail (RULES 2).
 */
export async function checkReplicaIdentity(source: Asks, plan: TablePlan): Promise<void> {
  const [row] = await source.rows({
    text: `SELECT c.relreplident, (SELECT json_agg(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
              WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END)::text
             FROM pg_class c WHERE c.oid = to_regclass($1::text)`, values: [quoteTable(plan.source)],
  });
  if (!row) throw new MigrationError('MIG010', `Source table ${quoteTable(plan.source)} not found`);
  const [identity, columnsJson] = row;
  if (identity === 'f') return;
  const columns = columnsJson ? (JSON.parse(columnsJson) as string[]) : [];
  const covers = plan.keyKind !== 'full' && columns.length === plan.key.length && plan.key.every((name) => columns.includes(name));
  if ((identity === 'd' || identity === 'i') && covers) return;
  const table = quoteTable(plan.source);
  throw new MigrationError('MIG013', `${table} has no replica identity that matches its key`, {
    tableName: plan.source.name,
    hint: plan.keyKind === 'full' ? `ALTER TABLE ${table} REPLICA IDENTITY FULL` : `ALTER TABLE ${table} REPLICA IDENTITY USING INDEX …, on the index over (${plan.key.join(', ')}), or REPLICA IDENTITY FULL`,
  });
}

/** The definition as a value lives in `definition.ts`. */
export type { TableDefinition } from './definition.ts';
