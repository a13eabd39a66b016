/** Barriers and transactions that are pinned to an older snapshot (DESIGN §6, RULES 21). */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { Route } from './route.ts';

export interface PinnedTransaction {
  /** Keys of tables that it has touched so far. */
  readonly touched: ReadonlySet<string>;
  readonly holdsLocks: boolean;
}

/**
 * A transaction decides with the snapshot that it is pinned to, which knows nothing of a later barrier. Before its route is run,
 * the newest snapshot is asked: tables that it has touched already it may finish with; one that it begins to touch while it is quiescing makes
 * it wait, unless it holds locks that those who drain may need. Returns the route itself, or a park.
 */
export function admitRoute(route: Route, newest: RoutingSnapshot, transaction: PinnedTransaction, leaseValid: boolean): Route {
  if (route.type !== 'leg') return route;
  const waiting = route.touches.filter((key) => newest.tables[key]?.quiescing === true && !transaction.touched.has(key));
  const isClosed = waiting.some((key) => newest.tables[key]?.closed === true);
  return waiting.length === 0 || (transaction.holdsLocks && leaseValid && !isClosed) ? route : { type: 'park', touches: waiting };
}
