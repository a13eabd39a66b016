/** What the log writes in one call. */
import type { LogSegment } from './log-segment.ts';

/** Records of one segment that are to be written at one place. */
export interface Batch {
  readonly segment: LogSegment;
  readonly position: number;
  readonly upTo: number;
  /** The segment ends with it. */
  readonly isLast: boolean;
}

/** Written, not yet synchronised: when fsync fails it has to be written again. */
export interface Unsynced extends Batch {
  readonly bytes: Buffer;
}

/** One whose tickets have all ended. */
export interface EndedSegment {
  readonly file: string;
  readonly firstTicket: number;
  /** `atMs` of its last write by the clock. */
  readonly newestMs: number;
  readonly size: number;
}
