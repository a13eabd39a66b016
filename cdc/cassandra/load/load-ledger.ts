/** What a load has finished, where a killed process finds it again. */
import type { TableName } from '../table.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';

/** `partial`: read to its end, with rows that the target refused. */
export type RangeState = 'pending' | 'done' | 'partial';

export interface RangeTally {
  readonly rows: number;
  readonly bytes: number;
  readonly refused: number;
}

export interface LedgerRange extends TokenRange, RangeTally {
  readonly state: RangeState;
}

export interface LoadRecord {
  /** Microseconds; the same for every attempt, as it goes into rows. */
  readonly assumedTime: bigint;
  readonly ranges: readonly LedgerRange[];
}

export interface NewLoad {
  /** Definition of the table and what else must be the same for finished ranges to count. */
  readonly fingerprint: string;
  readonly assumedTime: bigint;
  readonly ranges: readonly TokenRange[];
}

/** An act that has resolved survives the process and the machine. */
export interface LoadLedger {
  /** The load of this table as it stands, or the new one when there is none. Throws MIG074 when the fingerprint is another. */
  begin(table: TableName, load: NewLoad): Promise<LoadRecord>;
  /** Only after everything of the range is on the target. */
  finish(table: TableName, range: TokenRange, tally: RangeTally): Promise<void>;
  /** The range is replaced by its parts. */
  split(table: TableName, range: TokenRange, parts: readonly TokenRange[]): Promise<void>;
  /** The next `begin` is a new load. */
  forget(table: TableName): Promise<void>;
}
