/** Columns, sequences and owned values of one table. */
import type { ClientBase } from 'pg';
import type { Capabilities } from './capabilities.ts';
import { quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';
import type { ColumnDefinition, SequenceDefinition } from './definition.ts';

/** Names of `pg_type.typstorage` and `attstorage`. */
const storageName = (column: string): string => `CASE ${column} WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END`;

/** Below a domain lies its base type, below an array its element; both chains are walked by the recursive query. */
export function readColumns(client: ClientBase, tableOid: number, has: Capabilities): Promise<ColumnDefinition[]> {
  const generated = has.generatedColumns ? "CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END" : 'NULL::text';
  const compression = has.columnCompression ? "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END" : 'NULL::text';
  return readJson<ColumnDefinition>(client, `
    WITH RECURSIVE base(typeoid, oid) AS (
      SELECT DISTINCT atttypid, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
      UNION ALL SELECT b.typeoid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
    SELECT a.attname AS name, a.attnum AS attnum, format_type(a.atttypid, a.atttypmod) AS type, a.atttypid::int8 AS "typeOid",
           a.atttypmod AS typmod, coalesce(e.typtype, t.typtype) AS "typeKind", bn.nspname || '.' || bt.typname AS "baseType", bt.typlen AS "typeLength",
           a.attnotnull AS "notNull", pg_get_expr(d.adbin, d.adrelid) AS default,
           (SELECT json_build_object('schema', n.nspname, 'name', c.relname) FROM pg_depend p JOIN pg_class c ON c.oid = p.refobjid AND c.relkind = 'S'
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass LIMIT 1) AS "defaultSequence",
           CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
           ${generated} AS generated, ${collationSql(has)} AS collation,
           ${storageName('a.attstorage')} AS storage, ${storageName('t.typstorage')} AS "typeStorage",
           ${compression} AS compression, a.attstattarget AS statistics, col_description(a.attrelid, a.attnum) AS comment
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1 AND t.typelem <> 0
      JOIN base b ON b.typeoid = a.atttypid JOIN pg_type bt ON bt.oid = b.oid AND bt.typtype <> 'd' JOIN pg_namespace bn ON bn.oid = bt.typnamespace
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, [tableOid]);
}

function collationSql(has: Capabilities): string {
  const deterministic = has.partitionedParents ? 'c.collisdeterministic' : 'true';
  return `(SELECT json_build_object('schema', n.nspname, 'name', c.collname, 'provider', c.collprovider, 'deterministic', ${deterministic},
             'version', c.collversion, 'explicit', a.attcollation <> t.typcollation)
             FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation)`;
}

/** Sequences that columns own (identity and serial), and free ones that a default draws from. */
export async function readSequences(client: ClientBase, tableOid: number): Promise<SequenceDefinition[]> {
  const sequences = await readJson<SequenceDefinition>(client, `
    SELECT n.nspname AS schema, s.relname AS name, l.owned AS "ownedBy", l.attname AS column, l.internal AS identity, format_type(q.seqtypid, NULL) AS type,
           q.seqstart::text AS start, q.seqincrement::text AS increment, q.seqmin::text AS min, q.seqmax::text AS max, q.seqcache::text AS cache,
           q.seqcycle AS cycle, '0' AS "lastValue", false AS "isCalled"
      FROM (SELECT d.objid AS oid, a.attname, a.attname AS owned, d.deptype = 'i' AS internal
              FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
            UNION ALL
            SELECT DISTINCT ON (p.refobjid) p.refobjid, a.attname, NULL, false
              FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
              JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = f.oid AND p.refclassid = 'pg_class'::regclass
             WHERE f.adrelid = $1 AND NOT EXISTS (SELECT 1 FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = p.refobjid
                   AND o.refclassid = 'pg_class'::regclass AND o.refobjid = $1 AND o.deptype IN ('a', 'i'))) l
      JOIN pg_class s ON s.oid = l.oid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
     ORDER BY 1, 2`, [tableOid]);
  const positioned: SequenceDefinition[] = [];
  for (const sequence of sequences) positioned.push({ ...sequence, ...(await readSequencePosition(client, sequence)) });
  return positioned;
}

/** A position that may not be read (no privilege) is 0: the preflight tells of the missing grant. */
async function readSequencePosition(client: ClientBase, sequence: { schema: string; name: string }): Promise<{ lastValue: string; isCalled: boolean }> {
  const allowed = await readJson<{ ok: boolean }>(client, `
    SELECT has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT') AS ok
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, [sequence.schema, sequence.name]);
  if (allowed[0]?.ok !== true) return { lastValue: '0', isCalled: false };
  const rows = await readJson<{ lastValue: string; isCalled: boolean }>(client, `SELECT last_value::text AS "lastValue", is_called AS "isCalled" FROM ${quoteTable(sequence)}`);
  return rows[0] ?? { lastValue: '0', isCalled: false };
}
