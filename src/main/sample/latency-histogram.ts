/** Latencies in buckets that grow by 9 % each, from 10 µs to some minutes: a quantile is off by 9 % at most, the memory is fixed. */
const BUCKETS_PER_DOUBLING = 8;
const BUCKETS = 200;
const SMALLEST_MS = 0.01;

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  add(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) * BUCKETS_PER_DOUBLING);
    const at = Math.min(bucket, BUCKETS - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** Upper end of the bucket that holds the quantile (0 to 1), never above the largest value seen. */
  quantileMs(quantile: number): number {
    const wanted = Math.ceil(this.#count * quantile);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted && seen > 0) return Math.min(this.#maxMs, SMALLEST_MS * 2 ** (bucket / BUCKETS_PER_DOUBLING));
    }
    return this.#maxMs;
  }

  summary(): LatencySummary {
    return { count: this.#count, p50Ms: this.quantileMs(0.5), p95Ms: this.quantileMs(0.95), p99Ms: this.quantileMs(0.99), maxMs: this.#maxMs };
  }
}
