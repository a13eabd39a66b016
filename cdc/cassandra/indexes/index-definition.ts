/** Secondary indexes as `system_schema.indexes` holds them, and the statements that make them again exactly. */
import type { Cluster } from '../cluster.ts';
import { quoteName } from '../table.ts';

export interface IndexDefinition {
  readonly keyspace: string;
  readonly table: string;
  readonly name: string;
  /** COMPOSITES, KEYS or CUSTOM. */
  readonly kind: string;
  /** `target`, `class_name` and what else the index was made with. */
  readonly options: Readonly<Record<string, string>>;
}

/** Options that are told by other words of the statement. */
const toldElsewhere = new Set(['target', 'class_name']);

/** Of one table, or of all of the keyspace. */
export async function readIndexes(cluster: Cluster, keyspace: string, table?: string): Promise<readonly IndexDefinition[]> {
  const rows = await cluster.run(`SELECT table_name, index_name, kind, options FROM system_schema.indexes WHERE keyspace_name = ?${table === undefined ? '' : ' AND table_name = ?'}`, table === undefined ? [keyspace] : [keyspace, table]);
  return rows.map((row) => ({ keyspace, table: String(row['table_name']), name: String(row['index_name']), kind: String(row['kind']), options: { ...(row['options'] as Record<string, string>) } }));
}

export function createIndex({ keyspace, table, name, kind, options }: IndexDefinition): string {
  const on = `INDEX IF NOT EXISTS ${quoteName(name)} ON ${quoteName(keyspace)}.${quoteName(table)} (${printTarget(options['target'] ?? '')})`;
  const others = Object.entries(options).filter(([option]) => !toldElsewhere.has(option));
  const using = options['class_name'] === undefined ? '' : ` USING ${quoteText(options['class_name'])}`;
  const having = others.length === 0 ? '' : ` WITH OPTIONS = {${others.map(([option, value]) => `${quoteText(option)}: ${quoteText(value)}`).join(', ')}}`;
  return kind === 'CUSTOM' ? `CREATE CUSTOM ${on}${using}${having}` : `CREATE ${on}`;
}

export function dropIndex({ keyspace, name }: IndexDefinition): string {
  return `DROP INDEX IF EXISTS ${quoteName(keyspace)}.${quoteName(name)}`;
}

export function sameIndex(a: IndexDefinition, b: IndexDefinition): boolean {
  const print = ({ keyspace, table, name, kind, options }: IndexDefinition): string => JSON.stringify([keyspace, table, name, kind, Object.entries(options).sort(([x], [y]) => (x < y ? -1 : 1))]);
  return print(a) === print(b);
}

/** What is indexed, in the words of the statement: Cassandra keeps these, ScyllaDB keeps an index within a partition as JSON. */
function printTarget(target: string): string {
  if (!target.startsWith('{')) return target;
  const { pk = [], ck = [] } = JSON.parse(target) as { readonly pk?: readonly string[]; readonly ck?: readonly string[] };
  return `(${pk.map(quoteName).join(', ')}), ${ck.map(quoteName).join(', ')}`;
}

function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
