/**
 * A gateway: listens (or is handed sockets), admits clients, keeps their sessions, and answers for them to the migration control.
 * One instance per process; several processes share a port through their parent.
 */
import { randomBytes } from 'node:crypto';
import * as net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { Side } from '../../catalog/routing-snapshot.ts';
import { noConnectionLimits } from '../../config/connection-limits.ts';
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { Admission, freeSlots } from './admission.ts';
import { LargeBuffers } from '../wire/socket-input.ts';
import { breakDeadlock } from './break-deadlock.ts';
import { PassedConnection } from './passed-connection.ts';
import type { PassedClient } from './passed-connection.ts';
import { Pools, sessionPooling } from './pool/pools.ts';
import type { SurveyedPool } from './pool/pools.ts';
import { ClientSession } from './client-session.ts';
import type { SessionHost } from './client-session.ts';
import type { HoldingUnit, QuiesceReport } from './control-port.ts';
import { errorFieldsOf } from './client-error.ts';
import { drain } from './drain.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { SessionTotals, surveyedClient, surveyedPassed } from './gateway-survey.ts';
import type { CrossingBlock, GatewaySurvey } from './gateway-survey.ts';
import { Handshake } from './handshake.ts';
import type { Admitted, HandshakeHost, RefusalReason } from './handshake.ts';
import { IdleLimits } from './idle-limits.ts';
import type { Parking } from './parking.ts';
import { defaultLimits, viewOf } from './services.ts';
import type { Services, SnapshotView } from './services.ts';
import { mysqlReach } from './mysql-tables/mysql-reach.ts';
import { ObjectNumbers } from './object-numbers.ts';
import type { ShadowReadCounts } from './shadow/shadow-port.ts';
import { ShadowReads } from './shadow/shadow-reads.ts';
import { TlsClients } from './tls-clients.ts';
import { UnitTimes } from './unit-times.ts';
import { Users } from './users.ts';

export interface ParkedUnit {
  readonly sessionId: string;
  readonly backendPids: HoldingUnit['backendPids'];
  readonly parkedForMs: number;
  readonly touches: readonly string[];
}

export interface Gateway extends AsyncDisposable {
  /** Of the listening socket; 0 without one. */
  readonly port: number;
  readonly sessions: number;
  /** Places, for those who come in by another door too. */
  readonly admission: Admission;
  /** For another door: connections that sessions share, and where they go. */
  readonly services: Pick<Services, 'pools' | 'legs'>;
  /** Connections to the databases open now. */
  readonly legs: Readonly<Record<Side, number>> & { readonly mysql?: number };
  /** Takes a socket that a parent process has accepted. */
  handleConnection(socket: net.Socket): void;
  /** True when a session of this process has this key. */
  cancel(pid: number, key: Buffer, done?: () => void): boolean;
  /** Units of epochs before `epoch` that have touched one of the tables and are still open. */
  quiesceReport(tables: readonly string[], epoch: number): QuiesceReport;
  parkedUnits(tables: readonly string[]): readonly ParkedUnit[];
  /** Called whenever a report for some tables may have changed; returns what ends it. */
  onUnitEnded(listener: () => void): () => void;
  /** Gives parked transactions 40001; returns how many. */
  failParked(sessionIds: readonly string[]): number;
  /** Open blocks that are on both sides. */
  crossingUnits(): readonly CrossingBlock[];
  /** Lets those that wait in a deadlock over both sides fail with 40P01; returns how many. */
  breakDeadlock(sessionIds: readonly string[]): number;
  survey(): GatewaySurvey;
  /** Connections that sessions share. */
  pools(): readonly SurveyedPool[];
  shadowReads(): readonly ShadowReadCounts[];
  /** No new clients; sessions end when they have nothing open, at the latest after `limitMs`. Resolves when none is left, or at once when `hurry` is aborted: `close` does the rest. */
  drain(limitMs: number, hurry: AbortSignal): Promise<void>;
  /** No new clients; those that are there are told and closed. */
  close(): Promise<void>;
}

/** A process that ends at once would take the cancel requests of its sessions with it. */
const CANCELS_LEAVE_MS = 250;

/** Resolves once it listens; rejects when the port is taken. */
export async function createGateway(runtime: Runtime, options: GatewayOptions): Promise<Gateway> {
  const gateway = new GatewayProcess(runtime, options);
  if (options.listen) await gateway.listen(options.listen);
  return gateway;
}

class GatewayProcess implements Gateway, HandshakeHost, SessionHost {
  readonly services: Services;
  readonly users: Users;
  readonly tls: TlsClients | undefined;
  readonly admission: Admission;
  readonly #connectionLimits: ConnectionLimits;
  readonly #idleLimits: IdleLimits;
  readonly #shadow: ShadowReads;
  readonly #options: GatewayOptions;
  readonly #sessions = new Map<string, ClientSession>();
  /** By `pid:key`, as clients send it to cancel. */
  readonly #byKey = new Map<string, ClientSession>();
  /** Replication connections, by the same. */
  readonly #passed = new Map<string, PassedConnection>();
  readonly #handshakes = new Set<Handshake>();
  readonly #totals = new SessionTotals();
  /** What gives back the place of each session. */
  readonly #places = new WeakMap<ClientSession, () => void>();
  readonly #parked = new Set<Parking>();
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;
  #server: net.Server | undefined;
  #view: SnapshotView;
  #counter = 0;
  #notifying = false;
  #lastBusyEndMs = Number.NEGATIVE_INFINITY;
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(runtime: Runtime, options: GatewayOptions) {
    this.#options = options;
    this.users = new Users(options.users, options.secret ?? randomBytes(32));
    this.tls = options.tls && new TlsClients(options.tls);
    this.#view = viewOf(options.control.snapshot);
    const { control, facts, routes, legs, sourcePosition, markedRows } = options;
    const numbers = options.askSide && new ObjectNumbers(options.askSide, (local) => this.#currentView().sourceName(local));
    const mysql = options.mysql && mysqlReach(options.mysql, (text) => facts.statementTree(text), options.askSide, () => runtime.clock.monotonicMs());
    const readBuffers = new LargeBuffers(options.erasesInput);
    const pools = new Pools(runtime, options.pools ?? sessionPooling, readBuffers);
    const shared = { runtime, pools, control, facts, routes, legs, sourcePosition, markedRows, numbers, mysql, limits: { ...defaultLimits, ...options.limits }, times: new UnitTimes(runtime.metrics), readBuffers, view: () => this.#currentView() };
    this.#shadow = new ShadowReads(shared);
    this.services = { ...shared, shadow: this.#shadow };
    this.#connectionLimits = options.connections?.limits ?? noConnectionLimits;
    this.admission = new Admission(runtime, options.connections?.slots ?? freeSlots, this.#connectionLimits, this.services.limits.connectionWaitMs);
    this.#idleLimits = new IdleLimits(runtime, this.services.limits, () => this.#sessions.values());
    this.#unsubscribe = control.onChange(() => this.#routingChanged());
  }

  #currentView(): SnapshotView {
    const { snapshot } = this.#options.control;
    if (this.#view.snapshot !== snapshot) this.#view = viewOf(snapshot);
    return this.#view;
  }

  listen(at: NonNullable<GatewayOptions['listen']>): Promise<void> {
    const server = net.createServer({ noDelay: true }, (socket) => this.handleConnection(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen('path' in at ? { path: at.path } : { host: at.host, port: at.port, backlog: 1024 }, () => {
        server.off('error', reject);
        server.on('error', (error) => this.services.runtime.log.error('listener failed', { error: error.message }));
        resolve();
      });
    });
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  pools(): readonly SurveyedPool[] {
    return this.services.pools.survey();
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get legs(): Gateway['legs'] {
    const open: { source: number; local: number; mysql?: number } = { source: 0, local: 0, ...(this.services.mysql ? { mysql: 0 } : {}) };
    for (const { carried, local, mysql } of this.#sessions.values()) {
      if (mysql?.isOpen) open.mysql = (open.mysql ?? 0) + 1;
      if (carried) continue;
      open.source += 1;
      if (local) open.local += 1;
    }
    for (const pool of this.services.pools.survey()) open[pool.side] += pool.open;
    return open;
  }

  handleConnection(socket: net.Socket): void {
    if (this.#closing) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    this.services.runtime.metrics.count('scratchbird_gateway_connections_total', {});
    this.#handshakes.add(new Handshake(socket, this));
  }

  // HandshakeHost

  tooMany(user: string): ErrorFields | undefined {
    const { maxConnections, reservedConnections } = this.services.limits;
    const places = maxConnections - (this.#connectionLimits.isExempt(user) ? 0 : reservedConnections);
    if (this.#sessions.size + this.#passed.size + this.#handshakes.size <= places) return undefined;
    return errorFieldsOf(new MigrationError('MIG085', 'too many connections', {
      detail: `A gateway process has ${maxConnections} places (limits.max_connections), ${reservedConnections} of them for operators only (limits.reserved_connections).`, hint: 'Raise the limit of connections, or connect later.',
    }), 'FATAL');
  }

  ended(handshake: Handshake): void {
    this.#handshakes.delete(handshake);
  }

  refused(reason: RefusalReason): void {
    this.services.runtime.metrics.count('scratchbird_gateway_connections_refused_total', { reason });
  }

  cancelRequested(pid: number, key: Buffer, done: () => void): void {
    if (this.cancel(pid, key, done)) return;
    if (this.#options.onUnknownCancel) this.#options.onUnknownCancel(pid, key, done);
    else done();
  }

  admitted(client: Admitted): void {
    const { home } = client;
    if (client.replicates && 'socket' in home) return this.#pass({ ...client, home });
    const sessionId = `${this.#options.name ?? 'gateway'}-${++this.#counter}`;
    const session = new ClientSession(this.services, { ...client.identity, sessionId }, client, this);
    this.#sessions.set(sessionId, session);
    this.#places.set(session, client.leave);
    this.#byKey.set(keyOf(session.cancelKey.pid, session.cancelKey.key), session);
    this.#countSessions();
    session.start(client.early);
  }

  #pass(client: PassedClient): void {
    const passed = new PassedConnection(client, this.services.runtime.clock.monotonicMs(), (ended) => {
      this.#passed.delete(keyOf(ended.key.pid, ended.key.key));
      client.leave();
    });
    this.#passed.set(keyOf(passed.key.pid, passed.key.key), passed);
  }

  #countSessions(): void {
    this.services.runtime.metrics.gauge('scratchbird_gateway_connections', {}, this.#sessions.size);
  }

  cancel(pid: number, key: Buffer, done: () => void = () => undefined): boolean {
    const found = this.#byKey.get(keyOf(pid, key)) ?? this.#passed.get(keyOf(pid, key));
    found?.cancel(done);
    return found !== undefined;
  }

  // SessionHost

  sessionEnded(session: ClientSession): void {
    if (session.activity === 'active') this.#lastBusyEndMs = session.now();
    this.#sessions.delete(session.identity.sessionId);
    this.#places.get(session)?.();
    this.#totals.sessionEnded(session);
    this.#byKey.delete(keyOf(session.cancelKey.pid, session.cancelKey.key));
    this.#countSessions();
  }

  entered(parking: Parking): void {
    this.#parked.add(parking);
    this.services.runtime.metrics.count('scratchbird_gateway_parked_total', {});
    this.#countParked();
  }

  left(parking: Parking): void {
    this.#parked.delete(parking);
    this.#countParked();
  }

  #countParked(): void {
    this.services.runtime.metrics.gauge('scratchbird_gateway_parked', {}, this.#parked.size);
    this.unitEnded();
  }

  unitEnded(): void {
    if (this.#listeners.size === 0 || this.#notifying) return;
    this.#notifying = true;
    // Once for all units that end in one turn, and after they have ended.
    queueMicrotask(() => {
      this.#notifying = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  onUnitEnded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #routingChanged(): void {
    for (const session of [...this.#sessions.values()]) session.routingChanged();
    this.unitEnded();
  }

  quiesceReport(tables: readonly string[], epoch: number): QuiesceReport {
    const wanted = new Set(tables);
    const holding: HoldingUnit[] = [];
    for (const session of this.#sessions.values()) if (session.holds(wanted, epoch)) holding.push(session.describe());
    return { epoch, holding, parked: this.parkedUnits(tables).length };
  }

  parkedUnits(tables: readonly string[]): readonly ParkedUnit[] {
    const wanted = new Set(tables);
    const units: ParkedUnit[] = [];
    for (const parking of this.#parked) {
      if (!parking.touches.some((table) => wanted.has(table))) continue;
      const { core } = parking;
      units.push({
        sessionId: core.identity.sessionId, backendPids: { source: core.home.pid, ...(core.local ? { local: core.local.pid } : {}) },
        parkedForMs: core.now() - (parking.parkedSinceMs ?? core.now()), touches: parking.touches,
      });
    }
    return units;
  }

  failParked(sessionIds: readonly string[]): number {
    return sessionIds.filter((id) => this.#sessions.get(id)?.failParked() ?? false).length;
  }

  crossingUnits(): readonly CrossingBlock[] {
    if (this.#currentView().snapshot.twoPhase === undefined) return [];
    const blocks: CrossingBlock[] = [];
    for (const session of this.#sessions.values()) {
      const { tx, home, local, identity } = session;
      if (local && tx?.sides.length === 2) blocks.push({ sessionId: identity.sessionId, sourcePid: home.pid, localPid: local.pid, openForMs: session.now() - tx.startedAtMs });
    }
    return blocks;
  }

  breakDeadlock(sessionIds: readonly string[]): number {
    return sessionIds.filter((id) => {
      const session = this.#sessions.get(id);
      return session !== undefined && breakDeadlock(session);
    }).length;
  }

  readonly shadowReads = (): readonly ShadowReadCounts[] => this.#shadow.read();

  survey(): GatewaySurvey {
    const nowMs = this.services.runtime.clock.monotonicMs();
    return {
      clients: [...[...this.#sessions.values()].map(surveyedClient), ...[...this.#passed.values()].map((passed) => surveyedPassed(passed, nowMs))],
      waiting: [...this.admission.waiting].map(({ sinceMs, ...client }) => ({ ...client, waitingForMs: nowMs - sinceMs })),
      loggingIn: this.#handshakes.size, totals: this.#totals.with(this.#sessions.values(), this.admission), isDraining: this.#closing, pools: this.services.pools.survey(),
    };
  }

  #refuseNew(): Promise<void> {
    this.#closing = true;
    const server = this.#server;
    this.#closed ??= new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    for (const handshake of [...this.#handshakes]) handshake.shutDown();
    return this.#closed;
  }

  async drain(limitMs: number, hurry: AbortSignal): Promise<void> {
    void this.#refuseNew();
    await drain(this.services.runtime, { sessions: () => this.#sessions.values(), onUnitEnded: (listener) => this.onUnitEnded(listener), limitMs, hurry });
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#idleLimits.stop();
    this.#shadow.close();
    const closed = this.#refuseNew();
    for (const session of [...this.#sessions.values(), ...this.#passed.values()]) session.shutDown();
    await closed;
    this.services.pools.close();
    // What was running is being cancelled, over connections of their own.
    await setTimeout(Math.max(0, this.#lastBusyEndMs + CANCELS_LEAVE_MS - this.services.runtime.clock.monotonicMs()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function keyOf(pid: number, key: Buffer): string {
  return `${pid}:${key.toString('hex')}`;
}
