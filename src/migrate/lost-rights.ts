/** What users of the gateway may do with tables on the source, and may not on local: they would learn of it after the cutover. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Finding } from '../../cdc/postgres/finding.ts';
import { losesRowLocks, maySetRole, missingRights, readLoginRights } from '../../cdc/postgres/login-rights.ts';
import { hasNoRights } from '../../cdc/user-rights.ts';
import type { GatewayLogin, TableRights } from '../../cdc/user-rights.ts';
import { quoteIdent } from '../../cdc/postgres/quote.ts';
import type { SourceFlow } from './source-flow.ts';
import { displayName } from './table-details.ts';

export interface RightsTable {
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  /** As local will have them, for a table that is not there yet. */
  readonly columns: readonly { readonly name: string }[];
}

export interface LostRights {
  /** Users with the same logins: `app, web`; `app as dba` after SET ROLE. */
  readonly users: string;
  readonly what: readonly string[];
  /** Of `what`, what no GRANT gives. */
  readonly left: readonly string[];
  /** Statements that can be run as they are, without a semicolon; one for all that is given on one thing. */
  readonly grants: readonly string[];
  /** What to do about `left`: statements and sentences, each whole. */
  readonly remedies: readonly string[];
  /** Statements that only read would fail on local, or miss rows. */
  readonly hindersReads: boolean;
  /** Nobody could say: counts as lost before anything moves, and moves nothing back. */
  readonly isUnknown?: true;
}

/** What is no privilege, and holds nothing up. */
export interface RightsNote {
  readonly users: string;
  readonly kind: 'ownership' | 'row_locks';
}

export interface ReviewedRights {
  readonly lost: readonly LostRights[];
  readonly notes: readonly RightsNote[];
}

/** `app: INSERT, UPDATE (price)`. */
export function describeLostRights({ users, what }: LostRights): string {
  return `${users}: ${what.join(', ')}`;
}

/** Each with its semicolon. */
export function allRemedies({ grants, remedies }: LostRights): readonly string[] {
  return [...grants.map((grant) => `${grant};`), ...remedies];
}

/** Of each table, in their order. What cannot be known counts as lost: nobody could say that it is not. */
export async function reviewRights({ logins, sourceSide, localAdmin }: SourceFlow, tables: readonly RightsTable[]): Promise<readonly ReviewedRights[]> {
  const reviews = tables.map((): { lost: LostRights[]; notes: RightsNote[] } => ({ lost: [], notes: [] }));
  for (const [users, login] of byLogins(logins)) {
    const rights = await sourceSide.readRights(login.source, tables.map(({ source }) => source)).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    // Who is not let in there has nothing to lose.
    if (rights === undefined) continue;
    if (rights instanceof Error) {
      for (const { lost } of reviews) lost.push(unknownRights(users, rights));
      continue;
    }
    for (const { asRole, tables: wanted } of rights) {
      for (const [at, table] of tables.entries()) {
        const each = wanted[at];
        const review = reviews[at];
        if (each === undefined || review === undefined || hasNoRights(each)) continue;
        const found = await localAdmin.use((local) => compareRights(local, users, login.local, asRole, table, each));
        review.lost.push(...found.lost);
        review.notes.push(...found.notes);
      }
    }
  }
  return reviews;
}

/** Whether every user may read on local what he may read on the source, and sees the same rows: else his reads would fail, or be wrong, before any cutover. */
export async function mayReadOnLocal(flow: SourceFlow, table: RightsTable): Promise<boolean> {
  return (await reviewRights(flow, [table])).every(({ lost }) => lost.every(({ hindersReads }) => !hindersReads));
}

/** What users have lost on a table whose reads are answered on local; undefined while that cannot be asked. */
export async function knownLosses(flow: SourceFlow, table: RightsTable): Promise<readonly LostRights[] | undefined> {
  const lost = (await reviewRights(flow, [table])).flatMap((review) => review.lost);
  return lost.some(({ isUnknown }) => isUnknown) ? undefined : lost;
}

/** Option `copy_grants`: each login on local gets what its user may do on the source, by whatever right he may. Returns what could not be. */
export async function grantLostRights(flow: SourceFlow, table: RightsTable): Promise<readonly string[]> {
  const skipped: string[] = [];
  for (const { users, left, grants } of (await reviewRights(flow, [table])).flatMap(({ lost }) => lost)) {
    if (left.length > 0) skipped.push(`${users}: ${left.join(', ')}`);
    for (const sql of grants) await flow.localAdmin.use((local) => local.query(sql)).catch((error: unknown) => skipped.push(`${sql}: ${error instanceof Error ? error.message : String(error)}`));
  }
  return skipped;
}

/** With `copy_grants` what a GRANT can give is given once the table is there; the cutover looks whether it was. */
export function afterCopyOfGrants({ lost, notes }: ReviewedRights): ReviewedRights {
  return { lost: lost.flatMap((each) => (each.left.length === 0 ? [] : [{ ...each, what: each.left, grants: [] }])), notes };
}

/** As CHECK and START tell it. */
export function rightsFindings(table: QualifiedName, lost: readonly LostRights[]): readonly Finding[] {
  return lost.map((each) => ({ code: 'user_privilege', severity: 'warning', subject: each.users, message: `may do less with ${table.schema}.${table.name} on local than on the source: ${each.what.join(', ')}; ${each.hindersReads ? 'its reads stay on the source, and ' : ''}CUTOVER waits for it`, remedy: allRemedies(each).join(' ') }));
}

/** CHECK has a line for each table; a note has one for all. */
const NAMED_TABLES = 3;

export interface NoteFinding extends Finding {
  /** For people: `orders, items and 4 more`. */
  readonly tables: string;
}

/** Once for each user and kind, however many tables it is about. */
export function noteFindings(tables: readonly QualifiedName[], reviews: readonly ReviewedRights[]): readonly NoteFinding[] {
  const about = new Map<string, { readonly note: RightsNote; readonly names: string[] }>();
  for (const [at, table] of tables.entries()) {
    for (const note of reviews[at]?.notes ?? []) {
      const key = JSON.stringify([note.users, note.kind]);
      const known = about.get(key) ?? { note, names: [] };
      about.set(key, known);
      known.names.push(displayName(table));
    }
  }
  return [...about.values()].map(({ note: { users, kind }, names }) => {
    const shown = `${names.slice(0, NAMED_TABLES).join(', ')}${names.length > NAMED_TABLES ? ` and ${names.length - NAMED_TABLES} more` : ''}`;
    return { ...noteTexts[kind](users, shown), subject: users, tables: shown };
  });
}

const noteTexts: Readonly<Record<RightsNote['kind'], (users: string, tables: string) => Pick<Finding, 'code' | 'severity' | 'message' | 'remedy'>>> = {
  ownership: (_, tables) => ({
    code: 'owner_rights', severity: 'info',
    message: `has the rights of the owner of ${tables} on the source and not on local: privileges can be carried, ALTER TABLE, CREATE INDEX, DROP, GRANT and TRUNCATE … RESTART IDENTITY cannot`,
    remedy: 'If it needs them: ALTER TABLE … OWNER TO … on local, after COMPLETE MIGRATION.',
  }),
  row_locks: (_, tables) => ({
    code: 'row_locks', severity: 'warning',
    message: `may lock rows of ${tables} on the source (FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE) and not on local, where that takes the privilege UPDATE`,
    remedy: 'If it does: GRANT UPDATE (column) ON … TO … on local, which lets it change that column too.',
  }),
};

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
  return { ...cannotGrant(users, `what may be done on the source is not known (${detail})`, `Let the login of ${users} in at the source, where CHECK MIGRATION asks as that user.`), isUnknown: true };
}

function cannotGrant(users: string, what: string, remedy: string): LostRights {
  return { users, what: [what], left: [what], grants: [], remedies: [remedy], hindersReads: true };
}

/** `asRole`: a role of the same name on local, which the login has to be let take there as well. */
async function compareRights(local: Parameters<typeof readLoginRights>[0], users: string, login: string, asRole: string | undefined, table: RightsTable, wanted: TableRights): Promise<ReviewedRights> {
  const [role, who] = asRole === undefined ? [login, users] : [asRole, `${users} as ${asRole}`];
  const has = await readLoginRights(local, role, table.target);
  const name = quoteIdent(role);
  if (has === undefined) return { lost: [cannotGrant(who, `local has no role ${role}`, asRole === undefined ? `CREATE ROLE ${name} LOGIN; then CHECK MIGRATION names what it needs.` : `CREATE ROLE ${name}; GRANT ${name} TO ${quoteIdent(login)}; then CHECK MIGRATION names what it needs.`)], notes: [] };
  const made = table.columns.map((column) => column.name);
  const { what, grants, beyond, hindersReads } = missingRights(role, table.target, made, wanted, has);
  const outside = asRole === undefined || (await maySetRole(local, login, role)) ? [] : [{ what: `SET ROLE ${role}`, remedy: `GRANT ${name} TO ${quoteIdent(login)};` }];
  const left = [...beyond, ...outside];
  const lost = { users: who, what: [...what, ...outside.map((each) => each.what)], left: left.map((each) => each.what), grants, remedies: left.map(({ remedy }) => remedy), hindersReads: hindersReads || outside.length > 0 };
  return {
    lost: lost.what.length === 0 ? [] : [lost],
    notes: [
      ...(wanted.owns && !has.owns ? [{ users: who, kind: 'ownership' } as const] : []),
      ...(losesRowLocks(made, wanted, has) ? [{ users: who, kind: 'row_locks' } as const] : []),
    ],
  };
}
