/**
 * A worker's side of the places that the control counts (`migrate/fleet-slots`).
 *
 * While the control cannot be reached a client waits, as in front of a full pool; once
 * the lease has run out as well the worker lets in as many as its equal share of each limit, so that nobody is kept out for as long as
 * the control is away. Together with what the other workers hold that may be more than the limit, until sessions end.
 */
import type { ConnectionLimits, Pool } from '../../config/connection-limits.ts';
import type { SlotMessage, WorkerMessage } from '../migrate/fleet-messages.ts';
import type { SlotPort } from '../session/admission.ts';

interface Asked extends SlotMessage {
  held: boolean;
  readonly answered: (granted: boolean) => void;
}

export class SlotClient implements SlotPort {
  readonly #limits: ConnectionLimits;
  readonly #workers: number;
  readonly #asked = new Map<number, Asked>();
  #nextId = 1;
  #isLinked = false;
  readonly #send: (message: WorkerMessage) => void;

  /** What is sent while there is no link may be dropped: `connected` tells everything. */
  constructor(limits: ConnectionLimits, workers: number, send: (message: WorkerMessage) => void) {
    this.#limits = limits;
    this.#workers = workers;
    this.#send = send;
  }

  request(pool: Pool, answered: (granted: boolean) => void): () => void {
    const { user, database } = pool;
    // The control bounds the queue; here it is bounded while there is none.
    if (!this.#isLinked && this.#count((each) => !each.held && each.user === user && each.database === database) >= this.#limits.maxWaiting) {
      answered(false);
      return () => undefined;
    }
    const id = this.#nextId++;
    this.#asked.set(id, { id, user, database, held: false, answered });
    this.#send({ type: 'slot_request', id, user, database });
    return () => {
      if (this.#asked.delete(id)) this.#send({ type: 'slot_left', id });
    };
  }

  /** The control may be a new process, which knows nothing yet. */
  connected(): void {
    this.#isLinked = true;
    const all = [...this.#asked.values()];
    const plain = ({ id, user, database }: Asked): SlotMessage => ({ id, user, database });
    this.#send({ type: 'slots', held: all.filter(({ held }) => held).map(plain), waiting: all.filter(({ held }) => !held).map(plain) });
  }

  disconnected(): void {
    this.#isLinked = false;
  }

  answered(id: number, granted: boolean): void {
    const asked = this.#asked.get(id);
    // It may have left meanwhile, and has said so.
    if (!asked || asked.held) return;
    if (granted) asked.held = true;
    else this.#asked.delete(id);
    asked.answered(granted);
  }

  /** To be called now and then while the lease has run out. */
  letInByShare(): void {
    for (const asked of this.#asked.values()) {
      if (asked.held || !this.#hasShare(asked)) continue;
      asked.held = true;
      this.#send({ type: 'slot_taken', id: asked.id });
      asked.answered(true);
    }
  }

  #hasShare({ user, database }: Pool): boolean {
    const share = (limit: number): number => (limit === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(limit / this.#workers)));
    return this.#count((each) => each.held && each.user === user) < share(this.#limits.ofUser(user))
      && this.#count((each) => each.held && each.database === database) < share(this.#limits.ofDatabase(database));
  }

  #count(test: (asked: Asked) => boolean): number {
    let count = 0;
    for (const asked of this.#asked.values()) if (test(asked)) count += 1;
    return count;
  }
}
