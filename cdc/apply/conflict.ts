/**
 * Conflicts: a row of the target was changed by something other than the stream (RULES 25, specification §6.2). They show as rows that
 * should not be there, or should. A row that the target lacks has no value that could win: whatever the strategy, no row of the source
 * is deleted for a conflict.
 */
import type { Position } from '../change.ts';

export type ConflictStrategy =
  | { readonly kind: 'source_wins' }
  | { readonly kind: 'target_wins' }
  /** The row whose value in `column` is larger wins; the source when they are equal or one is missing. */
  | { readonly kind: 'timestamp_wins'; readonly column: string }
  | { readonly kind: 'fail' }
  /** A function of the target, `f(local jsonb, source jsonb) RETURNS jsonb`; written as it can be called. */
  | { readonly kind: 'custom_merge'; readonly function: string };

/** Whether a row of the target may stand, or a part of it. */
export function keepsTarget({ kind }: ConflictStrategy): boolean {
  return kind === 'target_wins' || kind === 'timestamp_wins' || kind === 'custom_merge';
}

export type ConflictKind = 'insert_exists' | 'update_missing' | 'delete_missing';

export type RowImage = Readonly<Record<string, string | null>>;

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
  /** What a merge gave. */
  readonly merged?: RowImage | undefined;
  /** Of the source's transaction, ms since 1970. */
  readonly changedAtMs: number;
}
