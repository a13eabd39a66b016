/**
 * The statements that make a row on the target what it is on the source, cell by cell: one per write time and time to live that the row's cells have, each
 * naming what it does not write as *unset*, since a null would be a tombstone. Collections and UDTs are added to and not replaced: replacing writes a tombstone of
 * its own, and would take away what a dual write has put there meanwhile.
 *
 * A row made by INSERT has a marker that keeps it when all its cells are gone; CQL does not show it. `oldest-write` gives the row one with the time of
 * its oldest cells, which are those of the INSERT as long as one of them is left; a row of UPDATEs alone gets one that it did not have. `when-needed` gives one only to
 * rows without cells, which cannot be without.
 */
import type { Cell } from './cells.ts';
import { joinElements } from './cells.ts';
import type { BoundStatement, BoundValue } from './cluster.ts';
import { unset } from './cluster.ts';
import { writeBigint, writeInt } from './raw-values.ts';
import type { RowPart, TableRow } from './row-reader.ts';
import { quoteName, quoteTable } from './table.ts';
import type { CassandraColumn, CassandraTable, TableName } from './table.ts';

export type RowMarkers = 'oldest-write' | 'when-needed';

export interface StatementOptions {
  readonly rowMarkers: RowMarkers;
  /** Microseconds, for what has no time that could be read: no later than the first write that the target gets from applications. */
  readonly assumedTime: bigint;
}

/** Cells of one row that share write time and time to live. */
interface Group {
  readonly time: bigint;
  /** Seconds; 0 = for ever. */
  readonly ttl: number;
  readonly cells: Cell[];
}

/** A place of the UPDATE that one value is bound to. */
interface Place {
  readonly column: CassandraColumn;
  readonly field: number | undefined;
}

export class RowStatements {
  readonly #options: StatementOptions;
  readonly #keys: { readonly [part in RowPart]: readonly CassandraColumn[] };
  readonly #places: { readonly [part in RowPart]: readonly Place[] };
  readonly #updates: { readonly [part in RowPart]: string };
  readonly #insert: string;
  readonly #inserted: readonly CassandraColumn[];
  readonly #source: CassandraTable;
  readonly #target: string;

  /** `source` says what the rows have, `target` where they go. */
  constructor(source: CassandraTable, target: TableName, options: StatementOptions) {
    this.#options = options;
    this.#source = source;
    this.#target = quoteTable(target);
    this.#keys = { rows: [...source.partitionKey, ...source.clustering], statics: source.partitionKey };
    this.#places = { rows: placesOf(source.regulars), statics: placesOf(source.statics) };
    this.#updates = { rows: this.#update('rows'), statics: this.#update('statics') };
    this.#inserted = source.regulars.filter(({ shape }) => shape === 'plain');
    const names = [...this.#keys.rows, ...this.#inserted].map(({ name }) => quoteName(name));
    this.#insert = `INSERT INTO ${this.#target} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) USING TIMESTAMP ? AND TTL ?`;
  }

  /** All but lists and counters. Undefined when every cell has expired since the row was read: whether the row is still there the source has to say. */
  of(row: TableRow, nowMs: number): readonly BoundStatement[] | undefined {
    const groups = this.#groupsOf(row, nowMs);
    if (groups.length === 0 && row.cells.length > 0) return undefined;
    const statements: BoundStatement[] = [];
    const marker = row.part === 'rows' ? this.#markerOf(row, groups) : undefined;
    if (marker !== undefined) statements.push(this.#insertOf(row, marker));
    for (const group of groups) {
      const cells = group.cells.filter(({ column }) => column.shape !== 'list' && (group !== marker || column.shape !== 'plain'));
      if (cells.length > 0) statements.push(this.#updateOf(row, group, cells));
    }
    return statements;
  }

  /** Replaces the whole list, whose elements have places that only the server gives. */
  replaceList(row: TableRow, cell: Cell, time: bigint, nowMs: number): BoundStatement | undefined {
    const ttl = secondsLeft(cell, row, nowMs);
    if (ttl === undefined) return undefined;
    const where = this.#keys[row.part].map(({ name }) => `${quoteName(name)} = ?`).join(' AND ');
    return { text: `UPDATE ${this.#target} USING TIMESTAMP ? AND TTL ? SET ${quoteName(cell.column.name)} = ? WHERE ${where}`, values: [writeBigint(time), writeInt(ttl), cell.value, ...row.partitionKey, ...row.clustering] };
  }

  #groupsOf(row: TableRow, nowMs: number): readonly Group[] {
    const groups = new Map<string, Group>();
    for (const cell of row.cells) {
      const ttl = secondsLeft(cell, row, nowMs);
      if (ttl === undefined) continue;
      const time = cell.writetime ?? this.#options.assumedTime;
      const name = `${time}/${ttl}`;
      const group = groups.get(name);
      if (group === undefined) groups.set(name, { time, ttl, cells: [cell] });
      else group.cells.push(cell);
    }
    return [...groups.values()];
  }

  #markerOf(row: TableRow, groups: readonly Group[]): Group | undefined {
    if (row.cells.length === 0) return { time: this.#options.assumedTime, ttl: this.#source.defaultTtl, cells: [] };
    if (this.#options.rowMarkers === 'when-needed') return undefined;
    return groups.reduce((oldest, group) => (group.time < oldest.time || (group.time === oldest.time && (group.ttl === 0 || (oldest.ttl !== 0 && group.ttl > oldest.ttl))) ? group : oldest));
  }

  #insertOf(row: TableRow, { time, ttl, cells }: Group): BoundStatement {
    const values = this.#inserted.map((column) => cells.find((cell) => cell.column === column)?.value ?? unset);
    return { text: this.#insert, values: [...row.partitionKey, ...row.clustering, ...values, writeBigint(time), writeInt(ttl)] };
  }

  #updateOf(row: TableRow, { time, ttl }: Group, cells: readonly Cell[]): BoundStatement {
    const values = this.#places[row.part].map(({ column, field }): BoundValue => {
      const own = cells.filter((cell) => cell.column === column && (field === undefined || cell.path === field));
      const [first] = own;
      if (first === undefined) return unset;
      switch (column.shape) {
        case 'set':
          return joinElements(own.map(({ path }) => pathBytes(path)), own.length);
        case 'map':
          return joinElements(own.flatMap(({ path, value }) => [pathBytes(path), value]), own.length);
        default:
          return first.value;
      }
    });
    return { text: this.#updates[row.part], values: [writeBigint(time), writeInt(ttl), ...values, ...row.partitionKey, ...row.clustering] };
  }

  #update(part: RowPart): string {
    const sets = this.#places[part].map(({ column, field }) => {
      const name = quoteName(column.name);
      if (column.shape === 'udt') return `${name}.${quoteName(column.fields[field ?? 0] ?? '')} = ?`;
      return column.shape === 'plain' ? `${name} = ?` : `${name} = ${name} + ?`;
    });
    return `UPDATE ${this.#target} USING TIMESTAMP ? AND TTL ? SET ${sets.join(', ')} WHERE ${this.#keys[part].map(({ name }) => `${quoteName(name)} = ?`).join(' AND ')}`;
  }
}

function placesOf(columns: readonly CassandraColumn[]): readonly Place[] {
  return columns.flatMap((column): Place[] => {
    if (column.shape === 'udt') return column.fields.map((_, field) => ({ column, field }));
    return column.shape === 'list' || column.shape === 'counter' ? [] : [{ column, field: undefined }];
  });
}

function pathBytes(path: Buffer | number | undefined): Buffer {
  if (!Buffer.isBuffer(path)) throw new TypeError('an element of a collection without a path');
  return path;
}

/** 0 = for ever; undefined = it has expired since it was read. */
function secondsLeft(cell: Cell, row: TableRow, nowMs: number): number | undefined {
  if (cell.ttl === undefined) return 0;
  const left = cell.ttl - Math.floor((nowMs - row.readAtMs) / 1000);
  return left > 0 ? left : undefined;
}
