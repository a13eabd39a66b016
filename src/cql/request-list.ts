/** The requests in hand, and those that can be used again. What is looked at by time is looked at here: ten times a second, all of them. */
import { NO_TICKET, Request } from './request.ts';
import type { Leg } from './request.ts';
import { requestKinds } from './request-kinds.ts';

const MOST_SPARE = 4096;

export class RequestList {
  readonly #spare: Request[] = [];
  readonly #inHand: Request[] = [];
  #serial = 0;
  /** Tables, as `keyspace.table`, that are being truncated on both clusters. */
  readonly truncating = new Set<string>();
  bytes = 0;

  get size(): number {
    return this.#inHand.length;
  }

  take(): Request {
    return this.#spare.pop() ?? new Request();
  }

  /** Never used: `take` was for nothing. */
  giveBack(request: Request): void {
    request.reset();
    if (this.#spare.length < MOST_SPARE) this.#spare.push(request);
  }

  add(request: Request): void {
    request.place = this.#inHand.length;
    request.serial = this.#serial += 1;
    this.#inHand.push(request);
    this.bytes += request.bytes;
    if (request.truncates !== '') this.truncating.add(request.truncates);
  }

  remove(request: Request): void {
    const last = this.#inHand.pop();
    if (last && last !== request) {
      this.#inHand[request.place] = last;
      last.place = request.place;
    }
    request.place = -1;
    if (request.truncates !== '') this.truncating.delete(request.truncates);
    this.bytes -= request.bytes;
    this.giveBack(request);
  }

  /** Every leg that is open past its time. */
  expired(nowMs: number): Leg[] {
    const legs: Leg[] = [];
    for (const { source, target } of this.#inHand) {
      if (source.isOpen && source.deadlineMs <= nowMs) legs.push(source);
      if (target.isOpen && target.deadlineMs <= nowMs) legs.push(target);
    }
    return legs;
  }

  /** Writes in hand that stand in the log and whose clients wait for both clusters: nothing is owed of them yet. */
  get awaitedWrites(): number {
    return this.#inHand.reduce((sum, { plan, ticket }) => sum + (plan.isSync && ticket !== NO_TICKET ? 1 : 0), 0);
  }

  /** Some write for both clusters is in hand. */
  get hasSharedWrites(): boolean {
    return this.#inHand.some(({ kind, plan }) => plan.shadow !== undefined && (kind === requestKinds.write || kind === requestKinds.conditional));
  }

  /** Those in hand now; an object may be another request's later, with another start. */
  snapshot(): readonly { readonly request: Request; readonly serial: number }[] {
    return this.#inHand.map((request) => ({ request, serial: request.serial }));
  }
}
