/** Takes away what a stream has on the two servers. */
import type { StreamState } from './stream-state.ts';
import { forgetTable, readTableRows } from './target-state.ts';

/**
 * Idempotent. The record on the target goes first: a slot without a record is taken up again by the next `prepare`, a record without
 * its slot would be a gap.
 */
export async function dropFromServers(state: StreamState): Promise<void> {
  const { name } = state.options;
  const { source, target, spool } = state;
  const [known] = await target.rows({ text: "SELECT to_regclass('causeway.applied')::text" });
  if (known?.[0]) {
    for (const { tableId } of await readTableRows(target, name)) {
      await forgetTable(target, name, tableId);
      spool.forget(tableId);
    }
    await target.rows({ text: 'DELETE FROM causeway.applied WHERE stream = $1', values: [name] });
  }
  await source.drop();
}
