/** What the router has to know of the source beyond the tables themselves (catalog/routing-snapshot.ts). */
import type { ClientBase } from 'pg';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { QualifiedName, RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import { quoteTable } from './quote.ts';
import { readFunctionTouches } from './function-touches.ts';
import { functionMentionsSql } from './read-behaviour.ts';
import { readJson } from './read-json.ts';

export interface RoutingRelations extends Pick<RoutingSnapshot, 'views' | 'sequences' | 'writeClosure' | 'shadows' | 'functions'> {
  readonly storedViews: readonly string[];
  /** Partitions of every level: key → key of the migrated root; they take the root's route. */
  readonly partitions: Readonly<Record<string, string>>;
}

/** A write to `from` may reach `to`. */
export interface WriteEdge {
  readonly from: QualifiedName;
  readonly to: QualifiedName;
  readonly reason: 'foreign_key' | 'trigger' | 'rule' | 'inheritance';
  readonly detail: string;
}

const key = (name: QualifiedName): string => relationKey(name.schema, name.name);

/** `tables`: names on the source of every migrated table; `others`: further names that must not hide a relation of the source. One consistent reading needs a REPEATABLE READ transaction of the caller's. */
export async function routingRelations(client: ClientBase, tables: readonly QualifiedName[], others: readonly QualifiedName[] = []): Promise<RoutingRelations> {
  if (tables.length === 0) return { views: {}, sequences: {}, writeClosure: {}, shadows: [], storedViews: [], functions: {}, partitions: {} };
  const names = tables.map(quoteTable);
  const roots = new Set(tables.map(key));
  const partitions = await readPartitionRoots(client, names);
  const migrated = new Set([...roots, ...Object.keys(partitions)]);
  const { views, storedViews } = await readViewBases(client, migrated);
  return {
    views, storedViews,
    sequences: await readOwnedSequences(client, names),
    writeClosure: closeWrites(await readWriteEdges(client), (each) => partitions[each] ?? each, roots),
    shadows: await readShadows(client, [...tables, ...others], migrated),
    functions: await readFunctionTouches(client),
    partitions,
  };
}

async function readPartitionRoots(client: ClientBase, names: readonly string[]): Promise<Record<string, string>> {
  const rows = await readJson<{ child: QualifiedName; root: QualifiedName }>(client, `
    WITH RECURSIVE tree(root, oid) AS (
      SELECT to_regclass(x)::oid, to_regclass(x)::oid FROM unnest($1::text[]) x WHERE to_regclass(x) IS NOT NULL
      UNION SELECT t.root, h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
    SELECT ${nameSql('cn', 'c')} AS child, ${nameSql('rn', 'r')} AS root FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace cn ON cn.oid = c.relnamespace
      JOIN pg_class r ON r.oid = t.root JOIN pg_namespace rn ON rn.oid = r.relnamespace WHERE t.root <> t.oid`, [names]);
  return Object.fromEntries(rows.map((row) => [key(row.child), key(row.root)]));
}

function nameSql(namespace: string, relation: string): string {
  return `json_build_object('schema', ${namespace}.nspname, 'name', ${relation}.relname)`;
}

/** Views of views are followed to the tables. */
async function readViewBases(client: ClientBase, migrated: ReadonlySet<string>): Promise<Pick<RoutingRelations, 'views' | 'storedViews'>> {
  const rows = await readJson<{ view: QualifiedName; bases: QualifiedName[]; isStored: boolean }>(client, `
    WITH RECURSIVE uses(view, base) AS (
      SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm') WHERE d.refobjid <> r.ev_class AND r.rulename = '_RETURN'),
    reach(view, base) AS (SELECT view, base FROM uses UNION SELECT r.view, u.base FROM reach r JOIN uses u ON u.view = r.base)
    SELECT ${nameSql('vn', 'v')} AS view, json_agg(${nameSql('bn', 'b')} ORDER BY bn.nspname, b.relname) AS bases,
           v.relkind = 'm' OR EXISTS (SELECT 1 FROM reach o JOIN pg_class m ON m.oid = o.base AND m.relkind = 'm' WHERE o.view = v.oid) AS "isStored"
      FROM reach JOIN pg_class v ON v.oid = reach.view JOIN pg_namespace vn ON vn.oid = v.relnamespace
      JOIN pg_class b ON b.oid = reach.base AND b.relkind IN ('r', 'p', 'f') JOIN pg_namespace bn ON bn.oid = b.relnamespace
     WHERE vn.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY vn.nspname, v.relname, v.oid, v.relkind`);
  const views: Record<string, string[]> = {};
  const storedViews: string[] = [];
  for (const row of rows) {
    // The others of its tables count too: a view over both sides can be answered by neither once one has moved.
    const bases = row.bases.map(key);
    if (!bases.some((base) => migrated.has(base))) continue;
    views[key(row.view)] = bases;
    if (row.isStored) storedViews.push(key(row.view));
  }
  return { views, storedViews };
}

async function readOwnedSequences(client: ClientBase, names: readonly string[]): Promise<Record<string, string>> {
  const rows = await readJson<{ sequence: QualifiedName; owner: QualifiedName }>(client, `
    SELECT ${nameSql('sn', 's')} AS sequence, ${nameSql('tn', 't')} AS owner FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
      JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
       AND d.refobjid IN (SELECT to_regclass(x)::oid FROM unnest($1::text[]) x)
    UNION ALL
    SELECT ${nameSql('sn', 's')}, ${nameSql('tn', 't')} FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
      JOIN pg_class t ON t.oid = f.adrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     WHERE f.adrelid IN (SELECT to_regclass(x)::oid FROM unnest($1::text[]) x)
       AND NOT EXISTS (SELECT 1 FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = s.oid AND o.refclassid = 'pg_class'::regclass AND o.deptype IN ('a', 'i'))`, [names]);
  // A sequence shared by two migrated tables goes with the first: they are one group and move together (RULES 13).
  const sequences: Record<string, string> = {};
  for (const row of rows) sequences[key(row.sequence)] ??= key(row.owner);
  return sequences;
}

async function readShadows(client: ClientBase, tables: readonly QualifiedName[], migrated: ReadonlySet<string>): Promise<string[]> {
  const rows = await readJson<QualifiedName>(client, `
    SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relname = ANY ($1::text[]) AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2`, [[...new Set(tables.map((table) => table.name))]]);
  return rows.map(key).filter((each) => !migrated.has(each));
}

/** Every way in which a write to one table of the database reaches another. Foreign keys count by their actions only. */
export function readWriteEdges(client: ClientBase): Promise<WriteEdge[]> {
  return readJson<WriteEdge>(client, `
    SELECT ${nameSql('pn', 'p')} AS from, ${nameSql('cn', 'c')} AS to, 'foreign_key' AS reason, k.conname AS detail
      FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
      JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
     WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
    UNION ALL
    SELECT ${nameSql('n', 'c')}, json_build_object('schema', m.schema, 'name', m.name), 'trigger', t.tgname
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN (${functionMentionsSql}) m ON m.function_oid = t.tgfoid AND m.table_oid <> t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND n.nspname <> 'causeway'
    UNION ALL
    SELECT DISTINCT ON (n.nspname, c.relname, rn.nspname, r.relname) ${nameSql('n', 'c')}, ${nameSql('rn', 'r')}, 'rule', w.rulename::text
      FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
      JOIN pg_class r ON r.oid = d.refobjid AND r.relkind IN ('r', 'p') JOIN pg_namespace rn ON rn.oid = r.relnamespace
     WHERE w.rulename <> '_RETURN' AND w.ev_enabled <> 'D' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    UNION ALL
    SELECT ${nameSql('pn', 'p')}, ${nameSql('cn', 'c')}, 'inheritance', c.relname::text
      FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent AND p.relkind IN ('r', 'p') JOIN pg_namespace pn ON pn.oid = p.relnamespace
      JOIN pg_class c ON c.oid = h.inhrelid AND c.relkind IN ('r', 'p', 'f') JOIN pg_namespace cn ON cn.oid = c.relnamespace`);
}

/** Pure: which migrated roots a write to each table reaches, over any number of steps. A table does not list itself. */
export function closeWrites(edges: readonly WriteEdge[], rootOf: (key: string) => string, migrated: ReadonlySet<string>): Record<string, string[]> {
  const next = new Map<string, Set<string>>();
  for (const edge of edges) {
    const from = rootOf(key(edge.from));
    const to = rootOf(key(edge.to));
    if (from !== to) next.set(from, (next.get(from) ?? new Set()).add(to));
  }
  const closure: Record<string, string[]> = {};
  for (const start of next.keys()) {
    const reached = new Set<string>();
    const queue = [start];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      for (const to of next.get(at) ?? []) {
        if (reached.has(to)) continue;
        reached.add(to);
        queue.push(to);
      }
    }
    reached.delete(start);
    const tables = [...reached].filter((each) => migrated.has(each)).sort();
    if (tables.length > 0) closure[start] = tables;
  }
  return closure;
}
