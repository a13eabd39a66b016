/** What may be different between the two sides of a row, and how one difference is told. */
import type { Cell } from '../cells.ts';
import { printKey, printValue } from '../print-values.ts';
import type { RowPart, TableRow } from '../row-reader.ts';
import { printTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';

/**
 * `TombstoneMismatch`: live on one side and gone on the other, where the other has had it: a cell or element of a row that both have; a row of the target that is older than
 * the dual writes and can only be from the source; a row that a repair wrote to the target with its own time and that did not appear there.
 */
export const discrepancyTypes = ['MissingInTarget', 'MissingInSource', 'ValueMismatch', 'TimestampMismatch', 'TTLMismatch', 'TombstoneMismatch'] as const;
export type DiscrepancyType = (typeof discrepancyTypes)[number];

export interface CellDifference {
  readonly type: DiscrepancyType;
  readonly source: Cell | undefined;
  readonly target: Cell | undefined;
}

/** A row that is not the same, as both sides had it when last read. */
export interface RowDifference {
  readonly part: RowPart;
  readonly source: TableRow | undefined;
  readonly target: TableRow | undefined;
  /** Each kind once; for a row that one side lacks its kind alone. */
  readonly types: readonly DiscrepancyType[];
  readonly cells: readonly CellDifference[];
}

/** In a report and in the file of discrepancies. */
export interface Discrepancy {
  readonly table: string;
  readonly part: RowPart;
  readonly key: string;
  readonly keyBytes: readonly string[];
  readonly token: string;
  readonly types: readonly DiscrepancyType[];
  readonly cells: readonly { readonly column: string; readonly path?: string; readonly type: DiscrepancyType; readonly source: PrintedCell | null; readonly target: PrintedCell | null }[];
  readonly detectedAt: string;
}

export interface PrintedCell {
  readonly value: string;
  readonly writetime: string | null;
  readonly ttl: number | null;
}

const MOST_CELLS = 50;

export function printDifference(table: CassandraTable, difference: RowDifference, detectedAtMs: number): Discrepancy {
  const row = rowOf(difference);
  return {
    table: printTable(table), part: difference.part, key: printKey(table, row), keyBytes: [...row.partitionKey, ...row.clustering].map((bytes) => bytes.toString('hex')), token: String(row.token), types: difference.types,
    cells: difference.cells.slice(0, MOST_CELLS).map(({ type, source, target }) => {
      const cell = source ?? target;
      const path = cell?.path;
      return {
        column: cell?.column.name ?? '', ...(path === undefined ? {} : { path: Buffer.isBuffer(path) ? path.toString('hex') : cell?.column.fields[path] ?? String(path) }), type, source: printCell(source), target: printCell(target),
      };
    }),
    detectedAt: new Date(detectedAtMs).toISOString(),
  };
}

/** The side that has the row. */
export function rowOf({ source, target }: Pick<RowDifference, 'source' | 'target'>): TableRow {
  const row = source ?? target;
  if (row === undefined) throw new RangeError('a difference of no row');
  return row;
}

function printCell(cell: Cell | undefined): PrintedCell | null {
  if (cell === undefined) return null;
  return { value: printValue(cell.column.shape === 'plain' || cell.column.shape === 'counter' ? cell.column.type : 'blob', cell.value), writetime: cell.writetime === undefined ? null : String(cell.writetime), ttl: cell.ttl ?? null };
}
