/**
 * The places of all gateway workers, counted here so that a limit holds for them together. A worker asks for a place before it opens a
 * session's connections, and says when the session is over.
 *
 * What is known comes from the workers: a control that starts hears from each what it holds, and lets nobody in before it has heard from all
 * that it expects, or has waited for as long as a lease. A worker whose link is lost keeps its places until its process is gone.
 */
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SlotMessage, WorkerMessage } from './fleet-messages.ts';
import { SlotQueue } from './slot-queue.ts';
import type { SlotRequest } from './slot-queue.ts';
import type { FleetWorker } from './worker-fleet.ts';

export interface FleetSlotsOptions {
  readonly limits: ConnectionLimits;
  /** Workers that are expected to say what they hold. */
  readonly workers: number;
  readonly leaseMs: number;
}

interface WorkerSlots {
  worker: FleetWorker;
  readonly requests: Map<number, SlotRequest>;
}

export class FleetSlots {
  readonly #runtime: Runtime;
  readonly #options: FleetSlotsOptions;
  readonly #queue: SlotQueue;
  readonly #workers = new Map<string, WorkerSlots>();
  readonly #openAtMs: number;

  constructor(runtime: Runtime, options: FleetSlotsOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#queue = new SlotQueue(options.limits, false);
    this.#openAtMs = runtime.clock.monotonicMs() + options.leaseMs;
  }

  /** True for a message about places. */
  receive(worker: FleetWorker, message: WorkerMessage): boolean {
    switch (message.type) {
      case 'slots':
        this.#known(worker, message.held, message.waiting);
        return true;
      case 'slot_request':
        this.#ask(this.#of(worker), message);
        return true;
      case 'slot_taken': {
        const request = this.#of(worker).requests.get(message.id);
        if (request) this.#queue.hold(request);
        return true;
      }
      case 'slot_left':
        this.#leave(this.#of(worker), message.id);
        return true;
      default:
        return false;
    }
  }

  /** To be called every second or so. */
  sweep(): void {
    for (const [workerId, { worker, requests }] of this.#workers) {
      if (!worker.channel.isDead()) continue;
      this.#workers.delete(workerId);
      for (const request of requests.values()) this.#queue.leave(request);
    }
    if (this.#runtime.clock.monotonicMs() >= this.#openAtMs) this.#queue.open();
  }

  #of(worker: FleetWorker): WorkerSlots {
    const found = this.#workers.get(worker.workerId);
    if (found) return found;
    const made = { worker, requests: new Map<number, SlotRequest>() };
    this.#workers.set(worker.workerId, made);
    return made;
  }

  /** All that the worker has; what was known of it before is not true any more. */
  #known(worker: FleetWorker, held: readonly SlotMessage[], waiting: readonly SlotMessage[]): void {
    const slots = this.#of(worker);
    const before = [...slots.requests.values()];
    slots.worker = worker;
    slots.requests.clear();
    for (const slot of held) this.#queue.hold(this.#request(slots, slot));
    for (const request of before) this.#queue.leave(request);
    for (const slot of waiting) this.#ask(slots, slot);
    if (this.#workers.size >= this.#options.workers) this.#queue.open();
  }

  #ask(slots: WorkerSlots, slot: SlotMessage): void {
    const request = this.#request(slots, slot);
    if (this.#queue.ask(request)) return;
    slots.requests.delete(slot.id);
    slots.worker.channel.send({ type: 'slot_answer', id: slot.id, granted: false });
  }

  #request(slots: WorkerSlots, { id, user, database }: SlotMessage): SlotRequest {
    const request: SlotRequest = { user, database, granted: () => slots.worker.channel.send({ type: 'slot_answer', id, granted: true }) };
    slots.requests.set(id, request);
    return request;
  }

  #leave(slots: WorkerSlots, id: number): void {
    const request = slots.requests.get(id);
    if (!request) return;
    slots.requests.delete(id);
    this.#queue.leave(request);
  }
}
