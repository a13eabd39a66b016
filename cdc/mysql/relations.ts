/** What the router and the groups have to know of a MySQL source beyond the tables themselves (catalog/routing-snapshot.ts). */
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { FunctionTouches, QualifiedName } from '../../catalog/routing-snapshot.ts';
import { closeTouches } from '../postgres/function-touches.ts';
import type { FunctionBody } from '../postgres/function-touches.ts';
import { groupTables } from '../postgres/groups.ts';
import type { TableGroup, TableTie } from '../postgres/groups.ts';
import { closeWrites } from '../postgres/relations.ts';
import type { RoutingRelations, WriteEdge } from '../postgres/relations.ts';
import { fenceTriggerPrefix } from './fence.ts';
import { mysqlLiteral, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';

const systemSchemas = ['mysql', 'information_schema', 'performance_schema', 'sys', 'causeway'];

/** Condition on a column that names a schema: it is the user's. */
function isOwn(column: string): string {
  return `${column} NOT IN (${systemSchemas.map((name) => `'${name}'`).join(', ')})`;
}

export async function listMysqlTables(query: MysqlQuery, schema: string | undefined): Promise<readonly QualifiedName[]> {
  const rows = await query(`SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ${isOwn('TABLE_SCHEMA')}${schema === undefined ? '' : ` AND TABLE_SCHEMA = ${mysqlLiteral(schema)}`} ORDER BY 1, 2`);
  return rows.map((row) => ({ schema: row['s'] ?? '', name: row['t'] ?? '' }));
}

/** Those of the names that a table or a view has. */
export async function takenMysqlNames(query: MysqlQuery, names: readonly QualifiedName[]): Promise<readonly QualifiedName[]> {
  if (names.length === 0) return [];
  const rows = await query(`SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE ${names.map((name) => `(TABLE_SCHEMA = ${mysqlLiteral(name.schema)} AND TABLE_NAME = ${mysqlLiteral(name.name)})`).join(' OR ')}`);
  return names.filter((name) => rows.some((row) => row['s'] === name.schema && row['t'] === name.name));
}

interface NamedKey {
  readonly name: string;
  readonly child: QualifiedName;
  readonly parent: QualifiedName;
  readonly writes: boolean;
}

async function readKeys(query: MysqlQuery): Promise<readonly NamedKey[]> {
  const rows = await query(`
    SELECT DISTINCT k.CONSTRAINT_NAME AS name, k.TABLE_SCHEMA AS childSchema, k.TABLE_NAME AS childTable, k.REFERENCED_TABLE_SCHEMA AS parentSchema, k.REFERENCED_TABLE_NAME AS parentTable,
           r.UPDATE_RULE AS onUpdate, r.DELETE_RULE AS onDelete
      FROM information_schema.KEY_COLUMN_USAGE k
      JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
     WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND ${isOwn('k.TABLE_SCHEMA')} ORDER BY 2, 3, 1`);
  const acts = (rule: string | null | undefined): boolean => ['CASCADE', 'SET NULL', 'SET DEFAULT'].includes(rule?.toUpperCase() ?? '');
  return rows.map((row) => ({
    name: row['name'] ?? '', child: { schema: row['childSchema'] ?? '', name: row['childTable'] ?? '' }, parent: { schema: row['parentSchema'] ?? '', name: row['parentTable'] ?? '' },
    writes: acts(row['onUpdate']) || acts(row['onDelete']),
  }));
}

/** A trigger is taken for a function that nobody calls: what it touches is what its body and all that it calls do. */
interface TriggerBody extends FunctionBody {
  readonly table: QualifiedName;
}

interface Behaviour {
  readonly functions: Readonly<Record<string, FunctionTouches>>;
  readonly triggers: readonly WriteEdge[];
}

/** By the words in the bodies, as for functions of PostgreSQL. */
async function readBehaviour(query: MysqlQuery): Promise<Behaviour> {
  const mentioned = mentions(await listMysqlTables(query, undefined));
  const routines = (await query(`SELECT ROUTINE_SCHEMA AS s, ROUTINE_NAME AS name, ROUTINE_DEFINITION AS body FROM information_schema.ROUTINES WHERE ${isOwn('ROUTINE_SCHEMA')} ORDER BY 1, 2`)).map((row): FunctionBody => {
    const body = (row['body'] ?? '').toLowerCase().replaceAll('`', '"');
    // Without its body, which takes a privilege, nothing is known of it.
    return { schema: row['s'] ?? '', name: row['name'] ?? '', body, isOpaque: row['body'] == null || /(?<![\w$])prepare(?![\w$])/.test(body), tables: mentioned(body, row['s'] ?? '') };
  });
  const triggers = (await query(`SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS t, ACTION_STATEMENT AS body FROM information_schema.TRIGGERS
    WHERE ${isOwn('TRIGGER_SCHEMA')} AND LEFT(TRIGGER_NAME, ${fenceTriggerPrefix.length}) <> '${fenceTriggerPrefix}' ORDER BY 1, 2`)).map((row): TriggerBody => {
    const body = (row['body'] ?? '').toLowerCase().replaceAll('`', '"');
    return { schema: row['s'] ?? '', name: row['name'] ?? '', body, isOpaque: false, tables: mentioned(body, row['s'] ?? ''), table: { schema: row['s'] ?? '', name: row['t'] ?? '' } };
  });
  const names = new Map((await listMysqlTables(query, undefined)).map((table) => [keyOf(table), table]));
  const edges = triggers.flatMap((trigger): WriteEdge[] => {
    const touched = closeTouches([{ ...trigger, name: '' }, ...routines])[relationKey(trigger.schema, '')]?.writes ?? trigger.tables.map(keyOf);
    return touched.flatMap((key) => names.get(key) ?? []).filter((to) => keyOf(to) !== keyOf(trigger.table)).map((to) => ({ from: trigger.table, to, reason: 'trigger' as const, detail: trigger.name }));
  });
  return { functions: closeTouches(routines), triggers: edges };
}

/** Tables whose names are words of a text, in lower case: those of its own schema, and others under their schema's name. */
function mentions(tables: readonly QualifiedName[]): (body: string, schema: string) => readonly QualifiedName[] {
  return (body, schema) => {
    const words = new Set(body.match(/[\p{L}\p{N}_$]+/gu) ?? []);
    const isNamed = (name: string): boolean => (/^[\p{L}\p{N}_$]+$/u.test(name) ? words.has(name.toLowerCase()) : body.includes(name.toLowerCase()));
    return tables.filter((table) => isNamed(table.name) && (table.schema === schema || isNamed(table.schema)));
  };
}

const keyOf = (name: QualifiedName): string => relationKey(name.schema, name.name);

/** Every group of two tables or more; a table in none of them moves by itself. */
export async function mysqlTableGroups(query: MysqlQuery): Promise<readonly TableGroup[]> {
  const keys = (await readKeys(query)).filter(({ child, parent }) => keyOf(child) !== keyOf(parent)).map((key): TableTie => ({ a: key.child, b: key.parent, reason: 'foreign_key', name: key.name }));
  const writes = (await readBehaviour(query)).triggers.map((edge): TableTie => ({ a: edge.from, b: edge.to, reason: 'trigger', name: edge.detail }));
  return groupTables([...keys, ...writes]);
}

export async function mysqlGroupOf(query: MysqlQuery, table: QualifiedName): Promise<TableGroup> {
  const groups = await mysqlTableGroups(query);
  return groups.find((group) => group.tables.some((each) => keyOf(each) === keyOf(table))) ?? { tables: [table], ties: [] };
}

/** There are no sequences that statements name, no stored views, and partitions have no names that statements use. */
export async function mysqlRoutingRelations(query: MysqlQuery, tables: readonly QualifiedName[], others: readonly QualifiedName[]): Promise<RoutingRelations> {
  if (tables.length === 0) return { views: {}, sequences: {}, writeClosure: {}, shadows: [], storedViews: [], functions: {}, partitions: {} };
  const migrated = new Set(tables.map(keyOf));
  const { functions, triggers } = await readBehaviour(query);
  const cascades = (await readKeys(query)).filter((key) => key.writes).map((key): WriteEdge => ({ from: key.parent, to: key.child, reason: 'foreign_key', detail: key.name }));
  return {
    views: await readMysqlViewBases(query, tables), sequences: {}, storedViews: [], partitions: {}, functions: { ...functions },
    writeClosure: closeWrites([...cascades, ...triggers], (key) => key, migrated), shadows: await readShadows(query, [...tables, ...others], migrated),
  };
}

/** Keys of the views over one of the tables, with those of all tables that each reads. The server spells every name in a view with its schema. Views of views are followed to the tables. */
export async function readMysqlViewBases(query: MysqlQuery, of: readonly QualifiedName[]): Promise<Record<string, string[]>> {
  const migrated = new Set(of.map(keyOf));
  const rows = await query(`SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, VIEW_DEFINITION AS body FROM information_schema.VIEWS WHERE ${isOwn('TABLE_SCHEMA')} ORDER BY 1, 2`);
  const views = rows.map((row) => ({ schema: row['s'] ?? '', name: row['t'] ?? '', body: row['body'] ?? '' }));
  const tables = await listMysqlTables(query, undefined);
  const reads = (view: { readonly body: string }, name: QualifiedName): boolean => view.body.includes(mysqlTableName(name));
  const found: Record<string, string[]> = {};
  for (const view of views) {
    const reached = new Set([view]);
    for (const at of reached) for (const next of views) if (reads(at, next)) reached.add(next);
    const bases = tables.filter((table) => [...reached].some((at) => reads(at, table))).map(keyOf);
    // The others of its tables count too: a view over both sides can be answered by neither once one has moved.
    if (bases.some((base) => migrated.has(base))) found[keyOf(view)] = bases;
  }
  return found;
}

async function readShadows(query: MysqlQuery, tables: readonly QualifiedName[], migrated: ReadonlySet<string>): Promise<string[]> {
  const rows = await query(`SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE ${isOwn('TABLE_SCHEMA')} AND TABLE_NAME IN (${[...new Set(tables.map((table) => mysqlLiteral(table.name)))].join(', ')}) ORDER BY 1, 2`);
  return rows.map((row) => relationKey(row['s'] ?? '', row['t'] ?? '')).filter((key) => !migrated.has(key));
}
