/**
 * What the functions and procedures of a database touch, by the words in their bodies: conservative for SQL and PL/pgSQL, where every
 * table that is named counts as read and written, also by functions that they call. Left out, and by that taken to touch
 * anything: other interpreted languages, and bodies that build statements. Functions in C are taken to touch no table.
 */
import type { ClientBase } from 'pg';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { FunctionTouches, QualifiedName } from '../../catalog/routing-snapshot.ts';
import { functionMentionsSql } from './read-behaviour.ts';
import { readJson } from './read-json.ts';

/** All overloads of one name together. */
export interface FunctionBody extends QualifiedName {
  readonly isOpaque: boolean;
  readonly body: string;
  readonly tables: readonly QualifiedName[];
}

export async function readFunctionTouches(client: ClientBase): Promise<Record<string, FunctionTouches>> {
  return closeTouches(await readJson<FunctionBody>(client, `
    SELECT n.nspname AS schema, p.proname AS name, bool_or(l.lanname NOT IN ('sql', 'plpgsql') OR p.prosrc ~* '(^|[^a-z0-9_])execute($|[^a-z0-9_])') AS "isOpaque",
           lower(string_agg(p.prosrc, ' ')) AS body,
           coalesce(json_agg(DISTINCT jsonb_build_object('schema', m.schema, 'name', m.name)) FILTER (WHERE m.name IS NOT NULL), '[]'::json) AS tables
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
      LEFT JOIN (${functionMentionsSql}) m ON m.function_oid = p.oid
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'causeway') AND n.nspname !~ '^pg_' GROUP BY n.nspname, p.proname`));
}

/** Pure: calls followed to any depth; who calls an opaque one is opaque. */
export function closeTouches(functions: readonly FunctionBody[]): Record<string, FunctionTouches> {
  const byName = new Map<string, FunctionBody[]>();
  for (const each of functions) byName.set(each.name.toLowerCase(), [...(byName.get(each.name.toLowerCase()) ?? []), each]);
  const touches: Record<string, FunctionTouches> = {};
  for (const each of functions) {
    const reached = new Set([each]);
    for (const at of reached) for (const name of calledNames(at.body)) for (const callee of byName.get(name) ?? []) reached.add(callee);
    if ([...reached].some((at) => at.isOpaque)) continue;
    const tables = [...new Set([...reached].flatMap((at) => at.tables.map((table) => relationKey(table.schema, table.name))))].sort();
    touches[relationKey(each.schema, each.name)] = { reads: tables, writes: tables };
  }
  return touches;
}

function calledNames(body: string): ReadonlySet<string> {
  return new Set([...body.matchAll(/([a-z_][\w$]*)"?\s*\(/g)].map((match) => match[1] ?? ''));
}
