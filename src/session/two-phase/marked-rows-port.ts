/** Where rows that a client's transaction has written on the source are written to local before both commit; declared here, filled in by whoever starts the gateway. */
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';

export interface RowsOfTable {
  readonly tableId: string;
  readonly local: QualifiedName;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly key: readonly string[];
  /** By key, as the JSON array of its texts; undefined: the row is gone. Values in the order of `columns`, as the source writes them. */
  readonly rows: ReadonlyMap<string, readonly (string | null)[] | undefined>;
}

export interface RowsOfTransaction {
  readonly gid: string;
  /** As the change stream tells it. */
  readonly transactionId: number;
  readonly tables: readonly RowsOfTable[];
}

/** A transaction of local that waits for what the source decides. */
export interface PreparedRows {
  /** `isDone` is false when it could not be had now: recovery commits it. */
  commit(done: (isDone: boolean) => void): void;
  rollback(): void;
}

export interface MarkedRowsPort {
  /** Calls back once, within a bounded time: with nothing when local could not take the rows. Then the transaction's commit waits for the stream. */
  prepare(rows: RowsOfTransaction, done: (prepared: PreparedRows | undefined) => void): void;
}
