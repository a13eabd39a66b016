/** A shared limit in units per second: what passes is paid for before it passes, so N units never take less than N / rate. */
import type { Clock } from '../../config/runtime.ts';

/** An idle time longer than this earns no credit: a burst after a pause is at most this long. */
const BURST_MS = 50;

export class RateLimit {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #unitsPerMs: number;
  /** The moment at which everything booked so far has been paid for. */
  #paidUpMs: number;

  /** `unitsPerSecond` 0 = unlimited. */
  constructor(clock: Pick<Clock, 'monotonicMs'>, unitsPerSecond: number) {
    this.#clock = clock;
    this.#unitsPerMs = unitsPerSecond / 1000;
    this.#paidUpMs = clock.monotonicMs();
  }

  /**
   * Books `units` and returns the milliseconds to wait before they may pass. The booking moves an absolute time forward, so a
   * sleep that lasts too long is made up for by the next booking.
   */
  book(units: number): number {
    if (this.#unitsPerMs === 0) return 0;
    const now = this.#clock.monotonicMs();
    this.#paidUpMs = Math.max(this.#paidUpMs, now - BURST_MS) + units / this.#unitsPerMs;
    return Math.max(0, this.#paidUpMs - now);
  }
}
