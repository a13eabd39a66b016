/** One of the two clusters: its nodes and which of them may be tried, its pools, and the connection that tells of its schema. */
import type { Clock, Log } from '../../config/runtime.ts';
import { errorCodes } from '../wire/cql/error-body.ts';
import { ClusterControl } from './cluster-control.ts';
import type { ClusterFacts } from './cluster-control.ts';
import type { Intake } from './intake.ts';
import { clusterNames } from './modes.ts';
import type { ClusterIndex } from './modes.ts';
import type { Flusher } from './outbox.ts';
import type { CqlClusterOptions, CqlCredentials, ProxyLimits } from './proxy-options.ts';
import type { ClusterCounts } from './proxy-stats.ts';
import type { Leg } from './request.ts';
import type { NodeConnection, UpstreamFailure } from './upstream.ts';
import type { UpstreamConnection } from './upstream-connection.ts';
import { UpstreamPool } from './upstream-pool.ts';
import type { ClusterSink, HostState, PoolCluster } from './upstream-pool.ts';

/** What the proxy hears of its clusters. */
export interface ProxySink extends ClusterSink {
  /** A pushed event of this cluster. */
  schemaEvent(cluster: ClusterIndex, buffer: Buffer, start: number, end: number): void;
  /** A node has said what its cluster is. */
  described(cluster: ClusterIndex, facts: ClusterFacts): void;
}

export interface ClusterParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly flusher: Flusher;
  readonly intake: Intake;
  readonly limits: ProxyLimits;
  readonly counts: ClusterCounts;
  readonly sink: ProxySink;
}

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5000;

export class UpstreamCluster implements PoolCluster {
  readonly index: ClusterIndex;
  readonly name: string;
  readonly options: CqlClusterOptions;
  readonly hosts: readonly HostState[];
  readonly clock: Clock;
  readonly limits: ProxyLimits;
  readonly flusher: Flusher;
  readonly intake: Intake;
  readonly sink: ProxySink;
  readonly control: ClusterControl;
  readonly counts: ClusterCounts;
  readonly #log: Log;
  readonly #pools = new Map<string, UpstreamPool>();
  #failure: UpstreamFailure | undefined;
  /** Whether its nodes ask for a login, and by which class; undefined until one was asked. */
  login: { readonly authenticator: string | undefined } | undefined;
  #isClosed = false;
  /** Of whoever logged in last, where none are configured: what the proxy itself asks of the cluster runs under them. */
  #borrowed: CqlCredentials | undefined;

  constructor(index: ClusterIndex, options: CqlClusterOptions, { clock, log, flusher, intake, limits, counts, sink }: ClusterParts) {
    this.index = index;
    this.name = clusterNames[index];
    this.options = options;
    this.clock = clock;
    this.#log = log;
    this.flusher = flusher;
    this.intake = intake;
    this.limits = limits;
    this.counts = counts;
    this.sink = sink;
    this.hosts = options.hosts.map((address) => ({ address, failures: 0, retryAtMs: 0 }));
    this.control = new ClusterControl((facts) => sink.described(index, facts));
  }

  /** Of a client that came with these. */
  credentialsFor(client: CqlCredentials | undefined): CqlCredentials | undefined {
    return this.options.credentials ?? client;
  }

  get ownCredentials(): CqlCredentials | undefined {
    return this.options.credentials ?? this.#borrowed;
  }

  pool(version: number, credentials: CqlCredentials | undefined, keyspace: string): UpstreamPool {
    const key = JSON.stringify([version, credentials?.username, credentials?.password, keyspace]);
    const known = this.#pools.get(key);
    if (known) return known;
    const pool = new UpstreamPool(this, { version, credentials, keyspace, maxFrameBytes: 256 * 1024 * 1024 });
    this.#pools.set(key, pool);
    return pool;
  }

  get connections(): number {
    return [...this.#pools.values()].reduce((sum, { connections }) => sum + connections, 0);
  }

  get streamsInUse(): number {
    return [...this.#pools.values()].reduce((sum, { streamsInUse }) => sum + streamsInUse, 0);
  }

  /** A connection is there, or may be tried. */
  get isReachable(): boolean {
    const now = this.clock.monotonicMs();
    return this.connections > 0 || this.hosts.some(({ retryAtMs }) => retryAtMs <= now);
  }

  /** The node with the fewest connections among those that may be tried now. */
  hostToTry(connectionsTo: (host: HostState) => number): HostState | undefined {
    if (this.#isClosed) return undefined;
    const now = this.clock.monotonicMs();
    let best: HostState | undefined;
    let fewest = this.options.connectionsPerHost;
    for (const host of this.hosts) {
      if (host.retryAtMs > now) continue;
      const count = connectionsTo(host);
      if (count >= fewest) continue;
      best = host;
      fewest = count;
    }
    return best;
  }

  unreachable(): UpstreamFailure {
    return { kind: 'network', code: errorCodes.overloaded, message: `MIG001: the ${this.name} cluster cannot be reached: ${this.#failure?.message ?? 'no node may be tried now'}` };
  }

  connected(pool: UpstreamPool, connection: UpstreamConnection): void {
    this.counts.connections += 1;
    this.#failure = undefined;
    this.login = { authenticator: connection.authenticator };
    for (const host of this.hosts) if (host.address === connection.address) host.failures = 0;
    if (pool.settings.credentials && !this.options.credentials) this.#borrowed = pool.settings.credentials;
    this.control.offer(pool, connection);
  }

  disconnected(connection: UpstreamConnection, failure: UpstreamFailure, wasReady: boolean): void {
    this.control.lost(connection);
    if (connection.authenticator !== undefined) this.login = { authenticator: connection.authenticator };
    if (failure.kind === 'closed') return;
    if (failure.kind === 'network') this.#failure = failure;
    if (!wasReady) this.counts.failedConnections += 1;
    const host = this.hosts.find(({ address }) => address === connection.address);
    // A refused login says nothing against the node.
    if (host && failure.kind === 'network') {
      host.retryAtMs = this.clock.monotonicMs() + (wasReady ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** host.failures));
      host.failures += wasReady ? 0 : 1;
    }
    const { host: name, port } = connection.address;
    this.#log.warn(wasReady ? 'a connection to a node was lost' : 'a node cannot be connected to', { cluster: this.name, node: `${name}:${port}`, cause: failure.message });
  }

  event(connection: UpstreamConnection, buffer: Buffer, start: number, end: number): void {
    if (this.control.is(connection)) this.sink.schemaEvent(this.index, buffer, start, end);
  }

  whenAgreed(connection: NodeConnection<Leg>, done: (agreed: boolean) => void): void {
    this.control.whenAgreed(connection, done);
  }

  isControl(pool: UpstreamPool): boolean {
    return this.control.pool === pool;
  }

  /** A login that was refused leaves no pool behind. */
  forget(pool: UpstreamPool): void {
    for (const [key, known] of this.#pools) if (known === pool) this.#pools.delete(key);
  }

  sweep(): void {
    for (const [key, pool] of this.#pools) if (!pool.sweep()) this.#pools.delete(key);
  }

  close(): void {
    this.#isClosed = true;
    for (const pool of this.#pools.values()) pool.close('the proxy ends');
    this.#pools.clear();
  }
}
