/**
 * What a session keeps of its settings for routing: the search path. How to track it: start with the value that the server
 * reports at login (`SHOW search_path`); after a successful statement whose facts have `setting.name === 'search_path'`, take
 * `setting.value` (a `reset` returns to the start value, `local` ends with the transaction, a rollback undoes what its transaction
 * set); after a `reset`/`discard` of `all` return to the start value. When `flags.sessionEffect` is set and a `set_config` could
 * not be read (`setting` undefined), or a `call`/`do` ran, ask the server again. Then hand `searchPathOf(value, user)` to `RouteCache.searchPath`.
 *
 * Temporary tables: a successful `create_temp` puts `objectName` on the leg that ran it; `DROP TABLE` (facts `ddl`, tag of the
 * answer) takes the names of `ddl` out; `discard` of `all` or `temp`, and the end of the session, take all out; a rollback
 * takes out what its transaction made and brings back what it dropped. ON COMMIT DROP is not in the facts: keeping the name after
 * it is harmless, for the leg then answers as it would have.
 */
import { splitNameList } from './qualified-name.ts';

/** Parameters whose elements SHOW prints quoted where a bare word would not do (GUC_LIST_QUOTE). */
const quotedLists: ReadonlySet<string> = new Set(['search_path', 'temp_tablespaces', 'session_preload_libraries', 'shared_preload_libraries', 'local_preload_libraries']);

export function quoteListElement(setting: string, value: string): string {
  if (!quotedLists.has(setting) || /^[a-z_][a-z0-9_$]*$/.test(value)) return value;
  return `"${value.replaceAll('"', '""')}"`;
}

/**
 * The schemas to look in, in order: `"$user"` replaced, `pg_temp` and `pg_catalog` left out, as both are looked at first
 * anyway. Undefined when the value cannot be read.
 */
export function searchPathOf(value: string, user: string): readonly string[] | undefined {
  const names = splitNameList(value);
  return names?.map((name) => (name === '$user' ? user : name)).filter((name) => name !== 'pg_temp' && name !== 'pg_catalog');
}
