/**
 * Moments in which no client writes a table, so that both clusters can be read as they are together: its requests wait, those in hand have ended on both clusters, and nothing of it is owed. A pause that lasts longer than
 * was agreed ends by itself, and whoever asked for it hears at its end that it did not hold.
 */
import type { CqlProxy } from '../proxy-options.ts';

export interface PauseRequest {
  /** `ks.table`. */
  readonly table: string;
  readonly id: string;
  /** How long requests of clients may wait for those in hand. */
  readonly quietMs: number;
  /** How long they may wait altogether. */
  readonly limitMs: number;
}

export interface PauseParts {
  readonly proxy: Pick<CqlProxy, 'hold' | 'open'>;
  /** Writes of the table that stand in the log as left behind. */
  queued(table: string): number;
  /** It is held already, for something else. */
  isTaken(table: string): boolean;
}

export class TablePauses {
  readonly #parts: PauseParts;
  readonly #current = new Map<string, { readonly id: string; readonly holding: object | undefined }>();

  constructor(parts: PauseParts) {
    this.#parts = parts;
  }

  /** False: not now. */
  async begin({ table, id, quietMs, limitMs }: PauseRequest): Promise<boolean> {
    const { proxy, queued, isTaken } = this.#parts;
    if (isTaken(table) || queued(table) > 0) return false;
    const before = this.#current.get(table);
    // Its control is gone, or another one has the table.
    if (before?.holding) proxy.open(table, before.holding);
    const own = { id, holding: undefined };
    this.#current.set(table, own);
    const holding = await proxy.hold(table, quietMs, limitMs, 'open');
    if (!holding) return false;
    if (this.#current.get(table) === own && queued(table) === 0) {
      this.#current.set(table, { id, holding });
      return true;
    }
    proxy.open(table, holding);
    return false;
  }

  /** Returns whether it has held until now. */
  end(table: string, id: string): boolean {
    const current = this.#current.get(table);
    if (current?.id !== id) return false;
    this.#current.delete(table);
    return current.holding !== undefined && this.#parts.proxy.open(table, current.holding);
  }
}
