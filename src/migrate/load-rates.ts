/** Rows per second and the time left of each running load, over the last few seconds. */
import type { LoadProgress } from '../../cdc/ports.ts';

interface Sample {
  readonly atMs: number;
  readonly rows: number;
}

export interface LoadRate {
  readonly rowsPerSecond: number;
  /** undefined while the rate is not known. */
  readonly remainingMs: number | undefined;
}

const WINDOW_MS = 5_000;

export class LoadRates {
  readonly #samples = new Map<string, { samples: Sample[]; total: number }>();

  note(tableId: string, progress: LoadProgress, nowMs: number): void {
    const entry = this.#samples.get(tableId) ?? { samples: [], total: 0 };
    entry.total = progress.rowsTotal;
    entry.samples.push({ atMs: nowMs, rows: progress.rowsLoaded });
    while (entry.samples.length > 2 && (entry.samples[0]?.atMs ?? nowMs) < nowMs - WINDOW_MS) entry.samples.shift();
    this.#samples.set(tableId, entry);
  }

  rate(tableId: string): LoadRate | undefined {
    const entry = this.#samples.get(tableId);
    const first = entry?.samples[0];
    const last = entry?.samples.at(-1);
    if (!entry || !first || !last || last.atMs <= first.atMs) return undefined;
    const rowsPerSecond = ((last.rows - first.rows) * 1000) / (last.atMs - first.atMs);
    const left = Math.max(0, entry.total - last.rows);
    return { rowsPerSecond, remainingMs: rowsPerSecond > 0 ? (left * 1000) / rowsPerSecond : undefined };
  }

  forget(tableId: string): void {
    this.#samples.delete(tableId);
  }
}
