/** Decides whether rows can go from one server to the other in the binary format of COPY. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { CopyFormat } from '../snapshot/chunk.ts';
import type { CopyConnection } from './copy-connection.ts';
import { quoteLiteral, quoteTable } from './quote.ts';

/** A column's type below one domain. */
export interface WireType {
  readonly oid: number;
  readonly name: string;
  /** `pg_type.typtype`. */
  readonly kind: string;
  readonly hasBinary: boolean;
}

/** Types with an OID below this are the same on every server. https://www.postgresql.org/docs/current/system-catalog-initial-data.html */
const FIRST_NORMAL_OBJECT_ID = 16384;

/**
 * Binary where every column's type is built in and the same on both sides, or an enum on both (its binary form is the label).
 * Extension types, composites and arrays of user types carry OIDs or versions of their own, and the `reg…` types are OIDs that
 * mean another object on the other server: those go as text. A built-in type's binary form is the same from version 10 to 18.
 */
export function chooseFormat(columns: readonly string[], source: ReadonlyMap<string, WireType>, target: ReadonlyMap<string, WireType>): CopyFormat {
  const fits = columns.every((name) => {
    const from = source.get(name);
    const to = target.get(name);
    if (!from || !to || !from.hasBinary || !to.hasBinary) return false;
    if (from.kind === 'e') return to.kind === 'e';
    return from.oid === to.oid && from.oid < FIRST_NORMAL_OBJECT_ID && !/^_?reg|^_?oid/.test(from.name) && from.kind !== 'c';
  });
  return fits ? 'binary' : 'text';
}

/** Types of a table's columns by name. Throws when the table is missing. */
export async function readWireTypes(connection: CopyConnection, table: QualifiedName): Promise<Map<string, WireType>> {
  const [result] = await connection.exec(`
    SELECT a.attname, t.oid, t.typname, t.typtype, (t.typsend <> 0 AND t.typreceive <> 0)
    FROM pg_attribute a JOIN pg_type own ON own.oid = a.atttypid JOIN pg_type t ON t.oid = CASE own.typtype WHEN 'd' THEN own.typbasetype ELSE own.oid END
    WHERE a.attrelid = ${quoteLiteral(quoteTable(table))}::regclass AND a.attnum > 0 AND NOT a.attisdropped`);
  return new Map((result?.rows ?? []).map((row) => [row[0] ?? '', { oid: Number(row[1]), name: row[2] ?? '', kind: row[3] ?? '', hasBinary: row[4] === 't' }]));
}
