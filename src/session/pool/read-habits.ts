/** What is known of how long the runs of one statement keep others waiting. Plain numbers, on the way of every shared read. */

const SLOW_FOR_MS = 60_000;
const LEAST_SLOW = 3;
const MOST_SLOW_PART = 0.005;
/** Older runs count half from here on. */
const REMEMBERED_RUNS = 20_000;

export class ReadHabits {
  #runs = 0;
  #slow = 0;
  #slowUntilMs = 0;

  /** One more is sent, if it may be. */
  mayShare(nowMs: number): boolean {
    if (nowMs < this.#slowUntilMs) return false;
    this.#runs += 1;
    if (this.#runs >= REMEMBERED_RUNS) {
      this.#runs /= 2;
      this.#slow /= 2;
    }
    return true;
  }

  /** One has had others wait for too long. Once may be the machine; if it is more than a few of all its runs it is the statement. */
  wasSlow(nowMs: number): void {
    this.#slow += 1;
    if (this.#slow < LEAST_SLOW || this.#slow < this.#runs * MOST_SLOW_PART) return;
    this.#slowUntilMs = nowMs + SLOW_FOR_MS;
    this.#runs = 0;
    this.#slow = 0;
  }
}
