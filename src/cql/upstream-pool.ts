/**
 * Connections to the nodes of one cluster for one user, protocol version and keyspace in use. Clients that agree in these share them.
 *
 * Connections are opened when somebody asks, and again when one was lost; while there is none legs wait, and when none can be had they fail at once.
 */
import { errorCodes } from '../wire/cql/error-body.ts';
import type { IntentOrigin } from './intents/intent-log.ts';
import type { Intake } from './intake.ts';
import type { CqlAddress } from './proxy-options.ts';
import type { Leg } from './request.ts';
import type { Clock } from '../../config/runtime.ts';
import type { Flusher } from './outbox.ts';
import type { CqlClusterOptions, ProxyLimits } from './proxy-options.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { ConnectionOwner } from './upstream-connection.ts';
import type { ConnectionSettings, LegSink, NodeCluster, NodeConnection, NodePool, Usable, UpstreamFailure } from './upstream.ts';

export interface HostState {
  readonly address: CqlAddress;
  failures: number;
  /** Not tried before. */
  retryAtMs: number;
}

export interface ClusterSink extends LegSink<Leg> {
  /** A connection has come for a leg that waited. */
  retry(leg: Leg): void;
}

/** The cluster that a pool is of. */
export interface PoolCluster extends NodeCluster<Leg> {
  readonly options: CqlClusterOptions;
  readonly limits: ProxyLimits;
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly intake: Intake;
  readonly sink: ClusterSink;
  readonly hosts: readonly HostState[];
  /** A connection is there, or may be tried. */
  readonly isReachable: boolean;
  /** The node with the fewest connections among those that may be tried now. */
  hostToTry(connectionsTo: (host: HostState) => number): HostState | undefined;
  connected(pool: UpstreamPool, connection: UpstreamConnection): void;
  disconnected(connection: UpstreamConnection, failure: UpstreamFailure, wasReady: boolean): void;
  event(connection: UpstreamConnection, buffer: Buffer, start: number, end: number): void;
  isControl(pool: UpstreamPool): boolean;
  /** A login that was refused leaves no pool behind. */
  forget(pool: UpstreamPool): void;
}

/** Sweeps (a tenth of a second each) without a byte from the node before it is asked for a sign of life, and before it is given up. */
const SILENT_TICKS = 300;
const DEAD_TICKS = 400;
/** Sweeps without use before a pool's connections are closed. */
const IDLE_TICKS = 6000;
const RETRY_REFUSED_MS = 1000;
/** Requests that go to one connection before the next one's turn, within a turn of the loop. */
const MOST_IN_TURN = 64;

export class UpstreamPool implements ConnectionOwner, NodePool<Leg> {
  readonly cluster: PoolCluster;
  readonly settings: ConnectionSettings;
  readonly origin: IntentOrigin;
  readonly #ready: UpstreamConnection[] = [];
  readonly #opening = new Set<UpstreamConnection>();
  #next = 0;
  /** Of the flusher, in which `#next` was chosen, and the requests that it got in it. */
  #turn = -1;
  #inTurn = 0;
  #waiting: Leg[] = [];
  #watchers: Usable[] = [];
  /** Why the cluster itself refused: a login, a keyspace, a version. Not tried again before `#retryAtMs`. */
  #refusal: UpstreamFailure | undefined;
  #retryAtMs = 0;
  #authenticator: string | undefined;
  #idleTicks = 0;
  /** Sessions that wait until a node takes more. */
  readonly #paused = new Set<() => void>();

  constructor(cluster: PoolCluster, settings: ConnectionSettings) {
    this.cluster = cluster;
    this.settings = settings;
    this.origin = { version: settings.version, keyspace: settings.keyspace, user: settings.credentials?.username ?? '' };
  }

  get connections(): number {
    return this.#ready.length;
  }

  get streamsInUse(): number {
    return this.#ready.reduce((sum, { streamsInUse }) => sum + streamsInUse, 0);
  }

  get isReady(): boolean {
    return this.#ready.length > 0;
  }

  get isDown(): boolean {
    return this.#ready.length === 0 && this.#opening.size === 0 && (this.#failureNow() !== undefined || !this.cluster.isReachable);
  }

  /** A connection for the leg. Undefined: the leg waits, or it has been told that it was not sent. */
  acquire(leg: Leg): UpstreamConnection | undefined {
    this.#idleTicks = 0;
    const count = this.#ready.length;
    const { flusher, limits } = this.cluster;
    // What leaves in one turn of the loop leaves together: by turns within it, each request would cost a system call here and another one there.
    const isSame = this.#turn === flusher.turn && this.#inTurn < MOST_IN_TURN;
    this.#turn = flusher.turn;
    for (let tries = isSame ? 0 : 1; tries <= count; tries += 1) {
      if (tries > 0) {
        this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
        this.#inTurn = 0;
      }
      const connection = this.#ready[this.#next];
      if (connection?.hasStream === true && connection.outbox.backlog <= limits.nodeBacklogBytes * 4) {
        this.#inTurn += 1;
        return connection;
      }
    }
    if (count > 0) {
      this.cluster.sink.unsent(leg, { kind: 'network', code: errorCodes.overloaded, message: `every connection to the ${this.cluster.name} cluster is full` });
      return undefined;
    }
    const failure = this.#opening.size > 0 ? undefined : (this.#failureNow() ?? this.#open());
    if (failure) this.cluster.sink.unsent(leg, failure);
    else this.#waiting.push(leg);
    return undefined;
  }

  /** A connection to this very node, if there is one. */
  connectionTo(address: CqlAddress): UpstreamConnection | undefined {
    return this.#ready.find((connection) => connection.address === address && connection.hasStream);
  }

  /** Any connection, for a request of the proxy's own. */
  anyConnection(): UpstreamConnection | undefined {
    return this.#ready.find(({ hasStream }) => hasStream);
  }

  /** The leg no longer waits here. */
  forget(leg: Leg): void {
    const at = this.#waiting.indexOf(leg);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Called back when a connection is there, or cannot be had. */
  whenUsable(done: Usable): void {
    if (this.#ready.length > 0) {
      done(undefined, this.#authenticator);
      return;
    }
    const failure = this.#opening.size > 0 ? undefined : (this.#failureNow() ?? this.#open());
    if (failure) done(failure, this.#authenticator);
    else this.#watchers.push(done);
  }

  /** The caller has written a leg: true when it is to send no more until `resume` is called. */
  isCongested(connection: NodeConnection<Leg>, resume: () => void): boolean {
    if (connection.backlog <= this.cluster.limits.nodeBacklogBytes) return false;
    this.#paused.add(resume);
    return true;
  }

  drained(): void {
    if (this.#paused.size === 0) return;
    const paused = [...this.#paused];
    this.#paused.clear();
    for (const resume of paused) resume();
  }

  ready(connection: UpstreamConnection): void {
    this.#opening.delete(connection);
    this.#ready.push(connection);
    this.#refusal = undefined;
    this.#authenticator = connection.authenticator;
    this.cluster.connected(this, connection);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const leg of waiting) this.cluster.sink.retry(leg);
    this.#tell(undefined);
    this.#fill();
  }

  closed(connection: UpstreamConnection, failure: UpstreamFailure): void {
    const wasReady = !this.#opening.delete(connection);
    const at = this.#ready.indexOf(connection);
    if (at >= 0) this.#ready.splice(at, 1);
    if (connection.authenticator !== undefined) this.#authenticator = connection.authenticator;
    this.cluster.disconnected(connection, failure, wasReady);
    this.drained();
    if (failure.kind !== 'network' && failure.kind !== 'closed') {
      this.#refusal = failure;
      this.#retryAtMs = this.cluster.clock.monotonicMs() + RETRY_REFUSED_MS;
    }
    if (this.#ready.length > 0 || this.#opening.size > 0) return;
    // Another node may be up: only when none is left to be tried do those that wait hear of it.
    const wants = this.#waiting.length > 0 || this.#watchers.length > 0;
    const last = wants ? (this.#failureNow() ?? this.#open()) : undefined;
    if (failure.kind === 'credentials' || failure.kind === 'version') this.cluster.forget(this);
    if (last) this.#fail(this.#refusal ?? failure);
  }

  event(connection: UpstreamConnection, buffer: Buffer, start: number, end: number): void {
    this.cluster.event(connection, buffer, start, end);
  }

  /** Ten times a second. False when the pool has not been used for long and has closed. */
  sweep(): boolean {
    this.#idleTicks += 1;
    if (this.#idleTicks > IDLE_TICKS && this.streamsInUse === 0 && !this.cluster.isControl(this)) {
      this.close('not used for long');
      return false;
    }
    for (const connection of [...this.#ready]) {
      connection.silentTicks += 1;
      if (connection.silentTicks > DEAD_TICKS) connection.close({ kind: 'network', code: errorCodes.overloaded, message: 'the node gives no sign of life' });
      else if (connection.silentTicks > SILENT_TICKS && !connection.isAsked) {
        connection.isAsked = true;
        connection.call(0x05, Buffer.alloc(0), () => {
          connection.isAsked = false;
        });
      }
    }
    if (this.#ready.length > 0) this.#fill();
    return true;
  }

  close(why: string): void {
    for (const connection of [...this.#ready, ...this.#opening]) connection.close({ kind: 'closed', code: errorCodes.overloaded, message: why });
  }

  /** Opens what is missing, while a node may be tried. */
  #fill(): void {
    const { hosts, options } = this.cluster;
    while (this.#ready.length + this.#opening.size < hosts.length * options.connectionsPerHost) if (this.#open()) return;
  }

  #failureNow(): UpstreamFailure | undefined {
    return this.#refusal && this.cluster.clock.monotonicMs() < this.#retryAtMs ? this.#refusal : undefined;
  }

  /** Why no connection can be tried now; undefined when one is being opened. */
  #open(): UpstreamFailure | undefined {
    const host = this.cluster.hostToTry((state) => this.#countOf(state));
    if (!host) return this.cluster.unreachable();
    this.#opening.add(new UpstreamConnection(host.address, this.cluster.options, this.settings, this, this.cluster));
    return undefined;
  }

  #countOf({ address }: HostState): number {
    let count = 0;
    for (const connection of this.#ready) if (connection.address === address) count += 1;
    for (const connection of this.#opening) if (connection.address === address) count += 1;
    return count;
  }

  #fail(failure: UpstreamFailure): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const leg of waiting) this.cluster.sink.unsent(leg, failure);
    this.#tell(failure);
  }

  #tell(failure: UpstreamFailure | undefined): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const done of watchers) done(failure, this.#authenticator);
  }
}
