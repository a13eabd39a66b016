/**
 * Rows as Cassandra keeps them: cells with timestamps, tombstones and times of expiry, of which the newest wins in whatever order
 * they come. Nothing is ever thrown away, so that two stores that were given the same writes hold the same, late ones included.
 */
import { murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';
import type { CqlType } from '../../../grammar/cql/type.ts';
import { compare } from './values.ts';

export interface Column {
  readonly name: string;
  readonly type: CqlType;
  readonly kind: 'partition_key' | 'clustering' | 'regular' | 'static';
  /** Of key columns, from 0; −1 for the others. */
  readonly position: number;
  readonly isDescending: boolean;
}

export interface Cell {
  readonly timestamp: bigint;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
  readonly ttl: number;
  /** In seconds since 1970; 0 for never. */
  readonly expiresAt: number;
}

/** A column's cells: one, or one for each element behind the last overwrite. */
export interface CellGroup {
  deletedAt: bigint;
  simple: Cell | undefined;
  elements: Map<string, Cell> | undefined;
  /** Counters are added to, and know no last write. */
  count: bigint | undefined;
}

export interface Row {
  readonly clustering: readonly Buffer[];
  marker: Cell | undefined;
  deletedAt: bigint;
  readonly cells: Map<string, CellGroup>;
}

/** A deleted slice of a partition: rows whose clustering begins with `prefix`, and whose next column is within the bounds. */
export interface RangeTombstone {
  readonly prefix: readonly Buffer[];
  readonly lower: { readonly value: Buffer; readonly isInclusive: boolean } | undefined;
  readonly upper: { readonly value: Buffer; readonly isInclusive: boolean } | undefined;
  readonly timestamp: bigint;
}

export interface Partition {
  readonly key: readonly Buffer[];
  readonly token: bigint;
  readonly order: string;
  deletedAt: bigint;
  readonly statics: Row;
  readonly rows: Map<string, Row>;
  sorted: Row[] | undefined;
  readonly ranges: RangeTombstone[];
}

export const never = -(2n ** 63n);

export class Table {
  readonly keyspace: string;
  readonly name: string;
  readonly id: Buffer;
  columns: Column[];
  readonly options: Map<string, string>;
  readonly partitions = new Map<string, Partition>();
  #sorted: Partition[] | undefined;

  constructor(keyspace: string, name: string, id: Buffer, columns: Column[], options: Map<string, string>) {
    this.keyspace = keyspace;
    this.name = name;
    this.id = id;
    this.columns = columns;
    this.options = options;
  }

  get partitionKey(): Column[] {
    return this.columns.filter(({ kind }) => kind === 'partition_key').sort((a, b) => a.position - b.position);
  }

  get clustering(): Column[] {
    return this.columns.filter(({ kind }) => kind === 'clustering').sort((a, b) => a.position - b.position);
  }

  get isCounter(): boolean {
    return this.columns.some(({ type }) => type.kind === 'native' && type.name === 'counter');
  }

  column(name: string): Column | undefined {
    return this.columns.find((column) => column.name === name);
  }

  partition(key: readonly Buffer[]): Partition {
    const order = partitionKeyBytes(key);
    const id = Buffer.from(order).toString('hex');
    let found = this.partitions.get(id);
    if (found === undefined) {
      found = { key: key.map((part) => Buffer.from(part)), token: murmur3Token(order), order: id, deletedAt: never, statics: newRow([]), rows: new Map(), sorted: undefined, ranges: [] };
      this.partitions.set(id, found);
      this.#sorted = undefined;
    }
    return found;
  }

  find(key: readonly Buffer[]): Partition | undefined {
    return this.partitions.get(Buffer.from(partitionKeyBytes(key)).toString('hex'));
  }

  row(partition: Partition, clustering: readonly Buffer[]): Row {
    const id = rowId(clustering);
    let found = partition.rows.get(id);
    if (found === undefined) {
      found = newRow(clustering.map((part) => Buffer.from(part)));
      partition.rows.set(id, found);
      partition.sorted = undefined;
    }
    return found;
  }

  /** By token, then by key. */
  inOrder(): readonly Partition[] {
    this.#sorted ??= [...this.partitions.values()].sort((a, b) => (a.token < b.token ? -1 : a.token > b.token ? 1 : a.order < b.order ? -1 : 1));
    return this.#sorted;
  }

  rowsInOrder(partition: Partition): readonly Row[] {
    const columns = this.clustering;
    partition.sorted ??= [...partition.rows.values()].sort((a, b) => compareClustering(columns, a.clustering, b.clustering));
    return partition.sorted;
  }

  truncate(): void {
    this.partitions.clear();
    this.#sorted = undefined;
  }

  /** The newest deletion that a row of the partition lies under, its own included. */
  deletionOf(partition: Partition, row: Row): bigint {
    if (row === partition.statics) return partition.deletedAt;
    let newest = row.deletedAt > partition.deletedAt ? row.deletedAt : partition.deletedAt;
    const columns = this.clustering;
    for (const range of partition.ranges) if (range.timestamp > newest && covers(columns, range, row.clustering)) newest = range.timestamp;
    return newest;
  }
}

export function newRow(clustering: readonly Buffer[]): Row {
  return { clustering, marker: undefined, deletedAt: never, cells: new Map() };
}

export function rowId(clustering: readonly Buffer[]): string {
  return clustering.map((part) => part.toString('hex')).join('.');
}

export function compareClustering(columns: readonly Column[], a: readonly Buffer[], b: readonly Buffer[]): number {
  for (const [index, { type, isDescending }] of columns.entries()) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return 0;
    const difference = compare(type, left, right);
    if (difference !== 0) return isDescending ? -difference : difference;
  }
  return 0;
}

function covers(columns: readonly Column[], { prefix, lower, upper }: RangeTombstone, clustering: readonly Buffer[]): boolean {
  if (!prefix.every((part, index) => clustering[index]?.equals(part))) return false;
  const type = columns[prefix.length]?.type;
  const value = clustering[prefix.length];
  if (type === undefined || value === undefined) return true;
  const isAbove = lower === undefined || (lower.isInclusive ? compare(type, value, lower.value) >= 0 : compare(type, value, lower.value) > 0);
  return isAbove && (upper === undefined || (upper.isInclusive ? compare(type, value, upper.value) <= 0 : compare(type, value, upper.value) < 0));
}

/** The winner of two cells in one place, whichever came first. */
export function newerCell(a: Cell | undefined, b: Cell): Cell {
  if (a === undefined) return b;
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp ? a : b;
  const ends = (cell: Cell): boolean => cell.value === null || cell.expiresAt > 0;
  if (ends(a) !== ends(b)) return ends(a) ? a : b;
  if (ends(a) && (a.value === null) !== (b.value === null)) return a.value === null ? a : b;
  if (a.expiresAt !== b.expiresAt) return a.expiresAt > b.expiresAt ? a : b;
  if (a.value === null || b.value === null) return a;
  return Buffer.compare(a.value, b.value) >= 0 ? a : b;
}

export function groupOf(row: Row, column: string): CellGroup {
  let group = row.cells.get(column);
  if (group === undefined) {
    group = { deletedAt: never, simple: undefined, elements: undefined, count: undefined };
    row.cells.set(column, group);
  }
  return group;
}

export function writeCell(row: Row, column: string, cell: Cell): void {
  const group = groupOf(row, column);
  group.simple = newerCell(group.simple, cell);
}

export function writeElement(row: Row, column: string, path: string, cell: Cell): void {
  const group = groupOf(row, column);
  group.elements ??= new Map();
  group.elements.set(path, newerCell(group.elements.get(path), cell));
}

export function deleteGroup(row: Row, column: string, timestamp: bigint): void {
  const group = groupOf(row, column);
  if (timestamp > group.deletedAt) group.deletedAt = timestamp;
  if (group.count !== undefined) group.count = undefined;
}

export function isLive(cell: Cell | undefined, deletedAt: bigint, nowSeconds: number): cell is Cell & { readonly value: Buffer } {
  return cell !== undefined && cell.value !== null && cell.timestamp > deletedAt && (cell.expiresAt === 0 || cell.expiresAt > nowSeconds);
}

/** Elements that are there, by path: of lists in their order, of the others as their type orders them. */
export function liveElements(group: CellGroup | undefined, deletedAt: bigint, nowSeconds: number, type: CqlType): [path: string, cell: Cell & { readonly value: Buffer }][] {
  if (!group?.elements) return [];
  const least = group.deletedAt > deletedAt ? group.deletedAt : deletedAt;
  const found: [string, Cell & { readonly value: Buffer }][] = [];
  for (const [path, cell] of group.elements) if (isLive(cell, least, nowSeconds)) found.push([path, cell]);
  const keyType = type.kind === 'set' ? type.of : type.kind === 'map' ? type.key : undefined;
  return found.sort(([a], [b]) => (keyType ? compare(keyType, Buffer.from(a, 'hex'), Buffer.from(b, 'hex')) : a < b ? -1 : 1));
}
