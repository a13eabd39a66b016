/** A table of a Cassandra or ScyllaDB cluster, as `system_schema` tells it. */
import { MigrationError } from '../../config/migration-error.ts';
import { isCounter, isMultiCell, parseCqlType } from '../../grammar/cql/type.ts';
import type { CqlType } from '../../grammar/cql/type.ts';
import type { Cluster } from './cluster.ts';

/** `plain` is one cell: every scalar, every frozen type, tuples and vectors. The others have a cell per element or field, each with a time of its own. */
export type ColumnShape = 'plain' | 'counter' | 'list' | 'set' | 'map' | 'udt';

export interface CassandraColumn {
  readonly name: string;
  /** As `system_schema` writes it, `frozen<map<int, text>>`. */
  readonly type: string;
  readonly shape: ColumnShape;
  /** Of a `udt`, in their order. */
  readonly fields: readonly string[];
}

export interface ClusteringColumn extends CassandraColumn {
  readonly isDescending: boolean;
}

export interface CassandraTable {
  readonly keyspace: string;
  readonly name: string;
  readonly partitionKey: readonly CassandraColumn[];
  readonly clustering: readonly ClusteringColumn[];
  readonly statics: readonly CassandraColumn[];
  readonly regulars: readonly CassandraColumn[];
  readonly isCounter: boolean;
  /** Seconds; 0 = none. */
  readonly defaultTtl: number;
  /** Seconds that a tombstone is kept. */
  readonly gcGrace: number;
}

export interface TableName {
  readonly keyspace: string;
  readonly name: string;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable({ keyspace, name }: TableName): string {
  return `${quoteName(keyspace)}.${quoteName(name)}`;
}

/** For people: `ks.t`. */
export function printTable({ keyspace, name }: TableName): string {
  return `${keyspace}.${name}`;
}

/** Tables of a keyspace that hold data of their own: no materialized views. */
export async function listTables(cluster: Cluster, keyspace: string): Promise<readonly string[]> {
  const rows = await cluster.run('SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?', [keyspace]);
  return rows.map((row) => String(row['table_name']));
}

/** Throws MIG010 when there is none. */
export async function readTable(cluster: Cluster, { keyspace, name }: TableName): Promise<CassandraTable> {
  const [tables, columns, types] = await Promise.all([
    cluster.run('SELECT default_time_to_live, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?', [keyspace, name]),
    cluster.run('SELECT column_name, kind, position, type, clustering_order FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?', [keyspace, name]),
    cluster.run('SELECT type_name, field_names FROM system_schema.types WHERE keyspace_name = ?', [keyspace]),
  ]);
  const [table] = tables;
  if (table === undefined || columns.length === 0) throw new MigrationError('MIG010', `There is no table ${printTable({ keyspace, name })} on the ${cluster.side} cluster`, { tableName: printTable({ keyspace, name }) });
  const fieldsOf = new Map(types.map((row) => [String(row['type_name']), row['field_names'] as readonly string[]]));
  const described = columns.map((row) => {
    const type = String(row['type']);
    const tree = parseCqlType(type);
    const shape = shapeOf(tree);
    return {
      kind: String(row['kind']), position: Number(row['position']), name: String(row['column_name']), type, shape,
      fields: tree?.kind === 'udt' && shape === 'udt' ? fieldsOf.get(tree.name) ?? [] : [], isDescending: String(row['clustering_order']).toLowerCase() === 'desc',
    };
  });
  const ofKind = (kind: string): readonly ClusteringColumn[] =>
    described.filter((column) => column.kind === kind).sort((a, b) => a.position - b.position || (a.name < b.name ? -1 : 1)).map(({ name: column, type, shape, fields, isDescending }) => ({ name: column, type, shape, fields, isDescending }));
  return {
    keyspace, name, partitionKey: ofKind('partition_key'), clustering: ofKind('clustering'), statics: ofKind('static'), regulars: ofKind('regular'),
    isCounter: described.some(({ shape }) => shape === 'counter'), defaultTtl: Number(table['default_time_to_live'] ?? 0), gcGrace: Number(table['gc_grace_seconds'] ?? 864_000),
  };
}

/** What has to be equal on both sides for rows to be written and compared as bytes. Throws MIG011. */
export function assertSameShape(source: CassandraTable, target: CassandraTable): void {
  const differences: string[] = [];
  const compare = (what: string, ours: readonly CassandraColumn[], theirs: readonly CassandraColumn[]): void => {
    const print = (columns: readonly CassandraColumn[]): string => columns.map(({ name, type }) => `${name} ${type}`).join(', ');
    const inOrder = what.includes('key') ? theirs : ours.map(({ name }) => theirs.find((column) => column.name === name)).filter((column) => column !== undefined);
    if (print(ours) !== print(inOrder)) differences.push(`${what}: source (${print(ours)}), target (${print(theirs)})`);
  };
  compare('partition key', source.partitionKey, target.partitionKey);
  compare('clustering key', source.clustering, target.clustering);
  compare('static columns', source.statics, target.statics);
  compare('columns', source.regulars, target.regulars);
  if (source.clustering.some(({ isDescending }, index) => isDescending !== target.clustering[index]?.isDescending)) differences.push('the clustering order');
  if (differences.length === 0) return;
  throw new MigrationError('MIG011', `${printTable(source)} is not the same table on the two clusters`, { tableName: printTable(source), detail: `${differences.join('; ')}.`, hint: 'Create the table on the target with the columns and types of the source; further columns of the target are allowed.' });
}

function shapeOf(type: CqlType | undefined): ColumnShape {
  if (type === undefined || !isMultiCell(type)) return type !== undefined && isCounter(type) ? 'counter' : 'plain';
  return type.kind === 'list' || type.kind === 'set' || type.kind === 'map' || type.kind === 'udt' ? type.kind : 'plain';
}
