/** Whether anything of what decides who may do what with tables has changed since it was looked at last: one cheap question for many tables. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteTable } from './quote.ts';

/** Owners, privileges, row security and its policies; of the schema, who may use it; and all roles with their memberships, which decide it with them. */
const FINGERPRINTS_SQL = `
  SELECT (SELECT md5(concat_ws('|', r.members, r.roles, c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, n.nspowner, n.nspacl,
            (SELECT string_agg(concat_ws(' ', a.attname, a.attacl), ',' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attacl IS NOT NULL),
            (SELECT string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), ',' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(t.name)) AS print
    FROM unnest($1::text[]) WITH ORDINALITY t(name, i)
    CROSS JOIN (SELECT (SELECT md5(string_agg(m::text, ',' ORDER BY m.roleid, m.member, m::text)) FROM pg_auth_members m) AS members,
                       (SELECT md5(string_agg(concat_ws(' ', o.oid, o.rolname, o.rolsuper, o.rolinherit, o.rolbypassrls), ',' ORDER BY o.oid)) FROM pg_roles o) AS roles) r
   ORDER BY t.i`;

/** In the tables' order; null for one that is not there. */
export async function readRightsFingerprints(client: ClientBase, tables: readonly QualifiedName[]): Promise<readonly (string | null)[]> {
  const { rows } = await client.query<{ print: string | null }>(FINGERPRINTS_SQL, [tables.map(quoteTable)]);
  return rows.map(({ print }) => print);
}
