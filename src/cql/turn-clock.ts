/**
 * What time it is on the path of requests: read once for each chunk that has come, not several times for each request in it. Everything that happens to a request happens when a chunk
 * comes, or in the sweep ten times a second, which reads it as well.
 */
import type { Clock } from '../../config/runtime.ts';

export class TurnClock {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'now'>;
  /** Monotonic milliseconds, at most a sweep ago. */
  nowMs: number;
  #wallMs = 0;
  /** Only writes ask for it. */
  #isWallRead = false;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'now'>) {
    this.#clock = clock;
    this.nowMs = clock.monotonicMs();
  }

  renew(): void {
    this.nowMs = this.#clock.monotonicMs();
    this.#isWallRead = false;
  }

  /** Milliseconds since 1970. */
  get wallMs(): number {
    if (!this.#isWallRead) {
      this.#isWallRead = true;
      this.#wallMs = this.#clock.now();
    }
    return this.#wallMs;
  }
}
