/**
 * Writes whose order is their meaning, one at a time per row: conditional statements and operations on lists, which leave something else when the later one is done first.
 * Without this the second of two could overtake the first on the shadow, and both clusters would have said the same and hold different values.
 *
 * A write has a table and a key: its partition where that is known, `ANY_KEY` where it is not. Two of the same table exclude each other if their keys are the same or one is `ANY_KEY`;
 * they go in the order in which they came.
 */
export const ANY_KEY = '*';
/** So many of those that wait are looked at when one leaves. */
const MOST_LOOKED_AT = 64;

/** A write with its place among others. */
export interface Ordered {
  readonly laneTable: string;
  readonly laneKey: string;
}

interface Waiting {
  readonly request: Ordered;
  readonly start: () => void;
}

interface Lane {
  /** Keys of those under way; several of one key never are. */
  readonly active: Map<string, Ordered>;
  readonly waiting: Waiting[];
}

export class OrderLanes {
  readonly #lanes = new Map<string, Lane>();

  /** `start` is called when it is this one's turn: at once, or later. */
  enter(request: Ordered, start: () => void): void {
    const { laneTable, laneKey } = request;
    let lane = this.#lanes.get(laneTable);
    if (!lane) this.#lanes.set(laneTable, (lane = { active: new Map(), waiting: [] }));
    if (lane.waiting.length > 0 || !isFree(lane, laneKey)) {
      lane.waiting.push({ request, start });
      return;
    }
    lane.active.set(laneKey, request);
    start();
  }

  /** Whether it waited or was under way: the next ones begin. Nothing for one that is in no lane. */
  leave(request: Ordered): void {
    const { laneTable, laneKey } = request;
    const lane = this.#lanes.get(laneTable);
    if (!lane) return;
    if (lane.active.get(laneKey) === request) lane.active.delete(laneKey);
    else {
      const at = lane.waiting.findIndex((one) => one.request === request);
      if (at < 0) return;
      lane.waiting.splice(at, 1);
    }
    this.#next(laneTable, lane);
  }

  #next(table: string, lane: Lane): void {
    const starts: (() => void)[] = [];
    const passed = new Set<string>();
    for (let at = 0, looked = 0; at < lane.waiting.length && looked < MOST_LOOKED_AT && !passed.has(ANY_KEY); looked += 1) {
      const one = lane.waiting[at];
      if (!one) break;
      const { laneKey } = one.request;
      const isTurn = isFree(lane, laneKey) && !passed.has(laneKey) && (laneKey !== ANY_KEY || passed.size === 0);
      if (isTurn) {
        lane.waiting.splice(at, 1);
        lane.active.set(laneKey, one.request);
        starts.push(one.start);
      } else {
        passed.add(laneKey);
        at += 1;
      }
    }
    if (lane.active.size === 0 && lane.waiting.length === 0) this.#lanes.delete(table);
    for (const start of starts) start();
  }
}

function isFree({ active }: Lane, key: string): boolean {
  return key === ANY_KEY ? active.size === 0 : !active.has(key) && !active.has(ANY_KEY);
}
