/**
 * Names as PostgreSQL has them: folded when bare, exact when quoted, cut to 63 bytes.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
 */

/** A table as a statement names it; `schema` is undefined when `search_path` decides. Both parts are folded. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** NAMEDATALEN - 1 */
export const maxNameBytes = 63;

/** What a bare word means as a name. Only ASCII letters are folded, as the server does in a multi-byte encoding. */
export function foldName(word: string): string {
  return truncateName(word.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()));
}

/** Cuts to 63 bytes of UTF-8 without cutting a character, as the server does (with a NOTICE) to every name it reads. */
export function truncateName(name: string): string {
  if (name.length * 3 <= maxNameBytes) return name;
  let bytes = 0;
  let kept = 0;
  for (const character of name) {
    bytes += utf8Length(character.codePointAt(0) ?? 0);
    if (bytes > maxNameBytes) return name.slice(0, kept);
    kept += character.length;
  }
  return name;
}

function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

/** Always quoted: the only spelling that is safe for every name in every version's keyword list. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`, or `"name"` without a schema. */
export function quoteTableName(table: TableName): string {
  return table.schema === undefined ? quoteName(table.name) : `${quoteName(table.schema)}.${quoteName(table.name)}`;
}

/** A string constant that reads the same whatever `standard_conforming_strings` is. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** For people to read: bare where a bare word would mean the same name. Not for SQL sent to a server. */
export function displayName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteName(name);
}

export function displayTableName(table: TableName): string {
  return table.schema === undefined ? displayName(table.name) : `${displayName(table.schema)}.${displayName(table.name)}`;
}
