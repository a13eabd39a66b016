/**
 * TABLE_MAP: the columns of the row events that follow, in the types of the storage engines; names, signs, character sets and labels as far as
 * `binlog_row_metadata` says. https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html
 */
import { columnType } from './event.ts';
import { Cursor } from './cursor.ts';

export interface MappedColumn {
  /** ENUM and SET by their own types, not STRING as the event has them. */
  readonly type: number;
  /** Bytes of a string, digits of a fraction, width of a length: by type. */
  readonly meta: number;
  /** DECIMAL: digits behind the point. BIT: bytes. */
  readonly meta2: number;
}

export interface TableMap {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly MappedColumn[];
  readonly metadata: ColumnMetadata;
}

/** By index of the column; empty where the server does not say. */
export interface ColumnMetadata {
  readonly names: readonly string[];
  /** Undefined where nothing is said of signs at all. */
  readonly unsigned: ReadonlySet<number> | undefined;
  /** Column → id of its collation; of ENUM and SET too. */
  readonly collations: ReadonlyMap<number, number>;
  /** Labels of ENUM and SET, in the column's character set. */
  readonly labels: ReadonlyMap<number, readonly Buffer[]>;
  readonly primaryKey: readonly number[];
}

const field = {
  signedness: 1, defaultCharset: 2, columnCharset: 3, columnName: 4, setLabels: 5, enumLabels: 6, geometryType: 7, simpleKey: 8, keyWithPrefix: 9, enumAndSetDefaultCharset: 10, enumAndSetColumnCharset: 11,
} as const;

const numeric: ReadonlySet<number> = new Set([columnType.tiny, columnType.short, columnType.int24, columnType.long, columnType.longLong, columnType.float, columnType.double, columnType.newDecimal]);
const character: ReadonlySet<number> = new Set([
  columnType.string, columnType.varString, columnType.varchar, columnType.blob, columnType.tinyBlob, columnType.mediumBlob, columnType.longBlob, columnType.blobCompressed, columnType.varcharCompressed,
]);

export function tableIdOf(body: Buffer): number {
  return body.readUIntLE(0, 6);
}

/** `body`: without header and checksum. `isMariadb`: geometry is among the columns that have a character set. */
export function readTableMap(body: Buffer, isMariadb: boolean): TableMap {
  const cursor = new Cursor().point(body, 8, body.length);
  const schema = readName(cursor);
  const name = readName(cursor);
  const count = cursor.packed();
  const types = cursor.bytes(count);
  const metaBytes = cursor.packed();
  const metaEnd = cursor.at + metaBytes;
  const columns = Array.from({ length: count }, (_, index) => readColumn(cursor, types[index] ?? 0));
  if (cursor.at !== metaEnd) throw new RangeError(`the columns of ${schema}.${name} are described in another form than is known`);
  cursor.skip((count + 7) >> 3);
  return { schema, name, columns, metadata: readMetadata(cursor, columns, isMariadb) };
}

/** A length in one byte, and a zero at the end. */
function readName(cursor: Cursor): string {
  const name = cursor.text(cursor.uint8());
  cursor.skip(1);
  return name;
}

function readColumn(cursor: Cursor, type: number): MappedColumn {
  switch (type) {
    case columnType.varchar:
    case columnType.varString:
    case columnType.varcharCompressed:
      return { type, meta: cursor.uint(2), meta2: 0 };
    case columnType.newDecimal:
      return { type, meta: cursor.uint8(), meta2: cursor.uint8() };
    case columnType.bit: {
      const bits = cursor.uint8();
      return { type, meta: cursor.uint8() * 8 + bits, meta2: 0 };
    }
    case columnType.string:
    case columnType.enum:
    case columnType.set:
      return readStringColumn(cursor.uint8(), cursor.uint8());
    case columnType.float:
    case columnType.double:
    case columnType.blob:
    case columnType.tinyBlob:
    case columnType.mediumBlob:
    case columnType.longBlob:
    case columnType.blobCompressed:
    case columnType.geometry:
    case columnType.json:
    case columnType.vector:
    case columnType.timestamp2:
    case columnType.datetime2:
    case columnType.time2:
      return { type, meta: cursor.uint8(), meta2: 0 };
    default:
      return { type, meta: 0, meta2: 0 };
  }
}

/** The real type, with two bits of a length above 255 hidden in it, turned around. */
function readStringColumn(type: number, length: number): MappedColumn {
  if ((type & 0x30) === 0x30) return { type, meta: length, meta2: 0 };
  return { type: type | 0x30, meta: length | (((type & 0x30) ^ 0x30) << 4), meta2: 0 };
}

function readMetadata(cursor: Cursor, columns: readonly MappedColumn[], isMariadb: boolean): ColumnMetadata {
  const names: string[] = [];
  const collations = new Map<number, number>();
  const labels = new Map<number, readonly Buffer[]>();
  const primaryKey: number[] = [];
  let unsigned: Set<number> | undefined;
  const indexesOf = (matches: (type: number) => boolean): number[] => columns.flatMap(({ type }, index) => (matches(type) ? [index] : []));
  const texts = (): number[] => indexesOf((type) => character.has(type) || (isMariadb && type === columnType.geometry));
  const choices = (): number[] => indexesOf((type) => type === columnType.enum || type === columnType.set);
  while (cursor.left > 0) {
    const kind = cursor.uint8();
    const end = cursor.packed() + cursor.at;
    const part = new Cursor().point(cursor.buffer, cursor.at, end);
    switch (kind) {
      case field.signedness:
        unsigned = readUnsigned(part, indexesOf((type) => numeric.has(type)));
        break;
      case field.defaultCharset:
        readDefaultCollations(part, texts(), collations);
        break;
      case field.enumAndSetDefaultCharset:
        readDefaultCollations(part, choices(), collations);
        break;
      case field.columnCharset:
        for (const index of texts()) collations.set(index, part.packed());
        break;
      case field.enumAndSetColumnCharset:
        for (const index of choices()) collations.set(index, part.packed());
        break;
      case field.columnName:
        while (part.left > 0) names.push(part.text(part.packed()));
        break;
      case field.setLabels:
        for (const index of indexesOf((type) => type === columnType.set)) labels.set(index, readLabels(part));
        break;
      case field.enumLabels:
        for (const index of indexesOf((type) => type === columnType.enum)) labels.set(index, readLabels(part));
        break;
      case field.simpleKey:
        while (part.left > 0) primaryKey.push(part.packed());
        break;
      case field.keyWithPrefix:
        while (part.left > 0) {
          primaryKey.push(part.packed());
          part.packed();
        }
        break;
      default:
    }
    cursor.at = end;
  }
  return { names, unsigned, collations, labels, primaryKey };
}

/** One bit for each number column, the first in the highest bit. */
function readUnsigned(part: Cursor, indexes: readonly number[]): Set<number> {
  const bits = part.bytes(part.left);
  return new Set(indexes.filter((_, place) => (((bits[place >> 3] ?? 0) >> (7 - (place & 7))) & 1) === 1));
}

/** The commonest collation, then the columns that have another: place among the columns of their kind, collation. */
function readDefaultCollations(part: Cursor, indexes: readonly number[], collations: Map<number, number>): void {
  const common = part.packed();
  for (const index of indexes) collations.set(index, common);
  while (part.left > 0) {
    const index = indexes[part.packed()];
    const collation = part.packed();
    if (index !== undefined) collations.set(index, collation);
  }
}

function readLabels(part: Cursor): readonly Buffer[] {
  return Array.from({ length: part.packed() }, () => part.bytes(part.packed()));
}
