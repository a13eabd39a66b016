/** One captured change on its way to a target: places in a buffer, not values. */
import { latin1, readTuple, skipValue, uint16, uint32, valueKind } from '../postgres/pgoutput.ts';
import type { RowRef } from './row-set.ts';
import type { BoundColumn } from './bound-table.ts';
import type { TableBinding } from './table-binding.ts';

export interface SourceTransaction {
  readonly transactionId: number;
  readonly commitLsn: bigint;
  readonly committedAtMs: number;
}

export type ChangeRecord = RowRecord | TruncateRecord;

export interface RowRecord {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: TableBinding;
  readonly transaction: SourceTransaction;
  readonly buffer: Buffer;
  /** −1 where the change has none. */
  readonly oldAt: number;
  readonly newAt: number;
  readonly oldIsKeyOnly: boolean;
}

export interface TruncateRecord {
  readonly op: 'truncate';
  readonly tables: readonly TableBinding[];
  readonly transaction: SourceTransaction;
  readonly restartIdentity: boolean;
}

/** The key's text as a map key: equal for equal keys when the table is foldable. */
export function keyOf(table: TableBinding, { buffer, at }: RowRef): string {
  const places = table.keyPlaces;
  if (places.length === 1) return valueText(buffer, placeOf(buffer, at, places[0] ?? 0));
  return places.map((place) => valueText(buffer, placeOf(buffer, at, place))).map((text) => `${text.length}:${text}`).join('');
}

function valueText(buffer: Buffer, at: number): string {
  return buffer[at] === valueKind.text ? latin1(buffer, at + 5, at + 5 + uint32(buffer, at + 1)) : '';
}

/** Offset of the value with this index in the tuple at `at`. */
export function placeOf(buffer: Buffer, at: number, index: number): number {
  let next = at + 2;
  for (let left = index; left > 0; left -= 1) next = skipValue(buffer, next);
  return next;
}

/** The newer image, with the values that it leaves out taken from the older one. */
export function mergeRows(older: RowRef, newer: RowRef): RowRef {
  const count = uint16(newer.buffer, newer.at);
  const parts: Buffer[] = [newer.buffer.subarray(newer.at, newer.at + 2)];
  let oldNext = older.at + 2;
  let newNext = newer.at + 2;
  for (let column = 0; column < count; column += 1) {
    const oldEnd = skipValue(older.buffer, oldNext);
    const newEnd = skipValue(newer.buffer, newNext);
    const isLeftOut = newer.buffer[newNext] === valueKind.unchanged;
    parts.push(isLeftOut ? older.buffer.subarray(oldNext, oldEnd) : newer.buffer.subarray(newNext, newEnd));
    oldNext = oldEnd;
    newNext = newEnd;
  }
  return { buffer: Buffer.concat(parts), at: 0 };
}

/** The bound columns whose value the image holds. */
export function presentColumns(table: TableBinding, row: RowRef): readonly BoundColumn[] {
  const values = readKinds(row);
  return table.columns.filter((column) => values[column.at] !== valueKind.unchanged);
}

function readKinds({ buffer, at }: RowRef): readonly (number | undefined)[] {
  const kinds: (number | undefined)[] = [];
  let next = at + 2;
  for (let left = uint16(buffer, at); left > 0; left -= 1) {
    kinds.push(buffer[next]);
    next = skipValue(buffer, next);
  }
  return kinds;
}

export function newRow(record: RowRecord): RowRef {
  return { buffer: record.buffer, at: record.newAt };
}

export function oldRow(record: RowRecord): RowRef {
  return { buffer: record.buffer, at: record.oldAt };
}

/** The image after the change, completed from a full old image where the source sent one. */
export function completedRow(record: RowRecord): RowRef {
  const after = newRow(record);
  return record.oldAt >= 0 && !record.oldIsKeyOnly ? mergeRows(oldRow(record), after) : after;
}

/** JSON array of the key's values in the key's order, as stored in `causeway.reread` and shown to operators. */
export function keyJson(table: TableBinding, row: RowRef): string {
  const values = readTuple(row.buffer, row.at);
  const columns = table.keyColumns.length > 0 ? table.keyColumns : table.columns;
  return JSON.stringify(columns.map((column) => values[column.at] ?? null));
}

/** Column name → text; values that the source left out are absent. */
export function rowImage(table: TableBinding, row: RowRef): Readonly<Record<string, string | null>> {
  const values = readTuple(row.buffer, row.at);
  return Object.fromEntries(table.columns.flatMap((column) => {
    const value = values[column.at];
    return value === undefined ? [] : [[column.plan.name, value] as const];
  }));
}
