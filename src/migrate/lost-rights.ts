/** What users of the gateway may do with tables on the source, and may not on local: they would learn of it after the cutover. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../../cdc/postgres/finding.ts';
import { missingRights, readLoginRights } from '../../cdc/postgres/login-rights.ts';
import { hasNoRights } from '../../cdc/user-rights.ts';
import type { GatewayLogin, TableRights } from '../../cdc/user-rights.ts';
import { quoteIdent } from '../../cdc/postgres/quote.ts';
import type { SourceFlow } from './source-flow.ts';

export interface RightsTable {
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  /** As local will have them, for a table that is not there yet. */
  readonly columns: readonly { readonly name: string }[];
}

export interface LostRights {
  /** Users with the same logins: `app, web`. */
  readonly users: string;
  readonly what: readonly string[];
  /** Statements and sentences, each whole. */
  readonly remedies: readonly string[];
  /** Those of them that can be run as they are. */
  readonly grants: readonly string[];
}

/** `app: INSERT, UPDATE (price)`. */
export function describeLostRights({ users, what }: LostRights): string {
  return `${users}: ${what.join(', ')}`;
}

/** Of each table, in their order. What cannot be known counts as lost: nobody could say that it is not. */
export async function findLostRights({ logins, sourceSide, localAdmin }: SourceFlow, tables: readonly RightsTable[]): Promise<readonly (readonly LostRights[])[]> {
  const lost = tables.map((): LostRights[] => []);
  for (const [users, login] of byLogins(logins)) {
    const rights = await sourceSide.readRights(login.source, tables.map(({ source }) => source)).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    // Who is not let in there has nothing to lose.
    if (rights === undefined) continue;
    for (const [at, table] of tables.entries()) {
      const wanted = rights instanceof Error ? rights : rights[at];
      const found = wanted === undefined ? undefined : wanted instanceof Error ? unknownRights(users, wanted) : await localAdmin.use((local) => compareRights(local, users, login.local, table, wanted));
      if (found !== undefined) lost[at]?.push(found);
    }
  }
  return lost;
}

/** Option `copy_grants` for a source of another engine, whose users are no roles: each login on local gets what its user may do there. Returns what could not be. */
export async function grantLostRights(flow: SourceFlow, table: RightsTable): Promise<readonly string[]> {
  const skipped: string[] = [];
  for (const { users, what, grants } of (await findLostRights(flow, [table])).flat()) {
    if (grants.length === 0) skipped.push(`${users}: ${what.join(', ')}`);
    for (const sql of grants) await flow.localAdmin.use((local) => local.query(sql)).catch((error: unknown) => skipped.push(`${sql}: ${error instanceof Error ? error.message : String(error)}`));
  }
  return skipped;
}

/** With `copy_grants` what a GRANT can give is given once the table is there; the cutover looks whether it was. */
export function afterCopyOfGrants(lost: readonly LostRights[]): readonly LostRights[] {
  return lost.filter(({ grants }) => grants.length === 0);
}

/** As CHECK and START tell it. */
export function rightsFindings(table: QualifiedName, lost: readonly LostRights[]): readonly Finding[] {
  return lost.map(({ users, what, remedies }) => ({ code: 'user_privilege', severity: 'warning', subject: users, message: `may do less with ${table.schema}.${table.name} on local than on the source: ${what.join(', ')}; CUTOVER waits for it`, remedy: remedies.join(' ') }));
}

/** Users that are the same on both sides are one question. */
function byLogins(logins: readonly GatewayLogin[]): readonly (readonly [string, GatewayLogin])[] {
  const groups = new Map<string, GatewayLogin[]>();
  for (const login of logins) {
    const key = JSON.stringify([login.source.user, login.source.password, login.local]);
    groups.set(key, [...(groups.get(key) ?? []), login]);
  }
  return [...groups.values()].flatMap((group) => (group[0] === undefined ? [] : [[group.map(({ user }) => user).join(', '), group[0]] as const]));
}

function unknownRights(users: string, error: Error): LostRights {
  const detail = 'detail' in error && typeof error.detail === 'string' ? error.detail : error.message;
  return { users, what: [`what may be done on the source is not known (${detail})`], remedies: [`Let the login of ${users} in at the source, where CHECK MIGRATION asks as that user.`], grants: [] };
}

async function compareRights(local: Parameters<typeof readLoginRights>[0], users: string, role: string, table: RightsTable, wanted: TableRights): Promise<LostRights | undefined> {
  if (hasNoRights(wanted)) return undefined;
  const has = await readLoginRights(local, role, table.target);
  if (has === undefined) return { users, what: [`local has no role ${role}`], remedies: [`CREATE ROLE ${quoteIdent(role)} LOGIN; then CHECK MIGRATION names what it needs.`], grants: [] };
  const { what, grants } = missingRights(role, table.target, table.columns.map(({ name }) => name), wanted, has);
  return what.length === 0 ? undefined : { users, what, remedies: grants.map((grant) => `${grant};`), grants };
}
