/** Where a statement of a MySQL client goes: asked by the session, answered by whoever is handed in. */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { MigrationError } from '../../../config/migration-error.ts';

export interface MysqlContext {
  /** A transaction is open that has touched migrating tables before: it may hold locks (RULES 21). */
  readonly holdsLocks: boolean;
}

/** `touches`: keys of the migrating tables that the statement may read or write. */
export type MysqlDecision =
  | { readonly route: 'remote' | 'local'; readonly touches: readonly string[] }
  /** A barrier is on: it is asked again when the routing has changed. */
  | { readonly route: 'wait'; readonly touches: readonly string[] }
  | { readonly route: 'refused'; readonly error: MigrationError };

export interface MysqlDecider {
  /** `text` may be several statements. Never called while no table migrates. Pure. */
  decide(text: string, snapshot: RoutingSnapshot, context: MysqlContext): MysqlDecision;
}
