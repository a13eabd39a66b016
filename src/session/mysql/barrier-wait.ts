/** A statement that waits until a barrier is over: it is tried again whenever the routing has changed, up to a limit. */

export class BarrierWait {
  readonly tables: readonly string[];
  readonly #attempt: () => boolean;
  readonly #done: (outcome: 'answered' | 'late') => void;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  /** `attempt` returns false while the barrier is on, or else has run or refused the statement. */
  constructor(tables: readonly string[], limitMs: number, attempt: () => boolean, done: (outcome: 'answered' | 'late') => void) {
    this.tables = tables;
    this.#attempt = attempt;
    this.#done = done;
    this.#timer = setTimeout(() => this.#end('late'), limitMs);
  }

  routingChanged(): void {
    if (!this.#isOver && this.#attempt()) this.#end('answered');
  }

  cancel(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #end(outcome: 'answered' | 'late'): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done(outcome);
  }
}
