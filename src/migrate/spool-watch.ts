/**
 * Says that a stream's spool takes no more, once when it begins: to the log, and as an error of each table whose changes are in it (MIG086).
 * The stream goes on by itself when there is room; nothing is lost meanwhile, as the source keeps what was not confirmed.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { ChangeStream } from '../../cdc/ports.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { displayName } from './table-details.ts';

interface Seen {
  readonly error: Error | undefined;
  readonly isFull: boolean;
}

export class SpoolWatch {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #seen = new Map<string, Seen>();

  constructor(runtime: Runtime, catalog: Catalog) {
    this.#runtime = runtime;
    this.#catalog = catalog;
  }

  /** To be called now and then: a spool that stays full makes its error anew at each attempt, one that has room again does not. */
  async check(stream: ChangeStream): Promise<void> {
    const { lastError: error } = stream.health();
    const before = this.#seen.get(stream.name);
    const isFull = error instanceof MigrationError && error.code === 'MIG086' && error !== before?.error;
    this.#seen.set(stream.name, { error, isFull });
    if (!isFull || before?.isFull === true) return;
    this.#runtime.log.error('the spool of a change stream takes no more', { stream: stream.name, error: error.message, detail: error.detail, hint: error.hint });
    for (const { tableId, source } of await this.#catalog.tables()) {
      if ((stream.status(tableId)?.spoolBytes ?? 0) === 0) continue;
      this.#runtime.metrics.count('scratchbird_migration_errors_total', { table: displayName(source), error: error.code });
      await this.#catalog.insertErrors([{ tableId, code: error.code, message: error.message, sourceError: error.detail }]);
      await this.#catalog.setProgress([{ tableId, lastError: error.message }]);
    }
  }
}
