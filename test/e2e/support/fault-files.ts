/**
 * Fault points that the test holds a running process at (`hold` in `config/faults.ts`): every point is armed from the start, and lets
 * pass whoever comes as long as its `.go` file is there.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export class FaultFiles {
  readonly directory: string;
  readonly #points: readonly string[];

  constructor(directory: string, points: readonly string[]) {
    this.directory = directory;
    this.#points = points;
    fs.mkdirSync(directory, { recursive: true });
    for (const point of points) this.release(point);
  }

  /** For the product's environment. */
  get environment(): Readonly<Record<string, string>> {
    if (this.#points.length === 0) return {};
    return { CAUSEWAY_FAULT: this.#points.map((point) => `${point}:hold`).join(','), CAUSEWAY_FAULT_DIR: this.directory };
  }

  /** From now on the next process that comes to the point stays there. */
  arm(point: string): void {
    if (!this.#points.includes(point)) throw new Error(`fault point ${point} was not named when the product was started`);
    // In this order: who is let through leaves no word, and who is held leaves it after this.
    fs.rmSync(this.#file(point, 'reached'), { force: true });
    fs.rmSync(this.#file(point, 'go'), { force: true });
  }

  /** Resolves once a process stands at the point. */
  async reached(point: string, limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!fs.existsSync(this.#file(point, 'reached'))) {
      if (performance.now() > deadline) throw new Error(`nothing came to the fault point ${point} within ${limitMs} ms`);
      await delay(5);
    }
  }

  release(point: string): void {
    fs.writeFileSync(this.#file(point, 'go'), '');
  }

  #file(point: string, ending: string): string {
    return path.join(this.directory, `${point}.${ending}`);
  }
}
