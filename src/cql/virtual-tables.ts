/**
 * `system.local` and `system.peers` as drivers see them through the proxy: the proxies of the group are the nodes, and no node of a cluster is ever named.
 * `system.peers_v2` does not exist; drivers then ask `system.peers`.
 */
import { createHash } from 'node:crypto';
import { inetBytes } from '../../grammar/cql/inet-bytes.ts';
import type { CqlRelation, CqlStatement } from '../../grammar/cql/statement.ts';
import { BodyReader } from '../wire/cql/body-reader.ts';
import { errorBody, errorCodes } from '../wire/cql/error-body.ts';
import { opcodes } from '../wire/cql/frame.ts';
import { preparedBody, rowsBody, typeIds } from '../wire/cql/result-body.ts';
import type { RowColumn, RowsOf } from '../wire/cql/result-body.ts';
import type { ClusterFacts } from './cluster-control.ts';
import type { ClusterIdentity, CqlTopology } from './proxy-options.ts';

export interface VirtualAnswer {
  readonly opcode: number;
  readonly body: Buffer;
}

export interface VirtualContext {
  readonly topology: CqlTopology;
  /** Of the source; of the target where the source cannot be asked. */
  readonly facts: ClusterFacts | undefined;
  /** Of the source as it was, where it cannot be asked. */
  readonly identity: ClusterIdentity | undefined;
  /** The address at which the client has reached the proxy. */
  readonly localAddress: string;
  readonly port: number;
}

const text = [typeIds.text];
const inet = [typeIds.inet];
const uuid = [typeIds.uuid];
const int = [typeIds.int];
const texts = [typeIds.set, typeIds.text];

const localColumns: readonly RowColumn[] = [
  { name: 'key', type: text }, { name: 'bootstrapped', type: text }, { name: 'broadcast_address', type: inet }, { name: 'cluster_name', type: text }, { name: 'cql_version', type: text },
  { name: 'data_center', type: text }, { name: 'gossip_generation', type: int }, { name: 'host_id', type: uuid }, { name: 'listen_address', type: inet },
  { name: 'native_protocol_version', type: text }, { name: 'partitioner', type: text }, { name: 'rack', type: text }, { name: 'release_version', type: text },
  { name: 'rpc_address', type: inet }, { name: 'schema_version', type: uuid }, { name: 'tokens', type: texts },
];
const peersColumns: readonly RowColumn[] = [
  { name: 'peer', type: inet }, { name: 'data_center', type: text }, { name: 'host_id', type: uuid }, { name: 'preferred_ip', type: inet }, { name: 'rack', type: text },
  { name: 'release_version', type: text }, { name: 'rpc_address', type: inet }, { name: 'schema_version', type: uuid }, { name: 'tokens', type: texts },
];

/** One for all rows and for ever: the proxy itself waits until a cluster's nodes agree on a schema. */
const schemaVersion = namedUuid('schema');

function namedUuid(name: string): Buffer {
  const bytes = createHash('sha1').update('causeway.cql\0').update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}

/** Tokens of one proxy among all of them, spread evenly over the ring. */
export function tokensOf(index: number, proxies: number, perProxy: number): readonly string[] {
  const total = BigInt(proxies * perProxy);
  return Array.from({ length: perProxy }, (_, place) => (((BigInt(place * proxies + index) << 64n) / total) - (1n << 63n)).toString());
}

function setOfTexts(values: readonly string[]): Buffer {
  const parts = values.map((value) => Buffer.from(value));
  const out = Buffer.alloc(4 + parts.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = out.writeInt32BE(parts.length, 0);
  for (const part of parts) at = out.writeInt32BE(part.length, at) + part.copy(out, at + 4);
  return out;
}

type Row = ReadonlyMap<string, Buffer>;

function rowOf(context: VirtualContext, index: number, address: string): Row {
  const { topology, facts, identity, port } = context;
  const as = (value: string): Buffer => Buffer.from(value);
  const own = inetBytes(address);
  return new Map([
    ['key', as('local')], ['bootstrapped', as('COMPLETED')], ['broadcast_address', own], ['listen_address', own], ['rpc_address', own], ['peer', own], ['preferred_ip', own],
    ['cluster_name', as(topology.clusterName ?? identity?.clusterName ?? facts?.clusterName ?? 'causeway')], ['data_center', as(topology.dataCenter ?? identity?.dataCenter ?? facts?.dataCenter ?? 'datacenter1')], ['rack', as('rack0')],
    ['cql_version', as(facts?.cqlVersion ?? '3.4.4')], ['release_version', as(facts?.releaseVersion ?? '3.11.0')], ['partitioner', as(facts?.partitioner ?? 'org.apache.cassandra.dht.Murmur3Partitioner')],
    ['native_protocol_version', as('4')], ['gossip_generation', Buffer.from([0, 0, 0, 1])], ['host_id', namedUuid(`${address}:${port}`)], ['schema_version', schemaVersion],
    ['tokens', setOfTexts(tokensOf(index, Math.max(1, topology.addresses.length), topology.tokensPerProxy))],
  ]);
}

interface VirtualTable {
  readonly name: string;
  readonly key: string;
  readonly columns: readonly RowColumn[];
  readonly rows: readonly Row[];
}

function tableOf(name: string | undefined, context: VirtualContext): VirtualTable | undefined {
  const { addresses, index } = context.topology;
  if (name === 'local') return { name, key: 'key', columns: localColumns, rows: [rowOf(context, index, addresses[index] ?? context.localAddress)] };
  if (name !== 'peers') return undefined;
  return { name, key: 'peer', columns: peersColumns, rows: addresses.flatMap((address, place) => (place === index ? [] : [rowOf(context, place, address)])) };
}

function invalid(message: string): VirtualAnswer {
  return { opcode: opcodes.error, body: errorBody(errorCodes.invalid, message) };
}

interface Selected {
  readonly shape: RowsOf;
  readonly cells: (row: Row) => readonly (Buffer | undefined)[];
  readonly isCount: boolean;
}

function selectedOf(facts: CqlStatement, table: VirtualTable): Selected | string {
  const { selection } = facts;
  const shape = (columns: readonly RowColumn[]): RowsOf => ({ keyspace: 'system', table: table.name, columns });
  if (!selection || selection.isJson) return `system.${table.name} is answered by the proxy, for columns and count(*) only`;
  const columns: RowColumn[] = [];
  const names: string[] = [];
  for (const { kind, name, alias } of selection.selectors) {
    if (kind === 'count' && selection.selectors.length === 1) return { shape: shape([{ name: alias ?? 'count', type: [0x02] }]), cells: () => [], isCount: true };
    if (kind === '*') {
      columns.push(...table.columns);
      names.push(...table.columns.map((column) => column.name));
      continue;
    }
    const column = kind === 'column' ? table.columns.find((known) => known.name === name) : undefined;
    if (!column) return kind === 'column' ? `Undefined column name ${name ?? ''} in table system.${table.name}` : `system.${table.name} is answered by the proxy, for columns and count(*) only`;
    columns.push(alias === undefined ? column : { ...column, name: alias });
    names.push(column.name);
  }
  return { shape: shape(columns), cells: (row) => names.map((name) => row.get(name)), isCount: false };
}

/** Values of the key that the rows must have; undefined for all. A text says why it cannot be told. */
function wantedKeys(where: readonly CqlRelation[], table: VirtualTable, values: readonly (Buffer | undefined)[]): readonly Buffer[] | undefined | string {
  if (where.length === 0) return undefined;
  const [relation, second] = where;
  if (second || !relation || relation.columns.length !== 1 || relation.columns[0] !== table.key || relation.isToken || !(relation.operator === '=' || relation.operator === 'IN') || relation.isWholeList) {
    return `system.${table.name} is answered by the proxy, WHERE ${table.key} = … only`;
  }
  const keys: Buffer[] = [];
  for (const term of relation.terms) {
    if (term.kind === 'bind') {
      const value = values[term.index];
      if (value) keys.push(value);
    } else if (term.kind === 'constant') keys.push(table.key === 'peer' ? inetBytes(term.text) : Buffer.from(term.text));
    else return `system.${table.name} is answered by the proxy, WHERE ${table.key} = … only`;
  }
  return keys;
}

/** Of a SELECT of one of the tables. `values`: its bound values, in order. */
export function selectVirtual(facts: CqlStatement, context: VirtualContext, values: readonly (Buffer | undefined)[]): VirtualAnswer {
  const table = tableOf(facts.table, context);
  if (!table) return invalid(`unconfigured table ${facts.table ?? ''}`);
  const selected = selectedOf(facts, table);
  if (typeof selected === 'string') return invalid(selected);
  const keys = wantedKeys(facts.where, table, values);
  if (typeof keys === 'string') return invalid(keys);
  const rows = keys ? table.rows.filter((row) => keys.some((key) => row.get(table.key)?.equals(key) === true)) : table.rows;
  if (!selected.isCount) return { opcode: opcodes.result, body: rowsBody(selected.shape, rows.map(selected.cells)) };
  const count = Buffer.alloc(8);
  count.writeBigInt64BE(BigInt(rows.length));
  return { opcode: opcodes.result, body: rowsBody(selected.shape, [[count]]) };
}

/** The answer to PREPARE of such a SELECT. */
export function prepareVirtual(id: Buffer, version: number, facts: CqlStatement, context: VirtualContext): VirtualAnswer {
  const table = tableOf(facts.table, context);
  if (!table) return invalid(`unconfigured table ${facts.table ?? ''}`);
  const selected = selectedOf(facts, table);
  if (typeof selected === 'string') return invalid(selected);
  const key = table.columns.find(({ name }) => name === table.key);
  const columns = facts.bindNames.map((name) => ({ name: name ?? table.key, type: key?.type ?? text }));
  return { opcode: opcodes.result, body: preparedBody(id, version, { keyspace: 'system', table: table.name, columns }, selected.shape) };
}

/** Bound values without names. */
export function readValues(buffer: Buffer, at: number, end: number, count: number, hasNames: boolean): (Buffer | undefined)[] {
  const reader = new BodyReader(buffer, at, end);
  return Array.from({ length: count }, () => {
    if (hasNames) reader.skipShortBytes();
    return reader.bytes();
  });
}
