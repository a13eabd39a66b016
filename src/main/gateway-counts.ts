/** What the gateway keeps as plain numbers, told to the metrics once a second. */
import type { MetricSink } from '../../config/runtime.ts';
import type { FactsCache, FactsCacheCounts } from '../../grammar/sql/facts-cache.ts';
import type { Gateway } from '../session/gateway.ts';

export class GatewayCounts {
  readonly #metrics: MetricSink;
  readonly #facts: Pick<FactsCache, 'counts'>;
  readonly #gateway: Pick<Gateway, 'legs' | 'pools'>;
  #told: FactsCacheCounts = { exactHits: 0, classHits: 0, misses: 0 };

  constructor(metrics: MetricSink, facts: Pick<FactsCache, 'counts'>, gateway: Pick<Gateway, 'legs' | 'pools'>) {
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
    const pools = this.#gateway.pools();
    for (const side of pools.length === 0 ? [] : (['source', 'local'] as const)) {
      const sum = (of: (pool: (typeof pools)[number]) => number): number => pools.reduce((total, pool) => total + (pool.side === side ? of(pool) : 0), 0);
      this.#metrics.gauge('scratchbird_gateway_pool_connections', { side, state: 'in_use' }, sum(({ open, idle }) => open - idle));
      this.#metrics.gauge('scratchbird_gateway_pool_connections', { side, state: 'idle' }, sum(({ idle }) => idle));
      this.#metrics.gauge('scratchbird_gateway_pool_waiting', { side }, sum(({ waiting }) => waiting));
    }
    for (const [side, count] of Object.entries(this.#gateway.legs)) this.#metrics.gauge('scratchbird_gateway_legs', { side }, count);
  }
}
