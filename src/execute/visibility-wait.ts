/** A bounded wait until local shows something of the source; ends once: visible, or given up (RULES 19). */
export type WaitEnd = 'visible' | 'gave_up';

export class VisibilityWait {
  #cancel: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #done: ((end: WaitEnd) => void) | undefined;

  /**
   * `register` asks the tracker and returns its cancel function. After giving up, the registration stays: `caughtUp` is
   * called when local shows it after all.
   */
  constructor(register: (callback: () => void) => () => void, boundMs: number, done: (end: WaitEnd) => void, caughtUp: () => void) {
    this.#done = done;
    this.#cancel = register(() => {
      this.#cancel = undefined;
      if (this.#done) this.#end('visible');
      else caughtUp();
    });
    if (this.#pending) this.#timer = setTimeout(() => this.giveUp(), boundMs);
  }

  get #pending(): boolean {
    return this.#done !== undefined;
  }

  giveUp(): void {
    this.#end('gave_up');
  }

  /** There is no need to wait any more. */
  release(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#end('visible');
  }

  /** The session has ended: nobody is called any more. */
  drop(): void {
    this.#done = undefined;
    clearTimeout(this.#timer);
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #end(end: WaitEnd): void {
    const done = this.#done;
    this.#done = undefined;
    clearTimeout(this.#timer);
    done?.(end);
  }
}
