/** What one side may be asked for in a second, in rows and in bytes, changeable while it is in use; and a pause of everybody when the side is overloaded. */
import type { Clock } from '../../config/runtime.ts';
import { RateLimit } from '../flow/rate-limit.ts';

export interface SideLimits {
  /** 0 = unlimited. */
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

export const unlimited: SideLimits = { rowsPerSecond: 0, bytesPerSecond: 0 };

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
const LOOK_AGAIN_MS = 200;

export class Throttle {
  readonly #clock: Clock;
  #limits: SideLimits;
  #rows: RateLimit;
  #bytes: RateLimit;
  #pausedUntilMs = 0;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(clock: Clock, limits: SideLimits = unlimited) {
    this.#clock = clock;
    this.#limits = limits;
    this.#rows = new RateLimit(clock, limits.rowsPerSecond);
    this.#bytes = new RateLimit(clock, limits.bytesPerSecond);
  }

  get limits(): SideLimits {
    return this.#limits;
  }

  set limits(limits: SideLimits) {
    this.#limits = limits;
    this.#rows = new RateLimit(this.#clock, limits.rowsPerSecond);
    this.#bytes = new RateLimit(this.#clock, limits.bytesPerSecond);
  }

  /** Resolves when so much may pass. */
  async pass(rows: number, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (let booked: RateLimit | undefined, untilMs = 0; ;) {
      const nowMs = this.#clock.monotonicMs();
      // New limits count for those who wait as well.
      if (booked !== this.#rows) {
        booked = this.#rows;
        untilMs = nowMs + Math.max(this.#rows.book(rows), this.#bytes.book(bytes));
      }
      const waitMs = Math.max(untilMs, this.#pausedUntilMs) - nowMs;
      if (waitMs < 1) return;
      await this.#clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal);
    }
  }

  /** The side asks for less: everybody waits, twice as long each time it asks again. */
  ease(): void {
    const now = this.#clock.monotonicMs();
    if (now < this.#pausedUntilMs) return;
    // A while without complaint is forgotten.
    this.#pauseMs = now - this.#pausedUntilMs > LONGEST_PAUSE_MS * 2 ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#pausedUntilMs = now + this.#pauseMs;
  }
}
