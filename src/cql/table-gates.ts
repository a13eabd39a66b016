/**
 * Tables whose requests wait for a moment: while several proxies change at once which cluster is read, or while both clusters are read together (docs/decisions/0028).
 *
 * open → holding (requests of clients wait) → open; or, where the outcome is not known here, → refusing (they have waited long enough, and hear that they may try another proxy) → open.
 */
export type Gate = 'holding' | 'refusing';

interface Shut {
  readonly gate: Gate;
  readonly timer: NodeJS.Timeout | undefined;
}

export class TableGates {
  readonly #shut = new Map<string, Shut>();
  readonly #waiting = new Set<() => void>();
  /** Of frames that wait. */
  heldBytes = 0;
  /** Some table is; without that nobody looks at what a frame is about. */
  isAnyShut = false;

  /** After `limitMs` the table is what `afterwards` says. Returns what this holding is known by. */
  hold(table: string, limitMs: number, afterwards: 'refusing' | 'open'): object {
    this.open(table);
    const timer = setTimeout(() => (afterwards === 'open' ? this.open(table, shut) : this.refuse(table)), limitMs).unref();
    const shut: Shut = { gate: 'holding', timer };
    this.#shut.set(table, shut);
    this.isAnyShut = true;
    return shut;
  }

  refuse(table: string): void {
    clearTimeout(this.#shut.get(table)?.timer);
    this.#shut.set(table, { gate: 'refusing', timer: undefined });
    this.isAnyShut = true;
    this.#wake();
  }

  /** With `holding` only where it is still that one; returns whether it was. */
  open(table: string, holding?: object): boolean {
    const shut = this.#shut.get(table);
    if (!shut || (holding !== undefined && shut !== holding)) return false;
    clearTimeout(shut.timer);
    this.#shut.delete(table);
    this.isAnyShut = this.#shut.size > 0;
    this.#wake();
    return true;
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
