/** Functions that defaults, checks, generated columns, indexes, triggers, policies, rules and views call, those that applications may call, and the types and extensions that these need. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { RequiredType } from './definition.ts';
import { isRenamed, relSql, tablesOf } from './dependants.ts';
import type { Dependant, DependantContext } from './dependants.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { functionMentionsSql } from './read-behaviour.ts';
import { readJson } from './read-json.ts';
import { readRequiredTypes } from './required-types.ts';
import { createType } from './schema-clauses.ts';

interface Use {
  readonly oid: number;
  readonly tables: readonly number[];
  readonly before: boolean;
  /** Only views and applications use it. */
  readonly isCalledOnly?: boolean;
}

interface FunctionRow extends QualifiedName {
  readonly oid: number;
  readonly signature: string;
  readonly kind: string;
  readonly language: string;
  readonly text: string;
  readonly definition: string | null;
  readonly definer: boolean;
  readonly owner: string;
  readonly ownerIsSuperuser: boolean;
  readonly comment: string | null;
  /** Null for the built-in privileges: everybody may execute it. */
  readonly grants: readonly { readonly grantee: string; readonly privilege: string }[] | null;
  readonly extension: RequiredType | null;
  readonly reads: readonly QualifiedName[];
  readonly types: readonly number[];
}

const isOurs = (namespace: string): string => `${namespace} NOT IN ('pg_catalog', 'information_schema', 'causeway')`;

/** `owned`: everything of the tables that can depend on a function or a type. */
const ownedSql = `WITH RECURSIVE ${relSql}, owned(i, classid, objid, before, is_read) AS (
  SELECT i, 'pg_attrdef'::regclass::oid, d.oid, c.relkind IN ('r', 'p'), false FROM rel JOIN pg_class c ON c.oid = rel.oid JOIN pg_attrdef d ON d.adrelid = rel.oid
  UNION ALL SELECT i, 'pg_constraint'::regclass, k.oid, true, false FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid
  UNION ALL SELECT i, 'pg_constraint'::regclass, k.oid, true, false FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 JOIN pg_constraint k ON k.contypid = a.atttypid AND k.contypid <> 0
  UNION ALL SELECT i, 'pg_class'::regclass, x.indexrelid, c.relkind IN ('r', 'p'), false FROM rel JOIN pg_class c ON c.oid = rel.oid JOIN pg_index x ON x.indrelid = rel.oid
  UNION ALL SELECT i, 'pg_class'::regclass, rel.oid, true, false FROM rel JOIN pg_class c ON c.oid = rel.oid AND c.relkind IN ('r', 'p')
  UNION ALL SELECT i, 'pg_trigger'::regclass, t.oid, false, false FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal
  UNION ALL SELECT i, 'pg_policy'::regclass, p.oid, false, false FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
  UNION ALL SELECT i, 'pg_rewrite'::regclass, w.oid, false, w.rulename = '_RETURN' FROM rel JOIN pg_rewrite w ON w.ev_class = rel.oid)`;

export async function readFunctionDependants(client: ClientBase, context: DependantContext): Promise<Dependant[]> {
  const uses = await readUses(client, context, 'pg_proc');
  const needed = await followCalls(client, uses);
  const isNeeded = new Set(needed.map(({ row }) => row.oid));
  const called = (await followCalls(client, await readCallable(client, context))).filter(({ row }) => !isNeeded.has(row.oid));
  const functions = [...needed, ...called.map(({ row, use }) => ({ row, use: { ...use, isCalledOnly: true } }))];
  const extensions = [...(await readOwnExtensions(client, context)), ...functions.flatMap(({ row, use }) => (row.extension === null ? [] : [{ type: row.extension, use }]))];
  const own = functions.filter(({ row }) => row.extension === null);
  const types = await readTypes(client, context, own);
  const unique = (list: readonly Dependant[]): Dependant[] => [...new Map(list.map((each) => [each.name, each])).values()];
  return [
    ...unique(extensions.map(({ type, use }) => typeDependant(context, type, use))), ...unique(types),
    // What is called last was found last, and is made first.
    ...own.reverse().map(({ row, use }) => functionDependant(context, row, use)),
  ];
}

function readUses(client: ClientBase, context: DependantContext, catalog: 'pg_proc' | 'pg_type'): Promise<Use[]> {
  return readJson<Use>(client, `${ownedSql}
    SELECT d.refobjid::int8 AS oid, json_agg(DISTINCT owned.i) AS tables, bool_or(owned.before) AS before, bool_and(owned.is_read) AS "isCalledOnly"
      FROM owned JOIN pg_depend d ON d.classid = owned.classid AND d.objid = owned.objid AND d.refclassid = '${catalog}'::regclass
     WHERE d.refobjid >= 16384 GROUP BY d.refobjid ORDER BY d.refobjid`, [context.names]);
}

/** What an application may call on local once its tables are there: functions whose text names one of them, and those that name no table at all. */
function readCallable(client: ClientBase, context: DependantContext): Promise<Use[]> {
  return readJson<Use>(client, `WITH RECURSIVE ${relSql}, mentions AS (${functionMentionsSql})
    SELECT p.oid::int8 AS oid, (SELECT coalesce(json_agg(DISTINCT rel.i), '[]'::json) FROM mentions m JOIN rel ON rel.oid = m.table_oid WHERE m.function_oid = p.oid) AS tables, false AS before
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
     WHERE p.oid >= 16384 AND ${isOurs('n.nspname')} AND n.nspname !~ '^pg_' AND format_type(p.prorettype, NULL) NOT IN ('trigger', 'event_trigger')
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
       AND (NOT EXISTS (SELECT 1 FROM mentions m WHERE m.function_oid = p.oid) OR EXISTS (SELECT 1 FROM mentions m JOIN rel ON rel.oid = m.table_oid WHERE m.function_oid = p.oid)) ORDER BY p.oid`, [context.names]);
}

interface Found {
  readonly row: FunctionRow;
  readonly use: Use;
}

/** Breadth first through what the functions call. */
async function followCalls(client: ClientBase, roots: readonly Use[]): Promise<Found[]> {
  const found = new Map<number, Found>();
  let open = roots;
  while (open.length > 0) {
    const rows = await readFunctions(client, open.map((use) => use.oid));
    const next = new Map<number, Use>();
    for (const row of rows) {
      const use = open.find((each) => each.oid === row.oid);
      if (use !== undefined) found.set(row.oid, { row, use });
    }
    for (const { caller, callee } of await readCalls(client, rows.filter((row) => row.extension === null).map((row) => row.oid))) {
      const use = open.find((each) => each.oid === caller);
      if (use === undefined || found.has(callee)) continue;
      const known = next.get(callee);
      next.set(callee, { oid: callee, tables: [...new Set([...(known?.tables ?? []), ...use.tables])], before: use.before || known?.before === true, isCalledOnly: use.isCalledOnly === true && known?.isCalledOnly !== false });
    }
    open = [...next.values()];
  }
  return [...found.values()];
}

function readCalls(client: ClientBase, oids: readonly number[]): Promise<{ caller: number; callee: number }[]> {
  return readJson(client, `
    SELECT d.objid::int8 AS caller, d.refobjid::int8 AS callee FROM pg_depend d
     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.objid = ANY ($1::int8[]::oid[]) AND d.refobjid >= 16384
    UNION SELECT f.oid::int8, g.oid::int8 FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang AND l.lanname NOT IN ('c', 'internal')
      JOIN pg_proc g ON g.oid >= 16384 AND g.oid <> f.oid AND strpos(lower(f.prosrc), lower(g.proname)) > 0 JOIN pg_namespace n ON n.oid = g.pronamespace
     WHERE f.oid = ANY ($1::int8[]::oid[]) AND ${isOurs('n.nspname')}
       AND lower(f.prosrc) ~ ('(^|[^a-z0-9_$])' || regexp_replace(lower(g.proname), '([^a-z0-9_])', '\\\\\\1', 'g') || '"?\\s*\\(') ORDER BY 1, 2`, [oids]);
}

function readFunctions(client: ClientBase, oids: readonly number[]): Promise<FunctionRow[]> {
  // `prokind` came with 11; the row as JSON serves every version.
  return readJson<FunctionRow>(client, `
    SELECT q.*, CASE WHEN q.kind <> 'a' THEN pg_get_functiondef(q.oid::oid) END AS definition FROM (
      SELECT p.oid::int8 AS oid, n.nspname AS schema, p.proname AS name, p.oid::regprocedure::text AS signature, l.lanname AS language, p.prosrc AS text,
             coalesce(to_json(p)->>'prokind', CASE WHEN (to_json(p)->>'proisagg')::boolean THEN 'a' ELSE 'f' END) AS kind, p.prosecdef AS definer,
             o.rolname AS owner, o.rolsuper AS "ownerIsSuperuser", obj_description(p.oid, 'pg_proc') AS comment,
             CASE WHEN p.proacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object('grantee', coalesce(r.rolname, 'PUBLIC'), 'privilege', x.privilege_type)), '[]'::json)
                FROM aclexplode(p.proacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE NOT coalesce(x.grantee = p.proowner AND r.rolsuper, false)) END AS grants,
             (SELECT json_build_object('kind', 'extension', 'schema', en.nspname, 'name', e.extname, 'extension', e.extname, 'version', e.extversion)
                FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_namespace en ON en.oid = e.extnamespace
               WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') AS extension,
             (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('schema', cn.nspname, 'name', c.relname)), '[]'::json) FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384
                JOIN pg_namespace cn ON cn.oid = c.relnamespace WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass) AS reads,
             (SELECT json_agg(x::int8) FROM unnest(p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || p.prorettype) x) AS types
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang JOIN pg_roles o ON o.oid = p.proowner
       WHERE p.oid = ANY ($1::int8[]::oid[]) AND ${isOurs('n.nspname')}) q ORDER BY q.oid`, [oids]);
}

function functionDependant(context: DependantContext, row: FunctionRow, use: Use): Dependant {
  const word = row.kind === 'p' ? 'PROCEDURE' : 'FUNCTION';
  const subject = `${word} ${row.signature}`;
  // A function that runs with its owner's rights must not run with those of whoever migrates it.
  const owner = row.definer && !row.ownerIsSuperuser ? [`ALTER ${subject} OWNER TO ${quoteIdent(row.owner)}`] : [];
  return {
    kind: 'function', name: row.signature, relation: undefined, routine: { schema: row.schema, name: row.name }, ...(use.isCalledOnly === true ? { isCalledOnly: true } : {}), phase: use.before ? 'before' : 'after', tables: tablesOf(context, use.tables), under: row.reads,
    refused: refusal(context, row),
    exact: {
      sql: `SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ${quoteLiteral(row.schema)} AND p.proname = ${quoteLiteral(row.name)} AND p.oid::regprocedure::text = ${quoteLiteral(row.signature)}`,
      expected: row.definition ?? '',
    },
    loose: undefined,
    create: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(row.schema)}`, row.definition ?? '', ...(row.grants === null ? [] : [`REVOKE ALL ON ${subject} FROM PUBLIC`]), ...owner],
    extras: [
      ...(row.grants ?? []).map((grant) => `GRANT ${grant.privilege} ON ${subject} TO ${grant.grantee === 'PUBLIC' ? 'PUBLIC' : quoteIdent(grant.grantee)}`),
      ...(row.comment === null ? [] : [`COMMENT ON ${subject} IS ${quoteLiteral(row.comment)}`]),
    ],
    // One that belongs to no table stays: nobody can tell when it is no longer called.
    drop: use.tables.length === 0 ? undefined : `DROP ${word} IF EXISTS ${row.signature}`,
  };
}

function refusal(context: DependantContext, row: FunctionRow): string | undefined {
  if (row.kind === 'a') return 'it is an aggregate: create it on local by hand';
  if (row.language === 'c') return 'it is written in C: install its library on local and create it there';
  if (row.language === 'internal') return 'it names a function inside the server: create it on local by hand';
  const renamed = context.tables.find((table) => isRenamed(table) && names(row.text, table.source.name));
  return renamed === undefined ? undefined : `its text names ${renamed.source.name}, which is ${renamed.target.schema}.${renamed.target.name} on local`;
}

function names(text: string, word: string): boolean {
  return new RegExp(`(^|[^\\w$])${word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}($|[^\\w$])`, 'i').test(text);
}

async function readOwnExtensions(client: ClientBase, context: DependantContext): Promise<{ type: RequiredType; use: Use }[]> {
  const rows = await readJson<{ type: RequiredType; use: Use }>(client, `${ownedSql}
    SELECT json_build_object('kind', 'extension', 'schema', n.nspname, 'name', e.extname, 'extension', e.extname, 'version', e.extversion) AS type,
           json_build_object('oid', e.oid::int8, 'tables', json_agg(DISTINCT owned.i), 'before', bool_or(owned.before)) AS use
      FROM owned JOIN pg_depend d ON d.classid = owned.classid AND d.objid = owned.objid
      JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e' AND m.refclassid = 'pg_extension'::regclass
      JOIN pg_extension e ON e.oid = m.refobjid AND e.extname <> 'plpgsql' JOIN pg_namespace n ON n.oid = e.extnamespace GROUP BY e.oid, e.extname, e.extversion, n.nspname ORDER BY e.extname`, [context.names]);
  return rows;
}

/** Types of the functions' parameters, and those that views and policies cast to. Row types of tables come with their tables. */
async function readTypes(client: ClientBase, context: DependantContext, functions: readonly Found[]): Promise<Dependant[]> {
  const uses = [...functions.flatMap(({ row, use }) => row.types.map((oid) => ({ ...use, oid }))), ...(await readUses(client, context, 'pg_type'))].filter((use) => use.oid >= 16384);
  const free = await readJson<{ oid: number }>(client, `
    SELECT t.oid::int8 AS oid FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1 LEFT JOIN pg_class c ON c.oid = coalesce(nullif(t.typrelid, 0), e.typrelid)
     WHERE t.oid = ANY ($1::int8[]::oid[]) AND (c.oid IS NULL OR c.relkind = 'c')`, [[...new Set(uses.map((use) => use.oid))]]);
  const dependants: Dependant[] = [];
  for (const { oid } of free) {
    const of = uses.filter((use) => use.oid === oid);
    const use = { oid, tables: [...new Set(of.flatMap((each) => each.tables))], before: of.some((each) => each.before) };
    for (const type of await readRequiredTypes(client, [oid])) dependants.push(typeDependant(context, type, use));
  }
  return dependants;
}

function typeDependant(context: DependantContext, type: RequiredType, use: Use): Dependant {
  const isExtension = type.kind === 'extension';
  const sql = isExtension ? `SELECT 'there' FROM pg_extension WHERE extname = ${quoteLiteral(type.extension)}`
    : `SELECT 'there' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ${quoteLiteral(type.schema)} AND t.typname = ${quoteLiteral(type.name)}`;
  return {
    kind: isExtension ? 'extension' : 'type', name: isExtension ? type.extension : quoteTable(type), relation: undefined, phase: use.before ? 'before' : 'after', tables: tablesOf(context, use.tables), under: [],
    refused: type.kind === 'base' ? 'it is a base type outside any extension: install it on local' : undefined,
    exact: { sql, expected: 'there' }, loose: undefined,
    create: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(type.schema)}`, ...createType(type)], extras: [], drop: undefined,
  };
}
