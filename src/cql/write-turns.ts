/**
 * Turns of the writes whose order is their meaning (`order-lanes.ts`), on both clusters. Each takes its places for both when it comes, in one step: so the later of two is the later
 * on either cluster, whichever of them is written first, also when the mode is another one for the second. It leaves each cluster's place when it is done there.
 */
import type { ClusterIndex } from './modes.ts';
import { OrderLanes } from './order-lanes.ts';
import type { Request } from './request.ts';

export const BOTH_TURNS = 3;

export class WriteTurns {
  readonly #lanes = [new OrderLanes(), new OrderLanes()] as const;
  readonly #turn: (request: Request, cluster: ClusterIndex) => void;

  /** `turn` is called once for each cluster, when `request.turns` has that cluster's bit; within `enter` if nobody is before it. */
  constructor(turn: (request: Request, cluster: ClusterIndex) => void) {
    this.#turn = turn;
  }

  /** The primary's place last: with its turn the request may already be at its end. */
  enter(request: Request, shadow: ClusterIndex): void {
    this.#enter(request, shadow);
    this.#enter(request, request.plan.primary);
  }

  #enter(request: Request, cluster: ClusterIndex): void {
    this.#lanes[cluster].enter(request, () => {
      request.turns |= 1 << cluster;
      this.#turn(request, cluster);
    });
  }

  /** Nothing for one that has no place there. */
  leave(request: Request, cluster: ClusterIndex): void {
    if (request.laneTable !== '') this.#lanes[cluster].leave(request);
  }

  leaveBoth(request: Request): void {
    if (request.laneTable === '') return;
    this.#lanes[0].leave(request);
    this.#lanes[1].leave(request);
  }
}
