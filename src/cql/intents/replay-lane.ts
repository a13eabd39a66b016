/**
 * What one cluster still owes, sent to it until it has it.
 *
 * The lane is `closed` (it sends), `open` (the cluster has failed several times in a row: nothing is sent until `reopenAtMs`), or `probing` (one write is under way to see).
 * What fails for the cluster's sake is tried again without end: the log is the limit. What the cluster refuses as a statement is tried `maxRefusals` times and then goes to the repair list.
 */
import { errorCodes } from '../../wire/cql/error-body.ts';
import type { ReplayOutcome, ReplayPort } from '../proxy-options.ts';
import type { ClusterIndex } from '../modes.ts';
import type { Intent, IntentLog } from './intent-log.ts';

export interface LaneOptions {
  readonly log: IntentLog;
  readonly port: ReplayPort;
  readonly nowMs: () => number;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
  readonly maxInFlight: number;
  readonly maxBytesInFlight: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Failures of the cluster in a row that open the lane. */
  readonly failuresToOpen: number;
  readonly maxRefusals: number;
  /** The write as it is to be sent now: with what is left of its TTL. */
  readonly prepare: (intent: Intent) => Intent;
  /** Resolves when the write stands in the repair list. */
  readonly giveUp: (intent: Intent, cluster: ClusterIndex, message: string) => Promise<void>;
  readonly unreadable: (ticket: number, error: unknown) => void;
}

interface Waiting {
  readonly refusals: number;
  readonly failures: number;
  readonly dueMs: number;
}

/** Writes that wait for their time or for another of their order; beyond that the lane stops to look for new ones. */
const MOST_WAITING = 10_000;

export type LaneState = 'closed' | 'open' | 'probing';

export interface LaneCounts {
  sent: number;
  replayed: number;
  refused: number;
  failed: number;
  givenUp: number;
  unreadable: number;
}

/** Codes by which the cluster, not the statement, is the cause. */
const clusterCodes: ReadonlySet<number> = new Set([errorCodes.server, errorCodes.unavailable, errorCodes.overloaded, errorCodes.bootstrapping, errorCodes.truncate, errorCodes.writeTimeout, errorCodes.readTimeout, errorCodes.readFailure, errorCodes.writeFailure, errorCodes.badCredentials, -1]);

export class ReplayLane {
  readonly cluster: ClusterIndex;
  readonly counts: LaneCounts = { sent: 0, replayed: 0, refused: 0, failed: 0, givenUp: 0, unreadable: 0 };
  readonly #options: LaneOptions;
  readonly #bit: number;
  readonly #inFlight = new Set<number>();
  /** What has failed before stays here while it is under way again. */
  readonly #waiting = new Map<number, Waiting>();
  /** Order key → tickets behind the one that has its turn. */
  readonly #orders = new Map<number, number[]>();
  readonly #behind = new Set<number>();
  readonly #unreadable = new Set<number>();
  #bytes = 0;
  #at = 0;
  #failures = 0;
  /** How often it was opened since the cluster last took a write. */
  #opens = 0;
  #reopenAtMs = 0;
  #state: LaneState = 'closed';
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isPumping = false;
  #wantsPump = false;
  #idle: (() => void) | undefined;

  constructor(cluster: ClusterIndex, options: LaneOptions) {
    this.cluster = cluster;
    this.#options = options;
    this.#bit = 1 << cluster;
  }

  get state(): LaneState {
    return this.#state;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get waiting(): number {
    return this.#waiting.size + this.#behind.size;
  }

  lookFrom(ticket: number): void {
    this.#at = Math.min(this.#at, ticket - 1);
    this.pump();
  }

  /** No new sends; resolves when those under way have ended. */
  stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    return this.#inFlight.size === 0 ? Promise.resolve() : new Promise((resolve) => (this.#idle = resolve));
  }

  /** Sends what may be sent now, and sets the clock for the rest. */
  pump(): void {
    // An answer that comes at once asks for the next write from within: the loop that is under way looks again instead.
    this.#wantsPump = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#wantsPump && !this.#isStopped) {
      this.#wantsPump = false;
      this.#pumpOnce();
    }
    this.#isPumping = false;
  }

  #pumpOnce(): void {
    const now = this.#options.nowMs();
    if (this.#state === 'open' && now >= this.#reopenAtMs) this.#state = 'probing';
    if (this.#state !== 'open') {
      for (const [ticket, { dueMs }] of this.#waiting) {
        if (!this.#hasRoom()) break;
        if (dueMs <= now && !this.#inFlight.has(ticket)) this.#send(ticket);
      }
      while (this.#hasRoom() && this.waiting < MOST_WAITING) {
        const ticket = this.#next();
        if (ticket === -1) break;
        this.#send(ticket);
      }
      // Nothing was there to probe with.
      if (this.#state === 'probing' && this.#inFlight.size === 0 && this.#waiting.size === 0) this.#state = 'closed';
    }
    this.#setClock(now);
  }

  #hasRoom(): boolean {
    return this.#inFlight.size < (this.#state === 'probing' ? 1 : this.#options.maxInFlight) && this.#bytes < this.#options.maxBytesInFlight;
  }

  #next(): number {
    const { log } = this.#options;
    for (;;) {
      const ticket = log.nextReleased(this.#at);
      if (ticket === -1) return -1;
      this.#at = ticket;
      if ((log.owes(ticket) & this.#bit) !== 0 && !this.#inFlight.has(ticket) && !this.#waiting.has(ticket) && !this.#behind.has(ticket) && !this.#unreadable.has(ticket)) return ticket;
    }
  }

  #send(ticket: number): void {
    const { log, port, prepare } = this.#options;
    let intent: Intent | undefined;
    try {
      const found = log.read(ticket);
      intent = found && prepare(found);
    } catch (error) {
      this.counts.unreadable += 1;
      this.#unreadable.add(ticket);
      this.#waiting.delete(ticket);
      this.#options.unreadable(ticket, error);
      return;
    }
    if (!intent || (intent.owes & this.#bit) === 0) {
      this.#waiting.delete(ticket);
      return;
    }
    const { order } = intent;
    if (order !== 0 && !this.#waiting.has(ticket) && !this.#takeTurn(order, ticket)) return;
    this.#inFlight.add(ticket);
    const bytes = intent.body.length;
    this.#bytes += bytes;
    this.counts.sent += 1;
    const sent = intent;
    port.send(this.cluster, intent, (outcome, code, message) => {
      this.#inFlight.delete(ticket);
      this.#bytes -= bytes;
      this.#ended(sent, outcome, code, message);
    });
  }

  /** False: another of this order has its turn, and this one comes behind it. */
  #takeTurn(order: number, ticket: number): boolean {
    const others = this.#orders.get(order);
    if (!others) {
      this.#orders.set(order, []);
      return true;
    }
    others.push(ticket);
    others.sort((a, b) => a - b);
    this.#behind.add(ticket);
    return false;
  }

  #endTurn(order: number): void {
    const others = this.#orders.get(order);
    const next = others?.shift();
    if (next === undefined) {
      this.#orders.delete(order);
      return;
    }
    // Its turn: as one whose time has come.
    this.#behind.delete(next);
    this.#waiting.set(next, { refusals: 0, failures: 0, dueMs: 0 });
  }

  #ended(intent: Intent, outcome: ReplayOutcome, code: number, message: string): void {
    const before = this.#waiting.get(intent.ticket);
    const isRefusal = outcome === 'refused' && !clusterCodes.has(code);
    if (outcome === 'ok') {
      this.counts.replayed += 1;
      this.#clusterWorks();
      this.#done(intent);
    } else if (isRefusal) {
      this.counts.refused += 1;
      this.#clusterWorks();
      const refusals = (before?.refusals ?? 0) + 1;
      if (refusals >= this.#options.maxRefusals) this.#giveUp(intent, message);
      else this.#wait(intent.ticket, { refusals, failures: 0 });
    } else {
      this.counts.failed += 1;
      this.#clusterFails();
      this.#wait(intent.ticket, { refusals: before?.refusals ?? 0, failures: (before?.failures ?? 0) + 1 });
    }
    if (this.#inFlight.size === 0) this.#idle?.();
    this.pump();
  }

  #done({ ticket, order }: Intent): void {
    this.#waiting.delete(ticket);
    const { log } = this.#options;
    const owes = log.owes(ticket) & ~this.#bit;
    if (owes === 0) log.settle(ticket);
    else log.release(ticket, owes);
    if (order !== 0) this.#endTurn(order);
  }

  /** It is not ended before it stands in the list: a crash in between brings it back. */
  #giveUp(intent: Intent, message: string): void {
    this.#inFlight.add(intent.ticket);
    this.#waiting.delete(intent.ticket);
    this.#options.giveUp(intent, this.cluster, message).then(
      () => {
        this.counts.givenUp += 1;
        this.#inFlight.delete(intent.ticket);
        this.#done(intent);
      },
      () => {
        this.#inFlight.delete(intent.ticket);
        this.#wait(intent.ticket, { refusals: this.#options.maxRefusals, failures: 0 });
      },
    ).finally(() => {
      if (this.#inFlight.size === 0) this.#idle?.();
      this.pump();
    });
  }

  #wait(ticket: number, { refusals, failures }: Omit<Waiting, 'dueMs'>): void {
    this.#waiting.set(ticket, { refusals, failures, dueMs: this.#options.nowMs() + this.#delay(refusals + failures) });
  }

  /** Doubles up to the most, and half of it by chance: those that failed together do not come back together. */
  #delay(times: number): number {
    const { firstDelayMs, maxDelayMs, random } = this.#options;
    const whole = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(30, Math.max(0, times - 1)));
    return whole / 2 + (whole / 2) * random();
  }

  #clusterWorks(): void {
    this.#failures = 0;
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#opens = 0;
    // They have waited for the cluster, not for their own sake.
    for (const [ticket, waiting] of this.#waiting) if (waiting.refusals === 0) this.#waiting.set(ticket, { refusals: 0, failures: 0, dueMs: 0 });
  }

  #clusterFails(): void {
    if (this.#state === 'open') return;
    this.#failures += 1;
    if (this.#state === 'closed' && this.#failures < this.#options.failuresToOpen) return;
    this.#state = 'open';
    this.#opens += 1;
    this.#reopenAtMs = this.#options.nowMs() + this.#delay(this.#opens);
  }

  #setClock(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isStopped || !this.#hasRoom()) return;
    let due = this.#state === 'open' ? this.#reopenAtMs : Infinity;
    if (this.#state !== 'open') for (const [ticket, { dueMs }] of this.#waiting) if (!this.#inFlight.has(ticket)) due = Math.min(due, dueMs);
    if (due === Infinity) return;
    this.#timer = setTimeout(() => this.pump(), Math.max(1, due - now));
  }
}
