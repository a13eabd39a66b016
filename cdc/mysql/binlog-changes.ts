/** What the change source takes from a reader of binlogs. Values are canonical texts; null is NULL, undefined a column that a row image leaves out. */
import type { SourceRow } from './change-encoder.ts';

/** Where a server's next event begins; by GTID where it has them. What else is in it is the reader's own. */
export interface ReadPosition {
  readonly type: string;
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

export interface ChangedTable {
  readonly schema: string;
  readonly name: string;
  /** In the order of a row's values. After any statement in the stream it is another object. */
  readonly columns: readonly string[];
}

export interface ChangedRows {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: ChangedTable;
  /** Of an update and a delete. */
  readonly old: readonly SourceRow[];
  /** Of an insert and an update. */
  readonly new: readonly SourceRow[];
}

interface Origin {
  readonly committedAtMs: number;
  /** Where the next event begins. */
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

/** A transaction, or a part of a large one: only the last part has an end. */
export interface ChangedTransaction extends Origin {
  readonly kind: 'transaction';
  readonly isFirst: boolean;
  readonly end: 'commit' | 'rollback' | undefined;
  readonly changes: readonly ChangedRows[];
  readonly markers: readonly { readonly name: string; readonly token: string }[];
  /** Stream whose applier wrote it. */
  readonly appliedBy: string | undefined;
}

export interface LoggedStatement extends Origin {
  readonly kind: 'statement';
  readonly text: string;
  readonly database: string;
}

export interface ChangeBatch {
  readonly items: readonly (ChangedTransaction | LoggedStatement)[];
  /** Everything before it has been given out, whole. */
  readonly position: ReadPosition;
  /** Where reading must begin again once everything given out is applied. */
  readonly resume: ReadPosition;
}

export interface BinlogReading {
  /** Asking for the next batch says that the last one is done with. Throws what ended the stream. */
  batches(): AsyncIterable<ChangeBatch>;
  close(): void;
}

/** `captures`: tables whose rows are wanted, now or later. MIG021: the server does not have what follows the position. */
export type OpenBinlog = (start: ReadPosition, captures: (schema: string, name: string) => boolean) => Promise<BinlogReading>;
