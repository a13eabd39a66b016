/**
 * Tables whose requests wait for a moment, while several proxies change at once which cluster is read (docs/decisions/0028).
 *
 * open → holding (requests of clients wait) → refusing (they have waited long enough, and hear that they may try another proxy) → open.
 */
export type Gate = 'holding' | 'refusing';

export class TableGates {
  readonly #shut = new Map<string, { gate: Gate; readonly timer: NodeJS.Timeout | undefined }>();
  readonly #waiting = new Set<() => void>();
  /** Of frames that wait. */
  heldBytes = 0;
  /** Some table is; without that nobody looks at what a frame is about. */
  isAnyShut = false;

  /** `refuseAfterMs`: how long requests may wait. */
  hold(table: string, refuseAfterMs: number): void {
    this.open(table);
    this.#shut.set(table, { gate: 'holding', timer: setTimeout(() => this.refuse(table), refuseAfterMs).unref() });
    this.isAnyShut = true;
  }

  refuse(table: string): void {
    clearTimeout(this.#shut.get(table)?.timer);
    this.#shut.set(table, { gate: 'refusing', timer: undefined });
    this.isAnyShut = true;
    this.#wake();
  }

  open(table: string): void {
    clearTimeout(this.#shut.get(table)?.timer);
    if (!this.#shut.delete(table)) return;
    this.isAnyShut = this.#shut.size > 0;
    this.#wake();
  }

  /** Of the tables of one request; undefined: it may go on. */
  gateOf(tables: readonly string[]): Gate | undefined {
    let found: Gate | undefined;
    for (const table of tables) {
      const gate = this.#shut.get(table)?.gate;
      if (gate === 'refusing') return gate;
      found ??= gate;
    }
    return found;
  }

  /** `look` is called when something has changed. */
  wait(look: () => void): void {
    this.#waiting.add(look);
  }

  forget(look: () => void): void {
    this.#waiting.delete(look);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
  }
}
