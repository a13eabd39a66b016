/** Takes away what a stream has on the two servers. */
import type { StreamState } from './stream-state.ts';

/**
 * Idempotent. The record on the target goes first: a slot without a record is taken up again by the next `prepare`, a record without
 * its slot would be a gap.
 */
export async function dropFromServers({ source, target, spool }: StreamState): Promise<void> {
  for (const tableId of await target.drop()) spool.forget(tableId);
  await source.drop();
}
