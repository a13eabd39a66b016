/** Wakes the one loop that waits; a call while nobody waits is remembered. */
export class Wake {
  #isSet = false;
  #resolve: (() => void) | undefined;

  notify(): void {
    this.#isSet = true;
    this.#resolve?.();
    this.#resolve = undefined;
  }

  async wait(): Promise<void> {
    if (!this.#isSet) await new Promise<void>((resolve) => (this.#resolve = resolve));
    this.#isSet = false;
  }
}
