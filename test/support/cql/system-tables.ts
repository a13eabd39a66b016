/** `system` and `system_schema` of the mock cluster: tables made anew of what there is each time that one is read. */
import { cqlName, parseCqlType, printCqlType } from '../../../grammar/cql/type.ts';
import type { CqlType } from '../../../grammar/cql/type.ts';
import type { Database, NodeAddress } from './database.ts';
import { starColumns } from './select.ts';
import { Table, writeCell } from './store.ts';
import type { Column } from './store.ts';
import { counted, countedMap } from './values.ts';

type Plain = string | number | boolean | null | readonly string[] | ReadonlyMap<string, string>;

/** Columns with the key's first: `partition key | clustering | others`. */
const definitions: Readonly<Record<string, string>> = {
  'system.local': 'key text || bootstrapped text, broadcast_address inet, cluster_name text, cql_version text, data_center text, gossip_generation int, host_id uuid, listen_address inet, native_protocol_version text, partitioner text, rack text, release_version text, rpc_address inet, schema_version uuid, tokens frozen<set<text>>',
  'system.peers': 'peer inet || data_center text, host_id uuid, preferred_ip inet, rack text, release_version text, rpc_address inet, schema_version uuid, tokens frozen<set<text>>',
  'system.peers_v2': 'peer inet | peer_port int | data_center text, host_id uuid, native_address inet, native_port int, preferred_ip inet, preferred_port int, rack text, release_version text, schema_version uuid, tokens frozen<set<text>>',
  'system.IndexInfo': 'table_name text | index_name text | value blob',
  'system.size_estimates': 'keyspace_name text | table_name text, range_start text, range_end text | mean_partition_size bigint, partitions_count bigint',
  'system_schema.keyspaces': 'keyspace_name text || durable_writes boolean, replication frozen<map<text, text>>',
  'system_schema.tables': 'keyspace_name text | table_name text | bloom_filter_fp_chance double, caching frozen<map<text, text>>, comment text, compaction frozen<map<text, text>>, compression frozen<map<text, text>>, crc_check_chance double, dclocal_read_repair_chance double, default_time_to_live int, extensions frozen<map<text, blob>>, flags frozen<set<text>>, gc_grace_seconds int, id uuid, max_index_interval int, memtable_flush_period_in_ms int, min_index_interval int, read_repair_chance double, speculative_retry text',
  'system_schema.columns': 'keyspace_name text | table_name text, column_name text | clustering_order text, column_name_bytes blob, kind text, position int, type text',
  'system_schema.types': 'keyspace_name text | type_name text | field_names frozen<list<text>>, field_types frozen<list<text>>',
  'system_schema.indexes': 'keyspace_name text | table_name text, index_name text | kind text, options frozen<map<text, text>>',
  'system_schema.views': 'keyspace_name text | view_name text | base_table_id uuid, base_table_name text, where_clause text',
  'system_schema.functions': 'keyspace_name text | function_name text, argument_types frozen<list<text>> | argument_names frozen<list<text>>, body text, called_on_null_input boolean, language text, return_type text',
  'system_schema.aggregates': 'keyspace_name text | aggregate_name text, argument_types frozen<list<text>> | final_func text, initcond text, return_type text, state_func text, state_type text',
  'system_schema.triggers': 'keyspace_name text | table_name text, trigger_name text | options frozen<map<text, text>>',
  'system_schema.dropped_columns': 'keyspace_name text | table_name text, column_name text | dropped_time timestamp, kind text, type text',
};

/** Undefined when there is no such table. */
export function systemTable(database: Database, keyspace: string, name: string, here: NodeAddress): Table | undefined {
  const full = `${keyspace}.${name}`;
  const definition = Object.hasOwn(definitions, full) ? definitions[full] : undefined;
  if (definition === undefined || (full === 'system.peers_v2' && !database.traits.hasPeersV2)) return undefined;
  const [partition = '', clustering = '', regular = ''] = definition.split('|').map((part) => part.trim());
  const table = new Table(keyspace, name, Buffer.alloc(16), [...columnsOf(partition, 'partition_key'), ...columnsOf(clustering, 'clustering'), ...columnsOf(regular, 'regular')], new Map());
  for (const row of rowsOf(database, full, here)) add(table, row);
  return table;
}

function columnsOf(text: string, kind: Column['kind']): Column[] {
  const parts = text.split(/,(?![^<]*>)/).map((part) => part.trim()).filter((part) => part !== '');
  return parts.map((part, position) => {
    const space = part.indexOf(' ');
    const type = parseCqlType(part.slice(space + 1));
    if (!type) throw new Error(`no type: ${part}`);
    return { name: part.slice(0, space), type, kind, position: kind === 'regular' ? -1 : position, isDescending: false };
  });
}

function add(table: Table, values: Readonly<Record<string, Plain>>): void {
  const bytes = (column: Column): Buffer => toBytes(column.type, values[column.name] ?? null) ?? Buffer.alloc(0);
  const row = table.row(table.partition(table.partitionKey.map(bytes)), table.clustering.map(bytes));
  row.marker = { timestamp: 0n, value: Buffer.alloc(0), ttl: 0, expiresAt: 0 };
  for (const column of table.columns.filter(({ kind }) => kind === 'regular')) {
    const value = toBytes(column.type, values[column.name] ?? null);
    if (value !== null) writeSystemCell(row, column, value);
  }
}

function writeSystemCell(row: Parameters<typeof writeCell>[0], column: Column, value: Buffer): void {
  writeCell(row, column.name, { timestamp: 0n, value, ttl: 0, expiresAt: 0 });
}

function toBytes(type: CqlType, value: Plain): Buffer | null {
  if (value === null) return null;
  if (Array.isArray(value)) return counted((value as readonly string[]).map((each) => Buffer.from(each)));
  if (value instanceof Map) return countedMap([...(value as ReadonlyMap<string, string>)].flatMap(([key, each]) => [Buffer.from(key), Buffer.from(each)]));
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0);
  const name = type.kind === 'native' ? type.name : 'text';
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(name === 'double' || name === 'bigint' ? 8 : 4);
    if (name === 'double') bytes.writeDoubleBE(value);
    else if (name === 'bigint') bytes.writeBigInt64BE(BigInt(value));
    else bytes.writeInt32BE(value);
    return bytes;
  }
  if (name === 'inet') return Buffer.from(String(value).split('.').map(Number));
  if (name === 'uuid' || name === 'blob') return Buffer.from(String(value).replaceAll('-', ''), 'hex');
  return Buffer.from(String(value));
}

function rowsOf(database: Database, table: string, here: NodeAddress): Readonly<Record<string, Plain>>[] {
  const { traits, nodes } = database;
  const node = (each: NodeAddress): Record<string, Plain> => ({ data_center: traits.dataCenter, host_id: each.hostId, rack: 'rack1', release_version: traits.releaseVersion, rpc_address: each.address, schema_version: database.schemaVersion, tokens: [each.token] });
  const peers = nodes.filter(({ address }) => address !== here.address);
  const empty = new Map<string, string>();
  switch (table) {
    case 'system.local': return [{ ...node(here), key: 'local', bootstrapped: 'COMPLETED', broadcast_address: here.address, listen_address: here.address, cluster_name: traits.clusterName, cql_version: '3.4.4', gossip_generation: 1, native_protocol_version: '4', partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner' }];
    case 'system.peers': return peers.map((each) => ({ ...node(each), peer: each.address, preferred_ip: each.address }));
    case 'system.peers_v2': return peers.map((each) => ({ ...node(each), peer: each.address, peer_port: 7000, native_address: each.address, native_port: each.port }));
    case 'system.IndexInfo': return database.indexes().map(({ keyspace, name }) => ({ table_name: keyspace, index_name: name }));
    case 'system_schema.keyspaces': return [...database.keyspaces].map(([name, { replication }]) => ({ keyspace_name: name, durable_writes: true, replication }));
    case 'system_schema.tables': return database.userTables().map((each) => ({ keyspace_name: each.keyspace, table_name: each.name, bloom_filter_fp_chance: 0.01, caching: new Map([['keys', 'ALL'], ['rows_per_partition', 'NONE']]), comment: each.options.get('comment') ?? '', compaction: new Map([['class', 'org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy']]), compression: empty, crc_check_chance: 1, dclocal_read_repair_chance: 0, default_time_to_live: Number(each.options.get('default_time_to_live') ?? 0), extensions: empty, flags: each.isCounter ? ['compound', 'counter'] : ['compound'], gc_grace_seconds: Number(each.options.get('gc_grace_seconds') ?? 864000), id: each.id.toString('hex'), max_index_interval: 2048, memtable_flush_period_in_ms: 0, min_index_interval: 128, read_repair_chance: 0, speculative_retry: '99PERCENTILE' }));
    case 'system_schema.columns': return database.userTables().flatMap((each) => starColumns(each).map(({ name, type, kind, position, isDescending }) => ({ keyspace_name: each.keyspace, table_name: each.name, column_name: name, clustering_order: kind === 'clustering' ? (isDescending ? 'desc' : 'asc') : 'none', column_name_bytes: Buffer.from(name).toString('hex'), kind, position, type: printCqlType(type) })));
    case 'system_schema.types': return [...database.keyspaces].flatMap(([keyspace, { types }]) => [...types].map(([name, fields]) => ({ keyspace_name: keyspace, type_name: name, field_names: fields.map((field) => field.name), field_types: fields.map(({ type }) => printCqlType(type)) })));
    case 'system_schema.indexes': return database.indexes().map((index) => ({ keyspace_name: index.keyspace, table_name: index.table, index_name: index.name, kind: index.className === undefined ? 'COMPOSITES' : 'CUSTOM', options: new Map([['target', index.target], ...(index.className === undefined ? [] : [['class_name', index.className] as const])]) }));
    default: return [];
  }
}

/** `ks.table`, as messages of the server have it. */
export function tableText(table: Pick<Table, 'keyspace' | 'name'>): string {
  return `${cqlName(table.keyspace)}.${cqlName(table.name)}`;
}
