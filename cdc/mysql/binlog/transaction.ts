/** What comes out of a binlog, in commit order. */
import type { MysqlPosition } from '../position.ts';
import type { ColumnFacts } from './column-facts.ts';

export interface Marker {
  readonly name: string;
  readonly token: string;
}

/** Canonical text of a value; null is NULL, undefined a column that the row image leaves out. */
export type Value = string | null | undefined;
export type Row = readonly Value[];

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** One definition of a table; after any statement in the stream it is another object. */
export interface CapturedTable extends TableName {
  /** In the order of a row's values. */
  readonly columns: readonly string[];
  /** What the catalog says of its columns, where the binlog does not. */
  readonly facts?: readonly ColumnFacts[];
  /** Nobody can say any more how its rows are to be read; they come as rows without values. */
  readonly unreadable?: Error;
}

/** Changes of one kind that follow each other. */
export interface RowsChange {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: CapturedTable;
  /** Of an update and a delete. */
  readonly old: readonly Row[];
  /** Of an insert and an update. */
  readonly new: readonly Row[];
}

export interface Origin {
  /** As the server prints one GTID; empty where it has none. */
  readonly gtid: string;
  /** Of the server where it was committed first. */
  readonly serverId: number;
  /** To the second on servers before MySQL 8. */
  readonly committedAtMs: number;
  /** Where the next event begins, in the file of the server that is read. */
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

/**
 * A transaction, or a part of one that is too large to be held whole: its parts follow each other, and only the last has an end. Rows of a
 * rolled-back one (a server logs them when tables without transactions are in it) are never applied.
 */
export interface TransactionPart extends Origin {
  readonly kind: 'transaction';
  readonly isFirst: boolean;
  readonly end: 'commit' | 'rollback' | undefined;
  readonly changes: readonly RowsChange[];
  readonly markers: readonly Marker[];
  /** Stream whose applier wrote it; known from the first part on. */
  readonly appliedBy: string | undefined;
}

/** Whatever is logged as its text: DDL, above all. */
export interface StatementItem extends Origin {
  readonly kind: 'statement';
  readonly text: string;
  /** Empty where there is none. */
  readonly database: string;
  /** Tables whose rows before this may have been read by the definition that it makes: these rows are not to be trusted. */
  readonly misread: readonly TableName[];
}

export type BinlogItem = TransactionPart | StatementItem;

/** `items` is empty when only the position has moved (a heartbeat, changes of other tables). */
export interface BinlogBatch {
  readonly items: readonly BinlogItem[];
  /** Everything before it has been given out, whole. */
  readonly position: MysqlPosition;
  /** Where reading must begin again once everything given out is applied: before the oldest prepared XA transaction that has not ended. */
  readonly resume: MysqlPosition;
}
