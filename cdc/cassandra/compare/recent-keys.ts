/** What was written of late, as the proxies' logs of keys tell it. */
import type { RowPart } from '../row-reader.ts';
import type { CassandraTable } from '../table.ts';

/** With fewer clustering values than the table has, all rows that begin with these. */
export interface ComparedKey {
  readonly part: RowPart;
  readonly partitionKey: readonly Buffer[];
  readonly clustering: readonly Buffer[];
}

export type RecentlyWritten =
  /** Every key whose row may have been changed since, each once, none within another. */
  | { readonly keys: readonly ComparedKey[] }
  /** Why nobody knows: everything has to be read. */
  | { readonly unknown: string };

export interface RecentKeys {
  /** `since` in microseconds. Rejects when the log cannot be asked. */
  recent(table: CassandraTable, since: bigint, signal: AbortSignal): Promise<RecentlyWritten>;
}
