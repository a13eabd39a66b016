/** A chunk is what one transaction of a load copies: its rows, and its row in the ledger. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../table-plan.ts';

/**
 * The rows of one chunk.
 * - `all`: the whole relation, where it cannot be cut.
 * - `blocks`: heap blocks `from` ≤ b < `to`; true only within one snapshot (RULES 2).
 * - `key`: `lower` ≤ (columns) < `upper`, as the source orders them; a missing bound is −∞ or +∞, and the chunk without an
 *   upper bound also holds the NULLs of a nullable `order_by` column. Bounds are texts that only the source reads.
 */
export type ChunkRange =
  | { readonly kind: 'all' }
  | { readonly kind: 'blocks'; readonly from: number; readonly to: number | undefined }
  | { readonly kind: 'key'; readonly columns: readonly string[]; readonly lower: readonly string[] | undefined; readonly upper: readonly string[] | undefined };

export interface Chunk {
  /** 1, 2, …; 0 is the load's own row in the ledger. */
  readonly chunkNo: number;
  /** The table, or the partition that holds the blocks. */
  readonly relation: QualifiedName;
  /** False for a partitioned table that is read as a whole. */
  readonly only: boolean;
  readonly range: ChunkRange;
}

export interface ChunkSize {
  readonly rows: number;
  readonly bytes: number;
}

export type CopyFormat = 'binary' | 'text';

export function wholeTable(plan: TablePlan): Chunk {
  return { chunkNo: 1, relation: plan.source, only: !plan.isPartitioned, range: { kind: 'all' } };
}

/** `bounds` cut the line −∞ … +∞ into one chunk more than there are bounds. */
export function keyChunks(plan: TablePlan, columns: readonly string[], bounds: readonly (readonly string[])[]): Chunk[] {
  return Array.from({ length: bounds.length + 1 }, (_, index) => ({
    chunkNo: index + 1,
    relation: plan.source,
    only: !plan.isPartitioned,
    range: { kind: 'key', columns, lower: bounds[index - 1], upper: bounds[index] } satisfies ChunkRange,
  }));
}
