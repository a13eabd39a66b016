/** What a validation found. */
import type { ChunkRange } from '../postgres/checksum.ts';

export type MismatchType = 'MISSING_LOCAL' | 'MISSING_REMOTE' | 'VALUE_DIFF';

export interface Mismatch {
  readonly type: MismatchType;
  /** Key values in text form; for a keyless table the row's digest. */
  readonly key: readonly string[];
  /** Rows in the order of the plan's columns, each value cut to 1,000 characters; undefined on the side that lacks the row. */
  readonly source: readonly (string | null)[] | undefined;
  readonly local: readonly (string | null)[] | undefined;
  /** Names of the columns that differ (VALUE_DIFF). */
  readonly columns: readonly string[];
}

export interface ChunkResult {
  readonly range: ChunkRange;
  readonly rowsSource: number;
  readonly rowsLocal: number;
  /** LSN of the source before the chunk was read: what committed later may have changed it again (RULES 29). */
  readonly position: string;
  /** `unread`: the checksums differ, and the rows were not looked at because `maxMismatches` was reached. */
  readonly result: 'equal' | 'different' | 'unsettled' | 'unread';
}

export interface ValidationReport {
  readonly tableId: string;
  readonly mode: 'full' | 'sample';
  readonly method: 'key ranges' | 'hash buckets';
  readonly chunks: readonly ChunkResult[];
  /** Rows in the compared chunks. */
  readonly rowsSource: number;
  readonly rowsLocal: number;
  readonly counts: Readonly<Record<MismatchType, number>>;
  /** The first `maxListed`. */
  readonly mismatches: readonly Mismatch[];
  /** Keys that kept changing through every round. */
  readonly unsettled: readonly (readonly string[])[];
  readonly chunksUnread: number;
  /** Rows whose chunk differed and which turned out equal once the stream had settled. */
  readonly falseAlarms: number;
  readonly durationMs: number;
  readonly rowsPerSecond: number;
  /** No mismatch and no unread chunk; unsettled rows are the caller's to judge. */
  readonly isEqual: boolean;
}

export interface ValidationProgress {
  readonly chunksDone: number;
  /** An estimate until the end. */
  readonly chunksTotal: number;
  readonly rowsSource: number;
  readonly suspicious: number;
}
