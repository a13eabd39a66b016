/** What was sent to the source under a snapshot that did not know a table is not on record: a barrier over the table has to count it. */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';

export function mayHaveTouchedUnseen(snapshot: RoutingSnapshot, tables: ReadonlySet<string>, epoch: number): boolean {
  if (snapshot.epoch >= epoch) return false;
  for (const table of tables) if (!Object.hasOwn(snapshot.tables, table)) return true;
  return false;
}
