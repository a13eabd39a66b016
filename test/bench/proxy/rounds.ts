/** Who is measured when: every contender in each round of each cell, who begins goes round, and what they said. */
import type { Sample, Series } from './figures.ts';

export interface Cell {
  readonly workload: string;
  readonly mode: string;
  readonly clients: number;
}

export interface Contender {
  readonly name: string;
  /** Why this cell cannot be measured through it. */
  notPossible(cell: Cell): string | undefined;
  measure(cell: Cell, round: number): Promise<Sample>;
}

/** Filled while it runs, so that what was measured before an interruption can be shown. */
export class Rounds {
  readonly #series = new Map<string, { -readonly [Key in keyof Series]: Series[Key] } & { samples: Sample[] }>();

  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  /** A run that fails is noted and the others go on; only an interruption throws. */
  async run(cells: readonly Cell[], contenders: readonly Contender[], rounds: number, signal: AbortSignal): Promise<void> {
    for (const cell of cells) for (const { name } of contenders) this.#seriesOf(cell, name);
    for (let round = 0; round < rounds; round += 1) {
      for (const cell of cells) {
        const said: string[] = [];
        for (const contender of inTurn(contenders, round)) {
          signal.throwIfAborted();
          said.push(`${contender.name} ${await this.#measure(cell, contender, round, signal)}`);
        }
        process.stderr.write(`round ${round + 1} of ${rounds}, ${cell.workload} ${cell.mode} ${cell.clients}: ${said.join(', ')}\n`);
      }
    }
  }

  async #measure(cell: Cell, contender: Contender, round: number, signal: AbortSignal): Promise<string> {
    const series = this.#seriesOf(cell, contender.name);
    const why = contender.notPossible(cell);
    if (why !== undefined) {
      series.notPossible = why;
      return 'not possible';
    }
    try {
      const sample = await contender.measure(cell, round);
      series.samples.push(sample);
      return `${Math.round(sample.tps)}`;
    } catch (error) {
      signal.throwIfAborted();
      series.failure ??= error instanceof Error ? error.message : String(error);
      return 'FAILED';
    }
  }

  #seriesOf(cell: Cell, through: string): { -readonly [Key in keyof Series]: Series[Key] } & { samples: Sample[] } {
    const key = `${cell.workload} ${cell.mode} ${cell.clients} ${through}`;
    const known = this.#series.get(key);
    if (known) return known;
    const fresh = { workload: cell.workload, mode: cell.mode, clients: cell.clients, through, samples: [] };
    this.#series.set(key, fresh);
    return fresh;
  }
}

/** Each round begins with another one; every second round goes the other way, so that nobody always follows the same. */
export function inTurn<Item>(items: readonly Item[], round: number): readonly Item[] {
  const first = round % Math.max(1, items.length);
  const turned = [...items.slice(first), ...items.slice(0, first)];
  return round % 2 === 0 ? turned : [turned[0], ...turned.slice(1).reverse()].filter((item): item is Item => item !== undefined);
}
