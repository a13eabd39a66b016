/** Conflicts: a row of the target was changed by something other than the stream (RULES 25, specification §6.2). */
import type { Position } from '../change.ts';

export type ConflictStrategy =
  | { readonly kind: 'source_wins' }
  | { readonly kind: 'target_wins' }
  /** The row whose value in `column` is larger wins; the source when they are equal or one is missing. */
  | { readonly kind: 'timestamp_wins'; readonly column: string }
  | { readonly kind: 'fail' }
  /** A function of the target, `f(local tbl, remote tbl) RETURNS tbl`; written as it can be called. */
  | { readonly kind: 'custom_merge'; readonly function: string };

export type ConflictKind = 'insert_exists' | 'update_missing' | 'delete_missing';

type RowImage = Readonly<Record<string, string | null>>;

export interface Conflict {
  readonly tableId: string;
  readonly kind: ConflictKind;
  /** JSON array of the key's values. */
  readonly key: string;
  /** The target's row before, undefined when it was not there. */
  readonly local: RowImage | undefined;
  /** The source's row, undefined for a delete. */
  readonly remote: RowImage | undefined;
  readonly strategy: ConflictStrategy['kind'];
  /** Which row stands now. `reread`: the source's row is read again. */
  readonly outcome: 'source' | 'target' | 'merged' | 'reread';
  readonly position: Position;
  /** Of the source's transaction, ms since 1970. */
  readonly changedAtMs: number;
}
