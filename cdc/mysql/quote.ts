/** Spelling of names and values for MySQL, right under every `sql_mode`. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

export function quoteIdent(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A schema of MySQL is a database. */
export function quoteTable(table: QualifiedName): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.name)}`;
}

export function quoteText(value: string): string {
  return value === '' ? "''" : `_utf8mb4 0x${Buffer.from(value).toString('hex')}`;
}
