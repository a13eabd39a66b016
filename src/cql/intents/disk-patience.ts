/** Whether a disk works, told once when that changes; and acts that are tried until it does. */
const RETRY_MS = 100;

export class DiskPatience {
  #isFailing = false;
  readonly #onChange: (error: Error | undefined) => void;

  constructor(onChange: (error: Error | undefined) => void) {
    this.#onChange = onChange;
  }

  get isFailing(): boolean {
    return this.#isFailing;
  }

  works(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#onChange(undefined);
  }

  fails(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#onChange(error instanceof Error ? error : new Error(String(error)));
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }

  /** Until the disk does it. */
  async insist(act: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await act();
        this.works();
        return;
      } catch (error) {
        this.fails(error);
        await this.pause();
      }
    }
  }
}
