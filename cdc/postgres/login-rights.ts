/** What a role may do with a table of local, and which GRANTs it lacks for what it may do on the source. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { SequenceRight, TableRights } from '../user-rights.ts';
import { columnRights } from '../user-rights.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';

interface RoleSequence {
  readonly schema: string;
  readonly name: string;
  readonly column: string;
  readonly rights: readonly SequenceRight[];
}

export interface LoginRights {
  /** Undefined: the table is not there (yet), and these are what its owner gives to tables that are made in its schema. */
  readonly columns: Readonly<Record<'all' | (typeof columnRights)[number], readonly string[]>> | undefined;
  readonly usesSchema: boolean;
  readonly delete: boolean;
  readonly sequences: readonly RoleSequence[];
  /** Of a table that is made later. */
  readonly byDefault: readonly string[];
}

export interface MissingRights {
  /** For people: `INSERT, UPDATE (price), DELETE`. */
  readonly what: readonly string[];
  /** Statements, without a semicolon. */
  readonly grants: readonly string[];
}

/** Undefined: there is no such role. */
export async function readLoginRights(client: ClientBase, role: string, table: QualifiedName): Promise<LoginRights | undefined> {
  const list = (right?: string): string => `(SELECT coalesce(json_agg(a.attname), '[]'::json) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped${right === undefined ? '' : ` AND has_column_privilege(r.oid, c.oid, a.attnum, '${right}')`})`;
  const [found] = await readJson<LoginRights & { readonly isThere: boolean; readonly all: string[]; readonly select: string[]; readonly insert: string[]; readonly update: string[] }>(client, `
    SELECT c.oid IS NOT NULL AS "isThere", coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), pg_has_role(r.oid, o.oid, 'USAGE')) AS "usesSchema",
           ${list()} AS "all", ${list('SELECT')} AS select, ${list('INSERT')} AS insert, ${list('UPDATE')} AS update, coalesce(has_table_privilege(r.oid, c.oid, 'DELETE'), false) AS delete,
           (SELECT coalesce(json_agg(json_build_object('schema', sn.nspname, 'name', s.relname, 'column', a.attname, 'rights',
                     (SELECT coalesce(json_agg(x), '[]'::json) FROM unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) x WHERE has_sequence_privilege(r.oid, s.oid, x)))), '[]'::json)
              FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
              JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')) AS sequences,
           CASE WHEN pg_has_role(r.oid, o.oid, 'USAGE') THEN '["SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"]'::json
                ELSE (SELECT coalesce(json_agg(DISTINCT x.privilege_type), '[]'::json) FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) x
                       WHERE d.defaclrole = o.oid AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, n.oid) AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE'))) END AS "byDefault"
      FROM pg_roles r JOIN pg_roles o ON o.rolname = current_user LEFT JOIN pg_namespace n ON n.nspname = $2
      LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $3 WHERE r.rolname = $1`, [role, table.schema, table.name]);
  if (found === undefined) return undefined;
  const { isThere, all, select, insert, update, ...rest } = found;
  return { ...rest, columns: isThere ? { all, select, insert, update } : undefined };
}

/** Pure. `made`: the columns that the table will have, when it is not there yet. */
export function missingRights(role: string, table: QualifiedName, made: readonly string[], wanted: TableRights, has: LoginRights): MissingRights {
  const columns = has.columns?.all ?? made;
  const what: string[] = [];
  const grants: string[] = [];
  const to = quoteIdent(role);
  const grant = (right: string, on: string): void => void grants.push(`GRANT ${right} ON ${on} TO ${to}`);
  const drawn = has.sequences.filter(({ column }) => wanted.insert.has(column));
  for (const right of columnRights) {
    const name = right.toUpperCase();
    // The number that an INSERT has drawn is told to the client, which has to be read for that.
    const needed = columns.filter((column) => wanted[right].has(column) || (right === 'select' && wanted.readsNumbers && drawn.some((each) => each.column === column)));
    const lacking = needed.filter((column) => (has.columns === undefined ? !has.byDefault.includes(name) : !has.columns[right].includes(column)));
    if (lacking.length === 0) continue;
    const isWhole = needed.length === columns.length;
    what.push(isWhole && lacking.length === needed.length ? name : `${name} (${lacking.join(', ')})`);
    grant(isWhole ? name : `${name} (${lacking.map(quoteIdent).join(', ')})`, quoteTable(table));
  }
  if (wanted.delete && !(has.columns === undefined ? has.byDefault.includes('DELETE') : has.delete)) {
    what.push('DELETE');
    grant('DELETE', quoteTable(table));
  }
  const sequences = drawn.filter(({ rights }) => wanted.sequences.some((right) => !rights.includes(right)));
  for (const { schema, name, column, rights } of sequences) {
    const lacking = wanted.sequences.filter((right) => !rights.includes(right));
    what.push(`${lacking.join(', ')} of the sequence of ${column}`);
    grant(lacking.join(', '), `SEQUENCE ${quoteTable({ schema, name })}`);
  }
  const needsSchema = wanted.delete || columnRights.some((right) => columns.some((column) => wanted[right].has(column)));
  if (needsSchema && !has.usesSchema) {
    what.unshift(`USAGE of schema ${table.schema}`);
    grants.unshift(`GRANT USAGE ON SCHEMA ${quoteIdent(table.schema)} TO ${to}`);
  }
  return { what, grants };
}

/** Of a source: what a role may do there, so that local can be asked for the same. Undefined: there is no such role. */
export async function readRoleRights(client: ClientBase, role: string, tables: readonly QualifiedName[]): Promise<readonly TableRights[] | undefined> {
  const found: TableRights[] = [];
  for (const table of tables) {
    const rights = await readLoginRights(client, role, table);
    if (rights === undefined) return undefined;
    found.push(asWanted(rights));
  }
  return found;
}

/** Without its schema a right on a table is none. */
function asWanted({ columns, usesSchema, delete: mayDelete, sequences }: LoginRights): TableRights {
  const set = (right: (typeof columnRights)[number]): ReadonlySet<string> => new Set(usesSchema ? columns?.[right] : []);
  const shared = (['USAGE', 'SELECT', 'UPDATE'] as const).filter((right) => sequences.length > 0 && sequences.every(({ rights }) => rights.includes(right)));
  return { select: set('select'), insert: set('insert'), update: set('update'), delete: usesSchema && mayDelete, sequences: shared, readsNumbers: false };
}
