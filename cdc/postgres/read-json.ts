/**
 * Catalog queries whose rows come back as JSON: arrays, nulls and nested rows keep their shape whatever type parsers the
 * client was given. Numbers beyond 2^53 must be cast to text by the query.
 */
import type { ClientBase } from 'pg';

export async function readJson<Row>(client: ClientBase, sql: string, values: readonly unknown[] = []): Promise<Row[]> {
  const text = `SELECT coalesce(json_agg(row_to_json(q)), '[]'::json)::text AS rows FROM (${sql}) q`;
  const result = await client.query<{ rows: string }>(text, [...values]);
  return JSON.parse(result.rows[0]?.rows ?? '[]') as Row[];
}

/**
 * Runs `work` with `search_path = pg_catalog`, so that the server spells every name of its own outside pg_catalog with a
 * schema (`format_type`, `pg_get_expr`, `pg_get_indexdef` …), and puts the caller's path back.
 */
export async function withQualifiedNames<Result>(client: ClientBase, work: () => Promise<Result>): Promise<Result> {
  const before = await client.query<{ path: string }>("SELECT current_setting('search_path') AS path");
  await client.query("SELECT set_config('search_path', 'pg_catalog', false)");
  try {
    return await work();
  } finally {
    // In a failed transaction this fails as well, and the rollback restores the path.
    await client.query("SELECT set_config('search_path', $1, false)", [before.rows[0]?.path ?? '']).catch(() => undefined);
  }
}

export async function readServerVersion(client: ClientBase): Promise<number> {
  const result = await client.query<{ version: string }>("SELECT current_setting('server_version_num') AS version");
  return Number(result.rows[0]?.version ?? 0);
}
