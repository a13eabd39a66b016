/** GRANT, as one statement for all that a role is given on one thing. */
import type { ClientBase } from 'pg';
import { quoteIdent, quoteList } from './quote.ts';

export interface GrantedRight {
  readonly privilege: string;
  /** Undefined: the whole of it. */
  readonly columns?: readonly string[] | undefined;
}

export interface Grant {
  /** `PUBLIC`, or a role. */
  readonly grantee: string;
  readonly rights: readonly GrantedRight[];
  /** `SCHEMA "s"`, `"s"."t"`. */
  readonly on: string;
  readonly grantable: boolean;
}

/** Without a semicolon. */
export function grantSql({ grantee, rights, on, grantable }: Grant): string {
  const given = rights.map(({ privilege, columns }) => (columns === undefined ? privilege : `${privilege} (${quoteList(columns)})`));
  return `GRANT ${given.join(', ')} ON ${on} TO ${grantee === 'PUBLIC' ? grantee : quoteIdent(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`;
}

/** No such role, no such privilege to give, not allowed. */
const refusals: ReadonlySet<string> = new Set(['42704', '0LP01', '42501']);

/** `rolesOf`: who a grantee is there. Returns what the server refused, each with its words; another failure is thrown. */
export async function runGrants(client: ClientBase, grants: readonly Grant[], rolesOf: (grantee: string) => readonly string[]): Promise<readonly string[]> {
  const refused: string[] = [];
  for (const grant of grants) {
    for (const grantee of grant.grantee === 'PUBLIC' ? [grant.grantee] : rolesOf(grant.grantee)) {
      const sql = grantSql({ ...grant, grantee });
      await client.query(sql).catch((error: unknown) => {
        if (!(error instanceof Error) || !('code' in error) || !refusals.has(String(error.code))) throw error;
        refused.push(`${sql}: ${error.message}`);
      });
    }
  }
  return refused;
}

/** A row of `aclexplode`. */
export interface AclRow {
  readonly grantee: string;
  readonly privilege: string;
  readonly column: string | null;
  readonly grantable: boolean;
}

/** One grant for each grantee, and one more for what he may give on. */
export function joinGrants(on: string, rows: readonly AclRow[]): Grant[] {
  const grants: { grantee: string; grantable: boolean; on: string; rights: { privilege: string; columns: string[] | undefined }[] }[] = [];
  for (const { grantee, privilege, column, grantable } of rows) {
    let grant = grants.find((each) => each.grantee === grantee && each.grantable === grantable);
    if (grant === undefined) grants.push((grant = { grantee, grantable, on, rights: [] }));
    const right = grant.rights.find((each) => each.privilege === privilege && (each.columns === undefined) === (column === null));
    if (right === undefined) grant.rights.push({ privilege, columns: column === null ? undefined : [column] });
    else if (column !== null && right.columns?.includes(column) === false) right.columns.push(column);
  }
  return grants;
}
