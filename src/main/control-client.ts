/**
 * A gateway worker's side of the link to the control process: fills in `ControlPort`.
 *
 * States: connecting → connected → connecting … The last snapshot stays in use while the link is down; `leaseValid` says
 * when that is no longer safe for everything (RULES 15).
 */
import * as net from 'node:net';
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import type { CommandAnswer, ControlMessage, CrossingUnit, Holding, Parked, WorkerMessage } from '../migrate/fleet-messages.ts';
import type { WorkerSurvey } from '../migrate/worker-survey.ts';
import type { CommandRequest, CommandResult, ControlPort } from '../session/control-port.ts';
import { CaughtUpQuestions } from './caught-up-questions.ts';
import { jsonLines } from './json-lines.ts';
import type { JsonLines } from './json-lines.ts';
import { TableFacts } from './table-facts.ts';
import { createVisibleProgress } from './visible-progress.ts';
import type { VisibleProgress } from './visible-progress.ts';

export interface ControlClientOptions {
  readonly socketPath: string;
  readonly workerId: string;
  /** How long a command waits for a control process that is being restarted. */
  readonly commandWaitMs: number;
  /** The source's present write position, for waiters whose transaction id was missed. */
  readonly fetchSourcePosition: (callback: (lsn: bigint) => void) => void;
  readonly quiesceReport: (tables: readonly string[], epoch: number) => { holding: readonly Holding[]; parked: readonly Parked[] };
  readonly failParked: (sessionIds: readonly string[]) => void;
  readonly crossingUnits: () => readonly CrossingUnit[];
  readonly breakDeadlock: (sessionIds: readonly string[]) => void;
  /** The control may be a new process, which knows nothing yet. */
  readonly onConnected: () => void;
  readonly onDisconnected: () => void;
  readonly onCancel: (pid: number, key: string) => void;
  readonly survey: (shadowReads: boolean) => WorkerSurvey;
  /** MySQL clients go to this server from now on. */
  readonly onMysqlServer: (place: { readonly host: string; readonly port: number }) => void;
  readonly onSlotAnswer: (id: number, granted: boolean) => void;
  /** Called ten times a second while the lease has run out. */
  readonly onLeaseOver: () => void;
}

export interface ControlClient extends ControlPort {
  run(signal: AbortSignal): Promise<void>;
  /** Resolves with the first snapshot: no client is served before. */
  ready(): Promise<void>;
  /** Without a link nothing is asked for: what was counted meanwhile goes out later. */
  sendMetrics(delta: () => unknown): void;
  /** To the worker that has the session; `done` when it has told the servers, or none has it. */
  forwardCancel(pid: number, key: string, done: () => void): void;
  /** Dropped while there is no link. */
  send(message: WorkerMessage): void;
  /** Called when units end, so that a watch is answered at once. */
  unitsChanged(): void;
}

/** Nobody has the session, or its worker is gone. */
const CANCEL_WAIT_MS = 2_000;

interface PendingCommand {
  readonly resolve: (answer: CommandAnswer) => void;
  readonly reject: (error: Error) => void;
}

const RECONNECT_MS = 100;
const REPORT_EVERY_MS = 20;
const CROSSING_EVERY_MS = 300;

export function createControlClient(runtime: Runtime, options: ControlClientOptions): ControlClient {
  return new LinkedControl(runtime, options);
}

class LinkedControl implements ControlClient {
  readonly visibility: VisibleProgress;
  readonly #runtime: Runtime;
  readonly #options: ControlClientOptions;
  readonly #facts: TableFacts;
  readonly #caughtUp = new CaughtUpQuestions((id, tables) => this.send({ type: 'caught_up_request', id, tables }));
  readonly #listeners = new Set<() => void>();
  /** Clients that wait for the end of a cancel of another worker's, by its key. */
  readonly #cancels = new Map<string, (() => void)[]>();
  readonly #commands = new Map<number, PendingCommand>();
  readonly #watches = new Map<number, { tables: readonly string[]; epoch: number; last: string }>();
  readonly #leaseRequests = new Map<number, number>();
  readonly #routes = new Map<string, Map<string, number>>();
  readonly #ready: Promise<void>;
  #markReady: () => void = () => undefined;
  #snapshot: RoutingSnapshot = emptySnapshot;
  #servers: ReadonlySet<string> = new Set();
  #link: JsonLines<WorkerMessage> | undefined;
  #leaseEndsMs = 0;
  #leaseMs = 1_000;
  #nextId = 1;
  #reportDue = false;

  constructor(runtime: Runtime, options: ControlClientOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#facts = new TableFacts(() => this.#snapshot, (table) => this.send({ type: 'facts_request', table }), options.commandWaitMs);
    this.visibility = createVisibleProgress(() => runtime.clock.monotonicMs());
    this.#ready = new Promise((resolve) => (this.#markReady = resolve));
  }

  get snapshot(): RoutingSnapshot {
    return this.#snapshot;
  }

  get leaseValid(): boolean {
    return this.#runtime.clock.monotonicMs() < this.#leaseEndsMs;
  }

  hasServer(name: string): boolean {
    return this.#servers.has(name);
  }

  tableFacts(key: string): MigratedTable | undefined {
    return this.#facts.get(key);
  }

  loadTableFacts(keys: readonly string[], done: (error: MigrationError | undefined) => void): void {
    this.#facts.load(keys, done);
  }

  whenCaughtUp(tables: readonly string[], callback: () => void): () => void {
    return this.#caughtUp.ask(tables, callback);
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async run(signal: AbortSignal): Promise<void> {
    const timers = [setInterval(() => this.#tick(), 100), setInterval(() => this.#report(), REPORT_EVERY_MS), setInterval(() => this.#reportCrossing(), CROSSING_EVERY_MS)];
    try {
      while (!signal.aborted) {
        await this.#connectOnce(signal).catch((error: unknown) => this.#runtime.log.debug('control link', { error: String(error) }));
        await this.#runtime.clock.sleep(RECONNECT_MS, signal).catch(() => undefined);
      }
    } finally {
      for (const timer of timers) clearInterval(timer);
    }
  }

  async command(request: CommandRequest): Promise<CommandResult> {
    const deadline = this.#runtime.clock.monotonicMs() + this.#options.commandWaitMs;
    while (!this.#link) {
      if (this.#runtime.clock.monotonicMs() > deadline) throw new MigrationError('MIG084');
      await this.#runtime.clock.sleep(50, this.#runtime.signal);
    }
    const id = this.#nextId++;
    const answer = await new Promise<CommandAnswer>((resolve, reject) => {
      this.#commands.set(id, { resolve, reject });
      this.#link?.send({ type: 'command', id, request });
    });
    if (answer.ok) return { tag: answer.tag, columns: answer.columns, rows: answer.rows, notices: answer.notices };
    const { code, message, detail, hint, position } = answer;
    throw new MigrationError(code, message, {
      ...(detail === undefined ? {} : { detail }),
      ...(hint === undefined ? {} : { hint }),
      ...(position === undefined ? {} : { position }),
    });
  }

  countRoute(table: string, route: string): void {
    let counts = this.#routes.get(table);
    if (!counts) this.#routes.set(table, (counts = new Map()));
    counts.set(route, (counts.get(route) ?? 0) + 1);
  }

  sendMetrics(delta: () => unknown): void {
    this.#link?.send({ type: 'metrics', delta: delta() });
  }

  forwardCancel(pid: number, key: string, done: () => void): void {
    if (!this.#link) return done();
    const id = `${pid} ${key}`;
    const timer = setTimeout(() => this.#cancelled(id), CANCEL_WAIT_MS).unref();
    this.#cancels.set(id, [...(this.#cancels.get(id) ?? []), () => {
      clearTimeout(timer);
      done();
    }]);
    this.#link.send({ type: 'cancel', pid, key });
  }

  #cancelled(id: string): void {
    const waiting = this.#cancels.get(id) ?? [];
    this.#cancels.delete(id);
    for (const done of waiting) done();
  }

  send(message: WorkerMessage): void {
    this.#link?.send(message);
  }

  unitsChanged(): void {
    if (this.#watches.size === 0 || this.#reportDue) return;
    this.#reportDue = true;
    setImmediate(() => {
      this.#reportDue = false;
      this.#report();
    });
  }

  #connectOnce(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.#options.socketPath);
      const abort = (): void => void socket.destroy();
      signal.addEventListener('abort', abort, { once: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        const link = jsonLines<ControlMessage, WorkerMessage>(socket, (message) => this.#receive(message));
        link.send({ type: 'hello', workerId: this.#options.workerId, pid: process.pid });
        this.#link = link;
        this.#options.onConnected();
        this.#facts.connected();
        this.#caughtUp.connected();
        this.#requestLease();
      });
      socket.once('close', () => {
        signal.removeEventListener('abort', abort);
        this.#disconnected();
        resolve();
      });
    });
  }

  #disconnected(): void {
    this.#link = undefined;
    this.#options.onDisconnected();
    this.#watches.clear();
    this.#leaseRequests.clear();
    for (const command of this.#commands.values()) {
      command.reject(new MigrationError('MIG084', 'the control process ended while it ran this statement', {
        detail: 'What it had begun is finished or undone when it is back.',
        hint: 'SHOW MIGRATION STATUS tells where it stands.',
      }));
    }
    this.#commands.clear();
  }

  #receive(message: ControlMessage): void {
    switch (message.type) {
      case 'snapshot':
        this.#adopt(message.snapshot);
        return;
      case 'servers':
        this.#servers = new Set(message.names);
        return;
      case 'mysql_server':
        this.#options.onMysqlServer(message);
        return;
      case 'lease':
        this.#renew(message.sequence, message.durationMs);
        return;
      case 'visible':
        if (message.reset === true) this.visibility.reset();
        this.visibility.advance(BigInt(message.lsn), message.xids);
        return;
      case 'caught_up':
        this.#caughtUp.answered(message.id);
        return;
      case 'watch':
        this.#watches.set(message.watchId, { tables: message.tables, epoch: message.epoch, last: '' });
        this.#report();
        return;
      case 'unwatch':
        this.#watches.delete(message.watchId);
        return;
      case 'fail_parked':
        this.#options.failParked(message.sessionIds);
        return;
      case 'break_deadlock':
        this.#options.breakDeadlock(message.sessionIds);
        return;
      case 'result':
        this.#commands.get(message.id)?.resolve(message.result);
        this.#commands.delete(message.id);
        return;
      case 'survey_request':
        this.send({ type: 'survey', id: message.id, survey: this.#options.survey(message.shadowReads === true) });
        return;
      case 'slot_answer':
        this.#options.onSlotAnswer(message.id, message.granted);
        return;
      case 'facts_answer':
        this.#facts.answered(message.table, message.facts);
        return;
      case 'cancel':
        this.#options.onCancel(message.pid, message.key);
        return;
      case 'cancelled':
        this.#cancelled(`${message.pid} ${message.key}`);
        return;
      default:
        message satisfies never;
    }
  }

  /** A control process that came back may publish an epoch below ours only if its catalog was restored: it is not taken. */
  #adopt(snapshot: RoutingSnapshot): void {
    if (snapshot.epoch >= this.#snapshot.epoch) this.#snapshot = snapshot;
    else this.#runtime.log.error('snapshot of an older epoch refused', { ours: this.#snapshot.epoch, theirs: snapshot.epoch });
    this.#markReady();
    for (const listener of this.#listeners) listener();
    this.#link?.send({ type: 'ack', epoch: this.#snapshot.epoch });
    this.#report();
  }

  #renew(sequence: number, durationMs: number): void {
    const askedMs = this.#leaseRequests.get(sequence);
    for (const older of this.#leaseRequests.keys()) if (older <= sequence) this.#leaseRequests.delete(older);
    if (askedMs === undefined) return;
    const wasValid = this.leaseValid;
    this.#leaseMs = durationMs;
    this.#leaseEndsMs = Math.max(this.#leaseEndsMs, askedMs + durationMs);
    if (!wasValid && this.leaseValid) for (const listener of this.#listeners) listener();
  }

  #requestLease(): void {
    const sequence = this.#nextId++;
    this.#leaseRequests.set(sequence, this.#runtime.clock.monotonicMs());
    this.#link?.send({ type: 'lease_request', sequence });
  }

  #tick(): void {
    const now = this.#runtime.clock.monotonicMs();
    if (this.#link && this.#leaseEndsMs - now < (this.#leaseMs * 2) / 3) this.#requestLease();
    this.visibility.sweep(now, this.#options.fetchSourcePosition);
    this.#sendRoutes();
    if (!this.leaseValid) this.#options.onLeaseOver();
  }

  #report(): void {
    for (const [watchId, watch] of this.#watches) {
      const { holding, parked } = this.#options.quiesceReport(watch.tables, watch.epoch);
      const said = `${holding.map((unit) => unit.sessionId).join()}|${parked.map((unit) => unit.sessionId).join()}`;
      if (said === watch.last) continue;
      watch.last = said;
      this.#link?.send({ type: 'report', watchId, holding, parked });
    }
  }

  /** Also when the last one has ended. */
  #reportCrossing(): void {
    const units = this.#options.crossingUnits();
    if (units.length === 0 && !this.#hasCrossing) return;
    this.#hasCrossing = units.length > 0;
    this.#link?.send({ type: 'crossing', units });
  }

  #hasCrossing = false;

  #sendRoutes(): void {
    if (this.#routes.size === 0 || !this.#link) return;
    const counts = [...this.#routes].flatMap(([table, byRoute]) => [...byRoute].map(([route, count]) => [table, route, count] as const));
    this.#routes.clear();
    this.#link.send({ type: 'routes', counts });
  }
}
