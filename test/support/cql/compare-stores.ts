/**
 * Two stores cell by cell: values, timestamps, times of expiry and row markers of all that can be seen. Elements of lists are
 * compared by their order, since the places where they are kept are each cluster's own.
 */
import { isMultiCell } from '../../../grammar/cql/type.ts';
import type { Database } from './database.ts';
import { isLive, liveElements } from './store.ts';
import type { Cell, Row, Table } from './store.ts';

export interface CompareOptions {
  readonly maxExpirySlackSeconds?: (table: string) => number;
  /** Where the clusters' own clocks have written (lightweight transactions, lists): only values. */
  readonly isTimed?: (table: string, column: string) => boolean;
  /** What is not compared at all. */
  readonly isCompared?: (table: string, column: string) => boolean;
  readonly maxDifferences?: number;
}

interface Entry { readonly value: string; readonly timestamp: bigint; readonly expiresAt: number }

export interface Comparison { readonly cells: number; readonly differences: readonly string[] }

export function compareStores(left: Database, right: Database, options: CompareOptions = {}): Comparison {
  const differences: string[] = [];
  let cells = 0;
  const nowSeconds = Math.max(left.nowSeconds, right.nowSeconds);
  const most = options.maxDifferences ?? 50;
  const slack = (table: string): number => options.maxExpirySlackSeconds?.(table) ?? 0;
  const names = new Set([...left.userTables(), ...right.userTables()].map(({ keyspace, name }) => `${keyspace}.${name}`));
  for (const name of names) {
    const find = (database: Database): Table | undefined => database.userTables().find((table) => `${table.keyspace}.${table.name}` === name);
    const [a, b] = [find(left), find(right)];
    if (!a || !b) {
      differences.push(`${name} is missing ${a ? 'right' : 'left'}`);
      continue;
    }
    const [ours, theirs] = [entriesOf(a, nowSeconds, options), entriesOf(b, nowSeconds, options)];
    cells += ours.size;
    for (const [key, entry] of ours) {
      const other = theirs.get(key);
      const isNearEnd = entry.expiresAt !== 0 && entry.expiresAt - nowSeconds <= slack(name);
      if (!other && isNearEnd) continue;
      const why = other ? differenceOf(entry, other, options, name, key) : `${print(entry)} is missing right`;
      if (why !== undefined && differences.length < most) differences.push(`${name} ${key}: ${why}`);
    }
    for (const [key, entry] of theirs) {
      const isNearEnd = entry.expiresAt !== 0 && entry.expiresAt - nowSeconds <= slack(name);
      if (!ours.has(key) && !isNearEnd && differences.length < most) differences.push(`${name} ${key}: ${print(entry)} is missing left`);
    }
  }
  return { cells, differences };
}

function differenceOf(a: Entry, b: Entry, options: CompareOptions, table: string, key: string): string | undefined {
  if (a.value !== b.value) return `${print(a)} | ${print(b)}`;
  const column = key.split(' ')[2] ?? '';
  if (options.isTimed?.(table, column) === false) return undefined;
  if (a.timestamp !== b.timestamp) return `${print(a)} | ${print(b)}`;
  const isEitherForEver = (a.expiresAt === 0) !== (b.expiresAt === 0);
  return isEitherForEver || Math.abs(a.expiresAt - b.expiresAt) > (options.maxExpirySlackSeconds?.(table) ?? 0) ? `${print(a)} | ${print(b)}` : undefined;
}

function print({ value, timestamp, expiresAt }: Entry): string {
  return `${value}@${timestamp}${expiresAt === 0 ? '' : `…${expiresAt}`}`;
}

/** `key clustering column element` → what is there. */
function entriesOf(table: Table, nowSeconds: number, { isCompared }: CompareOptions): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const full = `${table.keyspace}.${table.name}`;
  for (const partition of table.inOrder()) {
    for (const row of [partition.statics, ...table.rowsInOrder(partition)]) {
      const at = `${partition.order} ${row === partition.statics ? 'static' : row.clustering.map((part) => part.toString('hex')).join('.')}`;
      const deletedAt = table.deletionOf(partition, row);
      if (isLive(row.marker, deletedAt, nowSeconds) && isCompared?.(full, 'row') !== false) found.set(`${at} row`, entry(row.marker));
      for (const [name, { value, timestamp, expiresAt }] of cellsOf(table, row, deletedAt, nowSeconds)) {
        if (isCompared?.(full, name.split(' ')[0] ?? name) !== false) found.set(`${at} ${name}`, { value, timestamp, expiresAt });
      }
    }
  }
  return found;
}

function* cellsOf(table: Table, row: Row, deletedAt: bigint, nowSeconds: number): Generator<[string, Entry]> {
  for (const [name, group] of row.cells) {
    const column = table.column(name);
    if (!column) continue;
    if (group.count !== undefined) yield [name, { value: String(group.count), timestamp: 0n, expiresAt: 0 }];
    else if (!isMultiCell(column.type)) {
      if (isLive(group.simple, deletedAt, nowSeconds)) yield [name, entry(group.simple)];
    } else {
      const elements = liveElements(group, deletedAt, nowSeconds, column.type);
      for (const [index, [path, cell]] of elements.entries()) yield [`${name} ${column.type.kind === 'list' ? index : path}`, entry(cell)];
    }
  }
}

function entry(cell: Cell & { readonly value: Buffer }): Entry {
  return { value: cell.value.toString('hex'), timestamp: cell.timestamp, expiresAt: cell.expiresAt };
}
