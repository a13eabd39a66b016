/** A column as the load and the checksums need it: its type on MySQL, and how its values become local's. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { quoteText } from './quote.ts';

/** From the canonical text of a value to the text that local reads. */
export type ToLocal = (text: string) => string | null;

/** What needs no conversion: whoever finds this very function may hand the bytes on unread. */
export const asItIs: ToLocal = (text) => text;

export interface SourceColumn {
  readonly name: string;
  /** `int`, `varchar`, `enum` …, lower case, without its parentheses. */
  readonly type: string;
  /** Of BIT: its bits. */
  readonly length: number | undefined;
  /** Digits behind the point of a time. */
  readonly fraction: number;
  readonly isUnsigned: boolean;
  readonly isZerofill: boolean;
  /** Of characters; undefined for every other type. */
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  readonly toLocal: ToLocal;
  /** The conversion changes only what is out of the ordinary: a text with a NUL in it, a date with a part that is zero. Such values alone are given to it. */
  readonly keepsOrdinary: boolean;
}

/** What the server's catalog says of a column; the rest is the type map's. */
export type ColumnFacts = Omit<SourceColumn, 'toLocal' | 'keepsOrdinary'>;
export type MapColumn = (column: ColumnFacts) => Pick<SourceColumn, 'toLocal' | 'keepsOrdinary'>;

/** One statement; every value as the server prints it. */
export type AskMysql = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** In the order of `names`. Throws MIG010, MIG011. */
export async function readSourceColumns(ask: AskMysql, table: QualifiedName, names: readonly string[], map: MapColumn): Promise<readonly SourceColumn[]> {
  const rows = await ask(`SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = ${quoteText(table.schema)} AND TABLE_NAME = ${quoteText(table.name)}`);
  if (rows.length === 0) throw new MigrationError('MIG010', `Source table ${table.schema}.${table.name} not found`);
  const found = new Map(rows.map((row) => [row[0] ?? '', row]));
  return names.map((name) => {
    const row = found.get(name);
    if (!row) throw new MigrationError('MIG011', `The source table has no column ${name}`, { tableName: table.name });
    const [, type, whole, fraction, charset, collation] = row;
    const attributes = (whole ?? '').toLowerCase();
    const column = {
      name, type: (type ?? '').toLowerCase(), length: Number(/\((\d+)/.exec(attributes)?.[1] ?? Number.NaN) || undefined, fraction: Number(fraction ?? 0),
      isUnsigned: /\bunsigned\b/.test(attributes), isZerofill: /\bzerofill\b/.test(attributes), charset: charset ?? undefined, collation: collation ?? undefined,
    };
    return { ...column, ...map(column) };
  });
}

const byteTypes = /^(?:binary|varbinary|(?:tiny|medium|long)?blob|vector|geometry|geomcollection|geometrycollection|(?:multi)?(?:point|linestring|polygon))$/;

export function isBytes(column: Pick<SourceColumn, 'type'>): boolean {
  return byteTypes.test(column.type);
}

export function isCharacters(column: Pick<SourceColumn, 'type'>): boolean {
  return /^(?:char|varchar|(?:tiny|medium|long)?text)$/.test(column.type);
}
