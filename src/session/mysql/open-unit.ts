/** What a session has touched since its transaction, or its statement, began: what a barrier waits for. */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { Clock } from '../../../config/runtime.ts';

const SHOWN_CHARACTERS = 200;
const commits = /^\s*(?:commit|xa\s+commit|start|begin|alter|create|drop|truncate|rename)\b/i;

export class OpenUnit {
  readonly #clock: Clock;
  readonly #touched = new Set<string>();
  /** It began while no table migrated, and nobody looked. */
  #touchedUnseen = false;
  #epoch: number | undefined;
  #startedAtMs = 0;
  lastText = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A transaction has touched a migrating table. */
  get isOpen(): boolean {
    return this.#touchedUnseen || this.#touched.size > 0;
  }

  /** What is under way may commit: it is left to its end. */
  get isCommit(): boolean {
    return commits.test(this.lastText);
  }

  get openForMs(): number {
    return this.#epoch === undefined ? 0 : this.#clock.monotonicMs() - this.#startedAtMs;
  }

  /** A statement runs now. `touches` undefined: nobody has looked. */
  begins(touches: readonly string[] | undefined, { epoch }: RoutingSnapshot, text: string, isInTransaction: boolean): void {
    this.lastText = text.length > SHOWN_CHARACTERS ? text.slice(0, SHOWN_CHARACTERS) : text;
    if (!isInTransaction || this.#epoch === undefined) {
      this.#epoch = epoch;
      this.#startedAtMs = this.#clock.monotonicMs();
    }
    if (touches === undefined) this.#touchedUnseen = true;
    else for (const table of touches) this.#touched.add(table);
  }

  end(): void {
    if (this.#epoch === undefined) return;
    this.#touched.clear();
    this.#touchedUnseen = false;
    this.#epoch = undefined;
  }

  holds(tables: ReadonlySet<string>, epoch: number): boolean {
    if (this.#epoch === undefined || this.#epoch >= epoch) return false;
    return this.#touchedUnseen || [...this.#touched].some((table) => tables.has(table));
  }
}
