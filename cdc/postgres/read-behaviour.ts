/** What happens when the table is touched: triggers, rules, policies; and who may: grants; and what reads it: views. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { readJson } from './read-json.ts';
import type { GrantDefinition, TableDefinition, TriggerDefinition } from './definition.ts';

/**
 * A function's body is opaque, so every table whose bare name stands in its text as a word counts as one that it may write
 * (conservative: a name in a comment counts too, a name built at run time is missed; the preflight says so).
 */
export const functionMentionsSql = `
  SELECT p.oid AS function_oid, c.oid AS table_oid, n.nspname AS schema, c.relname AS name
    FROM pg_proc p CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'causeway') AND n.nspname !~ '^pg_(toast|temp)'
     AND strpos(lower(p.prosrc), lower(c.relname)) > 0
     AND lower(p.prosrc) ~ ('(^|[^a-z0-9_$])' || regexp_replace(lower(c.relname), '([^a-z0-9_])', '\\\\\\1', 'g') || '($|[^a-z0-9_$])')`;

export function readTriggers(client: ClientBase, tableOid: number): Promise<TriggerDefinition[]> {
  return readJson<TriggerDefinition>(client, `
    SELECT t.tgname AS name, t.tgenabled AS enabled, pg_get_triggerdef(t.oid) AS definition, json_build_object('schema', n.nspname, 'name', p.proname) AS function,
           l.lanname AS language,
           (SELECT coalesce(json_agg(json_build_object('schema', m.schema, 'name', m.name) ORDER BY m.schema, m.name), '[]'::json)
              FROM (${functionMentionsSql}) m WHERE m.function_oid = t.tgfoid AND m.table_oid <> t.tgrelid) AS mentions
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
     WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND n.nspname <> 'causeway' ORDER BY t.tgname`, [tableOid]);
}

export function readRules(client: ClientBase, tableOid: number): Promise<TableDefinition['rules'][number][]> {
  return readJson(client, `
    SELECT r.rulename AS name, CASE r.ev_type WHEN '1' THEN 'select' WHEN '2' THEN 'update' WHEN '3' THEN 'insert' ELSE 'delete' END AS event,
           r.ev_enabled <> 'D' AS enabled, pg_get_ruledef(r.oid) AS definition,
           (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('schema', n.nspname, 'name', c.relname)), '[]'::json) FROM pg_depend d
              JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'f', 'v') JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class) AS relations
      FROM pg_rewrite r WHERE r.ev_class = $1 AND r.rulename <> '_RETURN' ORDER BY r.rulename`, [tableOid]);
}

export function readPolicies(client: ClientBase, tableOid: number): Promise<TableDefinition['policies'][number][]> {
  return readJson(client, `
    SELECT p.polname AS name, CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
           (SELECT coalesce(json_agg(coalesce(a.rolname, 'public') ORDER BY 1), '[]'::json) FROM unnest(p.polroles) r(oid) LEFT JOIN pg_roles a ON a.oid = r.oid) AS roles,
           pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check, p.polpermissive AS permissive
      FROM pg_policy p WHERE p.polrelid = $1 ORDER BY p.polname`, [tableOid]);
}

/** An owner without an entry has all that its version gives to owners. Left out: a superuser's, who needs none, and by what a schema belongs to a role of the server's own. */
export async function readAccess(client: ClientBase, tableOids: readonly number[]): Promise<(tableOid: number) => Access> {
  const grants = await readJson<GrantDefinition & { tableOid: number }>(client, `
    SELECT c.oid::int8 AS "tableOid", coalesce(r.rolname, 'PUBLIC') AS grantee, x.privilege_type AS privilege, x.attname AS column, x.is_grantable AS grantable
      FROM pg_class c CROSS JOIN LATERAL (
             SELECT e.grantee, e.privilege_type, e.is_grantable, NULL::name AS attname, 0 AS attnum FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e
             UNION ALL SELECT e.grantee, e.privilege_type, e.is_grantable, a.attname, a.attnum FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) e WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) x
      LEFT JOIN pg_roles r ON r.oid = x.grantee
     WHERE c.oid = ANY ($1::int8[]::oid[]) AND NOT coalesce(x.grantee = c.relowner AND r.rolsuper, false) ORDER BY 1, 2, 3, x.attnum`, [tableOids]);
  const users = await readJson<{ tableOid: number; grantee: string }>(client, `
    SELECT DISTINCT c.oid::int8 AS "tableOid", coalesce(r.rolname, 'PUBLIC') AS grantee
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x LEFT JOIN pg_roles r ON r.oid = x.grantee
     WHERE c.oid = ANY ($1::int8[]::oid[]) AND x.privilege_type = 'USAGE' AND NOT coalesce(x.grantee = n.nspowner AND (r.rolsuper OR r.rolname ~ '^pg_'), false) ORDER BY 1, 2`, [tableOids]);
  return (tableOid) => ({
    grants: grants.filter((row) => row.tableOid === tableOid).map(({ grantee, privilege, column, grantable }) => ({ grantee, privilege, column, grantable })),
    schemaUsers: users.filter((row) => row.tableOid === tableOid).map(({ grantee }) => grantee),
  });
}

type Access = Pick<TableDefinition, 'grants' | 'schemaUsers'>;

/** Views and materialised views that reach the table, through other views too. */
export function readViews(client: ClientBase, tableOid: number): Promise<QualifiedName[]> {
  return readJson<QualifiedName>(client, `
    WITH RECURSIVE up(oid) AS (
      SELECT $1::int8::oid
      UNION SELECT r.ev_class FROM up u JOIN pg_depend d ON d.refobjid = u.oid AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm'))
    SELECT n.nspname AS schema, c.relname AS name FROM up u JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') ORDER BY 1, 2`, [tableOid]);
}
