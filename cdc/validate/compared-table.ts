/** One side of a comparison: a table whose rows have digests that equal rows share with the other side, whatever engine has them. */
import type { ChunkRange, ChunkSum, KeyRange, RowDigest, RowVersion } from '../postgres/checksum.ts';

type Keys = readonly (readonly string[])[];

export interface ComparedTable {
  /** In the order of `readRows`. */
  readonly columns: readonly string[];
  estimateRows(): Promise<number>;
  /** Of the server's log, before what is read next. */
  readPosition(): Promise<string>;
  checksumChunk(range: ChunkRange): Promise<ChunkSum>;
  /** All buckets in one scan; buckets without rows are not in the map. */
  checksumBuckets(of: number): Promise<ReadonlyMap<number, ChunkSum>>;
  /** The key `rows` further in key order within the range (`lower` excluded); undefined when fewer are left. */
  nextBound(range: KeyRange, rows: number): Promise<readonly string[] | undefined>;
  readDigests(ranges: readonly ChunkRange[]): Promise<readonly RowDigest[]>;
  /** By the position of the key in `keys`. */
  lookUpRows(keys: Keys): Promise<Map<number, RowVersion>>;
  /** Whole rows, for reports; by the position of the key. */
  readRows(keys: Keys): Promise<ReadonlyMap<number, readonly (string | null)[]>>;
}

export interface ComparedTables {
  readonly source: ComparedTable;
  readonly local: ComparedTable;
  /** Both order the key alike, so that chunks can be ranges of it. */
  readonly isOrdered: boolean;
}
