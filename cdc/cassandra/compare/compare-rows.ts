/** Two readings of one row, compared cell by cell as bytes. */
import type { Cell } from '../cells.ts';
import type { TableRow } from '../row-reader.ts';
import type { CellDifference, DiscrepancyType, RowDifference } from './discrepancy.ts';

export interface CompareOptions {
  readonly compareTimestamps: boolean;
  readonly compareTtl: boolean;
  /** Microseconds. */
  readonly timestampTolerance: number;
  /** The same value with a later time on the target is the same: what a repair by the source leaves, since a cell cannot be made older. */
  readonly acceptsLaterTarget: boolean;
  /** Seconds between the moments at which the two sides let a cell expire. */
  readonly ttlTolerance: number;
  /** Microseconds: when applications began to write to both. What only the target has and is older, the source must have deleted. */
  readonly dualWritesSince: bigint | undefined;
}

export const compareDefaults: CompareOptions = { compareTimestamps: true, compareTtl: true, timestampTolerance: 0, acceptsLaterTarget: false, ttlTolerance: 5, dualWritesSince: undefined };

/** Undefined when they are the same. */
export function compareRows(source: TableRow | undefined, target: TableRow | undefined, options: CompareOptions): RowDifference | undefined {
  if (source === undefined || target === undefined) {
    const row = source ?? target;
    return row === undefined ? undefined : { part: row.part, source, target, types: [typeOfMissing(source, row, options)], cells: [] };
  }
  const cells: CellDifference[] = [];
  if (haveSamePlaces(source.cells, target.cells)) {
    source.cells.forEach((cell, index) => {
      const other = target.cells[index];
      const type = other === undefined ? undefined : compareCells(cell, other, source, target, options);
      if (type !== undefined) cells.push({ type, source: cell, target: other });
    });
  } else {
    const others = new Map(target.cells.map((cell) => [placeOf(cell), cell]));
    for (const cell of source.cells) {
      const place = placeOf(cell);
      const other = others.get(place);
      others.delete(place);
      const type = other === undefined ? 'TombstoneMismatch' : compareCells(cell, other, source, target, options);
      if (type !== undefined && !hasJustExpired(cell, other, options)) cells.push({ type, source: cell, target: other });
    }
    for (const cell of others.values()) if (!hasJustExpired(cell, undefined, options)) cells.push({ type: 'TombstoneMismatch', source: undefined, target: cell });
  }
  return cells.length === 0 ? undefined : { part: source.part, source, target, types: [...new Set(cells.map(({ type }) => type))], cells };
}

export function newestWrite(row: TableRow): bigint | undefined {
  return row.cells.reduce<bigint | undefined>((newest, { writetime }) => (writetime !== undefined && (newest === undefined || writetime > newest) ? writetime : newest), undefined);
}

/** Column and path. */
export function placeOf({ column, path }: Cell): string {
  return path === undefined ? column.name : `${column.name}\0${Buffer.isBuffer(path) ? path.toString('latin1') : path}`;
}

function typeOfMissing(source: TableRow | undefined, row: TableRow, { dualWritesSince }: CompareOptions): DiscrepancyType {
  if (source !== undefined) return 'MissingInTarget';
  const newest = newestWrite(row);
  return dualWritesSince !== undefined && newest !== undefined && newest < dualWritesSince ? 'TombstoneMismatch' : 'MissingInSource';
}

/** The common case, without a map. */
function haveSamePlaces(ours: readonly Cell[], theirs: readonly Cell[]): boolean {
  return ours.length === theirs.length && ours.every(({ column, path }, index) => {
    const other = theirs[index];
    return other !== undefined && other.column.name === column.name && (Buffer.isBuffer(path) ? Buffer.isBuffer(other.path) && path.equals(other.path) : path === other.path);
  });
}

function compareCells(source: Cell, target: Cell, sourceRow: TableRow, targetRow: TableRow, options: CompareOptions): DiscrepancyType | undefined {
  if (!source.value.equals(target.value)) return 'ValueMismatch';
  if (source.column.shape === 'counter') return undefined;
  if (options.compareTimestamps && source.writetime !== undefined && target.writetime !== undefined) {
    const behind = Number(source.writetime - target.writetime);
    // Writing a list again takes a later time: see the writer.
    if (source.column.shape === 'list' || options.acceptsLaterTarget ? behind > options.timestampTolerance : Math.abs(behind) > options.timestampTolerance) return 'TimestampMismatch';
  }
  if (options.compareTtl && source.writetime !== undefined && target.writetime !== undefined && (source.ttl !== undefined || target.ttl !== undefined)) {
    if (source.ttl === undefined || target.ttl === undefined) return 'TTLMismatch';
    const apart = Math.abs((sourceRow.readAtMs - targetRow.readAtMs) / 1000 + source.ttl - target.ttl);
    if (apart > options.ttlTolerance + 1) return 'TTLMismatch';
  }
  return undefined;
}

/** One side has it for a moment yet. */
function hasJustExpired(cell: Cell, other: Cell | undefined, { ttlTolerance }: CompareOptions): boolean {
  return other === undefined && cell.ttl !== undefined && cell.ttl <= ttlTolerance;
}
