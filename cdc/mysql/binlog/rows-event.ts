/** Row events of all versions to rows of text. https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html */
import { inflateSync } from 'node:zlib';
import type { ValueReader } from './column-readers.ts';
import { Cursor } from './cursor.ts';
import { eventType } from './event.ts';
import type { CapturedTable, Row, RowsChange, Value } from './transaction.ts';

export interface BoundTable {
  readonly table: CapturedTable;
  readonly readers: readonly ValueReader[];
}

export interface RowsKind {
  readonly op: RowsChange['op'];
  readonly hasExtra: boolean;
  readonly isCompressed: boolean;
}

const kind = (op: RowsChange['op'], hasExtra: boolean, isCompressed: boolean): RowsKind => ({ op, hasExtra, isCompressed });
const kinds: ReadonlyMap<number, RowsKind> = new Map([
  [eventType.writeRowsV1, kind('insert', false, false)], [eventType.updateRowsV1, kind('update', false, false)], [eventType.deleteRowsV1, kind('delete', false, false)],
  [eventType.writeRows, kind('insert', true, false)], [eventType.updateRows, kind('update', true, false)], [eventType.deleteRows, kind('delete', true, false)],
  [eventType.writeRowsCompressedV1, kind('insert', false, true)], [eventType.updateRowsCompressedV1, kind('update', false, true)], [eventType.deleteRowsCompressedV1, kind('delete', false, true)],
  [eventType.writeRowsCompressed, kind('insert', true, true)], [eventType.updateRowsCompressed, kind('update', true, true)], [eventType.deleteRowsCompressed, kind('delete', true, true)],
]);

export function rowsKind(type: number): RowsKind | undefined {
  return kinds.get(type);
}

/** Adds the rows of the event to `old` and `new`. `body`: without header and checksum. */
export function readRows(body: Buffer, { op, hasExtra, isCompressed }: RowsKind, bound: BoundTable, rows: { readonly old: Row[]; readonly new: Row[] }): void {
  if (bound.table.unreadable) {
    if (op !== 'insert') rows.old.push([]);
    if (op !== 'delete') rows.new.push([]);
    return;
  }
  const cursor = new Cursor().point(body, 8, body.length);
  if (hasExtra) cursor.skip(cursor.uint(2) - 2);
  const count = cursor.packed();
  const bitmapBytes = (count + 7) >> 3;
  const first = presentColumns(cursor.bytes(bitmapBytes), count);
  const second = op === 'update' ? presentColumns(cursor.bytes(bitmapBytes), count) : first;
  if (count !== bound.readers.length) throw new RangeError(`${bound.table.schema}.${bound.table.name} has ${bound.readers.length} columns, its rows ${count}`);
  if (isCompressed) {
    const plain = decompress(body.subarray(cursor.at));
    cursor.point(plain, 0, plain.length);
  }
  while (cursor.left > 0) {
    if (op !== 'insert') rows.old.push(readRow(cursor, bound.readers, first));
    if (op !== 'delete') rows.new.push(readRow(cursor, bound.readers, second));
  }
}

/** Indexes of the columns that the row image has; undefined for all of them. */
function presentColumns(bitmap: Buffer, count: number): readonly number[] | undefined {
  const present: number[] = [];
  for (let index = 0; index < count; index += 1) if ((((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1) present.push(index);
  return present.length === count ? undefined : present;
}

function readRow(cursor: Cursor, readers: readonly ValueReader[], present: readonly number[] | undefined): Row {
  const count = present ? present.length : readers.length;
  const nulls = cursor.skip((count + 7) >> 3);
  const { buffer } = cursor;
  const row = new Array<Value>(readers.length);
  if (present) row.fill(undefined);
  for (let place = 0; place < count; place += 1) {
    const index = present ? (present[place] as number) : place;
    row[index] = (((buffer[nulls + (place >> 3)] as number) >> (place & 7)) & 1) === 1 ? null : (readers[index] as ValueReader)(cursor);
  }
  return row;
}

/**
 * MariaDB's compressed part of an event: 0x80 and the bytes of the length, which follows, high byte first; zlib data.
 * https://mariadb.com/kb/en/compressing-events-to-reduce-size-of-the-binary-log/
 */
export function decompress(data: Buffer): Buffer {
  const head = data[0] ?? 0;
  const method = (head & 0x70) >> 4;
  if ((head & 0x80) === 0 || method !== 0) throw new RangeError(`a compressed event uses method ${method}`);
  const lengthBytes = head & 7;
  const plain = inflateSync(data.subarray(1 + lengthBytes));
  if (plain.length !== data.readUIntBE(1, lengthBytes)) throw new RangeError('a compressed event has another length than it says');
  return plain;
}
