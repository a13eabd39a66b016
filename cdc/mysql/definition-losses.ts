/**
 * What a table's definition says on the source and local's does not: defaults, checks, indexes, foreign keys and partitions that are not made there.
 *
 * Not counted: what becomes another thing with the same meaning (an enum type, an identity column, a trigger for ON UPDATE); columns that hold the
 * canonical text, from which every value goes back; keys whose collation is nearly the same; triggers, which a cutover waits for by itself; views and
 * events, which are no part of the table.
 */
import { quoteTable } from '../postgres/quote.ts';
import type { DefinitionLoss } from '../source-side.ts';
import type { ConvertedTable } from './create-schema.ts';
import type { MysqlTable } from './definition.ts';
import { mysqlTableName } from './query.ts';

/** Code of the finding → kind of the loss. */
const kinds: Readonly<Record<string, string>> = {
  default: 'default', check: 'check', index: 'index', index_expression: 'index', fulltext_index: 'index', spatial_index: 'index', vector_index: 'index', foreign_key_parent: 'foreign_key',
};

/** `converted`: settled, so that what local has refused is among its findings. */
export function mysqlDefinitionLosses(table: MysqlTable, converted: ConvertedTable): readonly DefinitionLoss[] {
  const prefixes = [mysqlTableName(table), quoteTable(converted.definition)].map((name) => `${name} `);
  const losses = converted.findings.flatMap(({ code, severity, subject, message }): DefinitionLoss[] => {
    const kind = severity === 'warning' ? kinds[code] : undefined;
    const prefix = prefixes.find((each) => subject.startsWith(each)) ?? '';
    return kind === undefined ? [] : [{ name: subject.slice(prefix.length), kind, what: message }];
  });
  const [first] = table.partitions;
  if (first === undefined) return losses;
  return [...losses, { name: table.name, kind: 'partitions', what: `${table.partitions.length} partitions by ${first.method} (${first.expression ?? ''}) are one table on local` }];
}
