/** What a role may do with a table, as its server judges it, and which GRANTs it lacks on local for what it may do on the source. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { addsRights, columnRights, hasNoRights, isColumnRight, tableRights } from '../user-rights.ts';
import type { ColumnRight, LoginTableRights, SequenceRight, TableRights, WholeRight } from '../user-rights.ts';
import { serverCapabilities } from './capabilities.ts';
import { grantSql } from './grants.ts';
import type { GrantedRight } from './grants.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import { readJson, readServerVersion } from './read-json.ts';

interface RoleSequence {
  readonly schema: string;
  readonly name: string;
  readonly column: string;
  readonly rights: readonly SequenceRight[];
}

export interface LoginRights {
  /** Undefined: the table is not there (yet), and `byDefault` is what its owner gives to tables that are made in its schema. */
  readonly columns: Readonly<Record<'all' | ColumnRight, readonly string[]>> | undefined;
  readonly usesSchema: boolean;
  readonly whole: readonly WholeRight[];
  /** What this version knows to give on a table. */
  readonly known: readonly string[];
  readonly sequences: readonly RoleSequence[];
  readonly byDefault: readonly string[];
  /** Has the owner's rights. */
  readonly owns: boolean;
  /** No row security applies, whoever owns the table. */
  readonly bypasses: boolean;
  /** Of the table, if it is on. */
  readonly rowSecurity: { readonly forced: boolean; readonly policies: readonly string[] } | null;
}

export interface MissingRights {
  /** For people: `INSERT, UPDATE (price), DELETE`. */
  readonly what: readonly string[];
  /** Statements, without a semicolon: what a GRANT can give. */
  readonly grants: readonly string[];
  /** Of `what`, the rest, with what to do. */
  readonly beyond: readonly { readonly what: string; readonly remedy: string }[];
  /** Statements that only read would fail, or miss rows. */
  readonly hindersReads: boolean;
}

/** Of a role on a server, for one table. Undefined: there is no such role. */
export async function readLoginRights(client: ClientBase, role: string, table: QualifiedName): Promise<LoginRights | undefined> {
  const list = (right?: ColumnRight): string => `(SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]'::json) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped${right === undefined ? '' : ` AND has_column_privilege(r.oid, c.oid, a.attnum, '${right}')`})`;
  const [found] = await readJson<Omit<LoginRights, 'columns'> & { readonly isThere: boolean; readonly columns: Record<'all' | ColumnRight, readonly string[]> }>(client, `
    SELECT c.oid IS NOT NULL AS "isThere", coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), pg_has_role(r.oid, o.oid, 'USAGE')) AS "usesSchema",
           json_build_object('all', ${list()}, ${columnRights.map((right) => `'${right}', ${list(right)}`).join(', ')}) AS columns,
           (SELECT coalesce(json_agg(x.privilege_type), '[]'::json) FROM aclexplode(acldefault('r', c.relowner)) x WHERE x.privilege_type NOT IN (${columnRights.map((right) => `'${right}'`).join(', ')}) AND has_table_privilege(r.oid, c.oid, x.privilege_type)) AS whole,
           (SELECT json_agg(x.privilege_type) FROM aclexplode(acldefault('r', o.oid)) x) AS known,
           (SELECT coalesce(json_agg(json_build_object('schema', sn.nspname, 'name', s.relname, 'column', q.attname, 'rights',
                     (SELECT coalesce(json_agg(x), '[]'::json) FROM unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) x WHERE has_sequence_privilege(r.oid, s.oid, x))) ORDER BY q.attname), '[]'::json)
              FROM (SELECT d.objid, a.attname FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')
                    UNION SELECT p.refobjid, a.attname FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                      JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = f.oid AND p.refclassid = 'pg_class'::regclass WHERE f.adrelid = c.oid) q(oid, attname)
              JOIN pg_class s ON s.oid = q.oid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace) AS sequences,
           CASE WHEN pg_has_role(r.oid, o.oid, 'USAGE') THEN (SELECT json_agg(x.privilege_type) FROM aclexplode(acldefault('r', o.oid)) x)
                ELSE (SELECT coalesce(json_agg(DISTINCT x.privilege_type), '[]'::json) FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) x
                       WHERE d.defaclrole = o.oid AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, n.oid) AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE'))) END AS "byDefault",
           pg_has_role(r.oid, coalesce(c.relowner, o.oid), 'USAGE') AS owns, r.rolsuper OR r.rolbypassrls AS bypasses,
           CASE WHEN c.relrowsecurity THEN json_build_object('forced', c.relforcerowsecurity, 'policies', (SELECT coalesce(json_agg(p.polname ORDER BY p.polname), '[]'::json) FROM pg_policy p WHERE p.polrelid = c.oid)) END AS "rowSecurity"
      FROM pg_roles r JOIN pg_roles o ON o.rolname = current_user LEFT JOIN pg_namespace n ON n.nspname = $2
      LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $3 WHERE r.rolname = $1`, [role, table.schema, table.name]);
  if (found === undefined) return undefined;
  const { isThere, columns, ...rest } = found;
  return { ...rest, columns: isThere ? columns : undefined };
}

/** Pure. `made`: the columns that the table will have, when it is not there yet. */
export function missingRights(role: string, table: QualifiedName, made: readonly string[], wanted: TableRights, has: LoginRights): MissingRights {
  if (hasNoRights(wanted)) return { what: [], grants: [], beyond: [], hindersReads: false };
  const columns = has.columns?.all ?? made;
  const what: string[] = [];
  const rights: GrantedRight[] = [];
  const grants: string[] = [];
  const give = (given: readonly GrantedRight[], on: string): void => void grants.push(grantSql({ grantee: role, rights: given, on, grantable: false }));
  const drawn = has.sequences.filter(({ column }) => wanted.columns.INSERT.has(column));
  for (const privilege of tableRights) {
    if (!isColumnRight(privilege)) {
      if (!wanted.whole.has(privilege) || !has.known.includes(privilege) || (has.columns === undefined ? has.byDefault : has.whole).includes(privilege)) continue;
      what.push(privilege);
      rights.push({ privilege });
      continue;
    }
    // The number that an INSERT has drawn is told to the client, which has to be read for that.
    const needed = columns.filter((column) => wanted.columns[privilege].has(column) || (privilege === 'SELECT' && wanted.readsNumbers && drawn.some((each) => each.column === column)));
    const lacking = needed.filter((column) => (has.columns === undefined ? !has.byDefault.includes(privilege) : !has.columns[privilege].includes(column)));
    if (lacking.length === 0) continue;
    const isWhole = needed.length === columns.length;
    what.push(isWhole && lacking.length === needed.length ? privilege : `${privilege} (${lacking.join(', ')})`);
    rights.push(isWhole ? { privilege } : { privilege, columns: lacking });
  }
  if (rights.length > 0) give(rights, quoteTable(table));
  for (const sequence of has.sequences) {
    const lacking = (wanted.sequences.get(sequence.column) ?? []).filter((right) => !sequence.rights.includes(right));
    if (lacking.length === 0) continue;
    what.push(`${lacking.join(', ')} of the sequence of ${sequence.column}`);
    give(lacking.map((privilege) => ({ privilege })), `SEQUENCE ${quoteTable(sequence)}`);
  }
  if (!has.usesSchema) {
    what.unshift(`USAGE of schema ${table.schema}`);
    grants.unshift(grantSql({ grantee: role, rights: [{ privilege: 'USAGE' }], on: `SCHEMA ${quoteIdent(table.schema)}`, grantable: false }));
  }
  const beyond = hiddenRows(role, table, wanted, has);
  const hindersReads = wanted.columns.SELECT.size > 0 && (!has.usesSchema || beyond.length > 0 || rights.some(({ privilege }) => privilege === 'SELECT'));
  return { what: [...what, ...beyond.map((each) => each.what)], grants, beyond, hindersReads };
}

/** An owner is not subject to the policies of its table, and on local it is not the owner: rows would be missing from its answers. */
function hiddenRows(role: string, table: QualifiedName, { unfiltered, policies }: TableRights, { bypasses, owns, rowSecurity }: LoginRights): MissingRights['beyond'] {
  if (bypasses) return [];
  if (unfiltered !== undefined) {
    if (owns && !unfiltered.forced) return [];
    return [{ what: 'rows that row security hides from it on local', remedy: `ALTER ROLE ${quoteIdent(role)} BYPASSRLS; on local, or make it the owner of ${quoteTable(table)} there.` }];
  }
  if (rowSecurity === null || (owns && !rowSecurity.forced)) return [];
  if (policies === undefined) return [{ what: 'rows that row security hides from it on local', remedy: `ALTER TABLE ${quoteTable(table)} DISABLE ROW LEVEL SECURITY; on local, for the source has none.` }];
  // One more decides otherwise about rows, whichever way.
  return rowSecurity.policies.filter((name) => !policies.has(name)).map((name) => ({ what: `rows by policy ${name}, which only local has`, remedy: `DROP POLICY ${quoteIdent(name)} ON ${quoteTable(table)}; on local.` }));
}

/** Pure. Who may change something of the table may lock its rows; local has to have a column of those. */
export function losesRowLocks(made: readonly string[], wanted: TableRights, has: LoginRights): boolean {
  if (!wanted.locksRows) return false;
  const isGiven = has.columns === undefined ? has.byDefault.includes('UPDATE') : has.columns.UPDATE.length > 0;
  return !isGiven && !(has.columns?.all ?? made).some((column) => wanted.columns.UPDATE.has(column));
}

/** Of a source: what a role may do there, so that local can be asked for the same. Undefined: there is no such role. */
export async function readRoleRights(client: ClientBase, role: string, tables: readonly QualifiedName[]): Promise<readonly LoginTableRights[] | undefined> {
  const own = await readAsWanted(client, role, tables);
  if (own === undefined) return undefined;
  const found: LoginTableRights[] = [{ asRole: undefined, tables: own }];
  for (const other of await rolesToSet(client, role)) {
    const rights = await readAsWanted(client, other, tables);
    if (rights?.some((each, at) => addsRights(own[at] ?? each, each)) === true) found.push({ asRole: other, tables: rights });
  }
  return found;
}

async function readAsWanted(client: ClientBase, role: string, tables: readonly QualifiedName[]): Promise<readonly TableRights[] | undefined> {
  const found: TableRights[] = [];
  for (const table of tables) {
    const rights = await readLoginRights(client, role, table);
    if (rights === undefined) return undefined;
    found.push(asWanted(rights));
  }
  return found;
}

/** Without its schema a right on a table is none. */
function asWanted({ columns, usesSchema, whole, known, sequences, owns, bypasses, rowSecurity }: LoginRights): TableRights {
  const of = (right: ColumnRight): ReadonlySet<string> => new Set(usesSchema ? columns?.[right] : []);
  const rights = { SELECT: of('SELECT'), INSERT: of('INSERT'), UPDATE: of('UPDATE'), REFERENCES: of('REFERENCES') };
  const drawn = new Map<string, readonly SequenceRight[]>();
  if (usesSchema) for (const each of sequences) if (each.rights.length > 0) drawn.set(each.column, each.rights.filter((right) => drawn.get(each.column)?.includes(right) !== false));
  const isSubject = rowSecurity !== null && !bypasses && (!owns || rowSecurity.forced);
  return {
    columns: rights,
    // What a version that has no MAINTAIN leaves to the owner.
    whole: new Set(!usesSchema ? [] : owns && !known.includes('MAINTAIN') ? [...whole, 'MAINTAIN' as const] : whole),
    sequences: drawn, readsNumbers: false,
    locksRows: rights.SELECT.size > 0 && rights.UPDATE.size > 0,
    owns, unfiltered: rowSecurity === null || isSubject ? undefined : rowSecurity, policies: rowSecurity !== null && isSubject ? new Set(rowSecurity.policies) : undefined,
  };
}

/** Roles whose rights are not the role's own until it takes them. */
async function rolesToSet(client: ClientBase, role: string): Promise<readonly string[]> {
  const rows = await readJson<{ name: string }>(client, `
    SELECT x.rolname AS name FROM pg_roles r JOIN pg_roles x ON x.oid <> r.oid WHERE r.rolname = $1 AND pg_has_role(r.oid, x.oid, '${await membership(client)}') AND NOT pg_has_role(r.oid, x.oid, 'USAGE') ORDER BY 1`, [role]);
  return rows.map(({ name }) => name);
}

export async function maySetRole(client: ClientBase, role: string, other: string): Promise<boolean> {
  const rows = await readJson<{ ok: boolean }>(client, `SELECT pg_has_role(r.oid, x.oid, '${await membership(client)}') AS ok FROM pg_roles r CROSS JOIN pg_roles x WHERE r.rolname = $1 AND x.rolname = $2`, [role, other]);
  return rows[0]?.ok === true;
}

async function membership(client: ClientBase): Promise<'SET' | 'MEMBER'> {
  return serverCapabilities(await readServerVersion(client)).membershipOptions ? 'SET' : 'MEMBER';
}
