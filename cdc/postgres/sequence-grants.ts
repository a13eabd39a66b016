/** Privileges on a table's sequences, carried when those of the table are: without USAGE an insert that draws a number is refused. */
import type { ClientBase } from 'pg';
import { quoteIdent, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';
import type { SequencePair } from './sequences.ts';

interface SequenceGrant {
  readonly schema: string;
  readonly name: string;
  readonly grantee: string;
  readonly privilege: string;
}

/** Returns the statements that local refused (a role that does not exist there), each with the reason. */
export async function grantSequences(source: ClientBase, local: ClientBase, pairs: readonly SequencePair[]): Promise<readonly string[]> {
  const skipped: string[] = [];
  for (const { source: from, target } of pairs) {
    const grants = await readJson<SequenceGrant>(source, `
      SELECT n.nspname AS schema, c.relname AS name, coalesce(r.rolname, 'PUBLIC') AS grantee, a.privilege_type AS privilege
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
       WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner`, [quoteTable(from)]);
    for (const { grantee, privilege } of grants) {
      const sql = `GRANT ${privilege} ON SEQUENCE ${quoteTable(target)} TO ${grantee === 'PUBLIC' ? 'PUBLIC' : quoteIdent(grantee)}`;
      await local.query(sql).catch((error: unknown) => skipped.push(`${sql}: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
  return skipped;
}
