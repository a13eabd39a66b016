/**
 * Places for sessions: so many per user, so many per database. Who finds none waits, first come, first served within a pool
 * (a user on a database); a pool that is held up by its user's limit does not hold up another one of the same database.
 *
 * A request is waiting → held → gone, or waiting → gone.
 */
import type { ConnectionLimits, Pool } from '../../config/connection-limits.ts';

export interface SlotRequest extends Pool {
  /** Called once, perhaps before `ask` returns. */
  readonly granted: () => void;
}

export class SlotQueue {
  readonly #limits: ConnectionLimits;
  readonly #held = new Set<SlotRequest>();
  readonly #ofUser = new Map<string, number>();
  readonly #ofDatabase = new Map<string, number>();
  /** By pool, in order of arrival; a pool without waiters is not there. */
  readonly #waiting = new Map<string, Map<SlotRequest, number>>();
  #arrivals = 0;
  #isOpen: boolean;

  /** `isOpen` false: nobody is let in until `open` is called, because who is in already is not known yet. */
  constructor(limits: ConnectionLimits, isOpen = true) {
    this.#limits = limits;
    this.#isOpen = isOpen;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#letIn();
  }

  /** False when too many of its pool wait already. */
  ask(request: SlotRequest): boolean {
    const key = keyOf(request);
    const queue = this.#waiting.get(key);
    if (!queue && this.#isOpen && this.#hasRoom(request)) {
      this.hold(request);
      request.granted();
      return true;
    }
    if ((queue?.size ?? 0) >= this.#limits.maxWaiting) return false;
    if (queue) queue.set(request, this.#arrivals++);
    else this.#waiting.set(key, new Map([[request, this.#arrivals++]]));
    return true;
  }

  /** It has its place already, whatever the limits say. */
  hold(request: SlotRequest): void {
    this.#removeWaiting(request);
    if (this.#held.has(request)) return;
    this.#held.add(request);
    add(this.#ofUser, request.user, 1);
    add(this.#ofDatabase, request.database, 1);
  }

  /** It gives its place back, or does not want one any more. */
  leave(request: SlotRequest): void {
    this.#removeWaiting(request);
    if (!this.#held.delete(request)) return;
    add(this.#ofUser, request.user, -1);
    add(this.#ofDatabase, request.database, -1);
    this.#letIn();
  }

  #removeWaiting(request: SlotRequest): void {
    const key = keyOf(request);
    const queue = this.#waiting.get(key);
    if (queue?.delete(request) === true && queue.size === 0) this.#waiting.delete(key);
  }

  #letIn(): void {
    if (!this.#isOpen) return;
    for (let next = this.#next(); next; next = this.#next()) {
      this.hold(next);
      next.granted();
    }
  }

  /** The one that has waited longest among the first of each pool for which there is room. */
  #next(): SlotRequest | undefined {
    let found: SlotRequest | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const queue of this.#waiting.values()) {
      for (const [first, arrived] of queue) {
        if (arrived < since && this.#hasRoom(first)) {
          found = first;
          since = arrived;
        }
        break;
      }
    }
    return found;
  }

  #hasRoom({ user, database }: Pool): boolean {
    const ofUser = this.#limits.ofUser(user);
    const ofDatabase = this.#limits.ofDatabase(database);
    return (ofUser === 0 || (this.#ofUser.get(user) ?? 0) < ofUser) && (ofDatabase === 0 || (this.#ofDatabase.get(database) ?? 0) < ofDatabase);
  }
}

function keyOf({ user, database }: Pool): string {
  return `${user}\u0000${database}`;
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
