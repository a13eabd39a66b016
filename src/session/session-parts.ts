/** What a session is made of besides its legs. */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { Segment } from '../execute/segment.ts';
import type { Leg } from './leg.ts';

/** The extended-protocol messages since the last Sync. */
export interface Unit {
  leg: Leg | undefined;
  segment: Segment | undefined;
  /** Something was bound or executed on the leg: the implicit transaction cannot change legs any more. */
  executed: boolean;
  /** Tables of the MySQL server that it has bound statements over, and the snapshot under which; outside a block. */
  onMysql: { readonly touches: readonly string[]; readonly under: RoutingSnapshot } | undefined;
  wrote: boolean;
  /** An error was answered: everything up to Sync is dropped. */
  skipping: boolean;
}

export interface ClientIdentity {
  readonly sessionId: string;
  readonly user: string;
  readonly database: string;
  readonly address: string;
  /** The client's own start-up parameters, `user` and `database` left out. */
  readonly startup: ReadonlyMap<string, string>;
}

/** As `pg_stat_activity` says it. */
export type Activity = 'active' | 'idle' | 'idle in transaction';
export type WaitReason = 'drain' | 'leg' | 'state' | 'park' | 'visible' | 'answer' | 'facts' | 'rows';
