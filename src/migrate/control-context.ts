/** What the parts of the control share. Handed in, never reached for. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { RoutingPublisher } from './routing-publisher.ts';
import type { Turnstile } from '../../cdc/flow/turnstile.ts';
import type { SourceFlow } from './source-flow.ts';
import type { WorkerFleet } from './worker-fleet.ts';

export interface ControlContext {
  readonly runtime: Runtime;
  readonly catalog: Catalog;
  readonly fleet: WorkerFleet;
  readonly publisher: RoutingPublisher;
  /** Connections and streams between one source server and local; opened at first use. */
  readonly flow: (serverName: string) => Promise<SourceFlow>;
  readonly limits: ControlLimits;
  /** Places for loads that run at once. */
  readonly loads: Turnstile;
  /** Attempts at a cutover or rollback that this process is making now: recovery leaves them alone. */
  readonly activeAttempts: Set<string>;
}

export interface ControlLimits {
  /** CUTOVER and ROLLBACK without TIMEOUT. */
  readonly switchTimeoutMs: number;
  /** While writers drain: how long transactions that hold locks are let through (RULES 21). */
  readonly admitGraceMs: number;
  /** Largest lag with which reads move to local, and with which a cutover is begun unless the table's option says another. */
  readonly maxLagMs: number;
  readonly maxConcurrentMigrations: number;
  /** Values that sequences are moved past the other side's. */
  readonly sequenceMargin: number;
  /** `max`: for what a retry may heal; a lost connection is tried for as long as it takes. */
  readonly retry: { readonly max: number; readonly initialMs: number; readonly maxMs: number };
}
