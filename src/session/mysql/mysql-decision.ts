/** Where a statement of a MySQL client goes: asked by the session, answered by whoever is handed in. */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { MigrationError } from '../../../config/migration-error.ts';
import type { MysqlClassification, MysqlRelation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { MysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';

/** What is known of a session for statements on local. */
export interface LocalContext {
  /** False: what the session is on the server has to be asked before a text can be read. */
  readonly isKnown: boolean;
  /** The statements of a text. */
  split(text: string): readonly string[];
  /** Undefined for what is not understood. */
  classify(statement: string): MysqlClassification | undefined;
  /** Undefined: it is none that can be carried out on local. */
  definition(statement: string): MysqlDefinition | undefined;
  /** In the snapshot, of what a name stands for. */
  keyOf(relation: Pick<MysqlRelation, 'database' | 'name'>): string;
}

export interface MysqlContext {
  /** Undefined: there is no way to local. */
  readonly local?: LocalContext | undefined;
  /** A transaction is open that others may wait for: until a barrier's grace is over it is let through (RULES 21). */
  readonly holdsLocks: boolean;
  /** False: nobody vouches for the snapshot, and whoever has not touched a quiescing table waits (RULES 15). */
  readonly leaseValid: boolean;
  /** True for a table that a barrier waits for this transaction to finish with: it must get through to its end. */
  hasTouched(table: string): boolean;
}

/** `touches`: keys of the migrating tables that the statement may read or write. */
export type MysqlDecision =
  /** `waits`: it may write some of them whose commits are waited for until local shows them. */
  | { readonly route: 'remote'; readonly touches: readonly string[]; readonly waits: boolean }
  | { readonly route: 'local'; readonly touches: readonly string[] }
  /** What the session is has to be asked of the server: then it is asked again. */
  | { readonly route: 'ask'; readonly touches: readonly string[] }
  /** A barrier is on: it is asked again when the routing has changed. */
  | { readonly route: 'wait'; readonly touches: readonly string[] }
  | { readonly route: 'refused'; readonly error: MigrationError };

export interface MysqlDecider {
  /**
   * `text` may be several statements. Never called while no table migrates. Pure. It fails closed: what may touch a table that the source may not
   * answer for is refused, whether or not the text names it.
   */
  decide(text: string, snapshot: RoutingSnapshot, context: MysqlContext): MysqlDecision;
}

/**
 * Tables of `touches` whose barrier holds the statement up; for deciders. Who has touched one table of a barrier is waited for by it, and gets
 * through to all of its tables.
 */
export function heldUp(touches: readonly string[], { tables }: RoutingSnapshot, { holdsLocks, leaseValid, hasTouched }: MysqlContext): readonly string[] {
  const quiescing = touches.filter((key) => tables[key]?.quiescing === true && !hasTouched(key));
  if (quiescing.length === 0) return quiescing;
  const draining = new Set(Object.entries(tables).flatMap(([key, { barrier }]) => (barrier !== undefined && hasTouched(key) ? [barrier] : [])));
  return quiescing.filter((key) => {
    const route = tables[key];
    if (route?.barrier !== undefined && draining.has(route.barrier)) return false;
    return route?.closed === true || !holdsLocks || !leaseValid;
  });
}
