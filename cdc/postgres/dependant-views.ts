/** Views and materialised views over migrated tables, what a view reads before it. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { relSql, tablesOf } from './dependants.ts';
import type { Dependant, DependantContext } from './dependants.ts';
import { grantSql } from './grants.ts';
import { quoteIdent, quoteList, quoteLiteral, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';

interface ViewRow extends QualifiedName {
  readonly tables: readonly number[];
  readonly kind: 'v' | 'm';
  readonly definition: string;
  readonly options: readonly string[];
  readonly populated: boolean;
  readonly comment: string | null;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly default: string | null; readonly comment: string | null }[];
  readonly indexes: readonly string[];
  readonly grants: readonly { readonly grantee: string; readonly privilege: string }[];
  /** Whoever may read it may read all its tables too, and no row security decides what is in them. */
  readonly open: boolean;
  /** Tables under it, at any depth. */
  readonly under: readonly QualifiedName[];
}

const columnsText = "SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ";

export async function readViewDependants(client: ClientBase, context: DependantContext): Promise<Dependant[]> {
  const rows = await readJson<ViewRow>(client, `WITH RECURSIVE ${relSql},
    down(view, oid) AS (
      SELECT DISTINCT rel.oid, rel.oid FROM rel JOIN pg_class c ON c.oid = rel.oid AND c.relkind IN ('v', 'm')
      UNION SELECT w.view, d.refobjid FROM down w JOIN pg_rewrite r ON r.ev_class = w.oid AND r.rulename = '_RETURN'
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class AND d.refobjid >= 16384)
    SELECT n.nspname AS schema, v.relname AS name, v.relkind AS kind, pg_get_viewdef(v.oid) AS definition, coalesce(to_json(v.reloptions), '[]'::json) AS options, v.relispopulated AS populated,
           obj_description(v.oid, 'pg_class') AS comment,
           (SELECT json_agg(DISTINCT rel.i) FROM rel WHERE rel.oid = v.oid) AS tables,
           (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'default', pg_get_expr(f.adbin, f.adrelid), 'comment', col_description(v.oid, a.attnum)) ORDER BY a.attnum)
              FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
           (SELECT coalesce(json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid), '[]'::json) FROM pg_index i WHERE i.indrelid = v.oid AND i.indisvalid) AS indexes,
           (SELECT coalesce(json_agg(json_build_object('grantee', coalesce(r.rolname, 'PUBLIC'), 'privilege', x.privilege_type)), '[]'::json)
              FROM aclexplode(coalesce(v.relacl, acldefault('r', v.relowner))) x LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE NOT coalesce(x.grantee = v.relowner AND r.rolsuper, false)) AS grants,
           (SELECT coalesce(json_agg(json_build_object('schema', bn.nspname, 'name', b.relname)), '[]'::json) FROM down w JOIN pg_class b ON b.oid = w.oid AND b.relkind IN ('r', 'p', 'f')
              JOIN pg_namespace bn ON bn.oid = b.relnamespace WHERE w.view = v.oid) AS under,
           NOT EXISTS (SELECT FROM down w JOIN pg_class b ON b.oid = w.oid AND b.relkind IN ('r', 'p', 'f', 'm') WHERE w.view = v.oid AND (b.relrowsecurity OR EXISTS (
              SELECT FROM aclexplode(v.relacl) x WHERE x.privilege_type = 'SELECT' AND x.grantee <> v.relowner
                AND NOT CASE WHEN x.grantee = 0 THEN has_table_privilege('public', b.oid, 'SELECT') ELSE has_table_privilege(x.grantee, b.oid, 'SELECT') END))) AS open,
           (SELECT count(*) FROM down w WHERE w.view = v.oid) AS depth
      FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace WHERE v.oid IN (SELECT down.view FROM down) AND v.relpersistence <> 't' ORDER BY depth, 1, 2`, [context.names]);
  return rows.map((row) => viewDependant(context, row));
}

function viewDependant(context: DependantContext, row: ViewRow): Dependant {
  const view = quoteTable(row);
  const isStored = row.kind === 'm';
  const options = row.options.length === 0 ? '' : ` WITH (${row.options.join(', ')})`;
  const definition = context.rewrite(row.definition);
  const query = definition.replace(/;\s*$/, '');
  const oid = `to_regclass(${quoteLiteral(view)})`;
  const columns = `(${columnsText}${oid})`;
  const columnList = row.columns.map((column) => `${column.name} ${column.type}`).join(', ');
  const isView = `FROM pg_class c WHERE c.oid = ${oid}`;
  const tables = tablesOf(context, row.tables);
  const copying = context.tables.find((table) => table.copyGrants && tables.includes(table.source));
  return {
    kind: isStored ? 'materialized view' : 'view', name: `${row.schema}.${row.name}`, relation: { schema: row.schema, name: row.name }, phase: 'after', tables, under: row.under, refused: undefined, isPlainQuery: !isStored && row.open,
    exact: { sql: `SELECT CASE WHEN c.relkind = '${row.kind}' THEN concat_ws(E'\\n', ${columns}, array_to_string(c.reloptions, ', '), pg_get_viewdef(c.oid)) ELSE 'another kind of relation' END ${isView}`, expected: [columnList, ...(row.options.length === 0 ? [] : [row.options.join(', ')]), definition].join('\n') },
    loose: { sql: `SELECT CASE WHEN c.relkind = '${row.kind}' THEN ${columns} ELSE 'another kind of relation' END ${isView}`, expected: columnList },
    create: [
      `CREATE SCHEMA IF NOT EXISTS ${quoteIdent(row.schema)}`,
      `CREATE ${isStored ? 'MATERIALIZED ' : ''}VIEW ${view} (${quoteList(row.columns.map((column) => column.name))})${options} AS ${query}${isStored ? ` WITH ${row.populated ? '' : 'NO '}DATA` : ''}`,
      ...row.columns.flatMap((column) => (column.default === null ? [] : [`ALTER VIEW ${view} ALTER COLUMN ${quoteIdent(column.name)} SET DEFAULT ${column.default}`])),
      ...row.indexes,
    ],
    extras: [
      ...(row.comment === null ? [] : [`COMMENT ON ${isStored ? 'MATERIALIZED ' : ''}VIEW ${view} IS ${quoteLiteral(row.comment)}`]),
      ...row.columns.flatMap((column) => (column.comment === null ? [] : [`COMMENT ON COLUMN ${view}.${quoteIdent(column.name)} IS ${quoteLiteral(column.comment)}`])),
      // One privilege each: a version that lacks one takes the others.
      ...(copying === undefined ? [] : row.grants.flatMap(({ grantee, privilege }) => (grantee === 'PUBLIC' ? [grantee] : copying.rolesOf?.(grantee) ?? [grantee]).map((to) => grantSql({ grantee: to, rights: [{ privilege }], on: view, grantable: false })))),
    ],
    drop: `DROP ${isStored ? 'MATERIALIZED ' : ''}VIEW IF EXISTS ${view}`,
  };
}
