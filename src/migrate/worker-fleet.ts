/**
 * The control's view of its gateway workers: who has acknowledged which epoch, and who still holds units of older ones.
 *
 * A worker asks for its lease and counts it from the moment it asked, the control from the moment it granted: a stopped
 * process, or a slow network, can only make the worker's own idea of the lease shorter. A worker whose lease has run out
 * serves dual-written tables from the source and parks quiescing ones (RULES 15), connected or not. An epoch is in force
 * once every worker with a running lease has acknowledged it.
 */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { ControlMessage, Holding, Parked, WorkerMessage } from './fleet-messages.ts';

/** The transport to one worker; `send` never blocks and drops nothing (a full channel is closed instead). */
export interface WorkerChannel {
  readonly send: (message: ControlMessage) => void;
  readonly close: () => void;
  /** True once the worker's process is known to be gone: then nobody waits for its lease. */
  readonly isDead: () => boolean;
}

export interface WorkerRequests {
  /** Commands, cancels, counters: whatever is not about epochs. */
  onRequest(worker: FleetWorker, message: WorkerMessage): void;
  /** The worker has been taken in, and has the present snapshot. */
  onAttached?(worker: FleetWorker): void;
  /** The link to the worker is gone. */
  onClosed?(workerId: string): void;
}

export interface QuiesceWatch {
  readonly holding: readonly Holding[];
  readonly parked: readonly Parked[];
  /** Workers that have not reported yet. */
  readonly unheard: number;
}

export interface FleetWorker {
  readonly workerId: string;
  readonly channel: WorkerChannel;
}

interface WorkerRecord extends FleetWorker {
  connected: boolean;
  ackedEpoch: number;
  /** Monotonic time at which the worker's lease has surely run out. */
  leaseEndsMs: number;
  readonly reports: Map<number, { holding: readonly Holding[]; parked: readonly Parked[] }>;
}

const LEASE_MARGIN_MS = 200;

export class WorkerFleet {
  readonly #runtime: Runtime;
  readonly #leaseMs: number;
  readonly #requests: WorkerRequests;
  readonly #workers = new Set<WorkerRecord>();
  readonly #changed = new Set<() => void>();
  #snapshot: RoutingSnapshot | undefined;
  #servers: readonly string[] = [];
  #mysqlServer: ControlMessage | undefined;
  readonly #watches = new Map<number, ControlMessage>();
  #nextWatch = 1;

  constructor(runtime: Runtime, options: { readonly leaseMs: number }, requests: WorkerRequests) {
    this.#runtime = runtime;
    this.#leaseMs = options.leaseMs;
    this.#requests = requests;
  }

  get size(): number {
    return [...this.#workers].filter((worker) => worker.connected).length;
  }

  /** `silent`: the process lives and its lease has run out. */
  get counts(): { readonly live: number; readonly silent: number } {
    const live = new Set<string>();
    const silent = new Set<string>();
    const now = this.#runtime.clock.monotonicMs();
    for (const { workerId, leaseEndsMs, connected, channel } of this.#workers) {
      if (now < leaseEndsMs && connected) live.add(workerId);
      else if (now >= leaseEndsMs && !channel.isDead()) silent.add(workerId);
    }
    // A worker that has connected again is not silent because of its old link.
    return { live: live.size, silent: [...silent].filter((workerId) => !live.has(workerId)).length };
  }

  get epoch(): number {
    return this.#snapshot?.epoch ?? 0;
  }

  /** Takes a newly connected worker in; returns what the transport calls for each message and at the end. */
  attach(workerId: string, channel: WorkerChannel): { receive(message: WorkerMessage): void; closed(): void } {
    const worker: WorkerRecord = { workerId, channel, connected: true, ackedEpoch: -1, leaseEndsMs: this.#runtime.clock.monotonicMs() + this.#leaseMs + LEASE_MARGIN_MS, reports: new Map() };
    this.#workers.add(worker);
    channel.send({ type: 'servers', names: this.#servers });
    if (this.#mysqlServer) channel.send(this.#mysqlServer);
    if (this.#snapshot) channel.send({ type: 'snapshot', snapshot: this.#snapshot });
    for (const watch of this.#watches.values()) channel.send(watch);
    this.#requests.onAttached?.(worker);
    return { receive: (message) => this.#receive(worker, message), closed: () => this.#closed(worker) };
  }

  /** Resolves once the snapshot is in force everywhere. */
  async publish(snapshot: RoutingSnapshot): Promise<void> {
    this.#snapshot = snapshot;
    for (const worker of this.#workers) if (worker.connected) worker.channel.send({ type: 'snapshot', snapshot });
    await this.#until(() => this.#inForce(snapshot.epoch));
  }

  /** A worker has to know them to tell the gateway's own from the database's. */
  tellServers(names: readonly string[]): void {
    this.#servers = names;
    this.broadcast({ type: 'servers', names });
  }

  /** Where the MySQL source is now. */
  tellMysqlServer({ host, port }: { readonly host: string; readonly port: number }): void {
    this.#mysqlServer = { type: 'mysql_server', host, port };
    this.broadcast(this.#mysqlServer);
  }

  broadcast(message: ControlMessage): void {
    for (const worker of this.#workers) if (worker.connected) worker.channel.send(message);
  }

  /**
   * Watches until no worker holds a unit of an epoch before `epoch` that touched the tables. `step` is called at each
   * change and every 50 ms, and ends the wait early by returning false.
   */
  async quiesced(tables: readonly string[], epoch: number, step: (watch: QuiesceWatch) => boolean | Promise<boolean>): Promise<boolean> {
    const watchId = this.#nextWatch++;
    const request: ControlMessage = { type: 'watch', watchId, tables, epoch };
    this.#watches.set(watchId, request);
    this.broadcast(request);
    try {
      for (;;) {
        const watch = this.#watch(watchId);
        if (watch.unheard === 0 && watch.holding.length === 0) return true;
        if (!(await step(watch))) return false;
        await this.#nextChange(50);
      }
    } finally {
      this.#watches.delete(watchId);
      this.broadcast({ type: 'unwatch', watchId });
      for (const worker of this.#workers) worker.reports.delete(watchId);
    }
  }

  #watch(watchId: number): QuiesceWatch {
    const holding: Holding[] = [];
    const parked: Parked[] = [];
    let unheard = 0;
    for (const worker of this.#workers) {
      const report = worker.reports.get(watchId);
      // A gone worker's sessions have ended or will park; what their backends still do is for the lock of the fence to wait for.
      if (this.#gone(worker)) continue;
      if (!report) unheard += 1;
      else {
        holding.push(...report.holding);
        parked.push(...report.parked);
      }
    }
    return { holding, parked, unheard };
  }

  #receive(worker: WorkerRecord, message: WorkerMessage): void {
    switch (message.type) {
      case 'ack':
        worker.ackedEpoch = Math.max(worker.ackedEpoch, message.epoch);
        break;
      case 'lease_request':
        worker.leaseEndsMs = this.#runtime.clock.monotonicMs() + this.#leaseMs + LEASE_MARGIN_MS;
        worker.channel.send({ type: 'lease', durationMs: this.#leaseMs, sequence: message.sequence });
        return;
      case 'report':
        worker.reports.set(message.watchId, { holding: message.holding, parked: message.parked });
        break;
      default:
        this.#requests.onRequest(worker, message);
        return;
    }
    this.#notify();
  }

  #closed(worker: WorkerRecord): void {
    worker.connected = false;
    this.#runtime.log.warn('gateway worker disconnected', { workerId: worker.workerId });
    this.#requests.onClosed?.(worker.workerId);
    this.#notify();
  }

  #inForce(epoch: number): boolean {
    for (const worker of this.#workers) {
      if (worker.ackedEpoch >= epoch) continue;
      if (!this.#gone(worker)) return false;
      if (!worker.connected) this.#workers.delete(worker);
    }
    return true;
  }

  #gone(worker: WorkerRecord): boolean {
    return this.#runtime.clock.monotonicMs() >= worker.leaseEndsMs || (!worker.connected && worker.channel.isDead());
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#runtime.signal.throwIfAborted();
      await this.#nextChange(50);
    }
  }

  /** Resolves at the next message of a worker, at the latest after `ms`. */
  #nextChange(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#changed.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#changed.add(done);
    });
  }

  #notify(): void {
    for (const done of [...this.#changed]) done();
  }
}
