/** Where a long test was when it failed, or ran out of its time: a limit of the whole says only that it was too long. */
import { onTestFailed } from 'vitest';

export class StepLog {
  readonly #lines: string[] = [];
  #step = 'begun';
  #sinceMs = performance.now();

  /** To be made within the test; `more` is asked at its failure. */
  constructor(more?: () => Promise<string> | string) {
    onTestFailed(async () => {
      this.begin('failed');
      process.stderr.write(`steps: ${this.#lines.join(', ')}\n${String(await Promise.resolve(more?.() ?? '').catch(String))}\n`);
    });
  }

  begin(step: string): void {
    const nowMs = performance.now();
    this.#lines.push(`${this.#step} ${((nowMs - this.#sinceMs) / 1000).toFixed(1)} s`);
    this.#step = step;
    this.#sinceMs = nowMs;
  }
}
