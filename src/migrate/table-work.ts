/**
 * Who works on a table: its driver in the background, or one command at a time. A command that needs tables for itself
 * stops their drivers, waits for them to end, and starts them again when it is done, whatever it did.
 */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';

interface RunningDriver {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export type Drive = (tableId: string, signal: AbortSignal) => Promise<void>;

export class TableWork {
  readonly #runtime: Runtime;
  readonly #drive: Drive;
  readonly #drivers = new Map<string, RunningDriver>();
  /** Tables that a command has for itself, and what it is called. */
  readonly #taken = new Map<string, string>();

  constructor(runtime: Runtime, drive: Drive) {
    this.#runtime = runtime;
    this.#drive = drive;
  }

  /** Starts the driver unless it runs, or a command has the table (which starts it when done). */
  start(tableId: string): void {
    if (this.#drivers.has(tableId) || this.#taken.has(tableId) || this.#runtime.signal.aborted) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#runtime.signal]);
    const ended = this.#drive(tableId, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#runtime.log.error('a table driver ended', { tableId, error: String(error) });
      })
      .finally(() => {
        if (this.#drivers.get(tableId)?.stop === stop) this.#drivers.delete(tableId);
      });
    this.#drivers.set(tableId, { stop, ended });
  }

  /** Runs `act` with the tables' drivers stopped. Throws MIG074 when another command has one of them. */
  async alone<T>(tableIds: readonly string[], name: string, act: () => Promise<T>): Promise<T> {
    for (const tableId of tableIds) {
      const other = this.#taken.get(tableId);
      if (other !== undefined) throw new MigrationError('MIG074', `${other} is running on the table`, { hint: 'Wait for it to end, then try again.' });
    }
    for (const tableId of tableIds) this.#taken.set(tableId, name);
    try {
      await Promise.all(tableIds.map((tableId) => this.#stop(tableId)));
      return await act();
    } finally {
      for (const tableId of tableIds) {
        this.#taken.delete(tableId);
        this.start(tableId);
      }
    }
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#drivers.keys()].map((tableId) => this.#stop(tableId)));
  }

  async #stop(tableId: string): Promise<void> {
    const driver = this.#drivers.get(tableId);
    if (!driver) return;
    driver.stop.abort(new Error('stopped by a command'));
    await driver.ended;
  }
}
