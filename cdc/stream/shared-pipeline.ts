/**
 * The turn of a stream that is connected: blocks of captured messages → router → shared applier, one unit in flight and the next
 * gathered meanwhile. When nothing is in flight a unit leaves at once, with whatever it holds; under load units grow by
 * themselves. No timer is on this path.
 *
 * Orders (joining, leaving, adding a table, saving a position) are carried out between source transactions with nothing in
 * flight, so what they read is exactly one boundary.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Runtime } from '../../config/runtime.ts';
import type { Statement } from '../apply/apply-connection.ts';
import type { ApplyOutcome, PreparedUnit } from '../apply/applier.ts';
import type { BoundedQueue } from '../flow/bounded-queue.ts';
import { Wake } from '../flow/wake.ts';
import { frameKind, KEEPALIVE_POSITION_AT, MESSAGE_AT } from './capture-frames.ts';
import type { UnitApplier } from './change-target.ts';
import type { GatheredUnit, TransactionRouter } from './transaction-router.ts';

export interface PipelineLimits {
  readonly batchChanges: number;
  readonly batchBytes: number;
}

export interface PipelineHooks {
  /** First statements of a transaction whose end is known or not. */
  opening(unit: GatheredUnit): readonly Statement[];
  closing(unit: GatheredUnit): readonly Statement[];
  /** Writes what the router appended to the logs. Throws when the disk does. */
  flushLogs(): void;
  /** True while the spool has no room. */
  readonly isSpoolFull: () => boolean;
  /** A unit's changes are on the target, in a transaction that is committed if the unit ends it. */
  onApplied(unit: GatheredUnit, outcome: ApplyOutcome): void;
  /** `isSaved`: the position was committed with the unit's changes; false for units that held nothing for shared tables. */
  onVisible(unit: GatheredUnit, isSaved: boolean): void;
  /** After the router moved on and before anything waits. */
  onRouted(): void;
  onRereads(outcome: ApplyOutcome): Promise<void>;
}

interface Order {
  readonly carryOut: () => Promise<void>;
  readonly reject: (error: Error) => void;
}

const SPOOL_FULL_POLL_MS = 200;
const GATHER_BYTES = 4 * 1024 * 1024;

export class SharedPipeline {
  readonly #runtime: Runtime;
  readonly #queue: BoundedQueue;
  readonly #router: TransactionRouter;
  readonly #applier: UnitApplier;
  readonly #limits: PipelineLimits;
  readonly #hooks: PipelineHooks;
  readonly wake = new Wake();
  readonly #orders: Order[] = [];
  #block: Buffer | undefined;
  #at = 0;
  #prepared: { unit: GatheredUnit; ready: PreparedUnit } | undefined;
  #isBusy = false;
  /** A source transaction is open on the target, or its records are on their way there. */
  #isSplit = false;
  /** An order was carried out, and nothing has been routed since: orders that follow each other without an end must not stop the stream. */
  #owesTurn = false;
  #failure: Error | undefined;
  #ended: Error | undefined;

  constructor(runtime: Runtime, queue: BoundedQueue, router: TransactionRouter, applier: UnitApplier, limits: PipelineLimits, hooks: PipelineHooks) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#router = router;
    this.#applier = applier;
    this.#limits = limits;
    this.#hooks = hooks;
  }

  /** Carried out at a boundary with nothing in flight; rejects when the pipeline ends before. */
  order<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      const carryOut = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error as Error);
          throw error;
        }
      };
      this.#orders.push({ carryOut, reject });
      this.wake.notify();
    });
  }

  /** What every order is refused with from now on; undefined while orders are taken. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** No order will be carried out any more. */
  end(error: Error): void {
    this.#ended ??= error;
    for (const order of this.#orders.splice(0)) order.reject(this.#ended);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.wake.notify();
  }

  /** Until aborted; throws what ended it. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.wake.notify();
    signal.addEventListener('abort', stop);
    try {
      while (!signal.aborted) {
        if (this.#failure) throw this.#failure;
        await this.#turn(signal);
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#orders.length > 0 && this.#canStop && !this.#owesTurn) return this.#carryOut();
    if (!this.#prepared) {
      if (this.#hooks.isSpoolFull()) return this.#runtime.clock.sleep(SPOOL_FULL_POLL_MS, signal);
      const reached = this.#gather();
      if (this.#runtime.faults.armed) await this.#runtime.faults.hit('stream.after_decode');
      this.#hooks.flushLogs();
      this.#hooks.onRouted();
      this.#prepareUnit(reached);
      // Let the socket, timers and the target's answers in between.
      if (!this.#prepared && reached === 'budget') return nextTurn();
    }
    if (this.#prepared && !this.#isBusy) return this.#send(this.#prepared);
    if (this.#orders.length > 0 && this.#canStop) return;
    await this.wake.wait();
  }

  /** Nothing in flight, nothing gathered, between two source transactions. */
  get #canStop(): boolean {
    return !this.#isBusy && !this.#prepared && !this.#isSplit && this.#router.isBetweenTransactions && this.#router.unit.records.length === 0;
  }

  async #carryOut(): Promise<void> {
    this.#owesTurn = true;
    this.#hooks.flushLogs();
    const order = this.#orders.shift();
    await order?.carryOut();
  }

  get #isFull(): boolean {
    const { unit } = this.#router;
    return unit.records.length >= this.#limits.batchChanges || unit.bytes >= this.#limits.batchBytes;
  }

  /** Routes what has been captured, until there is a reason to stop. */
  #gather(): 'full' | 'order' | 'empty' | 'budget' {
    let budget = GATHER_BYTES;
    const mustRoute = this.#owesTurn;
    this.#owesTurn = false;
    while (!this.#isFull) {
      // An order waits: stop at the next boundary, so that the unit before it can leave.
      if (this.#orders.length > 0 && this.#router.isBetweenTransactions && !(mustRoute && budget === GATHER_BYTES)) return 'order';
      if (budget <= 0) return 'budget';
      if (!this.#block) {
        this.#block = this.#queue.shift();
        this.#at = 0;
        if (!this.#block) return 'empty';
      }
      const block = this.#block;
      const at = this.#at;
      const end = at + 1 + block.readUInt32BE(at + 1);
      if (block[at] === frameKind.copyData) {
        if (block[at + 5] === frameKind.message) this.#router.take(block, at + MESSAGE_AT, end);
        else if (block[at + 5] === frameKind.keepalive) this.#router.advance(block.readBigUInt64BE(at + KEEPALIVE_POSITION_AT));
      }
      this.#at = end;
      budget -= end - at;
      if (end >= block.length) this.#block = undefined;
    }
    return 'full';
  }

  #prepareUnit(reached: 'full' | 'order' | 'empty' | 'budget'): void {
    const { unit } = this.#router;
    const hasRecords = unit.records.length > 0;
    // The rest of a small transaction is on its way; a part of it alone would cost a round trip.
    if (reached !== 'full' && (this.#isBusy || !this.#router.isBetweenTransactions)) return;
    const endsSplit = this.#isSplit && this.#router.isBetweenTransactions;
    if (hasRecords || endsSplit) {
      const taken = this.#router.takeUnit();
      const ready = this.#applier.prepare({
        records: taken.records,
        opening: this.#isSplit ? [] : this.#hooks.opening(taken),
        closing: this.#isSplit || !taken.isWhole ? this.#hooks.closing(taken) : [],
        endsTransaction: taken.isWhole,
        lsn: taken.endLsn,
      });
      this.#isSplit = !taken.isWhole;
      this.#prepared = { unit: taken, ready };
      return;
    }
    // Nothing for the shared tables: the position moves when all before it is visible.
    if (!this.#isBusy && !this.#isSplit) this.#hooks.onVisible(this.#router.takeUnit(), false);
  }

  #send(prepared: { unit: GatheredUnit; ready: PreparedUnit }): void {
    this.#prepared = undefined;
    this.#isBusy = true;
    this.#applier.apply(prepared.ready).then(
      async (outcome) => {
        this.#hooks.onApplied(prepared.unit, outcome);
        if (prepared.unit.isWhole) this.#hooks.onVisible(prepared.unit, true);
        if (outcome.rereads.size > 0) await this.#hooks.onRereads(outcome);
        this.#isBusy = false;
        this.wake.notify();
      },
    ).catch((error: unknown) => this.fail(error instanceof Error ? error : new Error(String(error))));
  }
}
