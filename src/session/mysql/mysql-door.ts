/** The MySQL front door: a listener, those who log in, and their sessions. */
import { randomInt } from 'node:crypto';
import * as net from 'node:net';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { askGreeting } from '../../wire/mysql/connect-mysql.ts';
import type { MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import type { Greeting } from '../../wire/mysql/greeting.ts';
import { LargeBuffers } from '../../wire/socket-input.ts';
import type { Admission } from '../admission.ts';
import type { ControlPort, HoldingUnit, QuiesceReport } from '../control-port.ts';
import { drain } from '../drain.ts';
import type { ParkedUnit } from '../gateway.ts';
import type { SurveyedClient } from '../gateway-survey.ts';
import { IdleLimits } from '../idle-limits.ts';
import { defaultLimits } from '../services.ts';
import type { GatewayLimits } from '../services.ts';
import { TlsClients } from '../tls-clients.ts';
import type { ClientTls } from '../tls-clients.ts';
import { Users } from '../users.ts';
import type { UserEntry } from '../users.ts';
import { DecideByName } from './decide-by-name.ts';
import { surveyedMysql } from './door-survey.ts';
import type { DoorSession, MysqlAdmitted, MysqlDoorHost, MysqlServices } from './door-host.ts';
import { killOnServer } from './kill-on-server.ts';
import type { KillKind } from './kill-on-server.ts';
import type { MysqlContext, MysqlDecider, MysqlDecision } from './mysql-decision.ts';
import { MysqlHandshake } from './mysql-handshake.ts';
import { MysqlLocal } from '../mysql-local/mysql-local.ts';
import type { MysqlLocalOptions } from '../mysql-local/mysql-local.ts';
import { MysqlPasswords } from './mysql-passwords.ts';
import type { NativeUser } from './mysql-passwords.ts';
import { MysqlSession } from './mysql-session.ts';
import { FIRST_CONNECTION_ID, isControlText, isDoorId, OWN_TEXT_BYTES } from './own-texts.ts';

export interface MysqlDoorOptions {
  /** Left out: it is handed sockets. */
  readonly listen?: { readonly host: string; readonly port: number } | { readonly path: string };
  /** As of the PostgreSQL side, with what only MySQL clients are known by. */
  readonly users: readonly (UserEntry & NativeUser)[];
  readonly tls?: ClientTls;
  readonly control: ControlPort;
  readonly admission: Admission;
  /** The server, without a user. */
  readonly server: Omit<MysqlTarget, 'user' | 'password'>;
  /** Where a user's connections go. Throws a MigrationError. */
  readonly target: (user: string, database: string | undefined) => MysqlTarget;
  /** False once another server goes on in its place. Left out: there is one. */
  readonly isCurrent?: (target: MysqlTarget) => boolean;
  /** Left out: by the names in a statement's text. */
  readonly decider?: MysqlDecider;
  readonly limits?: Partial<GatewayLimits>;
  /** Left out: tables on local are refused. */
  readonly local?: MysqlLocalOptions;
  /** The memory that sockets are read into is erased before it is used again: for tests. */
  readonly erasesInput?: boolean;
  readonly name?: string;
  /** Shared by the workers, so that an unknown user looks the same to each. */
  readonly secret: Buffer;
  /** A session of another worker is to be killed. Left out: there is none. `done` when all have been asked. */
  readonly killElsewhere?: (id: number, kind: KillKind, user: string, done: () => void) => void;
}

export interface MysqlDoor extends AsyncDisposable {
  /** Of the listening socket; 0 without one. */
  readonly port: number;
  readonly sessions: number;
  /** A client's socket from elsewhere. */
  handleConnection(socket: net.Socket): void;
  /** Units of epochs before `epoch` that may have touched one of the tables and are still open. */
  quiesceReport(tables: readonly string[], epoch: number): QuiesceReport;
  /** Statements that wait for a barrier over one of the tables. */
  parkedUnits(tables: readonly string[]): readonly ParkedUnit[];
  /** Gives these up, as far as they are parked in a transaction; returns how many were. */
  failParked(sessionIds: readonly string[]): number;
  /** Clients, and how many are logging in. */
  survey(): { readonly clients: readonly SurveyedClient[]; readonly loggingIn: number };
  onUnitEnded(listener: () => void): () => void;
  /** On behalf of that user's session elsewhere. False: no session here has the number, or it is another user's. */
  kill(id: number, kind: KillKind, user: string, done: () => void): boolean;
  /** Ends sessions on a server in whose place another one goes on: their clients find that by connecting again. */
  endElsewhere(): void;
  drain(limitMs: number, hurry: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Resolves once it listens, if it is to; rejects when the port is taken. */
export async function openMysqlDoor(runtime: Runtime, options: MysqlDoorOptions): Promise<MysqlDoor> {
  const door = new Door(runtime, options);
  if (options.listen) await door.listen(options.listen);
  return door;
}

function describe({ sessionId, backendPids, client: { user, address }, unit: { openForMs, lastText } }: MysqlSession): HoldingUnit {
  return { sessionId, user, clientAddress: address, backendPids, openForMs, lastStatement: lastText };
}

class Door implements MysqlDoor, MysqlDoorHost {
  readonly services: MysqlServices;
  readonly passwords: MysqlPasswords;
  readonly tls: TlsClients | undefined;
  readonly admission: Admission;
  readonly readBuffers: LargeBuffers;
  readonly local: MysqlLocal | undefined;
  readonly #options: MysqlDoorOptions;
  readonly #decider: MysqlDecider;
  readonly #sessions = new Map<number, MysqlSession>();
  readonly #logins = new Set<object>();
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;
  readonly #server: net.Server;
  readonly #idleLimits: IdleLimits;
  readonly #asking: ((greeting: Greeting | Error) => void)[] = [];
  #greeting: Greeting | undefined;
  #counter = 0;
  #isNotifying = false;
  #isClosing = false;
  #closed: Promise<void> | undefined;

  constructor(runtime: Runtime, options: MysqlDoorOptions) {
    this.#options = options;
    this.services = { runtime, control: options.control, limits: { ...defaultLimits, ...options.limits } };
    this.passwords = new MysqlPasswords(new Users(options.users, options.secret), options.users);
    this.tls = options.tls && new TlsClients(options.tls);
    this.admission = options.admission;
    this.readBuffers = new LargeBuffers(options.erasesInput);
    this.local = options.local && new MysqlLocal(options.local, this.services.limits.legConnectTimeoutMs, () => runtime.clock.monotonicMs(), this.readBuffers);
    this.#decider = options.decider ?? new DecideByName();
    this.#idleLimits = new IdleLimits(runtime, this.services.limits, () => this.#sessions.values());
    this.#server = net.createServer({ noDelay: true }, (socket) => this.handleConnection(socket));
    this.#unsubscribe = options.control.onChange(() => {
      for (const session of [...this.#sessions.values()]) {
        session.gate.routingChanged();
        session.hold.routingChanged(this.snapshot);
      }
      this.unitChanged();
    });
  }

  listen(listen: NonNullable<MysqlDoorOptions['listen']>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen('path' in listen ? { path: listen.path } : { ...listen, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.services.runtime.log.error('listener failed', { error: error.message }));
        resolve();
      });
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  handleConnection(socket: net.Socket): void {
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    this.services.runtime.metrics.count('scratchbird_gateway_connections_total', {});
    this.#logins.add(new MysqlHandshake(socket, this, this.#newId()));
  }

  #newId(): number {
    for (;;) {
      const id = FIRST_CONNECTION_ID + randomInt(FIRST_CONNECTION_ID - 1);
      if (!this.#sessions.has(id)) return id;
    }
  }

  // MysqlDoorHost

  get snapshot(): RoutingSnapshot {
    return this.services.control.snapshot;
  }

  isTrivial(): boolean {
    const { snapshot } = this;
    if (this.#looked.snapshot !== snapshot) this.#looked = { snapshot, isTrivial: !Object.values(snapshot.tables).some((route) => route.door === 'mysql') };
    return this.#looked.isTrivial;
  }

  /** Once for each snapshot. */
  #looked: { readonly snapshot: RoutingSnapshot | undefined; readonly isTrivial: boolean } = { snapshot: undefined, isTrivial: true };

  isControl(text: string): boolean {
    return text.length <= OWN_TEXT_BYTES && isControlText(text, (name) => this.services.control.hasServer(name));
  }

  decide(text: string, context: MysqlContext): MysqlDecision | undefined {
    return this.isTrivial() ? undefined : this.#decider.decide(text, this.snapshot, context);
  }

  target(user: string, database: string | undefined): MysqlTarget {
    return this.#options.target(user, database);
  }

  greeting(done: (greeting: Greeting | Error) => void): void {
    if (this.#greeting) return done(this.#greeting);
    this.#asking.push(done);
    if (this.#asking.length > 1) return;
    askGreeting(this.#options.server, this.services.limits.legConnectTimeoutMs, (greeting) => {
      if (!(greeting instanceof Error)) this.#greeting = greeting;
      for (const waiting of this.#asking.splice(0)) waiting(greeting);
    });
  }

  greeted(greeting: Greeting): void {
    this.#greeting = greeting;
  }

  isFull(login: object): boolean {
    const others = this.#sessions.size + this.#logins.size - (this.#logins.has(login) ? 1 : 0);
    return others >= this.services.limits.maxConnections;
  }

  admitted(client: MysqlAdmitted): void {
    const session = new MysqlSession(this, client, `${this.#options.name ?? 'gateway'}-mysql-${++this.#counter}`);
    this.#sessions.set(client.connectionId, session);
    this.#countSessions();
    session.start();
    this.#endIfElsewhere(session);
  }

  loginEnded(login: object): void {
    this.#logins.delete(login);
  }

  refused(reason: Parameters<MysqlDoorHost['refused']>[0]): void {
    this.services.runtime.metrics.count('scratchbird_gateway_connections_refused_total', { reason });
  }

  sessionEnded({ client }: DoorSession): void {
    this.#sessions.delete(client.connectionId);
    client.leave();
    this.#countSessions();
    this.unitChanged();
  }

  #countSessions(): void {
    this.services.runtime.metrics.gauge('scratchbird_gateway_mysql_connections', {}, this.#sessions.size);
  }

  unitChanged(): void {
    if (this.#listeners.size === 0 || this.#isNotifying) return;
    this.#isNotifying = true;
    queueMicrotask(() => {
      this.#isNotifying = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  isOwnId(id: number): boolean {
    return isDoorId(id);
  }

  threadOf(id: number): number | undefined {
    return this.#sessions.get(id)?.threadId;
  }

  cancelLocal(id: number): void {
    this.#sessions.get(id)?.local?.cancel();
  }

  killElsewhere(id: number, kind: KillKind, user: string, done: (found: boolean) => void): void {
    const { killElsewhere } = this.#options;
    if (!killElsewhere) return done(false);
    killElsewhere(id, kind, user, () => done(true));
  }

  killOf({ client, threadId }: DoorSession): void {
    killOnServer(client.target, threadId, 'connection', this.services.limits.legConnectTimeoutMs, () => undefined);
  }

  // MysqlDoor

  kill(id: number, kind: KillKind, user: string, done: () => void): boolean {
    const session = this.#sessions.get(id);
    if (!session || session.client.user !== user) return false;
    session.local?.cancel();
    killOnServer(session.client.target, session.threadId, kind, this.services.limits.legConnectTimeoutMs, done);
    return true;
  }

  endElsewhere(): void {
    this.#greeting = undefined;
    for (const session of [...this.#sessions.values()]) this.#endIfElsewhere(session);
  }

  #endIfElsewhere(session: MysqlSession): void {
    if (this.#options.isCurrent?.(session.client.target) === false) session.shutDown();
  }

  onUnitEnded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  quiesceReport(tables: readonly string[], epoch: number): QuiesceReport {
    const wanted = new Set(tables);
    const holding = [...this.#sessions.values()].filter(({ unit }) => unit.holds(wanted, epoch)).map(describe);
    return { epoch, holding, parked: this.parkedUnits(tables).length };
  }

  parkedUnits(tables: readonly string[]): readonly ParkedUnit[] {
    const wanted = new Set(tables);
    return [...this.#sessions.values()].filter(({ gate }) => gate.touches.some((table) => wanted.has(table))).map(({ sessionId, backendPids, gate: { parkedForMs = 0, touches } }) => (
      { sessionId, backendPids, parkedForMs, touches }
    ));
  }

  failParked(sessionIds: readonly string[]): number {
    const wanted = new Set(sessionIds);
    return [...this.#sessions.values()].filter((session) => wanted.has(session.sessionId) && session.gate.failParked()).length;
  }

  survey(): ReturnType<MysqlDoor['survey']> {
    return { clients: [...this.#sessions.values()].map((session) => surveyedMysql(session, this.local)), loggingIn: this.#logins.size };
  }

  async drain(limitMs: number, hurry: AbortSignal): Promise<void> {
    void this.#refuseNew();
    await drain(this.services.runtime, { sessions: () => this.#sessions.values(), onUnitEnded: (listener) => this.onUnitEnded(listener), limitMs, hurry });
  }

  #refuseNew(): Promise<void> {
    this.#isClosing = true;
    this.#closed ??= new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const login of [...this.#logins]) if (login instanceof MysqlHandshake) login.shutDown();
    return this.#closed;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#idleLimits.stop();
    const closed = this.#refuseNew();
    for (const session of [...this.#sessions.values()]) session.shutDown();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
