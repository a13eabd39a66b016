/** Counters of the proxy: plain numbers that the data path counts up, read when somebody asks. */
import { clusterNames } from './modes.ts';
import type { ClusterIndex } from './modes.ts';
import { errorCodes } from '../wire/cql/error-body.ts';

/** Upper bounds in seconds of the latency buckets: powers of two of a microsecond, from 64 µs to 17 s. */
const FIRST_BIT = 6;
const BUCKETS = 19;
export const latencyBounds: readonly number[] = Array.from({ length: BUCKETS }, (_, index) => 2 ** (FIRST_BIT + index) / 1e6);

export class Latency {
  readonly counts = new Float64Array(BUCKETS + 1);
  sumMs = 0;

  add(ms: number): void {
    const micros = Math.max(1, ms * 1000);
    this.sumMs += ms;
    const bucket = micros >= 2 ** 31 ? BUCKETS : Math.min(BUCKETS, Math.max(0, 32 - Math.clz32(Math.ceil(micros) - 1) - FIRST_BIT));
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
  }

  get count(): number {
    return this.counts.reduce((sum, one) => sum + one, 0);
  }
}

export const outcomes = ['ok', 'refused', 'uncertain', 'unsent'] as const;
export type Outcome = (typeof outcomes)[number];

export const errorClasses = ['client_timeout', 'read_timeout', 'read_failure', 'write_timeout', 'write_failure', 'overloaded', 'unavailable', 'unprepared', 'other'] as const;

function errorClass(code: number): number {
  switch (code) {
    case errorCodes.readTimeout: return 1;
    case errorCodes.readFailure: return 2;
    case errorCodes.writeTimeout: return 3;
    case errorCodes.writeFailure: return 4;
    case errorCodes.overloaded: return 5;
    case errorCodes.unavailable: return 6;
    case errorCodes.unprepared: return 7;
    default: return 8;
  }
}

export const sampleOutcomes = ['same', 'different', 'unsettled', 'failed', 'left_out'] as const;
export type SampleOutcome = (typeof sampleOutcomes)[number];

export class ClusterCounts {
  readonly reads = new Latency();
  readonly writes = new Latency();
  /** By `outcomes`. */
  readonly readsEnded = new Float64Array(outcomes.length);
  readonly writesEnded = new Float64Array(outcomes.length);
  /** By `errorClasses`. */
  readonly errors = new Float64Array(errorClasses.length);
  failedConnections = 0;
  connections = 0;
  /** Statements that were prepared again without the client's knowledge. */
  heals = 0;
  /** Conditional statements, or schema changes, that ended otherwise than on the primary. */
  mismatches = 0;

  /** `outcome`: an index of `outcomes`. */
  ended(isRead: boolean, outcome: number, ms: number): void {
    const counts = isRead ? this.readsEnded : this.writesEnded;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    (isRead ? this.reads : this.writes).add(ms);
  }

  error(code: number, isTimeout: boolean): void {
    const index = isTimeout ? 0 : errorClass(code);
    this.errors[index] = (this.errors[index] ?? 0) + 1;
  }
}

export class ProxyCounts {
  readonly clusters = clusterNames.map(() => new ClusterCounts());
  /** Requests of clients by opcode. */
  readonly requests = new Float64Array(32);
  readonly requestTime = new Latency();
  clients = 0;
  clientsRefused = 0;
  badLogins = 0;
  inHand = 0;
  bytesInHand = 0;
  /** Answers OVERLOADED of the proxy's own. */
  shed = 0;
  filtered = 0;
  stamped = 0;
  unrepeatable = 0;
  /** By `sampleOutcomes`. */
  readonly sampledReads = new Float64Array(sampleOutcomes.length);
  /** Executions of ids that the proxy does not know. */
  unknownIds = 0;

  cluster(index: ClusterIndex): ClusterCounts {
    const counts = this.clusters[index];
    if (!counts) throw new Error('there are two clusters');
    return counts;
  }
}

export interface ClusterStats {
  readonly counts: ClusterCounts;
  readonly connections: number;
  readonly streamsInUse: number;
  readonly isReachable: boolean;
}

export interface ProxyStats {
  readonly counts: ProxyCounts;
  readonly prepared: number;
  /** In the log, and in hand in `DualSync`. */
  readonly awaitedWrites: number;
  readonly clusters: readonly [source: ClusterStats, target: ClusterStats];
}
