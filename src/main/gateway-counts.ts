/** What the gateway keeps as plain numbers, told to the metrics once a second. */
import type { MetricSink } from '../../config/runtime.ts';
import type { FactsCache, FactsCacheCounts } from '../../grammar/sql/facts-cache.ts';
import type { Gateway } from '../session/gateway.ts';

export class GatewayCounts {
  readonly #metrics: MetricSink;
  readonly #facts: Pick<FactsCache, 'counts'>;
  readonly #gateway: Pick<Gateway, 'legs'>;
  #told: FactsCacheCounts = { exactHits: 0, classHits: 0, misses: 0 };

  constructor(metrics: MetricSink, facts: Pick<FactsCache, 'counts'>, gateway: Pick<Gateway, 'legs'>) {
    this.#metrics = metrics;
    this.#facts = facts;
    this.#gateway = gateway;
  }

  update(): void {
    const { counts } = this.#facts;
    const told = this.#told;
    this.#told = counts;
    const hits = counts.exactHits + counts.classHits - told.exactHits - told.classHits;
    this.#metrics.count('scratchbird_gateway_statement_cache_total', { result: 'hit' }, hits);
    this.#metrics.count('scratchbird_gateway_statement_cache_total', { result: 'miss' }, counts.misses - told.misses);
    for (const [side, count] of Object.entries(this.#gateway.legs)) this.#metrics.gauge('scratchbird_gateway_legs', { side }, count);
  }
}
