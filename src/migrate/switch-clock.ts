/** Times the named steps of a cutover or rollback, and keeps the journal and the fault points in step with them. */
import type { FaultPoints } from '../../config/faults.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Clock } from '../../config/runtime.ts';

export class SwitchClock {
  readonly #clock: Clock;
  readonly #catalog: Catalog;
  readonly #faults: FaultPoints;
  readonly #attemptId: string;
  readonly #direction: 'cutover' | 'rollback';
  readonly #startedMs: number;
  readonly steps: Record<string, number> = {};
  #lastMs: number;
  #parkedFromMs: number | undefined;
  #pauseMs = 0;

  constructor(clock: Clock, catalog: Catalog, faults: FaultPoints, attemptId: string, direction: 'cutover' | 'rollback') {
    this.#clock = clock;
    this.#catalog = catalog;
    this.#faults = faults;
    this.#attemptId = attemptId;
    this.#direction = direction;
    this.#startedMs = this.#lastMs = clock.monotonicMs();
  }

  /** The step has been done: its time is noted, the journal written when `details` are given, the fault point passed. */
  async done(step: string, details?: Readonly<Record<string, unknown>>): Promise<void> {
    const now = this.#clock.monotonicMs();
    this.steps[step] = Math.round((now - this.#lastMs) * 100) / 100;
    this.#lastMs = now;
    if (details) await this.#catalog.putJournalStep({ attemptId: this.#attemptId, step, details });
    if (this.#faults.armed) await this.#faults.hit(`${this.#direction}.${step}`);
  }

  pauseBegins(): void {
    this.#parkedFromMs = this.#clock.monotonicMs();
  }

  pauseEnds(): void {
    if (this.#parkedFromMs !== undefined) this.#pauseMs = this.#clock.monotonicMs() - this.#parkedFromMs;
    this.#parkedFromMs = undefined;
  }

  /** From publishing the barrier to releasing the clients. */
  get pauseMs(): number {
    return Math.round(this.#pauseMs * 100) / 100;
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs;
  }

  /** Milliseconds left of the budget; throws MIG051 when it is spent. */
  left(deadlineMs: number, cause: string): number {
    const left = deadlineMs - this.#clock.monotonicMs();
    if (left > 0) return left;
    throw new MigrationError('MIG051', undefined, { detail: `The time was spent on: ${cause}. Steps so far (ms): ${JSON.stringify(this.steps)}` });
  }
}
