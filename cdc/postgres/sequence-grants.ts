/** Privileges on a table's sequences, carried when those of the table are: without USAGE an insert that draws a number is refused. */
import type { ClientBase } from 'pg';
import { joinGrants, runGrants } from './grants.ts';
import type { AclRow } from './grants.ts';
import { quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';
import type { SequencePair } from './sequences.ts';

/** An owner's as well, as of tables. Returns the statements that local refused, each with the reason. */
export async function grantSequences(source: ClientBase, local: ClientBase, pairs: readonly SequencePair[], rolesOf: (grantee: string) => readonly string[]): Promise<readonly string[]> {
  const refused: string[] = [];
  for (const { source: from, target } of pairs) {
    const rows = await readJson<AclRow>(source, `
      SELECT coalesce(r.rolname, 'PUBLIC') AS grantee, a.privilege_type AS privilege, NULL AS column, false AS grantable
        FROM pg_class c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE c.oid = to_regclass($1) AND NOT coalesce(a.grantee = c.relowner AND r.rolsuper, false)`, [quoteTable(from)]);
    refused.push(...(await runGrants(local, joinGrants(`SEQUENCE ${quoteTable(target)}`, rows), rolesOf)));
  }
  return refused;
}
