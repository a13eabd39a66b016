/**
 * Tells gateway workers how far local shows the sources. Of the home server every advance is told to all: what a client waits for it has seen there, and the positions of
 * another server say nothing about that. Of a MySQL server a worker asks when it has to know (`caught-up.ts`).
 */
import type { Catalog } from '../../catalog/catalog.ts';
import { orderOf } from '../../cdc/change.ts';
import type { VisibleAdvance } from '../../cdc/ports.ts';
import type { Runtime } from '../../config/runtime.ts';
import { CaughtUp } from './caught-up.ts';
import type { ControlMessage, WorkerMessage } from './fleet-messages.ts';
import type { SourceFlow } from './source-flow.ts';
import type { FleetWorker, WorkerFleet } from './worker-fleet.ts';

export class VisibleNews {
  readonly #fleet: WorkerFleet;
  readonly #home = new Set<SourceFlow>();
  readonly #caughtUp: CaughtUp;

  constructor(runtime: Runtime, catalog: Catalog, fleet: WorkerFleet, flow: (serverName: string) => Promise<SourceFlow>) {
    this.#fleet = fleet;
    this.#caughtUp = new CaughtUp(runtime, catalog, () => fleet.epoch, flow);
  }

  /** A flow of the home server. */
  follow(flow: SourceFlow): void {
    flow.forward.onVisible((advance) => this.#broadcast(advance));
    this.#home.add(flow);
    this.#fleet.broadcast(visibleNow(flow));
  }

  /** What an earlier control process has told it may be gone from local by now. */
  attached(worker: FleetWorker): void {
    for (const flow of this.#home) worker.channel.send(visibleNow(flow));
  }

  /** False: the message is another one. */
  receive(worker: FleetWorker, message: WorkerMessage): boolean {
    if (message.type !== 'caught_up_request') return false;
    this.#caughtUp.ask(worker, message.id, message.tables);
    return true;
  }

  closed(workerId: string): void {
    this.#caughtUp.forget(workerId);
  }

  #broadcast(advance: VisibleAdvance): void {
    this.#fleet.broadcast({ type: 'visible', lsn: orderOf(advance.position).toString(), xids: advance.transactionIds, ...(advance.isReset === true ? { reset: true } : {}) });
  }
}

function visibleNow({ forward }: SourceFlow): ControlMessage {
  const { visible } = forward.health();
  return { type: 'visible', lsn: String(visible ? orderOf(visible) : 0n), xids: [], reset: true };
}
