/** What all sessions of a proxy share. */
import type { Clock, Log } from '../../config/runtime.ts';
import type { ReadSampling } from './drawn-read.ts';
import type { Intake } from './intake.ts';
import type { ModeTable } from './modes.ts';
import type { Flusher } from './outbox.ts';
import type { PreparedRegistry } from './prepared-registry.ts';
import type { CqlProxyOptions } from './proxy-options.ts';
import type { ProxyCounts } from './proxy-stats.ts';
import type { RequestFlow } from './request-flow.ts';
import type { RequestList } from './request-list.ts';
import type { ReadTexts } from './statement-traits.ts';
import type { TableGates } from './table-gates.ts';
import type { Timestamps } from './timestamps.ts';
import type { TurnClock } from './turn-clock.ts';
import type { UpstreamCluster } from './upstream-cluster.ts';

export interface ProxyContext {
  readonly options: CqlProxyOptions;
  readonly clock: Clock;
  readonly turn: TurnClock;
  readonly log: Log;
  readonly clusters: readonly [source: UpstreamCluster, target: UpstreamCluster];
  readonly flow: RequestFlow;
  readonly requests: RequestList;
  readonly registry: PreparedRegistry;
  readonly texts: ReadTexts;
  readonly timestamps: Timestamps;
  readonly counts: ProxyCounts;
  readonly flusher: Flusher;
  readonly intake: Intake;
  /** Undefined: no reads are sampled. */
  sampler: ReadSampling | undefined;
  readonly gates: TableGates;
  modes: ModeTable;
  /** Drivers have been told the target's name and data centre, since the source could not be asked. */
  isTargetShown: boolean;
  /** The port that clients come to. */
  port: number;
}
