/** Triggers, rules and row-security policies: what happens on local when a client touches a migrated table. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { isRenamed, nameOnLocal, relSql, tablesOf } from './dependants.ts';
import type { Dependant, DependantContext } from './dependants.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';

interface Split {
  readonly onTables: readonly Dependant[];
  readonly onViews: readonly Dependant[];
}

interface OwnRow {
  readonly tables: readonly number[];
  readonly relation: QualifiedName;
  readonly relkind: string;
  readonly name: string;
}

/** Columns of an `OwnRow`; the query groups by `rel.oid`. */
const ownSql = (name: string): string => `json_agg(DISTINCT rel.i) AS tables, json_build_object('schema', n.nspname, 'name', c.relname) AS relation, c.relkind, ${name} AS name`;
const ownJoin = 'JOIN pg_class c ON c.oid = rel.oid JOIN pg_namespace n ON n.oid = c.relnamespace';

function own(context: DependantContext, row: OwnRow): { readonly local: QualifiedName; readonly isView: boolean; readonly tables: QualifiedName[]; readonly isRenamed: boolean } {
  const isView = row.relkind === 'v' || row.relkind === 'm';
  const [first = 0] = row.tables;
  const table = context.tables[first - 1];
  return { local: isView ? row.relation : nameOnLocal(context, first, row.relation), isView, tables: tablesOf(context, row.tables), isRenamed: !isView && table !== undefined && isRenamed(table) };
}

function split(context: DependantContext, rows: readonly OwnRow[], dependants: readonly Dependant[]): Split {
  const isView = rows.map((row) => own(context, row).isView);
  return { onTables: dependants.filter((_, index) => isView[index] !== true), onViews: dependants.filter((_, index) => isView[index] === true) };
}

/** Spelled alike by all versions. */
const triggerText = "replace(pg_get_triggerdef(t.oid), 'EXECUTE PROCEDURE', 'EXECUTE FUNCTION')";

export async function readTriggerDependants(client: ClientBase, context: DependantContext): Promise<Split> {
  const rows = await readJson<OwnRow & { enabled: string; definition: string; on: string }>(client, `WITH RECURSIVE ${relSql}
    SELECT ${ownSql('t.tgname')}, t.tgenabled AS enabled, ${triggerText} AS definition, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS on
      FROM rel ${ownJoin} JOIN pg_trigger t ON t.tgrelid = rel.oid JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
     WHERE NOT t.tgisinternal AND coalesce(to_json(t)->>'tgparentid', '0') = '0' AND pn.nspname <> 'causeway' GROUP BY n.nspname, c.relname, c.relkind, t.oid, t.tgname, t.tgenabled ORDER BY n.nspname, c.relname, t.tgname`, [context.names]);
  const dependants = rows.map((row): Dependant => {
    const { local, tables } = own(context, row);
    const table = quoteTable(local);
    // For clients, ALWAYS is as ordinary and REPLICA as disabled; as they are, both would fire for changes that are applied.
    const isOn = row.enabled === 'O' || row.enabled === 'A';
    const definition = row.definition.replace(` ON ${row.on} `, () => ` ON ${table} `);
    return {
      kind: 'trigger', name: `${row.name} on ${row.relation.schema}.${row.relation.name}`, relation: undefined, phase: 'after', tables, under: [], refused: undefined,
      exact: {
        // The table's name may need no quotes; it is the same table, so it is left out.
        sql: `SELECT replace(${triggerText}, ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' ', ' ON ') || CASE WHEN t.tgenabled IN ('O', 'A') THEN ' enabled' ELSE ' disabled' END
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.tgrelid = to_regclass(${quoteLiteral(table)}) AND t.tgname = ${quoteLiteral(row.name)}`,
        expected: `${row.definition.replace(` ON ${row.on} `, ' ON ')}${isOn ? ' enabled' : ' disabled'}`,
      },
      loose: undefined,
      create: [definition, ...(isOn ? [] : [`ALTER TABLE ${table} DISABLE TRIGGER ${quoteIdent(row.name)}`])], extras: [], drop: undefined,
    };
  });
  return split(context, rows, dependants);
}

export async function readRuleDependants(client: ClientBase, context: DependantContext): Promise<Split> {
  const rows = await readJson<OwnRow & { event: string; enabled: string; definition: string; under: QualifiedName[] }>(client, `WITH RECURSIVE ${relSql}
    SELECT ${ownSql('w.rulename')}, w.ev_type AS event, w.ev_enabled AS enabled, pg_get_ruledef(w.oid) AS definition,
           (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('schema', bn.nspname, 'name', b.relname)), '[]'::json) FROM pg_depend d JOIN pg_class b ON b.oid = d.refobjid AND b.relkind IN ('r', 'p', 'f')
              JOIN pg_namespace bn ON bn.oid = b.relnamespace WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class) AS under
      FROM rel ${ownJoin} JOIN pg_rewrite w ON w.ev_class = rel.oid AND w.rulename <> '_RETURN' GROUP BY n.nspname, c.relname, c.relkind, w.oid, w.rulename, w.ev_type, w.ev_enabled, w.ev_class ORDER BY n.nspname, c.relname, w.rulename`, [context.names]);
  const dependants = rows.map((row): Dependant => {
    const { local, tables, isView, isRenamed: renamed } = own(context, row);
    const table = quoteTable(local);
    const isOn = row.enabled === 'O' || row.enabled === 'A';
    const refused = renamed ? 'the table has another name on local'
      : !isView && row.event === '2' ? 'PostgreSQL refuses upserts, which the change stream writes, on a table with an ON UPDATE rule; make it a trigger' : undefined;
    const where = `FROM pg_rewrite w WHERE w.ev_class = to_regclass(${quoteLiteral(table)}) AND w.rulename = ${quoteLiteral(row.name)}`;
    return {
      kind: 'rule', name: `${row.name} on ${row.relation.schema}.${row.relation.name}`, relation: undefined, phase: 'after', tables, under: row.under, refused,
      exact: { sql: `SELECT pg_get_ruledef(w.oid) || CASE WHEN w.ev_enabled IN ('O', 'A') THEN ' enabled' ELSE ' disabled' END ${where}`, expected: `${row.definition}${isOn ? ' enabled' : ' disabled'}` },
      loose: { sql: `SELECT w.ev_type::text ${where}`, expected: row.event },
      create: [row.definition, ...(isOn ? [] : [`ALTER TABLE ${table} DISABLE RULE ${quoteIdent(row.name)}`])], extras: [],
      drop: `DROP RULE IF EXISTS ${quoteIdent(row.name)} ON ${table}`,
    };
  });
  return split(context, rows, dependants);
}

interface PolicyRow extends OwnRow {
  readonly command: string;
  readonly permissive: boolean;
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
  readonly text: string;
  readonly head: string;
  readonly under: readonly QualifiedName[];
}

const policyHead = `concat_ws(' ', p.polpermissive, p.polcmd, (SELECT string_agg(coalesce(a.rolname, 'public'), ',' ORDER BY coalesce(a.rolname, 'public')) FROM unnest(p.polroles) r(oid) LEFT JOIN pg_roles a ON a.oid = r.oid))`;
const policyText = `concat_ws(' ', ${policyHead}, 'USING', pg_get_expr(p.polqual, p.polrelid), 'CHECK', pg_get_expr(p.polwithcheck, p.polrelid))`;

/** Policies first, so that security is never on without them; both before anything reads the table on local. */
export async function readPolicyDependants(client: ClientBase, context: DependantContext): Promise<Dependant[]> {
  const rows = await readJson<PolicyRow>(client, `WITH RECURSIVE ${relSql}
    SELECT ${ownSql('p.polname')}, CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command, p.polpermissive AS permissive,
           (SELECT json_agg(coalesce(a.rolname, 'public') ORDER BY 1) FROM unnest(p.polroles) r(oid) LEFT JOIN pg_roles a ON a.oid = r.oid) AS roles,
           pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check, ${policyText} AS text, ${policyHead} AS head,
           (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('schema', bn.nspname, 'name', b.relname)), '[]'::json) FROM pg_depend d JOIN pg_class b ON b.oid = d.refobjid AND b.relkind IN ('r', 'p', 'f')
              JOIN pg_namespace bn ON bn.oid = b.relnamespace WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.polrelid) AS under
      FROM rel ${ownJoin} JOIN pg_policy p ON p.polrelid = rel.oid GROUP BY n.nspname, c.relname, c.relkind, p.oid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck, p.polrelid ORDER BY n.nspname, c.relname, p.polname`, [context.names]);
  return [...rows.map((row) => policyDependant(context, row)), ...(await readRowSecurity(client, context))];
}

function policyDependant(context: DependantContext, row: PolicyRow): Dependant {
  const { local, tables } = own(context, row);
  const where = `FROM pg_policy p WHERE p.polrelid = to_regclass(${quoteLiteral(quoteTable(local))}) AND p.polname = ${quoteLiteral(row.name)}`;
  const roles = row.roles.map((role) => (role === 'public' ? 'PUBLIC' : quoteIdent(role))).join(', ');
  return {
    kind: 'policy', name: `${row.name} on ${row.relation.schema}.${row.relation.name}`, relation: undefined, phase: 'after', tables, under: row.under, refused: undefined,
    exact: { sql: `SELECT ${policyText} ${where}`, expected: row.text },
    loose: { sql: `SELECT ${policyHead} ${where}`, expected: row.head },
    create: [`CREATE POLICY ${quoteIdent(row.name)} ON ${quoteTable(local)} AS ${row.permissive ? 'PERMISSIVE' : 'RESTRICTIVE'} FOR ${row.command} TO ${roles}${row.using === null ? '' : ` USING (${row.using})`}${row.check === null ? '' : ` WITH CHECK (${row.check})`}`],
    extras: [], drop: `DROP POLICY IF EXISTS ${quoteIdent(row.name)} ON ${quoteTable(local)}`,
  };
}

async function readRowSecurity(client: ClientBase, context: DependantContext): Promise<Dependant[]> {
  const rows = await readJson<OwnRow & { forced: boolean }>(client, `WITH RECURSIVE ${relSql}
    SELECT ${ownSql('c.relname')}, c.relforcerowsecurity AS forced FROM rel ${ownJoin} WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity GROUP BY n.nspname, c.relname, c.relkind, c.relforcerowsecurity ORDER BY n.nspname, c.relname`, [context.names]);
  return rows.map((row): Dependant => {
    const { local, tables } = own(context, row);
    const table = quoteTable(local);
    return {
      kind: 'row security', name: `row security of ${row.relation.schema}.${row.relation.name}`, relation: undefined, phase: 'after', tables, under: [], refused: undefined,
      exact: { sql: `SELECT 'on' FROM pg_class WHERE oid = to_regclass(${quoteLiteral(table)}) AND relrowsecurity AND relforcerowsecurity = ${row.forced}`, expected: 'on' },
      loose: undefined, create: [`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`, `ALTER TABLE ${table} ${row.forced ? '' : 'NO '}FORCE ROW LEVEL SECURITY`], extras: [], drop: undefined,
    };
  });
}
