/** A stream that goes on at another server than before, which has every transaction that was handed on: what of its tables that does not hold for. */
import { loseTable } from './lost-table.ts';
import type { StreamState } from './stream-state.ts';

/** No table has been applied or spooled farther; the tables are restored. */
export function farthest({ entries }: StreamState, applied: bigint): bigint {
  let reached = applied;
  for (const entry of entries.values()) {
    for (const position of [entry.applied, entry.log?.lastEnd ?? 0n]) if (position > reached) reached = position;
  }
  return reached;
}

/** Rows that were copied may hold what was committed on the old server and had not come through the stream: whether the other one has it nobody can tell. */
export function loseCopies(state: StreamState, reached: bigint): void {
  for (const entry of state.entries.values()) {
    if (entry.mode === 'shared' || (entry.consistentFrom !== undefined && entry.consistentFrom <= reached)) continue;
    loseTable(state, entry, 'its changes go on at another server of the source, and its rows were being copied from the old one, which may have had others', true);
  }
}
