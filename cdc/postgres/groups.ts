/** Tables that have to move together (RULES 13), and why. */
import type { ClientBase } from 'pg';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { readJson } from './read-json.ts';
import { readWriteEdges } from './relations.ts';

export interface TableTie {
  readonly a: QualifiedName;
  readonly b: QualifiedName;
  readonly reason: 'foreign_key' | 'trigger' | 'rule' | 'inheritance' | 'sequence';
  /** Name of the constraint, trigger, rule or sequence. */
  readonly name: string;
}

export interface TableGroup {
  /** Roots only: partitions belong to their root. Sorted. */
  readonly tables: readonly QualifiedName[];
  readonly ties: readonly TableTie[];
}

/** Every group of two tables or more of the database; a table in none of them moves by itself. */
export async function tableGroups(client: ClientBase): Promise<TableGroup[]> {
  return groupTables(await readTies(client));
}

/** The group of one table; just itself when nothing ties it. */
export async function groupOf(client: ClientBase, table: QualifiedName): Promise<TableGroup> {
  const groups = await tableGroups(client);
  return groups.find((group) => group.tables.some((each) => each.schema === table.schema && each.name === table.name)) ?? { tables: [table], ties: [] };
}

async function readTies(client: ClientBase): Promise<TableTie[]> {
  const roots = await readRoots(client);
  const rootOf = (name: QualifiedName): QualifiedName => roots.get(relationKey(name.schema, name.name)) ?? name;
  const keys = await readJson<TableTie>(client, `
    SELECT json_build_object('schema', cn.nspname, 'name', c.relname) AS a, json_build_object('schema', pn.nspname, 'name', p.relname) AS b, 'foreign_key' AS reason, k.conname AS name
      FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
      JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
    UNION ALL
    SELECT x.a, y.a, 'sequence', x.sequence FROM (${sequenceUsers}) x JOIN (${sequenceUsers}) y ON x.oid = y.oid AND x.relation < y.relation`);
  const writes = (await readWriteEdges(client)).filter((edge) => edge.reason !== 'foreign_key').map((edge): TableTie => ({ a: edge.from, b: edge.to, reason: edge.reason, name: edge.detail }));
  const ties = [...keys, ...writes].map((tie) => ({ ...tie, a: rootOf(tie.a), b: rootOf(tie.b) }));
  return dedupe(ties.filter((tie) => tie.a.schema !== tie.b.schema || tie.a.name !== tie.b.name));
}

/** Tables whose defaults draw from a sequence, or that own it. */
const sequenceUsers = `
  SELECT s.oid, s.relname AS sequence, t.oid AS relation, json_build_object('schema', n.nspname, 'name', t.relname) AS a
    FROM (SELECT d.refobjid AS sequence, f.adrelid AS relation FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
          UNION SELECT d.objid, d.refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0) u
    JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace n ON n.oid = t.relnamespace`;

async function readRoots(client: ClientBase): Promise<Map<string, QualifiedName>> {
  const rows = await readJson<{ child: QualifiedName; root: QualifiedName }>(client, `
    WITH RECURSIVE up(oid, root, level) AS (
      SELECT h.inhrelid, h.inhparent, 1 FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition
      UNION ALL SELECT u.oid, h.inhparent, u.level + 1 FROM up u JOIN pg_inherits h ON h.inhrelid = u.root JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
    SELECT DISTINCT ON (u.oid) json_build_object('schema', cn.nspname, 'name', c.relname) AS child, json_build_object('schema', rn.nspname, 'name', r.relname) AS root
      FROM up u JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace cn ON cn.oid = c.relnamespace JOIN pg_class r ON r.oid = u.root JOIN pg_namespace rn ON rn.oid = r.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f') ORDER BY u.oid, u.level DESC`);
  return new Map(rows.map((row) => [relationKey(row.child.schema, row.child.name), row.root]));
}

function dedupe(ties: readonly TableTie[]): TableTie[] {
  const seen = new Map<string, TableTie>();
  for (const tie of ties) seen.set(`${relationKey(tie.a.schema, tie.a.name)} ${relationKey(tie.b.schema, tie.b.name)} ${tie.reason} ${tie.name}`, tie);
  return [...seen.values()];
}

/** Pure: the connected components of the ties, tables and ties in a stable order. */
export function groupTables(ties: readonly TableTie[]): TableGroup[] {
  const parent = new Map<string, string>();
  const names = new Map<string, QualifiedName>();
  const find = (key: string): string => {
    const up = parent.get(key) ?? key;
    if (up === key) return key;
    const root = find(up);
    parent.set(key, root);
    return root;
  };
  const keyOf = (name: QualifiedName): string => {
    const key = relationKey(name.schema, name.name);
    names.set(key, name);
    return key;
  };
  for (const tie of ties) {
    const [a, b] = [find(keyOf(tie.a)), find(keyOf(tie.b))];
    if (a !== b) parent.set(a, b);
  }
  const groups = new Map<string, { tables: QualifiedName[]; ties: TableTie[] }>();
  const groupAt = (name: QualifiedName): { tables: QualifiedName[]; ties: TableTie[] } => {
    const root = find(relationKey(name.schema, name.name));
    const group = groups.get(root) ?? { tables: [], ties: [] };
    groups.set(root, group);
    return group;
  };
  for (const key of [...names.keys()].sort()) {
    const name = names.get(key);
    if (name !== undefined) groupAt(name).tables.push(name);
  }
  for (const tie of ties) groupAt(tie.a).ties.push(tie);
  return [...groups.values()];
}
