/**
 * How long units take, for Prometheus. On the hot path: no label object and no promise, one look at the clock when a unit
 * ends. What the gateway adds by itself is measured for one chunk in 64.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { MetricSink } from '../../config/runtime.ts';

const ONE_IN = 64;

export class UnitTimes {
  readonly #taken: Readonly<Record<Side | 'dual' | 'mysql', (seconds: number) => void>>;
  readonly #added: Readonly<Record<Side, (seconds: number) => void>>;
  #chunks = 0;

  constructor(metrics: MetricSink) {
    const taken = (route: string): ((seconds: number) => void) => metrics.observer('scratchbird_gateway_query_seconds', { route });
    const added = (route: string): ((seconds: number) => void) => metrics.observer('scratchbird_gateway_overhead_seconds', { route });
    this.#taken = { source: taken('remote'), local: taken('local'), dual: taken('dual'), mysql: taken('mysql') };
    this.#added = { source: added('remote'), local: added('local') };
  }

  /** `ms`: from handing the unit to its leg to the end of its answer. */
  unitEnded(route: Side | 'dual' | 'mysql', ms: number): void {
    this.#taken[route](ms / 1000);
  }

  /** `ms`: handling what the client sent and what the server answered, without the time between. */
  overhead(side: Side, ms: number): void {
    this.#added[side](ms / 1000);
  }

  /** True for the chunk that is to be measured. */
  isDue(): boolean {
    this.#chunks = (this.#chunks + 1) % ONE_IN;
    return this.#chunks === 0;
  }
}
