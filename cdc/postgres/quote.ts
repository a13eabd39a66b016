/** SQL spelling of names and values. Every identifier is quoted: a name never depends on a server's list of keywords. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: QualifiedName): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.name)}`;
}

/** Right under any `standard_conforming_strings`. */
export function quoteLiteral(value: string): string {
  const doubled = value.replaceAll("'", "''");
  return doubled.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

export function quoteList(names: readonly string[]): string {
  return names.map(quoteIdent).join(', ');
}
