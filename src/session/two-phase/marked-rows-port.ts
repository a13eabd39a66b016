/** Where rows that a client's transaction has written on the source are written to local with its commit; declared here, filled in by whoever starts the gateway. */
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
  /** As the change stream tells it. */
  readonly transactionId: number;
  readonly tables: readonly RowsOfTable[];
}

/** Rows in a transaction of local that is open, and ends with the first call of either, or by itself when it takes too long. */
export interface WrittenRows {
  /** `isDone` is false when they are not there: the stream brings them. */
  commit(done: (isDone: boolean) => void): void;
  rollback(): void;
}

export interface MarkedRowsPort {
  /** Calls back once, within a bounded time: with nothing when local could not take the rows. Then the transaction's commit waits for the stream. */
  write(rows: RowsOfTransaction, done: (written: WrittenRows | undefined) => void): void;
}
